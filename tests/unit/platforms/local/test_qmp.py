from __future__ import annotations

import array
import json
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from imagewright.core.clock import Deadline, SystemClock
from imagewright.core.errors import CancelledError, PlatformError
from imagewright.platforms.local.qmp import Qmp, QmpError

CLOCK = SystemClock()


def soon(seconds: float = 20.0) -> Deadline:
    return Deadline(CLOCK, CLOCK.monotonic() + seconds, "QEMU's answer", error=PlatformError)


class Peer:
    """The other end: reads commands, one a line, and says what it is told to."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self.lines = connection.makefile("rb")

    def hear(self) -> dict[str, Any]:
        said: dict[str, Any] = json.loads(self.lines.readline())
        return said

    def say(self, *messages: dict[str, object]) -> None:
        self.connection.sendall(b"".join(json.dumps(message).encode() + b"\r\n" for message in messages))

    def answer(self, value: object) -> None:
        self.say({"return": value, "id": self.hear()["id"]})

    def hang_up(self) -> None:
        self.lines.close()
        self.connection.close()


@pytest.fixture
def ends() -> Iterator[tuple[Qmp, Peer]]:
    ours, theirs = socket.socketpair()
    peer = Peer(theirs)
    yield Qmp(ours), peer
    ours.close()
    peer.hang_up()


@contextmanager
def meanwhile(*calls: Any) -> Iterator[None]:
    def play() -> None:
        for call in calls:
            call()

    thread = threading.Thread(target=play)
    thread.start()
    yield
    thread.join()


def test_the_greeting_is_waited_for_and_the_negotiation_left(ends: tuple[Qmp, Peer]) -> None:
    qmp, peer = ends
    heard = []
    peer.say({"QMP": {"version": {}}})

    def play() -> None:
        heard.append(peer.hear())
        peer.say({"return": {}, "id": heard[0]["id"]})

    with meanwhile(play):
        qmp.greet(soon())
    assert heard[0]["execute"] == "qmp_capabilities"


def test_events_before_an_answer_are_passed_over(ends: tuple[Qmp, Peer]) -> None:
    qmp, peer = ends
    peer.say({"event": "STOP"}, {"event": "RESUME"})
    with meanwhile(lambda: peer.answer({"status": "running"})):
        assert qmp.execute("query-status", soon()) == {"status": "running"}


def test_an_answer_that_comes_too_late_is_not_taken_for_the_next_one(ends: tuple[Qmp, Peer]) -> None:
    qmp, peer = ends
    with pytest.raises(PlatformError, match="took too long"):
        qmp.execute("query-migrate", soon(0))
    peer.answer({"status": "completed"})
    with meanwhile(lambda: peer.answer({"status": "paused"})):
        assert qmp.execute("query-status", soon()) == {"status": "paused"}


def test_a_refusal_says_which_command_and_why(ends: tuple[Qmp, Peer]) -> None:
    qmp, peer = ends
    with (
        meanwhile(
            lambda: peer.say({"error": {"class": "GenericError", "desc": "no such node"}, "id": peer.hear()["id"]})
        ),
        pytest.raises(QmpError, match="QEMU refused `transaction`: no such node"),
    ):
        qmp.execute("transaction", soon())


def test_a_descriptor_travels_with_its_command(ends: tuple[Qmp, Peer]) -> None:
    qmp, peer = ends
    read, write = os.pipe()
    got: list[int] = []

    def play() -> None:
        data, ancillary, _, _ = peer.connection.recvmsg(1 << 12, socket.CMSG_SPACE(4))
        numbers = array.array("i")
        numbers.frombytes(ancillary[0][2])
        got.extend(numbers)
        peer.say({"return": {}, "id": json.loads(data)["id"]})

    with meanwhile(play):
        qmp.execute("getfd", soon(), {"fdname": "state"}, fd=write)
    os.close(write)
    os.write(got[0], b"through")
    os.close(got[0])
    assert os.read(read, 100) == b"through"
    os.close(read)


def test_a_peer_that_hangs_up_is_said_so(ends: tuple[Qmp, Peer]) -> None:
    qmp, peer = ends
    with meanwhile(peer.hear, peer.hang_up), pytest.raises(QmpError, match="QEMU went away"):
        qmp.execute("stop", soon())
    with pytest.raises(QmpError, match="QEMU went away before `cont`"):
        qmp.execute("cont", soon())


def test_a_peer_that_says_nothing_is_left_when_the_build_is_cancelled(ends: tuple[Qmp, Peer]) -> None:
    qmp, peer = ends
    deadline = soon()
    with meanwhile(peer.hear, deadline.stop.set), pytest.raises(CancelledError):
        qmp.execute("stop", deadline)


def test_an_answer_in_pieces_is_put_together(ends: tuple[Qmp, Peer]) -> None:
    qmp, peer = ends

    def play() -> None:
        whole = json.dumps({"return": "x" * 70000, "id": peer.hear()["id"]}).encode() + b"\n"
        for at in range(0, len(whole), 9999):
            peer.connection.sendall(whole[at : at + 9999])

    with meanwhile(play):
        assert len(qmp.execute("human-monitor-command", soon())) == 70000

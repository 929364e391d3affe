"""Against a real server on 127.0.0.1 whose answers the test chooses."""

from __future__ import annotations

import base64
import hashlib
import http.server
import os
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import pytest
from manual_clock import ManualClock

from imagewright.core.actions import Remote
from imagewright.core.address import shown
from imagewright.core.clock import Deadline, SystemClock
from imagewright.core.errors import BuildTimeoutError, CancelledError, FetchError, PlatformError
from imagewright.core.events import Event, Progress
from imagewright.staging.directory import DirectoryStaging
from imagewright.staging.fetch import ATTEMPTS, STRIDE, local_path, read

BODY = b"#!/bin/sh\necho hello\n" * 1000
SHA = hashlib.sha256(BODY).hexdigest()


@dataclass
class Web:
    """A server. `answers` are given in order, the last one for ever; one with a slash is where a redirection leads.

    `asked` are the request lines that came, and `logins` who asked."""

    port: int = 0
    answers: list[str] = field(default_factory=lambda: ["ok"])
    asked: list[str] = field(default_factory=list)
    logins: list[str] = field(default_factory=list)
    ended: threading.Event = field(default_factory=threading.Event)

    def url(self, path: str = "/script.sh") -> str:
        return f"http://127.0.0.1:{self.port}{path}"


class Handler(http.server.BaseHTTPRequestHandler):
    web: ClassVar[Web]

    def do_GET(self) -> None:
        self.web.asked.append(self.path)
        self.web.logins.append(self.headers.get("Authorization", ""))
        answer = self.web.answers.pop(0) if len(self.web.answers) > 1 else self.web.answers[0]
        match answer:
            case "ok":
                self.answer(BODY)
            case "short":
                self.answer(BODY[:100], length=len(BODY))
            case "drip":
                self.send_response(200)
                self.end_headers()
                while not self.web.ended.wait(0.05):
                    self.wfile.write(b".")
            case "hang up":
                self.connection.shutdown(socket.SHUT_RDWR)
            case "no length":
                self.send_response(200)
                self.end_headers()
                self.wfile.write(BODY)
            case "rubbish":
                self.wfile.write(b"SSH-2.0-OpenSSH_9.2\r\n")
            case place if "/" in place:
                self.send_response(302)
                self.send_header("Location", place)
                self.end_headers()
            case "no number":
                self.send_response(200)
                self.send_header("Content-Length", "many")
                self.end_headers()
                self.wfile.write(BODY)
            case code:
                self.send_error(int(code))

    def answer(self, body: bytes, length: int | None = None) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(length or len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's own name
        pass


@pytest.fixture
def web(monkeypatch: pytest.MonkeyPatch) -> Iterator[Web]:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    made = Web()
    handler = type("OfThisTest", (Handler,), {"web": made})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    made.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield made
    made.ended.set()
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def deadline(clock: ManualClock) -> Deadline:
    return Deadline.after(clock, 600.0, "the build")


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "target"


# --- over the network ---


@pytest.mark.parametrize("answer", ["ok", "no length", "no number"])
def test_the_bytes_arrive_with_their_digest_and_size(web: Web, target: Path, deadline: Deadline, answer: str) -> None:
    web.answers = [answer]
    assert read(web.url(), target, deadline) == (SHA, len(BODY))
    assert target.read_bytes() == BODY


@pytest.mark.parametrize("trouble", ["500", "503", "429", "408", "hang up", "short", "rubbish"])
def test_what_may_pass_is_tried_again(
    web: Web, target: Path, deadline: Deadline, clock: ManualClock, trouble: str
) -> None:
    web.answers = [trouble, trouble, "ok"]
    assert read(web.url(), target, deadline) == (SHA, len(BODY))
    assert target.read_bytes() == BODY
    assert clock.passed == 0.5 + 1.0


@pytest.mark.parametrize(
    ("trouble", "reason"),
    [("500", "the server answers 500"), ("short", "the connection ended after 100 of 21000 bytes"), ("hang up", "")],
)
def test_what_does_not_pass_ends_after_some_attempts(
    web: Web, target: Path, deadline: Deadline, trouble: str, reason: str
) -> None:
    web.answers = [trouble]
    with pytest.raises(FetchError, match=f"could not be read in {ATTEMPTS} attempts: .*{reason}") as caught:
        read(web.url(), target, deadline)
    assert web.url() in str(caught.value)
    assert len(web.asked) == ATTEMPTS


@pytest.mark.parametrize("code", ["400", "401", "403", "404", "410"])
def test_what_is_not_there_is_an_error_at_once(web: Web, target: Path, deadline: Deadline, code: str) -> None:
    web.answers = [code]
    with pytest.raises(FetchError, match=f"script.sh could not be read: the server answers {code}"):
        read(web.url(), target, deadline)
    assert len(web.asked) == 1


def test_nothing_listens_there(target: Path, deadline: Deadline) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        uri = f"http://127.0.0.1:{probe.getsockname()[1]}/x"
    with pytest.raises(FetchError, match="refused") as caught:
        read(uri, target, deadline)
    assert "proxy" in caught.value.hint


def test_a_redirection_is_followed(web: Web, target: Path, deadline: Deadline) -> None:
    web.answers = ["/elsewhere", "ok"]
    assert read(web.url(), target, deadline) == (SHA, len(BODY))
    assert web.asked == ["/script.sh", "/elsewhere"]


@pytest.mark.parametrize("trouble", ["404", "500"])
def test_a_signature_is_sent_but_never_shown(web: Web, target: Path, deadline: Deadline, trouble: str) -> None:
    web.answers = [trouble]
    with pytest.raises(FetchError) as caught:
        read(web.url("/script.sh?sv=2024&sig=s3cret%2Bsignature"), target, deadline)
    assert web.asked[0] == "/script.sh?sv=2024&sig=s3cret%2Bsignature"
    assert "s3cret" not in str(caught.value)
    assert str(caught.value).startswith(f"{web.url()}?… could not be read")


def test_a_user_of_the_address_logs_in_and_is_never_shown(web: Web, target: Path, deadline: Deadline) -> None:
    web.answers = ["ok", "403"]
    address = web.url().replace("http://", "http://me:s3cr%40t@")
    assert read(address, target, deadline) == (SHA, len(BODY))
    assert web.logins == [f"Basic {base64.b64encode(b'me:s3cr@t').decode()}"]
    with pytest.raises(FetchError, match="the server answers 403") as caught:
        read(address, target, deadline)
    assert str(caught.value).startswith(f"{web.url()} could not")
    assert "s3cr" not in str(caught.value)


@pytest.mark.parametrize(("host", "again"), [("127.0.0.1", True), ("localhost", False)])
def test_a_user_is_not_sent_on_to_another_host(
    web: Web, target: Path, deadline: Deadline, host: str, *, again: bool
) -> None:
    web.answers = [web.url("/elsewhere").replace("127.0.0.1", host), "ok"]
    read(web.url().replace("http://", "http://me:s3cret@"), target, deadline)
    login = f"Basic {base64.b64encode(b'me:s3cret').decode()}"
    assert web.logins == [login, login if again else ""]


def test_a_user_may_have_no_password(web: Web, target: Path, deadline: Deadline) -> None:
    read(web.url().replace("http://", "http://to%3Aken@"), target, deadline)
    assert web.logins == [f"Basic {base64.b64encode(b'to:ken:').decode()}"]


@pytest.mark.parametrize("place", ["file:///a?sig=s3cret", "http://me:s3cret@h.org/a", "/script.sh?sig=s3cret"])
def test_a_redirection_that_leads_nowhere_ends_at_once_and_shows_nothing(
    web: Web, target: Path, deadline: Deadline, clock: ManualClock, place: str
) -> None:
    web.answers = [place]
    with pytest.raises(FetchError) as caught:
        read(web.url(), target, deadline)
    assert str(caught.value).startswith(web.url())
    assert "s3cret" not in str(caught.value)
    assert caught.value.hint
    assert not clock.passed


def test_the_deadline_ends_the_attempts(web: Web, target: Path, clock: ManualClock) -> None:
    web.answers = ["500"]
    with pytest.raises(BuildTimeoutError):
        read(web.url(), target, Deadline.after(clock, 2.0, "the build"))
    assert len(web.asked) == 3


def test_a_cancelled_build_reads_no_more(web: Web, target: Path, deadline: Deadline) -> None:
    deadline.stop.set()
    with pytest.raises(CancelledError):
        read(web.url(), target, deadline)


@pytest.mark.parametrize(
    "uri",
    [
        "http://",
        "http://127.0.0.1:port/x",
        "http://me:s3cret@[::1/x",
        "http://me:s3cret\u2100@h.org/x",
        "http://me:s3cret@127.0.0.1/a b",
        "http://me:s3cret@127.0.0.1:port/ä",
    ],
)
def test_an_address_that_is_none(target: Path, deadline: Deadline, uri: str) -> None:
    with pytest.raises(FetchError) as caught:
        read(uri, target, deadline)
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize(
    ("uri", "text"),
    [
        ("https://h.org/a/b.sh", "https://h.org/a/b.sh"),
        ("https://h.org/a?sig=x", "https://h.org/a?…"),
        ("https://user:password@h.org/a", "https://h.org/a"),
        ("https://h.org/a#fragment", "https://h.org/a"),
        ("https://user:pass/word@h.org/a", "https://h.org/a"),
        ("https://user:pass?word@h.org/a?b", "https://h.org/a?…"),
        ("https://user:[pass@h.org/a", "https://h.org/a"),
        ("scripts/a.sh", "scripts/a.sh"),
    ],
)
def test_what_a_message_shows_of_an_address(uri: str, text: str) -> None:
    assert shown(uri) == text


# --- on this machine ---


def test_a_server_that_drips_does_not_outlast_the_deadline(web: Web, target: Path) -> None:
    web.answers = ["drip"]
    clock = SystemClock()
    with pytest.raises(BuildTimeoutError):
        read(web.url(), target, Deadline.after(clock, 1.0, "the build"))


def test_long_copies_tell_how_far_they_are_and_short_ones_do_not(tmp_path: Path, deadline: Deadline) -> None:
    told: list[Event] = []
    staging = DirectoryStaging(tmp_path / "staging", told.append)
    sizes = {"short": STRIDE - 1, "long": 3 * STRIDE}
    for name, size in sizes.items():
        (tmp_path / name).write_bytes(bytes(size))
        staging.fetch(Remote(str(tmp_path / name)), deadline)
    assert {event.label for event in told if isinstance(event, Progress)} == {"long"}
    assert told[0] == Progress("long", STRIDE, 3 * STRIDE)
    assert told[-1] == Progress("long", 3 * STRIDE, 3 * STRIDE)


def test_a_file_is_read_by_path_and_by_uri(tmp_path: Path, target: Path, deadline: Deadline) -> None:
    source = tmp_path / "a b.sh"
    source.write_bytes(BODY)
    assert read(str(source), target, deadline) == (SHA, len(BODY))
    assert read(source.as_uri(), target, deadline) == (SHA, len(BODY))
    assert local_path(source.as_uri()) == source


def test_a_file_that_is_not_there(target: Path, deadline: Deadline) -> None:
    with pytest.raises(FetchError, match="No such file") as caught:
        read("missing.sh", target, deadline)
    assert "relative to the template" in caught.value.hint


# --- into the staging ---


def test_what_was_fetched_is_kept_by_its_content(web: Web, tmp_path: Path, deadline: Deadline) -> None:
    staging = DirectoryStaging(tmp_path / "staging")
    staged = staging.fetch(Remote(web.url("/dir/script.sh?sig=x")), deadline)
    assert (staged.sha256, staged.size, staged.name) == (SHA, len(BODY), "script.sh")
    assert staging.path(staged).read_bytes() == BODY
    assert staging.fetch(Remote(web.url("/other"), SHA), deadline).sha256 == SHA
    assert [path.name for path in (tmp_path / "staging").iterdir()] == [SHA]


def test_another_checksum_than_the_expected_one(web: Web, tmp_path: Path, deadline: Deadline) -> None:
    staging = DirectoryStaging(tmp_path / "staging")
    with pytest.raises(FetchError, match=f"has the checksum {SHA}, the template expects {'0' * 64}") as caught:
        staging.fetch(Remote(web.url("/script.sh?sig=s3cret"), "0" * 64), deadline)
    assert "s3cret" not in str(caught.value)
    assert list((tmp_path / "staging").iterdir()) == []


def test_a_failed_fetch_leaves_nothing(web: Web, tmp_path: Path, deadline: Deadline) -> None:
    web.answers = ["short"]
    with pytest.raises(FetchError):
        DirectoryStaging(tmp_path / "staging").fetch(Remote(web.url()), deadline)
    assert list((tmp_path / "staging").iterdir()) == []


def test_a_staging_that_cannot_be_written(tmp_path: Path, deadline: Deadline) -> None:
    (tmp_path / "staging").touch()
    (tmp_path / "script").touch()
    with pytest.raises(PlatformError, match="staging could not be written"):
        DirectoryStaging(tmp_path / "staging").fetch(Remote(str(tmp_path / "script")), deadline)


def test_what_is_no_regular_file_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    staging = DirectoryStaging(tmp_path / "staging")
    for place, what in (
        (tmp_path, "is a directory"),
        (tmp_path / "pipe", "no regular file"),
        ("/dev/zero", "no regular"),
    ):
        with pytest.raises(FetchError, match=what) as caught:
            staging.fetch(Remote(str(place)), Deadline.after(SystemClock(), 20, "the test"))
        assert caught.value.hint
    assert not any((tmp_path / "staging").iterdir())


def test_a_full_disk_is_not_blamed_on_the_address(web: Web, tmp_path: Path) -> None:
    deadline = Deadline.after(SystemClock(), 20, "the test")
    (tmp_path / "script.sh").write_bytes(BODY)
    for address in (web.url(), str(tmp_path / "script.sh")):
        with pytest.raises(PlatformError, match="/dev could not be written: No space left on device") as caught:
            read(address, Path("/dev/full"), deadline)
        assert not isinstance(caught.value, FetchError)
    assert len(web.asked) == 1

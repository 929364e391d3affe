"""The contract of core.ports.Guest: SshGuest against the OpenSSH server of this machine, on a port of 127.0.0.1."""

from __future__ import annotations

import itertools
import os
import pwd
import select
import shutil
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from imagewright.communicators.keys import KeyPair, new_key_pair
from imagewright.communicators.lines import LONGEST
from imagewright.communicators.login import Login
from imagewright.communicators.ssh import STRIDE, SshGuest
from imagewright.core.actions import Inline, Reboot, Run, RunAs, Shell
from imagewright.core.clock import Deadline, SystemClock
from imagewright.core.errors import BuildTimeoutError, CancelledError, FetchError, PlatformError
from imagewright.core.events import Emit, Event, Progress, Stream
from imagewright.engine import deprovision

SSHD = shutil.which("sshd") or "/usr/sbin/sshd"
USER = pwd.getpwuid(os.getuid()).pw_name
PLAIN = Run(Inline(""), Shell.SH)
DROP = "read -r _ _ _ parent _ < /proc/$PPID/stat; kill -9 $parent"
"""Kills the server's process of this connection, two levels above the script."""

pytestmark = pytest.mark.skipif(not Path(SSHD).exists(), reason="openssh-server is not installed")

_numbers = itertools.count(os.getpid() * 1000)


@dataclass
class Server:
    """A running server. `login` is the one it accepts; `said` is its log."""

    login: Login
    process: subprocess.Popen[bytes]
    log: Path

    def said(self) -> str:
        return self.log.read_text("utf-8", "replace")


@contextmanager
def served(folder: Path, *settings: str) -> Iterator[Server]:
    """A server with keys of its own that lets in the user who runs the tests."""
    folder.mkdir(exist_ok=True)
    if os.getuid() == 0:
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # sshd wants it for root, whoever starts it
    user, host = new_key_pair("tests"), new_key_pair("host")
    for name, text, mode in (("host", host.private, 0o600), ("authorized", user.public + "\n", 0o600)):
        (folder / name).write_text(text)
        (folder / name).chmod(mode)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    configuration = [
        f"Port {port}",
        "ListenAddress 127.0.0.1",
        f"HostKey {folder / 'host'}",
        f"AuthorizedKeysFile {folder / 'authorized'}",
        f"PidFile {folder / 'pid'}",
        "StrictModes no",
        "UsePAM no",
        "PasswordAuthentication no",
        "KbdInteractiveAuthentication no",
        "PermitRootLogin prohibit-password",
        "LogLevel VERBOSE",
        *settings,
    ]
    (folder / "config").write_text("\n".join(configuration) + "\n")
    log = folder / "log"
    with log.open("wb") as said:
        process = subprocess.Popen([SSHD, "-D", "-e", "-f", folder / "config"], stdout=said, stderr=said)
    try:
        yield Server(Login("127.0.0.1", port, USER, user.private, host.public), process, log)
    finally:
        process.terminate()
        process.wait()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with served(tmp_path_factory.mktemp("sshd")) as running:
        yield running


@pytest.fixture
def guest(server: Server) -> Iterator[SshGuest]:
    with connected(server.login) as connection:
        yield connection


@contextmanager
def connected(
    login: Login, alive: Callable[[], None] = lambda: None, emit: Emit = lambda _: None
) -> Iterator[SshGuest]:
    guest = SshGuest(login, alive, emit)
    guest._scripts = next(_numbers) * 100  # the tests of one machine share its /tmp
    guest.connect(soon())
    try:
        yield guest
    finally:
        guest.close()


def soon(seconds: float = 60.0) -> Deadline:
    return Deadline.after(SystemClock(), seconds, "the test")


class _Ahead(SystemClock):
    """Runs ahead of the real time by as many seconds as it is told."""

    ahead = 0.0

    def monotonic(self) -> float:
        return super().monotonic() + self.ahead


class Heard:
    """An output sink that remembers."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, Stream]] = []

    def __call__(self, line: str, stream: Stream) -> None:
        self.lines.append((line, stream))

    def text(self, stream: Stream = Stream.STDOUT) -> list[str]:
        return [line for line, where in self.lines if where is stream]


def run(guest: SshGuest, script: str | bytes, deadline: Deadline | None = None) -> tuple[int, Heard]:
    heard = Heard()
    content = script if isinstance(script, bytes) else script.encode()
    return guest.run(PLAIN, content, heard, deadline or soon()), heard


# --- run ---


@pytest.mark.parametrize("code", [0, 1, 3, 126, 255])
def test_the_exit_code_is_the_scripts(guest: SshGuest, code: int) -> None:
    assert run(guest, f"#!/bin/sh\nexit {code}\n")[0] == code


def test_a_script_that_kills_itself_has_the_shells_code_for_it(guest: SshGuest) -> None:
    assert run(guest, "#!/bin/sh\nkill -9 $$\n")[0] == 137


def test_the_streams_are_told_apart_and_lines_lose_their_ends(guest: SshGuest) -> None:
    _, heard = run(guest, "#!/bin/sh\nprintf 'a\\r\\n\\nlast'\nprintf 'e\\n' >&2\n")
    assert heard.text(Stream.STDOUT) == ["a", "", "last"]
    assert heard.text(Stream.STDERR) == ["e"]


def test_a_progress_bar_is_told_in_lines(guest: SshGuest) -> None:
    assert run(guest, "#!/bin/sh\nprintf '10%%\\r20%%\\r30%%\\n'\n")[1].text() == ["10%", "20%", "30%"]


def test_bytes_that_are_no_utf8_survive(guest: SshGuest) -> None:
    assert run(guest, "#!/bin/sh\nprintf 'caf\\351 \\303\\251\\n'\n")[1].text() == ["caf\ufffd é"]


def test_a_script_with_windows_line_ends_runs(guest: SshGuest) -> None:
    code, heard = run(guest, b"#!/bin/sh\r\nif true; then\r\n  echo fine\r\nfi\r\n")
    assert (code, heard.text()) == (0, ["fine"])


def test_nothing_is_on_the_scripts_standard_input(guest: SshGuest) -> None:
    assert run(guest, "#!/bin/sh\ncat; echo read\n")[1].text() == ["read"]


def test_the_interpreter_is_the_scripts_own_choice(guest: SshGuest) -> None:
    assert run(guest, '#!/bin/bash\necho "${BASH_VERSION:+bash}"\n')[1].text() == ["bash"]


def test_the_environment_of_the_action_and_of_packer_is_there(guest: SshGuest) -> None:
    heard = Heard()
    action = replace(PLAIN, environment=(("GREETING", 'it\'s "$HOME"'),))
    guest.run(action, b'#!/bin/sh\necho "$GREETING" $PACKER_BUILDER_TYPE\n', heard, soon())
    assert heard.text() == ['it\'s "$HOME" azure-arm']


@pytest.mark.skipif(shutil.which("sudo") is None or os.getuid() != 0, reason="needs sudo without a password")
def test_an_elevated_script_knows_who_asked(guest: SshGuest) -> None:
    heard = Heard()
    guest.run(replace(PLAIN, run_as=RunAs.ELEVATED), b'#!/bin/sh\necho "$(id -u) $SUDO_USER"\n', heard, soon())
    assert heard.text() == [f"0 {USER}"]


def test_the_script_is_gone_afterwards(guest: SshGuest) -> None:
    _, heard = run(guest, '#!/bin/sh\necho "$0"\n')
    assert heard.text()[0].startswith("/tmp/script_")
    assert not Path(heard.text()[0]).exists()


def test_fifty_megabytes_of_output_arrive_whole(guest: SshGuest) -> None:
    size, lines = 0, 0

    def count(line: str, stream: Stream) -> None:
        nonlocal size, lines
        size, lines = size + len(line) + 1, lines + 1

    line = "x" * 99
    assert guest.run(PLAIN, f"#!/bin/sh\nyes {line} | head -n 500000\n".encode(), count, soon(300)) == 0
    assert (size, lines) == (50_000_000, 500_000)


def test_the_end_of_the_output_is_never_lost(guest: SshGuest) -> None:
    for _ in range(5):
        _, heard = run(guest, "#!/bin/sh\nseq 1 20000\nexec echo end\n")
        assert heard.text()[-1] == "end"
        assert len(heard.lines) == 20001


def test_whoever_reads_slowly_hears_the_end_too(guest: SshGuest) -> None:
    clock, heard = _Ahead(), Heard()

    def read(line: str, stream: Stream) -> None:
        heard(line, stream)
        clock.ahead += 0.01

    script = b"seq 1 250000; echo 'E: the reason' >&2; exit 7"
    assert guest.run(PLAIN, script, read, Deadline.after(clock, 1e6, "the test")) == 7
    assert len(heard.text()) == 250_000
    assert heard.text(Stream.STDERR) == ["E: the reason"]


def test_what_a_script_left_behind_may_print_for_ever(guest: SshGuest) -> None:
    code, heard = run(guest, "sh -c 'echo $$; exec yes' & exit 3")
    run(guest, f"kill {heard.text()[0]}")
    assert code == 3


def test_a_line_without_end_comes_in_bounded_pieces(guest: SshGuest) -> None:
    _, heard = run(guest, "#!/bin/sh\nhead -c 3000000 /dev/zero | tr '\\0' x\n")
    assert "".join(heard.text()) == "x" * 3_000_000
    assert max(len(line) for line in heard.text()) <= LONGEST


def test_a_service_left_behind_does_not_hold_the_build_up(guest: SshGuest) -> None:
    code, heard = run(guest, "#!/bin/sh\nsleep 30 &\necho started\n", soon(20))
    assert (code, heard.text()) == (0, ["started"])


# --- deadlines and signals ---


def test_the_deadline_cuts_a_script_that_hangs(guest: SshGuest) -> None:
    with pytest.raises(BuildTimeoutError, match="the script took too long"):
        run(guest, "#!/bin/sh\nsleep 60\n", Deadline.after(SystemClock(), 1.0, "the script"))


def test_the_deadline_cuts_a_script_that_never_stops_talking(guest: SshGuest) -> None:
    deadline = Deadline.after(SystemClock(), 2.0, "the script")
    with pytest.raises(BuildTimeoutError):
        guest.run(PLAIN, b"#!/bin/sh\nexec timeout 30 yes\n", lambda line, stream: None, deadline)
    assert deadline.clock.monotonic() - deadline.at < 5.0


def test_a_cancelled_build_stops_listening(guest: SshGuest) -> None:
    deadline = soon()
    threading.Timer(0.5, deadline.stop.set).start()
    with pytest.raises(CancelledError):
        run(guest, "#!/bin/sh\nsleep 60\n", deadline)


# --- the end ---


def test_the_guest_powers_itself_off_when_its_connection_has_ended_and_not_before(
    server: Server, tmp_path: Path
) -> None:
    """`systemctl` is a stand-in that tells when it was called."""
    told, off = tmp_path / "told", tmp_path / "systemctl"
    os.mkfifo(told)
    off.write_text(f'#!/bin/sh\necho "$*" > {told}\n')
    off.chmod(0o755)
    last = Path(deprovision.__file__).with_name("linux") / "last.sh"
    listening = select.poll()
    with told.open("r+b", buffering=0) as calls, connected(server.login) as guest:
        listening.register(calls, select.POLLIN)
        script = f"#!/bin/sh\nPATH={tmp_path}:$PATH\npower_off=quick\n{last.read_text()}"
        assert run(guest, script)[0] == 0
        assert listening.poll(1500) == []
        assert guest.ask("echo alive", soon()) == (0, "alive")
        guest.close()
        assert listening.poll(30_000)
        assert calls.read(100) == b"--force poweroff\n"


# --- upload ---


def test_an_upload_has_its_bytes_and_its_mode(guest: SshGuest, tmp_path: Path) -> None:
    content = bytes(range(256)) * 40_000
    (tmp_path / "source").write_bytes(content)
    guest.upload(tmp_path / "source", str(tmp_path / "a file; $(false)"), 0o640, soon())
    written = tmp_path / "a file; $(false)"
    assert written.read_bytes() == content
    assert written.stat().st_mode & 0o777 == 0o640


def test_a_long_upload_tells_how_far_it_is_and_a_short_one_does_not(server: Server, tmp_path: Path) -> None:
    told: list[Event] = []
    with connected(server.login, emit=told.append) as guest:
        guest.upload(bytes(STRIDE - 1), str(tmp_path / "short"), 0o644, soon())
        guest.upload(bytes(2 * STRIDE + 1), str(tmp_path / "long"), 0o644, soon())
    total, name = 2 * STRIDE + 1, str(tmp_path / "long")
    assert told == [Progress(name, done, total) for done in (STRIDE, 2 * STRIDE, total)]


def test_an_empty_upload_makes_an_empty_file(guest: SshGuest, tmp_path: Path) -> None:
    guest.upload(b"", str(tmp_path / "empty"), 0o644, soon())
    assert (tmp_path / "empty").read_bytes() == b""


@pytest.mark.parametrize("size", [10, 20_000_000])
def test_an_upload_that_is_refused_says_what_the_guest_said(tmp_path: Path, size: int) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o555)
    unprivileged = (
        ('ForceCommand exec setpriv --reuid=65534 --regid=65534 --clear-groups sh -c "$SSH_ORIGINAL_COMMAND"',)
        if os.getuid() == 0
        else ()
    )
    with served(tmp_path / "sshd", *unprivileged) as server, connected(server.login) as guest:
        with pytest.raises(PlatformError, match=r"closed/file could not be written on the guest: .*denied") as caught:
            guest.upload(bytes(size), str(closed / "file"), 0o644, soon())
        assert "upload to /tmp" in caught.value.hint


def test_a_file_that_cannot_be_read_is_not_the_fault_of_the_connection(guest: SshGuest, tmp_path: Path) -> None:
    with pytest.raises(FetchError, match="gone could not be read: No such file"):
        guest.upload(tmp_path / "gone", str(tmp_path / "file"), 0o644, soon())
    assert not (tmp_path / "file").exists()
    assert guest.ask("echo there", soon()) == (0, "there")


def test_an_upload_into_a_directory_that_is_not_there(guest: SshGuest, tmp_path: Path) -> None:
    with pytest.raises(PlatformError, match="No such file or directory"):
        guest.upload(b"x", str(tmp_path / "missing" / "file"), 0o644, soon())


def test_an_upload_that_hangs_is_left_at_once_when_the_build_is_cancelled(guest: SshGuest, tmp_path: Path) -> None:
    """Nobody reads the other end of a pipe: the guest's command neither takes the bytes nor ends."""
    os.mkfifo(tmp_path / "pipe")
    deadline = soon()
    threading.Timer(0.5, deadline.stop.set).start()
    with pytest.raises(CancelledError):
        guest.upload(b"x", str(tmp_path / "pipe"), 0o644, deadline)
    assert deadline.remaining() > 50.0
    os.close(os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK))  # lets the command end


def test_a_guest_that_answers_without_end_does_not_fill_our_memory(guest: SshGuest) -> None:
    code, said = guest.ask("yes | head -n 100000", soon())
    assert code == 0
    assert len(said) < 10_000


# --- the connection ---


def test_another_host_key_is_refused_at_once_and_nothing_is_sent(tmp_path: Path) -> None:
    deadline = soon()
    with served(tmp_path / "sshd") as server:
        guest = SshGuest(replace(server.login, host_key=new_key_pair("other").public), lambda: None)
        with pytest.raises(PlatformError, match="a host key that is not the machine's"):
            guest.connect(deadline)
    assert deadline.remaining() > 40.0
    assert server.said().count("Connection from") == 1
    assert USER not in server.said()


def test_a_key_that_the_guest_does_not_know(server: Server) -> None:
    guest = SshGuest(replace(server.login, private_key=new_key_pair("stranger").private), lambda: None)
    deadline = Deadline(SystemClock(), SystemClock().monotonic() + 3.0, "the guest", error=PlatformError)
    with pytest.raises(PlatformError) as caught:
        guest.connect(deadline)
    # The very last attempt may be cut off by the deadline.
    words = "the guest took too long: the last attempt said: "
    assert caught.value.message in (f"{words}Authentication failed.", f"{words}No existing session")


def test_a_server_that_comes_up_late_is_waited_for(tmp_path: Path) -> None:
    """Nothing listens at first; then something that is no SSH server; then the guest."""
    with served(tmp_path / "sshd") as server:
        late = replace(server.login, port=_free_port())
        relay = threading.Timer(0.5, _relay, (late.port, server.login.port))
        relay.start()
        with connected(late) as guest:
            assert run(guest, "#!/bin/sh\nexit 7\n")[0] == 7
    relay.join()


def test_the_machines_own_reason_ends_the_waiting() -> None:
    def alive() -> None:
        raise PlatformError("the build VM is gone: QEMU ended with signal 9")

    keys = new_key_pair("x")
    guest = SshGuest(Login("127.0.0.1", _free_port(), USER, keys.private, keys.public), alive)
    with pytest.raises(PlatformError, match="signal 9"):
        guest.connect(soon())


def test_a_connection_cut_in_mid_script_fails_and_the_next_command_connects_again(
    guest: SshGuest, tmp_path: Path
) -> None:
    heard = tmp_path / "heard"

    def hear(line: str, stream: Stream) -> None:
        heard.write_text(line)

    script = f"#!/bin/sh\necho before\nwhile [ ! -e {heard} ]; do sleep 0.05; done\n{DROP}\nsleep 60\n"
    with pytest.raises(PlatformError, match="the script disconnected unexpectedly") as caught:
        guest.run(PLAIN, script.encode(), hear, soon())
    assert "may not reboot" in caught.value.hint
    assert heard.read_text() == "before"
    assert run(guest, "#!/bin/sh\necho again\n")[1].text() == ["again"]


def test_a_connection_that_died_between_two_commands_is_made_again(guest: SshGuest) -> None:
    assert guest._connection._transport is not None
    guest._connection._transport.sock.shutdown(socket.SHUT_RDWR)
    assert guest.ask("echo here", soon()) == (0, "here")


def test_a_reboot_ends_when_the_guest_has_another_boot_id(tmp_path: Path) -> None:
    """The server shows a file as the kernel's boot id; the `reboot` changes it and cuts the connection."""
    boot = tmp_path / "boot"
    boot.write_text("one\n")
    command = f'case "$SSH_ORIGINAL_COMMAND" in *boot_id*) exec cat {boot} ;; *) eval "$SSH_ORIGINAL_COMMAND" ;; esac'
    reboot = f"echo two > {boot}; read -r _ _ _ parent _ < /proc/$$/stat; kill -9 $parent"
    with served(tmp_path / "sshd", f"ForceCommand {command}") as server, connected(server.login) as guest:
        guest.reboot(Reboot(command=reboot, check_command="test -e /"), Heard(), soon())
        again = Reboot(command=reboot.replace("two", "three"), check_command="exit 4")
        with pytest.raises(PlatformError, match="the check after the reboot ended with exit code 4"):
            guest.reboot(again, Heard(), soon())


def test_keys_are_fresh_each_time() -> None:
    keys: set[KeyPair] = {new_key_pair("x") for _ in range(3)}
    assert len({pair.private for pair in keys}) == 3


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _relay(port: int, to: int) -> None:
    """Hang up on the first caller, then carry one connection over to another port."""
    with socket.create_server(("127.0.0.1", port)) as listening:
        listening.settimeout(30)
        first, _ = listening.accept()
        first.close()
        caller, _ = listening.accept()
        with caller, socket.create_connection(("127.0.0.1", to)) as server:
            back = threading.Thread(target=_pump, args=(server, caller))
            back.start()
            _pump(caller, server)
            back.join()


def _pump(source: socket.socket, sink: socket.socket) -> None:
    try:
        while data := source.recv(65536):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)
    except OSError:
        pass

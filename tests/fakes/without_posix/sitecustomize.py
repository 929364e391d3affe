"""On PYTHONPATH of a process this takes away what Python has on Linux and not on Windows, and gives it `msvcrt`."""

import fcntl
import os
import runpy
import select
import selectors
import signal
import subprocess  # noqa: F401 - before `msvcrt` is there: it takes that for Windows
import sys
from pathlib import Path
from types import ModuleType


class Msvcrt(ModuleType):
    """Locks a byte of a file, for one holder alone."""

    LK_LOCK, LK_NBLCK = 1, 2

    def locking(self, descriptor: int, mode: int, length: int) -> None:
        assert mode in (self.LK_LOCK, self.LK_NBLCK)
        assert length == 1
        assert os.lseek(descriptor, 0, os.SEEK_CUR) > os.fstat(descriptor).st_size, "the file could not be read"
        try:
            _flock(descriptor, _MODES[mode])
        except BlockingIOError as error:
            raise PermissionError(13, "Permission denied") from error


_flock = fcntl.flock
_MODES = {Msvcrt.LK_LOCK: fcntl.LOCK_EX, Msvcrt.LK_NBLCK: fcntl.LOCK_EX | fcntl.LOCK_NB}

sys.modules["msvcrt"] = Msvcrt("msvcrt")
for module in ("fcntl", "grp", "pwd", "resource", "termios", "tty"):
    sys.modules[module] = None  # type: ignore[assignment]
for place, names in {
    os: (
        "O_CLOEXEC", "chown", "fchmod", "fchown", "fork", "geteuid", "getpgid", "getuid", "killpg", "mkfifo",
        "pread", "pwrite", "sched_getaffinity", "sendfile", "setsid", "statvfs", "sysconf", "uname",
        "SEEK_DATA", "SEEK_HOLE",
    ),
    select: ("poll", "epoll"),
    selectors: ("PollSelector", "EpollSelector"),
    signal: ("SIGHUP", "SIGKILL", "SIGUSR1", "SIGUSR2", "SIGCHLD", "SIGPIPE", "SIGALRM", "alarm", "pthread_sigmask"),
}.items():  # fmt: skip
    for name in names:
        delattr(place, name)
selectors.DefaultSelector = selectors.SelectSelector  # type: ignore[misc]

runpy.run_path(str(Path(__file__).parents[1] / "local_is_memory" / "sitecustomize.py"))

"""Azurite, Microsoft's blob emulator: installed once into a cache folder, one process for all simulators."""

from __future__ import annotations

import atexit
import base64
import fcntl
import os
import shutil
import socket
import subprocess
import tempfile
import threading
from functools import lru_cache
from pathlib import Path

from armsim.certificates import certificates

VERSION = "3.37.0"
HERE = Path(__file__).parent


class CannotRunError(RuntimeError):
    """Azurite cannot be had here; the message says why."""


def installed() -> Path:
    """The blob service's entry script; installs it with npm the first time, one process for all that want it."""
    cache = Path(os.environ.get("IMAGEWRIGHT_TEST_CACHE", Path.home() / ".cache" / "imagewright-tests"))
    home = cache / f"azurite-{VERSION}"
    script = home / "node_modules/azurite/dist/src/blob/main.js"
    npm_install(f"azurite@{VERSION}", home)
    return script


def npm_install(package: str, home: Path) -> None:
    """Install a package into a folder of its own: whole or not at all, by one process for all that want it."""
    home.parent.mkdir(parents=True, exist_ok=True)
    with home.with_name(f"{home.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if (home / "node_modules" / package.partition("@")[0]).is_dir():
            return
        if shutil.which("npm") is None:
            raise CannotRunError(f"{package} needs npm")
        draft = home.with_name(f"{home.name}.draft")
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir()
        command = ["npm", "install", "--prefix", str(draft), package, "--no-audit", "--no-fund", "--silent"]
        done = subprocess.run(command, capture_output=True, check=False, timeout=600)
        if done.returncode != 0:
            raise CannotRunError(f"npm install {package}: {done.stderr.decode(errors='replace')[-500:]}")
        draft.rename(home)


class Azurite:
    """A running blob service at `https://127.0.0.1:<port>/<account>`, in memory."""

    def __init__(self) -> None:
        script = installed()
        self._folder = Path(tempfile.mkdtemp(prefix="armsim-azurite-"))
        self._accounts: dict[str, bytes] = {"devstoreaccount1": os.urandom(64)}
        self._file = self._folder / "accounts"
        self._lock = threading.Lock()
        self._write()
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port: int = free.getsockname()[1]
        pem = certificates()
        command = [
            "setpriv",
            "--pdeathsig",
            "KILL",
            "node",
            "--require",
            str(HERE / "azurite_accounts.cjs"),
            str(script),
            "--blobHost",
            "127.0.0.1",
            "--blobPort",
            str(self.port),
            "--inMemoryPersistence",
            "--skipApiVersionCheck",
            "--disableTelemetry",
            "--silent",
            "--oauth",
            "basic",
            "--cert",
            str(pem.chain),
            "--key",
            str(pem.key),
        ]
        environment = os.environ | {
            "ARMSIM_ACCOUNTS_FILE": str(self._file),
            "AZURITE_ACCOUNTS": self._file.read_text().strip(),
            "NODE_EXTRA_CA_CERTS": str(pem.authority),  # it asks the source of a copy whether the copy is allowed
        }
        self._process = self._spawn(command, environment)
        self._await()
        atexit.register(self.close)

    def add(self, account: str) -> bytes:
        """Make an account known; its shared key."""
        with self._lock:
            key = self._accounts.setdefault(account, os.urandom(64))
            self._write()
            return key

    def close(self) -> None:
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait(timeout=10)
        shutil.rmtree(self._folder, ignore_errors=True)

    def _spawn(self, command: list[str], environment: dict[str, str]) -> subprocess.Popen[bytes]:
        """From a thread that lives as long as the process: the parent-death signal follows threads."""
        spawned: list[subprocess.Popen[bytes]] = []
        ready = threading.Event()

        def keep() -> None:
            with (self._folder / "log").open("wb") as log:
                spawned.append(
                    subprocess.Popen(
                        command, cwd=self._folder, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log
                    )
                )
            ready.set()
            spawned[0].wait()

        threading.Thread(target=keep, name="armsim-azurite", daemon=True).start()
        ready.wait()
        return spawned[0]

    def _write(self) -> None:
        text = ";".join(f"{name}:{base64.b64encode(key).decode()}" for name, key in self._accounts.items())
        fresh = self._file.with_suffix(".new")
        fresh.write_text(text)
        fresh.replace(self._file)

    def _await(self) -> None:
        pause = threading.Event()
        for _ in range(1200):
            if self._process.poll() is not None:
                raise CannotRunError(f"Azurite ended: {(self._folder / 'log').read_text(errors='replace')[-1000:]}")
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
            except OSError:
                pause.wait(0.05)
            else:
                return
        raise CannotRunError("Azurite did not start")


@lru_cache(maxsize=1)
def shared() -> Azurite:
    return Azurite()

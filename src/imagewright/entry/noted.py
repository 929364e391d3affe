"""The builds that this job has started, in the job's temporary directory: the clean-up after the job reads it.

A build is noted before anything is created, and forgotten when it has nothing left or was meant to keep something.
"""

from __future__ import annotations

from pathlib import Path

from imagewright.core.events import BuildFinished, BuildStarted, Event


class Noted:
    """An `Emit` that keeps the list. `home` is where the builds' directories are."""

    def __init__(self, file: Path, home: Path) -> None:
        self._file = file
        self._home = home

    def __call__(self, event: Event) -> None:
        match event:
            case BuildStarted():
                self._write([*self.ledgers(), self._home / "builds" / event.build_id / "ledger.jsonl"])
            case BuildFinished() if not event.result.left_behind:
                self._write([each for each in self.ledgers() if each.parent.name != event.result.build_id])

    def ledgers(self) -> list[Path]:
        """The ledgers of the builds that may have left something."""
        if not self._file.exists():
            return []
        return [Path(line) for line in self._file.read_text("utf-8").splitlines() if line]

    def _write(self, ledgers: list[Path]) -> None:
        self._file.parent.mkdir(parents=True, exist_ok=True)
        self._file.write_text("".join(f"{ledger}\n" for ledger in ledgers), encoding="utf-8")

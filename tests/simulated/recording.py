"""A pytest plugin: the traffic of all simulated tests of a run is recorded, and held to Azure's documents at its end.

Whether it is depends on the tests that ran: those of test_azure_conformance.py ask for it. Each process records into
a file of its own; the one that started the others looks at all of them.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

import pytest

FOLDER, RECORD = "IMAGEWRIGHT_RECORD_FOLDER", "IMAGEWRIGHT_RECORD_HTTP"
ASKED = "asked"


def pytest_configure(config: pytest.Config) -> None:
    import oav

    if os.environ.get(RECORD) and not os.environ.get(FOLDER):
        return  # somebody wants the traffic for himself
    if not hasattr(config, "workerinput"):
        if oav.lacking():
            return
        os.environ[FOLDER] = tempfile.mkdtemp(prefix="imagewright-traffic-")
    if folder := os.environ.get(FOLDER):
        os.environ[RECORD] = str(Path(folder) / f"traffic-{os.getpid()}.jsonl")


def ask() -> None:
    """Let the traffic of this run be checked at its end."""
    if folder := os.environ.get(FOLDER):
        (Path(folder) / ASKED).touch()


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    if hasattr(session.config, "workerinput") or not (folder := os.environ.pop(FOLDER, "")):
        return
    os.environ.pop(RECORD, None)
    try:
        if (Path(folder) / ASKED).exists():
            _check(session, Path(folder))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _check(session: pytest.Session, folder: Path) -> None:
    import oav

    record = folder / "all.jsonl"
    kinds = oav.each_kind_once(sorted(folder.glob("traffic-*.jsonl")), record)
    wrong, checked = oav.check(record)
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if reporter is not None:
        reporter.write_line(f"\nconformance: {checked} of {kinds} kinds of exchanges checked: {wrong or 'clean'}")
    if wrong:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED

from __future__ import annotations

import os
import select
import subprocess
import sys
from pathlib import Path

import pytest

from imagewright.core.locks import held

HOLD = """
import sys
from pathlib import Path
from imagewright.core.locks import held
with held(Path(sys.argv[1]), shared="shared" in sys.argv, wait="wait" in sys.argv) as had:
    print(had, flush=True)
    sys.stdin.read()
"""
FAKES = Path(__file__).parents[2] / "fakes"


def holder(lock: Path, *arguments: str, **environment: str) -> subprocess.Popen[bytes]:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(lock), *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, **environment},
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"True\n"
    return process


@pytest.mark.parametrize("without", ["", "without_posix"])
def test_one_holds_it_until_he_dies(tmp_path: Path, without: str) -> None:
    lock = tmp_path / "lock"
    paths = f"{FAKES / without}{os.pathsep}{FAKES}"
    with holder(lock, PYTHONPATH=paths) as process:
        with held(lock) as had:
            assert had is False
        process.kill()
        process.wait()
        with held(lock) as had:
            assert had is True


def test_those_who_share_it_keep_out_who_wants_it_alone(tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    with holder(lock, "shared") as process:
        with held(lock, shared=True) as had:
            assert had is True
        with held(lock) as had:
            assert had is False
        process.kill()


def test_a_lock_in_a_folder_that_is_gone_cannot_be_had(tmp_path: Path) -> None:
    with held(tmp_path / "gone" / "lock", wait=True) as had:
        assert had is False


def test_who_waits_has_it_when_the_other_one_is_dead(tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    with holder(lock) as first:
        command = [sys.executable, "-c", HOLD, str(lock), "wait"]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as second:
            assert second.stdout is not None
            assert select.select([second.stdout], [], [], 0.5)[0] == []
            first.kill()
            assert second.stdout.readline() == b"True\n"
            second.kill()

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from imagewright.core.errors import OptionsError
from imagewright.core.locks import held
from imagewright.core.ownership import Owned
from imagewright.engine import build_directory
from imagewright.engine.build_directory import (
    BuildDirectory,
    all_of,
    borrowed,
    clear_staging,
    forget,
    occupied,
    of_others,
)
from imagewright.engine.ledger import Ledger

HOLD = """
import sys
from pathlib import Path
from imagewright.engine.build_directory import occupied
with occupied(Path(sys.argv[1]), "other"):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_build_has_a_directory_of_its_own_which_others_may_not_read(tmp_path: Path) -> None:
    with occupied(tmp_path, "one") as place:
        assert place.path.stat().st_mode & 0o777 == 0o700
        assert all_of(tmp_path) == (place,)


def test_the_staging_goes_with_the_build_and_the_log_stays(tmp_path: Path) -> None:
    with occupied(tmp_path, "one") as place:
        place.staging.mkdir()
        (place.staging / "artifact").touch()
        place.log.touch()
    assert not place.staging.exists()
    assert place.log.exists()


def test_the_staging_of_a_killed_build_goes_and_that_of_a_running_one_stays(tmp_path: Path) -> None:
    dead = BuildDirectory(tmp_path / "builds" / "dead")
    dead.staging.mkdir(parents=True)
    with occupied(tmp_path, "alive") as alive:
        alive.staging.mkdir()
        clear_staging(tmp_path)
        assert not dead.staging.exists()
        assert alive.staging.exists()


def test_what_builds_nothing_leaves_nothing(tmp_path: Path) -> None:
    with borrowed(tmp_path, "plan") as place:
        place.log.touch()
    assert all_of(tmp_path) == ()


def test_a_home_that_cannot_be_made_is_said_so(tmp_path: Path) -> None:
    (tmp_path / "builds").touch()
    with pytest.raises(OptionsError, match="cannot be made"), occupied(tmp_path, "one"):
        pass


def test_a_directory_is_locked_as_long_as_its_process_lives_however_it_dies(tmp_path: Path) -> None:
    command = [sys.executable, "-c", HOLD, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        place = BuildDirectory(tmp_path / "builds" / "other")
        with held(place.lock) as free:
            assert free is False
        process.kill()
        process.wait()
        with held(place.lock) as free:
            assert free is True


def test_only_the_newest_builds_keep_their_log(tmp_path: Path) -> None:
    for number in range(4):
        with occupied(tmp_path, f"b{number}") as place:
            os.utime(place.lock, (number, number))
    forget(tmp_path, remembered=2)
    assert [place.build_id for place in all_of(tmp_path)] == ["b2", "b3"]


def test_a_build_that_owes_something_is_never_forgotten(tmp_path: Path) -> None:
    with occupied(tmp_path, "owes") as place:
        ledger = Ledger(place.ledger)
        ledger.own(Owned("local", "process", "one"))
        ledger.close()
    forget(tmp_path, remembered=0)
    assert [place.build_id for place in all_of(tmp_path)] == ["owes"]


def test_a_build_that_runs_is_never_forgotten(tmp_path: Path) -> None:
    with occupied(tmp_path, "runs"):
        forget(tmp_path, remembered=0)
        assert [place.build_id for place in all_of(tmp_path)] == ["runs"]


def test_a_lock_that_a_clean_up_holds_for_a_moment_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def taken_by_another_first(path: Path, **how: bool) -> AbstractContextManager[bool]:
        other = ExitStack()
        assert other.enter_context(held(path)) is True
        threading.Timer(0.1, other.close).start()
        return held(path, **how)

    monkeypatch.setattr(build_directory, "held", taken_by_another_first)
    with occupied(tmp_path, "one") as place, held(place.lock) as free:
        assert free is False


@pytest.fixture
def somebody_elses() -> Iterator[Path]:
    """A home in which another user started a build, and this process may do what any user may."""
    with TemporaryDirectory() as folder:
        home, user = Path(folder), os.geteuid()
        home.chmod(0o755)
        with occupied(home, "mine"), occupied(home, "theirs") as theirs:
            theirs.path.chmod(0 if user else 0o700)
            try:
                if user == 0:
                    os.chown(home / "builds" / "mine", 65534, -1)
                    os.chown(home / "builds" / "mine" / "lock", 65534, -1)
                    os.seteuid(65534)
                yield home
            finally:
                os.seteuid(user)
                theirs.path.chmod(0o700)


def test_the_build_of_another_user_is_left_alone(somebody_elses: Path) -> None:
    assert [place.build_id for place in all_of(somebody_elses)] == ["mine"]
    assert [path.name for path in of_others(somebody_elses)] == ["theirs"]
    clear_staging(somebody_elses)
    forget(somebody_elses, remembered=0)


def test_a_build_that_another_process_removes_meanwhile_is_no_error(tmp_path: Path) -> None:
    with occupied(tmp_path, "one") as place:
        pass
    shutil.rmtree(place.path)
    assert place.started() < datetime.now(UTC)
    with held(place.lock) as free:
        assert free is False
    assert not place.path.exists()

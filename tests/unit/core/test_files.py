from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from imagewright.core.errors import CancelledError
from imagewright.core.files import CHUNK, digest_of, write_whole


def test_a_file_is_replaced_whole_and_has_its_mode(tmp_path: Path) -> None:
    path = tmp_path / "one.json"
    path.write_text("former")
    os.link(path, tmp_path / "reader")
    write_whole(path, "é\n", 0o600)
    assert path.read_bytes() == "é\n".encode()
    assert path.stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "reader").read_text() == "former"


def test_what_cannot_be_written_leaves_what_was_there_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "one.json"
    path.write_text("former")
    with pytest.raises(UnicodeEncodeError):
        write_whole(path, "\udc80")
    assert [(each.name, each.read_text()) for each in tmp_path.iterdir()] == [("one.json", "former")]


@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
def test_a_digest_is_that_of_the_whole_file(tmp_path: Path, algorithm: str) -> None:
    content = os.urandom(1000) + bytes(CHUNK)
    (tmp_path / "file").write_bytes(content)
    assert digest_of(tmp_path / "file", lambda: None, algorithm) == hashlib.new(algorithm, content).hexdigest()


def test_a_digest_can_be_cancelled(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x")

    def cancel() -> None:
        raise CancelledError("the build was cancelled")

    with pytest.raises(CancelledError):
        digest_of(tmp_path / "file", cancel)

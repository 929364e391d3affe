"""Files, encodings, and which parser reads what."""

from __future__ import annotations

from pathlib import Path

import pytest

from imagewright.template import read


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_encodings(encoding: str) -> None:
    document = read("t.json", '{"a": "é"}'.encode(encoding))

    assert document.data == {"a": "é"}
    assert document.origin("/a").column == 7


@pytest.mark.parametrize(
    ("path", "text", "data"),
    [
        ("-", b'{"a": 1}', {"a": 1}),
        ("-", b"// c\n[1]", [1]),
        ("-", b"a: 1", {"a": 1}),
        ("t.yml", b'{"a": 1}', {"a": 1}),
        ("t.jsonc", b'{"a": 1,}', {"a": 1}),
    ],
)
def test_json_or_yaml(path: str, text: bytes, data: object) -> None:
    assert read(path, text).data == data


def test_a_file_that_cannot_be_read_is_a_diagnostic(tmp_path: Path) -> None:
    (missing,) = read(str(tmp_path / "none.json")).diagnostics
    (directory,) = read(str(tmp_path)).diagnostics
    (odd,) = read("\0").diagnostics

    assert missing.code == directory.code == odd.code == "cannot-read"
    assert "no such file" in missing.message


def test_a_huge_file_is_not_even_parsed() -> None:
    assert read("t.json", b" " * (5 << 20)).diagnostics[0].code == "file-too-large"


def test_the_origin_of_what_is_not_there_is_that_of_its_parent() -> None:
    document = read("t.json", b'{"a": {\n  "b": 1}}')

    assert document.origin("/a/c/d").line == 1
    assert document.origin("/a/b", key=True).column == 3


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-16", "utf-8-sig"])
def test_the_encodings_of_editors_are_read(encoding: str) -> None:
    assert read("t.json", '{"a": "é"}'.encode(encoding)).data == {"a": "é"}


@pytest.mark.parametrize("word", ["NaN", "Infinity", "-Infinity"])
def test_what_is_no_number_is_told_as_that(word: str) -> None:
    (found,) = read("t.json", f'{{"a": {word}}}'.encode()).diagnostics

    assert (found.message, found.hint, found.origin.pointer) == (f"JSON does not know {word}", "write a number", "/a")

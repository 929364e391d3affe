from __future__ import annotations

import codecs
from collections.abc import Callable
from pathlib import Path

import pytest

from imagewright.core.errors import Diagnostic, Severity
from imagewright.core.origin import Origin
from imagewright.core.secret import Mask, Secret
from imagewright.render.excerpt import WIDTH, Excerpts
from imagewright.render.paint import Paint


def place(content: str | bytes, **where: object) -> list[str]:
    excerpts = Excerpts()
    excerpts.remember("-", content if isinstance(content, bytes) else content.encode())
    return excerpts.place(Origin("-", **where))  # type: ignore[arg-type]


def test_the_marker_stands_under_the_place() -> None:
    assert place('{\n  "a": 1,\n  "b": 2\n}\n', line=3, column=8, pointer="/b", length=1) == [
        "  --> -:3:8  /b",
        "  |",
        "1 | {",
        '2 |   "a": 1,',
        '3 |   "b": 2',
        "  |        ^",
        "4 | }",
    ]


def test_a_tab_is_four_columns_wide() -> None:
    lines = place('\t\t"x": 1', line=1, column=3, length=3)
    assert lines[2:] == ['1 |         "x": 1', "  |         ^^^"]


def test_line_numbers_are_aligned() -> None:
    lines = place("\n".join(f"line {number}" for number in range(1, 12)), line=10, column=1, length=4)
    assert lines[2:] == [" 8 | line 8", " 9 | line 9", "10 | line 10", "   | ^^^^", "11 | line 11"]


def test_a_long_line_is_cut_to_what_is_around_the_place() -> None:
    text = "a" * 500 + "HERE" + "b" * 500
    lines = place(text, line=1, column=501, length=4)
    shown, marker = lines[2].removeprefix("1 | "), lines[3].removeprefix("  | ")
    assert len(shown) == WIDTH + 2
    assert shown.startswith("…")
    assert shown.endswith("…")
    assert shown[marker.index("^") : marker.rindex("^") + 1] == "HERE"


@pytest.mark.parametrize("mask", [str, lambda text: text.replace("0000", "zero", 1)])
@pytest.mark.parametrize("column", [1, 50, 111, 219, 3001, 5997])
def test_the_marker_of_a_long_line_is_right_everywhere(column: int, mask: Callable[[str], str]) -> None:
    text = "".join(f"{number:04}" for number in range(1, 1501))
    excerpts = Excerpts(mask=mask)
    excerpts.remember("-", f"{text}\n".encode())
    lines = excerpts.place(Origin("-", 1, column, length=4))
    shown, marker = lines[2].removeprefix("1 | "), lines[3].removeprefix("  | ")
    assert shown[marker.index("^") : marker.rindex("^") + 1] == text[column - 1 : column + 3]
    assert (shown[0] == "…", shown[-1] == "…") == (column > 38, column < 5900)


def test_the_end_of_a_long_line_is_shown_as_that() -> None:
    lines = place("a" * 508, line=1, column=509)
    assert lines[2] == f"1 | …{'a' * WIDTH}"


def test_a_place_outside_the_file_is_only_named() -> None:
    assert place("one line", line=7, column=1) == ["  --> -:7:1"]
    assert place("one line") == ["  --> -"]
    assert Excerpts().place(Origin("/no/such/file", 1, 1)) == ["  --> /no/such/file:1:1"]


def test_only_lf_and_crlf_end_a_line() -> None:
    assert place("a\r\nb\x0bc\u2028d\r\ne", line=3, column=1)[-2:] == ["3 | e", "  | ^"]


def test_a_file_may_have_a_byte_order_mark(tmp_path: Path) -> None:
    file = tmp_path / "t.json"
    for content in (codecs.BOM_UTF8 + b"[1]", "[1]".encode("utf-16")):
        file.write_bytes(content)
        assert Excerpts().place(Origin(str(file), 1, 2))[2:] == ["1 | [1]", "  |  ^"]


def test_a_diagnostic_is_told_whole_and_in_words() -> None:
    excerpts = Excerpts(mask=lambda text: text.replace("hunter2", "***"))
    excerpts.remember("-", b'{"password": "hunter2"}')
    found = Diagnostic(
        Severity.ERROR, "no-good", "hunter2 is no good\x1b[2J", Origin("-", 1, 14, "/password", 9), "choose"
    )
    assert excerpts.diagnostic(found) == [
        "error: *** is no good [no-good]",
        "  --> -:1:14  /password",
        "  |",
        '1 | {"password": "***"}',
        "  |              ^^^^^",
        "hint: choose",
    ]


@pytest.mark.parametrize("column", [1, 40, 105, 110, 118, 250])
def test_a_secret_is_whole_when_a_long_line_is_cut(column: int) -> None:
    excerpts = Excerpts(mask=Mask((Secret("pw", "hunter2-hunter2-hunter2"),)))
    excerpts.remember("-", (f"{'a' * 99} hunter2-hunter2-hunter2 {'b' * 200}").encode())

    assert "hunt" not in "".join(excerpts.place(Origin("-", 1, column, length=30)))


def test_logins_and_signatures_in_addresses_are_not_shown() -> None:
    text = '"scriptUri": "https://me:s3cret@h.org/a.sh?sv=1&sig=s3cret%3D", "name": "x"'
    lines = place(text, line=1, column=text.index('"name"') + 1, length=6)
    assert lines[2] == '1 | "scriptUri": "https://…@h.org/a.sh?…", "name": "x"'
    assert lines[3].index("^") == lines[2].index('"name"')


def test_lines_of_a_private_file_are_not_shown() -> None:
    excerpts = Excerpts()
    excerpts.remember("-", b"hunter2")

    assert excerpts.place(Origin("-", 1, 1, "/a", private=True)) == ["  --> -:1:1  /a"]


def test_colour_adds_nothing_but_colour() -> None:
    import re

    found = Diagnostic(Severity.WARNING, "odd", "this is odd", Origin("-", 1, 1), "do")
    painted, plain = Excerpts(Paint(enabled=True)), Excerpts()
    for each in (painted, plain):
        each.remember("-", b"x")
    assert [re.sub(r"\x1b\[[\d;]*m", "", line) for line in painted.diagnostic(found)] == plain.diagnostic(found)


def test_a_message_that_quotes_a_tool_keeps_its_lines() -> None:
    assert Excerpts().error("mke2fs failed:\n  no space\x1b[2J\n  left") == [
        "error: mke2fs failed:",
        "  no space",
        "  left",
    ]

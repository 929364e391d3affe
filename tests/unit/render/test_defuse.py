from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagewright.render.defuse import LONGEST, defuse, defuse_lines


@pytest.mark.parametrize(
    ("hostile", "shown"),
    [
        ("\x1b[1;31mred\x1b[0m", "red"),
        ("\x1b]0;new title\x07x", "x"),
        ("\x1b]8;;http://evil\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("\x1bP1$r0m\x1b\\x", "x"),
        ("\x1bcreset", "reset"),
        ("\x1b\x1b[0m[31mnested", "\\x1b[31mnested"),
        ("\x9b31mC1", "\\x9b31mC1"),
        ("a\rb\r", "a\\x0db"),
        ("a\bb\x00\x7f", "a\\x08b\\x00\\x7f"),
        ("a\tb", "a    b"),
        ("no\xa0break", "no break"),
        ("rtl \u202e soft \xad zero \u200b half \udcff", "rtl \\u202e soft \\xad zero \\u200b half \\udcff"),
        ("größe 大きさ ✓", "größe 大きさ ✓"),
        ("std::vector", "std::vector"),
        ("##vso[task.complete]", "## vso[task.complete]"),
        ("a ##VSO[x] ##[error]", "a ## VSO[x] ## [error]"),
        ("#\x1b[0m#vso[x]", "## vso[x]"),
    ],
)
def test_what_a_terminal_shows(hostile: str, shown: str) -> None:
    assert defuse(hostile) == shown


def test_a_line_without_end_is_cut() -> None:
    assert defuse("x" * (LONGEST + 5)) == "x" * LONGEST + "… (5 more characters)"


def test_no_line_of_a_message_but_the_first_is_a_command_of_githubs_runner() -> None:
    assert defuse_lines("::a::\n::stop-commands::x\n  \t::b::\r\n c::d\x1b[0m\n\x1b[0m::e::") == [
        "::a::",
        "· ::stop-commands::x",
        "·       ::b::",
        " c::d",
        "· ::e::",
    ]
    assert defuse_lines("") == [""]


@given(st.text(alphabet=st.characters() | st.sampled_from("\x1b[]#:vsoVSO\\\x07m0;P"), max_size=40))
def test_nothing_gets_through(text: str) -> None:
    shown = defuse(text)
    assert shown.isprintable()
    assert "##[" not in shown
    assert "##vso" not in shown.lower()

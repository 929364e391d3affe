from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagewright.communicators import lines
from imagewright.communicators.lines import Lines


def told(*chunks: bytes) -> list[str]:
    """The lines of a stream that comes in these pieces."""
    decoder = Lines()
    return [*(line for chunk in chunks for line in decoder.feed(chunk)), *decoder.end()]


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b"", []),
        (b"one", ["one"]),
        (b"one\n", ["one"]),
        (b"one\ntwo", ["one", "two"]),
        (b"one\r\ntwo\r\n", ["one", "two"]),
        (b"\n\n", ["", ""]),
        (b"10%\r20%\r30%\n", ["10%", "20%", "30%"]),
        (b"one\r", ["one"]),
        (b"a\r\r\nb\n", ["a", "", "b"]),
        ("käse\n".encode(), ["käse"]),
        (b"caf\xe9\n", ["caf\ufffd"]),
        (b"\xff\xfe\x00\n", ["\ufffd\ufffd\x00"]),
        (b"\x1b[31mred\x1b[0m\n", ["\x1b[31mred\x1b[0m"]),
    ],
)
def test_bytes_become_lines(raw: bytes, expected: list[str]) -> None:
    assert told(raw) == expected


def test_a_line_is_told_as_soon_as_it_ends() -> None:
    decoder = Lines()
    assert list(decoder.feed(b"one\ntw")) == ["one"]
    assert list(decoder.feed(b"o\n")) == ["two"]


def test_a_character_may_come_in_two_pieces() -> None:
    raw = "ü\n".encode()
    assert told(raw[:1], raw[1:]) == ["ü"]


PIECES = st.lists(st.sampled_from([b"\r", b"\n", b"a", b"bc", "ü".encode(), b"\xff", b"x" * 9]), max_size=30)


@given(pieces=PIECES, longest=st.sampled_from([4, 7, 1000]))
def test_any_way_to_cut_a_stream_gives_the_same_lines(pieces: list[bytes], longest: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lines, "LONGEST", longest)
        whole = told(b"".join(pieces))
        assert told(*pieces) == whole
        assert told(*(bytes([byte]) for byte in b"".join(pieces))) == whole


@given(pieces=PIECES)
def test_nothing_is_lost_but_line_ends(pieces: list[bytes]) -> None:
    raw = b"".join(pieces)
    text = raw.decode("utf-8", "replace").replace("\r", "").replace("\n", "")
    assert "".join(told(*pieces)) == text


def test_a_line_without_end_fills_no_memory() -> None:
    decoder = Lines()
    for _ in range(1000):
        for line in decoder.feed(b"x" * 10_000):
            assert len(line) <= lines.LONGEST
        assert decoder.size <= lines.LONGEST


def test_a_long_line_is_cut_between_words() -> None:
    """Half a secret would not be masked."""
    line = b"x" * (lines.LONGEST - 20) + b" " + b"hunter2-secret-hunter2-secret"
    cut = Lines()
    got = [*cut.feed(line), *cut.end()]
    assert got[-1] == "hunter2-secret-hunter2-secret"
    assert "".join(got) == line.decode()

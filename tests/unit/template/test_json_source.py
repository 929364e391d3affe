"""The JSON parser: everything that json.loads takes, what ARM takes beyond, and never an exception."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagewright.core.unknown import Unknown
from imagewright.template.json_source import parse_json
from imagewright.template.source import MAX_DEPTH, escape

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


def pointers(value: Any, here: str = "") -> list[str]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [here, *(one for key, item in inner for one in pointers(item, f"{here}/{escape(str(key))}"))]


@given(VALUES, st.sampled_from([None, 1, "\t"]), st.booleans())
def test_valid_json_is_read_as_json_loads_reads_it(value: Any, indent: Any, ascii_only: bool) -> None:
    text = json.dumps(value, indent=indent, ensure_ascii=ascii_only)
    parsed = parse_json("t.json", text)

    # A lone surrogate is the one thing that json.loads lets through and no encoding of a file can hold.
    expected = json.loads(text)
    if not any("\ud800" <= char <= "\udfff" for char in json.dumps(value, ensure_ascii=False)):
        assert parsed.data == expected
    assert parsed.diagnostics == ()
    assert set(parsed.spans) == set(pointers(parsed.data))


@given(st.text(alphabet="{}[]:,\"\\/*<>'ab01-.eE+ \n\tutrefalsn", max_size=60))
def test_no_text_raises(text: str) -> None:
    parsed = parse_json("t.json", text)

    try:
        expected = json.loads(text, strict=False)
    except ValueError:
        return
    assert parsed.data == expected
    assert not parsed.broken


@given(VALUES, st.data())
def test_no_truncated_document_raises(value: Any, data: st.DataObject) -> None:
    text = json.dumps(value, indent=1)
    parse_json("t.json", text[: data.draw(st.integers(0, len(text)))])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"a": 1, // one\n "b": 2 /* two */}', {"a": 1, "b": 2}),
        ('{"a": [1, 2,], }', {"a": [1, 2]}),
        ('{"a": "one\n  two"}', {"a": "one\n  two"}),
        ('\t{"a":\t"https://x/*y*/"}\n', {"a": "https://x/*y*/"}),
        (r'"\ud83d\ude00 \u00e9"', "😀 é"),
    ],
)
def test_what_arm_allows_beyond_json(text: str, expected: object) -> None:
    parsed = parse_json("t.json", text)

    assert parsed.data == expected
    assert parsed.diagnostics == ()


def test_places_count_characters_and_lines() -> None:
    parsed = parse_json("t.json", '{\n  "é~/": ["ab",\n    3]\n}')

    assert (parsed.keys["/é~0~1"].line, parsed.keys["/é~0~1"].column, parsed.keys["/é~0~1"].length) == (2, 3, 5)
    assert (parsed.spans["/é~0~1/0"].column, parsed.spans["/é~0~1/0"].length) == (11, 4)
    assert (parsed.spans["/é~0~1/1"].line, parsed.spans["/é~0~1/1"].column) == (3, 5)


def test_an_unquoted_placeholder_is_unknown() -> None:
    parsed = parse_json("t.json", '{"a": [<region>]}')

    assert isinstance(parsed.data, dict)
    assert isinstance(parsed.data["a"][0], Unknown)
    assert [found.code for found in parsed.diagnostics] == ["placeholder"]
    assert not parsed.broken


def test_nesting_is_bounded() -> None:
    assert not parse_json("t.json", "[" * MAX_DEPTH + "]" * MAX_DEPTH).diagnostics
    assert parse_json("t.json", "[" * 1_000_000).diagnostics[0].code == "too-deep"


def test_a_long_string_without_an_end_is_found_at_once() -> None:
    assert parse_json("t.json", '"' + "ab\\n" * 200_000).diagnostics[0].message == "this string does not end"


def test_the_last_of_duplicate_keys_counts_and_leaves_no_places_of_the_first() -> None:
    parsed = parse_json("t.json", '{"a": {"b": 1}, "a": 2}')

    assert parsed.data == {"a": 2}
    assert "/a/b" not in parsed.spans
    assert parsed.diagnostics[0].code == "duplicate-key"


def test_warnings_do_not_end_the_reading() -> None:
    repeated = ", ".join('"a": {"b": [1]}' for _ in range(50))
    parsed = parse_json("t.json", f'{{{repeated}, "c": <place>}}')

    assert [found.code for found in parsed.diagnostics] == ["duplicate-key"] * 49 + ["placeholder"]
    assert isinstance(parsed.data, dict)
    assert list(parsed.data) == ["a", "c"]
    assert not parsed.broken
    assert sorted(parsed.spans) == ["", "/a", "/a/b", "/a/b/0", "/c"]


def test_so_many_warnings_are_enough() -> None:
    repeated = ", ".join('"a": 1' for _ in range(5000))
    parsed = parse_json("t.json", f'{{{repeated}, "b": 2}}')

    assert len(parsed.diagnostics) == 500
    assert parsed.data == {"a": 1, "b": 2}


def test_errors_end_after_twenty() -> None:
    parsed = parse_json("t.json", "[" + "a," * 1000 + "]")

    assert len(parsed.diagnostics) == 20
    assert parsed.broken


@pytest.mark.parametrize(
    "text", ["<!DOCTYPE html><html>", "version https://git-lfs", "<<<<<<< HEAD\n{}", "hello", "\0{"]
)
def test_what_is_no_json_at_all_is_told_in_one_sentence(text: str) -> None:
    (found,) = parse_json("x.json", text).diagnostics
    assert (found.message, found.hint) == (
        "this is not JSON",
        "is this really a template? Its first character is a {",
    )


def test_a_long_word_is_not_quoted_whole() -> None:
    (found,) = parse_json("x.json", '{"a": ' + "9" * 6000 + "}").diagnostics
    assert len(found.message) < 100

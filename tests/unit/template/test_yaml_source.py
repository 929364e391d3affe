"""YAML gives the same data as JSON would, and nothing that JSON could not."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagewright.template.yaml_source import parse_yaml


def test_scalars_are_those_of_json() -> None:
    parsed = parse_yaml(
        "t.yaml", "a: yes\nb: 2020-02-14\nc: 012\nd: 1.5\ne: ~\nf: 'true'\ng: true\nh: 0x1f\ni: -3\nj:\n"
    )

    assert parsed.data == {
        "a": "yes",
        "b": "2020-02-14",
        "c": "012",
        "d": 1.5,
        "e": None,
        "f": "true",
        "g": True,
        "h": "0x1f",
        "i": -3,
        "j": None,
    }


def test_blocks_anchors_and_merges() -> None:
    text = "base: &base {a: 1, b: 2}\nmore:\n  <<: *base\n  b: 3\nagain: *base\nscript: |\n  one\n  two\n"
    parsed = parse_yaml("t.yaml", text)

    assert parsed.data == {
        "base": {"a": 1, "b": 2},
        "more": {"a": 1, "b": 3},
        "again": {"a": 1, "b": 2},
        "script": "one\ntwo\n",
    }
    assert parsed.spans["/more/b"].line == 4
    assert parsed.keys["/script"].line == 6


@given(st.text(alphabet="abc:-[]{}&*!|>'\"#%@` \n\t?,<~0", max_size=60))
def test_no_text_raises(text: str) -> None:
    parse_yaml("t.yaml", text)


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**9), 10**9)
    | st.text(st.characters(min_codepoint=32, max_codepoint=126)),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abc", min_size=1), inner, max_size=3),
    max_leaves=10,
)


@given(JSON)
def test_json_is_yaml(value: Any) -> None:
    assert parse_yaml("t.yaml", json.dumps(value)).data == value


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "empty-file"),
        ("a: [", "yaml-syntax"),
        ("a: !!python/object:os.system {}", "yaml-tag"),
        ("a: &a [*a]", "yaml-syntax"),
        ("[" * 500, "too-deep"),
        ("a\n---\nb", "several-documents"),
        ("? [a]\n: b", "yaml-syntax"),
        ("a: \0", "yaml-syntax"),
        ("<<: 3", "yaml-syntax"),
    ],
)
def test_what_is_refused(text: str, code: str) -> None:
    parsed = parse_yaml("t.yaml", text)

    assert [found.code for found in parsed.diagnostics] == [code]
    assert parsed.broken


def test_the_place_of_a_character_counts_characters() -> None:
    (found,) = parse_yaml("t.yaml", "ä: äöü\nö: €\x07\n").diagnostics

    assert (found.origin.line, found.origin.column) == (2, 5)


def test_words_in_capitals_are_those_of_yaml() -> None:
    assert parse_yaml("t.yaml", "a: TRUE\nb: FALSE\nc: NULL\n").data == {"a": True, "b": False, "c": None}


@pytest.mark.parametrize("breaks", ["\u2028", "\r", "\x85", "é\u2029€"])
def test_a_line_is_what_an_editor_takes_for_one(breaks: str) -> None:
    parsed = parse_yaml("t.yaml", f'a: "x{breaks}y"\nb: 1\n')

    assert (parsed.spans["/b"].line, parsed.spans["/b"].column) == (2, 4)

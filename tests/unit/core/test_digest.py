from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, IntEnum

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagewright.core.actions import Inline, Remote, Staged
from imagewright.core.digest import UnresolvedError, digest
from imagewright.core.secret import Mask, Secret

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
    lambda inner: st.tuples(inner) | st.tuples(inner, inner) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


def told_apart(value: object) -> str:
    """A text that differs for values that differ; unlike `==`, it tells 1, 1.0 and True apart."""
    if isinstance(value, dict):
        return "{" + ",".join(f"{key!r}:{told_apart(value[key])}" for key in sorted(value)) + "}"
    if isinstance(value, tuple):
        return "(" + ",".join(map(told_apart, value)) + ")"
    return repr(value)


@given(one=VALUES, other=VALUES)
def test_different_values_have_different_digests(one: object, other: object) -> None:
    assert (digest("t", one) == digest("t", other)) == (told_apart(one) == told_apart(other))


@given(texts=st.lists(st.text(max_size=3), max_size=4), others=st.lists(st.text(max_size=3), max_size=4))
def test_no_two_lists_run_together(texts: list[str], others: list[str]) -> None:
    assert (digest("t", *texts) == digest("t", *others)) == (texts == others)


class Colour(Enum):
    RED = "red"


class Level(IntEnum):
    ONE = 1


@dataclass(frozen=True)
class Point:
    x: object


@dataclass(frozen=True)
class Place:
    x: object


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (Colour.RED, "red"),
        (Level.ONE, 1),
        (Point(1), Place(1)),
        (Point(1), Point(2)),
        (Point(("a", "b")), Point("ab")),
        (Inline("a"), "a"),
        (Inline("a"), Staged("a", 1, "a")),
        ((), None),
        ({}, ()),
        (0.0, -0.0),
        ("", b""),
    ],
)
def test_types_count(one: object, other: object) -> None:
    assert digest("t", one) != digest("t", other)


def test_the_tag_counts() -> None:
    assert digest("a.v1", "x") != digest("a.v2", "x")
    assert digest("a", "b") != digest("b", "a")


def test_the_order_of_a_mapping_does_not() -> None:
    assert digest("t", {"a": 1, "b": 2}) == digest("t", {"b": 2, "a": 1})


def test_staged_content_counts_by_its_bytes_alone() -> None:
    assert digest("t", Staged("ab", 1, "name")) == digest("t", Staged("ab", 2, "other"))
    assert digest("t", Staged("ab", 1, "name")) != digest("t", Staged("cd", 1, "name"))


def test_a_secret_counts_by_name_alone() -> None:
    assert digest("t", Secret("token", "one")) == digest("t", Secret("token", "two"))
    assert digest("t", Secret("token", "one")) != digest("t", Secret("other", "one"))


def test_a_secret_within_a_text_counts_by_name_alone() -> None:
    def key(secret: Secret) -> str:
        return digest("t", Point(Inline(f"login {secret.reveal()} now")), mask=Mask((secret,)))

    assert key(Secret("token", "first value")) == key(Secret("token", "second value"))
    assert key(Secret("token", "first value")) != key(Secret("other", "first value"))


TOKEN = Secret("token", "s3'cret")
LOOKS_MASKED = ("login ${token} now", "login s3'cret now", "login s3''cret now", 'login Masked("token") now')


@pytest.mark.parametrize("wrap", [str, Inline])
def test_a_text_that_looks_like_a_masked_one_is_another_one(wrap: Callable[[str], object]) -> None:
    assert len({digest("t", wrap(text), mask=Mask((TOKEN,))) for text in LOOKS_MASKED}) == len(LOOKS_MASKED)


PIECES = st.lists(st.sampled_from(["${", "}", "token", TOKEN.reveal(), "x", "${token}"]), max_size=5).map("".join)


@given(one=PIECES, other=PIECES)
def test_no_two_texts_share_a_digest_because_of_a_mask(one: str, other: str) -> None:
    mask = Mask((TOKEN,))
    assert (digest("t", one, mask=mask) == digest("t", other, mask=mask)) == (one == other)


@pytest.mark.parametrize(
    "value", [Remote("https://h.org/a"), (1, (Remote("a"),)), {"x": Remote("a")}, Point(Remote("a"))]
)
def test_what_was_not_read_yet_refuses_wherever_it_stands(value: object) -> None:
    with pytest.raises(UnresolvedError, match="was not read yet"):
        digest("t", value)


@pytest.mark.parametrize("value", [object(), {1, 2}, digest])
def test_what_has_no_encoding_refuses(value: object) -> None:
    with pytest.raises(UnresolvedError, match="cannot be hashed"):
        digest("t", value)


def test_it_is_the_same_in_every_process() -> None:
    code = "from imagewright.core.digest import digest; print(digest('t', 'é', 1, {'a': (True, None)}))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == digest("t", "é", 1, {"a": (True, None)})

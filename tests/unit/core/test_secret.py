from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from imagewright.core.secret import Mask, Secret

PEM = "-----BEGIN KEY-----\nAAAA\nAAAABBBB\nBBBB\n-----END KEY-----\n"
MASKED_WITH = f"""
from imagewright.core.secret import Mask, Secret
mask = Mask((Secret("b", "BBBB-and-more"), Secret("key", {PEM!r}), Secret("a", "AAAABBBB")))
print(mask({PEM!r} + "AAAABBBB BBBB-and-more AAAA"))
"""


def masked_in_a_process(hash_seed: str) -> str:
    environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
    return subprocess.run(
        [sys.executable, "-c", MASKED_WITH], capture_output=True, text=True, check=True, env=environment, timeout=60
    ).stdout


def test_a_masked_text_is_the_same_in_every_process() -> None:
    assert len({masked_in_a_process(seed) for seed in ("0", "1", "2", "3")}) == 1


def test_the_order_of_the_secrets_does_not_matter() -> None:
    secrets = (Secret("long", "abcdefgh"), Secret("part", "abcd"), Secret("other", "cdefgh"), Secret("same", "abcd"))

    assert Mask(secrets)("abcdefgh abcd cdefgh") == "${long} ${part} ${other}"
    assert Mask(secrets[::-1])("abcdefgh abcd cdefgh") == "${long} ${part} ${other}"


def test_every_line_of_a_secret_is_masked() -> None:
    shown = Mask((Secret("key", PEM),))("one AAAABBBB two\n-----END KEY----- three")

    assert shown == "one ${key} two\n${key} three"


@pytest.mark.parametrize("value", ['pass"word\\x', "zwei\nZeilen", "naïve-ключ", "\u2028tab\t"])
def test_a_secret_is_masked_as_json_writes_it(value: str) -> None:
    mask = Mask((Secret("pw", value),))

    for ascii_only in (True, False):
        assert mask(json.dumps({"a": value}, ensure_ascii=ascii_only)) == '{"a": "${pw}"}'


def test_what_is_too_short_to_be_a_secret_is_left_alone() -> None:
    assert Mask((Secret("pin", "123"), Secret("pw", "longer\nabc")))("123 longer abc") == "123 ${pw} abc"

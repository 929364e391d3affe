"""`uniqueString` gives what Azure gives: these values were published from Bicep and from a real deployment."""

from __future__ import annotations

import pytest

from imagewright.template.unique import guid, unique_string

VM = (
    "/subscriptions/31e9f9a0-9fd2-4294-a0a3-0101246d9700/resourceGroups/rg-modm201-20230913120256"
    "/providers/Microsoft.Compute/virtualMachines/bobjacmodm201"
)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["test"], "rbgf3xv4ufgzg"),
        (["abc"], "cgtzqvhu4i23s"),
        (["hello", "world"], "a7wkljktk6wne"),
        (["foo", "bar", "baz"], "xzi4ioaxtmth4"),
        (["/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/my-rg"], "bmg7c6xu4tw46"),
        ([VM], "yvjxno3je5on2"),
    ],
)
def test_unique_string(words: list[str], expected: str) -> None:
    assert unique_string(words) == expected


def test_guid_is_deterministic_and_of_version_5() -> None:
    assert guid(["a", "b"]) == guid(["a", "b"]) != guid(["a", "c"])
    assert guid(["a"])[14] == "5"

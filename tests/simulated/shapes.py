"""Requests by their shape: the path without its names, so that those of two builds can be told to be alike."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from armsim.exchange import Exchange
from armsim.targets import parse


@dataclass(frozen=True, slots=True, order=True)
class Shape:
    """`PUT /subscriptions/*/resourcegroups/*/providers/microsoft.compute/disks/*`."""

    method: str
    path: str

    @property
    def pattern(self) -> str:
        """The regular expression that a fault takes for its path."""
        return "/" + re.escape(self.path.strip("/")).replace(r"\*", "[^/]+") + "/?"

    @property
    def short(self) -> str:
        """`PUT disks/*`."""
        last = self.path.rsplit("/providers/", 1)[-1].split("/")
        return f"{self.method} {'/'.join(last[1:] if '/providers/' in self.path else last[3:])}"


def shape(method: str, path: str) -> Shape:
    target = parse(path)
    words = target.path.strip("/").lower().split("/")
    at = len(words) - 1 - words[::-1].index("providers") + 2 if "providers" in words else len(words)
    before = [word if number % 2 == 0 or word == "default" else "*" for number, word in enumerate(words[:at])]
    if at < len(words):
        before[-1] = words[at - 1]
    after = [word if number % 2 == 0 or word == "default" else "*" for number, word in enumerate(words[at:])]
    return Shape(method, "/" + "/".join((*before, *after)))


def counted(requests: Iterable[Exchange]) -> Counter[Shape]:
    """How often each shape was asked, in the order of its first time."""
    return Counter(shape(each.method, each.path) for each in requests)


def blobs(requests: Iterable[tuple[str, str, int]]) -> Counter[Shape]:
    """The same for the data plane: account, container and blob have no names."""
    paths = ((method, len(path.strip("/").split("/"))) for method, path, _ in requests)
    return Counter(Shape(method, "/*" * depth) for method, depth in paths)

"""Plain data that no longer looks like the text it came from, and where each of its values was written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from imagewright.core.origin import Origin
from imagewright.template.source import Document, escape

Place = tuple[Document, str]
"""A JSON pointer in a document."""


@dataclass(frozen=True, slots=True)
class Located:
    """`places` maps JSON pointers of `data` to where the value was written; what is missing lies in its parent."""

    data: object
    places: Mapping[str, Place]

    def origin(self, pointer: str = "", *, key: bool = False) -> Origin:
        """The place of the value at `pointer`, or of its name."""
        nearest = pointer
        while nearest not in self.places and nearest:
            nearest = nearest.rpartition("/")[0]
        document, place = self.places[nearest]
        return document.origin(place, key=key and nearest == pointer)


def as_written(document: Document, data: object, pointer: str) -> Located:
    """`data`, which stands at `pointer` of `document`, unchanged."""
    places: dict[str, Place] = {}

    def visit(value: object, here: str) -> None:
        places[here] = (document, pointer + here)
        if isinstance(value, dict):
            for key, item in value.items():
                visit(item, f"{here}/{escape(key)}")
        elif isinstance(value, list):
            for index, item in enumerate(value):
                visit(item, f"{here}/{index}")

    visit(data, "")
    return Located(data, places)

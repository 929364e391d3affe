"""What tells the steps of one job apart whose images have no name of their own: their inputs, as six digits."""

from __future__ import annotations

from collections.abc import Callable

from imagewright.core.digest import digest
from imagewright.entry.inputs import Request
from imagewright.options import Provenance

NOT_OF_IMAGE = frozenset(
    {"result", "output", "home", "quiet", "verbose", "cache", "cache_size", "cache_age", "no_cache"}
)
"""Inputs that say nothing of what is built."""


def leg(request: Request, hide: Callable[[str], str]) -> str:
    """`hide` takes secrets out of a text."""
    given = ((name, value) for name, value in request.options.given if value.provenance is Provenance.INPUT)
    of_image = sorted((name, str(value.value)) for name, value in given if name not in NOT_OF_IMAGE)
    return digest("imagewright.leg.v2", hide(repr((request.pipeline.given, of_image))))[:6]

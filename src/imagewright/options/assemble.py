"""Layers of values become options, checked against each other."""

from __future__ import annotations

from typing import Any

from imagewright.core.choices import Keep
from imagewright.core.errors import OptionsError
from imagewright.options.layers import Layer, strongest
from imagewright.options.pipeline import PipelineOptions
from imagewright.options.table import PUBLISHER, Options


def assemble(*layers: Layer) -> Options:
    """The options of one call. Raises OptionsError where two of them contradict each other."""
    options = Options(**_values(*layers))
    _refuse_contradictions(options)
    return options


def assemble_pipeline(*layers: Layer) -> PipelineOptions:
    return PipelineOptions(**_values(*layers))


def _values(*layers: Layer) -> dict[str, Any]:
    given = strongest(*layers)
    return {**{name: value.value for name, value in given.items()}, "given": tuple(given.items())}


def _refuse_contradictions(options: Options) -> None:
    if options.quiet and options.verbose and _equally_strong(options, "quiet", "verbose"):
        raise OptionsError("`--quiet` and `--verbose` contradict each other", hint="give one of them")
    keeps = options.cache is not Keep.NONE and _equally_strong(options, "no_cache", "cache")
    if options.no_cache and keeps:
        raise OptionsError(
            f"`--no-cache` and `--cache {options.cache}` contradict each other",
            hint="`--no-cache` uses no checkpoint and keeps none; `--cache none` only keeps none",
        )
    if options.publish_to_azure and options.platform == PUBLISHER:
        publish, platform = (options.origin_of(each).where for each in ("publish_to_azure", "platform"))
        raise OptionsError(
            f"{publish} contradicts {platform} `{PUBLISHER}`: it builds on this machine and uploads the disk",
            hint=f"leave one of them out; a build on the platform `{PUBLISHER}` publishes there anyway",
        )


def _equally_strong(options: Options, one: str, other: str) -> bool:
    return options.origin_of(one).provenance == options.origin_of(other).provenance

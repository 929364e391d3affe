"""Inputs that cannot be meant together: each would otherwise be passed over without a word."""

from __future__ import annotations

from collections.abc import Iterator

from imagewright.core.errors import OptionsError
from imagewright.options import Options, Provenance
from imagewright.options.layers import Value
from imagewright.options.pipeline import PipelineOptions, target_type

NEEDS_TEMPLATE = ("name", "parameters", "overrides")

SAME_PLACE = {
    "ManagedImage": (("dist_resource_id", "image_id_for_distribute"),),
    "SharedImage": (("dist_resource_id", "gallery_image_id"), ("dist_location", "replication_regions")),
}
"""Two inputs for one thing, by what comes out: of another kind a form may hold leftovers."""


def contradictions(options: Options, pipeline: PipelineOptions) -> Iterator[OptionsError]:
    """An error for each."""
    if options.artifacts is not None and pipeline.artifacts_from is not None:
        yield _both(options.origin_of("artifacts").where, pipeline.where("artifacts_from"))
    if not options.templates:
        yield from _without_template(options, pipeline)


def _without_template(options: Options, pipeline: PipelineOptions) -> Iterator[OptionsError]:
    for field in NEEDS_TEMPLATE:
        given: Value = options.origin_of(field)
        if given.value and given.provenance is Provenance.INPUT:
            yield OptionsError(f"{given.where} is for a template, and there is none", hint="give `template` too")
    if pipeline.source_validation_only and not pipeline.validation_inline_script.strip():
        yield OptionsError(
            f"{pipeline.where('source_validation_only')}: there is nothing to validate with",
            hint=f"give the script, for example {pipeline.names_of('validation_inline_script')}",
        )
    for pair in SAME_PLACE.get(target_type(pipeline), ()):
        one, other = (str(getattr(pipeline, field)).strip() for field in pair)
        if one and other and one != other:
            yield _both(*(pipeline.where(field) for field in pair))


def _both(one: str, other: str) -> OptionsError:
    return OptionsError(f"{one} contradicts {other}", hint="give one of them")

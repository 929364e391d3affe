"""What is warned of before a build: inputs and options that are not used, a job or a login that ends before it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from imagewright.core.events import Level, Note
from imagewright.options import TABLE, Group, Options, Provenance

if TYPE_CHECKING:
    from imagewright.entry.inputs import Request

WHERE_ARTIFACTS_ARE = ("", "/tmp", "c:")
"""What `customizer-destination` may say without a contradiction, as azure/build-vm-image has it."""


ANYWHERE = frozenset({"subscription", "resource_group", "location"})
"""Options of Azure that make the ids of a template complete, wherever it is built."""


def not_used(request: Request) -> Iterator[Note]:
    given = request.pipeline
    for where in request.ignored:
        yield Note(f"{where} is not used: the template file says that itself", Level.WARNING)
    for name in request.strange:
        yield Note(f"`{name}` looks like an input, and there is none of that name", Level.WARNING)
    if given.customizer_destination.strip().rstrip("/\\").lower() not in WHERE_ARTIFACTS_ARE:
        yield Note(
            f"{given.where('customizer_destination')} is not used: build artifacts are in /tmp/<folder>, "
            "the script may copy them from there",
            Level.WARNING,
        )


def without_effect(options: Options) -> Iterator[Note]:
    """Who forgets the platform is told, not left with a build that stays on this machine."""
    if options.platform != "local" or options.publish_to_azure:
        return
    for row in TABLE:
        given = options.origin_of(row.field)
        explicit = given.value and given.provenance >= Provenance.INPUT
        if explicit and row.group is Group.AZURE and row.field not in ANYWHERE:
            hint = "to build in Azure, the platform is `azure`"
            yield Note(f"{given.where} has no effect on the platform `local`", Level.WARNING, hint)


def job_ends(minutes: float, limit: int | None, *, certain: bool) -> Iterator[Note]:
    """`minutes` is what the build may take."""
    if limit is None or limit >= minutes:
        return
    hint = f"give the job at least {minutes:g} minutes, or the build less by `timeout`"
    if certain:
        yield Note(f"the job ends after {limit} minutes, the build may take {minutes:g}", Level.WARNING, hint)
    else:
        what = f"a job ends after {limit} minutes unless it says otherwise; the build may take {minutes:g}"
        yield Note(what, hint=f"{hint}; tell the job's limit by `jobTimeout`")


def login_ends(minutes: float, seconds: float | None) -> Iterator[Note]:
    """`seconds` is how long the login lasts, None where it is renewed."""
    if seconds is not None and seconds < minutes * 60.0:
        what = f"the login of `az` may end after {seconds / 60:g} minutes, the build may take {minutes:g}"
        hint = "give `client-id`, `tenant-id` and the job `permissions: id-token: write`: then it is renewed"
        yield Note(what, Level.WARNING, hint)

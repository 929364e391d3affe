"""Windows images: no platform builds them yet, and a pipeline says so before anybody signs in."""

from __future__ import annotations

from imagewright import app
from imagewright.core.errors import OptionsError
from imagewright.core.plan import OsType
from imagewright.entry.additions import os_type
from imagewright.entry.inputs import Request
from imagewright.entry.made_template import os_type_of_inputs
from imagewright.options import Options


def refuse_windows(request: Request, options: Options) -> None:
    """Raises OptionsError for an image that is Windows, as far as that can be told so early."""
    if options.source_disk is None and _os_type(request, options) is OsType.WINDOWS:
        raise OptionsError(
            "this is a Windows image, and Windows images are not built yet",
            hint="keep building it with the Azure Image Builder service for now; Linux images are built here",
        )


def _os_type(request: Request, options: Options) -> OsType | None:
    if not options.templates:
        return os_type_of_inputs(request.pipeline)
    plan = app.foreseen(options)
    return os_type(plan, request) if plan else None

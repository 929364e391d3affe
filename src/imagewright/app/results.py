"""What is told of a build in the file that `--result` names, also when it ended before it began."""

from __future__ import annotations

from imagewright.core.errors import CancelledError, ImagewrightError
from imagewright.core.result import BuildResult, Failure, RunState
from imagewright.options import Options
from imagewright.render.redact import Redact


def tell_result(options: Options, result: BuildResult) -> None:
    """Write what came out to the file that the options name, if they do."""
    if options.result is not None:
        from imagewright.render.result_json import write_result

        write_result(result, options.result)


def refused(options: Options, error: BaseException, show: Redact) -> BuildResult:
    """The result of a build that ended before it began."""
    if isinstance(error, ImagewrightError):
        failure = Failure.of(error)
    else:
        failure = Failure(type(error).__name__, str(error), "this is a defect of Imagewright")
    state = RunState.CANCELED if isinstance(error, CancelledError) else RunState.FAILED
    return show.result(BuildResult("", "", options.platform, state, failure=failure))

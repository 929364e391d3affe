"""The command line: arguments in, an exit code out.

Help is printed before anything else is imported.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from imagewright.entry.overview import OVERVIEW, wants_overview
from imagewright.entry.pipe import write_lines

if TYPE_CHECKING:
    from imagewright.core.errors import ImagewrightError
    from imagewright.render.excerpt import Excerpts


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code. Bad input and our own errors never leave a traceback."""
    arguments = sys.argv[1:] if arguments is None else arguments
    if wants_overview(arguments):
        return _overview()
    from imagewright.core.clock import SystemClock
    from imagewright.core.errors import ImagewrightError
    from imagewright.entry.arguments import HelpWanted, read
    from imagewright.entry.call import Call
    from imagewright.entry.console import Console
    from imagewright.entry.crash import crashes_saved
    from imagewright.entry.signals import cancellable
    from imagewright.options import Color, Options
    from imagewright.render.excerpt import Excerpts
    from imagewright.render.redact import Redact

    console = Console.of_process()
    show = Redact()
    excerpts = Excerpts(console.paint(Color.AUTO, console.err), mask=show.text)
    try:
        with cancellable(), crashes_saved(Options().home, show.text, SystemClock()):
            try:
                command, options = read(arguments, os.environ)
            except HelpWanted as help_:
                console.data([help_.text.rstrip("\n")])
                return 0
            excerpts.paint = console.paint(options.color, console.err)
            with crashes_saved(options.home, show.text, SystemClock()):
                return Call(command, options, console, show, excerpts).run()
    except ImagewrightError as error:
        console.say(_told(error, excerpts))
        return error.exit_code


def _overview() -> int:
    if sys.stdout is None:
        return 0
    try:
        write_lines(sys.stdout, [OVERVIEW])
    except Exception as error:
        from imagewright.core.errors import ImagewrightError
        from imagewright.entry.console import Console
        from imagewright.render.excerpt import Excerpts
        from imagewright.render.paint import Paint

        if not isinstance(error, ImagewrightError):
            raise
        Console.of_process().say(_told(error, Excerpts(Paint())))
        return error.exit_code
    return 0


def _told(error: ImagewrightError, excerpts: Excerpts) -> list[str]:
    from imagewright.core.errors import TemplateError
    from imagewright.render.report_text import findings

    if isinstance(error, TemplateError):
        lines = [line for found in error.diagnostics for line in [*excerpts.diagnostic(found), ""]]
        return [*lines, f"the template cannot be built{findings(error.diagnostics)}"]
    return [*excerpts.error(error.message, error.origin), *excerpts.hint(error.hint)]

"""One command with its options: asks the app, shows what happens and what came of it."""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from imagewright import app
from imagewright.core.clock import SystemClock
from imagewright.core.errors import LeftBehindError, OptionsError, PlatformError, TemplateError
from imagewright.core.events import Diagnosed, Emit
from imagewright.core.result import RunState
from imagewright.entry.console import Console
from imagewright.options import Command, EventFormat, Options, PlanFormat, ReportFormat
from imagewright.render.detail import Detail, only
from imagewright.render.excerpt import Excerpts
from imagewright.render.redact import Redact

if TYPE_CHECKING:
    from imagewright.app import Prepare
    from imagewright.core.report import FileReport


def _standard_input() -> bytes:
    """No more than a template may be long, and a byte that says that it is longer."""
    from imagewright.template.source import MAX_BYTES

    if sys.stdin is None:
        raise OptionsError("`-`: the standard input is closed", hint="name a file, or hand the template in by a pipe")
    return sys.stdin.buffer.read(MAX_BYTES + 1)


class Call:
    def __init__(
        self, command: Command, options: Options, console: Console, show: Redact, excerpts: Excerpts
    ) -> None:
        self.command = command
        self.options = options
        self.console = console
        self.show = show
        self.excerpts = excerpts
        self.stdin = _standard_input() if "-" in options.templates else b""
        excerpts.remember("-", self.stdin)

    def run(self) -> int:
        match self.command:
            case Command.BUILD:
                return self._build()
            case Command.PLAN:
                return self._plan()
            case Command.VALIDATE:
                return self._validate()
            case Command.CLEANUP:
                return self._cleanup()
            case Command.CACHE_LIST | Command.CACHE_PRUNE:
                return self._cache()
            case Command.DOCTOR:
                return self._doctor()
            case Command.VERSION:
                return self._version()

    def _build(self) -> int:
        from imagewright.render.outcome import artifact

        with self._told(), self._prepared() as prepare:
            result = app.build(self._order(prepare), self.show)
        if self.options.events is EventFormat.TEXT and result.state is not RunState.CANCELED:
            self.console.data(artifact(output) for output in result.run_outputs)
        return app.exit_code(result)

    def _plan(self) -> int:
        if self.options.planned is PlanFormat.MATRIX:
            return self._matrix()
        with self._told(), self._prepared() as prepare:
            report = app.plan(self._order(prepare), self.show)
        from imagewright.render import plan_report

        if self.options.planned is PlanFormat.JSON:
            self._json(plan_report.as_json(report))
        else:
            self.console.data(plan_report.as_text(report))
        return 0

    def _matrix(self) -> int:
        """One leg for each image template; nothing is asked of a platform."""
        from imagewright.render import matrix

        if self.options.name:
            raise OptionsError("`--name` chooses one image template, a matrix has all of them", hint="leave one out")
        reports = self._checked()
        if not all(report.valid for report in reports):
            raise TemplateError(tuple(found for report in reports for found in report.diagnostics))
        legs = matrix.legs(reports)
        azure = os.environ.get("TF_BUILD", "").lower() == "true"
        self.console.data([json.dumps(matrix.azure(legs) if azure else matrix.github(legs))])
        return 0

    def _validate(self) -> int:
        from imagewright.render import report_json, report_text

        reports = self._checked()
        if self.options.report is ReportFormat.JSON:
            self._json(report_json.validated(reports))
        else:
            self.excerpts.paint = self.console.paint(self.options.color, self.console.out)
            self.console.data(report_text.validated(reports, self.excerpts, quiet=self.options.quiet))
        return 0 if all(report.valid for report in reports) else TemplateError.exit_code

    def _checked(self) -> tuple[FileReport, ...]:
        reports = app.validate(self.options, stdin=self.stdin)
        for report in reports:
            self.show.learn(report.mask)
        return reports

    def _cleanup(self) -> int:
        from imagewright.render.report_text import cleaned

        with self._told():
            report = app.cleanup(self.options, self.show)
        self.console.data(cleaned(report, self.console.paint(self.options.color, self.console.out)))
        return LeftBehindError.exit_code if report.left else 0

    def _cache(self) -> int:
        from imagewright.render import report_json, report_text

        listing = self.command is Command.CACHE_LIST
        with self._told():
            entries = (app.cache_list if listing else app.cache_prune)(self.options, self.show)
        if self.options.report is ReportFormat.JSON:
            self._json(report_json.kept(entries))
        else:
            self.console.data((report_text.kept if listing else report_text.pruned)(entries))
        return 0

    def _doctor(self) -> int:
        from imagewright.core.report import Verdict
        from imagewright.render import report_json, report_text

        checks = app.doctor(self.options)
        if self.options.report is ReportFormat.JSON:
            self._json(report_json.checked(checks))
        else:
            paint = self.console.paint(self.options.color, self.console.out)
            self.console.data(report_text.checked(checks, paint))
        return PlatformError.exit_code if any(check.verdict is Verdict.BAD for check in checks) else 0

    def _version(self) -> int:
        from importlib.metadata import version

        self.console.data([f"imagewright {version('imagewright')}"])
        return 0

    def _order(self, prepare: Prepare | None) -> app.Order:
        from imagewright.entry.notes import without_effect

        for note in without_effect(self.options):
            self.show(note)
        return app.Order(self.options, stdin=self.stdin, prepare=prepare)

    @contextmanager
    def _prepared(self) -> Iterator[Prepare | None]:
        """What the command line adds to a plan: the build artifacts, packed for as long as this is held."""
        if self.options.artifacts is None:
            yield None
            return
        from imagewright.entry.artifacts import bring

        given = str(self.options.artifacts)
        with tempfile.TemporaryDirectory(prefix="imagewright-") as directory:
            yield lambda plan: bring(plan, given, directory=Path(directory), tell=self.show)

    def _json(self, answer: object) -> None:
        self.console.data([json.dumps(answer, indent=2)])

    @contextmanager
    def _told(self) -> Iterator[None]:
        """While this is held, events are shown."""
        from imagewright.render.plain import Plain

        detail = Detail.chosen(quiet=self.options.quiet, verbose=self.options.verbose)
        clock = SystemClock()
        if self.options.events is EventFormat.JSONL:
            from imagewright.render.jsonl import JsonLines

            with self._shown_by(JsonLines(self.console.out, clock)):
                yield
        elif self.command is Command.BUILD and detail is not Detail.QUIET and self.console.live(self.options.color):
            from imagewright.render.terminal import Terminal

            coloured = self.excerpts.paint.enabled
            verbose = detail is Detail.VERBOSE
            with (
                Terminal(self.console.err, clock, self.excerpts, verbose=verbose, color=coloured) as terminal,
                self._shown_by(only(detail, terminal)),
            ):
                yield
        else:
            with self._shown_by(only(detail, Plain(self.console.err, clock, self.excerpts))):
                yield

    @contextmanager
    def _shown_by(self, sink: Emit) -> Iterator[None]:
        self.show.join(sink)
        try:
            yield
        except TemplateError as error:
            self._findings_as_events(error)
            raise
        finally:
            self.show.leave(sink)

    def _findings_as_events(self, error: TemplateError) -> None:
        """A program reads events; a person is told the findings at the end."""
        if self.options.events is EventFormat.JSONL:
            for found in error.diagnostics:
                self.show(Diagnosed(found))

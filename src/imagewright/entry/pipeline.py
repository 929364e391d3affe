"""One step of a pipeline: inputs in, a build, outputs out. Knows the app and a runner's port, not which runner."""

from __future__ import annotations

import io
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from imagewright import app
from imagewright.core.clock import SystemClock, fresh_name
from imagewright.core.digest import digest
from imagewright.core.errors import CancelledError, ImagewrightError, OptionsError
from imagewright.core.events import Event, Level, Note
from imagewright.core.plan import OnError, Plan
from imagewright.core.result import BuildResult, RunState
from imagewright.entry import outputs
from imagewright.entry.crash import crashes_saved
from imagewright.entry.heartbeat import Pulse, beating
from imagewright.entry.inputs import Request, read
from imagewright.entry.noted import Noted
from imagewright.entry.notes import job_ends, login_ends, not_used
from imagewright.entry.signals import cancellable
from imagewright.options import Options
from imagewright.options.choices import OnFailure, When
from imagewright.options.table import PUBLISHER
from imagewright.render.excerpt import Excerpts
from imagewright.render.pipeline import PipelineLog
from imagewright.render.redact import Redact

if TYPE_CHECKING:
    from imagewright.core.credential import SignIn
    from imagewright.engine.explain import PlanReport
    from imagewright.entry.runner import Runner
    from imagewright.entry.source_changed import Memory

NOTED = "imagewright-builds"


def main(runner: Runner, arguments: Sequence[str]) -> int:
    """`build`, or `cleanup` after it. Nothing leaves a traceback; every error is an annotation."""
    try:
        return _main(runner, arguments)
    except KeyboardInterrupt:  # before the signals are ours, or after
        return CancelledError.exit_code


def _main(runner: Runner, arguments: Sequence[str]) -> int:
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(encoding="utf-8", errors="backslashreplace", newline="\n")
    clock = SystemClock()
    show = Redact()
    log = PipelineLog(
        sys.stdout,
        clock,
        Excerpts(mask=show.text),
        runner.dialect,
        workspace=runner.workspace,
        verbose=runner.verbose,
    )
    show.join(log)
    job = Job(runner, show, log)
    cleans = list(arguments) == ["cleanup"]
    home = Path(runner.environment.get("IMAGEWRIGHT_HOME") or Options().home)
    try:
        with cancellable(), crashes_saved(home, show.text, clock):
            try:
                return job.cleanup() if cleans else job.build()
            except ExceptionGroup as group:
                problems = [each for each in group.exceptions if isinstance(each, ImagewrightError)]
        for each in problems:
            log.error(each)
        reason: ImagewrightError = OptionsError("; ".join(each.message for each in problems), hint=problems[0].hint)
    except ImagewrightError as error:
        log.error(error)
        reason = error
    if not cleans:
        job.refused(reason)
    return reason.exit_code


class Job:
    def __init__(self, runner: Runner, show: Redact, log: PipelineLog) -> None:
        self.runner = runner
        self.show = show
        self.log = log
        self.clock = SystemClock()
        self.directory = runner.temp / f"imagewright-{fresh_name(8)}"
        self.options = Options(result=self.directory / "result.json")
        self.relative_to: Path | None = None
        self.run = ""
        self.plan: Plan | None = None
        self.sign_in: SignIn | None = None
        self.told: list[Event] = []

    # --- build ---

    def build(self) -> int:
        from imagewright.entry.windows import refuse_windows

        self.directory.mkdir(parents=True, exist_ok=True)
        request = self._request()
        self.options = self._options(request)
        for note in not_used(request):
            self.show(note)
        refuse_windows(request, self.options)
        if self.reaches_azure:
            self.sign_in = self._signed_in(request)
            subscription = self.options.subscription or self.sign_in.subscription
            self.options = replace(self.options, subscription=subscription)
        if not self.options.templates:
            self.options = replace(self.options, templates=(self._made(request),))
        order = self._order(request, self._artifacts(request))
        if request.pipeline.dry_run:
            return self._planned(order)
        memory = None
        if request.pipeline.when is When.SOURCE_CHANGED:
            report = app.plan(order, self.show)
            memory = self._memory(order, report)
            if memory.is_newest:
                return self._skipped(report)
        return self._built(order, memory)

    @property
    def reaches_azure(self) -> bool:
        return self.options.platform == PUBLISHER or self.options.publish_to_azure

    def _order(self, request: Request, artifacts: str) -> app.Order:
        return app.Order(
            self.options,
            directory=self.relative_to,
            prepare=lambda plan: self._prepared(plan, request, artifacts),
            sign_in=self.sign_in,
        )

    def _built(self, order: app.Order, memory: Memory | None) -> int:
        from imagewright.render.summary import build_summary

        noted = Noted(self.runner.temp / NOTED, self.options.home.absolute())
        pulse = Pulse(self.show, self.clock)
        for sink in (noted, pulse):
            self.show.join(sink)
        with beating(pulse):
            result = app.build(order, self.show)
        if memory is not None and result.state is RunState.SUCCEEDED:
            memory.remember()
        self._summary(build_summary(result, run_url=self.runner.run_url))
        values = self._outputs(result)
        if result.state is RunState.SUCCEEDED:
            self.log.command(self.runner.finished(values))
        return app.exit_code(result)

    def _planned(self, order: app.Order) -> int:
        from imagewright.render.plan_report import as_text
        from imagewright.render.summary import plan_summary

        report = app.plan(order, self.show)
        self.log.say(as_text(report))
        self._summary(plan_summary(report))
        self._not_built(RunState.PLANNED, report, str(report.source))
        return 0

    def _skipped(self, report: PlanReport) -> int:
        from imagewright.render.summary import skipped_summary

        source = f"{report.source} ({report.source.exact_version})"
        self.show(Note(f"skipped: the last image was built from {source}, which is the newest"))
        self._summary(skipped_summary(report.template, source))
        self._not_built(RunState.SKIPPED, report, source)
        return 0

    def _not_built(self, state: RunState, report: PlanReport, source: str) -> None:
        result = BuildResult("", report.template, report.platform, state, source=source)
        app.tell_result(self.options, self.show.masked(result))
        self._set(outputs.of_none(result, template=self.options.template, result_file=str(self.options.result or "")))

    def refused(self, error: ImagewrightError) -> None:
        """After an error that ended the job before there was a result."""
        result = app.refused(self.options, error, self.show)
        try:
            app.tell_result(self.options, result)
        except OptionsError as unwritable:
            if unwritable.message != error.message:
                self.log.error(unwritable)
            self._set(outputs.of_none(result))
        else:
            self._set(outputs.of_none(result, result_file=str(self.options.result or "")))

    # --- from inputs to what the app wants ---

    def _request(self) -> Request:
        inputs = self.runner.inputs()
        return read(inputs, self.runner.environment, self._place, unknown=self.runner.unknown(inputs))

    def _options(self, request: Request) -> Options:
        on_failure = {OnFailure.CLEANUP: OnError.CLEANUP, OnFailure.KEEP: OnError.ABORT}
        given, options = request.pipeline, request.options
        return replace(
            options,
            output=Path.cwd() / options.output,
            result=Path.cwd() / options.result if options.result else self.directory / "result.json",
            verbose=options.verbose or self.runner.verbose,
            on_error=on_failure[given.on_failure] if given.on_failure else options.on_error,
        )

    def _place(self, name: str, text: str) -> str:
        """A template that stands in the pipeline itself becomes a file, where its errors can point to."""
        json = text.lstrip().startswith(("{", "//", "/*"))
        file = self.directory / f"{name}.{'json' if json else 'yaml'}"
        file.write_text(text, encoding="utf-8")
        if name == "template":
            self.relative_to = Path.cwd()
        return str(file)

    def _signed_in(self, request: Request) -> SignIn:
        from imagewright.entry.credentials import Chooser

        given = request.pipeline
        return Chooser(
            self.runner.environment,
            self.clock,
            self._mask,
            given.auth,
            given.client_id.strip(),
            given.tenant_id.strip(),
            self.runner.connection(given),
            given.environment or request.options.cloud,
        ).choose()

    def _made(self, request: Request) -> str:
        from imagewright.entry.made_template import made_template

        options = self.options if self.reaches_azure else app.with_whereabouts(self.options)
        if request.options.source_disk is None and not options.location:
            raise OptionsError("there is no location", hint="give `location`, for example westeurope")
        self.run = self.runner.run
        leg = digest("imagewright.leg.v1", repr(request.pipeline.given))[:6]
        made = made_template(request.pipeline, options, f"{self.run}-{leg}")
        file = self.directory / "template.json"
        file.write_text(made.text, encoding="utf-8")
        self.log.open(f"The template made of the inputs ({file})")
        self.log.say(made.text.splitlines())
        self.log.close()
        for note in made.notes:
            self.show(Note(note, Level.WARNING))
        return str(file)

    def _artifacts(self, request: Request) -> str:
        """The folder, file or pattern of build artifacts, or `""`."""
        if request.options.artifacts is not None:
            return "" if str(request.options.artifacts) == "none" else str(request.options.artifacts)
        found, what = self.runner.artifacts(request.pipeline, self.directory)
        if found:
            self.show(Note(what))
        return found

    def _prepared(self, plan: Plan, request: Request, artifacts: str) -> Plan:
        """The plan with what the pipeline adds to it."""
        from imagewright.entry.additions import added

        for secret in plan.mask.secrets:
            self._mask(secret.reveal())
        self.plan = added(
            plan, request, artifacts, directory=self.directory, own_tags=self.runner.tags, tell=self._once
        )
        minutes = plan.timeout / 60.0
        limit, certain = self.runner.job_minutes(request.pipeline.job_timeout)
        login = self.sign_in.seconds if self.sign_in else None
        for note in (
            *job_ends(minutes, limit, certain=certain),
            *login_ends(minutes, login),
        ):
            self._once(note)
        return self.plan

    def _once(self, event: Event) -> None:
        """A plan may be prepared twice: for its source, and for its build."""
        if event not in self.told:
            self.told.append(event)
            self.show(event)

    # --- when: source-changed ---

    def _memory(self, order: app.Order, report: PlanReport) -> Memory:
        from imagewright.entry.last_built import file, known
        from imagewright.entry.source_changed import memory

        targets = self.plan.targets if self.plan else ()
        answers = app.built_from(targets, order, self.show)
        found = memory(self.options.home, report, targets, answers, self.run)
        shown = ", ".join(answer or "nothing that is known" for answer in found.answers)
        self.show(Note(f"by target, the last image was built from {shown}", Level.DEBUG))
        if found.only_here and not known(found.home, found.name):
            self.show(
                Note(
                    f"nothing but {file(found.home)} remembers what this image is built from",
                    Level.WARNING,
                    "keep that file from run to run, or every run builds; images in a gallery remember it themselves",
                )
            )
        return found

    # --- what the runner is told ---

    def _mask(self, value: str) -> None:
        self.log.command(self.runner.masks(value))

    def _outputs(self, result: BuildResult) -> dict[str, str]:
        values = outputs.of_build(
            result, self.plan, template=self.options.template, result_file=str(self.options.result)
        )
        self._set(values)
        return values

    def _set(self, values: dict[str, str]) -> None:
        self.log.command(self.runner.outputs(values))

    def _summary(self, markdown: str) -> None:
        try:
            self.log.command(self.runner.summary(markdown, self.directory))
        except OSError as error:
            self.show(Note(f"the summary could not be written: {error}", Level.WARNING))

    # --- cleanup ---

    def cleanup(self) -> int:
        from imagewright.entry.pipeline_cleanup import clean_up

        noted = Noted(self.runner.temp / NOTED, self.options.home)
        return clean_up(self.runner, noted, self.show, self.log, self.clock, self._signed_in)

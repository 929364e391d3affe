"""One step of a pipeline: inputs in, a build, outputs out. Knows the app and a runner's port, not which runner."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from imagewright import app
from imagewright.app.settings import writer
from imagewright.core.address import shown
from imagewright.core.clock import Clock, SystemClock, fresh_name
from imagewright.core.digest import digest
from imagewright.core.errors import CancelledError, ImagewrightError, OptionsError
from imagewright.core.events import Level, Note
from imagewright.core.plan import OnError
from imagewright.core.result import BuildResult, RunState
from imagewright.core.secret import Mask
from imagewright.entry import outputs
from imagewright.entry.crash import crashes_saved
from imagewright.entry.heartbeat import Pulse, beating
from imagewright.entry.inputs import Request, read
from imagewright.entry.leg import leg
from imagewright.entry.noted import Noted
from imagewright.entry.notes import not_used, without_effect
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
    from imagewright.entry.preparation import Preparation
    from imagewright.entry.runner import Runner
    from imagewright.entry.source_changed import Memory

NOTED = "imagewright-builds"
LONGEST_RUN = 70
"""Characters: with `mi-` before and six of a digest behind it, the 80 that an image's name may have."""


def main(runner: Runner, arguments: Sequence[str]) -> int:
    """`build`, or `cleanup` after it. Nothing leaves a traceback; every error is an annotation."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(encoding="utf-8", errors="backslashreplace", newline="\n")
    clock = SystemClock()
    show = Redact(job=Mask(tuple(runner.secrets)))
    log = PipelineLog(
        sys.stdout,
        clock,
        Excerpts(mask=show.text),
        runner.dialect,
        workspace=runner.workspace,
        verbose=runner.verbose,
    )
    show.join(log)
    job = Job(runner, show, log, clock, runner.temp / f"imagewright-{fresh_name(8)}")
    try:
        with cancellable():
            return _step(job, cleans=list(arguments) == ["cleanup"])
    except CancelledError as error:  # while another error was told
        log.error(error)
        return error.exit_code


def _step(job: Job, *, cleans: bool) -> int:
    home = Path(job.runner.environment.get("IMAGEWRIGHT_HOME") or Options().home)
    options = job.nothing_read
    try:
        with crashes_saved(home, job.show.text, job.clock):
            try:
                if cleans:
                    return job.cleanup()
                request = job.request()
                options = job.options(request)
                return job.build(request, options)
            except ExceptionGroup as group:
                problems = [each for each in group.exceptions if isinstance(each, ImagewrightError)]
        for each in problems:
            job.log.error(each)
        reason: ImagewrightError = OptionsError("; ".join(each.message for each in problems), hint=problems[0].hint)
    except ImagewrightError as error:
        job.log.error(error)
        reason = error
    if not cleans:
        job.refused(options, reason)
    return reason.exit_code


@dataclass(frozen=True, slots=True)
class Work:
    """What is to be built, with everything that the runner adds: the order names a template and a subscription.

    `prepare` is the order's, which knows the plan. `run` is in the names that this run made up, `""` where it made up
    none.
    """

    order: app.Order
    prepare: Preparation
    run: str


@dataclass(frozen=True, slots=True)
class Job:
    """The step on its runner. `directory` is its own, made with the first file in it."""

    runner: Runner
    show: Redact
    log: PipelineLog
    clock: Clock
    directory: Path

    # --- from inputs to what the app wants ---

    @property
    def nothing_read(self) -> Options:
        """The options before the inputs are read: where the result goes if they cannot be."""
        return Options(result=self.directory / "result.json")

    def request(self) -> Request:
        """The inputs, read. Raises an ExceptionGroup of OptionsErrors."""
        self.directory.mkdir(parents=True, exist_ok=True)
        inputs = self.runner.inputs()
        return read(inputs, self.runner.environment, self._place, unknown=self.runner.unknown(inputs))

    def options(self, request: Request) -> Options:
        """What the inputs say, with the paths and names of a command line."""
        on_failure = {OnFailure.CLEANUP: OnError.CLEANUP, OnFailure.KEEP: OnError.ABORT}
        given, options = request.pipeline, request.options
        return replace(
            options,
            output=Path.cwd() / options.output,
            result=Path.cwd() / options.result if options.result else self.nothing_read.result,
            verbose=options.verbose or self.runner.verbose,
            on_error=on_failure[given.on_failure] if given.on_failure else options.on_error,
        )

    def _work(self, request: Request, options: Options) -> Work:
        from imagewright.entry.preparation import Preparation
        from imagewright.entry.windows import refuse_windows

        refuse_windows(request, options)
        sign_in = self._signed_in(request) if writer(options) == PUBLISHER else None
        if sign_in is not None:
            options = replace(options, subscription=options.subscription or sign_in.subscription)
        run = "" if options.templates else _short(self.runner.run)
        if not options.templates:
            options = replace(options, templates=(self._made(request, options, run),))
        prepare = Preparation(
            self.runner, request, self._artifacts(request), sign_in, self.directory, self.show, self._mask
        )
        start = Path.cwd() if Path(options.template).parent == self.directory else None
        return Work(app.Order(options, directory=start, prepare=prepare, sign_in=sign_in), prepare, run)

    def _place(self, name: str, text: str) -> str:
        """A template that stands in the pipeline itself becomes a file, where its errors can point to."""
        suffix = "json" if text.lstrip().startswith(("{", "//", "/*")) else "yaml"
        file = self.directory / f"{name}.{suffix}"
        file.write_text(text, encoding="utf-8")
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

    def _made(self, request: Request, options: Options, run: str) -> str:
        """The file of the template that the inputs make."""
        from imagewright.entry.made_template import made_template

        known = options if writer(options) == PUBLISHER else app.with_whereabouts(options)
        if options.source_disk is None and not known.location:
            raise OptionsError("there is no location", hint="give `location`, for example westeurope")
        made = made_template(request.pipeline, known, f"{run}-{leg(request, self.show.text)}")
        file = self.directory / "template.json"
        file.write_text(made.text, encoding="utf-8")
        self.log.open(f"The template made of the inputs ({file})")
        self.log.say(self._without_signature(made.text, request.pipeline.vhd_uri).splitlines())
        self.log.close()
        for note in made.notes:
            self.show(Note(note, Level.WARNING))
        return str(file)

    def _without_signature(self, text: str, uri: str) -> str:
        """A target may be an address that is signed; the runner knows that only of its own secrets."""
        signature = uri.partition("?")[2]
        if not signature:
            return text
        self._mask(signature)
        return text.replace(json.dumps(uri), json.dumps(shown(uri), ensure_ascii=False))

    def _artifacts(self, request: Request) -> str:
        """The folder, file or pattern of build artifacts, or `""`."""
        if request.options.artifacts is not None:
            return "" if str(request.options.artifacts) == "none" else str(request.options.artifacts)
        found, what = self.runner.artifacts(request.pipeline, self.directory)
        if found:
            self.show(Note(what))
        return found

    # --- build ---

    def build(self, request: Request, options: Options) -> int:
        for note in (*not_used(request), *without_effect(options)):
            self.show(note)
        work = self._work(request, options)
        if request.pipeline.dry_run:
            return self._planned(work)
        memory = None
        if request.pipeline.when is When.SOURCE_CHANGED:
            report = app.plan(work.order, self.show)
            memory = self._memory(work, report)
            if memory.is_newest:
                return self._skipped(work, report)
        return self._built(work, memory)

    def _built(self, work: Work, memory: Memory | None) -> int:
        from imagewright.render.summary import build_summary

        noted = Noted(self.runner.temp / NOTED, work.order.options.home.absolute())
        pulse = Pulse(self.show, self.clock)
        for sink in (noted, pulse):
            self.show.join(sink)
        with beating(pulse):
            result = app.build(work.order, self.show)
        if memory is not None and result.state is RunState.SUCCEEDED:
            with suppress(CancelledError):
                memory.remember()
        with suppress(CancelledError):  # what was built is there, whoever wants to stop it now
            self._summary(build_summary(result, run_url=self.runner.run_url))
        values = outputs.of_build(
            result,
            work.prepare.plan,
            template=work.order.options.template,
            result_file=str(work.order.options.result),
        )
        self._set(values)
        if result.state is RunState.SUCCEEDED:
            self.log.command(self.runner.finished(values))
        return app.exit_code(result)

    def _planned(self, work: Work) -> int:
        from imagewright.render.plan_report import as_text
        from imagewright.render.summary import plan_summary

        report = app.plan(work.order, self.show)
        self.log.say(as_text(report))
        self._summary(plan_summary(report))
        self._not_built(work, RunState.PLANNED, report, str(report.source))
        return 0

    def _skipped(self, work: Work, report: PlanReport) -> int:
        from imagewright.render.summary import skipped_summary

        source = f"{report.source} ({report.source.exact_version})"
        self.show(Note(f"skipped: the last image was built from {source}, which is the newest"))
        self._summary(skipped_summary(report.template, source))
        self._not_built(work, RunState.SKIPPED, report, source)
        return 0

    def _not_built(self, work: Work, state: RunState, report: PlanReport, source: str) -> None:
        result = BuildResult("", report.template, report.platform, state, source=source)
        app.tell_result(work.order.options, self.show.masked(result))
        self._set(
            outputs.of_none(result, template=work.order.options.template, result_file=str(work.order.options.result))
        )

    def refused(self, options: Options, error: ImagewrightError) -> None:
        """After an error that ended the job before there was a result."""
        result = app.refused(options, error, self.show)
        try:
            app.tell_result(options, result)
        except OptionsError as unwritable:
            if unwritable.message != error.message:
                self.log.error(unwritable)
            self._set(outputs.of_none(result))
        else:
            self._set(outputs.of_none(result, result_file=str(options.result or "")))

    # --- when: source-changed ---

    def _memory(self, work: Work, report: PlanReport) -> Memory:
        from imagewright.entry.last_built import file, known
        from imagewright.entry.source_changed import memory

        targets = work.prepare.plan.targets if work.prepare.plan else ()
        answers = app.built_from(targets, work.order, self.show)
        found = memory(work.order.options.home, report, targets, answers, work.run)
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

    def _set(self, values: Mapping[str, str]) -> None:
        self.log.command(self.runner.outputs(values))

    def _summary(self, markdown: str) -> None:
        try:
            self.log.command(self.runner.summary(markdown, self.directory))
        except OSError as error:
            self.show(Note(f"the summary could not be written: {error}", Level.WARNING))

    # --- cleanup ---

    def cleanup(self) -> int:
        from imagewright.entry.pipeline_cleanup import clean_up

        noted = Noted(self.runner.temp / NOTED, self.nothing_read.home)
        return clean_up(self.runner, noted, self.show, self.log, self.clock, self._signed_in)


def _short(run: str) -> str:
    """The name of a run, as long as the name of an image has room for it; a job's name may be long."""
    return run if len(run) <= LONGEST_RUN else f"{run[: LONGEST_RUN - 7].rstrip('-')}-{digest(run)[:6]}"

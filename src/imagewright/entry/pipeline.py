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
from imagewright.core.errors import ImagewrightError, LeftBehindError, OptionsError
from imagewright.core.events import Event, Level, Note
from imagewright.core.plan import OnError, OsType, Plan
from imagewright.core.ports import SOURCE_TAG
from imagewright.core.result import BuildResult, RunState
from imagewright.entry import outputs
from imagewright.entry.crash import crashes_saved
from imagewright.entry.heartbeat import Pulse, beating
from imagewright.entry.inputs import Request, read
from imagewright.entry.noted import Noted
from imagewright.entry.signals import cancellable
from imagewright.options import Options
from imagewright.options.pipeline import OnFailure, When
from imagewright.render.excerpt import Excerpts
from imagewright.render.pipeline import PipelineLog
from imagewright.render.redact import Redact

if TYPE_CHECKING:
    from imagewright.core.credential import SignIn
    from imagewright.engine.explain import PlanReport
    from imagewright.entry.runner import Runner

SIGNS_IN = frozenset({"azure", "service"})
"""The platforms that need a credential."""

NOTED = "imagewright-builds"
DYING_SECONDS = 60.0
"""How long the clean-up waits for a build that was told to end: it may still be deleting."""


def main(runner: Runner, arguments: Sequence[str]) -> int:
    """`build`, or `cleanup` after it. Nothing leaves a traceback; every error is an annotation."""
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
        code = OptionsError.exit_code
    except ImagewrightError as error:
        log.error(error)
        code = error.exit_code
    if not cleans:
        job.refused()
    return code


class Job:
    def __init__(self, runner: Runner, show: Redact, log: PipelineLog) -> None:
        self.runner = runner
        self.show = show
        self.log = log
        self.clock = SystemClock()
        self.directory = runner.temp / f"imagewright-{fresh_name(8)}"
        self.options = Options()
        self.plan: Plan | None = None
        self.sign_in: SignIn | None = None
        self.source = ""
        self.told: list[Event] = []

    # --- build ---

    def build(self) -> int:
        self.directory.mkdir(parents=True, exist_ok=True)
        request = self._request()
        self.options = self._options(request)
        if self.options.platform in SIGNS_IN or self.options.publish_to_azure:
            self.sign_in = self._signed_in(request)
        if not self.options.templates:
            self.options = replace(self.options, templates=(self._made(request),))
        for where in request.ignored:
            self.show(Note(f"{where} is not used: the template file says that itself", Level.WARNING))
        artifacts = self._artifacts(request)
        if request.pipeline.dry_run:
            return self._planned(request, artifacts)
        name = ""
        if request.pipeline.when is When.SOURCE_CHANGED:
            report = self._report(request, artifacts)
            name, self.source = self._image(report), report.source.identity
            if self._is_newest(name):
                return self._skipped(report)
        return self._built(request, artifacts, name)

    def _built(self, request: Request, artifacts: str, name: str) -> int:
        from imagewright.render.summary import build_summary

        noted = Noted(self.runner.temp / NOTED, self.options.home.absolute())
        pulse = Pulse(self.show, self.clock)
        for sink in (noted, pulse):
            self.show.join(sink)
        with beating(pulse):
            result = app.build(
                self.options,
                self.show,
                prepare=lambda plan: self._prepared(plan, request, artifacts),
                sign_in=self.sign_in,
            )
        if name and result.state is RunState.SUCCEEDED:
            from imagewright.entry.last_built import remember

            remember(self.options.home, name, self.source)
        self._summary(build_summary(result, run_url=self.runner.run_url))
        values = self._outputs(result)
        if result.state is RunState.SUCCEEDED:
            self.log.command(self.runner.finished(values))
        return app.exit_code(result)

    def _planned(self, request: Request, artifacts: str) -> int:
        from imagewright.render.plan_report import as_text
        from imagewright.render.summary import plan_summary

        report = self._report(request, artifacts)
        self.log.say(as_text(report))
        self._summary(plan_summary(report))
        self._set(outputs.of_none(outputs.PLANNED, template=self.options.template, source=str(report.source)))
        return 0

    def _skipped(self, report: PlanReport) -> int:
        from imagewright.render.summary import skipped_summary

        source = f"{report.source} ({report.source.exact_version})"
        self.show(Note(f"skipped: the last image was built from {source}, which is the newest"))
        self._summary(skipped_summary(report.template, source))
        self._set(outputs.of_none(outputs.SKIPPED, template=self.options.template, source=source))
        return 0

    def refused(self) -> None:
        """After an error that ended the job before there was a result."""
        file = str(self.options.result or "")
        self._set(outputs.of_none("failed", result_file=file if file and Path(file).exists() else ""))

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
        return str(file)

    def _signed_in(self, request: Request) -> SignIn:
        from imagewright.entry.credentials import Chooser

        given = request.pipeline
        sign_in = Chooser(
            self.runner.environment,
            self.clock,
            self._mask,
            given.auth,
            given.client_id.strip(),
            given.tenant_id.strip(),
            self.runner.connection(given),
            given.environment or str(self.options.cloud or ""),
        ).choose()
        if not self.options.subscription:
            self.options = replace(self.options, subscription=sign_in.subscription)
        return sign_in

    def _made(self, request: Request) -> str:
        from imagewright.entry.made_template import made_template

        if request.options.source_disk is None and not self.options.location and self.options.platform in SIGNS_IN:
            raise OptionsError("there is no location", hint="give `location`, for example westeurope")
        run = f"{self.runner.run}-{digest('imagewright.leg.v1', repr(request.pipeline.given))[:6]}"
        text = made_template(request.pipeline, self.options, run)
        file = self.directory / "template.json"
        file.write_text(text, encoding="utf-8")
        self.log.open(f"The template made of the inputs ({file})")
        self.log.say(text.splitlines())
        self.log.close()
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
        from imagewright.entry.artifacts import bring, os_type_of, with_prelude

        for secret in plan.mask.secrets:
            self._mask(secret.reveal())
        given = request.pipeline
        told = {"windows": OsType.WINDOWS, "powershell": OsType.WINDOWS, "linux": OsType.LINUX, "shell": OsType.LINUX}
        os_type = told.get(given.source_os_type) or told.get(given.provisioner) or os_type_of(plan)
        if request.prelude.strip():
            plan = with_prelude(plan, request.prelude, os_type)
        if artifacts:
            plan = bring(
                plan,
                artifacts,
                directory=self.directory,
                tell=self._once,
                exclude=given.artifacts_exclude,
                keep=given.keep_artifacts,
                os_type=os_type,
            )
        self.plan = self._tagged(plan, request)
        self._warn_of_the_jobs_limit(plan.timeout / 60.0, given.job_timeout)
        self._warn_of_the_logins_end(plan.timeout)
        return self.plan

    def _once(self, event: Event) -> None:
        """A plan may be prepared twice: for its source, and for its build."""
        if event not in self.told:
            self.told.append(event)
            self.show(event)

    def _tagged(self, plan: Plan, request: Request) -> Plan:
        """Every target tells where its image comes from; what the template says is stronger."""
        from imagewright.entry.made_template import tags

        given = request.pipeline
        own = {**self.runner.tags, **({SOURCE_TAG: self.source} if self.source else {})}
        own |= tags(given.image_tags, given.where("image_tags"))
        targets = tuple(replace(each, tags=tuple({**own, **dict(each.tags)}.items())) for each in plan.targets)
        return replace(plan, targets=targets)

    def _warn_of_the_jobs_limit(self, minutes: float, told: int | None) -> None:
        limit, certain = self.runner.job_minutes(told)
        if limit is None or limit >= minutes:
            return
        hint = f"give the job at least {minutes:g} minutes, or the build less by `timeout`"
        if certain:
            what = f"the job ends after {limit} minutes, the build may take {minutes:g}"
            self._once(Note(what, Level.WARNING, hint))
        else:
            what = f"a job ends after {limit} minutes unless it says otherwise; the build may take {minutes:g}"
            self._once(Note(what, hint=f"{hint}; tell the job's limit by `jobTimeout`"))

    def _warn_of_the_logins_end(self, seconds: float) -> None:
        limit = self.sign_in.seconds if self.sign_in else None
        if limit is not None and limit < seconds:
            what = f"the login of `az` may end after {limit / 60:g} minutes, the build may take {seconds / 60:g}"
            hint = "give `client-id`, `tenant-id` and the job `permissions: id-token: write`: then it is renewed"
            self._once(Note(what, Level.WARNING, hint))

    # --- when: source-changed ---

    def _report(self, request: Request, artifacts: str) -> PlanReport:
        return app.plan(
            self.options,
            self.show,
            prepare=lambda plan: self._prepared(plan, request, artifacts),
            sign_in=self.sign_in,
        )

    def _image(self, report: PlanReport) -> str:
        from imagewright.entry.last_built import key

        return key(report)

    def _is_newest(self, name: str) -> bool:
        from imagewright.entry.last_built import known

        targets = self.plan.targets if self.plan else ()
        last = known(self.options.home, name) or next(
            filter(None, (app.built_from(each, self.options, self.show, sign_in=self.sign_in) for each in targets)),
            "",
        )
        self.show(Note(f"the last image was built from {last or 'nothing that is known'}", Level.DEBUG))
        return last == self.source

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
        """Finish what a cancelled or killed build of this job had no time for."""
        ledgers = Noted(self.runner.temp / NOTED, self.options.home).ledgers()
        pending = [ledger for ledger in ledgers if ledger.is_file()]
        if not pending:
            self.log.say(["nothing is left to clean up"])
            return 0
        request = read(self.runner.inputs(), self.runner.environment, lambda name, _: name, unknown=())
        self.options = request.options
        left = 0
        for ledger in pending:
            report = app.cleanup(
                replace(self.options, ledger=ledger),
                self.show,
                patience=DYING_SECONDS,
                clock=self.clock,
                sign_in=self._for_cleanup(request),
            )
            left += len(report.left) + len(report.running)
            for build in report.running:
                what = f"build {build} still runs: what it owns was not deleted"
                self.log.error(LeftBehindError(what, hint="run `imagewright cleanup` when it has ended"))
        return LeftBehindError.exit_code if left else 0

    def _for_cleanup(self, request: Request) -> SignIn | None:
        """A job that built on the runner itself has nothing to sign in with, and needs nothing."""
        from imagewright.core.errors import AuthenticationError

        try:
            return self._signed_in(request)
        except AuthenticationError:
            return None

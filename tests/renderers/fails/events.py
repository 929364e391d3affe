"""A customizer that fails and a secret in every place where one may stand."""

from imagewright.core.errors import Diagnostic, Severity
from imagewright.core.events import (
    BuildFinished,
    BuildStarted,
    Diagnosed,
    Output,
    PhaseFinished,
    PhaseStarted,
    StepFinished,
    StepKind,
    StepOutcome,
    StepStarted,
)
from imagewright.core.origin import Origin
from imagewright.core.result import BuildResult, Failure, Phase, RunState, StepReport
from imagewright.core.secret import Mask, Secret

SECRET = "hunter2hunter2"
MASK = Mask((Secret("registryPassword", SECRET),))
ORIGIN = Origin("template.json", 6, 47, "/properties/customize/0/inline", 42)
RESULT = BuildResult(
    build_id="20260301-120000-abcdef",
    template="web",
    platform="local",
    state=RunState.FAILED,
    steps=(StepReport("login", "Shell", False, 3.25),),
    failure=Failure(
        "CustomizationError",
        f"customizer 1 (Shell 'login') failed: the script ended with exit code 4, expected 0 ({SECRET})",
        "mend the script and build again: the build resumes from the step before",
        ORIGIN,
        3,
        (f"wrong password {SECRET}", "\x1b[2Jgo away"),
    ),
    kept=("machine vm-1",),
    seconds=5,
    log="/home/me/builds/20260301-120000-abcdef/log.jsonl",
)
EVENTS = [
    BuildStarted("20260301-120000-abcdef", "web", "local"),
    Diagnosed(
        Diagnostic(Severity.WARNING, "password-in-script", f"{SECRET} is a password", ORIGIN, "use a parameter")
    ),
    PhaseStarted(Phase.CUSTOMIZING),
    StepStarted(StepKind.CUSTOMIZER, 1, 1, "login", "Shell"),
    Output(f"wrong password {SECRET}"),
    3.25,
    StepFinished(StepKind.CUSTOMIZER, 1, 1, "login", "Shell", StepOutcome.FAILED, 3.25),
    PhaseFinished(Phase.CUSTOMIZING, 3.25),
    BuildFinished(RESULT),
]

"""Two of three targets are written, and something could not be deleted."""

from imagewright.core.events import BuildFinished, BuildStarted, Level, Note, PhaseFinished, PhaseStarted, Progress
from imagewright.core.result import BuildResult, Failure, Phase, RunOutput, RunState

GALLERY = "/subscriptions/s/resourceGroups/g/providers/Microsoft.Compute/galleries/x/images/web/versions/1.0.3"
MISSED = Failure("DistributionError", "the region mars is unknown", "choose another region", exit_code=5)
EVENTS = [
    BuildStarted("20260301-120000-abcdef", "web", "azure"),
    PhaseStarted(Phase.DISTRIBUTING),
    Progress("replicas of 1.0.3", 1, 3, "replicas"),
    61,
    Progress("replicas of 1.0.3", 2, 3, "replicas"),
    PhaseFinished(Phase.DISTRIBUTING, 61),
    Note("could not delete disk d1: it is locked", Level.WARNING, "run `imagewright cleanup` to finish it"),
    BuildFinished(
        BuildResult(
            build_id="20260301-120000-abcdef",
            template="web",
            platform="azure",
            state=RunState.PARTIALLY_SUCCEEDED,
            run_outputs=(
                RunOutput("web-sig", GALLERY, version="1.0.3", regions=("westeurope", "northeurope")),
                RunOutput("web-mi", "/subscriptions/s/resourceGroups/g/providers/Microsoft.Compute/images/web"),
            ),
            failure=Failure(
                "DistributionError", "1 of 3 targets failed: the region mars is unknown", "", exit_code=5
            ),
            target_failures=(MISSED,),
            left_behind=("disk d1",),
            seconds=3725,
        )
    ),
]

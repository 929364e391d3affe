"""What a build hands to the steps after it: each output of the table by its name. Pure."""

from __future__ import annotations

import json
import re

from imagewright.core.plan import Plan, PlatformImage
from imagewright.core.result import BuildResult, RunOutput, RunState

STATUS = {
    RunState.SUCCEEDED: "succeeded",
    RunState.PARTIALLY_SUCCEEDED: "partially-succeeded",
    RunState.CANCELED: "canceled",
    RunState.PLANNED: "planned",
    RunState.SKIPPED: "skipped",
}


def of_build(result: BuildResult, plan: Plan | None, *, template: str, result_file: str) -> dict[str, str]:
    """The outputs of a build that ran."""
    images = {output.name: image(output) for output in result.run_outputs}
    first = next(iter(images.values()), "")
    status = STATUS.get(result.state, "failed")
    return {
        "image-id": first,
        "image-ids": json.dumps(images),
        "image-path": without_subscription(first),
        "image-paths": json.dumps({name: without_subscription(each) for name, each in images.items()}),
        "version": next(filter(None, map(version, result.run_outputs)), ""),
        "source": result.source,
        "status": status,
        "skipped": "false",
        "build-id": result.build_id,
        "result": result_file,
        "log": result.log,
        "template-file": template,
        "custom-image-uri": first,
        "imagebuilder-run-status": "succeeded" if result.state is RunState.SUCCEEDED else "failed",
        "run-output-name": next(iter(images), ""),
        "image-uri": first,
        "template-name": result.template,
        **_marketplace(plan, result.source),
    }


def of_none(result: BuildResult, *, template: str = "", result_file: str = "") -> dict[str, str]:
    """The outputs where nothing was built: refused, cancelled, planned or skipped."""
    meant = result.state in (RunState.PLANNED, RunState.SKIPPED)
    return {
        "status": STATUS.get(result.state, "failed"),
        "skipped": "true" if result.state is RunState.SKIPPED else "false",
        "source": result.source,
        "result": result_file,
        "template-file": template,
        **({} if meant else {"imagebuilder-run-status": "failed"}),
    }


def image(output: RunOutput) -> str:
    return output.artifact_id or output.artifact_uri


def version(output: RunOutput) -> str:
    found = re.search(r"/versions/([^/]+)$", output.artifact_id)
    return output.version or (found.group(1) if found else "")


def without_subscription(resource_id: str) -> str:
    """`/resourceGroups/...`: what is left of an id when the runner takes the subscription for a secret."""
    return re.sub(r"^/subscriptions/[^/]+(?=/)", "", resource_id, flags=re.IGNORECASE)


def _marketplace(plan: Plan | None, source: str) -> dict[str, str]:
    if plan is None or not isinstance(plan.source, PlatformImage):
        return {}
    exact = re.search(r" \(([^()]*)\)$", source)
    return {
        "pir-publisher": plan.source.publisher,
        "pir-offer": plan.source.offer,
        "pir-sku": plan.source.sku,
        "pir-version": exact.group(1) if exact else plan.source.version,
    }

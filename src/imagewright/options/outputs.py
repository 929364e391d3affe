"""The outputs of the action and of the task: one row each, with its name in both worlds."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class OutputRow:
    """`name` is the action's (kebab-case). `former_task`: AzureImageBuilderTask@1 sets it as a plain job variable.

    `same_as`: another name of that output, as azure/build-vm-image spells it.
    """

    name: str
    help: str
    github: bool = True
    task: bool = True
    task_name: str = ""
    former_task: bool = False
    same_as: str = ""

    @property
    def declared(self) -> bool:
        """Whether `task.json` names it: the agent keeps what is named there from ever being a plain variable."""
        return self.task and not self.former_task

    @property
    def task_output(self) -> str:
        """The task's spelling (camelCase)."""
        first, *rest = self.name.split("-")
        return self.task_name or first + "".join(word.capitalize() for word in rest)


OUTPUTS: tuple[OutputRow, ...] = (
    OutputRow("image-id", "the id of the first image that came out; of a VHD its URI or path"),
    OutputRow("image-ids", "all of them: a JSON object, by run output name"),
    OutputRow(
        "image-path",
        "`image-id` without the subscription, which the runner may take for a secret: it drops masked outputs",
    ),
    OutputRow("image-paths", "`image-ids` without the subscription"),
    OutputRow("version", "the version number of the first gallery image version"),
    OutputRow("source", "the exact source the image was built from"),
    OutputRow("status", "`succeeded`, `partially-succeeded`, `failed`, `canceled`, `planned` or `skipped`"),
    OutputRow("skipped", "`true` where `when: source-changed` found nothing new"),
    OutputRow("build-id", "the id of this build"),
    OutputRow("result", "the path of the result as JSON: everything of the above, steps, times and errors"),
    OutputRow("log", "the path of the build's whole log, one JSON object a line"),
    OutputRow("template-file", "the path of the template that was built"),
    OutputRow("custom-image-uri", "as azure/build-vm-image: the id of the image", task=False),
    OutputRow("imagebuilder-run-status", "as azure/build-vm-image: `succeeded` or `failed`", task=False),
    OutputRow("run-output-name", "the name of the first run output"),
    OutputRow("image-uri", "as AzureImageBuilderTask@1: the id of the image", github=False, former_task=True),
    OutputRow("pir-publisher", "the publisher of a marketplace source", former_task=True),
    OutputRow("pir-offer", "the offer of a marketplace source", former_task=True),
    OutputRow("pir-sku", "the SKU of a marketplace source", former_task=True),
    OutputRow("pir-version", "the exact version of a marketplace source", former_task=True),
    OutputRow("template-name", "the name of the template", former_task=True),
    *(
        OutputRow(former, f"as azure/build-vm-image: the same as `{name}`", task=False, same_as=name)
        for former, name in (
            ("templateName", "template-name"),
            ("pirPublisher", "pir-publisher"),
            ("pirOffer", "pir-offer"),
            ("pirSku", "pir-sku"),
            ("pirVersion", "pir-version"),
        )
    ),
)

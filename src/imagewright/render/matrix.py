"""The legs of a matrix, in the two shapes that runners fan out over. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from imagewright.core.errors import OptionsError
from imagewright.core.report import FileReport

LONGEST = 100


@dataclass(frozen=True, slots=True)
class Leg:
    """One job: `template` is the file, `image` the template in it.

    `name` is unique and what Azure Pipelines takes: a letter, then letters, digits and `_`, LONGEST in all.
    """

    name: str
    template: str
    image: str


def legs(reports: Sequence[FileReport]) -> tuple[Leg, ...]:
    """A leg for each image template, in the order of the files. Equal names are told apart by a number.

    Raises OptionsError when one could not be chosen by its name in its file.
    """
    found: list[Leg] = []
    taken: set[str] = set()
    for report in reports:
        _check(report)
        for image in report.templates:
            wanted = re.sub(r"[^A-Za-z0-9_]+", "_", image).strip("_") or "image"
            wanted = wanted if wanted[0].isalpha() else f"image_{wanted}"
            names = (_short(wanted), *(_short(wanted, f"_{number}") for number in range(2, len(found) + 3)))
            name = next(each for each in names if each.lower() not in taken)
            taken.add(name.lower())
            found.append(Leg(name, report.file, image))
    return tuple(found)


def _check(report: FileReport) -> None:
    lower = [name.lower() for name in report.templates]
    if "" in lower:
        raise OptionsError(
            f"{report.file}: the name of an image template is not known",
            hint="give the parameters it is made of with `--set` or `--parameters`",
        )
    if double := next((name for name in report.templates if lower.count(name.lower()) > 1), ""):
        raise OptionsError(
            f"{report.file}: more than one image template is called `{double}`", hint="give each a name of its own"
        )


def _short(name: str, end: str = "") -> str:
    return name[: LONGEST - len(end)] + end


def github(found: Sequence[Leg]) -> dict[str, object]:
    """What `matrix: ${{ fromJSON(...) }}` wants."""
    return {"include": [{"name": leg.name, "template": leg.template, "image": leg.image} for leg in found]}


def azure(found: Sequence[Leg]) -> dict[str, dict[str, str]]:
    """What `matrix: $[ dependencies.JOB.outputs[...] ]` wants: the variables of each job, by its name."""
    return {leg.name: {"template": leg.template, "image": leg.image} for leg in found}

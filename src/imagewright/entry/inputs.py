"""The inputs of a pipeline to options, by the table. What is wrong with them is told all at once, before any work."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from imagewright.core.errors import OptionsError
from imagewright.entry.contradictions import contradictions
from imagewright.entry.regions import region
from imagewright.options import TABLE, Options, Provenance, Value, assemble, from_environment, from_inputs
from imagewright.options.assemble import assemble_pipeline
from imagewright.options.layers import Layer, strongest
from imagewright.options.pipeline import (
    BESIDE_TEMPLATE,
    INPUTS,
    MAKES_TEMPLATE,
    PIPELINE_TABLE,
    PipelineOptions,
)
from imagewright.options.row import Option
from imagewright.options.table import PUBLISHER

Names = Callable[[Option], tuple[str, ...]]
"""Every spelling of an option on one runner, its own first."""

Place = Callable[[str, str], str]
"""Writes the text of an inline template or parameters file; takes the option's name, returns the path."""

ARTIFACTS = next(option for option in INPUTS if option.field == "artifacts")

IN_A_PIPELINE: Layer = {"platform": Value(PUBLISHER, Provenance.DEFAULT)}
"""Nobody's word, so it gives way to what is built on the runner and published to Azure."""


@dataclass(frozen=True, slots=True)
class Inputs:
    """`texts` are the values by name, as the runner gave them; names are compared as the runners do."""

    texts: Mapping[str, str]
    names: Names

    def given(self, option: Option) -> tuple[tuple[str, str], ...]:
        """The spellings of `option` that have a value, with their values."""
        plain = {_plain(name): text for name, text in self.texts.items() if text.strip()}
        return tuple((name, plain[_plain(name)]) for name in self.names(option) if _plain(name) in plain)

    def text(self, option: Option) -> str:
        """The one value of `option`, `""` if nobody gave one. Two names that disagree are refused."""
        given = self.given(option)
        if len({text.strip() for _, text in given}) > 1:
            named = " and ".join(f"`{name}`" for name, _ in given)
            raise OptionsError(f"the inputs {named} mean the same and contradict each other", hint="give one of them")
        return given[0][1] if given else ""

    def name(self, option: Option) -> str:
        """The spelling that was used, for messages."""
        given = self.given(option)
        return given[0][0] if given else (self.names(option) or (option.name,))[0]

    def unknown(self) -> tuple[str, ...]:
        known = {_plain(name) for option in INPUTS for name in self.names(option)}
        return tuple(name for name in self.texts if _plain(name) not in known)

    def similar(self, name: str) -> str:
        """The spelling that was probably meant, or `""`."""
        known = {_plain(each): each for option in INPUTS for each in self.names(option)}
        close = difflib.get_close_matches(_plain(name), known, n=1, cutoff=0.7)
        return known[close[0]] if close else ""


def of_variables(environment: Mapping[str, str]) -> dict[str, str]:
    """The inputs that are in the environment as `INPUT_<NAME>`."""
    return {name.removeprefix("INPUT_"): text for name, text in environment.items() if name.startswith("INPUT_")}


def of_document(text: str) -> dict[str, str]:
    """The inputs as GitHub's `toJSON(inputs)` has them; nothing if it is no such document."""
    try:
        document = json.loads(text or "{}")
    except ValueError:
        return {}
    return {str(name): str(value) for name, value in document.items()} if isinstance(document, dict) else {}


@dataclass(frozen=True, slots=True)
class Request:
    """What a pipeline wants.

    `ignored` are inputs that a template file overrides, as azure/build-vm-image has it; `strange` are names that are
    no inputs and resemble none: a runner's own variable may look like an input. `former`: the template file came by
    its former name. `former_folder`: so did the artifacts, by that of azure/build-vm-image, which names their folder
    by what comes before its first dot.
    """

    options: Options
    pipeline: PipelineOptions
    ignored: tuple[str, ...] = ()
    strange: tuple[str, ...] = ()
    former: bool = False
    former_folder: bool = False

    @property
    def prelude(self) -> str:
        """The script that azure/build-vm-image puts in front of the customizers of a template file."""
        return self.pipeline.inline_script if self.options.templates else ""

    @property
    def run_output_name(self) -> str:
        """The name that azure/build-vm-image gives the first target of a template file."""
        return self.pipeline.run_output_name if self.former else ""


def read(inputs: Inputs, environment: Mapping[str, str], place: Place, *, unknown: Iterable[str]) -> Request:
    """The options. Raises an ExceptionGroup of OptionsErrors: one for each thing that is wrong."""
    unknown = tuple(unknown)
    problems = [_misspelt(name, meant) for name in unknown if (meant := inputs.similar(name))]
    own: dict[str, Value] = {}
    for option in INPUTS:
        try:
            own |= _value(option, inputs, place)
        except OptionsError as error:
            problems.append(error)
    former = _template_by_its_former_name(own)
    fields = {option.field for option in PIPELINE_TABLE}
    pipeline = assemble_pipeline({field: value for field, value in own.items() if field in fields})
    given = {field: value for field, value in own.items() if field not in fields}
    told = _told_twice(pipeline) if "templates" in given else []
    if not former:
        problems += [_contradiction(where, given["templates"].where) for where in told]
    try:
        options = _assembled(from_environment(TABLE, environment), given)
        problems += contradictions(options, pipeline)
    except OptionsError as error:
        raise ExceptionGroup("the inputs are wrong", [*problems, error]) from error
    if problems:
        raise ExceptionGroup("the inputs are wrong", problems)
    used = (pipeline.where("inline_script"), pipeline.where("run_output_name"))
    return Request(
        options,
        pipeline,
        ignored=tuple(where for where in told if where not in used),
        strange=tuple(name for name in unknown if not inputs.similar(name)),
        former=former,
        former_folder=inputs.name(ARTIFACTS) in ARTIFACTS.former_github,
    )


def _assembled(environment: Layer, given: Layer) -> Options:
    publishes = strongest(environment, given).get("publish_to_azure")
    return assemble({} if publishes and publishes.value else IN_A_PIPELINE, environment, given)


def _template_by_its_former_name(own: dict[str, Value]) -> bool:
    """azure/build-vm-image takes a template's file in the input of its name."""
    name = own.get("template_name")
    if name is None or ".json" not in str(name.value) or "templates" in own:
        return False
    own["templates"] = Value((own.pop("template_name").value,), name.provenance, name.where)
    return True


def _value(option: Option, inputs: Inputs, place: Place) -> Layer:
    match option.field:
        case "templates" | "parameters":
            text = inputs.text(option)
            if _is_inline(text):
                text = place(option.name, text)
            return from_inputs((option,), lambda _: text.strip(), inputs.name)
        case "location":
            return from_inputs((option,), lambda _: _region(inputs, option), inputs.name)
        case _:
            return from_inputs((option,), inputs.text, inputs.name)


def _region(inputs: Inputs, option: Option) -> str:
    text = inputs.text(option).strip()
    return region(text, f"input `{inputs.name(option)}`") if text else ""


def _is_inline(text: str) -> bool:
    """Whether an input holds a document and not its path."""
    return "\n" in text.strip() or text.lstrip().startswith("{")


def _misspelt(name: str, meant: str) -> OptionsError:
    return OptionsError(f"there is no input `{name}`", hint=f"did you mean `{meant}`?")


def _told_twice(pipeline: PipelineOptions) -> list[str]:
    """The inputs that say what a template says itself; `false` says nothing."""
    groups = {option.field: option.group for option in PIPELINE_TABLE}
    return [
        value.where
        for field, value in pipeline.given
        if groups[field] in MAKES_TEMPLATE and field not in BESIDE_TEMPLATE and value.value is not False
    ]


def _contradiction(where: str, template: str) -> OptionsError:
    return OptionsError(
        f"{where} contradicts {template}: the template says that itself",
        hint="write it into the template, or leave the template out: the inputs alone make one",
    )


def _plain(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9]", "", name).upper()

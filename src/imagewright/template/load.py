"""Plain data to an ImageTemplate, and pydantic's errors to ours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from imagewright.core.unknown import REPORTED, Unknown
from imagewright.template.located import Located
from imagewright.template.names import suggest
from imagewright.template.report import Report
from imagewright.template.schema import ImageTemplate
from imagewright.template.source import escape

_KEY = "[key]"
"""What pydantic puts last into the place of an error about a key of a map."""

_MAX_ROUNDS = 20
"""Each round mends what the one before has found; three are many."""

_TYPES = {
    "string_type": "text",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "bool_type": "true or false",
    "tuple_type": "a list",
    "dict_type": "an object",
    "model_type": "an object",
    "model_attributes_type": "an object",
}


def load(present: Located, report: Report) -> ImageTemplate | None:
    """The template in `present` (present-day names). Every finding goes to `report`.

    Where something is wrong, the model holds an `Unknown`, so that all the other checks still take place. None is
    returned when nothing is left to look at.
    """
    data = present.data
    for _ in range(_MAX_ROUNDS):
        if isinstance(data, Unknown):
            break
        try:
            return ImageTemplate.model_validate(data)
        except ValidationError as error:
            mends = _Mends()
            for found in error.errors(include_url=False):
                pointer, steps, missing = _place(found["loc"], data)
                _explain(found, pointer, missing, present, report)
                mends.add(steps, missing, found.get("ctx", {}).get("field"))
            data = mends.applied(data)
    return None


@dataclass(slots=True)
class _Mends:
    """What to do about the errors in a value: all of it is `unknown`, or some keys go or become unknown."""

    within: dict[int | str, _Mends] = field(default_factory=dict)
    gone: set[str] = field(default_factory=set)
    unknown: bool = False

    def add(self, steps: Sequence[int | str], missing: str, to_blame: str | None) -> None:
        """`missing` is the field that is not there, and `to_blame` the one that may not be."""
        if missing == _KEY:
            steps, missing, to_blame = steps[:-1], "", str(steps[-1])
        at = self
        for step in (*steps, missing) if missing and not to_blame else steps:
            at = at.within.setdefault(step, _Mends())
        if to_blame:
            at.gone.add(to_blame)
        else:
            at.unknown = True

    def applied(self, data: Any) -> Any:
        if self.unknown or isinstance(data, Unknown):
            return data if isinstance(data, Unknown) else REPORTED
        if isinstance(data, tuple):
            return tuple(self.within[at].applied(one) if at in self.within else one for at, one in enumerate(data))
        inner = {key: mends.applied(data.get(key)) for key, mends in self.within.items()}
        return {key: one for key, one in {**data, **inner}.items() if key not in self.gone}


def _explain(found: Any, pointer: str, missing: str, present: Located, report: Report) -> None:
    kind: str = found["type"]
    context: Mapping[str, Any] = found.get("ctx", {})
    name = missing or pointer.rpartition("/")[2]
    origin = present.origin(pointer)
    if kind == "missing":
        report.error("missing-field", f"'{name}' is missing", origin, f"add '{name}'")
    elif kind == "union_tag_not_found":
        by = context["discriminator"].strip("'")
        report.error("missing-field", f"'{by}' is missing", origin, f"add '{by}'")
    elif kind == "union_tag_invalid":
        report.error("wrong-type", "'type' must be text", origin, f"one of: {context['expected_tags']}")
    elif kind in _TYPES:
        given = found["input"]
        report.error("wrong-type", f"{_subject(name)} must be {_TYPES[kind]}, not {_describe(given)}", origin,
                     _type_hint(kind, given))  # fmt: skip
    elif kind == "literal_error":
        report.error("bad-value", f"{found['input']!r} is not allowed here", origin,
                     f"one of: {context['expected']}")  # fmt: skip
    elif kind in {"greater_than_equal", "less_than_equal"}:
        limit = f"{context['ge']} or more" if "ge" in context else f"{context['le']} or less"
        bound = f"at least {context['ge']}" if "ge" in context else f"at most {context['le']}"
        report.error("out-of-range", f"'{name}' must be {bound}, not {found['input']}", origin, f"write {limit}")
    elif kind == "string_too_short":
        report.error("empty-value", f"{_subject(name)} is empty", origin, "write a value")
    elif kind == "string_pattern_mismatch":
        code, what, hint = _PATTERNS.get(name, ("bad-value", "does not have the right form", context["pattern"]))
        report.error(code, f"'{found['input']}' {what}", origin, hint)
    else:
        narrowed = f"{pointer}/{escape(context['field'])}" if context.get("field") else pointer
        by_name = narrowed != pointer or missing == _KEY
        report.error(kind, found["msg"], present.origin(narrowed, key=by_name), context.get("hint", ""))


_PATTERNS = {
    "sha256Checksum": ("bad-sha256", "is not a SHA-256", "64 lower-case hex digits, as `sha256sum FILE` prints them"),
    "runOutputName": ("bad-name", "is no name for a run output", "1 to 64 letters, digits, '-', '_' or '.'"),
    "name": ("bad-name", "is no name for an image template", "1 to 64 letters, digits, '-', '_' or '.'"),
}


def _place(loc: tuple[Any, ...], data: Any) -> tuple[str, list[Any], str]:
    """The nearest value that exists, as pointer and as steps, and the name of the field that does not.

    pydantic puts the variant of a union into the location; a step that leads nowhere and is not the last is that.
    """
    steps: list[Any] = []
    missing = ""
    for index, step in enumerate(loc):
        if (isinstance(data, dict) and step in data) or (
            isinstance(data, tuple) and isinstance(step, int) and step < len(data)
        ):
            data = data[step]
        else:
            if index == len(loc) - 1 and not _is_variant(step, data):
                missing = str(step)
            continue
        steps.append(step)
    return "".join(f"/{escape(str(step))}" for step in steps), steps, missing


def _is_variant(step: int | str, data: Any) -> bool:
    return isinstance(data, dict) and step in (data.get("type"), data.get("scheme"))


def _subject(name: str) -> str:
    return "this entry" if name.isdigit() else f"'{name}'" if name else "the template"


def _describe(value: object) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case int() | float():
            return f"the number {value}"
        case str():
            return "text"
        case Mapping():
            return "an object"
        case tuple() | list():
            return "a list"
        case Unknown():
            return "an unknown value"
        case _:
            return type(value).__name__


def _type_hint(kind: str, given: object) -> str:
    if kind == "tuple_type" and isinstance(given, str):
        return f'write ["{given}"]' if len(given) < 60 and '"' not in given and "\n" not in given else "put it in [ ]"
    if kind == "string_type" and isinstance(given, int | float) and not isinstance(given, bool):
        return f'write "{given}"' if isinstance(given, int) else "put it in double quotes, as it is written"
    if kind in {"int_type", "bool_type"} and isinstance(given, str):
        bare = given.strip().lower()
        if bare.lstrip("-").isdigit() or bare in {"true", "false"}:
            return f"write {bare}, without quotes"
        if kind == "bool_type" and (meant := suggest(given, ("true", "false"))):
            return f"did you mean {meant}?"
    return _TYPE_HINTS.get(kind, "")


_TYPE_HINTS = {
    "string_type": "put it in double quotes",
    "int_type": "a number without quotes",
    "int_from_float": "a number without a fraction",
    "bool_type": "true or false, without quotes",
    "tuple_type": "put it in [ ]",
    "dict_type": 'for example {"name": "value"}',
    "model_type": "put its fields in { }",
    "model_attributes_type": "put its fields in { }",
}

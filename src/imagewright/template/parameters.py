"""Parameters: how they are declared, where their values come from, and whether the two fit."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from imagewright.core.origin import Origin
from imagewright.core.secret import Secret
from imagewright.core.unknown import REPORTED, Unknown
from imagewright.template.expressions import ExpressionError, is_expression
from imagewright.template.located import Located, as_written
from imagewright.template.names import hint_for, suggest
from imagewright.template.report import Report
from imagewright.template.source import Document, escape, read_private
from imagewright.template.values import as_text, describe, from_json, well_formed

TYPES = ("string", "int", "bool", "array", "object", "secureString", "secureObject")
_TYPES: Mapping[str, type] = {"string": str, "int": int, "bool": bool, "array": list, "object": dict}


@dataclass(frozen=True, slots=True)
class Supplied:
    """A value that was given to a parameter. `is_text`: it comes from a command line and has yet to be converted."""

    value: object
    origin: Origin
    located: Located | None = None
    is_text: bool = False


@dataclass(frozen=True, slots=True)
class Declared:
    """The declaration of a parameter in a template, with `$ref` followed."""

    name: str
    pointer: str
    type: str
    secure: bool
    nullable: bool
    body: Mapping[str, object]


def declarations(data: Mapping[str, object], pointer: str) -> dict[str, Declared]:
    """The parameters of a template by their lower-case names; of two that differ by case only, the first."""
    parameters = data.get("parameters")
    found: dict[str, Declared] = {}
    for name, body in parameters.items() if isinstance(parameters, dict) else ():
        if name.lower() not in found:
            given = body if isinstance(body, dict) else {}
            found[name.lower()] = _declared(name, given, data.get("definitions"), pointer)
    return found


def _declared(name: str, body: Mapping[str, object], definitions: object, pointer: str) -> Declared:
    reference = body.get("$ref")
    if isinstance(reference, str) and isinstance(definitions, dict):
        target = definitions.get(reference.rpartition("/")[2])
        body = {**target, **body} if isinstance(target, dict) else body
    kind = str(body.get("type", "")).lower()
    secure = kind in {"securestring", "secureobject"}
    return Declared(
        name,
        f"{pointer}/parameters/{escape(name)}",
        kind.removeprefix("secure") if secure else kind,
        secure,
        body.get("nullable") is True,
        body,
    )


def typed(parameter: Declared, document: Document, report: Report) -> bool:
    """Whether the declaration has one of ARM's types; otherwise it is reported."""
    if parameter.type in _TYPES:
        return True
    given = parameter.body.get("type")
    choices = f"one of: {', '.join(TYPES)}"
    if given is None:
        origin = document.origin(parameter.pointer, key=True)
        report.error(
            "bad-parameter-type", f"the parameter '{parameter.name}' has no type", origin, f"add 'type', {choices}"
        )
        return False
    meant = suggest(given, TYPES) if isinstance(given, str) else ""
    hint = f"did you mean '{meant}'?" if meant else choices
    message = f"the parameter '{parameter.name}' has no type of ARM"
    report.error("bad-parameter-type", message, document.origin(f"{parameter.pointer}/type"), hint)
    return False


def supplied(path: str | None, overrides: Mapping[str, str], report: Report) -> tuple[dict[str, Supplied], bool]:
    """All given values by lower-case name, those of the parameters file at `path`, then those of `--set`; and whether
    the file could not be read."""
    found = _from_file(read_private(path), report) if path else {}
    values = found or {}
    for name, value in overrides.items():
        values[name.lower()] = Supplied(well_formed(value), Origin(f"--set {name}"), is_text=True)
    return values, found is None


def _from_file(document: Document, report: Report) -> dict[str, Supplied] | None:
    report.extend(document.diagnostics)
    if document.broken:
        return None
    data = document.data
    values = data.get("parameters") if isinstance(data, dict) else None
    if isinstance(data, dict) and ("resources" in data or "properties" in data):
        hint = 'give it as the template, and its values in a file like {"parameters": {"NAME": {"value": ...}}}'
        report.error("no-parameters", "this is a template, not a parameters file", document.origin(), hint)
        return None
    if not isinstance(values, dict):
        report.error(
            "no-parameters",
            "this is not a parameters file: there is no object 'parameters' in it",
            document.origin(),
            '{"parameters": {"NAME": {"value": ...}}}',
        )
        return None
    result = {}
    for name, entry in values.items():
        pointer = f"/parameters/{escape(name)}"
        if isinstance(entry, dict) and "value" in entry:
            origin = document.origin(f"{pointer}/value")
            located = as_written(document, entry["value"], f"{pointer}/value")
            result[name.lower()] = Supplied(entry["value"], origin, located)
        elif isinstance(entry, dict) and "reference" in entry:
            unknown = Unknown(f"the parameter '{name}' is in a key vault")
            result[name.lower()] = Supplied(unknown, document.origin(pointer, key=True))
        else:
            report.error(
                "bad-parameter",
                f"the parameter '{name}' has neither 'value' nor 'reference'",
                document.origin(pointer),
                f'write "{name}": {{"value": ...}}',
            )
    return result


def undeclared(given: Mapping[str, Supplied], data: Mapping[str, object], report: Report) -> None:
    """Report values for which the template has no parameter."""
    known = declarations(data, "")
    names = [one.name for one in known.values()]
    for name, value in given.items():
        if name not in known:
            message = f"the template has no parameter '{name}'"
            report.error("unknown-parameter", message, value.origin, hint_for(name, names))


def converted(given: Supplied, parameter: Declared, report: Report) -> object:
    """The value of `--set` as the parameter's type wants it, or REPORTED."""
    if not given.is_text or parameter.type == "string" or not isinstance(given.value, str):
        return given.value
    word = given.value.strip()
    try:
        value = from_json(word.lower() if parameter.type == "bool" else word)
    except ExpressionError:
        value = None
    if not _fits(value, parameter.type):
        report.error(
            "wrong-type",
            f"the parameter '{parameter.name}' must be {_TYPE_NAMES.get(parameter.type, parameter.type)}",
            given.origin,
            _EXAMPLES.get(parameter.type, ""),
        )
        return REPORTED
    return value


_TYPE_NAMES = {"string": "a string", "int": "an int", "bool": "a bool", "array": "an array", "object": "an object"}
_EXAMPLES = {
    "int": "for example 5, without quotes",
    "bool": "true or false, without quotes",
    "array": 'as JSON: ["a", "b"]',
    "object": 'as JSON: {"a": 1}',
}


def _fits(value: object, kind: str) -> bool:
    wanted = _TYPES.get(kind)
    return wanted is None or (isinstance(value, wanted) and (wanted is not int or not isinstance(value, bool)))


def checked(value: object, parameter: Declared, origin: Origin, report: Report) -> object:
    """`value` if it keeps to the declaration, otherwise REPORTED."""
    body, name = parameter.body, parameter.name
    if isinstance(value, Unknown) or (value is None and parameter.nullable):
        return value
    if not _fits(value, parameter.type):
        wanted = _TYPE_NAMES[parameter.type]
        example = _EXAMPLES.get(parameter.type, "put it in double quotes")
        report.error("wrong-type", f"the parameter '{name}' must be {wanted}, not {describe(value)}", origin, example)
        return REPORTED
    allowed = body.get("allowedValues")
    if isinstance(allowed, list) and allowed:
        chosen = value if isinstance(value, list) else [value]
        if any(not _among(one, allowed) for one in chosen):
            shown = "this value" if parameter.secure else f"{value!r}"
            choices = "" if parameter.secure else "one of: " + ", ".join(map(str, allowed))
            report.error("value-not-allowed", f"the parameter '{name}' does not allow {shown}", origin, choices)
            return REPORTED
    size = value if parameter.type == "int" else len(value) if isinstance(value, str | list) else None
    bounds = ("minValue", "maxValue") if parameter.type == "int" else ("minLength", "maxLength")
    low, high = (body.get(bound) for bound in bounds)
    if isinstance(size, int) and ((isinstance(low, int) and size < low) or (isinstance(high, int) and size > high)):
        what = f"{size}" if parameter.type == "int" else f"a length of {size}"
        limits = " to ".join(str(one) for one in (low, high) if one is not None)
        report.error("out-of-range", f"the parameter '{name}' does not allow {what}", origin, f"allowed: {limits}")
        return REPORTED
    return value


def _among(value: object, allowed: Iterable[object]) -> bool:
    if isinstance(value, str):
        return any(isinstance(one, str) and one.lower() == value.lower() for one in allowed)
    return isinstance(value, Unknown) or value in allowed


def known_secrets(parameters: Mapping[str, Declared], given: Mapping[str, Supplied]) -> list[Secret]:
    """What is secret before anything is evaluated: all that was given to secure parameters, and their defaults."""
    found: list[Secret] = []
    for lower, parameter in parameters.items():
        if parameter.secure:
            supplied = given.get(lower)
            found += secrets(parameter.name, supplied.value) if supplied else []
            default = parameter.body.get("defaultValue")
            found += [one for one in secrets(parameter.name, default) if not is_expression(one.reveal())]
    return found


def secrets(name: str, value: object) -> list[Secret]:
    """Every text and number in the value of a secure parameter."""
    match value:
        case bool():
            return []
        case str() | int() | float():
            return [Secret(name, as_text(value))]
        case dict():
            return [secret for key, one in value.items() for secret in secrets(f"{name}.{key}", one)]
        case list():
            return [secret for index, one in enumerate(value) for secret in secrets(f"{name}.{index}", one)]
        case _:
            return []

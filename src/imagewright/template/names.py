"""Names and fixed words as the user wrote them, to those of the newest api-version.

Old names, wrong case and misspellings are reported, and understood all the same, so that one slip is one finding.
What was reported and cannot be understood becomes unknown: nothing after this looks at it again.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Iterable, Mapping
from itertools import islice

from imagewright.core.shape import Shape
from imagewright.core.unknown import REPORTED, Unknown
from imagewright.template.located import Located, Place
from imagewright.template.report import Report
from imagewright.template.schema import STRICT_SINCE, ImageTemplate, Properties
from imagewright.template.slots import Choice, Leaf, Mapped, Record, Sequence, Slot, fields
from imagewright.template.source import escape

MOST_LOOKED_AT = 256
"""As many parameters, or variables, ARM lets a template have."""
_MOST_LISTED = 20
_PLACEHOLDER = re.compile(r"<[A-Za-z][^<>\n]{0,80}>")


def present(written: Located, version: str | Unknown, report: Report) -> Located:
    """An image template in present-day words. `version` is its api-version, `""` for the newest rules."""
    normaliser = _Normaliser(written, version, report)
    data = normaliser.value(written.data, Record(ImageTemplate), "", "", free=False)
    return Located(data, normaliser.places)


def suggest(word: str, known: Iterable[str]) -> str:
    """The known word that was probably meant, or `""`."""
    by_case = {one.lower(): one for one in islice(known, MOST_LOOKED_AT)}
    close = difflib.get_close_matches(word.lower(), by_case, n=1, cutoff=0.7)
    return by_case[close[0]] if close else ""


def hint_for(word: str, known: Collection[str]) -> str:
    """What to say about a word that is not among the `known` ones."""
    if meant := suggest(word, known):
        return f"did you mean '{meant}'?"
    first = ", ".join(islice(known, _MOST_LISTED))
    return f"there is: {first}{', …' if len(known) > _MOST_LISTED else ''}" if known else "there is none"


class _Normaliser:
    def __init__(self, written: Located, version: str | Unknown, report: Report) -> None:
        self.written = written
        self.version = version
        self.strict = isinstance(version, str) and (not version or version >= STRICT_SINCE)
        self.report = report
        self.places: dict[str, Place] = {}

    def complain(self, code: str, message: str, pointer: str, hint: str, *, key: bool = False, grave: bool) -> None:
        add = self.report.error if grave else self.report.warning
        add(code, message, self.written.origin(pointer, key=key), hint)

    def value(self, value: object, slot: Slot, old: str, new: str, *, free: bool) -> object:
        if old in self.written.places:
            self.places[new] = self.written.places[old]
        match slot, value:
            case _, Unknown():
                return value
            case Leaf(words), str():
                return self.word(value, words, old, free=free)
            case Sequence(items), list():
                return tuple(
                    self.value(one, items, f"{old}/{index}", f"{new}/{index}", free=free)
                    for index, one in enumerate(value)
                )
            case Mapped(values), dict():
                return self.mapped(value, values, old, new)
            case Record(model), dict():
                return self.record(value, model, old, new)
            case Choice(), dict():
                return self.choice(value, slot, old, new)
            case _:
                return value

    def word(self, value: str, words: tuple[str, ...], pointer: str, *, free: bool) -> object:
        if not free and (found := _PLACEHOLDER.findall(value)):
            return self.placeholder(found, pointer)
        if not words or value in words:
            return value
        meant = suggest(value, words)
        if meant and meant.lower() == value.lower():
            message = f"'{value}' is spelled '{meant}'"
            self.complain("wrong-case", message, pointer, f"write {meant}", grave=self.strict)
            return meant
        hint = f"did you mean '{meant}'?" if meant else f"one of: {', '.join(words)}"
        self.complain("bad-value", f"'{value}' is not allowed here", pointer, hint, grave=True)
        return REPORTED

    def placeholder(self, found: list[str], pointer: str, *, key: bool = False) -> Unknown:
        """All those of one text at once."""
        *others, last = dict.fromkeys(found)
        message = f"{', '.join(others)} and {last} were never filled in" if others else f"{last} was never filled in"
        hint = "put values in their places" if others else "put a value in its place"
        self.report.unknown("placeholder", message, self.written.origin(pointer, key=key), hint)
        return Unknown(message)

    def mapped(self, value: Mapping[str, object], slot: Slot, old: str, new: str) -> object:
        result: dict[str, object] = {}
        for key, item in value.items():
            step = f"/{escape(key)}"
            if found := _PLACEHOLDER.findall(key):
                return self.placeholder(found, old + step, key=True)
            if item is None and isinstance(slot, Record):
                item = {}
            # "Jane <jane@example.com>" is a good tag.
            free = isinstance(item, str) and not _PLACEHOLDER.fullmatch(item)
            result[key] = self.value(item, slot, old + step, new + step, free=free)
        return result

    def choice(self, value: Mapping[str, object], slot: Choice, old: str, new: str) -> object:
        by = slot.by if slot.by in value else next((one for one in value if one.lower() == slot.by), slot.by)
        tag = value.get(by)
        place = f"{old}/{escape(by)}"
        if isinstance(tag, Unknown):
            return tag
        if not isinstance(tag, str):
            return value
        if found := _PLACEHOLDER.findall(tag):
            return self.placeholder(found, place)
        if model := slot.variants.get(tag):
            return self.record(value, model, old, new)
        meant = suggest(tag, slot.variants)
        if meant and meant.lower() == tag.lower():
            return self.record(value, slot.variants[meant], old, new)
        for name, why in slot.removed.items():
            if name.lower() == tag.lower():
                self.complain("removed-type", f"the type '{tag}' is not supported any more", place, why, grave=True)
                return REPORTED
        hint = f"did you mean '{meant}'?" if meant else f"one of: {', '.join(slot.variants)}"
        self.complain("unknown-type", f"there is no type '{tag}' here", place, hint, grave=True)
        return REPORTED

    def record(self, value: Mapping[str, object], model: type[Shape], old: str, new: str) -> object:
        known = fields(model)
        result: dict[str, object] = {}
        for key, item in value.items():
            place = f"{old}/{escape(key)}"
            name = key if key in known else self.name(key, model, place, value)
            if not name or item is None:
                continue
            if name in result:
                self.complain("duplicate-field", f"'{name}' is given twice", place, "keep one", key=True, grave=True)
                continue
            field = known[name]
            if field.since and isinstance(self.version, str) and "" < self.version < field.since:
                message = f"'{name}' came with api-version {field.since}, this template says {self.version}"
                self.complain("newer-field", message, place, f"set apiVersion to {field.since} or later", key=True,
                              grave=self.strict)  # fmt: skip
            free = name in model.free_text
            result[name] = self.value(item, field.slot, place, f"{new}/{escape(name)}", free=free)
        return result

    def name(self, key: str, model: type[Shape], place: str, siblings: Mapping[str, object]) -> str:
        """The field that was meant by `key`, or `""`."""
        if key in model.read_only:
            return ""
        known = fields(model)
        old_names = {one.lower(): to for one, to in model.renamed.items()}
        by_case = {one.lower(): one for one in known}
        lower = key.lower()
        if meant := by_case.get(lower):
            message = f"'{key}' is spelled '{meant}'"
            self.complain("wrong-case", message, place, f"write '{meant}'", key=True, grave=self.strict)
            return meant
        if meant := old_names.get(lower):
            message = f"'{key}' is called '{meant}' now"
            self.complain("renamed-field", message, place, f"write '{meant}'", key=True, grave=self.strict)
            return meant
        if lower in {one.lower() for one in model.read_only}:
            return ""
        meant = suggest(key, known)
        hint = f"did you mean '{meant}'?" if meant else f"known here: {', '.join(sorted(known))}"
        grave = self.strict and model is not ImageTemplate
        if model is ImageTemplate and key in fields(Properties):  # `az` reads some of these from here
            hint, meant, grave = f"'{key}' belongs into 'properties'", "", True
        self.complain("unknown-field", f"there is no field '{key}' here", place, hint, key=True, grave=grave)
        return meant if grave and meant and meant not in siblings else ""

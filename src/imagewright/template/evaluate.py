"""A deployment template as ARM evaluates it: parameters, variables, copy loops, expressions; every place kept."""

from __future__ import annotations

import secrets as random
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import replace

from imagewright.core.clock import SystemClock
from imagewright.core.origin import Origin
from imagewright.core.unknown import REPORTED, Unknown
from imagewright.template import dates
from imagewright.template.context import ArmContext
from imagewright.template.effort import Effort
from imagewright.template.expressions import ExpressionError, is_expression, parse
from imagewright.template.interpret import Scope, interpret
from imagewright.template.located import Located, Place
from imagewright.template.names import MOST_LOOKED_AT, hint_for
from imagewright.template.parameters import Supplied, checked, converted, declarations, known_secrets, secrets, typed
from imagewright.template.session import Session
from imagewright.template.source import Document, escape
from imagewright.template.values import Value, describe

MAX_COPIES = 800
"""ARM's own limit of a copy loop."""


class Template:
    """A deployment template, evaluated on demand: what no image template uses is never looked at."""

    def __init__(
        self,
        document: Document,
        data: Mapping[str, object],
        pointer: str,
        given: Mapping[str, Supplied],
        context: ArmContext,
        session: Session,
        name: str,
    ) -> None:
        self.document = document
        self.data = data
        self.pointer = pointer
        self.given = given
        self.context = context
        self.session = session
        self.name = name
        self.in_function = False
        self._done: dict[tuple[str, str], Located] = {}
        self._open: set[tuple[str, str]] = set()
        self._homes: dict[int, tuple[Located | None, str]] = {}
        self._parameters = declarations(data, pointer)
        variables = data.get("variables")
        names = reversed(variables) if isinstance(variables, dict) else ()
        self._variables = {one.lower(): one for one in names if one != "copy"}
        session.learn(known_secrets(self._parameters, given))

    # --- what expressions ask (interpret.Deployment) ---

    @property
    def effort(self) -> Effort:
        return self.session.effort

    def parameter(self, name: str) -> Value | Unknown:
        return self._once("parameter", name).data

    def variable(self, name: str) -> Value | Unknown:
        return self._once("variable", name).data

    def derived(self, function: str, arguments: Sequence[Value], result: Value) -> None:
        self.session.derived(function, arguments, result)

    def now(self, form: str) -> str:
        return dates.show(self.context.now or SystemClock().now(), form)

    def new_guid(self) -> str:
        return str(uuid.UUID(bytes=random.token_bytes(16), version=4))

    def own_function(self, namespace: str, name: str, arguments: list[Value | Unknown]) -> Value | Unknown:
        spaces = self.data.get("functions")
        known = []
        for index, space in enumerate(spaces if isinstance(spaces, list) else []):
            members = space.get("members") if isinstance(space, dict) else None
            known += [f"{space.get('namespace')}.{one}" for one in (members if isinstance(members, dict) else ())]
            if isinstance(members, dict) and str(space.get("namespace", "")).lower() == namespace.lower():
                key = next((one for one in members if one.lower() == name.lower()), None)
                if key is not None and isinstance(members[key], dict):
                    pointer = f"{self.pointer}/functions/{index}/members/{escape(key)}"
                    return self._own_function(members[key], pointer, arguments)
        hint = f"it has: {', '.join(known) or 'none'}"
        if self.in_function:
            hint = "a function of one's own cannot call another one, unless languageVersion is 2.0"
        raise ExpressionError("unknown-function", f"the template has no function '{namespace}.{name}'", hint=hint)

    def _own_function(
        self, body: Mapping[str, object], pointer: str, arguments: list[Value | Unknown]
    ) -> Value | Unknown:
        parameters = body.get("parameters", [])
        names = (
            [str(one.get("name")) for one in parameters if isinstance(one, dict)]
            if isinstance(parameters, list)
            else []
        )
        if len(names) != len(arguments):
            hint = f"its parameters are: {', '.join(names) or 'none'}"
            message = f"the function takes {len(names)} arguments, not {len(arguments)}"
            raise ExpressionError("bad-argument", message, hint=hint)
        output = body.get("output")
        given = {
            name.lower(): Supplied(value, self.document.origin(pointer))
            for name, value in zip(names, arguments, strict=True)
        }
        inner: dict[str, object] = {"parameters": {name: {} for name in names}}
        if str(self.data.get("languageVersion", "")).startswith("2"):
            inner |= {key: self.data.get(key) for key in ("functions", "languageVersion")}
        template = Template(self.document, inner, pointer, given, self.context, self.session, self.name)
        template.in_function = True
        value = output.get("value") if isinstance(output, dict) else None
        return template.evaluate(value, f"{pointer}/output/value").data

    # --- parameters and variables ---

    def check_given(self) -> None:
        """Look at the values that were given also where nothing asks for them: ARM does."""
        for name, value in self.given.items():
            if not isinstance(value.value, Unknown) and name in self._parameters:
                try:
                    self.parameter(name)
                except ExpressionError as error:
                    self._refuse(error, value.origin)

    def _once(self, kind: str, name: str) -> Located:
        key = (kind, name.lower())
        if key in self._done:
            return self._done[key]
        if key in self._open:
            hint = "take one of the references away that lead from it back to it"
            raise ExpressionError("circular-reference", f"the {kind} '{name}' depends on itself", hint=hint)
        self._open.add(key)
        try:
            with self.effort:
                found = self._parameter(name) if kind == "parameter" else self._variable(name)
        finally:
            self._open.discard(key)
        self.effort.weigh(found.data)
        self._done[key] = found
        self._settle_in(found.data, found, "")
        return found

    def _parameter(self, name: str) -> Located:
        parameter = self._parameters.get(name.lower())
        if parameter is None:
            raise self._missing("parameter", name, [one.name for one in self._parameters.values()])
        report = self.session.report
        here = self.document.origin(parameter.pointer, key=True)
        if not self.in_function and not typed(parameter, self.document, report):
            return Located(REPORTED, {"": (self.document, parameter.pointer)})
        given = self.given.get(name.lower())
        origin = here
        located: Located
        if given is not None:
            origin = given.origin
            value = converted(given, parameter, report)
            located = given.located or Located(value, {"": (self.document, parameter.pointer)})
            value = self.session.settled(value, origin)
        elif "defaultValue" in parameter.body:
            place = f"{parameter.pointer}/defaultValue"
            located = self.evaluate(parameter.body["defaultValue"], place)
            value, origin = located.data, located.origin()
        elif parameter.nullable:
            value, located = None, Located(None, {"": (self.document, parameter.pointer)})
        else:
            if not self.session.values_lost:
                hint = f"give it with --set {parameter.name}=VALUE, or in a parameters file"
                report.unknown("missing-parameter", f"the parameter '{parameter.name}' has no value", here, hint)
            value, located = REPORTED, Located(REPORTED, {"": (self.document, parameter.pointer)})
        value = checked(value, parameter, origin, report)
        if parameter.secure:
            self.session.learn(secrets(parameter.name, value))
        return replace(located, data=value)

    def _variable(self, name: str) -> Located:
        given = self.data.get("variables")
        variables = given if isinstance(given, dict) else {}
        pointer = f"{self.pointer}/variables"
        if (key := self._variables.get(name.lower())) is not None:
            return self.evaluate(variables[key], f"{pointer}/{escape(key)}")
        copies = variables.get("copy")
        looped = []
        for index, loop in enumerate(copies if isinstance(copies, list) else []):
            if isinstance(loop, dict):
                looped.append(str(loop.get("name", "")))
                if looped[-1].lower() == name.lower():
                    places: dict[str, Place] = {}
                    return Located(self._copies(loop, f"{pointer}/copy/{index}", "", Scope(self), places), places)
        raise self._missing("variable", name, [*self._variables.values(), *looped])

    def _missing(self, kind: str, name: str, known: Sequence[str]) -> ExpressionError:
        self.effort.spend(min(len(known), MOST_LOOKED_AT))
        return ExpressionError(f"unknown-{kind}", f"the template has no {kind} '{name}'", hint=hint_for(name, known))

    # --- values ---

    def evaluate(self, value: object, pointer: str, scope: Scope | None = None) -> Located:
        """`value`, which stands at `pointer` of the document, with every expression in it replaced by its value."""
        places: dict[str, Place] = {"": (self.document, pointer)}
        try:
            return Located(self._value(value, pointer, "", scope or Scope(self), places), places)
        except ExpressionError as error:
            self._refuse(error, self.document.origin(pointer))
            return Located(REPORTED, places)

    def _value(self, value: object, pointer: str, here: str, scope: Scope, places: dict[str, Place]) -> object:
        places[here] = (self.document, pointer)
        self.effort.spend(1)
        match value:
            case str() if is_expression(value):
                return self._expression(value, pointer, here, scope, places)
            case str() if value.startswith("[[") and value.endswith("]"):
                return value[1:]
            case list():
                with self.effort:
                    return [
                        self._value(one, f"{pointer}/{index}", f"{here}/{index}", scope, places)
                        for index, one in enumerate(value)
                    ]
            case dict():
                with self.effort:
                    return self._object(value, pointer, here, scope, places)
            case Unknown():
                return REPORTED
            case _:
                return value

    def _object(
        self, value: Mapping[str, object], pointer: str, here: str, scope: Scope, places: dict[str, Place]
    ) -> object:
        result: dict[str, object] = {}
        for key, item in value.items():
            place = f"{pointer}/{escape(key)}"
            if key == "copy" and isinstance(item, list):
                for index, loop in enumerate(item):
                    if isinstance(loop, dict):
                        name = str(loop.get("name", ""))
                        inner = f"{here}/{escape(name)}"
                        result[name] = self._copies(loop, f"{place}/{index}", inner, scope, places)
                continue
            if is_expression(key):
                origin = self.document.origin(place, key=True)
                evaluated = self._text(key, origin, scope)
                if not isinstance(evaluated, str):
                    if not isinstance(evaluated, Unknown):
                        message = f"the name of a property must be a string, not {describe(evaluated)}"
                        self.session.report.error("bad-property-name", message, origin, "put string() around it")
                    return REPORTED
                key = evaluated
            result[key] = self._value(item, place, f"{here}/{escape(key)}", scope, places)
        return result

    def _copies(
        self, loop: Mapping[str, object], pointer: str, here: str, scope: Scope, places: dict[str, Place]
    ) -> object:
        places[here] = (self.document, pointer)
        count = self.count(loop, pointer, scope)
        name = str(loop.get("name", ""))
        if isinstance(count, Unknown):
            return count
        return [
            self._value(
                loop.get("input"), f"{pointer}/input", f"{here}/{index}", scope.with_loop(name, index), places
            )
            for index in range(count)
        ]

    def count(self, loop: Mapping[str, object], pointer: str, scope: Scope) -> int | Unknown:
        """How often a copy loop turns."""
        count = self.evaluate(loop.get("count"), f"{pointer}/count", scope).data
        if isinstance(count, Unknown):
            return count
        if isinstance(count, bool) or not isinstance(count, int) or not 0 <= count <= MAX_COPIES:
            message = f"the count of a copy loop must be a number from 0 to {MAX_COPIES}"
            hint = "write a number without quotes, or for example [length(parameters('names'))]"
            self.session.report.error("bad-copy-count", message, self.document.origin(f"{pointer}/count"), hint)
            return REPORTED
        return count

    def _expression(self, text: str, pointer: str, here: str, scope: Scope, places: dict[str, Place]) -> object:
        value = self._text(text, self.document.origin(pointer), scope)
        self._adopt(value, here, places)
        return value

    def _adopt(self, value: object, here: str, places: dict[str, Place]) -> None:
        """Give the lists and objects that come out of a parameter or variable the places they have there.

        `concat`, `union`, `if` and their like hand on the very objects, so a step is found wherever it was written.
        """
        if not isinstance(value, list | dict):
            return
        located, pointer = self._homes.get(id(value), (None, ""))
        if located is not None and (place := located.places.get(pointer)):
            places[here] = place
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            step = f"/{escape(str(key))}"
            if located is not None and (place := located.places.get(pointer + step)):
                places[here + step] = place
            self._adopt(item, here + step, places)

    def _settle_in(self, value: object, located: Located, pointer: str) -> None:
        """Remember where the lists and objects of a parameter or variable stand."""
        if isinstance(value, list | dict):
            self._homes.setdefault(id(value), (located, pointer))
            for key, item in value.items() if isinstance(value, dict) else enumerate(value):
                self._settle_in(item, located, f"{pointer}/{escape(str(key))}")

    def _text(self, text: str, origin: Origin, scope: Scope) -> object:
        """The value of an expression; what is wrong is reported."""
        try:
            with self.effort:
                value = self.effort.weigh(interpret(parse(text), scope))
        except ExpressionError as error:
            within = replace(
                origin, column=origin.column + error.at + (origin.length == len(text) + 2), length=error.length
            )
            exact = origin.line and error.at and origin.length in {len(text), len(text) + 2}
            self._refuse(error, within if exact else origin)
            return REPORTED
        return self.session.settled(value, origin)

    def _refuse(self, error: ExpressionError, origin: Origin) -> None:
        """Report an error; that the effort is exhausted is said once, for every later step ends the same way."""
        if error.code != "too-expensive" or self.session.report.once(error.code):
            self.session.report.error(error.code, error.message, origin, error.hint)

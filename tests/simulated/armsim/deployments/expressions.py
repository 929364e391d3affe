"""The expressions of ARM templates that build tools send: `[concat(parameters('a'), variables('b').c[0])]`.

Written for the simulator alone, on purpose: it must not share a mistake with the product's own evaluator.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from armsim.problems import ArmError

_TOKEN = re.compile(
    r"\s*(?:(?P<text>'(?:[^']|'')*')|(?P<number>-?\d+)|(?P<word>[A-Za-z_][\w.]*)|(?P<mark>[()\[\],.]))"
)


@dataclass
class Scope:
    """What names mean: the template's parameters and variables, the place it is deployed to."""

    subscription: str
    tenant: str
    group: str
    location: str
    parameters: dict[str, Any]
    variables: dict[str, Any] = field(default_factory=dict)

    def evaluate(self, value: Any) -> Any:
        """Every expression in a piece of a template, replaced by its value."""
        if isinstance(value, dict):
            return {self.evaluate(key): self.evaluate(inner) for key, inner in value.items()}
        if isinstance(value, list):
            return [self.evaluate(inner) for inner in value]
        if isinstance(value, str) and value.startswith("[[") and value.endswith("]"):
            return value[1:]
        if isinstance(value, str) and value.startswith("[") and value.endswith("]"):
            return _Reader(value[1:-1], self).whole()
        return value

    def call(self, name: str, arguments: list[Any]) -> Any:
        function = _FUNCTIONS.get(name.lower())
        if function is None:
            raise invalid(f"The template function '{name}' is not valid.")
        return function(self, *arguments)


def invalid(text: str) -> ArmError:
    return ArmError(400, "InvalidTemplate", f"Deployment template validation failed: '{text}'.")


class _Reader:
    """Recursive descent over one expression."""

    def __init__(self, text: str, scope: Scope) -> None:
        self._scope = scope
        self._text = text
        self._tokens: list[tuple[str, str]] = []
        position = 0
        while position < len(text.rstrip()):
            found = _TOKEN.match(text, position)
            if found is None:
                raise invalid(f"The template language expression '{text}' is not valid.")
            self._tokens.append((str(found.lastgroup), found.group(str(found.lastgroup))))
            position = found.end()

    def whole(self) -> Any:
        value = self._value()
        if self._tokens:
            raise invalid(f"The template language expression '{self._text}' is not valid.")
        return value

    def _take(self, mark: str | None = None) -> tuple[str, str]:
        if not self._tokens or (mark is not None and self._tokens[0][1] != mark):
            raise invalid(f"The template language expression '{self._text}' is not valid.")
        return self._tokens.pop(0)

    def _next(self) -> str:
        return self._tokens[0][1] if self._tokens else ""

    def _value(self) -> Any:
        kind, text = self._take()
        if kind == "text":
            value: Any = text[1:-1].replace("''", "'")
        elif kind == "number":
            value = int(text)
        elif kind == "word":
            value = self._function(text)
        else:
            raise invalid(f"The template language expression '{self._text}' is not valid.")
        while self._next() in {".", "["}:
            value = self._member(value)
        return value

    def _function(self, name: str) -> Any:
        self._take("(")
        arguments = []
        while self._next() != ")":
            arguments.append(self._value())
            if self._next() == ",":
                self._take(",")
        self._take(")")
        return self._scope.call(name, arguments)

    def _member(self, value: Any) -> Any:
        _, mark = self._take()
        key = self._take()[1] if mark == "." else self._value()
        if mark == "[":
            self._take("]")
        try:
            if isinstance(value, dict):
                return next(inner for name, inner in value.items() if name.lower() == str(key).lower())
            return value[key]
        except (StopIteration, IndexError, TypeError) as cause:
            raise invalid(f"The language expression property '{key}' doesn't exist.") from cause


def _parameters(scope: Scope, name: str) -> Any:
    if name not in scope.parameters:
        raise invalid(f"The template parameter '{name}' is not found.")
    return scope.parameters[name]


def _variables(scope: Scope, name: str) -> Any:
    if name not in scope.variables:
        raise invalid(f"The template variable '{name}' is not found.")
    return scope.evaluate(scope.variables[name])


def _concat(_: Scope, *parts: Any) -> Any:
    if parts and isinstance(parts[0], list):
        return [item for part in parts for item in part]
    return "".join(str(part) for part in parts)


def _resource_id(scope: Scope, *parts: str) -> str:
    """`[subscription,] [group,] type, name…`."""
    at = next(index for index, part in enumerate(parts) if "/" in part)
    group = parts[at - 1] if at else scope.group
    subscription = parts[at - 2] if at > 1 else scope.subscription
    namespace, *types = parts[at].split("/")
    pairs = "/".join(f"{kind}/{name}" for kind, name in zip(types, parts[at + 1 :], strict=True))
    return f"/subscriptions/{subscription}/resourceGroups/{group}/providers/{namespace}/{pairs}"


def _resource_group(scope: Scope) -> dict[str, Any]:
    identifier = f"/subscriptions/{scope.subscription}/resourceGroups/{scope.group}"
    return {"id": identifier, "name": scope.group, "location": scope.location, "tags": {}}


def _subscription(scope: Scope) -> dict[str, Any]:
    return {
        "id": f"/subscriptions/{scope.subscription}",
        "subscriptionId": scope.subscription,
        "tenantId": scope.tenant,
    }


_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "parameters": _parameters,
    "variables": _variables,
    "concat": _concat,
    "resourceid": _resource_id,
    "resourcegroup": _resource_group,
    "subscription": _subscription,
    "tolower": lambda _, text: text.lower(),
    "toupper": lambda _, text: text.upper(),
    "string": lambda _, value: str(value),
    "int": lambda _, value: int(value),
    "base64": lambda _, text: __import__("base64").b64encode(text.encode()).decode(),
    "uniquestring": lambda _, *parts: hashlib.sha256("-".join(parts).encode()).hexdigest()[:13],
}

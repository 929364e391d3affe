"""The meaning of expressions: calls, access, lambdas, and the functions that look at where they stand."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Protocol

from imagewright.core.unknown import Unknown
from imagewright.template.context import ArmContext
from imagewright.template.expressions import Access, Call, Expression, ExpressionError, Literal
from imagewright.template.functions import FUNCTIONS, NAMES, TRANSPARENT
from imagewright.template.names import suggest
from imagewright.template.surroundings import SURROUNDINGS
from imagewright.template.values import Value, check_size, find, number, text, truth, wrong

MAX_STEPS = 400_000
MAX_DEPTH = 120


class Deployment(Protocol):
    """What expressions may ask of the deployment they belong to. Raises ExpressionError."""

    @property
    def context(self) -> ArmContext: ...

    @property
    def name(self) -> str: ...

    @property
    def effort(self) -> Effort: ...

    def parameter(self, name: str) -> Value | Unknown: ...

    def variable(self, name: str) -> Value | Unknown: ...

    def own_function(self, namespace: str, name: str, arguments: list[Value | Unknown]) -> Value | Unknown: ...

    def now(self, form: str) -> str: ...

    def new_guid(self) -> str: ...


class Effort:
    """Bounds the work and the recursion of one template, so that none can run away."""

    def __init__(self) -> None:
        self.steps = 0
        self.depth = 0

    def spend(self, steps: int) -> None:
        self.steps += steps
        if self.steps > MAX_STEPS:
            raise ExpressionError("too-expensive", "the template takes too many steps to evaluate")

    def __enter__(self) -> None:
        self.spend(1)
        if self.depth >= MAX_DEPTH:
            raise ExpressionError("too-deep", "the expressions of the template refer to one another too deeply")
        self.depth += 1

    def __exit__(self, *_: object) -> None:
        self.depth -= 1


@dataclass(frozen=True)
class Scope:
    """Where an expression stands. `loops` maps the names of copy loops to their index; `""` is the innermost."""

    deployment: Deployment
    loops: Mapping[str, int] = field(default_factory=dict)
    locals: Mapping[str, Value | Unknown] = field(default_factory=dict)

    def with_loop(self, name: str, index: int) -> Scope:
        return Scope(self.deployment, {**self.loops, name.lower(): index, "": index}, self.locals)


def interpret(tree: Expression, scope: Scope) -> Value | Unknown:
    """The value of an expression. Raises ExpressionError, with the place of the call that failed."""
    with scope.deployment.effort:
        match tree:
            case Literal(value=value):
                return value
            case Access():
                return _access(tree, scope)
            case Call():
                try:
                    return check_size(_call(tree, scope))
                except ExpressionError as error:
                    if not error.at:
                        error.at, error.length = tree.at, len(tree.name)
                        if error.code == "bad-argument":
                            error.message = f"{tree.name}: {error.message}"
                    raise


def first_unknown(value: Value | Unknown) -> Unknown | None:
    """The value itself or something in it, when that is unknown."""
    match value:
        case Unknown():
            return value
        case list() | dict():
            inner = value if isinstance(value, list) else value.values()
            return next((found for one in inner if (found := first_unknown(one)) is not None), None)
        case _:
            return None


def _access(tree: Access, scope: Scope) -> Value | Unknown:
    target, key = interpret(tree.target, scope), interpret(tree.key, scope)
    if isinstance(target, Unknown):
        return target
    if isinstance(key, Unknown):
        return key
    if isinstance(target, dict) and isinstance(key, str):
        name = find(target, key)
        if name is not None:
            return target[name]
        if tree.safe:
            return None
        meant = suggest(key, target)
        hint = f"did you mean '{meant}'?" if meant else "there is: " + (", ".join(target) or "nothing")
        raise ExpressionError("no-such-property", f"there is no property '{key}'", hint=hint, at=tree.key.at,
                              length=len(key))  # fmt: skip
    if isinstance(target, list) and isinstance(key, int):
        if 0 <= key < len(target):
            return target[key]
        if tree.safe:
            return None
        message = f"there is no item {key}: the array has {len(target)}"
        raise ExpressionError("no-such-property", message, at=tree.key.at)
    if tree.safe and target is None:
        return None
    raise ExpressionError("no-such-property", f"'{key}' cannot be looked up in this value", at=tree.at)


def _call(call: Call, scope: Scope) -> Value | Unknown:
    name = call.name.lower()
    if call.namespace:
        return scope.deployment.own_function(
            call.namespace, call.name, [interpret(one, scope) for one in call.arguments]
        )
    if lazy := _LAZY_BY_NAME.get(name):
        return lazy(call, scope)
    if name in _AT_RUN_TIME or name.startswith("list"):
        return Unknown(f"{call.name}() asks Azure when the template is deployed")
    arguments = [interpret(one, scope) for one in call.arguments]
    if surrounding := _SURROUNDINGS_BY_NAME.get(name):
        _check_arity(call, surrounding, implied=1)
        doubt = next((one for one in arguments if isinstance(one, Unknown)), None)
        return doubt if doubt is not None else surrounding(scope.deployment.context, *arguments)
    if name == "deployment":
        return {"name": scope.deployment.name, "properties": {}, "location": scope.deployment.context.location}
    function = FUNCTIONS.get(name)
    if function is None:
        meant = suggest(call.name, [*NAMES, *_LAZY, *SURROUNDINGS, "reference"])
        hint = f"did you mean '{meant}'?" if meant else "it is no function of ARM templates"
        raise ExpressionError("unknown-function", f"there is no function '{call.name}'", hint=hint)
    _check_arity(call, function)
    for one in arguments:
        if isinstance(one, Unknown):
            if name in {"createarray", "createobject"}:
                continue
            return one
        if name not in TRANSPARENT and (doubt := first_unknown(one)) is not None:
            return doubt
    return function(*arguments)


@cache
def _arity(function: Callable[..., Any]) -> tuple[int, int]:
    kinds = [one for one in inspect.signature(function).parameters.values() if one.kind is not one.KEYWORD_ONLY]
    least = sum(1 for one in kinds if one.default is one.empty and one.kind is not one.VAR_POSITIONAL)
    return least, 10_000 if any(one.kind is one.VAR_POSITIONAL for one in kinds) else len(kinds)


def _check_arity(call: Call, function: Callable[..., Any], implied: int = 0) -> None:
    least, most = (bound - implied for bound in _arity(function))
    if not least <= len(call.arguments) <= most:
        wanted = str(least) if least == most else f"at least {least}" if most > 1000 else f"{least} to {most}"
        raise wrong(f"takes {wanted} arguments, not {len(call.arguments)}")


# --- functions that do not evaluate all their arguments ---


def _if(call: Call, scope: Scope) -> Value | Unknown:
    _need(call, 3)
    condition = interpret(call.arguments[0], scope)
    if isinstance(condition, Unknown):
        return condition
    return interpret(call.arguments[1 if truth(condition) else 2], scope)


def _all_or_any(stop: bool) -> Callable[[Call, Scope], Value | Unknown]:
    def function(call: Call, scope: Scope) -> Value | Unknown:
        doubt: Unknown | None = None
        for argument in call.arguments:
            value = interpret(argument, scope)
            if isinstance(value, Unknown):
                doubt = value
            elif truth(value) is stop:
                return stop
        return doubt if doubt is not None else not stop

    return function


def _coalesce(call: Call, scope: Scope) -> Value | Unknown:
    for argument in call.arguments:
        if (value := interpret(argument, scope)) is not None:
            return value
    return None


def _named(call: Call, scope: Scope) -> str | Unknown:
    _need(call, 1)
    name = interpret(call.arguments[0], scope)
    return name if isinstance(name, Unknown) else text(name)


def _parameters(call: Call, scope: Scope) -> Value | Unknown:
    name = _named(call, scope)
    return name if isinstance(name, Unknown) else scope.deployment.parameter(name)


def _variables(call: Call, scope: Scope) -> Value | Unknown:
    name = _named(call, scope)
    return name if isinstance(name, Unknown) else scope.deployment.variable(name)


def _copy_index(call: Call, scope: Scope) -> Value | Unknown:
    arguments = [interpret(one, scope) for one in call.arguments]
    loop = str(arguments.pop(0)) if arguments and isinstance(arguments[0], str) else ""
    offset = number(arguments[0]) if arguments else 0
    if loop.lower() not in scope.loops:
        message = f"there is no copy loop '{loop}' around this" if loop else "there is no copy loop around this"
        raise ExpressionError("no-such-loop", message)
    return scope.loops[loop.lower()] + offset


def _lambda_variables(call: Call, scope: Scope) -> Value | Unknown:
    name = _named(call, scope)
    if isinstance(name, str) and name not in scope.locals:
        raise ExpressionError("no-such-variable", f"there is no lambda variable '{name}'")
    return name if isinstance(name, Unknown) else scope.locals[name]


def _closure(argument: Expression, scope: Scope) -> Callable[..., Value | Unknown]:
    if not isinstance(argument, Call) or argument.name.lower() != "lambda" or not argument.arguments:
        raise wrong("a lambda is expected")
    *names, body = argument.arguments
    words = [one.value for one in names if isinstance(one, Literal) and isinstance(one.value, str)]

    def function(*values: Value | Unknown) -> Value | Unknown:
        bound = dict(zip(words, values, strict=False))
        return interpret(body, Scope(scope.deployment, scope.loops, {**scope.locals, **bound}))

    return function


def _over(call: Call, scope: Scope, *counts: int) -> tuple[list[Value] | Unknown, list[Expression]]:
    if len(call.arguments) not in counts:
        raise wrong(f"takes {' or '.join(map(str, counts))} arguments, not {len(call.arguments)}")
    first = interpret(call.arguments[0], scope)
    if not isinstance(first, Unknown | list):
        raise wrong("an array is expected")
    return first, list(call.arguments[1:])


def _map(call: Call, scope: Scope) -> Value | Unknown:
    values, rest = _over(call, scope, 2)
    function = _closure(rest[0], scope)
    return values if isinstance(values, Unknown) else [function(one, index) for index, one in enumerate(values)]


def _filter(call: Call, scope: Scope) -> Value | Unknown:
    values, rest = _over(call, scope, 2)
    function = _closure(rest[0], scope)
    if isinstance(values, Unknown):
        return values
    verdicts = [function(one, index) for index, one in enumerate(values)]
    doubt = next((one for one in verdicts if isinstance(one, Unknown)), None)
    return doubt or [one for one, verdict in zip(values, verdicts, strict=True) if truth(verdict)]


def _reduce(call: Call, scope: Scope) -> Value | Unknown:
    values, rest = _over(call, scope, 3)
    result = interpret(rest[0], scope)
    function = _closure(rest[1], scope)
    if isinstance(values, Unknown):
        return values
    for index, one in enumerate(values):
        result = function(result, one, index)
    return result


def _to_object(call: Call, scope: Scope) -> Value | Unknown:
    values, rest = _over(call, scope, 2, 3)
    key, value = _closure(rest[0], scope), _closure(rest[-1], scope) if len(rest) > 1 else (lambda one: one)
    if isinstance(values, Unknown):
        return values
    keys = [key(one) for one in values]
    doubt = next((one for one in keys if isinstance(one, Unknown)), None)
    return doubt or {text(name): value(one) for name, one in zip(keys, values, strict=True)}


def _utc_now(call: Call, scope: Scope) -> Value | Unknown:
    form = interpret(call.arguments[0], scope) if call.arguments else ""
    return form if isinstance(form, Unknown) else scope.deployment.now(text(form))


def _new_guid(call: Call, scope: Scope) -> Value | Unknown:
    _need(call, 0)
    return scope.deployment.new_guid()


def _need(call: Call, count: int) -> None:
    if len(call.arguments) != count:
        raise wrong(f"takes {count} arguments, not {len(call.arguments)}")


_LAZY: Mapping[str, Callable[[Call, Scope], Value | Unknown]] = {
    "if": _if,
    "and": _all_or_any(stop=False),
    "or": _all_or_any(stop=True),
    "coalesce": _coalesce,
    "parameters": _parameters,
    "variables": _variables,
    "copyIndex": _copy_index,
    "lambdaVariables": _lambda_variables,
    "map": _map,
    "filter": _filter,
    "reduce": _reduce,
    "toObject": _to_object,
    "utcNow": _utc_now,
    "newGuid": _new_guid,
}
_LAZY_BY_NAME = {name.lower(): function for name, function in _LAZY.items()}
_SURROUNDINGS_BY_NAME = {name.lower(): function for name, function in SURROUNDINGS.items()}

_AT_RUN_TIME = frozenset(
    {"reference", "references", "pickzones", "providers", "getsecret", "managementgroup", "tenant", "resourceinfo"}
)

"""The meaning of expressions: calls, access, lambdas, and the functions that look at where they stand."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Protocol

from imagewright.core.unknown import Unknown
from imagewright.template import functions
from imagewright.template.context import ArmContext
from imagewright.template.effort import Effort
from imagewright.template.expressions import Access, Call, Expression, ExpressionError, Literal
from imagewright.template.names import MOST_LOOKED_AT, hint_for, suggest
from imagewright.template.surroundings import SURROUNDINGS
from imagewright.template.values import Value, find, number, text, truth, wrong


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

    def derived(self, function: str, arguments: Sequence[Value], result: Value) -> None: ...

    def now(self, form: str) -> str: ...

    def new_guid(self) -> str: ...


@dataclass(frozen=True)
class Scope:
    """Where an expression stands. `loops` maps the names of copy loops to their index; `""` is the resource's."""

    deployment: Deployment
    loops: Mapping[str, int] = field(default_factory=dict)
    locals: Mapping[str, Value | Unknown] = field(default_factory=dict)

    def with_loop(self, name: str, index: int) -> Scope:
        return Scope(self.deployment, {**self.loops, name.lower(): index}, self.locals)


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
                    return _call(tree, scope)
                except ExpressionError as error:
                    if not error.at:
                        error.at, error.length = tree.at, len(tree.name)
                        if error.code == "bad-argument":
                            error.message = f"{tree.name}: {error.message}"
                            error.hint = error.hint or _usage(tree.name)
                    raise


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
        scope.deployment.effort.spend(min(len(target), MOST_LOOKED_AT))
        raise ExpressionError("no-such-property", f"there is no property '{key}'", hint=hint_for(key, target),
                              at=tree.key.at, length=len(key))  # fmt: skip
    if isinstance(target, list) and isinstance(key, int):
        if 0 <= key < len(target):
            return target[key]
        if tree.safe:
            return None
        message = f"there is no item {key}: the array has {len(target)}"
        raise ExpressionError("no-such-property", message, hint="the first is 0", at=tree.key.at)
    if tree.safe and target is None:
        return None
    hint = "names are looked up in objects, numbers in arrays"
    raise ExpressionError("no-such-property", f"'{key}' cannot be looked up in this value", hint=hint, at=tree.at)


def _call(call: Call, scope: Scope) -> Value | Unknown:
    name = call.name.lower()
    deployment = scope.deployment
    if call.namespace:
        return deployment.own_function(call.namespace, call.name, [interpret(one, scope) for one in call.arguments])
    if lazy := _LAZY_BY_NAME.get(name):
        return lazy(call, scope)
    if name in _AT_RUN_TIME or name.startswith("list"):
        return Unknown(f"{call.name}() asks Azure when the template is deployed")
    if surrounding := _SURROUNDINGS_BY_NAME.get(name):
        _check_arity(call, surrounding, implied=1)
        arguments = [interpret(one, scope) for one in call.arguments]
        doubt = next((one for one in arguments if isinstance(one, Unknown)), None)
        return doubt if doubt is not None else surrounding(deployment.context, *arguments)
    function = functions.FUNCTIONS.get(name)
    if function is None:
        meant = suggest(call.name, _KNOWN)
        hint = f"did you mean '{meant}'?" if meant else "it is no function of ARM templates"
        raise ExpressionError("unknown-function", f"there is no function '{call.name}'", hint=hint)
    _check_arity(call, function)
    arguments = [_argument(one, scope) for one in call.arguments]
    deployment.effort.spend(sum(len(one) >> 3 for one in arguments if isinstance(one, list | dict)))
    value = deployment.effort.weigh(functions.call(name, arguments))
    if name in functions.OF_TEXTS:
        deployment.derived(call.name, arguments, value)
    return value


def _argument(tree: Expression, scope: Scope) -> Value | Unknown:
    """The value of an argument; of a lambda, a callable."""
    if not isinstance(tree, Call) or tree.namespace or tree.name.lower() != "lambda" or not tree.arguments:
        return interpret(tree, scope)
    *names, body = tree.arguments
    words = [one.value for one in names if isinstance(one, Literal) and isinstance(one.value, str)]

    def function(*values: Value | Unknown) -> Value | Unknown:
        bound = dict(zip(words, values, strict=False))
        return interpret(body, Scope(scope.deployment, scope.loops, {**scope.locals, **bound}))

    return function


@cache
def _arity(function: Callable[..., Any]) -> tuple[int, int]:
    kinds = [one for one in inspect.signature(function).parameters.values() if one.kind is not one.KEYWORD_ONLY]
    least = sum(1 for one in kinds if one.default is one.empty and one.kind is not one.VAR_POSITIONAL)
    return least, 10_000 if any(one.kind is one.VAR_POSITIONAL for one in kinds) else len(kinds)


@cache
def _usage(name: str) -> str:
    """How a function is called, or `""`: for those that do not evaluate all their arguments nobody asks."""
    function = functions.FUNCTIONS.get(name.lower())
    if function is None:
        return f"see the reference of ARM's template functions for {name}"
    words = [
        f"{one.name}..."
        if one.kind is one.VAR_POSITIONAL
        else one.name
        if one.default is one.empty
        else f"[{one.name}]"
        for one in inspect.signature(function).parameters.values()
        if one.kind is not one.KEYWORD_ONLY
    ]
    return f"{name} is called like this: {name}({', '.join(words)})"


def _check_arity(call: Call, function: Callable[..., Any], implied: int = 0) -> None:
    least, most = (bound - implied for bound in _arity(function))
    if not least <= len(call.arguments) <= most:
        bound = f"at most {most}" if len(call.arguments) > most else f"at least {least}"
        wanted = str(least) if least == most else bound if most > 1000 else f"{least} to {most}"
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
        if not call.arguments:
            raise wrong("takes at least 1 argument, not 0")
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
    if len(call.arguments) > 2:
        raise wrong(f"takes 0 to 2 arguments, not {len(call.arguments)}")
    arguments = [interpret(one, scope) for one in call.arguments]
    loop = str(arguments.pop(0)) if arguments and isinstance(arguments[0], str) else ""
    offset = number(arguments[0]) if arguments else 0
    if loop.lower() not in scope.loops:
        which = f"'{loop}'" if loop else "of the resource"
        message = f"there is no copy loop {which} around this"
        around = ", ".join(f"copyIndex('{one}')" for one in scope.loops if one)
        hint = f"there is: {around}" if around else "add 'copy' to the resource, or take copyIndex() away"
        raise ExpressionError("no-such-loop", message, hint=hint)
    return scope.loops[loop.lower()] + offset


def _lambda_variables(call: Call, scope: Scope) -> Value | Unknown:
    name = _named(call, scope)
    if isinstance(name, str) and name not in scope.locals:
        hint = "there is: " + (", ".join(scope.locals) or "none, this is outside of lambdas")
        raise ExpressionError("no-such-variable", f"there is no lambda variable '{name}'", hint=hint)
    return name if isinstance(name, Unknown) else scope.locals[name]


def _deployment(call: Call, scope: Scope) -> Value | Unknown:
    _need(call, 0)
    unknown = Unknown("deployment() asks Azure when the template is deployed")
    properties = {"template": unknown, "templateLink": unknown, "parameters": unknown, "mode": unknown}
    return {
        "name": scope.deployment.name,
        "location": scope.deployment.context.location or Unknown("the location of the deployment is not known"),
        "properties": {**properties, "templateHash": unknown, "provisioningState": unknown},
    }


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
    "deployment": _deployment,
    "lambdaVariables": _lambda_variables,
    "utcNow": _utc_now,
    "newGuid": _new_guid,
}
_LAZY_BY_NAME = {name.lower(): function for name, function in _LAZY.items()}
_SURROUNDINGS_BY_NAME = {name.lower(): function for name, function in SURROUNDINGS.items()}

_AT_RUN_TIME = frozenset(
    {"externalinput", "getsecret", "managementgroup", "managementgroupresourceid", "pickzones", "providers"}
    | {"reference", "references", "resourceinfo", "tenant"}
    | {"tologicalzone", "tologicalzones", "tophysicalzone", "tophysicalzones"}
)
_KNOWN = [*functions.NAMES, *_LAZY, *SURROUNDINGS, "reference", "pickZones", "toLogicalZone"]

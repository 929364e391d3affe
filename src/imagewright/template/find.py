"""Where the image templates are: the file itself is one, or a deployment template holds some."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from imagewright.core.secret import Mask
from imagewright.core.unknown import REPORTED, Unknown
from imagewright.template.context import ArmContext
from imagewright.template.evaluate import Template
from imagewright.template.expressions import ExpressionError, Literal, is_expression, parse
from imagewright.template.interpret import Scope
from imagewright.template.located import Located, as_written
from imagewright.template.parameters import Supplied, supplied, undeclared
from imagewright.template.report import Report
from imagewright.template.resource_types import DEPLOYMENT, TRIGGER, is_image_template
from imagewright.template.session import Session
from imagewright.template.source import Document, escape

_NOT_EVALUATED = frozenset({"copy", "condition", "dependsOn", "resources", "comments", "scope", "metadata"})


@dataclass(frozen=True, slots=True)
class Found:
    """An image template, and where it would be deployed.

    `is_body`: the file is nothing else, so name, location and api-version may be left out.
    """

    located: Located
    context: ArmContext
    is_body: bool

    @property
    def version(self) -> str | Unknown:
        """The api-version it speaks; `""` is the newest."""
        data = self.located.data
        version = data.get("apiVersion", "") if isinstance(data, dict) else ""
        return version if isinstance(version, str | Unknown) else ""


def find(
    document: Document, parameters: str | None, overrides: Mapping[str, str], context: ArmContext, report: Report
) -> tuple[list[Found], Mask]:
    """Every image template of a document, evaluated, and the mask of its secrets."""
    data = document.data
    given, lost = supplied(parameters, overrides, report)
    if isinstance(data, dict) and ("properties" in data or is_image_template(data.get("type"))):
        undeclared(given, {}, report)
        return [Found(_body(document, data, report), context, is_body=True)], Mask()
    if isinstance(data, dict) and isinstance(data.get("resources"), list | dict):
        session = Session(report, values_lost=lost)
        undeclared(given, data, report)
        template = Template(document, data, "", given, context, session, "imagewright")
        found = list(_resources(template, data["resources"], "/resources", Scope(template)))
        template.check_given()
        if not found and not report.failed:
            _none(session, document)
        return found, session.mask
    hint = "expected is what `az image builder create --image-template` takes, or an ARM deployment template"
    if isinstance(data, dict) and "deploymentParameters" in str(data.get("$schema", "")):
        hint = "this is a parameters file: give it with --parameters, beside the template"
    elif isinstance(data, dict) and "source" in data and "distribute" in data:
        hint = 'put all of it into "properties": { ... }'
    report.error("no-image-template", "there is no image template in this file", document.origin(), hint)
    return [], Mask()


def _none(session: Session, document: Document) -> None:
    """Say why there is no image template in a deployment."""
    if session.switched_off:
        hint = "give the parameters that turn it on with --set or --parameters"
        message = "every image template is switched off: by its condition, or by a copy loop that turns zero times"
        session.report.unknown("switched-off", message, session.switched_off[0], hint)
    else:
        hint = "a resource of the type Microsoft.VirtualMachineImages/imageTemplates is expected"
        session.report.error("no-image-template", "no image template is in this deployment",
                             document.origin("/resources", key=True), hint)  # fmt: skip


def _body(document: Document, data: dict[str, object], report: Report) -> Located:
    """A bare body. Nobody evaluates expressions in it: they are reported where they are met."""

    def visit(value: object, pointer: str) -> object:
        if isinstance(value, dict):
            return {key: visit(item, f"{pointer}/{escape(key)}") for key, item in value.items()}
        if isinstance(value, list):
            return [visit(item, f"{pointer}/{index}") for index, item in enumerate(value)]
        if isinstance(value, str) and is_expression(value) and _is_call(value):
            hint = "expressions need a deployment template around them: parameters, variables, resources"
            report.error("expression-outside-deployment", "this expression would not be evaluated",
                         document.origin(pointer), hint)  # fmt: skip
            return REPORTED
        return value

    return as_written(document, visit(data, ""), "")


def _is_call(text: str) -> bool:
    try:
        return not isinstance(parse(text), Literal)
    except ExpressionError:
        return False


def _resources(template: Template, resources: object, pointer: str, outside: Scope) -> Iterator[Found]:
    """The image templates among the resources at `pointer`: a list, or an object of symbolic names."""
    for key, resource in _members(resources):
        place = f"{pointer}/{escape(str(key))}"
        if isinstance(resource, dict) and resource.get("existing") is not True:
            for scope in _copies(template, resource, place, outside):
                if template.effort.exhausted:
                    return
                yield from _resource(template, resource, place, scope)


def _copies(template: Template, resource: Mapping[str, object], pointer: str, scope: Scope) -> Iterator[Scope]:
    """The scope of each copy of a resource; a single one when there is no copy loop, or nobody knows its count."""
    loop = resource.get("copy")
    kind = template.evaluate(resource.get("type"), f"{pointer}/type", scope).data
    if not isinstance(loop, dict) or not _is_ours(kind):
        yield scope
        return
    count = template.count(loop, f"{pointer}/copy", scope)
    if count == 0:
        template.session.switched_off.append(template.document.origin(f"{pointer}/copy/count"))
    for index in range(1 if isinstance(count, Unknown) else count):
        yield scope.with_loop(str(loop.get("name", "")), index).with_loop("", index)


def _is_ours(kind: object) -> bool:
    return is_image_template(kind) or (isinstance(kind, str) and kind.lower() == DEPLOYMENT)


def _resource(template: Template, resource: Mapping[str, object], pointer: str, scope: Scope) -> Iterator[Found]:
    kind = template.evaluate(resource.get("type"), f"{pointer}/type", scope).data
    if isinstance(kind, str) and kind.lower() == TRIGGER:
        _ignore_trigger(template, pointer)
    if not _is_ours(kind):
        return
    if (
        "condition" in resource
        and template.evaluate(resource["condition"], f"{pointer}/condition", scope).data is False
    ):
        template.session.switched_off.append(template.document.origin(f"{pointer}/condition"))
        return
    if is_image_template(kind):
        for key, inner in _members(resource.get("resources")):
            if isinstance(inner, dict) and str(inner.get("type", "")).lower() in ("triggers", TRIGGER):
                _ignore_trigger(template, f"{pointer}/resources/{escape(str(key))}")
        wanted = {key: value for key, value in resource.items() if key not in _NOT_EVALUATED}
        yield Found(template.evaluate(wanted, pointer, scope), template.context, is_body=False)
    else:
        yield from _nested(template, resource, pointer, scope)


def _ignore_trigger(template: Template, pointer: str) -> None:
    template.session.report.warning(
        "ignored",
        "a trigger is what the Azure service does with a template; nothing here does it",
        template.document.origin(pointer),
        "start builds on a schedule of the runner, with `when: source-changed`",
    )


def _members(resources: object) -> Iterable[tuple[object, object]]:
    """What is in a list of resources, or in an object of symbolic names."""
    if isinstance(resources, dict):
        return resources.items()
    return enumerate(resources if isinstance(resources, list) else [])


def _nested(outer: Template, resource: Mapping[str, object], pointer: str, scope: Scope) -> Iterator[Found]:
    """The image templates of a deployment in a deployment, in which `inner` expressions are its own."""
    properties = resource.get("properties")
    properties = properties if isinstance(properties, dict) else {}
    data = properties.get("template")
    place = f"{pointer}/properties/template"
    report = outer.session.report
    if not isinstance(data, dict):
        if "templateLink" in properties:
            where = outer.document.origin(f"{pointer}/properties/templateLink", key=True)
            hint = "give the linked template itself"
            report.warning("linked-template", "image templates in a linked template are not seen", where, hint)
        return
    options = properties.get("expressionEvaluationOptions")
    if not isinstance(options, dict) or str(options.get("scope", "")).lower() != "inner":
        yield from _resources(outer, data.get("resources"), f"{place}/resources", scope)
        return
    given = _given(outer, properties.get("parameters"), f"{pointer}/properties/parameters", scope)
    undeclared(given, data, report)
    name = outer.evaluate(resource.get("name"), f"{pointer}/name", scope).data
    inner = Template(
        outer.document,
        data,
        place,
        given,
        _context(outer, resource, pointer, scope),
        outer.session,
        name if isinstance(name, str) else outer.name,
    )
    yield from _resources(inner, data.get("resources"), f"{place}/resources", Scope(inner))


def _given(outer: Template, values: object, pointer: str, scope: Scope) -> dict[str, Supplied]:
    """The parameters of a nested deployment, evaluated where they are given."""
    result = {}
    for name, entry in values.items() if isinstance(values, dict) else ():
        place = f"{pointer}/{escape(name)}"
        if isinstance(entry, dict) and "value" in entry:
            located = outer.evaluate(entry["value"], f"{place}/value", scope)
            result[name.lower()] = Supplied(located.data, located.origin(), located)
        else:
            unknown = Unknown(f"the parameter '{name}' is in a key vault")
            result[name.lower()] = Supplied(unknown, outer.document.origin(place, key=True))
    return result


def _context(outer: Template, resource: Mapping[str, object], pointer: str, scope: Scope) -> ArmContext:
    """Where a nested deployment goes: it may name another subscription or resource group."""

    def named(key: str, otherwise: str) -> str:
        if key not in resource:
            return otherwise
        value = outer.evaluate(resource[key], f"{pointer}/{key}", scope).data
        return value if isinstance(value, str) else ""

    context = outer.context
    return replace(
        context,
        subscription_id=named("subscriptionId", context.subscription_id),
        resource_group=named("resourceGroup", context.resource_group),
    )

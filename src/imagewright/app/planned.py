"""From an order to the one plan that it speaks of, with what its options override."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from imagewright.app.order import Order
from imagewright.app.settings import home_of, settings_of, with_whereabouts, writer
from imagewright.core.clock import SystemClock
from imagewright.core.errors import OptionsError, TemplateError
from imagewright.core.events import Diagnosed
from imagewright.core.unknown import UNKNOWN_LOCATION
from imagewright.options import Options

if TYPE_CHECKING:
    from imagewright.core.errors import Diagnostic
    from imagewright.core.plan import Plan
    from imagewright.core.secret import Mask
    from imagewright.render.redact import Redact
    from imagewright.template import ArmContext


def planned(order: Order, show: Redact) -> Plan:
    """The one plan that the order speaks of. `show` learns the secrets of the template, also of a wrong one."""
    chosen, warnings = _located(order, show.learn)
    for warning in warnings:
        show(Diagnosed(warning))
    chosen = _overridden(chosen, order.options)
    return order.prepare(chosen) if order.prepare else chosen


def _located(order: Order, learn: Callable[[Mask], None]) -> tuple[Plan, tuple[Diagnostic, ...]]:
    """Whoever writes the targets is asked for the location of the resource group, if a template cannot do without."""
    from imagewright.platforms import locator

    options = order.options
    try:
        return _compiled(order, learn)
    except TemplateError as error:
        asked = any(found.code == UNKNOWN_LOCATION for found in error.diagnostics)
        find = locator(writer(options)) if asked and options.resource_group else None
        if find is None:
            raise
    location = find(settings_of(options, home_of(options) / "builds", order.sign_in), SystemClock())
    return _compiled(replace(order, options=replace(options, location=location)), learn)


def _compiled(order: Order, learn: Callable[[Mask], None]) -> tuple[Plan, tuple[Diagnostic, ...]]:
    from imagewright.template import plans

    options = order.options
    try:
        found, warnings = plans(
            options.template,
            text=given(options.template, order.stdin),
            parameters_file=str(options.parameters) if options.parameters else None,
            overrides=dict(options.overrides),
            context=context_of(with_whereabouts(options)),
            directory=order.directory,
        )
    except TemplateError as error:
        learn(error.mask)
        raise
    for each in found:
        learn(each.mask)
    return _chosen(found, options.name), warnings


def _chosen(found: Sequence[Plan], name: str) -> Plan:
    named = [each for each in found if not name or each.name == name]
    if len(named) == 1:
        return named[0]
    names = ", ".join(f"`{each.name}`" for each in found)
    if not named:
        raise OptionsError(f"the file has no image template `{name}`", hint=f"it has {names}")
    raise OptionsError(f"the file has {len(named)} image templates", hint=f"choose one with `--name`: {names}")


def _overridden(plan: Plan, options: Options) -> Plan:
    from imagewright.core.plan import DiskFile

    if options.source_disk is not None:
        if not options.source_disk.is_file():
            raise OptionsError(f"`--source-disk`: there is no file {options.source_disk}", hint="check the path")
        plan = replace(plan, source=DiskFile(str(options.source_disk.resolve())))
    if options.on_error is not None:
        plan = replace(plan, on_customizer_error=options.on_error, on_validation_error=options.on_error)
    if options.timeout is not None:
        plan = replace(plan, timeout=options.timeout * 60.0)
    return plan


def foreseen(options: Options) -> Plan | None:
    """The plan, as far as it can be made of the template before anybody has signed in; nothing is said of errors."""
    try:
        return _compiled(Order(options), lambda _: None)[0]
    except (TemplateError, OptionsError):
        return None


def given(file: str, stdin: bytes) -> bytes | None:
    return stdin if file == "-" else None


def context_of(options: Options) -> ArmContext:
    from imagewright.template import ArmContext

    return ArmContext(
        subscription_id=options.subscription,
        resource_group=options.resource_group,
        location=options.location,
        cloud=options.cloud,
    )

"""Content first: every URI of a plan is read, checked and staged before anything is created or hashed."""

from __future__ import annotations

import contextlib
import dataclasses
import threading
from collections import deque
from concurrent.futures import Future, wait

from imagewright.core.actions import Action, Content, Remote, Run, Staged, Upload
from imagewright.core.clock import MOMENT, Deadline
from imagewright.core.errors import ImagewrightError
from imagewright.core.plan import Plan, Step
from imagewright.core.ports import Staging

AT_ONCE = 8


def stage(plan: Plan, staging: Staging, deadline: Deadline) -> Plan:
    """The same plan with every `Remote` replaced by the `Staged` that was read for it.

    Raises FetchError with the place in the template of the step that wanted it.
    """
    wanted = {remote: step.origin for step in (*plan.steps, *plan.validation.steps) for remote in _remotes(step)}
    workload = plan.optimization.workload
    if isinstance(workload, Remote):
        wanted[workload] = plan.optimization.workload_origin or plan.origin
    staged: dict[Remote, Staged] = {}
    for remote, future in _fetching(tuple(wanted), staging, deadline).items():
        try:
            while not future.done():
                wait([future], MOMENT)
                deadline.check()
            staged[remote] = future.result()
        except ImagewrightError as error:
            error.origin = error.origin or wanted[remote]
            raise
    return dataclasses.replace(
        plan,
        steps=tuple(_step(step, staged) for step in plan.steps),
        validation=dataclasses.replace(
            plan.validation, steps=tuple(_step(step, staged) for step in plan.validation.steps)
        ),
        optimization=dataclasses.replace(
            plan.optimization, workload=None if workload is None else _content(workload, staged)
        ),
    )


def _fetching(remotes: tuple[Remote, ...], staging: Staging, deadline: Deadline) -> dict[Remote, Future[Staged]]:
    """Fetches in the background. A server that does not answer holds nobody up: no thread of these is waited for."""
    futures: dict[Remote, Future[Staged]] = {remote: Future() for remote in remotes}
    left = deque(futures.items())

    def work() -> None:
        while left and not deadline.stop.is_set():
            with contextlib.suppress(IndexError):
                remote, future = left.popleft()
                try:
                    future.set_result(staging.fetch(remote, deadline))
                except BaseException as error:  # noqa: BLE001 - handed over to whoever asks for the result
                    future.set_exception(error)

    for number in range(min(AT_ONCE, len(remotes))):
        threading.Thread(target=work, name=f"fetch-{number}", daemon=True).start()
    return futures


def _remotes(step: Step) -> list[Remote]:
    contents = [content for action in step.actions for content in _contents(action)]
    return [content for content in contents if isinstance(content, Remote)]


def _contents(action: Action) -> tuple[Content, ...]:
    match action:
        case Run():
            return (action.script,)
        case Upload():
            return (action.content,)
        case _:
            return ()


def _step(step: Step, staged: dict[Remote, Staged]) -> Step:
    return dataclasses.replace(step, actions=tuple(_action(action, staged) for action in step.actions))


def _action(action: Action, staged: dict[Remote, Staged]) -> Action:
    match action:
        case Run():
            return dataclasses.replace(action, script=_content(action.script, staged))
        case Upload():
            return dataclasses.replace(action, content=_content(action.content, staged))
        case _:
            return action


def _content(content: Content, staged: dict[Remote, Staged]) -> Content:
    return staged[content] if isinstance(content, Remote) else content

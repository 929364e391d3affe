"""The resource group of one build: our own, or the template's `stagingResourceGroup` by AIB's rules."""

from __future__ import annotations

import threading
from datetime import datetime, timedelta
from typing import Any

from imagewright.core.clock import Clock, Deadline
from imagewright.core.errors import PlatformError
from imagewright.core.ownership import Owned, Owner
from imagewright.core.plan import Plan
from imagewright.core.resource_id import parse_resource_id
from imagewright.platforms.azure import names
from imagewright.platforms.azure.arm import Arm, Json
from imagewright.platforms.azure.choices import AzureChoices
from imagewright.platforms.azure.deletion import BUILD, GROUP
from imagewright.platforms.azure.place import Place
from imagewright.platforms.azure.sources import region

SLACK = timedelta(hours=2)
"""How long after its timeout a build's group may still be there, before anybody's `cleanup` may take it."""

CREATED, TAKEN = 201, 200
TEMPLATE, TEMPLATE_GROUP = "imageTemplateName", "imageTemplateResourceGroupName"


class StagingGroup:
    """Opened once per build, by whoever needs it first."""

    def __init__(self, arm: Arm, choices: AzureChoices, build_id: str, clock: Clock) -> None:
        self._arm = arm
        self._choices = choices
        self._build_id = build_id
        self._clock = clock
        self._lock = threading.Lock()
        self._open: Place | None = None
        self.owned: Owned | None = None

    def place(self, plan: Plan, owner: Owner, deadline: Deadline) -> Place:
        with self._lock:
            if self._open is None:
                self._open = self._make(plan, owner, deadline)
            return self._open

    def close(self) -> Owned | None:
        """Nothing more is put into the group: it may go now. A later `place` makes another one, of another name; so
        one whose name was given stays open, and None is returned: while it goes its name cannot be had."""
        with self._lock:
            if self.owned is None or self.owned.kind != GROUP or self.owned.detail:
                return None
            self._open, owned, self.owned = None, self.owned, None
            return owned

    def _make(self, plan: Plan, owner: Owner, deadline: Deadline) -> Place:
        tags = self.tags(plan)
        given = parse_resource_id(plan.azure.staging_resource_group)
        if given is not None:
            found = self._existing(given.resource_group, deadline)
            if found is not None and not self._left_over(found, plan):
                return self._shared(found, plan, tags, owner)
            return self._own(given.resource_group, plan, tags, owner, deadline, fresh=found is None)
        name = names.staging_group(plan.azure.resource_group, plan.name)
        return self._own(name, plan, tags, owner, deadline)

    def _own(
        self, name: str, plan: Plan, tags: tuple[tuple[str, str], ...], owner: Owner, deadline: Deadline,
        *, fresh: bool | None = None,
    ) -> Place:  # fmt: skip
        """Make a group that goes with the build. `fresh`, where the name is one that other builds may give too:
        whether nothing was there. What of such a group is deleted is looked at first: see Deletion."""
        place = Place(self._arm.subscription, name, plan.machine.location, tags)
        owned = owner.own(Owned("azure", GROUP, place.id, "" if fresh is None else self._build_id))
        marks = {"createdBy": "Imagewright", TEMPLATE: plan.name, TEMPLATE_GROUP: plan.azure.resource_group}
        if self._put(place, dict(tags) | marks, deadline) == TAKEN and fresh:
            owner.release(owned)
            raise PlatformError(
                f"another build made the staging group {name} at the same moment, and deletes it at its end",
                hint="let it end, or make the group yourself: then builds can share it",
                origin=plan.origin,
            )
        self.owned = owned
        return place

    def _left_over(self, group: Json, plan: Plan) -> bool:
        """Whether a build that is over made the group: it becomes ours. One that runs deletes it at its end."""
        marks = group.get("tags") or {}
        if marks.get(names.BUILD) in (None, self._build_id):
            return False
        expires = names.moment(str(marks.get(names.EXPIRES, "")))
        if expires is None or expires > self._clock.now():
            raise PlatformError(
                f"the build {marks[names.BUILD]} uses the staging group {group['name']}, and deletes it at its end",
                hint="let it end (or `imagewright cleanup`), or make the group yourself: then builds can share it",
                origin=plan.origin,
            )
        refuse_foreign(group, plan)
        return True

    def _existing(self, name: str, deadline: Deadline) -> Json | None:
        found: Json | None = self._arm.find(
            f"looking up the staging group {name}", deadline, lambda c, k: c.resources.resource_groups.get(name, **k)
        )
        return found

    def _shared(self, group: Json, plan: Plan, tags: tuple[tuple[str, str], ...], owner: Owner) -> Place:
        """The group stays as it is, its tags too: they are AIB's lock. What the build puts into it goes, found by the
        build's tag."""
        refuse_foreign(group, plan)
        place = Place(self._arm.subscription, group["name"], plan.machine.location, tags, ours=False)
        self.owned = owner.own(Owned("azure", BUILD, place.id, self._build_id))
        return place

    def _put(self, place: Place, tags: dict[str, str], deadline: Deadline) -> int:
        """The status of the answer: 201, or TAKEN where the group was there. An answer that came only after a retry
        counts as 201: it may speak of the group that the first attempt made."""
        body = {
            "location": place.location,
            "tags": {name: names.tag(text) for name, text in tags.items()},
        }

        def status(answer: Any, _group: object, _headers: object) -> int:
            again = bool(answer.context.get("history"))
            return CREATED if again else int(answer.http_response.status_code)

        code: int = self._arm.ask(
            f"creating the staging group {place.group}",
            deadline,
            lambda c, k: c.resources.resource_groups.create_or_update(place.group, body, cls=status, **k),
        )
        return code

    def tags(self, plan: Plan) -> tuple[tuple[str, str], ...]:
        """What every resource of this build carries."""
        ours = {
            names.BUILD: self._build_id,
            names.STARTED: names.stamp(self._clock.now()),
            names.EXPIRES: names.stamp(self._expires(plan)),
        }
        wanted = dict(plan.azure.managed_resource_tags) | dict(self._choices.tagged(ours))
        return tuple((name, names.tag(text)) for name, text in wanted.items())

    def _expires(self, plan: Plan) -> datetime:
        return self._clock.now() + timedelta(seconds=plan.timeout) + SLACK


def refuse_foreign(group: Json, plan: Plan) -> None:
    """AIB's rules for a group that is there: the template's region, and no other template's group."""
    if region(group["location"]) != region(plan.machine.location):
        raise PlatformError(
            f"the staging group {group['name']} is in {group['location']}, the build is in {plan.machine.location}",
            hint="AIB wants `stagingResourceGroup` in the template's region",
            origin=plan.origin,
        )
    tags = {name.lower(): str(text) for name, text in (group.get("tags") or {}).items()}
    owner = "/".join(filter(None, (tags.get(TEMPLATE_GROUP.lower()), tags.get(TEMPLATE.lower()))))
    wanted = ((TEMPLATE, plan.name), (TEMPLATE_GROUP, plan.azure.resource_group))
    if any(text and tags.get(name.lower(), text).lower() != text.lower() for name, text in wanted):
        raise PlatformError(
            f"the staging group {group['name']} belongs to the template {owner}",
            hint="give each template a staging group of its own",
            origin=plan.origin,
        )

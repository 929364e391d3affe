"""User-assigned managed identities: synchronous."""

from __future__ import annotations

from typing import Any

from armsim.exchange import Answer, Call
from armsim.identifiers import guid
from armsim.kinds import Kind
from armsim.world import Resource, location_name


class Identities(Kind):
    type = "Microsoft.ManagedIdentity/userAssignedIdentities"

    def put(self, call: Call) -> Answer:
        old = call.cloud.world.get(call.target.path)
        self._check_location(call, old)
        facts = (
            old.properties
            if old
            else {"tenantId": call.cloud.tokens.tenant, "principalId": guid(), "clientId": guid()}
        )
        body: dict[str, Any] = {
            "location": location_name(call.body["location"]),
            "tags": call.body.get("tags") or {},
            "properties": dict(facts),
        }
        made = call.cloud.world.add(Resource(call.target.path, self.type, call.target.name, body))
        return Answer(
            200 if old else 201,
            made.shown(),
            {"Location": f"{call.base}{call.target.path}?api-version={call.version}"},
        )

    def delete(self, call: Call) -> Answer:
        if call.cloud.world.get(call.target.path) is None:
            return Answer(204)
        call.cloud.world.remove(call.target.path)
        return Answer(200)

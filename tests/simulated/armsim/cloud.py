"""Everything one simulated Azure consists of, without the servers in front of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from armsim.exchange import Log
from armsim.faults import Faults
from armsim.operations import Operations
from armsim.pace import Pace
from armsim.roles import Roles
from armsim.tokens import Tokens
from armsim.world import World

if TYPE_CHECKING:
    from armsim.compute.catalog import Catalog
    from armsim.compute.sizes import Sizes
    from armsim.guests.farm import Farm
    from armsim.kinds import Kind
    from armsim.storage import Blobs

PROVIDERS = (
    "Microsoft.Authorization",
    "Microsoft.Compute",
    "Microsoft.ManagedIdentity",
    "Microsoft.MarketplaceOrdering",
    "Microsoft.Network",
    "Microsoft.Resources",
    "Microsoft.Storage",
)


@dataclass
class Cloud:
    """One subscription of one tenant. `locks`: scope to CanNotDelete or ReadOnly."""

    subscription: str
    pace: Pace
    tokens: Tokens
    log: Log
    world: World
    operations: Operations
    catalog: Catalog
    sizes: Sizes
    farm: Farm
    blobs: Blobs
    kinds: dict[str, Kind]
    faults: Faults = field(default_factory=Faults)
    roles: Roles = field(default_factory=Roles)
    registered: set[str] = field(default_factory=lambda: set(PROVIDERS))
    locks: dict[str, str] = field(default_factory=dict)
    terms: set[str] = field(default_factory=set)
    agent_address: str = "127.0.0.1"
    page_size: int = 100
    guests: bool = True
    answering: bool = True
    """Whether the SSH server of a machine that is made now comes up."""
    mistakes: list[str] = field(default_factory=list)
    """Tracebacks of handlers that failed: mistakes of the simulator, never of its user."""
    ssh_port: int = 22

    def kind(self, name: str) -> Kind | None:
        return self.kinds.get(name.lower())

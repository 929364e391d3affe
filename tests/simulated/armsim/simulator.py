"""The simulator as a test uses it."""

from __future__ import annotations

import os
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from armsim.arm import Front
from armsim.blob_front import BlobFront
from armsim.certificates import certificates
from armsim.cloud import Cloud
from armsim.compute.catalog import Catalog
from armsim.compute.disks import Disks, Snapshots
from armsim.compute.extensions import Extensions
from armsim.compute.galleries import Definitions, Galleries, Versions
from armsim.compute.images import Images
from armsim.compute.machines import VM, Machines
from armsim.compute.run_commands import RunCommands
from armsim.compute.sizes import Sizes
from armsim.deployments.deployments import Deployments
from armsim.exchange import Exchange, Log
from armsim.faults import Faults
from armsim.guests.content import Content
from armsim.guests.farm import Farm
from armsim.guests.sandbox import Sandbox
from armsim.identifiers import guid
from armsim.identities import Identities
from armsim.kinds import Kind
from armsim.network.interfaces import Interfaces
from armsim.network.public_addresses import PublicAddresses
from armsim.network.security_groups import SecurityGroups
from armsim.network.virtual_networks import Subnets, VirtualNetworks
from armsim.operations import Operations
from armsim.pace import IMMEDIATE, Pace
from armsim.problems import ArmError
from armsim.proxy import Proxy
from armsim.roles import Roles
from armsim.server import Server
from armsim.storage import Accounts, Blobs, BlobServices, Containers
from armsim.tokens import Tokens
from armsim.world import GROUP_KIND, Resource, World

RECORD = "IMAGEWRIGHT_RECORD_HTTP"
KINDS: tuple[type[Kind], ...] = (
    VirtualNetworks,
    Subnets,
    SecurityGroups,
    PublicAddresses,
    Interfaces,
    Accounts,
    BlobServices,
    Containers,
    Machines,
    RunCommands,
    Extensions,
    Disks,
    Snapshots,
    Images,
    Galleries,
    Definitions,
    Versions,
    Identities,
    Deployments,
)


@dataclass(frozen=True, slots=True)
class Credentials:
    """What azure-identity's ClientSecretCredential is made from."""

    tenant: str
    client: str
    secret: str


class Simulator:
    """A simulated Azure with one subscription. A context manager: leaving it ends servers, guests and disks.

    `pace`: how time runs (default: every operation has ended when it is first asked for). `guests=False`: machines
    are only said to run (no root needed). `record`: file for the conformance check, default $IMAGEWRIGHT_RECORD_HTTP.
    """

    def __init__(
        self, pace: Pace = IMMEDIATE, *, guests: bool = True, record: Path | None = None, ssh_port: int = 22
    ) -> None:
        if record is None and os.environ.get(RECORD):
            record = Path(os.environ[RECORD])
        self.credentials = Credentials(guid(), guid(), f"secret-{guid()}")
        tokens = Tokens(self.credentials.tenant, self.credentials.client, self.credentials.secret)
        world = World()
        self.blobs = Blobs(world)
        self._farm = Farm(certificates())
        self.cloud = Cloud(
            guid(),
            pace,
            tokens,
            Log(record),
            world,
            Operations(pace, world.lock),
            Catalog(),
            Sizes(),
            self._farm,
            self.blobs,
            {kind.type.lower(): kind() for kind in KINDS},
            guests=guests,
            ssh_port=ssh_port,
        )
        self._arm = Server(Front(self.cloud).app, certificates())
        self._blob_front = BlobFront(self.cloud)
        self._data = Server(self._blob_front.app, certificates())
        self.blobs.url = self._data.url

    # ---- life ---------------------------------------------------------------------------------------------------

    def __enter__(self) -> Simulator:
        self._arm.start()
        self._data.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._arm.stop()
        self._data.stop()
        self.cloud.operations.close()
        for name in list(self.blobs.internal):
            self.blobs.forget(name)
        with self.cloud.world.lock:
            accounts = list(self.cloud.world.all("Microsoft.Storage/storageAccounts"))
        for account in accounts:
            self.blobs.forget(account.name)
        self._farm.close()

    # ---- where it is --------------------------------------------------------------------------------------------

    @property
    def url(self) -> str:
        """Both `base_url` of the management clients and `authority` of the credential."""
        return self._arm.url

    @property
    def port(self) -> int:
        return self._arm.port

    def proxy(self) -> Proxy:
        """A CONNECT proxy for clients that dial Azure's own names; close it."""
        return Proxy(self._arm.port, self._data.port)

    @property
    def authority(self) -> Path:
        """PEM of the certificate authority: `connection_verify`, REQUESTS_CA_BUNDLE, SSL_CERT_FILE."""
        return certificates().authority

    @property
    def subscription(self) -> str:
        return self.cloud.subscription

    # ---- what it holds ------------------------------------------------------------------------------------------

    def resources(self, *, groups: bool = True) -> list[str]:
        """Ids of everything that exists once all running operations have ended."""
        self.settle()
        with self.cloud.world.lock:
            found = [item.id for item in self.cloud.world.all() if groups or item.kind != GROUP_KIND]
        return sorted(found)

    def resource(self, identifier: str) -> Resource:
        """A resource by id; KeyError if there is none."""
        with self.cloud.world.lock:
            found = self.cloud.world.get(identifier)
        if found is None:
            raise KeyError(identifier)
        return found

    def settle(self, seconds: float = 60) -> None:
        """Let every running operation come to its end now, whatever the pace."""
        pause = threading.Event()
        for _ in range(int(seconds / 0.01)):
            with self.cloud.world.lock:
                self.cloud.operations.settle(force=True)
                if not self.cloud.operations.running():
                    return
            pause.wait(0.01)
        raise TimeoutError("operations of the simulator do not end")

    @property
    def requests(self) -> list[Exchange]:
        """The ARM exchanges so far (tokens and blobs are not among them)."""
        return list(self.cloud.log.exchanges)

    @property
    def blob_requests(self) -> list[tuple[str, str, int]]:
        """(method, path, status) of the data plane."""
        return list(self._blob_front.requests)

    def machine(self, name: str) -> Machine:
        """A VM by name, whatever its group."""
        with self.cloud.world.lock:
            found = [item for item in self.cloud.world.all(VM) if item.name.lower() == name.lower()]
        if len(found) != 1:
            raise KeyError(name)
        return Machine(self.cloud, found[0])

    def machines(self) -> list[Machine]:
        with self.cloud.world.lock:
            return [Machine(self.cloud, item) for item in self.cloud.world.all(VM)]

    def content(self, identifier: str) -> Content:
        """What is on a disk, snapshot, image, version or VM: `.read("/etc/motd")`."""
        content: Content = self.resource(identifier).state["content"]
        return content

    @property
    def mistakes(self) -> list[str]:
        """Tracebacks of the simulator's own failures; a test that leaves some has found a mistake in it."""
        return [*self.cloud.mistakes, *self.cloud.operations.mistakes]

    # ---- what it is told ----------------------------------------------------------------------------------------

    @property
    def faults(self) -> Faults:
        return self.cloud.faults

    @property
    def roles(self) -> Roles:
        return self.cloud.roles

    @property
    def sizes(self) -> Sizes:
        return self.cloud.sizes

    @property
    def tokens(self) -> Tokens:
        return self.cloud.tokens

    def lock(self, scope: str, level: str = "CanNotDelete") -> None:
        self.cloud.locks[scope] = level

    def unlock(self, scope: str) -> None:
        self.cloud.locks.pop(scope, None)

    def unregister(self, namespace: str) -> None:
        self.cloud.registered.discard(namespace)

    def accept_terms(self, publisher: str, offer: str, plan: str) -> None:
        self.cloud.terms.add(f"{publisher}:{offer}:{plan}".lower())


class Machine:
    """A running VM, for what happens to it that nobody asked ARM for."""

    def __init__(self, cloud: Cloud, resource: Resource) -> None:
        self._cloud = cloud
        self.resource = resource

    @property
    def power(self) -> str:
        return str(self.resource.state.get("power", ""))

    @property
    def sandbox(self) -> Sandbox:
        found: Sandbox = self.resource.state["sandbox"]
        return found

    def preempt(self) -> None:
        """Azure takes a spot machine back: deallocated or deleted, as its eviction policy says."""
        self.fall_silent()
        with self._cloud.world.lock:
            if str(self.resource.properties.get("evictionPolicy")).lower() == "delete":
                self._cloud.world.remove(self.resource.id)
                self._cloud.kinds[VM.lower()].deleted(self._cloud, self.resource)
            else:
                self.resource.state["power"] = "deallocated"

    def fall_silent(self) -> None:
        """The guest is gone; Azure still says that it runs."""
        self.sandbox.on_power_off = None
        self.sandbox.stop()

    def lose_ssh(self) -> None:
        """The SSH server and its connections die, the machine runs on."""
        self.sandbox.kill_ssh()

    def regain_ssh(self) -> None:
        """The SSH server runs again."""
        self.sandbox.start_ssh()

    def lose_agent(self) -> None:
        """The VM agent stops reporting."""
        self.resource.state["agent_gone"] = True

    def run(self, script: str) -> tuple[int, str, str]:
        """As root, past SSH: (exit code, stdout, stderr)."""
        code, out, err = self.sandbox.execute(script)
        return code, out.decode(errors="replace"), err.decode(errors="replace")


def client_options(simulator: Simulator) -> dict[str, Any]:
    """Keyword arguments for a management client of the real SDKs."""
    return {
        "base_url": simulator.url,
        "credential_scopes": [f"{simulator.url}/.default"],
        "connection_verify": str(simulator.authority),
    }


def credential_options(simulator: Simulator) -> dict[str, Any]:
    """Keyword arguments for azure-identity's ClientSecretCredential, besides its three positional ones."""
    return {
        "authority": simulator.url,
        "disable_instance_discovery": True,
        "connection_verify": str(simulator.authority),
    }


__all__ = ["ArmError", "Credentials", "Machine", "Pace", "Simulator", "client_options", "credential_options"]

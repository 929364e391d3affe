"""The real Azure SDK clients, pointed at a simulator; and the few resources most tests begin with."""

from __future__ import annotations

import subprocess
from functools import cached_property
from pathlib import Path
from typing import Any

from armsim import Simulator, client_options, credential_options
from azure.core.pipeline.transport import RequestsTransport
from azure.identity import ClientSecretCredential
from azure.mgmt.compute import ComputeManagementClient
from azure.mgmt.network import NetworkManagementClient
from azure.mgmt.resource.resources import ResourceManagementClient
from azure.mgmt.storage import StorageManagementClient
from azure.storage.blob import BlobServiceClient

UBUNTU = {
    "publisher": "Canonical",
    "offer": "0001-com-ubuntu-server-jammy",
    "sku": "22_04-lts-gen2",
    "version": "latest",
}


class Sdk:
    """A credential and four management clients."""

    def __init__(self, simulator: Simulator, **options: Any) -> None:
        self.simulator = simulator
        self._options = client_options(simulator) | options
        given = simulator.credentials
        self.credential = ClientSecretCredential(
            given.tenant, given.client, given.secret, **credential_options(simulator)
        )

    def __enter__(self) -> Sdk:
        return self

    def __exit__(self, *_: object) -> None:
        for name in ("compute", "network", "resource", "storage"):
            if name in self.__dict__:
                self.__dict__[name].close()
        self.credential.close()

    def _make(self, client: Any) -> Any:
        return client(self.credential, self.simulator.subscription, **self._options)

    @cached_property
    def compute(self) -> Any:
        return self._make(ComputeManagementClient)

    @cached_property
    def network(self) -> Any:
        return self._make(NetworkManagementClient)

    @cached_property
    def resource(self) -> Any:
        return self._make(ResourceManagementClient)

    @cached_property
    def storage(self) -> Any:
        return self._make(StorageManagementClient)

    def blobs(self, url: str) -> BlobServiceClient:
        """With the caller's token."""
        transport = RequestsTransport(connection_verify=str(self.simulator.authority))
        return BlobServiceClient(url, self.credential, transport=transport, retry_total=0)

    # ---- what most tests begin with -----------------------------------------------------------------------------

    def group(self, name: str = "g", location: str = "eastus") -> str:
        self.resource.resource_groups.create_or_update(name, {"location": location})
        return name

    def open_network(
        self, group: str, name: str = "n", location: str = "eastus", *, source: str = "127.0.0.1"
    ) -> str:
        """A network, a group that lets `source` in to port 22, a public address, a NIC; the NIC's id."""
        rule = {
            "name": "ssh",
            "properties": {
                "priority": 100, "direction": "Inbound", "access": "Allow", "protocol": "Tcp", "sourcePortRange": "*",
                "sourceAddressPrefix": source, "destinationAddressPrefix": "*", "destinationPortRange": "22",
            },
        }  # fmt: skip
        network = self.network
        guard = network.network_security_groups.begin_create_or_update(
            group, f"{name}-nsg", {"location": location, "properties": {"securityRules": [rule]}}
        ).result()
        address = network.public_ip_addresses.begin_create_or_update(
            group, f"{name}-ip",
            {"location": location, "sku": {"name": "Standard"}, "properties": {"publicIPAllocationMethod": "Static"}},
        ).result()  # fmt: skip
        space = network.virtual_networks.begin_create_or_update(
            group, f"{name}-vnet",
            {
                "location": location,
                "properties": {
                    "addressSpace": {"addressPrefixes": ["10.0.0.0/16"]},
                    "subnets": [{"name": "build", "properties": {"addressPrefix": "10.0.0.0/24"}}],
                },
            },
        ).result()  # fmt: skip
        configuration = {
            "name": "main",
            "properties": {"subnet": {"id": space.subnets[0].id}, "publicIPAddress": {"id": address.id}},
        }
        body = {
            "location": location,
            "properties": {"ipConfigurations": [configuration], "networkSecurityGroup": {"id": guard.id}},
        }
        return str(network.network_interfaces.begin_create_or_update(group, f"{name}-nic", body).result().id)

    def machine_body(self, nic: str, key: str, **properties: Any) -> dict[str, Any]:
        """A small Linux VM from Ubuntu 22.04; `properties` replace whole parts."""
        profile = {
            "computerName": "vm", "adminUsername": "builder",
            "linuxConfiguration": {
                "disablePasswordAuthentication": True,
                "ssh": {"publicKeys": [{"path": "/home/builder/.ssh/authorized_keys", "keyData": key}]},
            },
        }  # fmt: skip
        whole = {
            "hardwareProfile": {"vmSize": "Standard_D2s_v5"},
            "storageProfile": {
                "imageReference": UBUNTU,
                "osDisk": {"createOption": "FromImage", "managedDisk": {"storageAccountType": "StandardSSD_LRS"}},
            },
            "osProfile": profile,
            "networkProfile": {"networkInterfaces": [{"id": nic}]},
            "securityProfile": {"securityType": "Standard"},
        } | properties
        return {
            "location": "eastus",
            "properties": {name: value for name, value in whole.items() if value is not None},
        }


class Key:
    """A fresh SSH key pair on disk, and commands over real SSH with it."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "key"
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(self.file)], check=True)
        self.public = self.file.with_suffix(".pub").read_text().strip()

    def ssh(
        self, address: str, command: str, user: str = "builder", known_hosts: Path | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run a command; with `known_hosts` the host key must be in that file."""
        check = "yes" if known_hosts else "no"
        options = [f"StrictHostKeyChecking={check}", f"UserKnownHostsFile={known_hosts or '/dev/null'}"]
        options += ["LogLevel=ERROR", "BatchMode=yes", "ConnectTimeout=5"]
        flags = [word for option in options for word in ("-o", option)]
        command_line = ["ssh", "-i", str(self.file), *flags, f"{user}@{address}", command]
        return subprocess.run(command_line, capture_output=True, text=True, check=False, timeout=60)

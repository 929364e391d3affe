"""The VM agent: run commands, extensions, cloud-init."""

from __future__ import annotations

import base64
import datetime as dt
from pathlib import Path

import pytest
from azure.core.exceptions import HttpResponseError, ResourceExistsError
from azure.storage.blob import ContainerSasPermissions, generate_container_sas
from sdk import Key, Sdk

CLOUD_CONFIG = """#cloud-config
write_files:
  - {path: /etc/from-cloud, content: "hello\\n", permissions: "0600"}
runcmd:
  - [touch, /etc/ran]
"""


@pytest.fixture
def key(tmp_path: Path) -> Key:
    return Key(tmp_path)


def _machine(sdk: Sdk, key: Key, custom: str = "") -> str:
    body = sdk.machine_body(sdk.open_network(sdk.group()), key.public)
    if custom:
        body["properties"]["osProfile"]["customData"] = base64.b64encode(custom.encode()).decode()
    sdk.compute.virtual_machines.begin_create_or_update("g", "vm", body).result()
    return str(sdk.network.public_ip_addresses.get("g", "n-ip").ip_address)


def test_run_command_answers_output_whatever_the_exit_code(sdk: Sdk, key: Key) -> None:
    _machine(sdk, key)
    body = {
        "commandId": "RunShellScript",
        "script": ["echo $who", "id -un >&2", "exit 3"],
        "parameters": [{"name": "who", "value": "me"}],
    }
    result = sdk.compute.virtual_machines.begin_run_command("g", "vm", body).result()
    assert result.value[0].message == "Enable succeeded: \n[stdout]\nme\n\n[stderr]\nroot\n"
    put = next(item for item in sdk.simulator.requests if item.path.endswith("runCommand"))
    assert (put.status, put.response) == (202, None)


def test_a_managed_run_command_streams_to_an_append_blob(sdk: Sdk, key: Key) -> None:
    _machine(sdk, key)
    account = {"location": "eastus", "kind": "StorageV2", "sku": {"name": "Standard_LRS"}}
    url = sdk.storage.storage_accounts.begin_create("g", "logs1", account).result().primary_endpoints.blob
    service = sdk.blobs(url)
    service.create_container("logs")
    now = dt.datetime.now(dt.UTC)
    delegation = service.get_user_delegation_key(now - dt.timedelta(minutes=5), now + dt.timedelta(hours=1))
    permission = ContainerSasPermissions(read=True, write=True, add=True, create=True)
    sas = generate_container_sas(
        "logs1", "logs", user_delegation_key=delegation, permission=permission, expiry=now + dt.timedelta(hours=1)
    )
    script = "#!/bin/bash\nset -eu\nfor i in 1 2 3; do echo line $i; sleep 0.1; done; echo bad >&2; exit 7\n"
    body = {
        "location": "eastus",
        "properties": {
            "source": {"script": script}, "asyncExecution": False, "timeoutInSeconds": 60,
            "outputBlobUri": f"{url}logs/out?{sas}", "errorBlobUri": f"{url}logs/err?{sas}",
        },
    }  # fmt: skip
    commands = sdk.compute.virtual_machine_run_commands
    commands.begin_create_or_update("g", "vm", "step", body).result()
    assert service.get_blob_client("logs", "out").download_blob().readall() == b"line 1\nline 2\nline 3\n"
    assert service.get_blob_client("logs", "err").download_blob().readall() == b"bad\n"
    view = commands.get_by_virtual_machine("g", "vm", "step", expand="instanceView").instance_view
    assert (view.execution_state, view.exit_code, view.output) == ("Failed", 7, "line 1\nline 2\nline 3\n")
    assert [item.name for item in commands.list_by_virtual_machine("g", "vm")] == ["step"]
    commands.begin_delete("g", "vm", "step").result()
    assert list(commands.list_by_virtual_machine("g", "vm")) == []


def test_a_run_command_may_run_on_after_its_put(sdk: Sdk, key: Key) -> None:
    _machine(sdk, key)
    commands = sdk.compute.virtual_machine_run_commands
    body = {
        "location": "eastus",
        "properties": {"source": {"script": "sleep 0.5; echo done"}, "asyncExecution": True},
    }
    commands.begin_create_or_update("g", "vm", "step", body).result()
    states = []
    while not states or states[-1] in {"Pending", "Running"}:
        states.append(
            commands.get_by_virtual_machine("g", "vm", "step", expand="instanceView").instance_view.execution_state
        )
    assert (states[0] in {"Pending", "Running"}, states[-1]) == (True, "Succeeded")


def test_a_failing_run_command_can_fail_its_deployment(sdk: Sdk, key: Key) -> None:
    _machine(sdk, key)
    body = {
        "location": "eastus",
        "properties": {"source": {"script": "exit 1"}, "treatFailureAsDeploymentFailure": True},
    }
    with pytest.raises(HttpResponseError) as caught:
        sdk.compute.virtual_machine_run_commands.begin_create_or_update("g", "vm", "step", body).result()
    assert caught.value.error.code == "VMExtensionProvisioningError"


def test_nothing_runs_on_a_stopped_machine(sdk: Sdk, key: Key) -> None:
    _machine(sdk, key)
    sdk.compute.virtual_machines.begin_power_off("g", "vm").result()
    with pytest.raises(ResourceExistsError, match="to be running"):
        sdk.compute.virtual_machines.begin_run_command("g", "vm", {"commandId": "RunShellScript", "script": ["id"]})
    sdk.compute.virtual_machines.begin_start("g", "vm").result()
    sdk.compute.virtual_machines.begin_run_command(
        "g", "vm", {"commandId": "RunShellScript", "script": ["id"]}
    ).result()


def test_vm_access_lets_a_fresh_key_in(sdk: Sdk, key: Key, tmp_path: Path) -> None:
    address = _machine(sdk, key)
    (tmp_path / "second").mkdir()
    fresh = Key(tmp_path / "second")
    assert fresh.ssh(address, "true").returncode == 255
    body = {
        "location": "eastus",
        "properties": {
            "publisher": "Microsoft.OSTCExtensions", "type": "VMAccessForLinux", "typeHandlerVersion": "1.5",
            "protectedSettings": {"username": "builder", "ssh_key": fresh.public},
        },
    }  # fmt: skip
    made = sdk.compute.virtual_machine_extensions.begin_create_or_update("g", "vm", "access", body).result()
    assert made.protected_settings is None
    assert fresh.ssh(address, "sudo id -un").stdout == "root\n"


def test_cloud_config_is_honoured(sdk: Sdk, key: Key, tmp_path: Path) -> None:
    (tmp_path / "host").mkdir()
    host = Key(tmp_path / "host")
    indented = host.file.read_text().replace("\n", "\n    ")
    keys = f"ssh_keys:\n  ed25519_private: |\n    {indented}\n  ed25519_public: {host.public}\n"
    address = _machine(sdk, key, CLOUD_CONFIG + keys)
    known = tmp_path / "known"
    known.write_text(f"{address} {' '.join(host.public.split()[:2])}\n")
    done = key.ssh(address, "sudo cat /etc/from-cloud; ls /etc/ran", known_hosts=known)
    assert (done.stdout, done.stderr) == ("hello\n/etc/ran\n", "")

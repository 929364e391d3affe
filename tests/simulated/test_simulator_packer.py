"""A client that we did not write: packer 1.6.6 (Debian's), from source to gallery version, with a real guest."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from armsim import Simulator
from armsim.simulator import RECORD
from sdk import Sdk

DEFINITION = {
    "location": "eastus",
    "properties": {
        "osType": "Linux",
        "osState": "Generalized",
        "hyperVGeneration": "V1",
        "identifier": {"publisher": "p", "offer": "o", "sku": "s"},
    },
}


def _template(simulator: Simulator) -> dict[str, object]:
    given = simulator.credentials
    builder = {
        "type": "azure-arm",
        "tenant_id": given.tenant,
        "client_id": given.client,
        "client_secret": given.secret,
        "subscription_id": simulator.subscription,
        "os_type": "Linux",
        "image_publisher": "Canonical",
        "image_offer": "0001-com-ubuntu-server-jammy",
        "image_sku": "22_04-lts",
        "location": "eastus",
        "vm_size": "Standard_D2s_v5",
        "ssh_username": "packer",
        "managed_image_name": "built",
        "managed_image_resource_group_name": "images",
        "shared_image_gallery_destination": {
            "resource_group": "images",
            "gallery_name": "gal",
            "image_name": "def",
            "image_version": "1.0.0",
            "replication_regions": ["eastus", "westus2"],
        },
        "azure_tags": {"made-by": "packer"},
    }
    script = ["echo by-packer >/etc/built", "/usr/sbin/waagent -force -deprovision+user"]
    shell = {
        "type": "shell",
        "inline": script,
        "execute_command": "chmod +x {{ .Path }}; {{ .Vars }} sudo -E sh '{{ .Path }}'",
    }
    return {"builders": [builder], "provisioners": [shell]}


@pytest.mark.skipif(shutil.which("packer") is None, reason="packer is not installed (apt-get install packer)")
def test_packer_builds_from_source_to_gallery_version(
    start: Callable[..., Simulator], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(RECORD, raising=False)  # it speaks api-versions of 2018: their documents are not held
    simulator = start()
    with Sdk(simulator) as sdk:
        sdk.group("images")
        sdk.compute.galleries.begin_create_or_update("images", "gal", {"location": "eastus"}).result()
        sdk.compute.gallery_images.begin_create_or_update("images", "gal", "def", DEFINITION).result()
    (tmp_path / "build.json").write_text(json.dumps(_template(simulator)))
    proxy = simulator.proxy()
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "HTTPS_PROXY": proxy.url,
        "SSL_CERT_FILE": str(simulator.authority),
        "CHECKPOINT_DISABLE": "1",
        "PACKER_LOG": "1",
        "PACKER_LOG_PATH": str(tmp_path / "packer.log"),
    }
    command = ["packer", "build", "-color=false", "build.json"]
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False, timeout=300
    )
    proxy.close()
    assert done.returncode == 0, done.stdout + done.stderr
    assert proxy.refused == []
    version = next(item for item in simulator.resources() if item.endswith("/versions/1.0.0"))
    assert simulator.content(version).read("/etc/built") == b"by-packer\n"
    left = [item.split("/providers/")[-1] for item in simulator.resources(groups=False)]
    assert sorted(left) == [
        "Microsoft.Compute/galleries/gal",
        "Microsoft.Compute/galleries/gal/images/def",
        "Microsoft.Compute/galleries/gal/images/def/versions/1.0.0",
        "Microsoft.Compute/images/built",
    ]

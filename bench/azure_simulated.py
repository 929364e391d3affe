"""A simulated Azure in a process of its own, and the command lines that build in it: ours and packer's."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace, TracebackType
from typing import Any, cast

ROOT = Path(__file__).parents[1]
SIMULATED = ROOT / "tests" / "simulated"
sys.path.insert(0, str(SIMULATED))

from sdk import Sdk  # noqa: E402

IMAGEWRIGHT = ROOT / ".venv" / "bin" / "imagewright"
SIZE = "Standard_D2s_v5"


class Azure:
    """`python -m armsim`; knows a group `results` with a gallery `images` and its definition `web` (V1)."""

    def __init__(self, speed: float, folder: Path, *limits: str) -> None:
        words = [word for limit in limits for word in ("--limit", limit)]
        self._process = subprocess.Popen(
            [sys.executable, "-m", "armsim", "--speed", str(speed), *words],
            cwd=SIMULATED, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert self._process.stdout is not None
        self.place: dict[str, Any] = json.loads(self._process.stdout.readline())
        self.folder = folder
        folder.mkdir()
        self._prepare()

    def __enter__(self) -> Azure:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.communicate("")

    def asked(self) -> int:
        """How many ARM requests it has answered so far."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        return int(json.loads(self._process.stdout.readline())["requests"])

    @property
    def group(self) -> str:
        return f"/subscriptions/{self.place['subscription']}/resourceGroups/results"

    @property
    def definition(self) -> str:
        return f"{self.group}/providers/Microsoft.Compute/galleries/images/images/web"

    def _prepare(self) -> None:
        """Whatever is there before anybody builds."""
        place = self.place
        credentials = SimpleNamespace(tenant=place["tenant"], client=place["client"], secret=place["secret"])
        where = SimpleNamespace(
            url=place["url"],
            authority=place["authority"],
            subscription=place["subscription"],
            credentials=credentials,
        )
        facts = {"osType": "Linux", "osState": "Generalized", "hyperVGeneration": "V1"}
        identifier = {"identifier": {"publisher": "p", "offer": "o", "sku": "s"}}
        here = {"location": "eastus"}
        with Sdk(cast("Any", where)) as sdk:
            sdk.resource.resource_groups.create_or_update("results", here)
            sdk.compute.galleries.begin_create_or_update("results", "images", here).result()
            sdk.compute.gallery_images.begin_create_or_update(
                "results", "images", "web", here | {"properties": facts | identifier}
            ).result()


def environment(place: dict[str, Any], home: Path) -> dict[str, str]:
    """What the command line needs to build there."""
    return {
        "AZURE_CLIENT_ID": place["client"], "AZURE_TENANT_ID": place["tenant"],
        "AZURE_CLIENT_SECRET": place["secret"],
        "IMAGEWRIGHT_SUBSCRIPTION": place["subscription"], "IMAGEWRIGHT_RESOURCE_GROUP": "results",
        "IMAGEWRIGHT_ARM_ENDPOINT": place["url"], "IMAGEWRIGHT_AUTHORITY_HOST": place["url"],
        "IMAGEWRIGHT_CA_BUNDLE": place["authority"], "IMAGEWRIGHT_AGENT_ADDRESS": "127.0.0.1",
        "IMAGEWRIGHT_HOME": str(home), "IMAGEWRIGHT_PLATFORM": "azure", "NO_COLOR": "1",
    }  # fmt: skip


def template(path: Path, target: dict[str, Any]) -> Path:
    """One customizer that says hello, and one target."""
    body = {
        "name": "web",
        "location": "eastus",
        "properties": {
            "source": {
                "type": "PlatformImage", "publisher": "Canonical", "offer": "0001-com-ubuntu-server-jammy",
                "sku": "22_04-lts", "version": "latest",
            },
            "vmProfile": {"vmSize": SIZE},
            "customize": [{"type": "Shell", "name": "hello", "inline": ["echo hello"]}],
            "distribute": [{"runOutputName": "out", **target}],
        },
    }  # fmt: skip
    path.write_text(json.dumps(body))
    return path


def managed(group: str, name: str = "web") -> dict[str, Any]:
    image = f"{group}/providers/Microsoft.Compute/images/{name}"
    return {"type": "ManagedImage", "imageId": image, "location": "eastus"}


def shared(definition: str, mode: str) -> dict[str, Any]:
    versioning = {"replicationMode": mode} if mode != "Full" else {}
    regions = [{"name": "eastus"}]
    return {"type": "SharedImage", "galleryImageId": definition, "targetRegions": regions, **versioning}


def imagewright(azure: Azure, target: dict[str, Any], *options: str) -> None:
    file = template(azure.folder / "web.json", target)
    _run(
        [str(IMAGEWRIGHT), "build", str(file), *options],
        os.environ | environment(azure.place, azure.folder / "home"), azure.folder,
    )  # fmt: skip


def packer(azure: Azure, *, gallery: bool) -> None:
    place = azure.place
    builder: dict[str, Any] = {
        "type": "azure-arm", "tenant_id": place["tenant"], "client_id": place["client"],
        "client_secret": place["secret"], "subscription_id": place["subscription"], "os_type": "Linux",
        "image_publisher": "Canonical", "image_offer": "0001-com-ubuntu-server-jammy", "image_sku": "22_04-lts",
        "location": "eastus", "vm_size": SIZE, "ssh_username": "packer", "managed_image_name": "built",
        "managed_image_resource_group_name": "results",
    }  # fmt: skip
    if gallery:
        builder["shared_image_gallery_destination"] = {
            "resource_group": "results", "gallery_name": "images", "image_name": "web", "image_version": "1.0.0",
            "replication_regions": ["eastus"],
        }  # fmt: skip
    shell = {
        "type": "shell", "inline": ["echo hello", "/usr/sbin/waagent -force -deprovision+user"],
        "execute_command": "chmod +x {{ .Path }}; {{ .Vars }} sudo -E sh '{{ .Path }}'",
    }  # fmt: skip
    (azure.folder / "build.json").write_text(json.dumps({"builders": [builder], "provisioners": [shell]}))
    variables = {
        "PATH": os.environ["PATH"], "HOME": str(azure.folder), "HTTPS_PROXY": place["proxy"],
        "SSL_CERT_FILE": place["authority"], "CHECKPOINT_DISABLE": "1",
    }  # fmt: skip
    _run(["packer", "build", "-color=false", "build.json"], variables, azure.folder)


def _run(command: list[str], variables: dict[str, str], folder: Path) -> None:
    done = subprocess.run(command, cwd=folder, env=variables, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}")

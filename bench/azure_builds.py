"""Builds in Azure, timed on the simulator with recorded durations, beside packer azure-arm on another one.

    python bench/azure_builds.py [--speed 1] [--only NAME...] [--many 50]

Nothing here was measured on Azure: durations are those of recordings (tests/simulated/armsim/pace.py). With a
`--speed` other than 1 packer is left out: its own pauses cannot be made shorter.
"""

from __future__ import annotations

import argparse
import copy
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "simulated"))

from armsim import Pace, Simulator
from armsim.pace import SECONDS
from azure_world import NO_CACHE, AzureWorld
from sdk import Sdk

from imagewright.core.clock import SystemClock
from imagewright.core.plan import Plan
from imagewright.core.result import RunState
from imagewright.engine.resume import CachePolicy, Keep
from imagewright.platforms import Settings
from imagewright.platforms.azure.platform import AzurePlatform
from imagewright.platforms.azure.polling import quick_then_slow

TO_MACHINE = (
    "virtualnetworks create",
    "networkinterfaces create",
    "virtualmachines create",
    "virtualmachines poweroff",
    "snapshots create",
)
SHALLOW = 60.0


def lasts(step: str) -> float:
    """The recorded seconds of `type verb`."""
    kind, verb = step.split()
    return next(seconds for (name, what), seconds in SECONDS.items() if name.endswith(f"/{kind}") and what == verb)


class World(AzureWorld):
    """A world whose pauses run as fast as the simulator's time."""

    def __init__(self, speed: float, simulator: Simulator, folder: Path, sdk: Sdk) -> None:
        self._speed = speed
        super().__init__(simulator, folder, sdk)

    def platform(self, settings: Settings | None = None) -> AzurePlatform:
        def pauses() -> Iterator[float]:
            return (seconds / self._speed for seconds in quick_then_slow())

        return AzurePlatform(settings or self.settings(), self.events.append, SystemClock(), pauses)


def build(name: str, speed: float, chain: float, plan: str, policy: CachePolicy) -> dict[str, object]:
    with Simulator(Pace(speed=speed)) as simulator, Sdk(simulator) as sdk, tempfile.TemporaryDirectory() as folder:
        world = World(speed, simulator, Path(folder), sdk)
        before = len(simulator.requests)
        from_ = time.monotonic()
        result = world.build(_plan(world, plan), policy)
        seconds = (time.monotonic() - from_) * speed
        if result.state is not RunState.SUCCEEDED:
            raise SystemExit(f"{name}: {result.failure} {result.target_failures}")
        calls = len(simulator.requests) - before
        return {"name": name, "seconds": seconds, "chain": chain, "ratio": seconds / chain, "calls": calls}


def _plan(world: AzureWorld, kind: str) -> Plan:
    target = {
        "managed": world.managed,
        "gallery": world.shared,
        "shallow": lambda: world.shared(replication_mode="Shallow"),
    }[kind]()
    return world.plan("echo hello", targets=(target,))


def packer(kind: str) -> dict[str, object]:
    name = f"packer 1.6.6, {kind}"
    with Simulator(Pace()) as warm:
        assert warm.url
    with Simulator(Pace(speed=1)) as simulator, Sdk(simulator) as sdk, tempfile.TemporaryDirectory() as folder:
        world = AzureWorld(simulator, Path(folder), sdk)
        del world
        sdk.resource.resource_groups.create_or_update("images", {"location": "eastus"})
        sdk.compute.galleries.begin_create_or_update("images", "gal", {"location": "eastus"}).result()
        facts = {"osType": "Linux", "osState": "Generalized", "hyperVGeneration": "V1"}
        identifier = {"identifier": {"publisher": "p", "offer": "o", "sku": "s"}}
        body = {"location": "eastus", "properties": facts | identifier}
        sdk.compute.gallery_images.begin_create_or_update("images", "gal", "def", body).result()
        given = simulator.credentials
        builder: dict[str, object] = {
            "type": "azure-arm", "tenant_id": given.tenant, "client_id": given.client, "client_secret": given.secret,
            "subscription_id": simulator.subscription, "os_type": "Linux", "image_publisher": "Canonical",
            "image_offer": "0001-com-ubuntu-server-jammy", "image_sku": "22_04-lts", "location": "eastus",
            "vm_size": "Standard_D2s_v5", "ssh_username": "packer", "managed_image_name": "built",
            "managed_image_resource_group_name": "images",
        }  # fmt: skip
        if kind == "gallery":
            builder["shared_image_gallery_destination"] = {
                "resource_group": "images", "gallery_name": "gal", "image_name": "def", "image_version": "1.0.0",
                "replication_regions": ["eastus"],
            }  # fmt: skip
        script = ["echo hello", "/usr/sbin/waagent -force -deprovision+user"]
        shell = {
            "type": "shell", "inline": script,
            "execute_command": "chmod +x {{ .Path }}; {{ .Vars }} sudo -E sh '{{ .Path }}'",
        }  # fmt: skip
        Path(folder, "build.json").write_text(json.dumps({"builders": [builder], "provisioners": [shell]}))
        proxy = simulator.proxy()
        environment = {
            "PATH": os.environ["PATH"], "HOME": folder, "HTTPS_PROXY": proxy.url,
            "SSL_CERT_FILE": str(simulator.authority), "CHECKPOINT_DISABLE": "1",
        }  # fmt: skip
        before = len(simulator.requests)
        from_ = time.monotonic()
        done = subprocess.run(
            ["packer", "build", "-color=false", "build.json"],
            cwd=folder, env=environment, capture_output=True, text=True, check=False,
        )  # fmt: skip
        seconds = time.monotonic() - from_
        proxy.close()
        if done.returncode != 0:
            raise SystemExit(done.stdout[-3000:] + done.stderr[-2000:])
        return {"name": name, "seconds": seconds, "calls": len(simulator.requests) - before}


def many(count: int, speed: float) -> dict[str, object]:
    """`count` builds at once in one process, against one alone."""
    with Simulator(Pace(speed=speed)) as simulator, Sdk(simulator) as sdk, tempfile.TemporaryDirectory() as folder:
        simulator.sizes.limits["cores"] = 10_000
        for family in ("standardDDSv4Family", "standardDDSv5Family"):
            simulator.sizes.limits[family] = 10_000
        worlds = []
        first = World(speed, simulator, Path(folder), sdk)
        for number in range(count + 1):
            world = copy.copy(first)
            world.events = []
            world.definition = world.gallery(f"many{number}")
            worlds.append(world)
        alone = _one(worlds[0])
        size = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        with ThreadPoolExecutor(count) as pool:
            each = list(pool.map(_one, worlds[1:]))
        grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - size
        return {
            "name": f"{count} builds at once", "alone": alone * speed, "slowest": max(each) * speed,
            "ratio": max(each) / alone, "MB_per_build": grown / 1024 / count,
        }  # fmt: skip


def _one(world: AzureWorld) -> float:
    from_ = time.monotonic()
    result = world.build(_plan(world, "shallow"), NO_CACHE)
    if result.state is not RunState.SUCCEEDED:
        raise SystemExit(f"{result.failure} {result.target_failures}")
    return time.monotonic() - from_


def main() -> None:
    given = argparse.ArgumentParser(description=__doc__)
    given.add_argument("--speed", type=float, default=1.0)
    given.add_argument("--only", nargs="*", default=[])
    given.add_argument("--many", type=int, default=0)
    options = given.parse_args()
    machine = sum(map(lasts, TO_MACHINE))
    version, image, gone = lasts("versions create"), lasts("images create"), lasts("resourcegroups delete")
    snapshot = lasts("snapshots create")
    kept = CachePolicy(reuse=False, keep=Keep.LAST)
    speed = options.speed
    works = {
        "managed": lambda: build("managed image", speed, machine + image + gone, "managed", NO_CACHE),
        "gallery": lambda: build("gallery, Full", speed, machine + version + gone, "gallery", NO_CACHE),
        "kept": lambda: build("gallery, Full, disk kept", speed, machine + snapshot + version, "gallery", kept),
        "shallow": lambda: build("gallery, Shallow", speed, machine + SHALLOW + gone, "shallow", NO_CACHE),
    }  # fmt: skip
    if speed == 1 and shutil.which("packer"):
        works |= {"packer-managed": lambda: packer("managed image"), "packer-gallery": lambda: packer("gallery")}
    if options.many:
        works = {"many": lambda: many(options.many, speed)}
    lock = threading.Lock()

    def report(name: str) -> None:
        found = works[name]()
        with lock:
            print(json.dumps(found), flush=True)

    with ThreadPoolExecutor(len(works)) as pool:
        list(pool.map(report, [name for name in works if not options.only or name in options.only]))


if __name__ == "__main__":
    main()

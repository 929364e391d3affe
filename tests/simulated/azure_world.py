"""Whole builds by the engine and the Azure platform against a simulator, and what is left of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from armsim import Simulator
from sdk import Sdk

from imagewright.core.actions import Inline, Run, RunAs, Shell
from imagewright.core.choices import Keep
from imagewright.core.clock import Deadline, SystemClock, fresh_name
from imagewright.core.credential import ClientSecret, SignIn
from imagewright.core.events import Event, Note, Output
from imagewright.core.origin import Origin
from imagewright.core.plan import (
    AzureSettings,
    LatestVersioning,
    MachineSpec,
    ManagedImageTarget,
    Optimization,
    Plan,
    PlatformImage,
    SharedImageTarget,
    Step,
    Target,
    Validation,
    VhdTarget,
)
from imagewright.core.result import BuildResult
from imagewright.core.secret import Secret
from imagewright.engine.ledger import Ledger
from imagewright.engine.resume import CachePolicy
from imagewright.engine.run import build
from imagewright.platforms import Settings
from imagewright.platforms.azure.choices import CACHE_GROUP, AzureChoices
from imagewright.platforms.azure.platform import AzurePlatform
from imagewright.platforms.azure.polling import quick_then_slow
from imagewright.staging.directory import DirectoryStaging

ORIGIN = Origin("template.json", 1, 1, "")
UBUNTU = PlatformImage("Canonical", "0001-com-ubuntu-server-jammy", "22_04-lts-gen2", "latest")
RESULTS = ("Microsoft.Compute/galleries/images/versions", "Microsoft.Compute/images")
SNAPSHOT = "Microsoft.Compute/snapshots"
NO_CACHE = CachePolicy(reuse=False, keep=Keep.NONE)


def script(number: int, text: str, *, name: str = "") -> Step:
    body = f"#!/bin/sh -e\n{text}\n"
    return Step(number, name or f"step-{number}", "Shell", (Run(Inline(body), Shell.SH, RunAs.BUILD_USER),), ORIGIN)


def quick() -> Iterator[float]:
    """Seconds between looks, for a simulator whose operations take no time."""
    return quick_then_slow(0.02, soon=0.5)


class AzureWorld:
    """A simulator with a result group and a gallery, and builds in it."""

    def __init__(self, simulator: Simulator, folder: Path, sdk: Sdk) -> None:
        self.simulator = simulator
        self.folder = folder
        self.sdk = sdk
        self.events: list[Event] = []
        sdk.resource.resource_groups.create_or_update("results", {"location": "eastus"})
        self.definition = self.gallery("web", features=())
        self.far = ""
        self.before: set[str] = set()
        self.mark()

    def gallery(
        self, name: str, features: tuple[tuple[str, str], ...] = (), location: str = "eastus", **facts: Any
    ) -> str:
        """An image definition in the gallery `images` of the group `results`; its id."""
        galleries, images = self.sdk.compute.galleries, self.sdk.compute.gallery_images
        galleries.begin_create_or_update("results", f"images_{location}", {"location": location}).result()
        properties = {
            "osType": "Linux", "osState": "Generalized", "hyperVGeneration": "V2",
            "identifier": {"publisher": "me", "offer": "test", "sku": f"{name}-{fresh_name(4)}"},
            "features": [{"name": key, "value": value} for key, value in features],
        } | facts  # fmt: skip
        made = images.begin_create_or_update(
            "results", f"images_{location}", name, {"location": location, "properties": properties}
        ).result()
        return str(made.id)

    # --- plans ---

    def plan(self, *scripts: str, targets: tuple[Target, ...] | None = None, **more: Any) -> Plan:
        machine = more.pop("machine", MachineSpec())
        return replace(
            Plan(
                name="web",
                origin=ORIGIN,
                source=UBUNTU,
                machine=replace(machine, location="eastus"),
                steps=tuple(script(number, text) for number, text in enumerate(scripts, start=1)),
                validation=Validation(),
                optimization=Optimization(),
                targets=targets if targets is not None else (self.shared(),),
                azure=AzureSettings(subscription_id=self.simulator.subscription, resource_group="results"),
            ),
            **more,
        )

    def shared(self, **more: Any) -> SharedImageTarget:
        return SharedImageTarget(
            **(
                {"run_output_name": "gallery", "gallery_image_id": self.definition, "versioning": LatestVersioning()}
                | more
            )
        )

    def managed(self, name: str = "web", **more: Any) -> ManagedImageTarget:
        group = f"/subscriptions/{self.simulator.subscription}/resourceGroups/results"
        image = f"{group}/providers/Microsoft.Compute/images/{name}"
        return ManagedImageTarget(**({"run_output_name": "managed", "image_id": image, "location": "eastus"} | more))

    def vhd(self, **more: Any) -> VhdTarget:
        return VhdTarget(**({"run_output_name": "vhd"} | more))

    # --- builds ---

    def settings(self, **choices: Any) -> Settings:
        given, simulator = self.simulator.credentials, self.simulator
        work = self.folder / f"build-{fresh_name(6)}"
        work.mkdir()
        options = {
            "arm_endpoint": simulator.url, "authority_host": simulator.url, "ca_bundle": str(simulator.authority),
            "agent_address": "127.0.0.1",
        }  # fmt: skip
        return Settings(
            home=self.folder, work=work, subscription_id=simulator.subscription,
            sign_in=SignIn(ClientSecret(given.client, given.tenant, Secret("secret", given.secret))),
            azure=AzureChoices(**(options | choices)),
        )  # fmt: skip

    def platform(self, settings: Settings | None = None) -> AzurePlatform:
        return AzurePlatform(settings or self.settings(), self.events.append, SystemClock(), quick)

    def build(self, plan: Plan, policy: CachePolicy = NO_CACHE, **choices: Any) -> BuildResult:
        settings = self.settings(**choices)
        ledger, platform = Ledger(settings.work / "ledger.jsonl"), self.platform(settings)
        try:
            return build(
                plan,
                platform=platform,
                staging=DirectoryStaging(settings.work / "staging"),
                ledger=ledger,
                emit=self.events.append,
                clock=SystemClock(),
                policy=policy,
                build_id=settings.work.name,
            )
        finally:
            self.pending = ledger.pending()
            ledger.close()
            platform.close()

    @staticmethod
    def deadline() -> Deadline:
        return Deadline.after(SystemClock(), 120, "the test")

    # --- what can be seen ---

    @property
    def lines(self) -> list[str]:
        """What the guests printed."""
        return [event.line for event in self.events if isinstance(event, Output)]

    @property
    def notes(self) -> list[str]:
        return [event.message for event in self.events if isinstance(event, Note)]

    # --- what there is ---

    def mark(self) -> None:
        """What is there now was there before."""
        self.before = self._everything()

    def left(self) -> set[str]:
        """What is there once all that runs has ended, and was not there before: ids of resources, URLs of blobs (of
        containers that are empty), and `access to ID` of disks that a signature still reads or writes."""
        return self._everything() - self.before

    def _everything(self) -> set[str]:
        found = set(self.simulator.resources())
        return found | {f"access to {each}" for each in found if self._accessed(each)} | set(self._blobs())

    def _accessed(self, identifier: str) -> bool:
        return self.simulator.resource(identifier).properties.get("diskState") in ("ActiveSAS", "ActiveUpload")

    def _blobs(self) -> dict[str, str]:
        """The state of the copy that made each blob, by URL; `""` for those that were uploaded."""
        found: dict[str, str] = {}
        cloud = self.simulator.cloud
        for account in [each.name for each in cloud.world.all("Microsoft.Storage/storageAccounts")]:
            service = cloud.blobs.client(account)
            for container in service.list_containers():
                url = f"{cloud.blobs.url}/{account}/{container.name}"
                blobs = list(service.get_container_client(container.name).list_blobs(include=["copy"]))
                found |= {f"{url}/{each.name}": str(each.copy.status or "") for each in blobs} or {url: ""}
        return found

    def published(self) -> set[str]:
        """What has come out of builds by now, whole: nothing that still runs is let end for it.

        Versions, managed images, blobs that were copied to their end, and disks in the cache with their group.
        """
        cache = f"/subscriptions/{self.simulator.subscription}/resourceGroups/{CACHE_GROUP}"
        with self.simulator.cloud.world.lock:
            ready = [each for each in self.simulator.cloud.world.all() if each.ready and each.id not in self.before]
        results = {each.id for each in ready if each.kind in RESULTS and each.group == "results"}
        kept = {each.id for each in ready if each.kind == SNAPSHOT and each.group == CACHE_GROUP}
        copied = {url for url, state in self._blobs().items() if state == "success"} - self.before
        return results | kept | copied | ({cache} - self.before if kept else set())

    def kept(self) -> set[str]:
        """What of that stands in the cache, with its group."""
        return {each for each in self.published() if f"/{CACHE_GROUP}" in each}

    def forget(self) -> None:
        """Take away whatever was not there before, past Azure."""
        cloud = self.simulator.cloud
        for each in sorted(self.left(), reverse=True):
            if each.startswith("https:"):
                account, container, *name = each.removeprefix(f"{cloud.blobs.url}/").split("/", 2)
                inside = cloud.blobs.client(account).get_container_client(container)
                inside.delete_blob(name[0]) if name else inside.delete_container()
            elif each.startswith("/"):
                self._remove(each)

    def _remove(self, identifier: str) -> None:
        cloud = self.simulator.cloud
        with cloud.world.lock:
            found = cloud.world.get(identifier)
            if found is not None:
                cloud.world.remove(identifier)
                if (kind := cloud.kind(found.kind)) is not None:
                    kind.deleted(cloud, found)

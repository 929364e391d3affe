"""The pages' own workflow and pipeline on the simulated Azure, signed in by OIDC; and what a cancelled one leaves."""

from __future__ import annotations

import json
import re
import shutil
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml
from armsim import Pace, Simulator
from armsim.faults import Fault
from azure_agent import Agent
from azure_pipeline import run_pipeline
from azure_world import AzureWorld
from github_runner import Runner, base_environment
from github_workflow import run_workflow
from pages import block
from sample_template import template
from sdk import Sdk
from token_services import Services, token_services

from imagewright.engine.ledger import pending

ROOT = Path(__file__).parents[2]
SAMPLE = ROOT / "samples" / "three-targets"
APP = "the app\n"
CONNECTIONS = ("my-service-connection", "shop-images")
"""The names of the pages and of the samples."""

VERSION = re.compile(r"/subscriptions/[^/]+/resourceGroups/images/.*/galleries/images/images/base/versions/[\d.]+")
SECONDS = 5.0
"""From SIGINT to a written ledger and sent deletions."""


@dataclass
class Azure:
    """A subscription with the gallery of the sample in the group of the pages, and whoever issues tokens for it."""

    simulator: Simulator
    services: Services
    world: AzureWorld
    home: Path

    @property
    def environment(self) -> dict[str, str]:
        """Where this Azure is, and what the pages leave to the user's taste: here files go by the account."""
        return {
            "IMAGEWRIGHT_ARM_ENDPOINT": self.simulator.url,
            "IMAGEWRIGHT_AUTHORITY_HOST": self.simulator.url,
            "IMAGEWRIGHT_CA_BUNDLE": str(self.simulator.authority),
            "IMAGEWRIGHT_AGENT_ADDRESS": "127.0.0.1",
            "IMAGEWRIGHT_HOME": str(self.home),
            "IMAGEWRIGHT_LOCATION": "eastus",
        }

    @property
    def variables(self) -> dict[str, str]:
        """The repository's."""
        given = self.simulator.credentials
        return {
            "AZURE_CLIENT_ID": given.client,
            "AZURE_TENANT_ID": given.tenant,
            "AZURE_SUBSCRIPTION_ID": self.simulator.subscription,
        }

    @property
    def github(self) -> dict[str, str]:
        """What a job with `id-token: write` has."""
        url = f"{self.services.http}/github?api-version=2.0"
        token = self.services.github_token
        return {**self.environment, "ACTIONS_ID_TOKEN_REQUEST_URL": url, "ACTIONS_ID_TOKEN_REQUEST_TOKEN": token}

    @property
    def azure_pipelines(self) -> dict[str, str]:
        """What the agent gives a task that names a service connection with workload identity federation."""
        given, connection = self.simulator.credentials, self.services.connection
        return {
            **self.environment,
            "SYSTEM_OIDCREQUESTURI": f"{self.services.http}/azuredevops",
            "ENDPOINT_AUTH_PARAMETER_SYSTEMVSSCONNECTION_ACCESSTOKEN": self.services.job_token,
            f"ENDPOINT_AUTH_SCHEME_{connection}": "WorkloadIdentityFederation",
            f"ENDPOINT_AUTH_PARAMETER_{connection}_SERVICEPRINCIPALID": given.client,
            f"ENDPOINT_AUTH_PARAMETER_{connection}_TENANTID": given.tenant,
            f"ENDPOINT_DATA_{connection}_SUBSCRIPTIONID": self.simulator.subscription,
        }

    def uploads(self) -> int:
        """How many files went to a guest through a storage account."""
        asked = self.simulator.blob_requests
        return len(
            {path for method, path, status in asked if path.endswith(".in") and (method, status) == ("PUT", 201)}
        )

    def there(self) -> set[str]:
        """What is there at this moment and was not before: what is still being deleted is there."""
        with self.simulator.cloud.world.lock:
            return {each.id for each in self.simulator.cloud.world.all()} - self.world.before

    def deletions(self, since: float, seconds: float) -> list[str]:
        """The groups whose deletion was asked for within so many seconds."""
        return [
            each.path
            for each in self.simulator.requests
            if each.method == "DELETE" and "/IT_" in each.path and since <= each.began < since + seconds
        ]


@pytest.fixture
def pace() -> Pace:
    return Pace()


@pytest.fixture
def azure(tmp_path: Path, pace: Pace) -> Iterator[Azure]:
    with token_services(tmp_path) as services, Simulator(pace) as simulator, Sdk(simulator) as sdk:
        simulator.tokens.federation = services.redeem
        world = AzureWorld(simulator, tmp_path, sdk)
        sdk.resource.resource_groups.create_or_update("images", {"location": "eastus"})
        for gallery, name, location in (("images", "base", "eastus"), ("shop", "web", "westeurope")):
            definition(sdk, gallery, name, location)
        simulator.settle()
        world.mark()
        yield Azure(simulator, services, world, tmp_path / "home")
        assert simulator.mistakes == []


def definition(sdk: Sdk, gallery: str, name: str, location: str) -> None:
    """An image definition in a gallery of the group `images`."""
    place, group = {"location": location}, "images"
    sdk.compute.galleries.begin_create_or_update(group, gallery, place).result()
    properties = {
        "osType": "Linux",
        "osState": "Generalized",
        "hyperVGeneration": "V2",
        "identifier": {"publisher": "shop", "offer": gallery, "sku": name},
    }
    body = {**place, "properties": properties}
    sdk.compute.gallery_images.begin_create_or_update(group, gallery, name, body).result()


def repository(workspace: Path, artifacts: str) -> None:
    """The user's: our sample under the name of the pages, with a customizer that takes the build artifacts over."""
    shutil.copytree(SAMPLE, workspace / "images")
    text = (workspace / "images" / "template.json").read_text()
    taking = text.replace('"cat /etc/motd"]', f'"cat /etc/motd", "sudo cp /tmp/{artifacts}/app /etc/app"]')
    assert taking != text
    (workspace / "images" / "web.json").write_text(taking)
    (workspace / artifacts).mkdir()
    (workspace / artifacts / "app").write_text(APP)


@pytest.fixture
def make_runner(tmp_path: Path, checkout: Path, uv: None, azure: Azure) -> Callable[[str], Runner]:
    def make(leg: str) -> Runner:
        actions = {"imagewright/imagewright": checkout}
        return Runner(tmp_path / "runners" / leg, base_environment(**azure.github), actions)

    return make


@pytest.fixture
def make_agent(tmp_path: Path, azure: Azure) -> Callable[[str], Agent]:
    task = tmp_path / "task"
    shutil.copytree(ROOT / "task", task)
    shutil.copy(ROOT / "task.json", task)

    def make(job: str) -> Agent:
        environment = {**azure.azure_pipelines, "IMAGEWRIGHT_PYTHON": sys.executable}
        connections = dict.fromkeys(CONNECTIONS, azure.services.connection)
        return Agent(tmp_path / "agents" / job, task, environment, connections=connections)

    return make


def came_out(azure: Azure, image: str, result: str) -> None:
    """The gallery has the image, with the sample's file in it; nothing else stays but its sisters and the cache."""
    assert VERSION.fullmatch(image)
    inside = azure.simulator.content(image)
    assert inside.read("/etc/motd") == (SAMPLE / "greeting.txt").read_bytes()
    assert inside.read("/etc/app").decode() == APP
    assert azure.uploads() >= 2, "the sample's file and the build artifacts go by the staging account"
    outputs = json.loads(Path(result).read_text())["runOutputs"]
    came = {each.get("artifactId") or each["artifactUri"] for each in outputs}
    assert image in came
    (account,) = [
        each for each in azure.world.left() if "/storageAccounts/" in each
    ]  # of the VHD: it outlives builds
    assert azure.world.left() == came | {account} | azure.world.kept()
    assert azure.services.redeemed
    assert azure.services.refused == []


# --- whole builds ---


@pytest.mark.parametrize("page", ["README.md", "docs/how-to/build-in-github-actions.md"])
def test_the_workflow_of_a_page_hands_the_next_step_a_gallery_image(
    page: str, azure: Azure, make_runner: Callable[[str], Runner], tmp_path: Path
) -> None:
    def make(leg: str) -> Runner:
        mine = make_runner(leg)
        mine.environment["IMAGEWRIGHT_REACH"] = "agent"
        repository(mine.workspace, "workflow-artifacts")
        return mine

    file = tmp_path / "image.yml"
    file.write_text(block(page, "jobs:"))
    ran = run_workflow(file, make, azure.variables)
    (leg,) = ran.legs["image"]
    assert leg.status == "success", leg.log
    *_, use = leg.steps.values()
    outputs = leg.outputs("image")
    assert use.log == f"{outputs['image-id']}\n"
    assert outputs["custom-image-uri"] == outputs["image-id"]
    assert outputs["version"] == outputs["image-id"].rpartition("/")[2]
    came_out(azure, outputs["image-id"], outputs["result"])
    assertions = [each for each in azure.services.issued if each in leg.log]
    assert set(assertions) <= set(leg.masked)


@pytest.mark.parametrize(
    ("page", "beginning"), [("README.md", "steps:"), ("docs/how-to/build-in-azure-pipelines.md", "jobs:")]
)
def test_the_pipeline_of_a_page_hands_the_next_step_a_gallery_image(
    page: str, beginning: str, azure: Azure, make_agent: Callable[[str], Agent], tmp_path: Path
) -> None:
    def make(job: str) -> Agent:
        mine = make_agent(job)
        mine.environment |= {"IMAGEWRIGHT_REACH": "agent", "IMAGEWRIGHT_ARTIFACTS": "drop"}
        repository(mine.sources, "drop")
        return mine

    pipeline = yaml.safe_load(block(page, beginning))
    file = tmp_path / "azure-pipelines.yml"
    file.write_text(yaml.safe_dump(pipeline if "jobs" in pipeline else {"jobs": [{"job": "image", **pipeline}]}))
    ran = run_pipeline(file, make, {})
    assert ran.results == {"image": "Succeeded"}, ran.logs["image"]
    outputs = ran.outputs[""]["image"]
    assert ran.logs["image"].endswith(f"\n{outputs['image.imageId']}\n")
    assert outputs["image.version"] == outputs["image.imageId"].rpartition("/")[2]
    assert ran.agents["image"].tags == [f"image-{outputs['image.version']}"]
    came_out(azure, outputs["image.imageId"], outputs["image.result"])


# --- one line changed ---


def logged_in(azure: Azure, directory: Path) -> dict[str, str]:
    """What azure/login leaves to the steps after it."""
    given = azure.variables
    account = {
        "id": given["AZURE_SUBSCRIPTION_ID"],
        "tenantId": given["AZURE_TENANT_ID"],
        "environmentName": "AzureCloud",
        "isDefault": True,
        "user": {"name": given["AZURE_CLIENT_ID"], "type": "servicePrincipal"},
    }
    directory.mkdir()
    (directory / "azureProfile.json").write_text(json.dumps({"subscriptions": [account]}))
    return {"AZURE_CONFIG_DIR": str(directory)}


def is_in_the_shop(azure: Azure, image: str, file: str) -> None:
    assert "/galleries/shop/images/web/versions/" in image
    assert azure.simulator.content(image).read(f"/buildartifacts/{file}") == b"hello\n"
    regions = azure.simulator.resource(image).properties["publishingProfile"]["targetRegions"]
    assert {each["name"].replace(" ", "").lower() for each in regions} == {"westeurope", "northeurope"}
    assert azure.world.left() == {image} | azure.world.kept()
    assert azure.services.redeemed


def test_a_workflow_for_build_vm_image_reaches_its_gallery(
    azure: Azure, make_runner: Callable[[str], Runner], tmp_path: Path
) -> None:
    def make(leg: str) -> Runner:
        mine = make_runner(leg)
        mine.environment |= logged_in(azure, tmp_path / "azure")
        return mine

    file = ROOT / "samples" / "pipelines" / "github" / "from-build-vm-image.yml"
    (leg,) = run_workflow(file, make, azure.variables).legs["image"]
    assert leg.status == "success", leg.log
    outputs = leg.outputs("imagebuilder")
    assert outputs["imagebuilder-run-status"] == "succeeded"
    is_in_the_shop(azure, outputs["custom-image-uri"], "workflow-artifacts/hello.txt")


def test_a_pipeline_for_the_old_task_reaches_its_gallery(
    azure: Azure, make_agent: Callable[[str], Agent], tmp_path: Path
) -> None:
    group = f"/subscriptions/{azure.simulator.subscription}/resourceGroups/images"
    predefined = {
        "Build.ArtifactStagingDirectory": str(tmp_path / "a"),
        "gallery": f"{group}/providers/Microsoft.Compute/galleries/shop",
    }
    file = ROOT / "samples" / "pipelines" / "azure" / "from-azure-image-builder-task.yml"
    ran = run_pipeline(file, make_agent, predefined)
    assert ran.results == {"image": "Succeeded"}, ran.logs["image"]
    *_, told = ran.logs["image"].splitlines()
    image, publisher, version = re.fullmatch(r"(\S+) from (\S+) (\S+)", told).groups()  # type: ignore[union-attr]
    assert publisher == "Canonical"
    assert re.fullmatch(r"[\d.]+", version), "the exact one"
    is_in_the_shop(azure, image, "webapp/index.html")


# --- cancelled ---


@dataclass
class Moment:
    """When a job is cancelled: `arrived` is asked with its log. `group`: the signal goes to all of its processes."""

    azure: Azure
    name: str

    def __post_init__(self) -> None:
        self._created = threading.Event()
        fault = Fault(".*/virtualMachines/[^/]*", "PUT", then=self._created.set)
        self.azure.simulator.faults.add(fault)

    @property
    def group(self) -> bool:
        return self.name == "a customizer runs"

    def arrived(self, log: str) -> bool:
        return "| ready" in log if self.group else self._created.is_set()

    def cancel(self, job: Runner | Agent, folder: Path) -> None:
        """Give the job, whose files lie in `folder`, a long build to be cancelled in."""
        job.cancel_when, job.cancel_group = self.arrived, self.group
        (folder / "images").mkdir()
        (folder / "images" / "web.json").write_text(LONG)


@pytest.fixture(params=["a customizer runs", "the machine is created"])
def moment(azure: Azure, request: pytest.FixtureRequest) -> Moment:
    return Moment(azure, request.param)


slowly = pytest.mark.parametrize("pace", [Pace(speed=20)])
LONG = template("echo ready; sleep 600").replace("westeurope", "eastus")


@slowly
def test_a_cancelled_action_has_sent_its_deletions_and_its_last_step_leaves_nothing(
    azure: Azure, moment: Moment, make_runner: Callable[[str], Runner]
) -> None:
    mine = make_runner("image")
    moment.cancel(mine, mine.workspace)
    job = yaml.safe_load(block("README.md", "jobs:"))["jobs"]["image"]
    assert mine.job(job["steps"], vars=azure.variables) == "cancelled", mine.log
    build, cleanup = (mine.steps[f"image/{name}"] for name in ("build", "cleanup"))
    assert (build.code, build.signals) == (130, 1), build.log
    assert build.seconds < SECONDS
    assert azure.deletions(build.asked, SECONDS)
    assert mine.outputs("image")["status"] == "canceled"
    assert cleanup.code == 0, cleanup.log
    assert "/IT_" in cleanup.log, "what the ledger says is left"
    assert azure.there() == set()
    assert azure.world.left() == set()


@slowly
def test_a_cancelled_task_has_sent_its_deletions_and_its_last_handler_leaves_nothing(
    azure: Azure, moment: Moment, make_agent: Callable[[str], Agent]
) -> None:
    mine = make_agent("image")
    moment.cancel(mine, mine.sources)
    (task, _) = yaml.safe_load(block("README.md", "steps:"))["steps"]
    ran = mine.run(task["inputs"])
    assert (ran.code, ran.signals, ran.result) == (0, 1, "Failed"), ran.log
    assert "cancelled" in [each.message for each in ran.commands if each.name == "task.complete"]
    assert ran.seconds < SECONDS
    assert azure.deletions(ran.asked, SECONDS)
    (ledger,) = azure.home.glob("builds/*/ledger.jsonl")
    assert "resource-group" in {owned.kind for owned in pending(ledger)}, "nobody has seen it gone yet"
    assert mine.outputs["status"] == "canceled"
    after = mine.after(task["inputs"])
    assert after.result == "Succeeded", after.log
    assert pending(ledger) == ()
    assert azure.there() == set()
    assert azure.world.left() == set()

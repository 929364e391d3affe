"""Built on this machine, published to Azure: through the command line, from a template to a gallery version."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import memory_platform
import pytest
from armsim import Simulator
from azure_world import AzureWorld
from command_line import CommandLine
from test_azure_upload import MIB, _raw

from imagewright.core.disk import Disk
from imagewright.core.plan import Generation, OsType
from imagewright.entry.cli import main
from imagewright.platforms import PLATFORMS

PUBLISH = ("--platform", "local", "--publish-to-azure")


@pytest.fixture
def line(simulator: Simulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[CommandLine]:
    """This process builds in memory, with a real disk; what a guest's customizers do shows in `ran`."""
    made = CommandLine(simulator, tmp_path)
    monkeypatch.setitem(PLATFORMS, "local", memory_platform.entry())
    for name, value in made.environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    disk = Disk(str(_raw(tmp_path)), "raw", 64 * MIB, OsType.LINUX, Generation.V2)
    memory_platform.world(made.home).disk = disk
    yield made
    made.close()


def test_a_template_becomes_a_gallery_version_with_no_build_vm(world: AzureWorld, line: CommandLine) -> None:
    template = str(line.template(world.definition, inline="say hello"))
    assert main(["build", template, *PUBLISH, "--result", "result.json"]) == 0
    (output,) = json.loads(Path("result.json").read_text())["runOutputs"]
    assert world.left() == {output["artifactId"]}
    assert world.simulator.content(output["artifactId"]).image is not None
    assert not any("/virtualMachines/" in request.path for request in world.simulator.requests)
    assert any("say hello" in script for script in memory_platform.world(line.home).ran)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda definition: definition.replace("/images/web", "/images/nothing"), "there is no image definition"),
        (lambda definition: definition + "x/y", "is not the id"),
    ],
)
def test_a_target_that_cannot_be_written_is_told_before_anything_is_built(
    world: AzureWorld, line: CommandLine, capsys: pytest.CaptureFixture[str], change, said: str
) -> None:
    template = str(line.template(change(world.definition), inline="say hello"))
    assert main(["build", template, *PUBLISH]) != 0
    assert said in capsys.readouterr().err
    assert memory_platform.world(line.home).ran == []
    assert world.left() == set()


def test_a_template_that_asks_where_its_group_is_gets_the_answer_of_azure(
    world: AzureWorld, line: CommandLine, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    file = line.template(world.definition, inline="say hello")
    image = json.loads(file.read_text()) | {"location": "[resourceGroup().location]"}
    schema = "https://schema.management.azure.com/schemas/2019-04-01/deploymentTemplate.json#"
    file.write_text(json.dumps({"$schema": schema, "contentVersion": "1.0.0.0", "resources": [image]}))
    with monkeypatch.context() as nowhere:
        nowhere.setenv("IMAGEWRIGHT_RESOURCE_GROUP", "")
        assert main(["build", str(file), *PUBLISH]) == 2
    assert "the location of the resource group is not known" in capsys.readouterr().err
    assert main(["build", str(file), *PUBLISH, "--resource-group", "nothing"]) == 6
    assert "looking up the resource group nothing: " in capsys.readouterr().err
    for given in ([], ["--location", "eastus"]):
        assert main(["build", str(file), *PUBLISH, *given]) == 0

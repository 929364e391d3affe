from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from imagewright.core.choices import Keep
from imagewright.core.errors import OptionsError
from imagewright.entry.inputs import Inputs, Request, of_document, of_variables, read
from imagewright.entry.regions import region, regions, regions_with_replicas
from imagewright.options.choices import OnFailure, When

TASK = Path(__file__).parents[3] / "task.json"


def place(name: str, text: str) -> str:
    return f"/placed/{name}"


def on_github(given: Mapping[str, str], unknown: tuple[str, ...] = (), **environment: str) -> Request:
    return read(Inputs(given, lambda option: option.github_inputs), environment, place, unknown=unknown)


def on_azure(**given: str) -> Request:
    return read(Inputs(given, lambda option: option.task_inputs), {}, place, unknown=())


def refused(given: Mapping[str, str], unknown: tuple[str, ...] = ()) -> list[str]:
    with pytest.raises(ExceptionGroup) as caught:
        on_github(given, unknown)
    assert all(isinstance(each, OptionsError) for each in caught.value.exceptions)
    return [str(each) for each in caught.value.exceptions]


def test_inputs_become_options() -> None:
    request = on_github(
        {
            "template": "web.json",
            "set": "size=small\nname=a=b",
            "cache": "All",
            "timeout": "90",
            "when": "source-changed",
            "on-failure": "keep",
            "dry-run": "TRUE",
            "no-cache": "false",
        }
    )
    assert request.options.template == "web.json"
    assert request.options.overrides == (("size", "small"), ("name", "a=b"))
    assert request.options.cache is Keep.ALL
    assert request.options.timeout == 90
    assert request.pipeline.when is When.SOURCE_CHANGED
    assert request.pipeline.on_failure is OnFailure.KEEP
    assert request.pipeline.dry_run


def test_names_are_compared_as_the_runners_do() -> None:
    variables = of_variables({"INPUT_RESOURCE-GROUP-NAME": "rg", "INPUT_VM_SIZE": "Standard_D2", "PATH": "/bin"})
    request = on_github(variables)
    assert request.options.resource_group == "rg"
    assert request.pipeline.vm_size == "Standard_D2"


def test_former_names_mean_the_same() -> None:
    request = on_github({"resource-group-name": "rg", "build-timeout-in-minutes": "30", "customizer-source": "drop"})
    assert (request.options.resource_group, request.options.timeout) == ("rg", 30)
    assert request.options.artifacts == Path("drop")
    former = on_azure(ibAzureResourceGroup="rg", packagePath="drop", ibLocation="West Europe", ibSubscription="id")
    assert former.options.artifacts == Path("drop")
    assert former.options.location == "westeurope"
    assert former.pipeline.azure_subscription == "id"


def test_in_a_pipeline_azure_is_the_platform_unless_something_says_otherwise() -> None:
    assert on_github({}).options.platform == "azure"
    assert on_github({}, IMAGEWRIGHT_PLATFORM="local").options.platform == "local"
    assert on_github({"platform": "azure"}, IMAGEWRIGHT_PLATFORM="local").options.platform == "azure"


def test_what_is_published_to_azure_is_built_on_the_runner() -> None:
    assert on_github({"publish-to-azure": "true"}).options.platform == "local"
    assert on_github({}, IMAGEWRIGHT_PUBLISH_TO_AZURE="true").options.platform == "local"
    assert on_github({"publish-to-azure": "false"}).options.platform == "azure"
    (problem,) = refused({"publish-to-azure": "true", "platform": "azure"})
    assert problem.startswith("input `publish-to-azure` contradicts input `platform` `azure`")


def test_false_is_a_value() -> None:
    assert not on_github({"private": "false"}, IMAGEWRIGHT_PRIVATE="true").options.private
    assert on_github({}, IMAGEWRIGHT_PRIVATE="true").options.private
    booleans = [each for each in json.loads(TASK.read_text("utf-8"))["inputs"] if each["type"] == "boolean"]
    assert not [each["name"] for each in booleans if each.get("defaultValue")], "the agent would send it as given"


SCRIPT = {"source-image": "a:b:c:d", "dist-type": "sig"}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"parameters": "p.json"}, "input `parameters` is for a template, and there is none"),
        ({"set": "a=b"}, "input `set` is for a template, and there is none"),
        ({"name": "web"}, "input `name` is for a template, and there is none"),
        (
            {**SCRIPT, "source-validation-only": "true"},
            "input `source-validation-only`: there is nothing to validate with",
        ),
    ],
)
def test_inputs_that_cannot_be_meant_together_are_refused(given: dict[str, str], message: str) -> None:
    assert refused(given) == [message]


def test_two_inputs_of_the_task_for_one_thing() -> None:
    def problems(**given: str) -> list[str]:
        with pytest.raises(ExceptionGroup) as caught:
            on_azure(**given)
        return [str(each) for each in caught.value.exceptions]

    assert problems(artifacts="drop", artifactsFrom="build") == [
        "input `artifacts` contradicts input `artifactsFrom`"
    ]
    two = {"distResourceId": "a", "galleryImageId": "b"}
    assert problems(distributeType="sig", **two) == ["input `distResourceId` contradicts input `galleryImageId`"]
    assert on_azure(distributeType="vhd", **two).pipeline.gallery_image_id == "b"
    assert on_azure(distributeType="sig", distResourceId="a", galleryImageId="a").options.platform == "azure"


def test_a_variable_of_the_machine_that_looks_like_an_input_is_no_error() -> None:
    variables = of_variables({"INPUT_METHOD": "ibus", "INPUT_TEMPLATE": "web.json"})
    request = on_github(variables, ("METHOD",))
    assert request.strange == ("METHOD",)
    assert request.options.template == "web.json"


def test_a_template_may_stand_in_the_pipeline_itself() -> None:
    assert on_github({"template": '{"properties": {}}'}).options.template == "/placed/template"
    assert on_github({"template": "location: westeurope\nproperties: {}\n"}).options.template == "/placed/template"
    assert on_github({"template": "web.json\n"}).options.template == "web.json"
    assert str(on_github({"template": "w.json", "parameters": "{}"}).options.parameters) == "/placed/parameters"


def test_everything_that_is_wrong_is_told_at_once() -> None:
    problems = refused({"timeout": "soon", "no-cache": "perhaps", "location": "atlantis"}, ("templte",))
    assert problems == [
        "there is no input `templte`",
        "input `timeout`: `soon` is not a whole number",
        "input `no-cache`: `perhaps` is neither true nor false",
        "input `location`: there is no Azure region `atlantis`",
    ]


def test_a_misspelt_input_is_told_what_was_meant() -> None:
    with pytest.raises(ExceptionGroup) as caught:
        on_github({}, ("resorce-group",))
    (error,) = caught.value.exceptions
    assert isinstance(error, OptionsError)
    assert error.hint == "did you mean `resource-group`?"


def test_two_names_of_one_thing_may_agree_but_not_contradict() -> None:
    assert on_github({"resource-group": "rg", "resource-group-name": "rg"}).options.resource_group == "rg"
    (problem,) = refused({"resource-group": "a", "resource-group-name": "b"})
    assert problem == "the inputs `resource-group` and `resource-group-name` mean the same and contradict each other"


def test_a_template_and_inputs_that_contradict_it_are_refused() -> None:
    problems = refused({"template": "web.json", "source-image": "a:b:c:d", "windows-update": "true"})
    assert problems == [
        "input `source-image` contradicts input `template`: the template says that itself",
        "input `windows-update` contradicts input `template`: the template says that itself",
    ]
    assert on_github({"template": "web.json", "windows-update": "false", "image-tags": "a:b"}).options.template


def test_a_template_file_in_the_old_name_overrides_the_other_inputs_as_it_did() -> None:
    request = on_github(
        {
            "image-builder-template-name": "images/web.json",
            "source-os-type": "Linux",
            "vm-size": "Standard_D4",
            "customizer-script": "echo hello",
        }
    )
    assert request.options.template == "images/web.json"
    assert request.ignored == ("input `vm-size`",)
    assert request.prelude == "echo hello"
    assert on_github({"image-builder-template-name": "web"}).pipeline.template_name == "web"


def test_the_document_of_inputs() -> None:
    assert of_document('{"template": "a", "odd": "b"}') == {"template": "a", "odd": "b"}
    assert of_document("${{ toJSON(inputs) }}") == of_document("") == of_document("[]") == {}


@pytest.mark.parametrize(
    ("text", "name"),
    [("UK South", "uksouth"), ("eastus2", "eastus2"), ("usgovvirginia", "usgovvirginia"), ("West US 4", "westus4")],
)
def test_regions(text: str, name: str) -> None:
    assert region(text, "input `location`") == name


@pytest.mark.parametrize("text", ["atlantis", "europe", "west", "westeurop", "eastus;rm"])
def test_what_is_no_region_is_refused(text: str) -> None:
    with pytest.raises(OptionsError, match="there is no Azure region"):
        region(text, "input `location`")


def test_several_regions() -> None:
    assert regions("West Europe, northeurope\n uksouth", "x") == ("westeurope", "northeurope", "uksouth")
    assert regions(" , ", "x") == ()


def test_regions_with_their_replicas() -> None:
    found = regions_with_replicas("West Europe=2, uksouth\nWest US = 3", "x")
    assert found == {"westeurope": 2, "uksouth": 1, "westus": 3}
    for wrong in ("atlantis=2", "westeurope:2", "westeurope=0", "westeurope=two", "westeurope, West Europe"):
        with pytest.raises(OptionsError):
            regions_with_replicas(wrong, "input `target-regions`")

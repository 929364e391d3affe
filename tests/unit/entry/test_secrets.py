"""What the command line prints of templates and parameters that hold secrets."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

SECRET = 'hunter2"secret'
IMAGE = {
    "type": "Microsoft.VirtualMachineImages/imageTemplates",
    "apiVersion": "2024-02-01",
    "name": "image",
    "location": "westeurope",
    "properties": {
        "source": {
            "type": "PlatformImage",
            "publisher": "Debian",
            "offer": "debian-12",
            "sku": "12-gen2",
            "version": "latest",
        },
        "customize": [{"type": "Shell", "name": "[concat('log in as ', parameters('pw'))]", "inline": ["true"]}],
        "distribute": [{"type": "VHD", "runOutputName": "vhd"}],
    },
}


def deployment(cli: Any, parameters: dict[str, Any], indent: int | None = None, **resource: Any) -> str:
    data = {"parameters": parameters, "resources": [{**IMAGE, **resource}]}
    (cli.directory / "t.json").write_text(json.dumps(data, indent=indent))
    return "t.json"


def given(cli: Any, **values: Any) -> str:
    data = {"parameters": {name: {"value": value} for name, value in values.items()}}
    (cli.directory / "p.json").write_text(json.dumps(data))
    return "p.json"


def hides(cli: Any, *secrets: str) -> bool:
    text = cli.out + cli.err
    return not any(part in text for secret in secrets for part in (secret, json.dumps(secret)[1:-1], secret[:7]))


@pytest.mark.parametrize("command", ["validate", "plan", "build"])
@pytest.mark.parametrize("indent", [None, 1])
def test_an_error_beside_a_secret_does_not_show_it(cli: Any, command: str, indent: int | None) -> None:
    template = deployment(
        cli,
        {"pw": {"type": "secureString", "defaultValue": SECRET}, "y": {"type": "int", "defaultValue": "a"}},
        indent,
        tags={"a": "[string(parameters('y'))]"},
    )

    assert cli(command, template) == 2
    assert "wrong-type" in cli.out + cli.err
    assert hides(cli, SECRET)


@pytest.mark.parametrize("command", ["validate", "plan", "build"])
def test_lines_of_a_parameters_file_are_never_shown(cli: Any, command: str) -> None:
    template = deployment(cli, {"pw": {"type": "securestring"}, "y": {"type": "int"}},
                          tags={"a": "[string(parameters('y'))]"})  # fmt: skip

    assert cli(command, template, "--parameters", given(cli, pw=SECRET, y="five", unused="other-secret")) == 2
    assert "p.json:1:" in cli.out + cli.err
    assert hides(cli, SECRET, "other-secret")


@pytest.mark.parametrize(
    "text",
    [
        '{"parameters": {"pw": {"value": hunter2secret}}}',
        "{'parameters': {'pw': {'value': 'hunter2secret'}}}",
        '{"parameters": {"pw": {"value": "hunter2secret}}}',
        '{"parameters": {"pw": {"value": "hunter2secret" "y": 1}}}',
        '{"parameters": {"pw": "hunter2secret"}}',
    ],
)
def test_what_is_wrong_in_a_parameters_file_is_not_quoted(cli: Any, text: str) -> None:
    template = deployment(cli, {"pw": {"type": "securestring"}})
    for name in ("p.json", "p.yaml"):
        (cli.directory / name).write_text(text)
        cli("validate", template, "--parameters", name)
        assert hides(cli, "hunter2secret")


@pytest.mark.parametrize("value", ["*hunter2secret", "!hunter2secret", "&hunter2secret x: y", "%hunter2secret"])
def test_what_is_wrong_in_a_yaml_parameters_file_is_not_quoted(cli: Any, value: str) -> None:
    (cli.directory / "p.yaml").write_text(f"parameters:\n  pw:\n    value: {value}\n")

    cli("validate", deployment(cli, {"pw": {"type": "securestring"}}), "--parameters", "p.yaml")
    assert "hunter2" not in cli.out + cli.err


@pytest.mark.parametrize(
    "expression",
    [
        "base64(parameters('pw'))",
        "toUpper(parameters('pw'))",
        "uriComponent(parameters('pw'))",
        "concat('x', base64(toUpper(parameters('pw'))))",
        "join(split(parameters('pw'), '2'), '-')",
        "take(parameters('pw'), 6)",
        "replace(parameters('pw'), 'hunt', 'fish')",
    ],
)
def test_what_is_made_out_of_a_secret_is_not_shown(cli: Any, expression: str) -> None:
    template = deployment(cli, {"pw": {"type": "securestring"}}, location=f"[{expression}]", name=f"[{expression}]")

    cli("validate", template, "--set", f"pw={SECRET}")
    derived = [base64.b64encode(SECRET.encode()).decode(), base64.b64encode(SECRET.upper().encode()).decode()]
    assert hides(cli, SECRET, SECRET.upper(), "hunter2%22", "hunter", "fisher2", *derived)


def test_numbers_of_a_secure_object_are_not_shown(cli: Any) -> None:
    parameters = {"o": {"type": "secureObject"}, "pw": {"type": "securestring", "defaultValue": "xxxx"}}
    template = deployment(cli, parameters, name="[concat('!', string(parameters('o').pin))]")

    cli("validate", template, "--set", 'o={"pin": 4711471}')
    assert "bad-name" in cli.out
    assert hides(cli, "4711471")


@pytest.mark.parametrize("form", ["text", "json"])
def test_a_plan_does_not_show_a_secret(cli: Any, form: str) -> None:
    template = deployment(cli, {"pw": {"type": "securestring"}})

    assert cli("plan", template, "--set", f"pw={SECRET}", "--format", form) == 0
    assert "log in as ${pw}" in cli.out
    assert hides(cli, SECRET)

"""Deployment templates: parameters, copy loops, nesting, secrets, and what must not run away."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from imagewright.core.errors import TemplateError
from imagewright.template import ArmContext, plans, validate_file


def deployment(resource: dict[str, Any] | None = None, **parts: Any) -> bytes:
    image = {
        "type": "Microsoft.VirtualMachineImages/imageTemplates",
        "apiVersion": "2024-02-01",
        "name": "image",
        "location": "westeurope",
        "identity": {
            "type": "UserAssigned",
            "userAssignedIdentities": {f"{ID}ManagedIdentity/userAssignedIdentities/i": {}},
        },
        "properties": {
            "source": {
                "type": "PlatformImage",
                "publisher": "Debian",
                "offer": "debian-12",
                "sku": "12",
                "version": "1",
            },
            "customize": [{"type": "Shell", "inline": ["true"]}],
            "distribute": [{"type": "VHD", "runOutputName": "vhd"}],
        },
    }
    return json.dumps({"resources": [image | (resource or {})], **parts}).encode()


ID = "/subscriptions/s/resourceGroups/g/providers/Microsoft."


def codes(text: bytes, **options: Any) -> list[str]:
    return [found.code for found in validate_file("t.json", text=text, **options).diagnostics]


# --- parameters ---


@pytest.mark.parametrize(
    ("declaration", "value", "location"),
    [
        ({"type": "string"}, "north", "north"),
        ({"type": "String", "defaultValue": "south"}, None, "south"),
        ({"type": "string", "defaultValue": "[toLower('EAST')]"}, None, "east"),
        ({"type": "string", "allowedValues": ["West"]}, "west", "west"),
    ],
)
def test_a_parameter_has_its_value_from_set_or_its_default(
    declaration: Any, value: str | None, location: str
) -> None:
    text = deployment({"location": "[parameters('Where')]"}, parameters={"where": declaration})
    (plan,), _ = plans("t.json", text=text, overrides={"WHERE": value} if value else {})

    assert plan.machine.location == location


@pytest.mark.parametrize(
    ("kind", "given", "expected"),
    [
        ("int", "60", 3600.0),
        ("int", " 60 ", 3600.0),
    ],
)
def test_set_converts_to_the_type_of_the_parameter(kind: str, given: str, expected: float) -> None:
    properties = json.loads(deployment())["resources"][0]["properties"] | {
        "buildTimeoutInMinutes": "[parameters('p')]"
    }
    text = deployment({"properties": properties}, parameters={"p": {"type": kind}})
    (plan,), _ = plans("t.json", text=text, overrides={"p": given})

    assert plan.timeout == expected


@pytest.mark.parametrize(
    ("declaration", "given", "code"),
    [
        ({"type": "int"}, "many", "wrong-type"),
        ({"type": "bool"}, "1", "wrong-type"),
        ({"type": "array"}, "{}", "wrong-type"),
        ({"type": "object"}, "[" * 100_000, "wrong-type"),
        ({"type": "string", "allowedValues": ["a"]}, "b", "value-not-allowed"),
        ({"type": "int", "maxValue": 3}, "4", "out-of-range"),
        ({"type": "string", "minLength": 3}, "ab", "out-of-range"),
        ({"type": "string", "defaultValue": 3}, None, "wrong-type"),
    ],
)
def test_a_value_that_does_not_fit(declaration: Any, given: str | None, code: str) -> None:
    text = deployment({"tags": "[createObject('a', parameters('p'))]"}, parameters={"p": declaration})

    assert codes(text, overrides={"p": given} if given else {}) == [code]


def test_a_value_that_was_given_is_looked_at_although_nothing_uses_it() -> None:
    parameters = {"size": {"type": "int", "maxValue": 5}, "other": {"type": "int", "defaultValue": "bad"}}
    text = deployment(parameters=parameters)
    assert codes(text, overrides={"size": "big"}) == ["wrong-type"]
    assert codes(text, overrides={"size": "6"}) == ["out-of-range"]
    assert codes(text, overrides={"size": "5"}) == []


def test_a_parameters_file(tmp_path: Path) -> None:
    path = tmp_path / "p.json"
    text = deployment({"location": "[parameters('where')]"}, parameters={"where": {"type": "string"}})
    path.write_text('{"parameters": {"where": {"value": "north"}}}', encoding="utf-8")
    (plan,), _ = plans("t.json", text=text, parameters_file=str(path))
    assert plan.machine.location == "north"

    (plan,), _ = plans("t.json", text=text, parameters_file=str(path), overrides={"where": "south"})
    assert plan.machine.location == "south"


@pytest.mark.parametrize(
    ("content", "code", "pointer"),
    [
        (
            '{"parameters": {"wear": {"value": 1}, "where": {"value": "a"}}}',
            "unknown-parameter",
            "/parameters/wear/value",
        ),
        ('{"parameters": {"where": {"value": 1}}}', "wrong-type", "/parameters/where/value"),
        ('{"parameters": {"where": "north"}}', "bad-parameter", "/parameters/where"),
        ('{"where": "north"}', "no-parameters", ""),
        ('{"parameters": ', "json-syntax", "/parameters"),
    ],
)
def test_what_is_wrong_in_the_parameters_file_is_found_there(
    tmp_path: Path, content: str, code: str, pointer: str
) -> None:
    path = tmp_path / "p.json"
    path.write_text(content, encoding="utf-8")
    text = deployment({"location": "[parameters('where')]"}, parameters={"where": {"type": "string"}})
    with pytest.raises(TemplateError) as caught:
        plans("t.json", text=text, parameters_file=str(path))

    found = next(one for one in caught.value.diagnostics if one.code == code)
    assert (found.origin.file, found.origin.pointer) == (str(path), pointer)


def test_a_parameter_without_a_value_is_a_warning_to_validate_and_an_error_to_plan() -> None:
    text = deployment(
        {"location": "[parameters('p')]", "name": "[parameters('p')]"}, parameters={"p": {"type": "string"}}
    )

    assert codes(text) == ["missing-parameter"]
    assert validate_file("t.json", text=text).valid
    with pytest.raises(TemplateError, match="the parameter 'p' has no value"):
        plans("t.json", text=text)


def test_an_unquoted_placeholder_is_an_error_to_plan() -> None:
    text = deployment().replace(b'"westeurope"', b"<region>")

    assert validate_file("t.json", text=text).valid
    with pytest.raises(TemplateError, match="<region> was never filled in"):
        plans("t.json", text=text)


def test_what_no_image_template_uses_is_not_looked_at() -> None:
    parts = {
        "parameters": {"p": {"type": "string"}},
        "variables": {"v": "[nosuch()]"},
        "outputs": {"o": {"value": "[x("}},
    }

    assert codes(deployment(**parts)) == []


# --- secrets ---


def test_secure_parameters_are_masked_in_plans_and_diagnostics() -> None:
    parameters = {
        "token": {"type": "secureString"},
        "login": {"type": "secureObject", "defaultValue": {"user": "somebody", "password": "hunter22"}},
    }
    inline = ["[concat('use ', parameters('token'), ' ', parameters('login').password)]"]
    properties = json.loads(deployment())["resources"][0]["properties"] | {
        "customize": [{"type": "Shell", "inline": inline}]
    }
    text = deployment({"properties": properties}, parameters=parameters)
    (plan,), _ = plans("t.json", text=text, overrides={"token": "s3cr3t-value"})

    (run,) = plan.steps[0].actions
    shown = plan.mask(run.script.text)  # type: ignore[union-attr]
    assert "s3cr3t-value" in run.script.text  # type: ignore[union-attr]
    assert shown == "#!/bin/sh -e\nuse ${token} ${login.password}\n"

    wrong = deployment({"name": "[parameters('token')]"}, parameters=parameters)
    (found,) = validate_file("t.json", text=wrong, overrides={"token": "not a name!"}).diagnostics
    assert "not a name" not in found.message + found.hint


# --- copy loops, conditions, nesting ---


def test_copies_of_a_resource() -> None:
    text = deployment({"name": "[concat('i', copyIndex(5))]", "copy": {"name": "c", "count": 3}})
    found, _ = plans("t.json", text=text)

    assert [plan.name for plan in found] == ["i5", "i6", "i7"]


def looped(text: str, **resource: Any) -> bytes:
    properties = json.loads(deployment())["resources"][0]["properties"]
    del properties["customize"]
    loop = {"name": "customize", "count": 2, "input": {"type": "Shell", "inline": [text]}}
    return deployment({"properties": properties | {"copy": [loop]}} | resource)


def test_a_loop_of_a_property_within_one_of_a_resource() -> None:
    text = looped(
        "[concat(copyIndex('customize', 7), '-', copyIndex(), '-', copyIndex('c'))]",
        copy={"name": "c", "count": 2},
        name="[concat('i', copyIndex())]",
    )
    checked = validate_file("t.json", text=text)

    assert checked.diagnostics == ()
    made = [[step.inline for step in template.properties.customize] for template in checked.templates]  # type: ignore[union-attr]
    assert made == [[("7-0-0",), ("8-0-0",)], [("7-1-1",), ("8-1-1",)]]


def test_a_loop_of_a_property_must_be_named() -> None:
    (found, *_) = validate_file("t.json", text=looped("[string(copyIndex())]")).diagnostics

    assert (found.code, found.hint) == ("no-such-loop", "there is: copyIndex('customize')")


def test_the_name_of_a_property_that_is_no_text() -> None:
    (found,) = validate_file("t.json", text=deployment({"tags": {"[add(1, 1)]": "x"}})).diagnostics

    assert (found.code, found.severity) == ("bad-property-name", "error")
    assert "an int" in found.message or "number" in found.message


def test_all_of_many_errors_are_told() -> None:
    properties = json.loads(deployment())["resources"][0]["properties"]
    steps = [{"type": "Shell"}, 7, {"type": "Shell", "inline": ["true"], "name": 3}] * 200
    found = codes(deployment({"properties": properties | {"customize": steps}}))

    assert (found.count("shell-inline-xor-uri"), found.count("wrong-type"), len(found)) == (200, 400, 600)


def test_names_are_found_in_any_case_and_the_first_of_two_counts() -> None:
    text = deployment(
        {"name": "[concat(parameters('A'), variables('B'))]"},
        parameters={"a": {"type": "string", "defaultValue": "one"}, "A": {"type": "string", "defaultValue": "two"}},
        variables={"b": "three", "B": "four"},
    )

    assert plans("t.json", text=text)[0][0].name == "onethree"


def test_what_is_missing_is_looked_for_among_what_there_is() -> None:
    loop = [{"name": "steps", "count": 1, "input": 1}]
    for typo, hint in (("stebs", "did you mean 'steps'?"), ("copi", "there is: steps")):
        text = deployment({"name": f"[variables('{typo}')]"}, variables={"copy": loop})
        assert validate_file("t.json", text=text).diagnostics[0].hint == hint
    odd = deployment({"name": "[x.y()]"}, functions=[{"namespace": "x", "members": 1}])
    assert "unknown-function" in codes(odd)


def test_looking_for_what_was_meant_has_an_end() -> None:
    tags = {f"t{number}": f"[variables('w{number}')]" for number in range(3000)}
    found = validate_file("t.json", text=deployment({"tags": tags}, variables={f"v{n}": "" for n in range(3000)}))

    assert found.diagnostics[-1].code == "too-expensive"
    assert max(len(one.hint) for one in found.diagnostics) < 200


@pytest.mark.parametrize("count", [-1, 801, "x", None, True])
def test_a_count_that_is_none(count: object) -> None:
    assert "bad-copy-count" in codes(deployment({"copy": {"name": "c", "count": count}}))


def test_a_false_condition_takes_the_resource_away() -> None:
    assert codes(deployment({"condition": "[not(true())]"})) == ["switched-off"]


def test_expressions_of_a_nested_template_are_the_outer_ones_unless_they_say_inner() -> None:
    inner = json.loads(deployment({"location": "[variables('where')]"}))["resources"]
    nested = {
        "type": "Microsoft.Resources/deployments",
        "name": "n",
        "properties": {"template": {"resources": inner, "variables": {"where": "inside"}}},
    }
    outer: dict[str, Any] = {"variables": {"where": "outside"}, "resources": [nested]}
    (plan,), _ = plans("t.json", text=json.dumps(outer).encode())
    assert plan.machine.location == "outside"

    nested["properties"]["expressionEvaluationOptions"] = {"scope": "Inner"}  # type: ignore[index]
    (plan,), _ = plans("t.json", text=json.dumps(outer).encode())
    assert plan.machine.location == "inside"


def test_a_nested_template_sees_the_copy_loop_around_it() -> None:
    inner = json.loads(deployment({"name": "[concat('n', copyIndex())]"}))["resources"]
    nested = {
        "type": "Microsoft.Resources/deployments",
        "name": "d",
        "copy": {"name": "loop", "count": 2},
        "properties": {"template": {"resources": inner}},
    }
    checked = validate_file("t.json", text=json.dumps({"resources": [nested]}).encode())

    assert [template.name for template in checked.templates] == ["n0", "n1"]
    assert checked.diagnostics == ()


@pytest.mark.parametrize(
    "resource", [{"condition": False}, {"condition": "[equals(1, 2)]"}, {"copy": {"name": "l", "count": 0}}]
)
def test_a_template_that_is_switched_off_is_told_as_that(resource: dict[str, Any]) -> None:
    text = deployment(resource)

    (found,) = validate_file("t.json", text=text).diagnostics
    assert (found.severity, found.code) == ("warning", "switched-off")
    with pytest.raises(TemplateError, match="switched off"):
        plans("t.json", text=text)


def test_a_trigger_is_ignored_aloud() -> None:
    image = json.loads(deployment())["resources"][0]
    trigger = {"type": f"{image['type']}/triggers", "apiVersion": "2022-07-01", "name": "image/t"}

    assert codes(json.dumps({"resources": [image, trigger]}).encode()) == ["ignored"]


@pytest.mark.parametrize("inner", [[{"type": "triggers", "name": "t"}], {"t": {"type": "Triggers", "name": "t"}}])
def test_a_trigger_within_its_template_is_ignored_aloud_too(inner: object) -> None:
    assert codes(deployment({"resources": inner})) == ["ignored"]


def test_a_body_may_have_an_empty_list_of_resources() -> None:
    resource = json.loads(deployment())["resources"][0]

    assert codes(json.dumps({**resource, "resources": []}).encode()) == []


@pytest.mark.parametrize(
    ("declaration", "hint"),
    [
        ({"type": "strng"}, "did you mean 'string'?"),
        ({"type": 5}, "one of: string, int"),
        ({"type": "secureint"}, "did you mean"),
        ({}, "add 'type'"),
    ],
)
def test_a_parameter_has_a_type_of_arm(declaration: dict[str, Any], hint: str) -> None:
    text = deployment({"tags": {"a": "[parameters('x')]"}}, parameters={"x": declaration})

    (found,) = validate_file("t.json", text=text, overrides={"x": "five"}).diagnostics
    assert found.code == "bad-parameter-type"
    assert hint in found.hint
    assert found.origin.pointer.startswith("/parameters/x")


@pytest.mark.parametrize(
    ("content", "code"),
    [(None, "cannot-read"), ("{", "json-syntax"), ("[]", "no-parameters"), ("T", "no-parameters")],
)
def test_a_parameters_file_that_is_none_is_one_error(tmp_path: Path, content: str | None, code: str) -> None:
    text = deployment({"tags": {"a": "[parameters('x')]"}}, parameters={"x": {"type": "string"}})
    file = tmp_path / "p.json"
    if content is not None:
        file.write_text(content.replace("T", text.decode()))

    assert codes(text, parameters=str(file)) == [code]


def test_a_linked_template_is_not_followed() -> None:
    linked = {"type": "Microsoft.Resources/deployments", "properties": {"templateLink": {"uri": "https://e/x.json"}}}
    text = json.dumps({"resources": [linked]}).encode()

    assert sorted(codes(text)) == ["linked-template", "no-image-template"]


def test_a_value_from_a_variable_has_its_place_there() -> None:
    properties = json.loads(deployment())["resources"][0]["properties"] | {"customize": "[variables('steps')]"}
    steps = [{"type": "Shell"}, {"type": "Shell", "inline": ["true"]}]
    (found,) = validate_file(
        "t.json", text=deployment({"properties": properties}, variables={"steps": steps})
    ).diagnostics

    assert (found.code, found.origin.pointer) == ("shell-inline-xor-uri", "/variables/steps/0")


def test_the_context_of_a_nested_deployment() -> None:
    inner = json.loads(deployment({"name": "[resourceGroup().name]"}))["resources"]
    nested = {
        "type": "Microsoft.Resources/deployments",
        "name": "n",
        "resourceGroup": "elsewhere",
        "properties": {"expressionEvaluationOptions": {"scope": "inner"}, "template": {"resources": inner}},
    }
    (plan,), _ = plans(
        "t.json", text=json.dumps({"resources": [nested]}).encode(), context=ArmContext(resource_group="here")
    )

    assert plan.azure.resource_group == "elsewhere"
    assert plan.name == "elsewhere"


# --- what must not run away ---


def chain(step: str, length: int, first: object = "x") -> dict[str, object]:
    """Variables of which each is made of the one before; `P` stands for that."""
    previous = "variables('a{}')"
    return {"a0": first} | {f"a{i}": step.replace("P", previous.format(i - 1)) for i in range(1, length)}


@pytest.mark.parametrize(
    ("variables", "expression"),
    [
        (chain("[P]", 3000), "[variables('a2999')]"),
        ({"a": "[variables('b')]", "b": "[variables('a')]"}, "[variables('a')]"),
        (chain("[concat(P, P)]", 30, "x" * 100), "[variables('a29')]"),
        (chain("[createArray(P, P)]", 30), "[string(variables('a29'))]"),
        (chain("[replace(P, 'x', 'xxxxxxxxxx')]", 30), "[variables('a29')]"),
        ({}, "[length(map(range(0, 10000), lambda('x', map(range(0, 10000), lambda('y', 1)))))]"),
        ({}, "[json('" + "[" * 50_000 + "')]"),
    ],
)
def test_hostile_templates_end_in_a_diagnostic(variables: dict[str, object], expression: str) -> None:
    checked = validate_file("t.json", text=deployment({"tags": {"a": expression}}, variables=variables))

    assert not checked.valid
    assert {found.code for found in checked.diagnostics} <= {
        "too-deep", "too-large", "too-expensive", "circular-reference", "bad-argument",
    }  # fmt: skip


def test_a_function_of_the_users_own_cannot_call_itself_forever() -> None:
    body = {"parameters": [], "output": {"type": "string", "value": "[my.f()]"}}
    functions = [{"namespace": "my", "members": {"f": body}}]

    assert codes(deployment({"tags": {"a": "[my.f()]"}}, functions=functions)) == ["unknown-function"]
    assert codes(deployment({"tags": {"a": "[my.f()]"}}, functions=functions, languageVersion="2.0")) == ["too-deep"]
    body["output"] = {"type": "array", "value": nested("[my.f()]", 7)}
    text = deployment({"tags": {"a": "[string(my.f())]"}}, functions=functions, languageVersion="2.0")
    assert set(codes(text)) == {"too-deep"}


def nested(value: object, levels: int) -> object:
    for _ in range(levels):
        value = [value]
    return value


def test_a_chain_of_deep_variables_is_too_deep() -> None:
    variables = {f"v{one}": nested(f"[variables('v{one + 1}')]", 50) for one in range(20)} | {"v20": "x"}

    assert "too-deep" in codes(deployment({"tags": {"a": "[variables('v0')]"}}, variables=variables))


@pytest.mark.parametrize("levels", [100, 5000, 200_000])
def test_a_deep_value_of_set_is_refused(levels: int) -> None:
    text = deployment({"tags": {"a": "[string(parameters('x'))]"}}, parameters={"x": {"type": "array"}})

    (found,) = validate_file("t.json", text=text, overrides={"x": "[" * levels + "]" * levels}).diagnostics
    assert found.code in {"too-deep", "bad-argument", "wrong-type"}


@pytest.mark.parametrize("where", ["variables", "resource"])
def test_copy_loops_in_copy_loops_are_too_expensive_and_that_is_said_once(where: str) -> None:
    value: object = 1
    for name in "abc":
        value = {"copy": [{"name": name, "count": 800, "input": value}]}
    resource = {"tags": {"a": "[string(length(variables('v').c))]"}} if where == "variables" else {"tags": value}

    assert codes(deployment(resource, variables={"v": value})) == ["too-expensive"]


@pytest.mark.parametrize(
    ("expression", "option"),
    [
        ("[resourceGroup().location]", "--location"),
        ("[resourceGroup().name]", "--resource-group"),
        ("[subscription().subscriptionId]", "--subscription"),
        ("[resourceId('Microsoft.Compute/images', 'web')]", "--subscription"),
    ],
)
def test_what_depends_on_the_place_names_the_option_that_gives_it(expression: str, option: str) -> None:
    with pytest.raises(TemplateError) as refused:
        plans("t.json", text=deployment({"tags": {"x": expression}}), context=ArmContext())
    assert [each.hint for each in refused.value.diagnostics if each.code.startswith("unknown-")] == [
        f"give it with {option}"
    ]

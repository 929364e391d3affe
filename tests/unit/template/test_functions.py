"""ARM's functions, one line each: what Microsoft's reference says they give."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imagewright.core.errors import Severity
from imagewright.core.unknown import Unknown
from imagewright.template import ArmContext
from imagewright.template.evaluate import Template
from imagewright.template.expressions import ExpressionError
from imagewright.template.functions import FUNCTIONS, call
from imagewright.template.report import Report
from imagewright.template.session import Session
from imagewright.template.source import read

CONTEXT = ArmContext("sub", "group", "westeurope", "tenant", now=datetime(2026, 11, 23, 10, 15, 7, tzinfo=UTC))


def evaluate(
    text: str, *, variables: dict[str, Any] | None = None, context: ArmContext = CONTEXT
) -> tuple[Any, Report]:
    data = {"variables": variables or {}, "x": text}
    document = read("t.json", json.dumps(data).encode())
    report = Report(Severity.ERROR)
    template = Template(document, data, "", {}, context, Session(report), "main")
    return template.evaluate(text, "/x").data, report


VARIABLES = {"o": {"Key": 1, "n": {"a": None}}, "l": ["a", "b", "a"], "s": "Hello"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # texts
        ("[concat('a', 1, true())]", "a1True"),
        ("[concat(variables('l'), createArray('c'))]", ["a", "b", "a", "c"]),
        ("[CONCAT('a', 'b')]", "ab"),
        ("[format('{0:D3} {0:00} {0:X}', -5)]", "-005 -05 FFFFFFFFFFFFFFFB"),
        ("[format('{0}-{1,5}|{2,-4}|{{}} {3:D3} {4:X2}', 'a', 'b', 'c', 7, 255)]", "a-    b|c   |{} 007 FF"),
        ("[toUpper(variables('s'))]", "HELLO"),
        ("[toLower('ABC')]", "abc"),
        ("[trim('  a ')]", "a"),
        ("[substring('abcdef', 2)]", "cdef"),
        ("[substring('abcdef', 2, 2)]", "cd"),
        ("[split('a,b;c', createArray(',', ';'))]", ["a", "b", "c"]),
        ("[join(variables('l'), '-')]", "a-b-a"),
        ("[replace('aXbX', 'X', '1')]", "a1b1"),
        ("[padLeft(7, 3, '0')]", "007"),
        ("[startsWith('Hello', 'he')]", True),
        ("[endsWith('Hello', 'LO')]", True),
        ("[indexOf('Hello', 'L')]", 2),
        ("[lastIndexOf('Hello', 'l')]", 3),
        ("[indexOf(variables('l'), 'b')]", 1),
        ("[base64('one, two')]", "b25lLCB0d28="),
        ("[base64ToString('b25lLCB0d28=')]", "one, two"),
        ("[base64ToJson(base64('{\"a\": 1}'))]", {"a": 1}),
        ("[dataUriToString(dataUri('Hello'))]", "Hello"),
        ("[uri('http://example.org/firstpath/', 'myscript.sh')]", "http://example.org/firstpath/myscript.sh"),
        ("[uriComponent('http://a b/')]", "http%3A%2F%2Fa%20b%2F"),
        ("[uriComponentToString('a%20b')]", "a b"),
        ("[string(createObject('a', 1))]", '{"a":1}'),
        ("[uniqueString('foo', 'bar', 'baz')]", "xzi4ioaxtmth4"),
        ("[json('{\"a\": [1]}').a[0]]", 1),
        # arrays and objects
        ("[createObject('a', 1, 'b', createArray(2))]", {"a": 1, "b": [2]}),
        (
            "[union(createObject('a', createObject('x', 1)), createObject('a', createObject('y', 2)))]",
            {"a": {"x": 1, "y": 2}},
        ),
        ("[union(variables('l'), createArray('c', 'b'))]", ["a", "b", "c"]),
        ("[intersection(variables('l'), createArray('b', 'c'))]", ["b"]),
        ("[contains(variables('o'), 'KEY')]", True),
        ("[contains(variables('l'), 'b')]", True),
        ("[contains('Hello', 'ell')]", True),
        ("[empty('')]", True),
        ("[empty(null())]", True),
        ("[length(variables('o'))]", 2),
        ("[first(variables('l'))]", "a"),
        ("[last('xyz')]", "z"),
        ("[skip(variables('l'), 1)]", ["b", "a"]),
        ("[take('xyz', 2)]", "xy"),
        ("[range(3, 3)]", [3, 4, 5]),
        ("[min(3, 1, 2)]", 1),
        ("[max(createArray(3, 1))]", 3),
        ("[flatten(createArray(createArray(1), createArray(2, 3)))]", [1, 2, 3]),
        ("[items(createObject('b', 2, 'a', 1))]", [{"key": "a", "value": 1}, {"key": "b", "value": 2}]),
        ("[objectKeys(createObject('b', 2, 'a', 1))]", ["a", "b"]),
        ("[shallowMerge(createArray(createObject('a', 1), createObject('a', 2)))]", {"a": 2}),
        ("[tryGet(variables('o'), 'n', 'a')]", None),
        ("[tryGet(variables('l'), 9)]", None),
        ("[variables('o').key]", 1),
        ("[variables('o')?.none?.more]", None),
        ("[variables('l')[1]]", "b"),
        ("[array('x')]", ["x"]),
        # numbers and logic
        ("[add(1, sub(5, mul(2, 2)))]", 2),
        ("[div(-7, 2)]", -3),
        ("[mod(-7, 2)]", -1),
        ("[int('42')]", 42),
        ("[bool('TRUE')]", True),
        ("[if(equals('a', 'a'), 'yes', nosuch())]", "yes"),
        ("[and(true(), not(false()), or(false(), true()))]", True),
        ("[coalesce(null(), 'b', nosuch())]", "b"),
        ("[equals(1, true())]", False),
        ("[equals('A', 'a')]", False),
        ("[less('a', 'b')]", True),
        ("[greaterOrEquals(2, 2)]", True),
        # lambdas
        ("[map(variables('l'), lambda('x', concat(lambdaVariables('x'), '!')))]", ["a!", "b!", "a!"]),
        ("[map(variables('l'), lambda('x', 'i', lambdaVariables('i')))]", [0, 1, 2]),
        ("[filter(range(0, 5), lambda('x', greater(lambdaVariables('x'), 2)))]", [3, 4]),
        ("[reduce(range(1, 4), 0, lambda('sum', 'x', add(lambdaVariables('sum'), lambdaVariables('x'))))]", 10),
        ("[toObject(variables('l'), lambda('x', lambdaVariables('x')), lambda('x', 1))]", {"a": 1, "b": 1}),
        (
            "[sort(createArray(3, 1, 2), lambda('a', 'b', less(lambdaVariables('a'), lambdaVariables('b'))))]",
            [1, 2, 3],
        ),
        ("[mapValues(createObject('a', 1), lambda('v', add(lambdaVariables('v'), 1)))]", {"a": 2}),
        ("[groupBy(variables('l'), lambda('x', lambdaVariables('x')))]", {"a": ["a", "a"], "b": ["b"]}),
        ("[tryIndexFromEnd(variables('l'), 9)]", None),
        ("[indexFromEnd(variables('l'), 2)]", "b"),
        # ranges of addresses
        ("[cidrSubnet('10.144.0.0/20', 24, 3)]", "10.144.3.0/24"),
        ("[cidrHost('10.144.3.0/24', 2)]", "10.144.3.3"),
        ("[parseCidr('10.144.0.0/20').lastUsable]", "10.144.15.254"),
        ("[parseCidr('10.144.0.0/20').cidr]", 20),
        # dates
        ("[utcNow()]", "20261123T101507Z"),
        ("[utcNow('yyyy-MM-dd HH:mm:ss')]", "2026-11-23 10:15:07"),
        ("[utcNow('d MMM yy, h:m tt')]", "23 Nov 26, 10:15 AM"),
        ("[dateTimeAdd('2020-04-07 14:53:14Z', 'P3Y')]", "2023-04-07T14:53:14Z"),
        ("[dateTimeAdd('2020-04-07 14:53:14Z', '-P9D')]", "2020-03-29T14:53:14Z"),
        ("[dateTimeAdd('2024-01-01 00:00:00Z', 'P1Y')]", "2024-12-31T00:00:00Z"),
        ("[dateTimeAdd('2023-02-01 00:00:00Z', 'P1M')]", "2023-03-03T00:00:00Z"),
        ("[dateTimeAdd('2024-02-01 00:00:00Z', '-P1M2DT3H')]", "2023-12-30T21:00:00Z"),
        ("[dateTimeAdd('2020-01-31T00:00:00Z', 'P1M', 'yyyy-MM-dd')]", "2020-03-01"),
        ("[dateTimeFromEpoch(1683040573)]", "2023-05-02T15:16:13Z"),
        ("[dateTimeToEpoch('2023-05-02T15:16:13Z')]", 1683040573),
        # where it would be deployed
        ("[subscription().subscriptionId]", "sub"),
        ("[resourceGroup().id]", "/subscriptions/sub/resourceGroups/group"),
        ("[resourceId('N.S/a/b', 'x', 'y')]", "/subscriptions/sub/resourceGroups/group/providers/N.S/a/x/b/y"),
        ("[resourceId('g', 'N.S/a', 'x')]", "/subscriptions/sub/resourceGroups/g/providers/N.S/a/x"),
        ("[resourceId('s', 'g', 'N.S/a', 'x')]", "/subscriptions/s/resourceGroups/g/providers/N.S/a/x"),
        ("[subscriptionResourceId('N.S/a', 'x')]", "/subscriptions/sub/providers/N.S/a/x"),
        ("[tenantResourceId('N.S/a', 'x')]", "/providers/N.S/a/x"),
        ("[extensionResourceId('/base', 'N.S/a', 'x')]", "/base/providers/N.S/a/x"),
        ("[deployment().name]", "main"),
        ("[environment().suffixes.storage]", "core.windows.net"),
        # no expressions
        ("[[concat('a')]", "[concat('a')]"),
        ("[x", "[x"),
        ("[[ -e /x ]] && echo there", "[[ -e /x ]] && echo there"),
        ("", ""),
    ],
)
def test_function(text: str, expected: object) -> None:
    value, report = evaluate(text, variables=VARIABLES)

    assert report.diagnostics() == ()
    assert value == expected
    assert type(value) is type(expected)


@pytest.mark.parametrize(
    ("text", "code", "message"),
    [
        ("[toLowr('a')]", "unknown-function", "there is no function 'toLowr'"),
        ("[my.own()]", "unknown-function", "the template has no function 'my.own'"),
        ("[toLower()]", "bad-argument", "toLower: takes 1 arguments, not 0"),
        ("[toLower(1)]", "bad-argument", "toLower: text is expected, not an int"),
        ("[substring('abc', 2, 2)]", "bad-argument", "substring: this leaves the text of 3 characters"),
        ("[div(1, 0)]", "bad-argument", "div: this divides by zero"),
        ("[if('yes', 1, 2)]", "bad-argument", "if: true or false is expected, not a string"),
        ("[json('{')]", "bad-argument", "json: this is not JSON"),
        ("[base64ToString('§')]", "bad-argument", "base64ToString: this is not base64"),
        ("[format('{1}', 'a')]", "bad-argument", "format: {1} has no value"),
        ("[dateTimeAdd('never', 'P1D')]", "bad-argument", "'never' is not a date"),
        ("[dateTimeAdd('2020-01-01', 'soon')]", "bad-argument", "'soon' is not a duration"),
        ("[resourceId('N.S/a/b', 'x')]", "bad-argument", "resourceId: 'N.S/a/b' has 2 parts to be named"),
        ("[variables('nosuch')]", "unknown-variable", "the template has no variable 'nosuch'"),
        ("[parameters('nosuch')]", "unknown-parameter", "the template has no parameter 'nosuch'"),
        ("[variables('o').kay]", "no-such-property", "there is no property 'kay'"),
        ("[variables('l')[3]]", "no-such-property", "there is no item 3"),
        ("[variables('s').length]", "no-such-property", "'length' cannot be looked up"),
        ("[fail('stop here')]", "template-fails", "stop here"),
        ("[map(variables('l'), 1)]", "bad-argument", "map: a lambda is expected"),
        ("[cidrSubnet('10.0.0.0/24', 16, 0)]", "bad-argument", "has no part 0"),
        ("[copyIndex()]", "no-such-loop", "there is no copy loop of the resource"),
        ("[lambdaVariables('x')]", "no-such-variable", "there is no lambda variable 'x'"),
        ("[mul(4611686018427387904, 4)]", "too-large", "the value becomes too large"),
        ("[reference('x').y]", "unknown-value", "reference() asks Azure"),
        ("[listKeys('x', '1').keys[0]]", "unknown-value", "listKeys() asks Azure"),
    ],
)
def test_what_is_wrong_is_reported_once_and_becomes_unknown(text: str, code: str, message: str) -> None:
    value, report = evaluate(text, variables=VARIABLES)
    (found,) = report.diagnostics()

    assert isinstance(value, Unknown)
    assert found.code == code
    assert message in found.message


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("[subscription().id]", "unknown-value"),
        ("[resourceId('N.S/a', 'x')]", "unknown-value"),
        ("[resourceGroup().location]", "unknown-location"),
    ],
)
def test_without_a_context_these_are_unknown(text: str, code: str) -> None:
    value, report = evaluate(text, context=ArmContext())

    assert isinstance(value, Unknown)
    assert [found.code for found in report.diagnostics()] == [code]


ARGUMENTS = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 70) | st.floats() | st.sampled_from([2**63, -(2**70)])
    | st.text(max_size=8) | st.sampled_from(["\ud800", "10.0.0.0/16", "fd00::/8", "2020-01-01", "P1D"])
    | st.sampled_from(["http://[a", "{0}", "[NaN]", "1e999", "data:,%"])
    | st.just(Unknown("x")) | st.just(lambda *_: True) | st.just(lambda first, *_: first),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)  # fmt: skip


@pytest.mark.parametrize("name", sorted(FUNCTIONS))
@settings(max_examples=20)
@given(arguments=st.lists(ARGUMENTS, max_size=4))
def test_a_function_gives_a_value_or_an_error_of_ours(name: str, arguments: list[Any]) -> None:
    with suppress(ExpressionError):
        call(name, arguments)


@pytest.mark.parametrize(
    "text",
    [
        "[indexFromEnd(createArray(1), 5)]",
        "[dateTimeAdd('2020-01-01', 'P1D', 5)]",
        "[int(json('NaN'))]",
        "[int(json('1e999'))]",
        "[uri('http://[foo', 'bar')]",
        "[join(range(0, 10000), 'x')]",
        "[string(json('" + "[" * 300 + "1" + "]" * 300 + "'))]",
        "[string(reduce(range(0, 10000), 1, lambda('a', createArray(lambdaVariables('a'), lambdaVariables('a')))))]",
        "[replace(padLeft('', 10000), ' ', padLeft('', 10000))]",
        "[join(map(range(0, 9999), lambda('x', padLeft('', 10000))), 'y')]",
        "[format(replace(padLeft('', 999), ' ', '{0,9999}'), 'x')]",
        "[and()]",
        "[copyIndex('a', 1, 2)]",
    ],
)
def test_what_cannot_be_computed_is_told_with_a_hint(text: str) -> None:
    value, report = evaluate(text)
    if report.diagnostics():
        (found,) = report.diagnostics()
        assert found.code in {"bad-argument", "too-deep", "too-large"}
        assert found.hint
        assert isinstance(value, Unknown)
    else:
        assert "join(range" in text


def test_half_a_character_becomes_a_replacement() -> None:
    value, report = evaluate("[base64ToString(base64(json('\"a\\ud800\"')))]")

    assert report.diagnostics() == ()
    assert value == "a\ufffd"


def test_an_unknown_function_is_told_before_its_arguments() -> None:
    _, report = evaluate("[toLowr(nosuch())]")

    assert [found.message for found in report.diagnostics()] == ["there is no function 'toLowr'"]


@pytest.mark.parametrize(
    "text",
    [
        "[createObject(reference('x').y, 1)]",
        "[flatten(createArray(reference('x').y))]",
        "[shallowMerge(createArray(reference('x').y))]",
        "[contains(createArray(reference('x').y), 'a')]",
        "[tryGet(createObject('a', reference('x').y), 'a', 'b')]",
        "[sort(createArray(1, 2), lambda('a', 'b', reference('x').y))]",
        "[toLogicalZone('s', 'l', '1')]",
        "[deployment().properties.templateLink.uri]",
        "[deployer().objectId]",
        "[resourceGroup().managedBy]",
        "[environment().suffixes.azureFrontDoorEndpointSuffix]",
    ],
)
def test_what_depends_on_the_unknown_is_unknown_and_no_error(text: str) -> None:
    data = {"x": text}
    report = Report(Severity.WARNING)
    Template(read("t.json", json.dumps(data).encode()), data, "", {}, CONTEXT, Session(report), "main").evaluate(
        text, "/x"
    )

    assert {found.code for found in report.diagnostics()} <= {"unknown-value"}
    assert len(report.diagnostics()) == 1


def test_what_is_found_among_the_unknown_is_found() -> None:
    value, _ = evaluate("[contains(createArray(reference('x').y, 'a'), 'a')]")

    assert value is True


def test_the_environment_is_that_of_the_cloud() -> None:
    value, _ = evaluate("[environment().suffixes.storage]", context=replace(CONTEXT, cloud="AzureUSGovernment"))

    assert value == "core.usgovcloudapi.net"


def test_the_marker_is_on_the_call_that_failed() -> None:
    _, report = evaluate("[concat('a', toLowr('b'))]")
    (found,) = report.diagnostics()

    line = json.dumps({"variables": {}, "x": "[concat('a', toLowr('b'))]"})
    assert line[found.origin.column - 1 :][: found.origin.length] == "toLowr"


def test_unknown_values_stay_where_they_are() -> None:
    value, report = evaluate("[createObject('a', reference('x').b, 'c', 1)]")

    assert value["c"] == 1
    assert isinstance(value["a"], Unknown)
    assert len(report.diagnostics()) == 1


def test_too_many_arguments_are_told_as_that() -> None:
    words = ",".join(["'a'"] * 10_001)
    _, report = evaluate(f"[concat({words})]")
    (found,) = report.diagnostics()
    assert found.message == "concat: takes at most 10000 arguments, not 10001"

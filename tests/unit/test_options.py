from __future__ import annotations

import importlib.util
from collections import Counter
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from imagewright.app.settings import NO_LIMIT_DAYS, azure_choices
from imagewright.core.choices import Keep
from imagewright.core.errors import OptionsError
from imagewright.core.plan import OnError
from imagewright.options import (
    TABLE,
    Command,
    Options,
    Provenance,
    assemble,
    from_command_line,
    from_environment,
    from_inputs,
    rows,
)
from imagewright.platforms import PLATFORMS

ROOT = Path(__file__).parents[2]


def command_line(command: Command = Command.BUILD, **given: Any) -> Options:
    return assemble(from_command_line(rows(command), given))


def test_every_field_is_a_row_and_every_row_a_field() -> None:
    assert [row.field for row in TABLE] == [each.name for each in fields(Options) if each.name != "given"]


@pytest.mark.parametrize("command", list(Command))
def test_no_command_knows_two_options_of_one_name(command: Command) -> None:
    for spelling in ("flag", "github_input", "task_input", "short"):
        names = Counter(name for row in rows(command) if (name := getattr(row, spelling)))
        assert [name for name, count in names.items() if count > 1] == []


def test_an_environment_variable_belongs_to_one_option() -> None:
    names = Counter(name for row in TABLE for name in row.variables)
    assert [name for name, count in names.items() if count > 1] == []


def test_every_option_says_what_it_is_for() -> None:
    for row in TABLE:
        assert row.help
        assert not row.help.endswith(".")
        assert row.commands


def test_names_are_spelled_for_each_runner() -> None:
    row = next(row for row in TABLE if row.field == "resource_group")
    assert (row.flag, row.github_input, row.task_input) == ("--resource-group", "resource-group", "resourceGroup")


def test_a_value_has_the_type_of_its_field() -> None:
    options = command_line(
        templates=["web.json"],
        output="~/images",
        overrides=["size=small", "note=a=b"],
        on_error="abort",
        timeout="90",
        cache="all",
        cache_size="1.5GiB",
        cache_age="2d",
    )
    assert options.template == "web.json"
    assert options.output == Path("~/images").expanduser()
    assert options.overrides == (("size", "small"), ("note", "a=b"))
    assert options.on_error is OnError.ABORT
    assert options.timeout == 90
    assert options.cache is Keep.ALL
    assert options.cache_size == 3 * 512 * 1024**2
    assert options.cache_age == 2 * 86400.0


def test_defaults_are_values_too() -> None:
    options = Options()
    assert options.output == Path("out")
    assert options.platform == "local"
    assert options.cache is Keep.AUTO
    assert options.cache_size == 20 * 1024**3
    assert options.memory is None
    assert options.origin_of("memory").provenance is Provenance.DEFAULT


def test_the_command_line_is_stronger_than_the_environment() -> None:
    known = rows(Command.BUILD)
    environment = from_environment(known, {"IMAGEWRIGHT_MEMORY": "512", "IMAGEWRIGHT_CPUS": "2"})
    options = assemble(from_command_line(known, {"memory": "1024"}), environment)
    assert (options.memory, options.cpus) == (1024, 2)
    assert options.origin_of("memory").where == "`--memory`"
    assert options.origin_of("cpus").where == "IMAGEWRIGHT_CPUS"


def test_the_first_variable_that_is_set_wins() -> None:
    known = rows(Command.BUILD)
    both = {"AZURE_SUBSCRIPTION_ID": "azure", "IMAGEWRIGHT_SUBSCRIPTION": "ours"}
    assert assemble(from_environment(known, both)).subscription == "ours"
    assert assemble(from_environment(known, {"AZURE_SUBSCRIPTION_ID": "azure"})).subscription == "azure"


def test_home_follows_the_data_directory_unless_it_is_given() -> None:
    known = rows(Command.BUILD)
    assert assemble(from_environment(known, {"XDG_DATA_HOME": "/data"})).home == Path("/data/imagewright")
    both = {"XDG_DATA_HOME": "/data", "IMAGEWRIGHT_HOME": "/mine"}
    assert assemble(from_environment(known, both)).home == Path("/mine")


def test_inputs_are_texts_with_one_value_a_line() -> None:
    given = {"template": "web.json\n", "set": "a=1\n\n  b=2\n", "no-cache": "True", "memory": ""}
    layer = from_inputs(
        rows(Command.BUILD), lambda row: given.get(row.github_input, ""), lambda row: row.github_input
    )
    options = assemble(layer)
    assert options.template == "web.json"
    assert options.overrides == (("a", "1"), ("b", "2"))
    assert options.no_cache
    assert options.memory is None


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"timeout": "soon"}, "`--timeout`: `soon` is not a whole number"),
        ({"timeout": "0"}, "`--timeout`: 0 is too small, the least is 1"),
        ({"platform": "aws"}, "`--platform`: `aws` is not known"),
        ({"cache_size": "big"}, "`--cache-size`: `big` is not a size"),
        ({"cache_age": "30"}, "`--cache-age`: `30` is not an age"),
        ({"overrides": ["size"]}, "`--set`: `size` has no value"),
        ({"no_cache": "maybe"}, "`--no-cache`: `maybe` is neither true nor false"),
        ({"no_cache": "true", "cache": "all"}, "`--no-cache` and `--cache all` contradict each other"),
        ({"quiet": "true", "verbose": "true"}, "`--quiet` and `--verbose` contradict each other"),
        (
            {"publish_to_azure": "true", "platform": "azure"},
            "`--publish-to-azure` contradicts `--platform` `azure`: it builds on this machine and uploads the disk",
        ),
    ],
)
def test_a_wrong_value_is_refused_by_name(given: dict[str, Any], message: str) -> None:
    with pytest.raises(OptionsError) as refused:
        command_line(**given)
    assert refused.value.message == message


def test_a_stronger_layer_settles_a_contradiction() -> None:
    known = rows(Command.BUILD)
    environment = from_environment(known, {"IMAGEWRIGHT_CACHE": "all"})
    assert assemble(environment, from_command_line(known, {"no_cache": "true"})).no_cache


@pytest.mark.parametrize(
    ("text", "size"), [("0", 0), ("512", 512), ("4k", 4096), ("2 GiB", 2 * 1024**3), ("none", None)]
)
def test_sizes(text: str, size: int | None) -> None:
    assert command_line(cache_size=text).cache_size == size


@pytest.mark.parametrize(
    ("text", "age"), [("0", 0.0), ("90s", 90.0), ("1.5h", 5400.0), ("1w", 604800.0), ("none", None)]
)
def test_ages(text: str, age: float | None) -> None:
    assert command_line(cache_age=text).cache_age == age


def test_a_platform_that_is_offered_is_there() -> None:
    assert set(next(row for row in TABLE if row.field == "platform").values) == set(PLATFORMS)


@pytest.mark.parametrize(("text", "days"), [("0", 0.0), ("12h", 0.5), ("30d", 30.0), ("none", NO_LIMIT_DAYS)])
def test_how_long_a_checkpoint_stays_in_azure(text: str, days: float) -> None:
    assert azure_choices(command_line(cache_age=text)).cache_days == days


def test_an_end_of_life_within_a_day() -> None:
    assert azure_choices(command_line(end_of_life="6h")).end_of_life_days == 0.25
    assert azure_choices(command_line()).end_of_life_days == 0.0


def generator() -> Any:
    spec = importlib.util.spec_from_file_location("generate", ROOT / "script" / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_generated_files_are_fresh() -> None:
    stale: Callable[[], list[str]] = generator().stale
    assert stale() == [], "run: uv run python script/generate.py"


def test_the_reference_page_names_every_option() -> None:
    page = (ROOT / "docs" / "reference" / "options.md").read_text(encoding="utf-8")
    for row in TABLE:
        assert f"`{row.flag}`" in page
        assert row.help[1:] in page


@pytest.mark.parametrize(
    ("field", "text"),
    [
        ("cache_size", "9" * 400),
        ("cache_size", "1." + "9" * 400),
        ("cache_age", "9" * 400 + "d"),
        ("parameters", "~no-such-user/x"),
        ("memory", "9" * 5000),
    ],
)
def test_a_value_beyond_reason_is_refused(field: str, text: str) -> None:
    with pytest.raises(OptionsError, match=field.replace("_", "-")):
        command_line(**{field: text})

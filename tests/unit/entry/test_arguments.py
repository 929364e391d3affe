from __future__ import annotations

import pytest

from imagewright.core.choices import Keep
from imagewright.core.errors import OptionsError
from imagewright.entry.arguments import HelpWanted, read
from imagewright.entry.overview import OVERVIEW, PURPOSES
from imagewright.options import TABLE, Command, rows


def test_the_overview_names_every_command() -> None:
    assert set(PURPOSES) == set(Command)
    assert all(f"  {command}" in OVERVIEW for command in Command)


@pytest.mark.parametrize("command", list(Command))
def test_the_help_of_a_command_names_every_option(command: Command) -> None:
    with pytest.raises(HelpWanted) as wanted:
        read([*command.split(), "--help"], {})
    for row in rows(command):
        assert (row.metavar if row.positional else row.flag) in wanted.value.text


def test_options_may_stand_anywhere() -> None:
    for words in (["--set", "a=1", "x.json", "--no-cache"], ["x.json", "--set=a=1", "--no-cache"]):
        command, options = read(["build", *words], {})
        assert command is Command.BUILD
        assert options.template == "x.json"
        assert options.overrides == (("a", "1"),)
        assert options.no_cache


def test_files_and_options_may_be_mixed() -> None:
    _, options = read(["validate", "a.json", "--set", "x=1", "b.json", "--quiet", "-"], {})
    assert options.templates == ("a.json", "b.json", "-")


def test_after_two_dashes_everything_is_a_file() -> None:
    _, options = read(["validate", "--quiet", "--", "-odd.json"], {})
    assert options.templates == ("-odd.json",)


def test_the_environment_counts_less() -> None:
    environment = {"IMAGEWRIGHT_CACHE": "all", "IMAGEWRIGHT_OUTPUT": "images"}
    _, options = read(["build", "x.json", "--cache", "last"], environment)
    assert options.cache is Keep.LAST
    assert str(options.output) == "images"


@pytest.mark.parametrize(
    ("words", "message", "hint"),
    [
        (["biuld"], "there is no command `biuld`", "did you mean `build`?"),
        (["frobnicate"], "there is no command `frobnicate`", "`imagewright --help` lists them"),
        (["cache"], "`cache` what?", "`imagewright cache list` or `imagewright cache prune`"),
        (["cache", "lits"], "`cache` what?", "`imagewright cache list` or `imagewright cache prune`"),
        (["--quiet", "build"], "`--quiet` stands before the command", "write `imagewright COMMAND [OPTIONS]`"),
        (["build"], "`imagewright build` needs a template", "name a file, or `-` for standard input"),
        (
            ["build", "--platfrom=local", "x"],
            "`imagewright build` has no option `--platfrom`",
            "did you mean `--platform`?",
        ),
        (["build", "x", "--force"], "`imagewright build` has no option `--force`", "`cleanup` has it"),
        (["plan", "x", "--tag", "a=b"], "`imagewright plan` has no option `--tag`", "`build` has it"),
        (["build", "x", "--location="], "`--location` is empty", "give a value, or leave it out"),
        (["build", "a", "b"], "`imagewright build` takes one template, 2 were given: a, b", "call it once for each"),
        (["doctor", "now"], "`imagewright doctor` takes no argument `now`", None),
        (["build", "x", "--output"], "argument -o/--output: expected one argument", None),
        (["build", "x", "--quiet=5"], "argument -q/--quiet: ignored explicit argument '5'", None),
        (
            ["build", "x", "--plat", "local"],
            "`imagewright build` has no option `--plat`",
            "did you mean `--platform`?",
        ),
        (["build", "x", "--memory", "lots"], "`--memory`: `lots` is not a whole number", ""),
        (["build", "x", "--timeout", "9" * 400], f"`--timeout`: {'9' * 20} is too large, the most is 10000000", ""),
        (["build", ""], "the name of a template is empty", "name a file, or `-` for standard input"),
        (["build", "x", "--parameters", ""], "`--parameters` is empty", "name a path, or leave it out"),
        (["build", "x", "--memory="], "`--memory`: `` is not a whole number", ""),
        (["build", "x", "--set", "size"], "`--set`: `size` has no value", "write it as NAME=VALUE"),
        (["build", "x", "--set", "=5"], "`--set`: `=5` names nothing", "write it as NAME=VALUE"),
    ],
)
def test_a_wrong_call_is_refused_with_a_way_out(words: list[str], message: str, hint: str | None) -> None:
    with pytest.raises(OptionsError) as refused:
        read(words, {})
    assert refused.value.message == message
    assert refused.value.hint if hint is None else refused.value.hint == hint


def test_a_wrong_variable_is_refused_by_its_name() -> None:
    with pytest.raises(OptionsError, match="IMAGEWRIGHT_CPUS: `many` is not a whole number"):
        read(["build", "x"], {"IMAGEWRIGHT_CPUS": "many"})


def test_every_option_with_a_value_says_what_it_is() -> None:
    for row in TABLE:
        assert row.metavar or row.values or row.kind == "boolean"

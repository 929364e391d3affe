"""A command line to a command and its options, by the table. Every refusal is an OptionsError with a way out."""

from __future__ import annotations

import argparse
import difflib
from collections.abc import Iterable, Mapping, Sequence
from typing import NoReturn

from imagewright.core.errors import OptionsError
from imagewright.entry.overview import PURPOSES
from imagewright.options import (
    TABLE,
    Command,
    Group,
    Kind,
    Option,
    Options,
    PlanFormat,
    assemble,
    from_command_line,
    from_environment,
    rows,
)


class HelpWanted(Exception):  # noqa: N818 - not an error
    """The user asked for help: `text` is what to print."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text


def read(arguments: Sequence[str], environment: Mapping[str, str]) -> tuple[Command, Options]:
    """What the user wants. Raises HelpWanted or OptionsError."""
    command, rest = _command(arguments)
    known = rows(command)
    parsed, extra = _parser(command).parse_known_args(rest)
    given = vars(parsed)
    if given.pop("help"):
        raise HelpWanted(_parser(command).format_help())
    positional = next((row for row in known if row.positional), None)
    unknown = [each for each in extra if positional is None or (each.startswith("-") and each != "-")]
    if unknown:
        raise _unknown_option(unknown[0], command)
    if positional is not None:
        given[positional.field] = [*(given[positional.field] or []), *(each for each in extra if each != "--")]
        _require(given[positional.field], command, several=given.get("planned") == PlanFormat.MATRIX)
    return command, assemble(from_environment(known, environment), from_command_line(known, given))


def _command(arguments: Sequence[str]) -> tuple[Command, Sequence[str]]:
    if arguments[0] == "--version":
        return Command.VERSION, ()
    for length in (2, 1):
        words = " ".join(arguments[:length])
        if words in set(Command):
            return Command(words), arguments[length:]
    word = arguments[0]
    if word == "cache":
        raise OptionsError("`cache` what?", hint="`imagewright cache list` or `imagewright cache prune`")
    if word.startswith("-"):
        raise OptionsError(f"`{word}` stands before the command", hint="write `imagewright COMMAND [OPTIONS]`")
    raise OptionsError(
        f"there is no command `{word}`", hint=_did_you_mean(word, Command, "`imagewright --help` lists them")
    )


def _require(values: Sequence[str], command: Command, *, several: bool) -> None:
    if not values:
        raise OptionsError(f"`imagewright {command}` needs a template", hint="name a file, or `-` for standard input")
    if "" in values:
        raise OptionsError("the name of a template is empty", hint="name a file, or `-` for standard input")
    if len(values) > 1 and command is not Command.VALIDATE and not several:
        raise OptionsError(
            f"`imagewright {command}` takes one template, {len(values)} were given: {', '.join(values)}",
            hint="call it once for each",
        )


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise OptionsError(message, hint=f"`{self.prog} --help` lists the options")


def _parser(command: Command) -> argparse.ArgumentParser:
    parser = _Parser(
        prog=f"imagewright {command}",
        usage=f"imagewright {command}{_usage(command)} [OPTIONS]",
        description=PURPOSES[command],
        add_help=False,
        allow_abbrev=False,
        formatter_class=lambda prog: argparse.HelpFormatter(prog, max_help_position=30, width=110),
    )
    known = rows(command)
    for group in Group:
        members = [row for row in known if row.group is group]
        section = parser.add_argument_group(str(group)) if members else parser
        for row in members:
            _add(section, row)
    parser.add_argument("-h", "--help", action="store_true", help="show this")
    return parser


def _usage(command: Command) -> str:
    many = "..." if command is Command.VALIDATE else ""
    return "".join(f" {row.metavar}{many}" for row in rows(command) if row.positional)


def _add(section: argparse._ArgumentGroup | argparse.ArgumentParser, row: Option) -> None:
    text = row.help.replace("%", "%%")
    if row.positional:
        section.add_argument(row.field, nargs="*", metavar=row.metavar, help=text)
        return
    names = [name for name in (row.short, row.flag) if name]
    if row.kind is Kind.BOOLEAN:
        section.add_argument(*names, dest=row.field, action="store_const", const="true", help=text)
        return
    if row.default:
        text = f"{text} (default: {row.default})"
    metavar = row.metavar or "|".join(row.values)
    section.add_argument(
        *names, dest=row.field, action="append" if row.repeatable else "store", metavar=metavar, help=text
    )


def _unknown_option(word: str, command: Command) -> OptionsError:
    name = word.partition("=")[0]
    if of := [str(each) for row in TABLE if row.flag == name for each in Command if each in row.commands]:
        return OptionsError(f"`imagewright {command}` has no option `{name}`", hint=f"`{'`, `'.join(of)}` has it")
    flags = [spelling for row in rows(command) for spelling in (row.flag, row.short) if spelling.startswith("-")]
    fallback = f"`imagewright {command} --help` lists the options"
    what = f"has no option `{name}`" if name.startswith("-") else f"takes no argument `{name}`"
    return OptionsError(f"`imagewright {command}` {what}", hint=_did_you_mean(name, flags, fallback))


def _did_you_mean(word: str, known: Iterable[str], fallback: str) -> str:
    close = difflib.get_close_matches(word, [str(each) for each in known], n=1, cutoff=0.6)
    return f"did you mean `{close[0]}`?" if close else fallback

"""What `imagewright --help` prints. Imports nothing, so that it comes at once."""

from __future__ import annotations

from collections.abc import Sequence

PURPOSES = {
    "build": "build the image and write it to the template's targets",
    "plan": "say what a build would do; the source is looked up, and got ready if it is local",
    "validate": "check templates: no network, every error at once",
    "cleanup": "delete what earlier builds have left behind",
    "cache list": "list the checkpoints",
    "cache prune": "delete checkpoints over the size or age limit",
    "doctor": "check whether this machine can build, and say what to do",
    "version": "print the version",
}
"""One sentence for each command of `options.Command`."""

_COMMANDS = "".join(f"  {command:<12} {purpose}\n" for command, purpose in PURPOSES.items())

OVERVIEW = f"""usage: imagewright COMMAND [OPTIONS]

Builds Azure VM images from Azure Image Builder templates:
on this machine, in your own subscription, or in a pipeline.

commands:
{_COMMANDS}
`imagewright COMMAND --help` lists the options of a command."""


def wants_overview(arguments: Sequence[str]) -> bool:
    return (
        not arguments
        or arguments[0] in ("-h", "--help", "help")
        or arguments in (["cache", "--help"], ["cache", "-h"])
    )

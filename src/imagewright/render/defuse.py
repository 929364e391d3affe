"""Makes text of strangers harmless: what a guest printed must not steer a terminal or a pipeline's runner."""

from __future__ import annotations

import re

LONGEST = 4096
"""Characters of one line that are shown."""

_SEQUENCE = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]"  # colours, cursor
    r"|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)"  # titles, links, clipboard
    r"|\x1b[PX^_][^\x1b]*\x1b\\"  # device strings
    r"|\x1b[ -/]*[0-~]"  # short ones
)
_AGENT_COMMAND = re.compile(r"##(?=\[|vso)", re.IGNORECASE)
"""Broken by a plain space: the agents compare by culture, for which a zero-width character is not there."""

_SPACES = re.compile(r"[^\S\n\r\x0b\x0c\x1c-\x1f\x85\u2028\u2029]")


def defuse(text: str) -> str:
    """One line for a terminal: escape sequences are taken out, other invisible characters shown as escapes.

    Format characters (text direction, zero width) count as invisible: they can make a line read as another. The
    `##[` and `##vso[` of Azure Pipelines are broken too: its agent obeys them anywhere in a line of any program.
    The `::` of GitHub's runner counts where a line begins: that is for whoever writes the whole line (`no_command`).
    """
    text = text.rstrip("\r\n")
    if len(text) > LONGEST:
        text = f"{text[:LONGEST]}… ({len(text) - LONGEST} more characters)"
    if not text.isprintable():
        text = _SPACES.sub(" ", _SEQUENCE.sub("", text.replace("\t", "    ").replace("\n", " ")))
        text = "".join(each if each.isprintable() else _escape(each) for each in text)
    return _AGENT_COMMAND.sub("## ", text)


def defuse_lines(text: str) -> list[str]:
    """A message of ours, which may quote several lines of a tool: at least one line.

    None but the first, which stands behind something, is a command of GitHub's runner.
    """
    first, *more = text.splitlines() or [""]
    return [defuse(first), *(no_command(defuse(line)) for line in more)]


def no_command(line: str) -> str:
    """A whole line for GitHub's runner. A space before the colons is trimmed away by it, a mark is not."""
    return f"· {line}" if line.lstrip().startswith("::") else line


def _escape(character: str) -> str:
    code = ord(character)
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"

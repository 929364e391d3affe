"""The package sources that this machine's apt uses, and what another apt must know to use them too.

Both of apt's formats are read (sources.list(5)): the one-line `.list` and the deb822 `.sources`.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

_ONE_LINE = re.compile(r"^deb\s+(?:\[(?P<options>[^\]]*)\]\s+)?(?P<uri>\S+)\s+(?P<suite>\S+)(?P<components>.*)$")


@dataclass(frozen=True, slots=True)
class AptSource:
    """One archive: a URI, one suite of it, its components, and the keyring that apt checks it with (or `""`)."""

    uri: str
    suite: str
    components: tuple[str, ...]
    signed_by: str = ""

    def __str__(self) -> str:
        option = f"[signed-by={self.signed_by}] " if self.signed_by else ""
        return f"deb {option}{self.uri} {self.suite} {' '.join(self.components)}"


def configured(root: Path = Path("/etc/apt")) -> tuple[AptSource, ...]:
    """Every binary source of this machine. Files that cannot be read are left out."""
    found: list[AptSource] = []
    for path in [root / "sources.list", *sorted((root / "sources.list.d").glob("*"))]:
        try:
            text = path.read_text(errors="replace")
        except OSError:
            continue
        if path.suffix == ".sources":
            found += _deb822(text)
        elif path.suffix == ".list":
            found += _one_line(text)
    return tuple(found)


def settings(dump: str | None = None) -> dict[str, str]:
    """The apt options that decide whether an archive can be reached and is believed: proxies and date checks.

    `dump` is the output of `apt-config dump`; it is asked for when not given.
    """
    if dump is None:
        try:
            dump = subprocess.run(["apt-config", "dump"], capture_output=True, text=True, check=False).stdout
        except FileNotFoundError:
            dump = ""
    wanted = re.compile(
        r"^(Acquire::(?:Check-Valid-Until|Check-Date|(?:http|https|ftp)::[Pp]roxy(?:::\S+)?)) \"(.+)\";$"
    )
    return {found[1]: found[2] for line in dump.splitlines() if (found := wanted.match(line))}


def _one_line(text: str) -> Iterator[AptSource]:
    for line in text.splitlines():
        found = _ONE_LINE.match(line.split("#", 1)[0].strip())
        if found is None:
            continue
        options = dict(item.split("=", 1) for item in (found["options"] or "").split() if "=" in item)
        keyring = _keyring_path(options.get("signed-by", ""))
        yield AptSource(found["uri"], found["suite"], tuple(found["components"].split()), keyring)


def _deb822(text: str) -> Iterator[AptSource]:
    for block in re.split(r"\n\s*\n", text):
        fields = _fields(block.splitlines())
        if "deb" not in fields.get("types", "").split() or fields.get("enabled", "yes").lower() in {"no", "false"}:
            continue
        components = tuple(fields.get("components", "").split())
        keyring = _keyring_path(fields.get("signed-by", ""))
        for uri in fields.get("uris", "").split():
            for suite in fields.get("suites", "").split():
                yield AptSource(uri, suite, components, keyring)


def _fields(lines: Iterable[str]) -> dict[str, str]:
    fields: dict[str, str] = {}
    name = ""
    for line in lines:
        if line.startswith("#"):
            continue
        if line[:1] in {" ", "\t"}:
            if name:
                fields[name] += f"\n{line.strip()}"
        elif ":" in line:
            name, _, value = line.partition(":")
            name = name.strip().lower()
            fields[name] = value.strip()
    return fields


def _keyring_path(value: str) -> str:
    """A keyring may also be a fingerprint or an embedded key; only a file can be handed on."""
    first = value.split(",", maxsplit=1)[0].split(maxsplit=1)[0] if value.split() else ""
    return first if first.startswith("/") else ""

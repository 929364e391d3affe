"""Where a marketplace image comes from when there is no marketplace: `publisher:offer:sku` to a recipe.

The catalog is a YAML file (`catalog.yaml` beside this one); a user's own of the same form is asked first:

    images:
      "contoso:web:base":                      # or with a version, or with * in it; the case does not count
        url: https://example.org/web.qcow2     # or path: web.qcow2, relative to this file
        sha256: 3b0c…                          # or checksums: the URL of a SHA256SUMS file; a path needs neither
        generation: V2                         # V1 (BIOS) or V2 (UEFI); left out, the disk itself decides
        os: Linux
"""

from __future__ import annotations

import difflib
import fnmatch
import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import unquote, urlsplit

import pydantic
import yaml

from imagewright.core.errors import OptionsError, PlatformError
from imagewright.core.plan import Generation, OsType, PlatformImage
from imagewright.platforms.local.debian import BOOKWORM, DebianRelease

RELEASES = {release.codename: release for release in (BOOKWORM,)}
VARIABLE = "IMAGEWRIGHT_CATALOG"


@dataclass(frozen=True, slots=True)
class Bootstrap:
    """Installed from a package mirror."""

    release: DebianRelease


@dataclass(frozen=True, slots=True)
class Download:
    """Fetched from `url`, checked with `sha256`, or with the line of its file name in the file at `checksums`."""

    url: str
    sha256: str = ""
    checksums: str = ""

    @property
    def file_name(self) -> str:
        return unquote(urlsplit(self.url).path).rpartition("/")[2]


@dataclass(frozen=True, slots=True)
class LocalFile:
    """A disk on this machine. `sha256` is what it must have, or `""`."""

    path: Path
    sha256: str = ""


EXAMPLE = "images: {'publisher:offer:sku': {url: ..., sha256: ..., generation: V2}}"


@dataclass(frozen=True, slots=True)
class Recipe:
    """How to get an image, and what is known of it beforehand."""

    origin: Bootstrap | Download | LocalFile
    generation: Generation | None
    os_type: OsType


class _Entry(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="forbid", frozen=True)

    bootstrap: Literal["bookworm"] | None = None
    url: Annotated[str, pydantic.Field(pattern=r"^(https?|file)://")] = ""
    path: str = ""
    sha256: Annotated[str, pydantic.Field(pattern=r"^([0-9a-fA-F]{64})?$")] = ""
    checksums: Annotated[str, pydantic.Field(pattern=r"^((https?|file)://.*)?$")] = ""
    generation: Generation | None = None
    os: OsType = OsType.LINUX
    refused: str = ""
    hint: str = ""

    @pydantic.model_validator(mode="after")
    def _one_way(self) -> _Entry:
        ways = [name for name in ("bootstrap", "url", "path", "refused") if getattr(self, name)]
        if len(ways) != 1:
            raise ValueError("exactly one of `url`, `path`, `bootstrap`, `refused` says where an image comes from")
        if self.url and not (self.sha256 or self.checksums):
            raise ValueError("a download needs `sha256` or `checksums`")
        return self


class _File(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="forbid", frozen=True)

    images: dict[str, _Entry]


@dataclass(frozen=True, slots=True)
class _Catalog:
    """The entries of one file. `path` is where it lies, None for our own."""

    images: Mapping[str, _Entry]
    path: Path | None


def find(image: PlatformImage, home: Path, environment: Mapping[str, str] | None = None) -> Recipe:
    """The recipe for `image`.

    Raises PlatformError when there is none, with the nearest that there is, and OptionsError when the user's own
    catalog cannot be read.
    """
    environment = os.environ if environment is None else environment
    catalogs = [_own(), *_theirs(home, environment)]
    names = [":".join(part.lower() for part in (image.publisher, image.offer, image.sku))]
    names.append(f"{names[0]}:{image.version.lower()}")
    for catalog in reversed(catalogs):
        for key, entry in catalog.images.items():
            if any(fnmatch.fnmatchcase(name, key.lower()) for name in names):
                return _recipe(image, entry, catalog.path)
    known = sorted({key for catalog in catalogs for key in catalog.images if "*" not in key})
    near = difflib.get_close_matches(names[0], known, n=1, cutoff=0.75)
    raise PlatformError(
        f"where to get {image.publisher}:{image.offer}:{image.sku} without Azure is not known"
        + (f"; did you mean {near[0]}?" if near else ""),
        hint=f"say it in {_place(home, environment)}: images: {{'{names[0]}': {{url: ..., sha256: ...}}}}",
    )


def _recipe(image: PlatformImage, entry: _Entry, catalog: Path | None) -> Recipe:
    origin: Bootstrap | Download | LocalFile
    if entry.refused:
        raise PlatformError(f"{image} cannot be built locally: {entry.refused}", hint=entry.hint)
    if entry.bootstrap:
        origin = Bootstrap(RELEASES[entry.bootstrap])
    elif entry.url:
        origin = Download(entry.url, entry.sha256.lower(), entry.checksums)
    else:
        try:
            path = Path(entry.path).expanduser()
        except RuntimeError as error:
            raise PlatformError(f"{image}: {entry.path} is nowhere: {error}", hint=f"mend {catalog}") from error
        origin = LocalFile((catalog.parent if catalog else Path()) / path, entry.sha256.lower())
    return Recipe(origin, entry.generation, entry.os)


def _theirs(home: Path, environment: Mapping[str, str]) -> list[_Catalog]:
    """The user's catalog, if there is one. One that is named must exist."""
    named, path = environment.get(VARIABLE, ""), _place(home, environment)
    if not named and not path.exists():
        return []
    try:
        return [_Catalog(_parse(path.read_text("utf-8"), str(path)), path)]
    except (OSError, UnicodeDecodeError) as error:
        reason = (error.strerror or str(error)).lower() if isinstance(error, OSError) else str(error)
        hint = f"{VARIABLE} names it" if named else "look at its rights, and save it as UTF-8"
        raise OptionsError(f"the catalog {path} cannot be read: {reason}", hint=hint) from error


def _place(home: Path, environment: Mapping[str, str]) -> Path:
    return Path(environment.get(VARIABLE, "") or home / "catalog.yaml")


@cache
def _own() -> _Catalog:
    text = resources.files("imagewright.platforms.local").joinpath("catalog.yaml").read_text("utf-8")
    return _Catalog(_parse(text, "catalog.yaml"), None)


def _parse(text: str, name: str) -> dict[str, _Entry]:
    try:
        return _File.model_validate(yaml.safe_load(text) or {"images": {}}).images
    except yaml.YAMLError as error:
        raise OptionsError(f"{name} is no YAML: {error}", hint=EXAMPLE) from error
    except pydantic.ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"]) or "it"
        raise OptionsError(
            f"{name} is no catalog: {place}: {first['msg']}",
            hint=EXAMPLE,
        ) from error

"""`SharedImageVersion`: a version of an image in a compute gallery; the version may be `latest`."""

from __future__ import annotations

import re
from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator

from imagewright.core import plan
from imagewright.core.plan import OsType
from imagewright.core.resource_id import parse_resource_id
from imagewright.core.shape import Shape, problem

_HINT = "/subscriptions/.../providers/Microsoft.Compute/galleries/GALLERY/images/DEFINITION/versions/1.0.0"


_SHARED_DIRECTLY = re.compile(r"/sharedGalleries/[^/]+/images/[^/]+/versions/[^/]+", re.IGNORECASE)


def _version(text: str) -> str:
    if _SHARED_DIRECTLY.fullmatch(text):
        return _numbered(text, text.rpartition("/")[2])
    found = parse_resource_id(text)
    if found and found.is_a("Microsoft.Compute/galleries/images"):
        raise problem(
            "bad-resource-id",
            "this is the id of an image definition, not of a version",
            hint="append /versions/latest or /versions/1.0.0",
        )
    if not found or not found.is_a("Microsoft.Compute/galleries/images/versions"):
        raise problem("bad-resource-id", f"'{text}' is not the id of a gallery image version", hint=_HINT)
    return _numbered(text, found.name)


def _numbered(text: str, version: str) -> str:
    if not re.fullmatch(r"latest|\d+\.\d+\.\d+", version):
        raise problem(
            "bad-image-version", f"'{version}' is not a version", hint="three numbers (1.0.0), or the word latest"
        )
    return text


class SharedImageVersion(Shape):
    read_only: ClassVar = frozenset({"exactVersion"})

    type: Literal["SharedImageVersion"]
    image_version_id: Annotated[str, AfterValidator(_version)]

    def source(self) -> plan.Source:
        return plan.SharedImageVersion(self.image_version_id)

    def os_type(self) -> OsType | None:
        return None

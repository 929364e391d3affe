"""The sources of AIB, one file each. The union is the registry: to add one, write its file and name it here."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from imagewright.core.shape import Removed
from imagewright.sources.managed_image import ManagedImage
from imagewright.sources.platform_image import PlatformImage
from imagewright.sources.shared_image_version import SharedImageVersion

Source = Annotated[
    PlatformImage | ManagedImage | SharedImageVersion,
    Field(discriminator="type"),
    Removed({"ISO": "ISO sources were removed in api-version 2020-02-14; start from a PlatformImage instead"}),
]

__all__ = ["ManagedImage", "PlatformImage", "SharedImageVersion", "Source"]

"""The distributors of AIB, one file each. The union is the registry: to add one, write its file and name it here."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from imagewright.distributors.managed_image import ManagedImage
from imagewright.distributors.shared_image import SharedImage
from imagewright.distributors.vhd import Vhd

Distributor = Annotated[ManagedImage | SharedImage | Vhd, Field(discriminator="type")]

__all__ = ["Distributor", "ManagedImage", "SharedImage", "Vhd"]

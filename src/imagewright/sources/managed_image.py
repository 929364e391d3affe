"""`ManagedImage`: a managed image of the user's own."""

from __future__ import annotations

from typing import Annotated, Literal

from imagewright.core import plan
from imagewright.core.plan import OsType
from imagewright.core.shape import Shape, id_of


class ManagedImage(Shape):
    type: Literal["ManagedImage"]
    image_id: Annotated[str, id_of("Microsoft.Compute/images", "a managed image")]

    def source(self) -> plan.Source:
        return plan.ManagedImage(self.image_id)

    def os_type(self) -> OsType | None:
        return None

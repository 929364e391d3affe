"""`ManagedImage`: a managed image of the user's own."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator

from imagewright.core import plan
from imagewright.core.plan import OsType
from imagewright.core.resource_id import parse_resource_id
from imagewright.core.shape import Shape, problem


def _image(text: str) -> str:
    found = parse_resource_id(text)
    if not found or not found.is_a("Microsoft.Compute/images"):
        raise problem(
            "bad-resource-id",
            f"'{text}' is not the id of a managed image",
            hint="/subscriptions/.../resourceGroups/.../providers/Microsoft.Compute/images/NAME",
        )
    return text


class ManagedImage(Shape):
    type: Literal["ManagedImage"]
    image_id: Annotated[str, AfterValidator(_image)]

    def source(self) -> plan.Source:
        return plan.ManagedImage(self.image_id)

    def os_type(self) -> OsType | None:
        return None

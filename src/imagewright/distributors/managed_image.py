"""`ManagedImage`: a managed image, created or replaced."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator

from imagewright.core.origin import Origin
from imagewright.core.plan import ManagedImageTarget
from imagewright.core.resource_id import parse_resource_id
from imagewright.core.shape import NonEmpty, problem
from imagewright.distributors.distributor import Distributor


def _image(text: str) -> str:
    found = parse_resource_id(text)
    if not found or not found.is_a("Microsoft.Compute/images"):
        raise problem(
            "bad-resource-id",
            f"'{text}' is not the id of a managed image",
            hint="/subscriptions/.../resourceGroups/.../providers/Microsoft.Compute/images/NAME",
        )
    return text


class ManagedImage(Distributor):
    type: Literal["ManagedImage"]
    image_id: Annotated[str, AfterValidator(_image)]
    location: NonEmpty

    def target(self, origin: Origin) -> ManagedImageTarget:
        return ManagedImageTarget(self.run_output_name, self.image_id, self.location, self.tags(), origin)

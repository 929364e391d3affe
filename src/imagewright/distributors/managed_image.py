"""`ManagedImage`: a managed image, created or replaced."""

from __future__ import annotations

from typing import Annotated, Literal

from imagewright.core.origin import Origin
from imagewright.core.plan import ManagedImageTarget
from imagewright.core.shape import NonEmpty, id_of
from imagewright.distributors.distributor import Distributor


class ManagedImage(Distributor):
    type: Literal["ManagedImage"]
    image_id: Annotated[str, id_of("Microsoft.Compute/images", "a managed image", longest=80)]
    location: NonEmpty

    def target(self, origin: Origin) -> ManagedImageTarget:
        return ManagedImageTarget(self.run_output_name, self.image_id, self.location, self.tags(), origin)

"""`VHD`: a fixed VHD, in the platform's own place or at `uri`."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import AfterValidator

from imagewright.core.address import shown
from imagewright.core.origin import Origin
from imagewright.core.plan import VhdTarget
from imagewright.core.shape import Since, problem
from imagewright.distributors.distributor import Distributor


def _blob(uri: str) -> str:
    if uri and not re.match(r"https?://[^/]+/[^/]+/.+|file://", uri):
        raise problem(
            "bad-vhd-uri",
            f"'{shown(uri)}' is not the URI of a blob",
            hint="https://ACCOUNT.blob.core.windows.net/CONTAINER/NAME.vhd",
        )
    return uri


class Vhd(Distributor):
    type: Literal["VHD"]
    uri: Annotated[str, AfterValidator(_blob), Since("2022-07-01")] = ""

    def target(self, origin: Origin) -> VhdTarget:
        return VhdTarget(self.run_output_name, self.uri, self.tags(), origin)

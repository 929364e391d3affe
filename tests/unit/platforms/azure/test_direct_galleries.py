"""Galleries that are shared directly: their ids are read, no build starts from them yet."""

from __future__ import annotations

import pytest
from manual_clock import ManualClock

from imagewright.core.clock import Deadline
from imagewright.core.errors import PlatformError
from imagewright.core.plan import SharedImageVersion
from imagewright.platforms.azure import sources


def test_it_is_refused_before_anybody_is_asked() -> None:
    source = SharedImageVersion("/SharedGalleries/1a2b-gallery/images/web/versions/1.0.0")
    deadline = Deadline.after(ManualClock(), 60, "the test")
    with pytest.raises(PlatformError, match="is in a gallery that is shared directly") as refused:
        sources.resolve(source, "eastus", None, deadline)  # type: ignore[arg-type]
    assert "role" in refused.value.hint

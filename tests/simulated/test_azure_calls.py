"""How many calls of ARM a build takes when operations last as long as they were recorded, all faster alike."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from armsim import Pace, Simulator
from azure_world import NO_CACHE, AzureWorld
from sdk import Sdk

from imagewright.core.choices import Keep
from imagewright.core.clock import SystemClock
from imagewright.core.result import RunState
from imagewright.engine.resume import CachePolicy
from imagewright.platforms import Settings
from imagewright.platforms.azure.platform import AzurePlatform
from imagewright.platforms.azure.polling import quick_then_slow

SPEED = 25.0
MOST = 60
"""What issue 3 allows a Linux build with one target."""


class Fast(AzureWorld):
    """Pauses run as fast as the simulator's time."""

    def platform(self, settings: Settings | None = None) -> AzurePlatform:
        def pauses() -> Iterator[float]:
            return (seconds / SPEED for seconds in quick_then_slow())

        return AzurePlatform(settings or self.settings(), self.events.append, SystemClock(), pauses)


@pytest.mark.parametrize("policy", [NO_CACHE, CachePolicy(keep=Keep.LAST)], ids=["no cache", "cache"])
@pytest.mark.parametrize("kind", ["shared", "managed"])
def test_a_build_with_one_target_is_sparing(
    start: Callable[..., Simulator], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, policy: CachePolicy
) -> None:
    monkeypatch.setattr("imagewright.platforms.azure.gallery.LOOK_SECONDS", 240.0 / SPEED)
    simulator = start(Pace(speed=SPEED))
    with Sdk(simulator) as sdk:
        world = Fast(simulator, tmp_path, sdk)
        before = len(simulator.requests)
        result = world.build(world.plan("echo hello", targets=(getattr(world, kind)(),)), policy)
        assert result.state is RunState.SUCCEEDED, result.failure
        asked = [f"{request.method} {request.path}" for request in simulator.requests[before:]]
        assert len(asked) < MOST, "\n".join(asked)

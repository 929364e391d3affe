"""The simulator as a process of its own: `python -m armsim [--speed N] [--no-guests] [--limit NAME=N] [--record F]`.

Prints one line of JSON that says where it is. Answers each line that it reads, and the end of its standard input,
with one that says what is there and how much was asked by then. For benchmarks, where client and simulator must not
share one interpreter.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from pathlib import Path

from armsim import Pace, Simulator


def main() -> None:
    parser = argparse.ArgumentParser(prog="armsim")
    parser.add_argument("--speed", type=float, default=math.inf)
    parser.add_argument("--no-guests", action="store_true")
    parser.add_argument("--record", type=Path)
    parser.add_argument("--limit", action="append", default=[], metavar="NAME=N", help="a quota, such as cores=1000")
    given = parser.parse_args()
    with Simulator(Pace(speed=given.speed), guests=not given.no_guests, record=given.record) as simulator:
        limits = (each.partition("=") for each in given.limit)
        simulator.sizes.limits |= {name: int(number) for name, _, number in limits}
        proxy = simulator.proxy()
        place = {
            "url": simulator.url,
            "authority": str(simulator.authority),
            "proxy": proxy.url,
            "subscription": simulator.subscription,
            "tenant": simulator.credentials.tenant,
            "client": simulator.credentials.client,
            "secret": simulator.credentials.secret,
        }
        _say(place)
        for _ in sys.stdin:
            _say({"requests": len(simulator.requests)})
        asked = len(simulator.requests)
        _say({"resources": simulator.resources(), "requests": asked, "mistakes": simulator.mistakes})
        proxy.close()


def _say(value: object) -> None:
    sys.stdout.write(json.dumps(value) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()

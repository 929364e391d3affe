"""A simulated Azure Resource Manager for tests: strict, real guests, real blobs (tests/simulated/README.md)."""

from armsim.faults import (
    Fault,
    conflict,
    dropped,
    failing,
    policy_denied,
    server_error,
    throttled,
    unavailable,
)
from armsim.pace import Pace
from armsim.problems import ArmError
from armsim.simulator import Machine, Simulator, client_options, credential_options

__all__ = [
    "ArmError",
    "Fault",
    "Machine",
    "Pace",
    "Simulator",
    "client_options",
    "conflict",
    "credential_options",
    "dropped",
    "failing",
    "policy_denied",
    "server_error",
    "throttled",
    "unavailable",
]

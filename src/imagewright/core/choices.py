"""What a user may choose by one word that the engine or a platform understands as well."""

from __future__ import annotations

from enum import StrEnum


class Keep(StrEnum):
    """Which checkpoints a build keeps: none, the last, all, or those that save more time than they cost."""

    NONE = "none"
    LAST = "last"
    ALL = "all"
    AUTO = "auto"


class Accelerator(StrEnum):
    """How QEMU runs a build VM; `AUTO` takes KVM where it really works."""

    AUTO = "auto"
    KVM = "kvm"
    TCG = "tcg"


class Reach(StrEnum):
    """How the guest of an Azure build VM is driven: over SSH, through the VM agent, or whichever works."""

    AUTO = "auto"
    SSH = "ssh"
    AGENT = "agent"

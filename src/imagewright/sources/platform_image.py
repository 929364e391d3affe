"""`PlatformImage`: a marketplace image."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from imagewright.core import plan
from imagewright.core.plan import OsType
from imagewright.core.shape import NonEmpty, Shape, Since

_WINDOWS = ("windows", "win10", "win11", "win-", "-ws20", "visualstudio")
_LINUX_PUBLISHERS = frozenset(
    {"almalinux", "canonical", "coreos", "credativ", "ctrliqinc", "debian", "erockyenterprisesoftware", "kinvolk"}
    | {"microsoft-aks", "microsoftcblmariner", "openlogic", "oracle", "procomputers", "redhat", "resf", "suse"}
)
_LINUX = (
    "ubuntu",
    "debian",
    "rhel",
    "centos",
    "sles",
    "suse",
    "linux",
    "almalinux",
    "rocky",
    "mariner",
    "flatcar",
    "fedora",
)


class PurchasePlan(Shape):
    plan_name: NonEmpty
    plan_product: NonEmpty
    plan_publisher: NonEmpty


class PlatformImage(Shape):
    """All four parts of the URN are optional in the REST specification, and no build works without one of them."""

    read_only: ClassVar = frozenset({"exactVersion"})

    type: Literal["PlatformImage"]
    publisher: NonEmpty
    offer: NonEmpty
    sku: NonEmpty
    version: NonEmpty
    plan_info: Annotated[PurchasePlan | None, Since("2020-02-14")] = None

    def source(self) -> plan.Source:
        info = self.plan_info
        purchase = plan.PurchasePlan(info.plan_name, info.plan_product, info.plan_publisher) if info else None
        return plan.PlatformImage(self.publisher, self.offer, self.sku, self.version, purchase)

    def os_type(self) -> OsType | None:
        """The operating system, where publisher, offer and SKU give it away."""
        words = [word.lower() for word in (self.publisher, self.offer, self.sku) if isinstance(word, str)]
        if any(sign in word for word in words for sign in _WINDOWS):
            return OsType.WINDOWS
        if (words and words[0] in _LINUX_PUBLISHERS) or any(sign in word for word in words[1:] for sign in _LINUX):
            return OsType.LINUX
        return None

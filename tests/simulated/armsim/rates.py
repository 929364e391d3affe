"""The rate-limit headers of good answers (facts/azure-control-plane.md, 4.3); counted down, never enforced."""

from __future__ import annotations

import itertools

from armsim.targets import Target

_COUNT = itertools.count()
_BUCKETS = {
    ("PUT", "virtualmachines"): ("CreateUpdateVM", 299, 1499),
    ("PATCH", "virtualmachines"): ("UpdateVM", 239, 1199),
    ("POST", "virtualmachines"): ("UpdateVM", 239, 1199),
    ("DELETE", "virtualmachines"): ("DeleteVM", 239, 1199),
    ("GET", "virtualmachines"): ("LowCostGet", 3998, 31998),
    ("PUT", "images"): ("CreateImages", 39, 199),
    ("GET", "images"): ("GetImages", 359, 1799),
    ("DELETE", "images"): ("DeleteImages", 119, 599),
    ("PUT", "disks"): ("CreateUpdateDisks", 2999, 24999),
    ("DELETE", "disks"): ("DeleteDisks", 2999, 23999),
    ("GET", "disks"): ("LowCostGet", 14999, 119999),
    ("PUT", "snapshots"): ("HighCostSnapshotCreateHydrate", 999, 7999),
    ("PUT", "galleries"): ("CreateUpdateGallery", 49, 299),
    ("PUT", "galleries/images"): ("CreateUpdateGalleryImage", 149, 749),
    ("PUT", "galleries/images/versions"): ("CreateUpdateGalleryImageVersion", 374, 1199),
    ("GET", "galleries/images/versions"): ("GetGalleryImageVersion", 1999, 9997),
    ("DELETE", "galleries/images/versions"): ("DeleteGalleryImageVersion", 149, 999),
    ("GET", "locations/operations"): ("GetOperation", 14999, 29999),
    ("GET", "locations/diskoperations"): ("GetOperation", 49999, 399999),
    ("GET", "locations/capsoperations"): ("GetOperationStatus", 1199, 4199),
}


def headers(method: str, target: Target) -> dict[str, str]:
    used = next(_COUNT) % 1000
    kind = {"GET": "reads", "HEAD": "reads", "DELETE": "deletes"}.get(method, "writes")
    found = {
        f"x-ms-ratelimit-remaining-subscription-{kind}": str({"reads": 11999, "writes": 1199}.get(kind, 14999) - used)
    }
    bucket = _BUCKETS.get((method, "/".join(target.types).lower()))
    if bucket is not None and target.namespace.lower() == "microsoft.compute":
        name, short, long = bucket
        found["x-ms-ratelimit-remaining-resource"] = (
            f"Microsoft.Compute/{name}3Min;{short},Microsoft.Compute/{name}30Min;{long}"
        )
    return found

"""The api-versions each provider takes: what the installed SDKs send by default, what packer 1.6.6 sends, and the
versions of the OpenAPI documents in ../shared. Anything else is refused as Azure refuses it."""

from __future__ import annotations

import re

from armsim.problems import GATEWAY, ArmError
from armsim.targets import Target

_DISKS = "2018-06-01 2019-03-01 2019-07-01 2022-03-02 2022-07-02 2024-03-02 2026-03-02"
_GALLERIES = "2018-06-01 2019-03-01 2019-07-01 2019-12-01 2022-03-03 2023-07-03 2024-03-03 2025-12-03 2026-03-03"
_COMPUTE = (
    "2019-03-01 2019-07-01 2021-07-01 2022-03-01 2022-08-01 2022-11-01 2023-03-01 2024-07-01 2025-04-01 2026-04-01"
)
_TABLE: tuple[tuple[str, str], ...] = (
    (r"microsoft\.compute/skus$", "2019-04-01 2021-07-01"),
    (r"microsoft\.compute/(disks|snapshots|locations/diskoperations)\b", _DISKS),
    (r"microsoft\.compute/(galleries|locations/capsoperations)\b", _GALLERIES),
    (r"microsoft\.compute/locations/(shared|community)galleries\b", "2022-03-03 2023-07-03 2024-03-03 2026-03-03"),
    (r"microsoft\.compute\b", "2018-04-01 2018-06-01 " + _COMPUTE),
    (r"microsoft\.network\b", ("2018-01-01 2018-10-01 2020-04-01 2022-07-01 2023-04-01 2023-09-01 "
"2024-01-01 2025-09-01 2026-03-01")),
    (r"microsoft\.storage\b", "2017-10-01 2019-06-01 2023-01-01 2023-05-01 2026-04-01 2026-09-01"),
    (r"microsoft\.managedidentity\b", "2018-11-30 2023-01-31 2024-11-30"),
    (r"microsoft\.authorization/locks\b", "2016-09-01 2020-05-01"),
    (r"microsoft\.authorization\b", "2015-07-01 2018-07-01 2022-04-01"),
    (r"microsoft\.marketplaceordering\b", "2015-06-01 2021-01-01"),
    (r"microsoft\.resources/deployments\b", "2018-02-01 2018-05-01 2022-09-01 2024-07-01 2025-04-01 2026-06-01"),
    (r"", "2016-02-01 2016-06-01 2018-02-01 2018-05-01 2021-01-01 2021-04-01 2022-12-01 2024-07-01 2025-04-01"),
)  # fmt: skip


def check(target: Target, version: str | None) -> str:
    """The api-version of a request, or the refusal that Azure gives for a missing, ill-formed or unknown one."""
    if version is None:
        raise ArmError(
            400,
            "MissingApiVersionParameter",
            "The api-version query parameter (?api-version=) is required for all requests.",
            headers=GATEWAY,
        )
    kind = "" if _about_provider(target) else target.kind.strip("/")
    known = next(versions for pattern, versions in _TABLE if re.match(pattern, kind))
    if version in known.split():
        return version
    if not target.namespace or not re.fullmatch(r"\d{4}-\d{2}-\d{2}(-preview)?", version):
        supported = ",".join(known.split())
        raise ArmError(
            400,
            "InvalidApiVersionParameter",
            f"The api-version '{version}' is invalid. The supported versions are '{supported}'.",
            headers=GATEWAY,
        )
    raise ArmError(
        400,
        "NoRegisteredProviderFound",
        "No registered resource provider found for location '' and API version "
        f"'{version}' for type '{'/'.join(target.types)}'. The supported api-versions are "
        f"'{', '.join(known.split())}'.",
        headers=GATEWAY,
    )


def _about_provider(target: Target) -> bool:
    """`/subscriptions/s/providers/Microsoft.X[/register]` is answered by ARM itself."""
    return target.types == () or target.types[0].lower() in {"register", "unregister"}

"""`SharedImage`: a new version of an image definition in a compute gallery, replicated to regions."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from imagewright.core.origin import Origin
from imagewright.core.plan import (
    ExplicitVersion,
    LatestVersioning,
    SharedImageTarget,
    SourceVersioning,
    TargetRegion,
    Versioning,
)
from imagewright.core.resource_id import parse_resource_id
from imagewright.core.shape import INT32, Known, NonEmpty, Shape, Since, problem
from imagewright.distributors.distributor import Distributor
from imagewright.distributors.versioning import parse

_HINT = "/subscriptions/.../resourceGroups/.../providers/Microsoft.Compute/galleries/GALLERY/images/DEFINITION"

StorageAccountType = Literal["Standard_LRS", "Standard_ZRS", "Premium_LRS"]


def _definition(text: str) -> str:
    found = parse_resource_id(text)
    if not found or not (
        found.is_a("Microsoft.Compute/galleries/images") or found.is_a("Microsoft.Compute/galleries/images/versions")
    ):
        raise problem("bad-resource-id", f"'{text}' is not the id of a gallery image definition", hint=_HINT)
    if len(found.names) == 3 and parse(found.name) is None:
        raise problem(
            "bad-image-version",
            f"'{found.name}' is not a version",
            hint="three numbers up to 2147483647, for example 1.0.0",
        )
    return text


class Region(Shape):
    name: NonEmpty
    replica_count: Annotated[int, Field(ge=1, le=INT32)] = 1
    storage_account_type: StorageAccountType = "Standard_LRS"


class Latest(Shape):
    """The next patch after the highest version; of `major`, if that is not -1."""

    scheme: Literal["Latest"]
    major: Annotated[int, Field(ge=-1, le=INT32)] = -1


class FromSource(Shape):
    """The version number of the source image."""

    scheme: Literal["Source"]


class SharedImage(Distributor):
    type: Literal["SharedImage"]
    gallery_image_id: Annotated[str, AfterValidator(_definition)]
    replication_regions: tuple[Known[NonEmpty], ...] = ()
    storage_account_type: Annotated[StorageAccountType | None, Since("2020-02-14")] = None
    target_regions: Annotated[tuple[Known[Region], ...], Since("2022-07-01")] = ()
    exclude_from_latest: Annotated[bool, Since("2020-02-14")] = False
    versioning: Annotated[
        Annotated[Latest | FromSource, Field(discriminator="scheme")] | None, Since("2022-07-01")
    ] = None
    replication_mode: Annotated[Literal["Full", "Shallow"], Since("2025-10-01")] = "Full"

    @model_validator(mode="after")
    def _regions_once(self) -> Self:
        if self.target_regions and self.replication_regions:
            raise problem(
                "target-xor-replication-regions",
                "'targetRegions' and 'replicationRegions' cannot be used together",
                hint="keep 'targetRegions'; 'replicationRegions' is deprecated since 2022-07-01",
                field="replicationRegions",
            )
        if self.target_regions and self.storage_account_type:
            raise problem(
                "target-regions-storage-account-type",
                "'storageAccountType' belongs to 'replicationRegions'",
                hint="give each entry of 'targetRegions' its own 'storageAccountType'",
                field="storageAccountType",
            )
        return self

    @model_validator(mode="after")
    def _one_version(self) -> Self:
        if self.versioning and isinstance(self.gallery_image_id, str) and self._explicit():
            raise problem(
                "explicit-version-and-versioning",
                "the version is given twice: in 'galleryImageId' and by 'versioning'",
                hint="take /versions/... out of 'galleryImageId', or leave 'versioning' out",
                field="versioning",
            )
        return self

    def _explicit(self) -> str:
        found = parse_resource_id(self.gallery_image_id)
        return found.name if found and len(found.names) == 3 else ""

    def _versioning(self) -> Versioning:
        if explicit := self._explicit():
            return ExplicitVersion(explicit)
        match self.versioning:
            case FromSource():
                return SourceVersioning()
            case Latest(major=major):
                return LatestVersioning(major)
            case None:
                return LatestVersioning()

    def target(self, origin: Origin) -> SharedImageTarget:
        found = parse_resource_id(self.gallery_image_id)
        if found is None:
            raise AssertionError(self.gallery_image_id)
        kind = self.storage_account_type or "Standard_LRS"
        regions = tuple(
            TargetRegion(one.name, one.replica_count, one.storage_account_type) for one in self.target_regions
        )
        return SharedImageTarget(
            self.run_output_name,
            str(found.up() if self._explicit() else found),
            self._versioning(),
            regions or tuple(TargetRegion(name, 1, kind) for name in self.replication_regions),
            self.exclude_from_latest,
            self.replication_mode,
            self.tags(),
            origin,
        )

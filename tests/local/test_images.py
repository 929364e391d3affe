"""Images in the local store: what was built here is the source of the next build; both generations; data disks."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from booted import Booted

from imagewright.disks import vhd

pytestmark = [pytest.mark.qemu, pytest.mark.timeout(2400)]

GROUP = "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/images"
COMPUTE = f"{GROUP}/providers/Microsoft.Compute"
GIB = 1 << 30


def test_a_base_image_is_the_source_of_the_next(
    imagewright: Callable, template: Callable[..., Path], unique: str
) -> None:
    managed, definition = f"{COMPUTE}/images/{unique}", f"{COMPUTE}/galleries/g/images/{unique}"
    base = template(
        f"echo {unique} | sudo tee /etc/base-image",
        name="base",
        distribute=[
            {"type": "ManagedImage", "runOutputName": "m", "imageId": managed, "location": "westeurope"},
            {
                "type": "SharedImage",
                "runOutputName": "s",
                "galleryImageId": definition,
                "targetRegions": [{"name": "westeurope"}],
            },
        ],
    )
    built = imagewright("build", base)
    assert built.code == 0, built.err
    outputs = {each["name"]: each["artifactId"] for each in built.result["runOutputs"]}
    assert outputs["m"] == managed
    assert outputs["s"].startswith(f"{definition}/versions/")

    again = imagewright("build", base)
    versions = [one.result["runOutputs"][1]["artifactId"].rpartition("/")[2] for one in (built, again)]
    assert versions[0] != versions[1]

    look = f"grep -q {unique} /etc/base-image"
    for source in (
        {"type": "ManagedImage", "imageId": managed},
        {"type": "SharedImageVersion", "imageVersionId": f"{definition}/versions/latest"},
    ):
        child = imagewright("build", template(look, name="child", source=source))
        assert child.code == 0, child.err


def test_generation_1_with_a_grown_disk_a_data_disk_and_optimization(
    imagewright: Callable, template: Callable[..., Path], boot: Callable[..., Booted], unique: str
) -> None:
    path = template(
        f"echo {unique}",
        "test ! -d /sys/firmware/efi\ncd /dev/disk/azure\nlsblk -bdno SIZE root scsi1/lun0\n"
        "test root -ef /dev/$(lsblk -no PKNAME $(findmnt -no SOURCE /))\ntest root-part1 -ef $(readlink -f root)1",
        "cd /dev/disk/azure/scsi1\nsudo mkfs.ext4 -q lun0\nsudo mount lun0 /mnt\necho data | sudo tee /mnt/file",
        name="first",
        source={
            "type": "PlatformImage",
            "publisher": "Debian",
            "offer": "debian-12",
            "sku": "12",
            "version": "latest",
        },
        vmProfile={"osDiskSizeGB": 6},
        additionalDataDisks=[{"sizeGB": 1}],
        optimize={"vmBoot": {"state": "Enabled"}},
    )
    built = imagewright("build", path)
    assert built.code == 0, built.err
    assert f"{6 * GIB}" in built.err
    assert f"{GIB}" in built.err
    assert "optimized:" in built.err
    disk = Path(built.last_line)
    assert vhd.check(disk) == []
    assert disk.stat().st_size == 6 * GIB + 512
    machine = boot(disk, uefi=False)
    assert machine.ask("findmnt -no SIZE / | tr -dc 0-9.") > "5"
    timeouts = machine.ask("grep -o 'set timeout=[0-9]*$' /boot/grub/grub.cfg").split("\n")
    assert set(timeouts) - {"set timeout=30"} == {"set timeout=0"}  # 30: after a boot that failed

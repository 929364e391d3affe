"""The names by which a script finds its data disks here as it does in Azure: `/dev/disk/azure/scsi1/lun0`.

`/dev/sda` and `/dev/sdb` may change places at each boot, here and there. In Azure the Linux agent's udev rules give
the other names, from what only Hyper-V's controllers say; these rules give the same ones from this machine's.
"""

from __future__ import annotations

from collections.abc import Iterator

_RULES = "/run/udev/rules.d/66-imagewright-azure-storage.rules"
"""In memory, so nothing of it is in the image."""


def command(data_disks: int) -> str:
    """A shell command, for each boot, that gives the OS disk and its `data_disks` data disks their names.

    Where there is no udev, there are no names.
    """
    return (
        f"mkdir -p /run/udev/rules.d && cat >{_RULES} <<'END' && udevadm control --reload"
        " && udevadm trigger --subsystem-match=block --sysname-match='sd*' --settle\n"
        f"{rules(data_disks)}END\ntrue\n"
    )


def rules(data_disks: int) -> str:
    """The rules, as udev(7) has them. A disk is known by its SCSI target: 0 for the OS disk, N + 1 for the lun N."""
    return "".join(_rules(0, "root")) + "".join(
        line for lun in range(data_disks) for line in _rules(lun + 1, f"scsi1/lun{lun}")
    )


def _rules(target: int, name: str) -> Iterator[str]:
    for kind, part in (("disk", ""), ("partition", "-part%n")):
        yield (
            f'SUBSYSTEM=="block", KERNEL=="sd*", ENV{{DEVTYPE}}=="{kind}", KERNELS=="*:0:{target}:0", '
            f'SYMLINK+="disk/azure/{name}{part}"\n'
        )

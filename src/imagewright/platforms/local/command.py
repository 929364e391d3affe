"""The command line of QEMU for one build VM. Pure: a configuration in, arguments out."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

FORWARD = "hostfwd=tcp:127.0.0.1:0-:22"
"""Port 0: the kernel chooses a free one, and QEMU tells which."""


@dataclass(frozen=True, slots=True)
class Firmware:
    """UEFI code, and this machine's own copy of its variables."""

    code: Path
    variables: Path


@dataclass(frozen=True, slots=True)
class MachineConfig:
    """What one QEMU process is made of. `disks` are qcow2 files, the OS disk first; `memory` in MiB.

    `ram` is the file descriptor of its memory. `resuming`: it starts stopped and waits for the state of its devices.
    """

    name: str
    binary: str
    accelerator: tuple[str, ...]
    cpu: str
    cpus: int
    memory: int
    disks: tuple[Path, ...]
    seed: Path
    monitor: int
    ram: int
    serial: Path
    pid_file: Path
    firmware: Firmware | None = None
    resuming: bool = False


def arguments(config: MachineConfig) -> tuple[str, ...]:
    """The full argument vector. A RAM state fits the same devices only: they follow from the disks' number."""
    return (
        config.binary,
        *("-name", config.name),
        *("-machine", "q35,usb=off,vmport=off,memory-backend=ram"),
        *(
            "-object",
            f"memory-backend-file,id=ram,size={config.memory}M,mem-path=/proc/self/fd/{config.ram},share=on",
        ),
        *config.accelerator,
        *("-cpu", config.cpu),
        *("-smp", str(config.cpus)),
        *("-m", f"{config.memory}M"),
        "-nodefaults",
        "-no-user-config",
        *("-display", "none"),
        *("-pidfile", str(config.pid_file)),
        *("-chardev", f"socket,id=monitor,fd={config.monitor}"),
        *("-mon", "chardev=monitor,mode=control"),
        *("-chardev", f"file,id=serial,path={_escaped(config.serial)}"),
        *("-serial", "chardev:serial"),
        *_firmware(config.firmware),
        *("-device", "virtio-rng-pci"),
        *("-device", "vmgenid,guid=auto"),
        *("-netdev", f"user,id=net,{FORWARD}"),
        *("-device", "virtio-net-pci,netdev=net,romfile="),
        *("-device", "virtio-scsi-pci,id=scsi"),
        *(part for number, disk in enumerate(config.disks) for part in _disk(number, disk)),
        *(
            "-blockdev",
            f"driver=raw,node-name=seed,read-only=on,file.driver=file,file.filename={_escaped(config.seed)}",
        ),
        *("-device", "scsi-hd,bus=scsi.0,scsi-id=63,lun=0,drive=seed,bootindex=9"),
        *(("-S", "-incoming", "defer") if config.resuming else ()),
    )


def node(disk: int, layer: int) -> str:
    """The block node of a disk's n-th overlay since this QEMU started."""
    return f"disk{disk}-{layer}"


def blockdev(disk: int, layer: int, path: Path) -> dict[str, object]:
    """The QMP form of a new overlay; its backing is attached by the snapshot itself."""
    return {
        "driver": "qcow2",
        "node-name": node(disk, layer),
        "discard": "unmap",
        "detect-zeroes": "unmap",
        "cache": {"no-flush": True},
        "file": {"driver": "file", "filename": str(path), "cache": {"no-flush": True}},
        "backing": None,
    }


def _disk(number: int, path: Path) -> tuple[str, ...]:
    drive = node(number, 0)
    options = "cache.no-flush=on,discard=unmap,detect-zeroes=unmap"
    device = f"scsi-hd,id=scsi{number},bus=scsi.0,scsi-id={number},lun=0"
    return (
        *("-blockdev", f"driver=qcow2,node-name={drive},{options},{_file(path)},file.cache.no-flush=on"),
        *("-device", f"{device},drive={drive},bootindex={number},write-cache=on"),
    )


def _file(path: Path) -> str:
    return f"file.driver=file,file.filename={_escaped(path)},file.discard=unmap"


def _firmware(firmware: Firmware | None) -> tuple[str, ...]:
    if firmware is None:
        return ()
    return (
        *("-drive", f"if=pflash,unit=0,format=raw,readonly=on,file={_escaped(firmware.code)}"),
        *("-drive", f"if=pflash,unit=1,format=raw,file={_escaped(firmware.variables)}"),
    )


def _escaped(path: Path) -> str:
    return str(path).replace(",", ",,")

"""Debian, bootstrapped from a package mirror to a disk that boots by BIOS and by UEFI: no root, no loop device.

The disk is laid out as Debian's own cloud images are: GPT, partition 14 for GRUB's BIOS core, 15 the EFI system
partition, 1 the root filesystem, last on the disk so that it can grow.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import tempfile
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from imagewright.core.address import shown
from imagewright.core.errors import PlatformError
from imagewright.disks import tools
from imagewright.platforms.local import debian_mirror, grub_bios, qemu_img
from imagewright.platforms.local.debian_mirror import Mirror, guest_apt

__all__ = ["BOOKWORM", "RECIPE", "DebianRelease", "bootstrap", "guest_apt"]

RECIPE = 3
"""Counts up when the same packages would make another image."""

SIZE = 4 << 30
_SECTOR = 512
_CORE_LBA, _CORE_SECTORS = 2048, 6144
_ESP_LBA, _ESP_SECTORS = 8192, 253952
_ROOT_LBA = 262144
_GPT_TAIL_SECTORS = 2048  # 33 are needed; the filesystem stays aligned to 1 MiB
_FEATURES = (  # what every GRUB and kernel since Debian 11 can read, whatever mke2fs this machine has
    "has_journal,ext_attr,resize_inode,dir_index,filetype,extent,64bit,flex_bg,sparse_super,large_file,huge_file,"
    "dir_nlink,extra_isize,metadata_csum"
)
_PACKAGES = (
    # the system
    *(
        "init",
        "udev",
        "kmod",
        "dbus",
        "libpam-systemd",
        "polkitd",
        "sudo",
        "apparmor",
        "zstd",
        "linux-image-cloud-amd64",
    ),
    # the network, the clock
    *("systemd-resolved", "netplan.io", "libnss-myhostname", "iproute2", "iptables", "netbase", "systemd-timesyncd"),
    # the cloud
    *("cloud-init", "cloud-guest-utils", "waagent", "hyperv-daemons", "openssh-server", "unattended-upgrades"),
    # the boot loader
    *("grub-cloud-amd64", "grub2-common", "dosfstools"),
    # what scripts and people expect
    *("apt-utils", "whiptail", "ca-certificates", "curl", "gnupg", "less", "nano", "vim-tiny", "procps", "psmisc"),
    *("iputils-ping", "bash-completion", "xz-utils", "ethtool", "pciutils", "uuid-runtime"),
)
_FROM_THE_ROOT = {
    "boot.img": "/usr/lib/grub/i386-pc/boot.img",
    "core.img": "/boot/grub/i386-pc/core.img",
    "shimx64.efi": "/usr/lib/shim/shimx64.efi.signed",
    "mmx64.efi": "/usr/lib/shim/mmx64.efi.signed",
    "fbx64.efi": "/usr/lib/shim/fbx64.efi.signed",
    "BOOTX64.CSV": "/usr/lib/shim/BOOTX64.CSV",
    "grubx64.efi": "/usr/lib/grub/x86_64-efi-signed/grubx64.efi.signed",
}
_WORTH_TELLING = re.compile(r"^I: ((?:downloading|extracting|installing) .*?)(?:\.\.\.)?$")


@dataclass(frozen=True, slots=True)
class DebianRelease:
    """`codename` names the suites, `number` is what people say."""

    codename: str
    number: str

    def uuid(self, what: str) -> uuid.UUID:
        """The identifier that `what` (a disk, a partition, a filesystem) has in every image of this release."""
        return uuid.uuid5(uuid.NAMESPACE_DNS, f"{what}.{self.codename}.debian.imagewright")


BOOKWORM = DebianRelease("bookworm", "12")


def bootstrap(
    target: Path,
    release: DebianRelease,
    work: Path,
    progress: Callable[[str], None],
    *,
    mirror: Mirror | None = None,
    check: Callable[[], None] | None = None,
) -> None:
    """Install `release` on a new disk and write it to `target` (qcow2, 4 GiB, about 700 MiB of it used).

    Takes one to two minutes and about 3 GiB in `work` meanwhile. `progress` is told what is going on, `check` is
    called often and may raise. `target` appears whole or not at all. Raises PlatformError with the last lines of
    mmdebstrap.
    """
    mirror = mirror or debian_mirror.find()
    _demand_tools()
    work.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="debian-", dir=work) as name:
        folder = Path(name)
        raw = folder / "disk.raw"
        progress(f"partitioning a disk of {SIZE >> 30} GiB")
        _partition(raw, release, check)
        progress(f"installing Debian {release.number} ({release.codename}) from {shown(mirror.main)}")
        _install(raw, folder, release, mirror, progress, check)
        progress("writing the boot loaders")
        _write_esp(raw, folder, release, check)
        _embed_core(raw, folder)
        progress("packing the disk")
        packed = folder / "disk.qcow2"
        qemu_img.convert(raw, "raw", packed, "qcow2", check=check)
        target.parent.mkdir(parents=True, exist_ok=True)
        packed.replace(target)


def _demand_tools() -> None:
    needed = ("mmdebstrap", "mke2fs", "sfdisk", "mkfs.vfat", "mcopy", "mmd", "qemu-img")
    missing = [name for name in needed if tools.which(name) is None]
    if missing:
        raise PlatformError(
            f"Debian cannot be bootstrapped without {', '.join(missing)}",
            hint=tools.install(*missing),
        )
    if os.geteuid() != 0 and tools.which("newuidmap") is None:
        raise PlatformError(
            "newuidmap is missing: without root, mmdebstrap needs it", hint=tools.install("newuidmap")
        )


def _partition(raw: Path, release: DebianRelease, check: Callable[[], None] | None) -> None:
    with raw.open("xb") as file:
        file.truncate(SIZE)
    root_sectors = SIZE // _SECTOR - _ROOT_LBA - _GPT_TAIL_SECTORS
    script = f"""\
label: gpt
label-id: {release.uuid("disk")}
unit: sectors

p14 : start={_CORE_LBA}, size={_CORE_SECTORS}, type=21686148-6449-6E6F-744E-656564454649, uuid={release.uuid("core")}
p15 : start={_ESP_LBA}, size={_ESP_SECTORS}, type=C12A7328-F81F-11D2-BA4B-00A0C93EC93B, uuid={release.uuid("esp")}
p1 : start={_ROOT_LBA}, size={root_sectors}, type=4F68BCE3-E8CD-4DB1-96E7-FBCAF984B709, uuid={release.uuid("p1")}
"""
    with tempfile.TemporaryFile() as file:
        file.write(script.encode())
        file.seek(0)
        tools.run(["sfdisk", "--quiet", "--no-reread", "--no-tell-kernel", raw], stdin=file, check=check)


def _install(
    raw: Path,
    folder: Path,
    release: DebianRelease,
    mirror: Mirror,
    progress: Callable[[str], None],
    check: Callable[[], None] | None,
) -> None:
    def script(name: str) -> str:
        return resources.files("imagewright.platforms.local").joinpath(name).read_text()

    def tell(line: str) -> None:
        if found := _WORTH_TELLING.match(line):
            progress(found[1])

    root_size = SIZE - (_ROOT_LBA + _GPT_TAIL_SECTORS) * _SECTOR
    environment = {
        "ROOT_UUID": str(release.uuid("root")),
        "ESP_UUID": _esp_uuid(release),
        "CODENAME": release.codename,
        "FS_OFFSET": str(_ROOT_LBA * _SECTOR),
        "FS_SIZE": str(root_size // 1024),
        "FS_FEATURES": _FEATURES,
        "CUSTOMIZE": script("debian_customize.sh"),
        "MAKE_FILESYSTEM": script("debian_filesystem.sh"),
    }
    argv = [
        *_private_namespaces(),
        "mmdebstrap",
        f"--mode={'root' if os.geteuid() == 0 else 'unshare'}",
        "--variant=minbase",
        "--architectures=amd64",
        "--format=null",
        "--dpkgopt=force-unsafe-io",
        '--aptopt=Acquire::Languages "none"',
        '--aptopt=APT::Install-Recommends "false"',
        *(f'--aptopt={name} "{value}"' for name, value in mirror.options),
        f"--include={','.join(_PACKAGES)}",
        '--essential-hook=echo do_symlinks = no >"$1/etc/kernel-img.conf"',
        '--customize-hook=eval "$CUSTOMIZE"',
        *(
            f"--customize-hook=download {inside} {shlex.quote(str(folder / name))}"
            for name, inside in _FROM_THE_ROOT.items()
        ),
        '--customize-hook=eval "$MAKE_FILESYSTEM"',
        release.codename,
        "-",
        *map(str, mirror.sources(release.codename)),
    ]
    with raw.open("r+b") as disk, _temporary_root(folder) as environment["TMPDIR"]:
        # the folder above is closed to others (mkdtemp), so this opens the disk to nobody but the hook
        os.fchmod(disk.fileno(), 0o666)
        try:
            tools.run(argv, on_line=tell, check=check, stdin=disk, env=environment)
        except tools.ToolError as error:
            raise _explained(error, mirror) from error
        os.fchmod(disk.fileno(), 0o600)


def _private_namespaces() -> list[str]:
    """As root, mmdebstrap mounts /proc, /sys and /dev for everyone to see; here they end with it, however it ends.

    Without root it does this itself. A container's root may not, but may not mount either.
    """
    prefix = ["unshare", "--mount", "--propagation=private", "--pid", "--fork", "--kill-child", "--mount-proc", "--"]
    if os.geteuid() != 0 or subprocess.run([*prefix, "true"], capture_output=True, check=False).returncode != 0:
        return []
    return prefix


@contextmanager
def _temporary_root(folder: Path) -> Iterator[str]:
    """A place for the new root's tree that the namespace's root can walk to: beside the disk if possible."""
    candidates = (folder, Path(tempfile.gettempdir()), Path("/var/tmp"), Path("/tmp"))
    if os.geteuid() == 0:
        yield str(folder)
        return
    for candidate in candidates:
        walk = [candidate, *candidate.resolve().parents]
        if all(part.stat().st_mode & 0o001 for part in walk):
            yield str(candidate)
            return
    raise PlatformError("no folder for temporary files is open to other users", hint="chmod 1777 /tmp")


def _explained(error: tools.ToolError, mirror: Mirror) -> PlatformError:
    said = "\n".join(error.tail)
    hint = error.hint
    if "/etc/subuid" in said or "/etc/subgid" in said or "newuidmap" in said or "unshare mode" in said:
        hint = (
            "without root, mmdebstrap needs a range of ids for you: "
            "usermod --add-subuids 100000-165535 --add-subgids 100000-165535 USER"
        )
    elif not hint and ("Could not resolve" in said or "Failed to fetch" in said or "Unable to connect" in said):
        hint = f"is {shown(mirror.main)} right? IMAGEWRIGHT_DEBIAN_MIRROR names another mirror"
    elif "GPG" in said or "NO_PUBKEY" in said or "not signed" in said:
        hint = "install debian-archive-keyring"
    worth = [f"  {line}" for line in error.tail if not line.startswith("I: ")]
    return PlatformError("\n".join(["Debian was not bootstrapped: mmdebstrap failed:", *worth[-12:]]), hint=hint)


def _esp_uuid(release: DebianRelease) -> str:
    serial = release.uuid("vfat").hex[:8].upper()
    return f"{serial[:4]}-{serial[4:]}"


def _write_esp(raw: Path, folder: Path, release: DebianRelease, check: Callable[[], None] | None) -> None:
    """The EFI system partition: the shim that firmware believes, and the GRUB that the shim believes."""
    offset = _ESP_LBA * _SECTOR
    serial = _esp_uuid(release).replace("-", "")
    size_kib = str(_ESP_SECTORS // 2)
    tools.run(
        ["mkfs.vfat", "-F", "16", "-i", serial, "-n", "UEFI", "--offset", str(_ESP_LBA), raw, size_kib], check=check
    )
    config = folder / "grub.cfg"
    config.write_text(
        f"search.fs_uuid {release.uuid('root')} root\nset prefix=($root)'/boot/grub'\nconfigfile $prefix/grub.cfg\n"
    )
    image = f"{raw}@@{offset}"
    environment = {"MTOOLS_SKIP_CHECK": "1"}
    tools.run(["mmd", "-i", image, "::EFI", "::EFI/BOOT", "::EFI/debian"], env=environment, check=check)
    copies = [(folder / name, f"::EFI/debian/{name}") for name in _FROM_THE_ROOT if name.endswith((".efi", ".CSV"))]
    copies += [
        (config, "::EFI/debian/grub.cfg"),
        (folder / "shimx64.efi", "::EFI/BOOT/BOOTX64.EFI"),
        (folder / "mmx64.efi", "::EFI/BOOT/mmx64.efi"),
        (folder / "grubx64.efi", "::EFI/BOOT/grubx64.efi"),
    ]
    for source, inside in copies:
        tools.run(["mcopy", "-i", image, source, inside], env=environment, check=check)


def _embed_core(raw: Path, folder: Path) -> None:
    with raw.open("r+b") as disk:
        master = disk.read(_SECTOR)
        boot, core = (folder / "boot.img").read_bytes(), (folder / "core.img").read_bytes()
        first, padded = grub_bios.embed(master, boot, core, _CORE_LBA)
        if len(padded) > _CORE_SECTORS * _SECTOR:
            raise PlatformError(f"GRUB's core image ({len(padded)} bytes) does not fit its partition")
        disk.seek(0)
        disk.write(first)
        disk.seek(_CORE_LBA * _SECTOR)
        disk.write(padded)

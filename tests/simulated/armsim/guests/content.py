"""What is on a disk: nothing yet, a guest's files, or the bytes of a VHD that somebody uploaded."""

from __future__ import annotations

import struct
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

from azure.storage.blob import BlobClient

from armsim.guests.farm import Farm
from armsim.problems import ArmError
from armsim.storage import download, upload

_TAR_MAGIC_AT = 257


@dataclass
class Content:
    """Either may be absent: `tree` is an overlay's upper layer, `image` a file with a fixed VHD. Both absent: blank.

    A tree leaves as a VHD that holds a tar archive of it, and such a VHD comes back as a tree; any other stays what
    it is, and a machine that boots from it starts with an empty tree.
    """

    farm: Farm
    tree: Path | None = None
    image: Path | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def copy(self) -> Content:
        with self._lock:
            tree = self.farm.copy_disk(self.tree) if self.tree is not None else None
            image = None
            if tree is None and self.image is not None:
                image = self._file()
                self.farm.as_root("cp", "--sparse=always", self.image, image)
            return Content(self.farm, tree, image)

    def bootable(self) -> Path:
        """The tree, made from the image if that is what there is."""
        with self._lock:
            if self.tree is None and self.image is not None and self._holds_tree():
                self.tree = self.farm.unpack(self.image)
            elif self.tree is None:
                self.tree = self.farm.new_disk()
            return self.tree

    def export(self, blob: BlobClient, size: int) -> None:
        """Write it out as a fixed VHD of `size` bytes and a footer."""
        with self._lock:
            if self.tree is None and self.image is not None:
                upload(self.image, blob, self.image.stat().st_size)
                return
            packed = self._file()
            if self.tree is not None:
                self.farm.pack(self.tree, packed)
            if packed.stat().st_size > size:
                raise ArmError(500, "InternalServerError", f"The guest's files do not fit on a disk of {size} bytes.")
            upload(packed, blob, size + 512)
            blob.upload_page(vhd_footer(size), size, 512)
            packed.unlink()

    def take(self, blob: BlobClient) -> None:
        """Become what was uploaded to `blob`."""
        fresh = self._file()
        download(blob, fresh)
        self.dispose()
        self.image = fresh

    def read(self, path: str) -> bytes | None:
        """A file of the tree, None if it is not there."""
        return self.farm.read(self.tree, path) if self.tree is not None else None

    def dispose(self) -> None:
        with self._lock:
            if self.tree is not None:
                self.farm.remove_disk(self.tree)
            if self.image is not None:
                self.image.unlink(missing_ok=True)
            self.tree = self.image = None

    def _holds_tree(self) -> bool:
        if self.image is None:
            return False
        with self.image.open("rb") as data:
            data.seek(_TAR_MAGIC_AT)
            return data.read(5) == b"ustar"

    def _file(self) -> Path:
        with tempfile.NamedTemporaryFile(dir=self.farm.folder, prefix="image-", delete=False) as made:
            return Path(made.name)


def vhd_footer(size: int) -> bytes:
    """The footer of a fixed VHD with `size` bytes of data."""
    stamp = int(time.time()) - 946_684_800
    head = struct.pack(
        ">8sIIQI4sI4sQQ",
        b"conectix",
        2,
        0x0001_0000,
        0xFFFF_FFFF_FFFF_FFFF,
        stamp,
        b"arms",
        0x0001_0000,
        b"Wi2k",
        size,
        size,
    )
    geometry = struct.pack(">HBB", min(size // 512 // 16 // 63, 65535), 16, 63)
    body = head + geometry + struct.pack(">I", 2)
    rest = bytes(16) + b"\0" + bytes(427)
    total = ~sum(body + bytes(4) + rest) & 0xFFFF_FFFF
    return body + struct.pack(">I", total) + rest

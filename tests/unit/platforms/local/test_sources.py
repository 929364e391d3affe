from __future__ import annotations

import functools
import hashlib
import http.server
import json
import os
import shutil
import subprocess
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from imagewright.core.clock import Deadline, SystemClock
from imagewright.core.disk import Disk
from imagewright.core.errors import BuildTimeoutError, CancelledError, FetchError, PlatformError
from imagewright.core.events import Event, Level, Note
from imagewright.core.plan import (
    DiskFile,
    ExactSource,
    Generation,
    LatestVersioning,
    ManagedImage,
    ManagedImageTarget,
    OsType,
    PlatformImage,
    SharedImageTarget,
    SharedImageVersion,
    Source,
)
from imagewright.disks import vhd
from imagewright.engine.ledger import Ledger
from imagewright.engine.scope import Scope
from imagewright.platforms.local import debian, debian_version, downloads, sources
from imagewright.platforms.local.targets import LocalTargets
from imagewright.staging import fetch

pytestmark = pytest.mark.skipif(shutil.which("qemu-img") is None, reason="needs qemu-img")

MIB = 1 << 20
BOOT_RECORD = bytes(510) + b"\x55\xaa"
DEBIAN = PlatformImage("Debian", "debian-12", "12-gen2", "latest")
COMPUTE = "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/g/providers/Microsoft.Compute"


class StoppedClock(SystemClock):
    """Its wall clock moves only when it is told to."""

    def __init__(self) -> None:
        self.time = datetime(2026, 11, 23, tzinfo=UTC)

    def now(self) -> datetime:
        return self.time


@dataclass
class World:
    home: Path
    events: list[Event]
    clock: StoppedClock

    def resolve(self, source: Source) -> ExactSource:
        deadline = Deadline.after(self.clock, 100, "the test")
        return sources.resolve(source, self.home, self.events.append, self.clock, deadline)

    def warnings(self) -> list[str]:
        return [event.hint for event in self.events if isinstance(event, Note) and event.level is Level.WARNING]


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path / "home", [], StoppedClock())


def qcow2(path: Path, size: int = 3 * MIB) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    raw = path.with_name(f"{path.name}.raw")
    raw.write_bytes(BOOT_RECORD.ljust(size, b"\0"))
    subprocess.run(["qemu-img", "convert", "-q", "-O", "qcow2", raw, path], check=True)
    raw.unlink()
    return path


def gpt_with_esp(path: Path) -> Path:
    path.write_bytes(bytes(16 * MIB))
    subprocess.run(["sfdisk", "-q", path], input=b"label: gpt\ntype=uefi\n", check=True)
    return path


# --- Debian, bootstrapped ---


class Mirror:
    """Stands for the package mirror: which version it holds, how often it was asked, what was bootstrapped."""

    def __init__(self) -> None:
        self.version = "0.20261122.1"
        self.asked = 0
        self.bootstrapped = 0
        self.down = False
        self.broken = False
        self.started = threading.Event()
        self.go_on = threading.Event()
        self.go_on.set()

    def current(self, *_: object) -> str:
        self.asked += 1
        if self.down:
            raise PlatformError("the mirror is down")
        return self.version

    def bootstrap(self, target: Path, *_: object, **__: object) -> None:
        self.started.set()
        assert self.go_on.wait(20)
        qcow2(target)
        if self.broken:
            raise PlatformError("mmdebstrap failed")
        self.bootstrapped += 1


@pytest.fixture
def mirror(monkeypatch: pytest.MonkeyPatch) -> Mirror:
    fake = Mirror()
    monkeypatch.setattr(debian_version, "current", fake.current)
    monkeypatch.setattr(debian, "bootstrap", fake.bootstrap)
    return fake


def test_latest_becomes_an_exact_version_with_a_disk(world: World, mirror: Mirror) -> None:
    exact = world.resolve(DEBIAN)
    disk = Path(exact.location)
    assert disk.is_file()
    assert exact == ExactSource(
        DEBIAN,
        exact_version="0.20261122.1",
        identity=hashlib.sha256(disk.read_bytes()).hexdigest(),
        os_type=OsType.LINUX,
        generation=Generation.V2,
        architecture="x64",
        location=str(disk),
        size=3 * MIB,
    )


def test_both_generations_share_one_disk(world: World, mirror: Mirror) -> None:
    second, first = world.resolve(DEBIAN), world.resolve(replace(DEBIAN, sku="12"))
    assert first.location == second.location
    assert (first.generation, second.generation) == (Generation.V1, Generation.V2)


def test_the_mirror_is_not_asked_again_for_a_day(world: World, mirror: Mirror) -> None:
    for hours in (0, 5, 18):
        world.clock.time += timedelta(hours=hours)
        world.resolve(DEBIAN)
    assert (mirror.asked, mirror.bootstrapped) == (1, 1)
    world.clock.time += timedelta(hours=2)
    world.resolve(DEBIAN)
    assert (mirror.asked, mirror.bootstrapped) == (2, 1)


def test_a_mirror_that_has_changed_makes_a_new_version_beside_the_old(world: World, mirror: Mirror) -> None:
    world.resolve(DEBIAN)
    mirror.version = "0.20261123.2"
    world.clock.time += timedelta(days=1)
    assert world.resolve(DEBIAN).exact_version == "0.20261123.2"
    assert world.resolve(replace(DEBIAN, version="0.20261122.1")).exact_version == "0.20261122.1"


def test_offline_the_newest_is_good_enough_and_that_is_said(world: World, mirror: Mirror) -> None:
    world.resolve(DEBIAN)
    mirror.down = True
    world.clock.time += timedelta(days=1)
    assert world.resolve(DEBIAN).exact_version == "0.20261122.1"
    assert world.warnings() == ["the mirror is down; building on 0.20261122.1, which is here already"]


def test_offline_and_with_nothing_here_is_an_error(world: World, mirror: Mirror) -> None:
    mirror.down = True
    with pytest.raises(PlatformError, match="the mirror is down"):
        world.resolve(DEBIAN)


def test_an_exact_version_that_is_not_here_is_answered_with_what_is(world: World, mirror: Mirror) -> None:
    world.resolve(DEBIAN)
    with pytest.raises(PlatformError) as caught:
        world.resolve(replace(DEBIAN, version="0.20240717.1811"))
    assert "0.20240717.1811" in caught.value.message
    assert "0.20261122.1" in caught.value.hint
    with pytest.raises(PlatformError, match=r"version \.\./x"):
        world.resolve(replace(DEBIAN, version="../x"))


def test_a_failed_bootstrap_leaves_nothing_that_could_be_used(world: World, mirror: Mirror) -> None:
    mirror.broken = True
    with pytest.raises(PlatformError, match="mmdebstrap failed"):
        world.resolve(DEBIAN)
    (place,) = (world.home / "sources").iterdir()
    assert [path.name for path in place.iterdir()] == ["lock"]
    mirror.broken = False
    assert world.resolve(DEBIAN).exact_version == "0.20261122.1"


def test_what_a_killed_build_left_is_never_used_and_swept(world: World, mirror: Mirror) -> None:
    place = world.home / "sources" / "debian-12-bookworm-x64"
    qcow2(place / "new-dead" / "version" / "disk.qcow2")
    qcow2(place / "0.20261122.1" / "disk.qcow2")  # no meta.json: not whole
    assert world.resolve(DEBIAN).exact_version == "0.20261122.1"
    assert mirror.bootstrapped == 1
    assert not (place / "new-dead").exists()


def test_a_lost_disk_is_made_again(world: World, mirror: Mirror) -> None:
    Path(world.resolve(DEBIAN).location).unlink()
    assert Path(world.resolve(DEBIAN).location).is_file()
    assert mirror.bootstrapped == 2


@pytest.mark.parametrize("content", ["", "{", "[]", '{"version": 3}', '{"version": "0.20261122.1", "looked": "x"}'])
def test_a_damaged_memory_costs_a_question_only(world: World, mirror: Mirror, content: str) -> None:
    first = world.resolve(DEBIAN)
    Path(first.location).parents[1].joinpath("latest.json").write_text(content)
    assert world.resolve(DEBIAN) == first
    assert (mirror.asked, mirror.bootstrapped) == (2, 1)


def test_two_builds_at_once_bootstrap_once(world: World, mirror: Mirror) -> None:
    mirror.go_on.clear()
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(world.resolve, DEBIAN)
        assert mirror.started.wait(20)
        second = pool.submit(world.resolve, DEBIAN)
        mirror.go_on.set()
        assert first.result() == second.result()
    assert mirror.bootstrapped == 1


def test_a_build_that_waits_for_another_can_be_cancelled_and_times_out(world: World, mirror: Mirror) -> None:
    mirror.go_on.clear()
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(world.resolve, DEBIAN)
        assert mirror.started.wait(20)
        late = Deadline.after(world.clock, 0.1, "this")
        with pytest.raises(BuildTimeoutError):
            sources.resolve(DEBIAN, world.home, world.events.append, world.clock, late)
        cancelled = Deadline.after(world.clock, 60, "this")
        cancelled.stop.set()
        with pytest.raises(CancelledError):
            sources.resolve(DEBIAN, world.home, world.events.append, world.clock, cancelled)
        mirror.go_on.set()
        first.result()


def test_a_home_that_cannot_be_written_is_said(world: World, mirror: Mirror) -> None:
    world.home.parent.mkdir(exist_ok=True)
    world.home.write_text("a file")
    with pytest.raises(PlatformError, match="cannot be written"):
        world.resolve(DEBIAN)


# --- downloads ---


class Handler(http.server.SimpleHTTPRequestHandler):
    failures = 0
    requests: list[str]

    def do_GET(self) -> None:
        self.requests.append(self.path)
        if type(self).failures:
            type(self).failures -= 1
            self.send_error(503)
        else:
            super().do_GET()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setattr(fetch, "_pauses", lambda: iter([0.0] * fetch.ATTEMPTS))
    (tmp_path / "www").mkdir()
    handler = type("H", (Handler,), {"requests": []})
    http_server = http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), functools.partial(handler, directory=str(tmp_path / "www"))
    )
    http_server.daemon_threads = True
    thread = threading.Thread(target=http_server.serve_forever, args=(0.01,))
    thread.start()
    http_server.handler = handler  # type: ignore[attr-defined]
    yield f"http://127.0.0.1:{http_server.server_port}"
    http_server.shutdown()
    thread.join()
    http_server.server_close()


WEB = PlatformImage("Contoso", "web", "base", "latest")


def offer(world: World, server: str, file: str = "web.qcow2", **entry: str) -> Path:
    """Write a catalog with an entry for WEB; return where the server looks for the file."""
    world.home.mkdir(exist_ok=True)
    image = {"url": f"{server}/{file}", **entry}
    (world.home / "catalog.yaml").write_text(json.dumps({"images": {"contoso:web:base": image}}))
    return world.home.parent / "www" / file


@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
def test_a_download_is_checked_with_its_vendors_file(world: World, server: str, algorithm: str) -> None:
    file = qcow2(offer(world, server, checksums=f"{server}/SUMS"))
    digest = hashlib.new(algorithm, file.read_bytes()).hexdigest()
    file.with_name("SUMS").write_text(f"{'0' * len(digest)}  other.qcow2\n{digest} *web.qcow2\n")
    os.utime(file, (1_750_000_000, 1_750_000_000))
    exact = world.resolve(WEB)
    assert exact.exact_version == f"0.20250615.{int(digest[:6], 16)}"
    assert exact.identity == hashlib.sha256(file.read_bytes()).hexdigest()
    assert (exact.size, exact.generation) == (3 * MIB, Generation.V1)
    file.unlink()
    assert world.resolve(WEB) == exact


def test_a_raw_disk_becomes_a_qcow2_and_tells_its_generation(world: World, server: str) -> None:
    file = offer(world, server, "web.raw", sha256="0" * 64)
    gpt_with_esp(file)
    offer(world, server, "web.raw", sha256=hashlib.sha256(file.read_bytes()).hexdigest())
    exact = world.resolve(WEB)
    assert exact.location.endswith("disk.qcow2")
    assert exact.generation is Generation.V2


def test_a_download_with_a_wrong_checksum_is_never_used(world: World, server: str) -> None:
    qcow2(offer(world, server, sha256="0" * 64))
    with pytest.raises(FetchError, match=r"web\.qcow2 does not have its vendor's checksum"):
        world.resolve(WEB)
    assert list((world.home / "sources").glob("*/*/disk.qcow2")) == []


def test_a_stumbling_server_is_asked_again(world: World, server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    file = qcow2(offer(world, server, sha256="0" * 64))
    offer(world, server, sha256=hashlib.sha256(file.read_bytes()).hexdigest())
    monkeypatch.setattr(Handler, "failures", 3)
    assert world.resolve(WEB).size == 3 * MIB


def test_a_url_that_is_not_there_is_named_with_the_reason(world: World, server: str) -> None:
    offer(world, server, checksums=f"{server}/SUMS")
    with pytest.raises(FetchError) as caught:
        world.resolve(WEB)
    assert f"{server}/SUMS" in caught.value.message
    assert "404" in caught.value.message


def test_a_checksum_file_that_does_not_know_the_image_is_no_help(world: World, server: str) -> None:
    file = qcow2(offer(world, server, checksums=f"{server}/SUMS"))
    file.with_name("SUMS").write_text(f"{'0' * 64}  not-{file.name}\n")
    with pytest.raises(FetchError, match=r"SUMS has no checksum of web\.qcow2"):
        world.resolve(WEB)


SHORT, LONG = "a" * 64, "b" * 128


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"{SHORT}  x.img", SHORT),
        (f"{SHORT.upper()} *x.img\r\n", SHORT),
        (f"{SHORT}  ./x.img\n", SHORT),
        (f"SHA256 (x.img) = {SHORT}\nSHA512 (x.img) = {LONG}\n", LONG),
        (f"# x.img: 10 bytes\nSHA256 (x.img) = {SHORT}\n", SHORT),
        (f"{SHORT}  x.img.sig\n{SHORT}  xximg\n{SHORT}  y/x.img\n", ""),
        (f"{'a' * 32}  x.img\n", ""),
        ("", ""),
    ],
)
def test_both_forms_of_checksum_files_are_read(text: str, expected: str) -> None:
    assert downloads.find_checksum(text, "x.img") == expected


# --- disk files ---


def test_a_disk_file_is_known_by_its_content(world: World, tmp_path: Path) -> None:
    path = qcow2(tmp_path / "a.qcow2")
    exact = world.resolve(DiskFile(str(path)))
    assert exact.identity == hashlib.sha256(path.read_bytes()).hexdigest()
    assert (exact.location, exact.size, exact.generation) == (str(path), 3 * MIB, Generation.V1)
    copy = tmp_path / "b.qcow2"
    shutil.copy(path, copy)
    assert world.resolve(DiskFile(str(copy))).identity == exact.identity


def test_the_content_is_read_once_until_the_file_changes(world: World, tmp_path: Path) -> None:
    path = gpt_with_esp(tmp_path / "a.raw")
    first = world.resolve(DiskFile(str(path)))
    memory = world.home / "sources" / "files.json"
    memory.write_text(memory.read_text().replace(first.identity, "remembered"))
    assert world.resolve(DiskFile(str(path))).identity == "remembered"
    os.utime(path, (1, 1))
    assert world.resolve(DiskFile(str(path))).identity == first.identity
    assert len(json.loads(memory.read_text())) == 1


def test_raw_and_vhd_files_are_probed(world: World, tmp_path: Path) -> None:
    raw = gpt_with_esp(tmp_path / "a.raw")
    vhd.export(raw, "raw", 16 * MIB, tmp_path / "a.vhd", identity="k")
    for path in (raw, tmp_path / "a.vhd"):
        exact = world.resolve(DiskFile(str(path)))
        assert (exact.size, exact.generation) == (16 * MIB, Generation.V2)


def test_a_disk_file_that_is_not_there_or_not_whole_is_said(world: World, tmp_path: Path) -> None:
    with pytest.raises(PlatformError, match="No such file"):
        world.resolve(DiskFile(str(tmp_path / "none.qcow2")))
    with pytest.raises(PlatformError, match="Is a directory"):
        world.resolve(DiskFile(str(tmp_path)))
    base, overlay = qcow2(tmp_path / "base.qcow2"), tmp_path / "overlay.qcow2"
    create = ["qemu-img", "create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", base, overlay]
    subprocess.run(create, check=True)
    with pytest.raises(PlatformError, match=r"only what differs from .*base\.qcow2"):
        world.resolve(DiskFile(str(overlay)))


def test_a_local_file_of_the_catalog_must_have_its_checksum(world: World, tmp_path: Path) -> None:
    world.home.mkdir()
    path = qcow2(world.home / "web.qcow2")
    entry = {"path": "web.qcow2", "sha256": hashlib.sha256(path.read_bytes()).hexdigest(), "generation": "V2"}
    (world.home / "catalog.yaml").write_text(json.dumps({"images": {"contoso:web:base": entry}}))
    assert world.resolve(WEB).generation is Generation.V2
    path.write_bytes(path.read_bytes() + b"\0")
    with pytest.raises(PlatformError, match="is not the disk of the catalog"):
        world.resolve(WEB)


# --- the image store ---


def test_a_disk_that_qemu_has_marked_as_corrupt_is_refused(world: World, tmp_path: Path) -> None:
    disk = qcow2(tmp_path / "a.qcow2")
    with disk.open("r+b") as file:
        file.seek(79)
        file.write(b"\x02")  # the incompatible feature bit of QEMU's specification
    with pytest.raises(PlatformError, match=r"a\.qcow2 is marked as corrupt"):
        world.resolve(DiskFile(str(disk)))


def test_what_was_published_is_a_source(world: World, tmp_path: Path) -> None:
    base = world.resolve(DiskFile(str(qcow2(tmp_path / "a.qcow2"))))
    disk = Disk(base.location, "qcow2", base.size, OsType.LINUX, Generation.V2, "x64", "key", "TrustedLaunch")
    deadline = Deadline.after(world.clock, 100, "the test")
    scope = Scope(Ledger(tmp_path / "ledger.jsonl"), lambda owned, deadline: None, world.events.append, world.clock)
    targets = LocalTargets(world.home, tmp_path, tmp_path / "work", world.events.append, world.clock)
    image, definition = f"{COMPUTE}/images/base", f"{COMPUTE}/galleries/g/images/base"
    for target in (
        ManagedImageTarget("a", image, "westeurope"),
        SharedImageTarget("b", definition, LatestVersioning()),
        SharedImageTarget("c", definition, LatestVersioning(), exclude_from_latest=True),
    ):
        targets.publish(disk, target, base, scope, deadline)
    managed = world.resolve(ManagedImage(image.upper()))
    assert (managed.identity, managed.generation, managed.size) == ("key", Generation.V2, 3 * MIB)
    assert managed.security_type == "TrustedLaunch"
    latest = world.resolve(SharedImageVersion(f"{definition}/versions/latest"))
    assert (latest.exact_version, latest.identity) == ("0.0.1", "key")
    assert world.resolve(SharedImageVersion(f"{definition}/versions/0.0.2")).exact_version == "0.0.2"
    with pytest.raises(PlatformError, match="the local image store has no"):
        world.resolve(ManagedImage(f"{COMPUTE}/images/other"))


@pytest.mark.parametrize("content", [b"", b"\x1f\x8b compressed", b"# a README\n" * 100], ids=["empty", "gz", "text"])
def test_what_no_machine_starts_from_is_refused_before_one_waits_for_it(
    world: World, tmp_path: Path, content: bytes
) -> None:
    path = tmp_path / "image.img"
    path.write_bytes(content)
    with pytest.raises(PlatformError, match="it has no boot record") as caught:
        world.resolve(DiskFile(str(path)))
    assert "a whole disk is wanted" in caught.value.hint

from __future__ import annotations

import json
import os
import pickle
import shutil
import subprocess
import sys
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from small_plan import small_plan

from imagewright.core.clock import Deadline, SystemClock
from imagewright.core.disk import Disk
from imagewright.core.errors import CancelledError, DistributionError, PlatformError
from imagewright.core.events import Emit, Event, Progress
from imagewright.core.ownership import Owned
from imagewright.core.plan import (
    ExactSource,
    ExplicitVersion,
    Generation,
    LatestVersioning,
    ManagedImageTarget,
    OsType,
    PlatformImage,
    SharedImageTarget,
    SourceVersioning,
    Target,
    TargetRegion,
    VhdTarget,
)
from imagewright.core.ports import SOURCE_TAG
from imagewright.core.result import RunOutput
from imagewright.disks import vhd
from imagewright.engine.ledger import Ledger, pending
from imagewright.engine.scope import Scope
from imagewright.platforms.local.image_store import ImageStore
from imagewright.platforms.local.targets import LocalTargets, check_targets

pytestmark = pytest.mark.skipif(shutil.which("qemu-img") is None, reason="needs qemu-img")

MIB = 1 << 20
GROUP = "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/Images/providers/Microsoft.Compute"
MANAGED = f"{GROUP}/images/Web"
DEFINITION = f"{GROUP}/galleries/Gallery/images/Web"
SOURCE = ExactSource(
    PlatformImage("Debian", "debian-12", "12", "latest"),
    exact_version="0.20260711.42",
    identity="base",
    os_type=OsType.LINUX,
    generation=Generation.V1,
    architecture="x64",
    location="/base",
    size=5 * MIB,
)
CLOCK = SystemClock()


def delete(owned: Owned, deadline: Deadline) -> None:
    Path(owned.id).unlink(missing_ok=True)


class World:
    """A home, an output folder, a disk on a base, and the events that were emitted."""

    def __init__(self, folder: Path) -> None:
        self.home = folder / "home"
        self.output = folder / "out"
        self.work = folder / "work"
        self.work.mkdir()
        self.events: list[Event] = []
        self.content = os.urandom(3 * MIB)
        raw = folder / "base.raw"
        raw.write_bytes(self.content + bytes(2 * MIB))
        overlay = folder / "disk.qcow2"
        subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw", "-b", raw, overlay], check=True)
        self.disk = Disk(str(overlay), "qcow2", 5 * MIB, OsType.LINUX, Generation.V1, identity="key")
        self.deadline = Deadline.after(CLOCK, 100, "the test")
        self.ledger = Ledger(folder / "ledger.jsonl")
        self.scope = Scope(self.ledger, delete, self.events.append, CLOCK)
        self.watch: Emit = lambda _: None
        self.targets = LocalTargets(self.home, self.output, self.work, self.tell, CLOCK)

    def tell(self, event: Event) -> None:
        self.events.append(event)
        self.watch(event)

    @property
    def store(self) -> ImageStore:
        return ImageStore(self.home / "images")

    def publish(self, target: Target, **changes: object) -> RunOutput:
        disk = replace(self.disk, **changes)  # type: ignore[arg-type]
        return self.targets.publish(disk, target, SOURCE, self.scope, self.deadline)

    def content_of(self, disk: Path) -> bytes:
        raw = self.home / "compare.raw"
        subprocess.run(["qemu-img", "convert", "-O", "raw", disk, raw], check=True)
        return raw.read_bytes()[: len(self.content)]


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def managed(**changes: object) -> ManagedImageTarget:
    return replace(ManagedImageTarget("web", MANAGED, "westeurope"), **changes)  # type: ignore[arg-type]


def shared(**changes: object) -> SharedImageTarget:
    return replace(SharedImageTarget("web", DEFINITION, LatestVersioning()), **changes)  # type: ignore[arg-type]


# --- VHD ---


def test_a_vhd_lands_in_the_output_folder_under_its_run_output_name(world: World) -> None:
    output = world.publish(VhdTarget("web"))
    assert output == RunOutput("web", artifact_uri=str(world.output / "web.vhd"))
    assert vhd.check(world.output / "web.vhd") == []
    assert (world.output / "web.vhd").read_bytes()[: 3 * MIB] == world.content
    assert Progress("web.vhd", 5 * MIB, 5 * MIB) in world.events


def test_a_vhd_goes_where_its_uri_says(world: World, tmp_path: Path) -> None:
    first = world.publish(VhdTarget("web", uri=f"file://{tmp_path}/a%20b/one.vhd"))
    second = world.publish(VhdTarget("web", uri=f"{tmp_path}/two.vhd"))
    assert [Path(output.artifact_uri) for output in (first, second)] == [
        tmp_path / "a b/one.vhd",
        tmp_path / "two.vhd",
    ]
    assert (tmp_path / "a b/one.vhd").read_bytes() == (tmp_path / "two.vhd").read_bytes()


def test_a_blob_is_not_written_from_here_and_its_signature_not_shown(world: World) -> None:
    with pytest.raises(DistributionError) as caught:
        world.publish(VhdTarget("web", uri="https://account.blob.core.windows.net/vhds/web.vhd?sig=secret"))
    assert "account.blob.core.windows.net/vhds/web.vhd" in caught.value.message
    assert "secret" not in caught.value.message + caught.value.hint


def test_vhds_of_different_disks_are_told_apart_without_a_cache_too(world: World, tmp_path: Path) -> None:
    ids = set()
    for name in ("one", "two"):
        copy = shutil.copy(world.disk.location, tmp_path / name)
        world.publish(VhdTarget(name), identity="", location=str(copy))
        footer = vhd.parse_footer((world.output / f"{name}.vhd").read_bytes()[-512:])
        assert footer is not None
        ids.add(footer.unique_id)
    assert len(ids) == 2


def test_data_disks_become_vhds_beside_it_and_tags_a_file(world: World) -> None:
    world.publish(VhdTarget("web", tags=(("team", "web"),)), data_disks=(world.disk,))
    assert sorted(path.name for path in world.output.iterdir()) == ["web-data-1.vhd", "web.vhd", "web.vhd.json"]
    assert json.loads((world.output / "web.vhd.json").read_text()) == {"tags": {"team": "web"}}


# --- managed images ---


def test_a_managed_image_is_found_by_its_id_in_any_case(world: World) -> None:
    output = world.publish(managed(tags=(("team", "web"),)), data_disks=(world.disk,))
    assert output == RunOutput("web", artifact_id=MANAGED)
    found = world.store.managed(MANAGED.upper())
    assert found is not None
    assert world.content_of(found.disk) == world.content
    assert (found.size, found.version, len(found.data_disks)) == (5 * MIB, "", 1)
    facts = found.facts
    assert (facts.id, facts.location, facts.tags, facts.identity) == (
        MANAGED,
        "westeurope",
        (("team", "web"),),
        "key",
    )
    assert (facts.source, facts.source_version) == ("Debian:debian-12:12:latest", "0.20260711.42")


def test_a_managed_image_is_replaced_whole(world: World) -> None:
    world.publish(managed())
    world.publish(managed(), identity="other")
    found = world.store.managed(MANAGED)
    assert found is not None
    assert found.facts.identity == "other"
    assert len(list((world.home / "images").glob("*/versions/*"))) == 1


def test_an_image_tells_what_it_was_built_from(world: World) -> None:
    targets = (managed(), shared(), VhdTarget("web"))
    assert [world.targets.built_from(target) for target in targets] == ["", "", None]
    for source in ("old", "new"):
        for target in targets:
            world.publish(replace(target, tags=((SOURCE_TAG, source),)))
    assert [world.targets.built_from(target) for target in targets] == ["new", "new", None]


def test_images_with_similar_ids_are_kept_apart(world: World) -> None:
    other = MANAGED.replace("Images", "Others")
    world.publish(managed())
    assert world.store.managed(other) is None
    world.publish(managed(image_id=other), identity="other")
    assert [image and image.facts.identity for image in map(world.store.managed, (MANAGED, other))] == [
        "key",
        "other",
    ]


def test_an_image_that_a_build_lies_on_outlives_its_replacement(world: World) -> None:
    """The process that holds it is another one: it dies, and the next replacement deletes what it held."""
    world.publish(managed())
    hold = (
        "import sys\nfrom pathlib import Path\nfrom imagewright.platforms.local.image_store import ImageStore\n"
        "print(ImageStore(Path(sys.argv[1])).managed(sys.argv[2], hold=True).disk, flush=True)\nsys.stdin.read()\n"
    )
    command = [sys.executable, "-c", hold, str(world.home / "images"), MANAGED]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as build:
        assert build.stdout is not None
        disk = Path(build.stdout.readline().strip())
        world.publish(managed(), identity="second")
        assert world.content_of(disk) == world.content
    world.publish(managed(), identity="third")
    assert not disk.exists()


# --- gallery versions ---


def test_versions_count_up_and_latest_is_the_highest(world: World) -> None:
    regions = (TargetRegion("westeurope"), TargetRegion("northeurope", 2))
    outputs = [world.publish(shared(regions=regions)) for _ in range(2)]
    assert [output.version for output in outputs] == ["0.0.1", "0.0.2"]
    assert outputs[1].artifact_id == f"{DEFINITION}/versions/0.0.2"
    assert outputs[1].regions == ("westeurope", "northeurope")
    assert world.store.version(f"{DEFINITION}/versions/latest").version == "0.0.2"
    assert world.store.version(f"{DEFINITION.lower()}/Versions/0.0.1").version == "0.0.1"


def test_what_is_excluded_from_latest_is_not_latest(world: World) -> None:
    world.publish(shared(versioning=ExplicitVersion("1.0.0")))
    world.publish(shared(versioning=ExplicitVersion("2.0.0"), exclude_from_latest=True))
    assert world.store.version(f"{DEFINITION}/versions/latest").version == "1.0.0"
    assert world.store.version(f"{DEFINITION}/versions/2.0.0").version == "2.0.0"
    assert world.publish(shared()).version == "2.0.1"


def test_a_version_of_the_source_is_taken_over_once(world: World) -> None:
    assert world.publish(shared(versioning=SourceVersioning())).version == "0.20260711.42"
    with pytest.raises(DistributionError, match="exists already"):
        world.publish(shared(versioning=SourceVersioning()))


def test_an_existing_version_is_left_as_it_is(world: World) -> None:
    world.publish(shared(versioning=ExplicitVersion("1.0.0")))
    with pytest.raises(DistributionError, match="never overwritten"):
        world.publish(shared(versioning=ExplicitVersion("1.0.0")), identity="other")
    assert world.store.version(f"{DEFINITION}/versions/1.0.0").facts.identity == "key"


def test_a_definition_holds_one_kind_of_image(world: World) -> None:
    world.publish(shared())
    with pytest.raises(DistributionError, match="holds V1 images, this one is V2"):
        world.publish(shared(), generation=Generation.V2)


def test_a_version_that_is_not_there_is_answered_with_those_that_are(world: World) -> None:
    world.publish(shared(versioning=ExplicitVersion("1.0.0")))
    with pytest.raises(PlatformError) as caught:
        world.store.version(f"{DEFINITION}/versions/3.0.0")
    assert caught.value.hint == "it has 1.0.0"
    with pytest.raises(PlatformError, match="no version `latest`"):
        world.store.version(f"{GROUP}/galleries/Gallery/images/Other/versions/latest")


# --- faults and company ---


@pytest.mark.parametrize("target", [VhdTarget("web"), managed(), shared()])
def test_what_is_not_whole_yet_is_in_the_ledger(world: World, target: Target) -> None:
    """At the last progress every new file lies at or below what the ledger lists, as if killed there."""
    seen: list[tuple[set[Path], set[Path]]] = []

    def look(event: Event) -> None:
        if isinstance(event, Progress):
            files = {
                path for root in (world.home, world.output, world.work) for path in root.rglob("*") if path.is_file()
            }
            owned = {Path(one.id) for one in pending(world.ledger.path)}
            seen.append(({file for file in files if file.stat().st_size}, owned))

    world.watch = look
    with world.scope:
        world.publish(target)
    files, owned = seen[-1]
    assert files
    assert all(owned & {file, *file.parents} for file in files)
    assert pending(world.ledger.path) == ()
    assert list(world.work.iterdir()) == []


def test_a_failure_leaves_no_image_and_no_draft(world: World) -> None:
    Path(world.disk.location).write_bytes(b"QFI\xfb damaged")
    for target in (managed(), shared(), VhdTarget("web")):
        with pytest.raises(DistributionError):
            world.publish(target)
    assert world.store.managed(MANAGED) is None
    assert world.store.versions(DEFINITION) == ()
    assert list(world.home.glob("images/*/draft-*")) == []
    assert list(world.output.iterdir()) == []


def test_a_cancel_leaves_no_draft(world: World) -> None:
    world.deadline.stop.set()
    with pytest.raises(CancelledError):
        world.publish(managed())
    assert list(world.home.glob("images/*/draft-*")) == []


def test_the_draft_of_a_dead_build_is_swept_and_that_of_a_living_one_is_not(world: World) -> None:
    world.publish(managed())
    (folder,) = (world.home / "images").iterdir()
    (folder / "draft-dead").mkdir()
    with world.store.draft(MANAGED, world.scope) as living:
        assert not (folder / "draft-dead").exists()
        with world.store.draft(MANAGED, world.scope):
            assert living.is_dir()


def test_a_damaged_entry_is_no_image(world: World) -> None:
    world.publish(shared(versioning=ExplicitVersion("1.0.0")))
    world.publish(shared(versioning=ExplicitVersion("1.0.1")))
    image = world.store.version(f"{DEFINITION}/versions/1.0.1")
    image.disk.with_name("image.json").write_text('{"id": 3}')
    assert world.store.version(f"{DEFINITION}/versions/latest").version == "1.0.0"
    assert world.publish(shared()).version == "1.0.2"


@pytest.mark.parametrize("at_once", [1, 4])
def test_a_disk_is_made_flat_once_for_all_images_that_hold_it(world: World, at_once: int) -> None:
    wanted: tuple[Target, ...] = (managed(), managed(image_id=f"{MANAGED}-2"), shared(), shared())
    targets = [replace(target, run_output_name=f"web{number}") for number, target in enumerate(wanted)]
    with world.scope, ThreadPoolExecutor(at_once) as pool:
        list(pool.map(world.publish, targets))
    assert len({event.label for event in world.events if isinstance(event, Progress)}) == 1
    disks = list(world.home.glob("images/*/versions/*/disk.qcow2"))
    assert [world.content_of(disk) == world.content for disk in disks] == [True] * 4


def test_an_image_on_another_file_system_is_a_copy(world: World) -> None:
    """As is one where the file system knows no links."""
    with tempfile.TemporaryDirectory(dir="/dev/shm") as elsewhere:
        far = LocalTargets(world.home, world.output, Path(elsewhere), world.events.append, CLOCK)
        with world.scope:
            far.publish(world.disk, managed(), SOURCE, world.scope, world.deadline)
    found = world.store.managed(MANAGED)
    assert found is not None
    assert found.disk.stat().st_nlink == 1
    assert world.content_of(found.disk) == world.content


def test_who_waits_for_a_disk_can_be_cancelled(world: World) -> None:
    """And a disk that one of them could not make flat is made by the next one."""
    begun, told = threading.Event(), threading.Event()

    def hold(event: Event) -> None:
        begun.set()
        told.wait(60)
        raise CancelledError("the build was cancelled")

    world.watch = hold
    other = replace(world.deadline, stop=threading.Event())
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(world.publish, managed())
        assert begun.wait(60)
        second = pool.submit(world.targets.publish, world.disk, shared(), SOURCE, world.scope, other)
        other.stop.set()
        assert isinstance(second.exception(60), CancelledError)
        told.set()
        assert isinstance(first.exception(60), CancelledError)
    world.watch = lambda _: None
    assert world.publish(shared()).version == "0.0.1"


def test_many_targets_at_once_each_get_their_own_version(world: World) -> None:
    targets: list[Target] = [shared(run_output_name=f"web{number}") for number in range(6)]
    targets += [managed(run_output_name="managed"), managed(run_output_name="again"), VhdTarget("vhd")]
    with ThreadPoolExecutor(len(targets)) as pool:
        outputs = list(pool.map(world.publish, targets))
    assert sorted(output.version for output in outputs[:6]) == [f"0.0.{number}" for number in range(1, 7)]
    found = world.store.managed(MANAGED)
    assert found is not None
    assert world.content_of(found.disk) == world.content


IN_A_PROCESS = """
import pickle, sys
from pathlib import Path
from imagewright.core.clock import Deadline, SystemClock
from imagewright.platforms.local.targets import LocalTargets

disk, target, source, folder = pickle.loads(Path(sys.argv[1]).read_bytes())
deadline = Deadline.after(SystemClock(), 100, "the test")


class Owner:
    def own(self, owned):
        return owned

    def release(self, owned):
        pass


places = (Path(folder, each) for each in ("home", "out", "work"))
targets = LocalTargets(*places, lambda _: None, SystemClock())
print(targets.publish(disk, target, source, Owner(), deadline).version)
"""


def test_many_processes_at_once_each_get_their_own_version(world: World, tmp_path: Path) -> None:
    work = tmp_path / "work.pickle"
    work.write_bytes(pickle.dumps((world.disk, shared(), SOURCE, str(tmp_path))))
    argv = [sys.executable, "-c", IN_A_PROCESS, str(work)]
    running = [subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    versions = sorted(process.communicate()[0].strip() for process in running)
    assert versions == ["0.0.1", "0.0.2", "0.0.3", "0.0.4"]


def test_a_vhd_that_cannot_be_written_is_told_before_the_build(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    plan = small_plan()

    def found(target: Target, output: Path) -> list[str]:
        return [one.message for one in check_targets(replace(plan, targets=(target,)), output)]

    assert found(VhdTarget("web"), tmp_path / "file") == [f"web: {tmp_path}/file cannot be written"]
    assert found(VhdTarget("web"), tmp_path / "file/below") == [f"web: {tmp_path}/file/below cannot be written"]
    assert found(VhdTarget("web", uri=f"{tmp_path}/file/web.vhd"), tmp_path) == [
        f"web: {tmp_path}/file cannot be written"
    ]
    assert (
        "does not write to https://a.blob" in found(VhdTarget("web", uri="https://a.blob/v.vhd?sig=x"), tmp_path)[0]
    )
    assert found(VhdTarget("web"), tmp_path / "fresh/folder") == []
    assert found(ManagedImageTarget("web", MANAGED, "westeurope"), tmp_path / "file") == []


def test_two_targets_in_one_file_are_told_before_the_build(tmp_path: Path) -> None:
    plan = small_plan()
    plan = replace(plan, machine=replace(plan.machine, data_disk_sizes_gb=(1,)))

    def found(*targets: Target) -> list[str]:
        return [one.message for one in check_targets(replace(plan, targets=targets), tmp_path)]

    assert found(VhdTarget("web"), VhdTarget("web-data-1")) == [
        "web-data-1 and web would be written to the same file"
    ]
    uri = str(tmp_path / "same.vhd")
    assert found(VhdTarget("a", uri=uri), VhdTarget("b", uri=uri)) == ["b and a would be written to the same file"]
    assert found(VhdTarget("web"), VhdTarget("web-data-2")) == []
    (tmp_path / "web.vhd").mkdir()
    assert found(VhdTarget("web")) == [f"web: {tmp_path}/web.vhd cannot be written"]

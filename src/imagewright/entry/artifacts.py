"""Build artifacts into the image: the steps that bring them before all else, and the one that removes them.

The archive of unchanged files has the same digest, so its steps are a cache hit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from imagewright.core.actions import Action, Inline, InstallUpdates, Reboot, Remote, Run, Shell, Upload
from imagewright.core.events import Emit, Level, Note
from imagewright.core.plan import OsType, Plan, PlatformImage, Step
from imagewright.entry.archive import Archive, collect, tar, zipped
from imagewright.render.quantities import counted, size
from imagewright.sources import platform_image

SHOWN = 10


def bring(
    plan: Plan,
    given: str,
    *,
    directory: Path,
    tell: Emit,
    exclude: Sequence[str] = (),
    keep: bool = False,
    os_type: OsType | None = None,
    to_first_dot: bool = False,
) -> Plan:
    """`plan` with the artifacts that `given` names (a folder, file or pattern), packed into `directory`.

    The folder in the guest is called like that which is packed; `to_first_dot`, only as far as there.
    """
    os_type = os_type or os_type_of(plan)
    folder, entries = collect(given, exclude)
    if to_first_dot:
        folder = folder.partition(".")[0] or folder
    archive = (zipped if os_type is OsType.WINDOWS else tar)(folder, entries, directory)
    place = destination(folder, os_type)
    packed = size(archive.path.stat().st_size)
    tell(
        Note(
            f"build artifacts: {counted(archive.count, 'file')}, {size(archive.size)} ({packed} packed) "
            f"from {given} to {place}" + ("" if keep else ", removed after the last customizer")
        )
    )
    if archive.left_out:
        what = ", ".join(archive.left_out[:SHOWN])
        tell(Note(f"build artifacts: links that lead nowhere are left out: {what}", Level.WARNING))
    return with_artifacts(plan, archive, os_type, keep=keep)


def destination(folder: str, os_type: OsType) -> str:
    """Where the artifacts are in the guest while the customizers run."""
    return f"c:\\buildartifacts\\{folder}" if os_type is OsType.WINDOWS else f"/tmp/{folder}"


def with_artifacts(plan: Plan, archive: Archive, os_type: OsType, *, keep: bool = False) -> Plan:
    """`plan` with the steps that bring the artifacts in front, and the one that removes them at the end."""
    place = destination(archive.folder, os_type)
    front, remove = (_windows if os_type is OsType.WINDOWS else _linux)(plan, archive, place)
    steps = [*front, *plan.steps, *(() if keep else (remove,))]
    return replace(plan, steps=tuple(replace(step, number=number) for number, step in enumerate(steps, 1)))


def with_prelude(plan: Plan, script: str, os_type: OsType) -> Plan:
    """`plan` with `script` in front of everything."""
    windows = os_type is OsType.WINDOWS
    text = script.replace("\r\n", "\n").strip("\n") + "\n"
    first = _run(plan, "inline-script", Shell.POWERSHELL, text) if windows else _sh(plan, "inline-script", text)
    return replace(
        plan, steps=tuple(replace(step, number=number) for number, step in enumerate((first, *plan.steps), 1))
    )


def os_type_of(plan: Plan) -> OsType:
    """The operating system, as far as the plan gives it away; Linux if nothing does."""
    for action in (action for step in (*plan.steps, *plan.validation.steps) for action in step.actions):
        if (found := _speaks_of(action)) is not None:
            return found
    if isinstance(plan.source, PlatformImage):
        image = plan.source
        model = platform_image.PlatformImage(
            type="PlatformImage", publisher=image.publisher, offer=image.offer, sku=image.sku, version=image.version
        )
        return model.os_type() or OsType.LINUX
    return OsType.LINUX


def _speaks_of(action: Action) -> OsType | None:
    match action:
        case Run():
            return OsType.WINDOWS if action.shell is Shell.POWERSHELL else OsType.LINUX
        case InstallUpdates():
            return OsType.WINDOWS
        case Upload():
            return OsType.LINUX if action.destination.startswith("/") else OsType.WINDOWS
        case Reboot():
            return None


# --- steps ---


def _linux(plan: Plan, archive: Archive, place: str) -> tuple[list[Step], Step]:
    packed = f"{place}.tar.gz"
    unpack = f"mkdir -p {place}\ntar -xpzf {packed} -C {place}\nrm -f {packed}\n"
    remove = f"rm -rf {place} 2>/dev/null || sudo rm -rf {place}\n"
    return [
        _upload(plan, archive, packed),
        _sh(plan, "unpack-build-artifacts", unpack),
    ], _sh(plan, "remove-build-artifacts", remove)


def _windows(plan: Plan, archive: Archive, place: str) -> tuple[list[Step], Step]:
    packed = f"{place}.zip"
    stop = "$ErrorActionPreference = 'Stop'\n"
    upload = _upload(plan, archive, packed)
    prepare = Run(
        Inline(f"{stop}New-Item -ItemType Directory -Force -Path c:\\buildartifacts | Out-Null\n"), Shell.POWERSHELL
    )
    unpack = f"{stop}Expand-Archive -Force -Path {packed} -DestinationPath {place}\nRemove-Item -Force {packed}\n"
    remove = f"{stop}if (Test-Path {place}) {{ Remove-Item -Recurse -Force -Path {place} }}\n"
    remove += "$root = 'c:\\buildartifacts'\n"
    remove += "if ((Test-Path $root) -and -not (Get-ChildItem -Force $root)) { Remove-Item -Force $root }\n"
    return [
        replace(upload, actions=(prepare, *upload.actions)),
        _run(plan, "unpack-build-artifacts", Shell.POWERSHELL, unpack),
    ], _run(plan, "remove-build-artifacts", Shell.POWERSHELL, remove)


def _upload(plan: Plan, archive: Archive, target: str) -> Step:
    content = Remote(str(archive.path.absolute()), archive.sha256)
    return Step(0, "upload-build-artifacts", "File", (Upload(content, target),), plan.origin)


def _sh(plan: Plan, name: str, script: str) -> Step:
    return _run(plan, name, Shell.SH, script if script.startswith("#!") else f"#!/bin/sh -e\n{script}")


def _run(plan: Plan, name: str, shell: Shell, script: str) -> Step:
    kind = "PowerShell" if shell is Shell.POWERSHELL else "Shell"
    return Step(0, name, kind, (Run(Inline(script), shell),), plan.origin)

"""How an image is made general: AIB's deprovision contract, then the traces of the build itself.

AIB puts a default script in place *before* the first customizer and runs whatever stands there at the end, so that a
template may edit or replace it. What our own build left behind (its user, key, logs, the guest's identity) is removed
afterwards, whatever the user's script does. The scripts are files in `linux/`.
"""

from __future__ import annotations

from functools import cache
from importlib import resources

from imagewright.core.actions import Action, Inline, Run, RunAs, Shell, Upload
from imagewright.core.errors import PlatformError
from imagewright.core.events import Emit, Event, Level, Note, Output
from imagewright.core.plan import OsType

LINUX_PATH = "/tmp/DeprovisioningScript.sh"
INSTALL_AGENT = (
    "install it with a Shell customizer (waagent on Debian, walinuxagent on Ubuntu, WALinuxAgent elsewhere), "
    f"or put a deprovisioning script of your own at {LINUX_PATH}"
)


def prepare(os_type: OsType) -> tuple[Action, ...]:
    """Done before the first customizer: the deprovisioning script is put where a customizer may find it.

    What this makes the guest print is told by `as_warnings`.
    """
    _linux_only(os_type)
    return (
        Upload(Inline(_script("deprovision_default")), LINUX_PATH, mode=0o755),
        Run(Inline(_script("look_for_agent")), Shell.SH),
    )


def as_warnings(emit: Emit) -> Emit:
    """For the events of `prepare`: its output is what is wrong with the source, long before it matters."""

    def tell(event: Event) -> None:
        emit(Note(event.line, Level.WARNING, INSTALL_AGENT) if isinstance(event, Output) else event)

    return tell


def deprovision(os_type: OsType, *, trim: bool) -> tuple[Action, ...]:
    """The very last thing: run whatever stands in the deprovisioning script's place, then remove this build's traces.

    One run, since after it nobody can log in any more.
    """
    _linux_only(os_type)
    script = _script("finish") + (_script("trim") if trim else "") + _script("last")
    return (Run(Inline(script), Shell.SH, RunAs.ELEVATED, powers_off=True),)


def optimize_boot(os_type: OsType) -> tuple[Action, ...]:
    _linux_only(os_type)
    return (Run(Inline(_script("optimize_boot")), Shell.SH, RunAs.ELEVATED),)


@cache
def _script(name: str) -> str:
    return resources.files("imagewright.engine").joinpath("linux", f"{name}.sh").read_text("utf-8")


def _linux_only(os_type: OsType) -> None:
    if os_type is not OsType.LINUX:
        raise PlatformError(
            "Windows images cannot be built yet", hint="see the table of what is supported in the README"
        )

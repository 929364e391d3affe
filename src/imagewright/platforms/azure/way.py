"""The way to a guest: SSH where it can be had, otherwise the VM agent."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from imagewright.core.choices import Reach
from imagewright.core.clock import Deadline
from imagewright.core.errors import PlatformError
from imagewright.core.events import Emit, Level, Note
from imagewright.core.plan import Plan
from imagewright.core.ports import Guest
from imagewright.platforms.azure import network
from imagewright.platforms.azure.agent_guest import AgentGuest
from imagewright.platforms.azure.arm import Arm
from imagewright.platforms.azure.choices import AzureChoices
from imagewright.platforms.azure.login import Keys
from imagewright.platforms.azure.machine import Pulse
from imagewright.platforms.azure.network import Interface
from imagewright.platforms.azure.place import Place
from imagewright.platforms.azure.storage import Container

if TYPE_CHECKING:
    from imagewright.communicators.ssh import SshGuest

SSH_SECONDS = 180.0
"""How long a machine that Azure says is running may stay silent before it counts as out of reach."""

AUTO_SECONDS = 45.0
"""The same where there is another way: what Azure says is there has been provisioned, its SSH server too."""


class Way:
    """Of one build; what was found out about its machines' network holds for the next one."""

    def __init__(self, arm: Arm, choices: AzureChoices, emit: Emit) -> None:
        self._arm = arm
        self._choices = choices
        self._emit = emit
        self._address: str | None = None
        self._silent = False

    def reach(self, plan: Plan, deadline: Deadline) -> Reach:
        """How the guest will be reached; AUTO means SSH first, then the agent."""
        if self._choices.reach is not Reach.AUTO:
            return self._choices.reach
        if self._silent or (self._choices.private and not plan.machine.subnet_id):
            return Reach.AGENT
        if plan.machine.subnet_id:
            return Reach.AUTO
        if not self._own_address(deadline):
            self._emit(
                Note(
                    "this agent's public address is not known: the guest is driven through the VM agent",
                    hint="give it with --agent-address to use SSH, which is faster",
                )
            )
            return Reach.AGENT
        return Reach.AUTO

    def find_address(self, plan: Plan, deadline: Deadline) -> None:
        """Find out early, where it will be wanted, at which address Azure sees this agent."""
        if self._choices.reach is not Reach.AGENT and not self._choices.private and not plan.machine.subnet_id:
            self._own_address(deadline)

    def _own_address(self, deadline: Deadline) -> str:
        """Asked for once: it does not change during a build."""
        if self._address is None:
            self._address = network.agent_address(self._choices.agent_address, deadline)
        return self._address

    def interface(self, plan: Plan, place: Place, label: str, reach: Reach, deadline: Deadline) -> Interface:
        """Makes the machine's network interface, and the network around it where the plan names none."""
        if plan.machine.subnet_id:
            return network.in_subnet(self._arm, place, label, plan.machine.subnet_id, deadline)
        admitted = ""
        if reach is not Reach.AGENT and not self._choices.private:
            admitted = self._own_address(deadline)
            if not admitted:
                raise PlatformError(
                    "this agent's public address could not be found out", hint="give it with --agent-address"
                )
        return network.own_network(self._arm, place, label, admitted, deadline)

    def guest(
        self, place: Place, name: str, keys: Keys, host: str, reach: Reach, pulse: Pulse,
        streams: Callable[[], Container], deadline: Deadline,
    ) -> Guest:  # fmt: skip
        """The guest, when it answers. `streams`: where the VM agent writes what the guest says."""
        if reach is not Reach.AGENT:
            from imagewright.communicators.ssh import SshGuest  # takes its time, which there is while Azure boots

            guest = SshGuest(keys.login(host), pulse.check, self._emit)
            try:
                _connect(guest, SSH_SECONDS if reach is Reach.SSH else AUTO_SECONDS, pulse, deadline)
                return guest
            except _SilentError as error:
                if reach is Reach.SSH or deadline.passed():
                    raise PlatformError(error.message, hint=error.hint) from error
                self._silent = True
                self._emit(Note(f"{error.message}: the guest is driven through the VM agent", Level.WARNING))
        pulse.created()
        return AgentGuest(self._arm, place, name, streams(), pulse)


def _connect(guest: SshGuest, seconds: float, pulse: Pulse, deadline: Deadline) -> None:
    """The guest may answer before Azure says that it is there; when Azure has said so, it has to answer soon."""
    while pulse.creation is not None:
        try:
            guest.connect(deadline.sooner(5.0, "the first connection", error=_SilentError))
            return
        except _SilentError:
            pulse.check()
    guest.connect(
        deadline.sooner(
            seconds,
            "the guest's SSH server",
            "does a firewall stand between? --reach agent needs no open port",
            _SilentError,
        )
    )


class _SilentError(PlatformError):
    """Nobody answers at the guest's port."""

"""`WindowsUpdate`: install updates, with reboots, until none that matches is left."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from imagewright.core.actions import Action, InstallUpdates
from imagewright.core.shape import Known, Shape

# What Microsoft's documentation recommends and the plugin underneath takes by itself; the REST specification says
# "search all", which no build was ever seen to do.
RECOMMENDED = "BrowseOnly=0 and IsInstalled=0"


class WindowsUpdate(Shape):
    free_text: ClassVar = frozenset({"name", "searchCriteria", "filters"})

    type: Literal["WindowsUpdate"]
    name: str = ""
    search_criteria: str = ""
    filters: tuple[Known[str], ...] = ()
    update_limit: Annotated[int, Field(ge=0)] = 0

    def actions(self) -> tuple[Action, ...]:
        return (InstallUpdates(self.search_criteria or RECOMMENDED, self.filters, self.update_limit or 1000),)

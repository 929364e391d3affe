"""The names of Azure's regions, as far as a spelling can be judged without asking Azure."""

from __future__ import annotations

import difflib
import re

from imagewright.core.errors import OptionsError

_PLACES = (
    "asia|australia|austria|belgium|brazil|canada|chile|china|denmark|europe|finland|france|germany|greece|hungary|india"
    "|indonesia|ireland|israel|italy|japan|jioindia|kenya|korea|malaysia|mexico|newzealand|norway|philippines|poland"
    "|portugal|qatar|romania|saudiarabia|singapore|southafrica|spain|sweden|switzerland|taiwan|thailand|turkey|uae|uk|us"
    "|usdod|usgov|usnat|ussec|vietnam"
)
_SIDES = "(?:north|south)?(?:central|east|west)|north|south"
_STATES = "arizona|iowa|texas|virginia"
_REGION = re.compile(
    rf"(?:{_SIDES})(?:{_PLACES})[1-9]?(?:euap|stage|stg)?"
    rf"|(?:{_SIDES})?(?:{_PLACES})(?:{_SIDES}|{_STATES})[1-9]?(?:euap|stage|stg)?"
    rf"|westcentralus|(?:{_PLACES})westcentral"
)
_COMMON = (
    "eastus eastus2 centralus northcentralus southcentralus westcentralus westus westus2 westus3 canadacentral "
    "canadaeast brazilsouth northeurope westeurope uksouth ukwest francecentral germanywestcentral swedencentral "
    "norwayeast switzerlandnorth polandcentral italynorth spaincentral eastasia southeastasia japaneast japanwest "
    "koreacentral centralindia southindia australiaeast australiasoutheast southafricanorth uaenorth qatarcentral "
    "israelcentral newzealandnorth mexicocentral austriaeast"
)


def region(text: str, where: str) -> str:
    """`West Europe` as ARM writes it: `westeurope`. Raises OptionsError for what cannot be a region.

    New regions of known places pass: whether they are there is Azure's to say. `where` is what the user wrote it
    behind.
    """
    name = re.sub(r"[\s_-]", "", text).lower()
    if _REGION.fullmatch(name):
        return name
    close = difflib.get_close_matches(name, _COMMON.split(), n=1, cutoff=0.7)
    hint = f"did you mean `{close[0]}`?" if close else "`az account list-locations --output table` lists them"
    raise OptionsError(f"{where}: there is no Azure region `{text}`", hint=hint)


def regions(text: str, where: str) -> tuple[str, ...]:
    """Several regions, separated by commas or line ends."""
    return tuple(region(part.strip(), where) for part in re.split(r"[,\n]", text) if part.strip())


def regions_with_replicas(text: str, where: str) -> dict[str, int]:
    """`westeurope=2, West US`: regions, separated by commas or line ends, each with its number of replicas."""
    found: dict[str, int] = {}
    for part in filter(None, map(str.strip, re.split(r"[,\n]", text))):
        name, _, count = part.partition("=")
        place = region(name.strip(), where)
        if count.strip() and not (count.strip().isascii() and count.strip().isdigit() and int(count) > 0):
            raise OptionsError(
                f"{where}: `{count.strip()}` is no number of replicas", hint="for example westeurope=2"
            )
        if place in found:
            raise OptionsError(f"{where}: {place} is there twice", hint="name each region once")
        found[place] = int(count) if count.strip() else 1
    return found

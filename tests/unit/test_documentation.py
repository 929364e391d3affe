"""What the documentation says that can be checked: its links, and facts that stand in the code."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from imagewright.core import errors

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
LINK = re.compile(r"\]\((?!https?:|mailto:|#)([^)#\s]+)(?:#([^)\s]+))?\)")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_within_the_repository_leads_somewhere(page: Path) -> None:
    for target, anchor in LINK.findall(page.read_text("utf-8")):
        there = (page.parent / target).resolve()
        assert there.exists(), f"{target} is not there"
        if anchor:
            headings = re.findall(r"^#+ (.+)$", there.read_text("utf-8"), re.MULTILINE)
            assert anchor in {re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-") for text in headings}


def test_the_exit_codes_are_the_ones_in_the_code() -> None:
    page = (ROOT / "docs/how-to/look-into-a-failed-build.md").read_text("utf-8")
    said = {int(code) for code in re.findall(r"^\| (\d+) \|", page, re.MULTILINE)}
    raised = {
        one.exit_code
        for one in vars(errors).values()
        if isinstance(one, type) and issubclass(one, errors.ImagewrightError)
    }
    assert said == raised | {0}


def test_every_decision_is_listed() -> None:
    folder = ROOT / "docs/adr"
    listed = (folder / "README.md").read_text("utf-8")
    assert [page.name for page in sorted(folder.glob("0*.md")) if f"({page.name})" not in listed] == []


def test_what_the_pages_name_of_the_source_is_there() -> None:
    """Paths in backticks, as the architecture page and the decisions have them."""
    source = ROOT / "src/imagewright"
    for page in [ROOT / "docs/architecture.md", *(ROOT / "docs/adr").glob("*.md")]:
        for path in re.findall(r"`((?:[a-z_]+/)+[a-z_]+\.(?:py|sh))`", page.read_text("utf-8")):
            assert (source / path).exists() or (ROOT / path).exists(), f"{page.name}: {path}"

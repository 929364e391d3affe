from __future__ import annotations

import re

import pytest

from imagewright.core.errors import OptionsError
from imagewright.core.report import FileReport
from imagewright.render.matrix import Leg, azure, github, legs


def test_a_leg_for_each_image_template() -> None:
    found = legs([FileReport("a.json", ("web", "api-1"), ()), FileReport("b/web.json", ("web", "1st"), ())])
    assert found == (
        Leg("web", "a.json", "web"),
        Leg("api_1", "a.json", "api-1"),
        Leg("web_2", "b/web.json", "web"),
        Leg("image_1st", "b/web.json", "1st"),
    )


def test_a_name_is_one_that_azure_pipelines_takes() -> None:
    found = legs([FileReport("a.json", ("x" * 200, "x" * 201, "_", "-1", "Ünïcode", "é"), ())])
    names = [leg.name for leg in found]
    assert all(re.fullmatch(r"[A-Za-z][A-Za-z0-9_]{0,99}", name) for name in names)
    assert len({name.lower() for name in names}) == len(names)


@pytest.mark.parametrize(
    ("names", "message"),
    [(("web", ""), "the name of an image template is not known"), (("a", "web", "Web"), "called `web`")],
)
def test_an_image_that_no_name_chooses_is_an_error(names: tuple[str, ...], message: str) -> None:
    with pytest.raises(OptionsError, match=message):
        legs([FileReport("a.json", names, ())])


def test_the_shapes_of_the_two_runners() -> None:
    found = (Leg("web", "a.json", "web"),)
    assert github(found) == {"include": [{"name": "web", "template": "a.json", "image": "web"}]}
    assert azure(found) == {"web": {"template": "a.json", "image": "web"}}

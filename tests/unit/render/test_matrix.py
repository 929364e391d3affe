from __future__ import annotations

from imagewright.core.report import FileReport
from imagewright.render.matrix import Leg, azure, github, legs


def test_a_leg_for_each_image_template() -> None:
    found = legs([FileReport("a.json", ("web", "api-1"), ()), FileReport("b/web.json", ("web", "1st"), ())])
    assert found == (
        Leg("web", "a.json", "web"),
        Leg("api_1", "a.json", "api-1"),
        Leg("web_2", "b/web.json", "web"),
        Leg("_1st", "b/web.json", "1st"),
    )


def test_the_shapes_of_the_two_runners() -> None:
    found = (Leg("web", "a.json", "web"),)
    assert github(found) == {"include": [{"name": "web", "template": "a.json", "image": "web"}]}
    assert azure(found) == {"web": {"template": "a.json", "image": "web"}}

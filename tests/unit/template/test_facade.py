"""From a file to diagnostics and plans."""

from __future__ import annotations

import pytest

from imagewright.core.actions import Inline, Remote, Run, Shell, Upload
from imagewright.core.errors import TemplateError
from imagewright.core.plan import PlatformImage, VhdTarget
from imagewright.template import plans, validate_file

BODY = b"""{
  // as `az image builder create --image-template` takes it
  "properties": {
    "source": {"type": "PlatformImage", "publisher": "Debian",
               "offer": "debian-12", "sku": "12", "version": "latest"},
    "customize": [
      {"type": "Shell", "name": "hello", "inline": ["cd /tmp", "echo <hi>"]},
      {"type": "File", "sourceUri": "files/index.html", "destination": "/tmp/index.html"},
    ],
    "distribute": [{"type": "VHD", "runOutputName": "vhd"}]
  }
}
"""


def test_a_bare_body_becomes_a_plan() -> None:
    (plan,), warnings = plans("/srv/web server.json", text=BODY)

    assert plan.name == "web-server"
    assert plan.source == PlatformImage("Debian", "debian-12", "12", "latest")
    assert plan.steps[0].actions == (Run(Inline("#!/bin/sh -e\ncd /tmp\necho <hi>\n"), Shell.SH),)
    assert plan.steps[1].actions == (Upload(Remote("/srv/files/index.html"), "/tmp/index.html"),)
    assert plan.steps[1].name == "File 2"
    assert plan.steps[1].origin.line == 8
    assert plan.targets == (VhdTarget("vhd"),)
    assert {found.code for found in warnings} == {"no-identity", "local-path"}


def test_a_placeholder_is_a_warning_to_validate_and_an_error_to_plan() -> None:
    text = BODY.replace(b'"runOutputName": "vhd"', b'"runOutputName": "<runOutputName>"')

    assert validate_file("a.json", text=text).valid
    with pytest.raises(TemplateError, match="<runOutputName> was never filled in") as caught:
        plans("a.json", text=text)
    assert caught.value.origin is not None
    assert (caught.value.origin.line, caught.value.origin.pointer) == (10, "/properties/distribute/0/runOutputName")


def test_the_placeholders_of_one_text_are_told_at_once() -> None:
    text = BODY.replace(b'"runOutputName": "vhd"', b'"runOutputName": "<a>-<b>-<a>-<c>"')

    (found,) = (one for one in validate_file("a.json", text=text).diagnostics if one.code == "placeholder")
    assert (found.message, found.hint) == ("<a>, <b> and <c> were never filled in", "put values in their places")

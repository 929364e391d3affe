"""`File`: one file into the image, with the rights of the build user."""

from __future__ import annotations

import re
from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator

from imagewright.core.actions import Action, Remote, Upload
from imagewright.core.shape import NonEmpty, Shape, problem
from imagewright.customizers.script import Sha256


def _file_path(path: str) -> str:
    if not re.match(r"/|[A-Za-z]:[\\/]|\$env:|%", path, re.IGNORECASE):
        raise problem(
            "relative-destination",
            f"'{path}' is not an absolute path",
            hint="for example /tmp/app.conf, or C:\\app\\app.conf",
        )
    if path.endswith(("/", "\\")):
        raise problem(
            "destination-is-directory", f"'{path}' is a directory", hint="add the name that the file shall have"
        )
    return path


class File(Shape):
    free_text: ClassVar = frozenset({"name"})

    type: Literal["File"]
    name: str = ""
    source_uri: NonEmpty
    destination: Annotated[str, AfterValidator(_file_path)]
    sha256_checksum: Sha256 = ""

    def actions(self) -> tuple[Action, ...]:
        return (Upload(Remote(self.source_uri, self.sha256_checksum), self.destination),)

"""Fresh GUIDs, etags and times as Azure writes them."""

from __future__ import annotations

import datetime as dt
import os
import uuid


def guid() -> str:
    return str(uuid.UUID(bytes=os.urandom(16), version=4))


def etag() -> str:
    return f'W/"{guid()}"'


def now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


def stamp(moment: dt.datetime | None = None) -> str:
    """`2023-01-11T06:35:37.5691440+00:00`: seven digits, offset written out."""
    moment = moment or now()
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%f") + "0+00:00"

"""Addresses without what they may be signed with, and with whom they say is asking."""

from __future__ import annotations

import re
import urllib.parse

_SIGNED = re.compile(r"\?[^\s'\"<>]*\bsig=[^\s'\"<>]*")
_USER = re.compile(r"(?<=://)[^/\s'\"<>@]+@")


def hidden(text: str) -> str:
    """A text in which addresses may stand, without who they say is asking and what they are signed with."""
    return _USER.sub("…@", _SIGNED.sub("?…", text))


def bare(uri: str) -> str:
    """The URI without its user and its query: it says where, and lets nobody in."""
    try:
        parts = urllib.parse.urlsplit(uri)
        _ = parts.port
    except ValueError:  # a password with a slash in it, for example
        return re.sub(r"(?<=://).*@", "", uri).partition("?")[0]
    return urllib.parse.urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def shown(uri: str) -> str:
    """The URI as a message may show it: a query may hold a signature."""
    return bare(uri) + ("?…" if "?" in uri else "")


def without_user(uri: str) -> tuple[str, str]:
    """The URI that a request names, and `user:password` of `uri`, decoded, or `""`. Raises ValueError."""
    parts = urllib.parse.urlsplit(uri)
    login, _, host = parts.netloc.rpartition("@")
    user, _, password = map(urllib.parse.unquote, login.partition(":"))
    return urllib.parse.urlunsplit(parts._replace(netloc=host)), f"{user}:{password}" if login else ""

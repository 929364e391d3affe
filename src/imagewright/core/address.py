"""Addresses without what they may be signed with."""

from __future__ import annotations

import urllib.parse


def bare(uri: str) -> str:
    """The URI without its user and its query: it says where, and lets nobody in."""
    try:
        parts = urllib.parse.urlsplit(uri)
    except ValueError:
        return uri.partition("?")[0]
    return urllib.parse.urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def shown(uri: str) -> str:
    """The URI as a message may show it: a query may hold a signature."""
    return bare(uri) + ("?…" if "?" in uri else "")

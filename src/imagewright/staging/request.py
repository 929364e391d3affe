"""An HTTP request, with the login that its address may hold, to wherever it is sent on."""

from __future__ import annotations

import base64
import http.client
import urllib.parse
import urllib.request
from typing import Any

from imagewright.core.address import without_user


def ask(uri: str, seconds: float, method: str = "GET") -> http.client.HTTPResponse:
    """The answer to a request for `uri`. Another host than its own does not see the user, wherever it is sent on to.

    Raises what urllib raises, and ValueError where `uri` is no address.
    """
    address, user = without_user(uri)
    headers = {"User-Agent": "imagewright", "Accept-Encoding": "identity"}
    request = urllib.request.Request(address, headers=headers, method=method)
    if user:
        request.add_unredirected_header("Authorization", f"Basic {base64.b64encode(user.encode()).decode()}")
    answer: http.client.HTTPResponse = urllib.request.build_opener(_SameUser).open(request, timeout=seconds)
    return answer


class _SameUser(urllib.request.HTTPRedirectHandler):
    """Logs in again where a redirection stays on its host; one from http to https does too."""

    def redirect_request(self, req: Any, fp: Any, code: Any, msg: Any, headers: Any, newurl: str) -> Any:
        further = super().redirect_request(req, fp, code, msg, headers, newurl)
        login = req.unredirected_hdrs.get("Authorization")
        if further is not None and login and _may_see(req.full_url, further.full_url):
            further.add_unredirected_header("Authorization", login)
        return further


def _may_see(one: str, other: str) -> bool:
    here, there = urllib.parse.urlsplit(one), urllib.parse.urlsplit(other)
    secured = (here.scheme, there.scheme, here.port, there.port) == ("http", "https", None, None)
    return here.hostname == there.hostname and ((here.scheme, here.port) == (there.scheme, there.port) or secured)

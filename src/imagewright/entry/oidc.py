"""GitHub's OIDC: a new assertion about this job, for each token that Azure is asked for."""

from __future__ import annotations

import http.client
import json
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable

from imagewright.core.clock import Clock
from imagewright.core.errors import AuthenticationError
from imagewright.core.secret import Secret

AUDIENCE = "api://AzureADTokenExchange"
ATTEMPTS = 6
SECONDS = 15.0
PERMISSION = "give the job `permissions: id-token: write`; pull requests from forks never get it"


class GitHubOidc:
    """Asks the runner's token service. `masked` is told each assertion before anybody can print it."""

    def __init__(
        self, url: str, token: Secret, clock: Clock, masked: Callable[[str], None], audience: str = AUDIENCE
    ) -> None:
        self._url = f"{url}{'&' if '?' in url else '?'}{urllib.parse.urlencode({'audience': audience})}"
        self._token = token
        self._clock = clock
        self._masked = masked

    def __call__(self) -> str:
        """A new assertion. Raises AuthenticationError."""
        reason = ""
        for attempt in range(ATTEMPTS):
            if attempt:
                self._clock.wait(min(0.5 * 2**attempt, 8.0))
            try:
                assertion = self._ask()
            except urllib.error.HTTPError as error:
                error.close()
                reason = f"it answers {error.code} {error.reason}"
                if error.code in (400, 401, 403, 404):
                    break
            except (OSError, http.client.HTTPException, ValueError, KeyError, TypeError) as error:
                reason = str(error) or type(error).__name__
            else:
                self._masked(assertion)
                return assertion
        raise AuthenticationError(f"GitHub's token service gave no token: {reason}", hint=PERMISSION)

    def _ask(self) -> str:
        headers = {"Authorization": f"Bearer {self._token.reveal()}", "Accept": "application/json"}
        request = urllib.request.Request(self._url, headers=headers)
        with urllib.request.urlopen(request, timeout=SECONDS) as answer:
            return str(json.load(answer)["value"])

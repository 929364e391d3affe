"""What a machine gives every process: where tools are and how registries are reached, nothing of the tests."""

from __future__ import annotations

import os

KEPT = ("PATH", "HOME", "LANG", "TMPDIR", "SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE")
PREFIXES = ("UV_", "PIP_", "NPM_CONFIG_", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY")
DROPPED = frozenset({"UV_PROJECT_ENVIRONMENT"})


def machine() -> dict[str, str]:
    return {
        name: value
        for name, value in os.environ.items()
        if name not in DROPPED and (name in KEPT or name.upper().startswith(PREFIXES))
    }

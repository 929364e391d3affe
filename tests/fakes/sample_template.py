"""A small template whose customizer speaks the language of the guest in memory."""

from __future__ import annotations

import json
from typing import Any


def template(*lines: str, customize: list[dict[str, Any]] | None = None) -> str:
    source = {"publisher": "Debian", "offer": "debian-12", "sku": "12-gen2", "version": "latest"}
    body = {
        "type": "Microsoft.VirtualMachineImages/imageTemplates",
        "apiVersion": "2024-02-01",
        "location": "westeurope",
        "properties": {
            "source": {"type": "PlatformImage", **source},
            "customize": customize or [{"type": "Shell", "name": "script", "inline": list(lines)}],
            "distribute": [{"type": "VHD", "runOutputName": "web"}],
        },
    }
    return json.dumps(body, indent=2)

"""The resource types that matter here. ARM compares them without regard to case."""

from __future__ import annotations

IMAGE_TEMPLATE = "Microsoft.VirtualMachineImages/imageTemplates"
SHORT_TYPE = "Microsoft.VirtualMachineImages"
"""What many published templates say; `az image builder create` does not look."""

TRIGGER = "microsoft.virtualmachineimages/imagetemplates/triggers"
DEPLOYMENT = "microsoft.resources/deployments"


def is_image_template(kind: object) -> bool:
    return isinstance(kind, str) and kind.lower() in {IMAGE_TEMPLATE.lower(), SHORT_TYPE.lower()}

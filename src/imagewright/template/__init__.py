"""Templates: text in, plans out.

    read(path)           a file as data, with the place of every value
    validate_file(path)  every finding about a template; what is unknown is a warning
    plans(path)          what will be done; what is unknown is an error

Nothing here touches the network, and `pydantic` and `yaml` are imported on first use.
"""

from __future__ import annotations

from imagewright.template.context import ArmContext
from imagewright.template.facade import Checked, plans, validate_file
from imagewright.template.source import Document, read

__all__ = ["ArmContext", "Checked", "Document", "plans", "read", "validate_file"]

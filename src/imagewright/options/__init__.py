"""The one table of options, and the values that the command line, the environment and pipelines give them."""

from imagewright.options.layers import (
    Layer,
    Provenance,
    Value,
    from_command_line,
    from_environment,
    from_inputs,
)
from imagewright.options.row import Command, Group, Kind, Option
from imagewright.options.table import (
    TABLE,
    Accelerator,
    CacheMode,
    Color,
    EventFormat,
    Options,
    PlanFormat,
    ReportFormat,
    assemble,
    rows,
)

__all__ = [
    "TABLE",
    "Accelerator",
    "CacheMode",
    "Color",
    "Command",
    "EventFormat",
    "Group",
    "Kind",
    "Layer",
    "Option",
    "Options",
    "PlanFormat",
    "Provenance",
    "ReportFormat",
    "Value",
    "assemble",
    "from_command_line",
    "from_environment",
    "from_inputs",
    "rows",
]

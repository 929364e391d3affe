"""The one table of options, and the values that the command line, the environment and pipelines give them."""

from imagewright.options.assemble import assemble
from imagewright.options.choices import Color, EventFormat, PlanFormat, ReportFormat
from imagewright.options.layers import (
    Layer,
    Provenance,
    Value,
    from_command_line,
    from_environment,
    from_inputs,
)
from imagewright.options.row import Command, Group, Kind, Option
from imagewright.options.table import TABLE, Options, rows

__all__ = [
    "TABLE",
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

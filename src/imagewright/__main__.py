"""`python -m imagewright`."""

import sys

from imagewright.entry.start import command_line

sys.exit(command_line())

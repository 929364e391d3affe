"""`python -m imagewright`."""

import sys

from imagewright.entry.cli import main

sys.exit(main())

"""Runs the command line as `python -m scribewire`."""

import sys

from scribewire.cli import main

sys.exit(main())

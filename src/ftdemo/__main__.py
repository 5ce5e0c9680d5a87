"""Run the command line: python -m ftdemo."""

import sys

from ftdemo.cli import main

if __name__ == "__main__":
    sys.exit(main())

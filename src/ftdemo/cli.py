"""The command line. Parses arguments; everything else is elsewhere."""

import argparse
import json
from collections.abc import Sequence

from ftdemo.check import own


def main(arguments: Sequence[str] | None = None) -> int:
    """
    Run the command; returns its exit code.

    0 as hoped, 1 a check failed, 2 usage or internal error, 3 nothing could be checked.
    """
    parser = argparse.ArgumentParser(
        prog="ftdemo",
        description="Check which imports bring the GIL back. Without a command: ftdemo's own.",
        epilog="exit codes: 0 as hoped, 1 a check failed, 2 error, 3 nothing could be checked",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args(arguments)

    result = own.check_own_modules()
    if options.json:
        print(json.dumps(result, indent=2))
    else:
        from ftdemo.check import report  # noqa: PLC0415 - rich takes longer than the check

        report.print_own(result)
    return own.exit_code(result)

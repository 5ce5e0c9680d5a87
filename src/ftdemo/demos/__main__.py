"""python -m ftdemo.demos NAME REPORT [--quick]: run one demo in this process, report in a file.

For ftdemo.demos.api, which starts it. In a file, since a demo may print what it likes.
"""

import faulthandler
import json
import sys
from pathlib import Path

from ftdemo.demos import load
from ftdemo.demos.common import Finding, SkipDemo


def main() -> None:
    """Run the demo."""
    name, report, timeout, *options = sys.argv[1:]
    # Should everyone else be gone. Where threads hang, it shows where.
    faulthandler.dump_traceback_later(float(timeout) + 10, exit=True)
    try:
        finding: Finding = load(name).demo(quick="--quick" in options)
        outcome = "seen" if finding.seen else "not seen"
        result = {"outcome": outcome, "detail": finding.detail, "measured": finding.measured}
    except SkipDemo as reason:
        result = {"outcome": "skip", "detail": str(reason), "measured": {}}
    Path(report).write_text(json.dumps(result), encoding="utf-8")


if __name__ == "__main__":
    main()

"""python -m ftdemo.demo NAME REPORT TIMEOUT [--quick]: run one demo in this process.

ftdemo.demo.run() starts it. It writes its report to a file, because a demo may print anything.
"""

import faulthandler
import json
import sys
from pathlib import Path

from ftdemo.demo.finding import Finding, SkipDemo
from ftdemo.demos import load
from ftdemo.processes import end_with_parent


def main() -> None:
    """Run the demo and write its report."""
    name, report, timeout, *options = sys.argv[1:]
    end_with_parent()
    # If threads hang, print their tracebacks.
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

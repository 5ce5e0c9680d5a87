"""Lint the sources of other projects, for the figures in docs/lint.md.

Arguments are folders. For NAME-before and NAME-after, the sources before and after a fix, it prints
which findings are gone.
"""

import sys
import time
from collections import Counter
from pathlib import Path

from ftdemo.lint import Result, lint
from ftdemo.terminal import Table, show


def main(folders: list[str]) -> int:
    """Lint each folder on one core, and print tables."""
    results: dict[str, Result] = {}
    table = Table("sources", "lines", "errors", "warnings", "per 1,000 lines", "lines per second")
    for folder in folders:
        start = time.process_time()
        result = lint([folder])
        seconds = time.process_time() - start
        results[Path(folder).name] = result
        lines, summary = result["summary"]["lines"], result["summary"]
        rate = 1000 * len(result["findings"]) / max(lines, 1)
        counts = (str(n) for n in (lines, summary["errors"], summary["warnings"]))
        table.add_row(Path(folder).name, *counts, f"{rate:.1f}", f"{lines / seconds:.0f}")
    pairs = Table("pair", "rule", "before", "after")
    for name, before in results.items():
        after = results.get(name.removesuffix("-before") + "-after")
        if name.endswith("-before") and after is not None:
            first, last = (Counter(f["rule"] for f in r["findings"]) for r in (before, after))
            for rule in sorted(first | last):
                row = (name.removesuffix("-before"), rule, str(first[rule]), str(last[rule]))
                pairs.add_row(*row)
    show(table, *([pairs] if pairs.rows else []))
    return 0 if results else 3


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""Read a baseline, an earlier output of `ftdemo lint --json`, and leave out its findings."""

import json
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ftdemo.lint.api import Finding

Key = tuple[str, str, str, str]


class BaselineError(Exception):
    """The baseline cannot be read."""


def key(finding: "Finding") -> Key:
    """Return the parts of a finding that do not change when lines move."""
    message = re.sub(r"\bline \d+", "line", finding["message"])
    return finding["rule"], finding["path"], finding["function"] or "", message


def read(path: str) -> Counter[Key]:
    """Read a baseline. Raises BaselineError."""
    try:
        result = json.loads(Path(path).read_text(encoding="utf-8"))
        return Counter(key(finding) for finding in result["findings"])
    except OSError as error:
        raise BaselineError(
            f"baseline {path}: {error.strerror}; `ftdemo lint --json ... > {path}` makes one"
        ) from error
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise BaselineError(f"baseline {path} is not an output of `ftdemo lint --json`") from error


def leave_out(findings: "Sequence[Finding]", known: Counter[Key]) -> "list[Finding]":
    """Return the findings that are not in a baseline; each entry there removes one finding."""
    rest = known.copy()
    kept = []
    for finding in findings:
        if rest[key(finding)] > 0:
            rest[key(finding)] -= 1
        else:
            kept.append(finding)
    return kept

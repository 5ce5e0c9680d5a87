"""CPython's thread safety levels, and how to read them from docstrings.

https://docs.python.org/3.15/library/threadsafety.html defines the levels.
"""

import re

# From the least safe to the safest.
LEVELS = (
    "incompatible",
    "compatible",
    "safe on distinct objects",
    "safe on shared objects",
    "atomic",
)
_STATEMENT = re.compile(rf"Thread safety: ({'|'.join(LEVELS)})(;[^.]*)?\.?$")


def level_of(docstring: str | None) -> str | None:
    """Return the level that a docstring ends with, as in `Thread safety: atomic.`

    A remark may follow the level after a semicolon. Returns None if the docstring states no level.
    """
    statement = _STATEMENT.search(" ".join((docstring or "").split()))
    return statement[1] if statement else None

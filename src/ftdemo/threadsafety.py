"""The levels of thread safety, in the words of CPython's documentation.

https://docs.python.org/3.15/library/threadsafety.html defines them.
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
    """Read the level that a docstring ends with, as in `Thread safety: atomic.`

    A remark may follow the level after a semicolon. None where the docstring states no level.
    """
    statement = _STATEMENT.search(" ".join((docstring or "").split()))
    return statement[1] if statement else None

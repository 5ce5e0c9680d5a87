"""A C extension that is ready for free-threaded Python.

Importing ftdemo keeps the GIL off. Importing ftdemo.legacy, the same extension before its port,
brings the GIL back for the whole process. Each docstring ends with a thread safety level, as
CPython defines it: https://docs.python.org/3.15/library/threadsafety.html.
"""

from ftdemo._ready import (
    Account,
    Checksum,
    Signal,
    Tickets,
    intern,
    sum_of_squares,
    total,
    transfer,
)

__all__ = [
    "Account",
    "Checksum",
    "Signal",
    "Tickets",
    "intern",
    "sum_of_squares",
    "total",
    "transfer",
]

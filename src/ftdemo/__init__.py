"""A C extension that is ready for free-threaded Python.

Importing ftdemo keeps the GIL off; importing ftdemo.legacy, the same before the port, brings it
back for the whole process. Each docstring ends with its guarantee in the words of CPython's
documentation (https://docs.python.org/3.15/library/threadsafety.html).
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

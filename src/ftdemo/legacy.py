"""The names of ftdemo as they were before the port.

Importing this module brings the GIL back on a free-threaded build, for the whole process and for
good: its extension module does not declare that it can do without.
"""

from ftdemo._legacy import Account, Checksum, Tickets, intern, sum_of_squares, total, transfer

__all__ = ["Account", "Checksum", "Tickets", "intern", "sum_of_squares", "total", "transfer"]

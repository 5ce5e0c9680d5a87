"""The names of ftdemo as they were before the port.

Importing this module brings the GIL back on a free-threaded build, for the whole process and for
good: its extension module does not declare that it can do without.
"""

try:
    from ftdemo._legacy import Account, Checksum, Tickets, intern, sum_of_squares, total, transfer
except ModuleNotFoundError as error:
    if error.name != "ftdemo._legacy":
        raise
    raise ImportError(
        "ftdemo.legacy is not in the wheel for the stable ABI (abi3t): code that relies on the GIL "
        "cannot promise to load in both builds. Wheels for one version have it, and the sdist.",
        name="ftdemo.legacy",
    ) from None

__all__ = ["Account", "Checksum", "Tickets", "intern", "sum_of_squares", "total", "transfer"]

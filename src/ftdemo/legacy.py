"""The names of ftdemo as they were before the port.

Importing this module brings the GIL back on a free-threaded build, for the whole process and for
good: its extension module does not declare that it can do without.
"""

from ftdemo import __all__  # noqa: F401 - the same names

try:
    from ftdemo._legacy import *  # noqa: F403 - the same names
except ModuleNotFoundError as error:
    if error.name != "ftdemo._legacy":
        raise
    raise ImportError(
        "ftdemo.legacy is not in the wheel for the stable ABI: code that relies on the GIL "
        "cannot promise to load in both builds. Wheels for one version have it, and the sdist.",
        name="ftdemo.legacy",
    ) from None

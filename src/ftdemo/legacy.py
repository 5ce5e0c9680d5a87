"""The API of ftdemo before its port to free threading.

On a free-threaded build, importing this module brings the GIL back until the process ends: its
extension module does not declare that it is safe without the GIL.
"""

from ftdemo import __all__  # noqa: F401 - the same names

try:
    from ftdemo._legacy import *  # noqa: F403 - the same names
except ModuleNotFoundError as error:
    if error.name != "ftdemo._legacy":
        raise
    raise ImportError(
        "ftdemo.legacy is not in the wheel for the stable ABI (abi3t), which loads in both builds: "
        "its code relies on the GIL. Install a wheel for one version, or the sdist.",
        name="ftdemo.legacy",
    ) from None

"""Each build loads only extensions of its own ABI; since 3.15, both builds load abi3t.

The object header differs between the builds, so an extension is compiled for one or the other, and
the wheel matrix has doubled: cp314 and cp314t. The older stable ABI, abi3, exposes the object
header of the build with the GIL, so free-threaded interpreters cannot load it. In abi3t the header
is opaque: both builds of 3.15 and of all later versions load the same file.

Source: PEP 703, "Distribution"; PEP 803; docs/wheels.md.
"""

import sys
import sysconfig
from importlib.machinery import EXTENSION_SUFFIXES

from packaging.tags import sys_tags

from ftdemo.demo.finding import Finding
from ftdemo.interpreter import FREE_THREADED


def demo(*, quick: bool) -> Finding:
    """Ask the import system and pip's tags which ABIs this interpreter loads."""
    own = f"cp{sys.version_info.major}{sys.version_info.minor}"
    theirs = own
    if FREE_THREADED:
        own += "t"
    else:
        theirs += "t"
    abis = list(dict.fromkeys(tag.abi for tag in sys_tags()))
    by_import = {abi: any(f".{abi}" in s for s in EXTENSION_SUFFIXES) for abi in ("abi3", "abi3t")}
    suffix = sysconfig.get_config_var("EXT_SUFFIX")
    # 3.13t and 3.14t search for .abi3 files but cannot load them; pip does not install any there.
    takes = {
        own: own in abis,
        theirs: theirs in abis,
        "abi3": "abi3" in abis,
        "abi3t": by_import["abi3t"],
    }
    expected = [True, False, not FREE_THREADED, sys.version_info >= (3, 15)]
    yes_no = ", ".join(f"{abi} {'yes' if taken else 'no'}" for abi, taken in takes.items())
    return Finding(
        list(takes.values()) == expected,
        f"extensions are named *{suffix}; this build loads {yes_no}; an object header has "
        f"{object.__basicsize__} bytes",
        {"suffixes": EXTENSION_SUFFIXES, "abis": abis, "takes": takes},
    )

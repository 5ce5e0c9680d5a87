"""Each build takes extensions of its own ABI alone; from 3.15 on, abi3t is one for both.

The object header differs, so an extension is compiled for one build or the other, and the
matrix of wheels doubled: cp314 and cp314t. The stable ABI of old, abi3, has the header of the build
with the GIL in it, so that free-threaded interpreters cannot take it. In abi3t the header is
opaque: the same file loads in both builds of 3.15 and of all that come after.

Source: PEP 703, "Distribution"; PEP 803; docs/wheels.md.
"""

import sys
import sysconfig
from importlib.machinery import EXTENSION_SUFFIXES

from packaging.tags import sys_tags

from ftdemo.demo.finding import Finding
from ftdemo.interpreter import FREE_THREADED


def demo(*, quick: bool) -> Finding:
    """Ask the interpreter, and pip's rules, what it takes."""
    own = f"cp{sys.version_info.major}{sys.version_info.minor}"
    theirs = own
    if FREE_THREADED:
        own += "t"
    else:
        theirs += "t"
    abis = list(dict.fromkeys(tag.abi for tag in sys_tags()))
    by_import = {abi: any(f".{abi}" in s for s in EXTENSION_SUFFIXES) for abi in ("abi3", "abi3t")}
    suffix = sysconfig.get_config_var("EXT_SUFFIX")
    # 3.13t and 3.14t look for .abi3 files, which they then cannot load; pip does not give them any.
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
        f"extensions here are called *{suffix}; takes {yes_no}; an object's header has "
        f"{object.__basicsize__} bytes",
        {"suffixes": EXTENSION_SUFFIXES, "abis": abis, "takes": takes},
    )

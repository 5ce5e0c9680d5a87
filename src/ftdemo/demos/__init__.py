"""The demos: one short program for each thing that changes without the GIL.

Each module of this package is a demo. The first line of its docstring is its claim; the rest
explains the claim and names the source. Its demo() function measures and returns a Finding.
`ftdemo demo NAME` runs it in a fresh interpreter.

To add a demo, write the module and add its name to NAMES.
"""

import importlib
import inspect
from types import ModuleType

NAMES = (
    "gil",
    "scaling",
    "one-import",
    "race",
    "check-then-act",
    "iterator",
    "collections",
    "deadlock",
    "suspension",
    "legacy-unlocked",
    "refcount",
    "gc",
    "memory",
    "overhead",
    "abi",
)


# Modules that are named differently, because the standard library has a module of the demo's name.
_MODULES = {"collections": "containers", "gc": "collector"}


def load(name: str) -> ModuleType:
    """Import the module of a demo."""
    return importlib.import_module(f"{__name__}.{_MODULES.get(name, name).replace('-', '_')}")


def claim(name: str) -> str:
    """Return the claim of a demo: the first line of its docstring."""
    return inspect.cleandoc(load(name).__doc__ or "").partition("\n")[0]

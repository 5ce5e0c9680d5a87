"""The demos: one short program for each thing that changes without the GIL.

A demo is a module here. The first line of its docstring is its claim; the rest says why it is so
and where that stands. Its demo() measures, and returns what it found. Each runs in a fresh
interpreter: `ftdemo demo NAME`.

To add one, write the module and add its name to NAMES.
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


# What is called differently here: like no module of the standard library.
_MODULES = {"collections": "containers", "gc": "collector"}


def load(name: str) -> ModuleType:
    """Import the demo of this name."""
    return importlib.import_module(f"{__name__}.{_MODULES.get(name, name).replace('-', '_')}")


def claim(name: str) -> str:
    """What the demo of this name shows."""
    return inspect.cleandoc(load(name).__doc__ or "").partition("\n")[0]

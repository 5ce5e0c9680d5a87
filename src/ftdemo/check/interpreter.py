"""Which interpreter this is, and the environment that a fresh one is started in."""

import os
import sys
from typing import TypedDict


class Interpreter(TypedDict):
    """The interpreter that a result was found on."""

    version: str
    free_threaded: bool


def describe() -> Interpreter:
    """Describe the running interpreter: its version, and whether its build can run without a GIL.

    That is a property of the build; whether the GIL is on right now is another question.
    """
    import sysconfig  # reads a file: not before a child has been started

    return {
        "version": sys.version.split()[0],
        "free_threaded": bool(sysconfig.get_config_var("Py_GIL_DISABLED")),
    }


# Numeric libraries start a thread a core when imported; an import check has no use for them.
_ONE_THREAD = ("BLIS", "MKL", "NUMEXPR", "OMP", "OPENBLAS")


def clean_environment() -> dict[str, str]:
    """Make an environment for a fresh interpreter, without what would settle or veil the answer.

    PYTHON_GIL=0 keeps the GIL off whatever is imported, PYTHON_GIL=1 turns it on from the start,
    and PYTHONWARNINGS=error makes the import raise, after which the GIL is on all the same.
    (-X gil and -W do not reach child processes.)
    """
    kept = {k: v for k, v in os.environ.items() if k not in {"PYTHON_GIL", "PYTHONWARNINGS"}}
    return kept | {f"{library}_NUM_THREADS": "1" for library in _ONE_THREAD}

"""What is asked of the interpreter, and how a fresh one is started."""

import json
import os
import sys
import sysconfig
from collections.abc import Callable, Sequence
from typing import TypedDict


class Interpreter(TypedDict):
    """The interpreter that a result was found on."""

    version: str
    free_threaded: bool


def describe() -> Interpreter:
    """
    Describe the running interpreter: its version, and whether its build can run without a GIL.

    That is a property of the build; whether the GIL is on right now is another question.
    """
    return {
        "version": sys.version.split()[0],
        "free_threaded": bool(sysconfig.get_config_var("Py_GIL_DISABLED")),
    }


def is_gil_enabled() -> bool:
    """Whether the GIL is on in this process, now. True before 3.13, which has nothing to ask."""
    ask: Callable[[], bool] | None = getattr(sys, "_is_gil_enabled", None)
    return ask is None or ask()


def clean_environment() -> dict[str, str]:
    """
    Make an environment for a fresh interpreter, without what would settle or veil the answer.

    PYTHON_GIL=0 keeps the GIL off whatever is imported, PYTHON_GIL=1 turns it on from the start,
    and PYTHONWARNINGS=error makes the import raise, after which the GIL is on all the same.
    (-X gil and -W do not reach child processes.)
    """
    return {k: v for k, v in os.environ.items() if k not in {"PYTHON_GIL", "PYTHONWARNINGS"}}


def fresh_command(program: str, *arguments: str) -> Sequence[str]:
    """Make the command that runs program in a fresh interpreter that imports as this one does."""
    prelude = "import json, sys; sys.path[:] = json.loads(sys.argv.pop(1)); "
    path = json.dumps(sys.path)
    return [sys.executable, "-W", "ignore", "-c", prelude + program, path, *arguments]

"""The running interpreter: its version, its build, its GIL and its cores."""

import os
import sys
import sysconfig
from collections.abc import Callable
from typing import TypedDict

# Whether this build can run without the GIL; is_gil_enabled() says whether the GIL is on now.
FREE_THREADED = bool(sysconfig.get_config_var("Py_GIL_DISABLED"))
is_gil_enabled: Callable[[], bool] = getattr(sys, "_is_gil_enabled", lambda: True)


class Interpreter(TypedDict):
    """The interpreter that produced a result."""

    version: str
    free_threaded: bool


def describe() -> Interpreter:
    """Describe the running interpreter for the JSON output of a command."""
    return {"version": sys.version.split()[0], "free_threaded": FREE_THREADED}


def heading(this: Interpreter) -> str:
    """Describe an interpreter for the reports for people."""
    build = "free-threaded" if this["free_threaded"] else "with the GIL"
    return f"CPython {this['version']}, {build}"


def cores() -> int:
    """Count the cores that this process may use."""
    if sys.version_info >= (3, 13):
        return os.process_cpu_count() or 1
    if sys.platform == "linux":
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1

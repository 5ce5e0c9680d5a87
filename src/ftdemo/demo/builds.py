"""The two builds of one version: find the other build, and call functions in it."""

import inspect
import json
import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Callable
from typing import Any

from ftdemo import processes
from ftdemo.demo.finding import CHILD_TIMEOUT, SkipDemo
from ftdemo.interpreter import FREE_THREADED


def ask(
    python: str, function: Callable[..., object] | list[Callable[..., object]], *arguments: object
) -> Any:
    """Call a function in the interpreter at this path, which need not have ftdemo installed.

    The function must import what it uses; its arguments and its result must be JSON. From a list of
    functions, the last is called, and may call the others.
    """
    functions = function if isinstance(function, list) else [function]
    source = "\n".join(map(inspect.getsource, functions))
    call = f"{functions[-1].__name__}(*json.loads({json.dumps(arguments)!r}))"
    program = (
        f"import json\nfrom collections.abc import Callable\n{source}\nprint(json.dumps({call}))"
    )
    done = processes.run([python, "-I", "-c", program], timeout=CHILD_TIMEOUT)
    done.check_returncode()
    return json.loads(done.stdout)


def _which_build() -> list[object]:
    import sys
    import sysconfig

    return [*sys.version_info[:2], bool(sysconfig.get_config_var("Py_GIL_DISABLED"))]


def partner() -> str:
    """Find the other build of this version: python3.14 for 3.14t, and vice versa."""
    version = sys.version_info[:2]
    if version < (3, 13):
        raise SkipDemo("needs a free-threaded build of this version; 3.13 is the first to have one")
    name = f"python{version[0]}.{version[1]}{'' if FREE_THREADED else 't'}"
    folders = [sysconfig.get_config_var("BINDIR"), *os.get_exec_path()]
    for folder in folders:
        path = shutil.which(name, path=folder)
        try:  # Ask it: a virtual environment of 3.14t has a python3.14 too.
            if path and ask(path, _which_build) == [*version, not FREE_THREADED]:
                return path
        except (OSError, ValueError, subprocess.SubprocessError):
            continue
    raise SkipDemo(f"needs the other build of this version: install {name} on PATH")


def both_builds() -> dict[str, str]:
    """Return both interpreters of this version by build, the one with the GIL first."""
    pair = {"with the GIL": "", "free-threaded": ""} | this_build()
    return {build: python or partner() for build, python in pair.items()}


def installed_builds() -> dict[str, str]:
    """Return both interpreters, or only this one if the other is not installed."""
    try:
        return both_builds()
    except SkipDemo:
        return this_build()


def this_build() -> dict[str, str]:
    return {"free-threaded" if FREE_THREADED else "with the GIL": sys.executable}

"""The build, -X gil, PYTHON_GIL and imported modules decide, in this order, if the GIL is on.

A build with the GIL always has it. On a free-threaded build the GIL is off at first. It comes on
when a process imports an extension module that does not declare free-threading support, and stays
on until the process ends. -X gil and PYTHON_GIL are for tests: 1 enables the GIL from the start, 0
keeps it off whatever is imported. sysconfig says which build this is; sys._is_gil_enabled() says
whether the GIL is on.

Source: https://docs.python.org/3/howto/free-threading-python.html, PEP 703.
"""

import os
import re
import sys

from ftdemo.demo.finding import Finding
from ftdemo.interpreter import FREE_THREADED, is_gil_enabled
from ftdemo.own import READY_ALONE
from ftdemo.processes import run_python

SAY = "import sys; print(getattr(sys, '_is_gil_enabled', lambda: True)())"


def gil_after(*options: str, program: str = "", env: dict[str, str] | None = None) -> str:
    """Run a program; say whether the GIL is on at its end, and which module enabled it."""
    done = run_python("-P", *options, "-W", "default", "-c", f"{program}\n{SAY}", env=env)
    state = {"True\n": "on", "False\n": "off"}.get(done.stdout, "refused")
    module = re.search(r"to load module '([\w.]+)'", done.stderr)
    return f"{state}, by {module[1]}" if module else state


def why_here() -> str:
    """Say what decides about the GIL in this process."""
    if not FREE_THREADED:
        return "the build"
    if sys._xoptions.get("gil"):
        return f"-X gil={sys._xoptions['gil']}"
    if os.environ.get("PYTHON_GIL"):
        return f"PYTHON_GIL={os.environ['PYTHON_GIL']}"
    return "a module that the interpreter imports when it starts" if is_gil_enabled() else "default"


def demo(*, quick: bool) -> Finding:
    """Start a fresh process for each setting, and compare the state of the GIL."""
    states = {
        "default": gil_after(),
        "PYTHON_GIL=1": gil_after(env={"PYTHON_GIL": "1"}),
    }
    if FREE_THREADED:
        states["PYTHON_GIL=1 -X gil=0"] = gil_after("-X", "gil=0", env={"PYTHON_GIL": "1"})
        expected = ["off", "on", "off"]
    else:
        states["PYTHON_GIL=0"] = gil_after(env={"PYTHON_GIL": "0"})
        expected = ["on", "on", "refused" if sys.version_info >= (3, 13) else "on"]
    if not READY_ALONE:
        states["import ftdemo.legacy"] = gil_after(program="import ftdemo.legacy")
        expected.append("on, by ftdemo._legacy" if FREE_THREADED else "on")
    here = "on" if is_gil_enabled() else "off"
    build = "free-threaded" if FREE_THREADED else "with the GIL"
    listed = "; ".join(f"{what}: {state}" for what, state in states.items())
    return Finding(
        list(states.values()) == expected,
        f"build {build}; GIL {here} in this process ({why_here()}); in fresh processes, {listed}",
        {"build": build, "here": here, "why": why_here(), "processes": states},
    )

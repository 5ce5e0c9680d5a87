"""The import check of ftdemo itself: each of its extension modules in a fresh process."""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, TypedDict

from rich.text import Text

from ftdemo import _ready, exit_codes, interpreter, processes
from ftdemo.interpreter import FREE_THREADED
from ftdemo.terminal import show, table

IMPORT = """
import importlib, sys
importlib.import_module(sys.argv[1])
print(getattr(sys, "_is_gil_enabled", lambda: True)())
"""


class Declaration(NamedTuple):
    """An extension module of ftdemo, and what its source declares about the GIL."""

    name: str
    declares: str
    brings_gil_back: bool


DECLARATIONS = (
    Declaration("ftdemo._ready", "Py_mod_gil", brings_gil_back=False),
    Declaration("ftdemo._legacy", "nothing", brings_gil_back=True),
    Declaration("ftdemo._single_phase", "PyUnstable_Module_SetGIL", brings_gil_back=False),
    Declaration("ftdemo._object_header", "Py_mod_gil", brings_gil_back=False),
    Declaration("ftdemo._stress", "Py_mod_gil", brings_gil_back=False),
)


# The wheel for the stable ABI of both builds has ftdemo._ready only.
READY_ALONE = ".abi3t" in Path(_ready.__file__).name


def declarations() -> Sequence[Declaration]:
    """Return the extension modules that this installation should have."""
    return DECLARATIONS[:1] if READY_ALONE else DECLARATIONS


class ModuleResult(TypedDict):
    """The result of importing one module in a fresh process; gil_enabled is None if it failed."""

    name: str
    declares: str
    gil_enabled: bool | None
    expected_gil_enabled: bool
    as_expected: bool


class Result(TypedDict):
    """The result of the import check of ftdemo itself, as `ftdemo --json` prints it."""

    version: int
    interpreter: interpreter.Interpreter
    modules: list[ModuleResult]


def check_own_modules(timeout: float = 60.0) -> Result:
    """Import each extension module of ftdemo in a fresh process, and check the state of the GIL.

    timeout is in seconds per module. Prints to stderr why an import failed. Neither PYTHON_GIL nor
    the warning filters of this process change the result.
    """
    modules: list[ModuleResult] = []
    for name, declares, brings_gil_back in declarations():
        gil_enabled = _gil_after_import(name, timeout)
        expected = brings_gil_back or not FREE_THREADED
        modules.append(
            {
                "name": name,
                "declares": declares,
                "gil_enabled": gil_enabled,
                "expected_gil_enabled": expected,
                "as_expected": gil_enabled is expected,
            }
        )
    return {"version": 1, "interpreter": interpreter.describe(), "modules": modules}


def _gil_after_import(name: str, timeout: float) -> bool | None:
    try:
        done = processes.run_python(
            *("-P", "-W", "ignore", "-c", IMPORT, name),
            env=processes.same_import_path(),
            timeout=timeout,
        )
    except subprocess.TimeoutExpired:
        print(f"{name}: {processes.ending(None, timeout)}", file=sys.stderr)
        return None
    if done.returncode:
        said = done.stderr.strip().rpartition("\n")[2] or processes.ending(done.returncode, timeout)
        print(f"{name}: {said}", file=sys.stderr)
        return None
    return done.stdout == "True\n"


def exit_code(result: Result) -> int:
    """Return FAILED for an unexpected result, NOTHING_CHECKED on a build with the GIL."""
    if not all(module["as_expected"] for module in result["modules"]):
        return exit_codes.FAILED
    free_threaded = result["interpreter"]["free_threaded"]
    return exit_codes.OK if free_threaded else exit_codes.NOTHING_CHECKED


def print_own(result: Result) -> None:
    """Print the result for people."""
    this = result["interpreter"]
    modules = result["modules"]
    good = sum(module["as_expected"] for module in modules)
    if not this["free_threaded"] and good == len(modules):
        show(
            f"CPython {this['version']} is a build with the GIL: {good} of {good} modules import. "
            "To check whether they keep the GIL off, run this on a free-threaded build, such as "
            "3.14t."
        )
        return
    rows = table("module", "declares", "GIL after import", "as expected")
    for module in modules:
        state = {None: "import failed", False: "off", True: "on"}[module["gil_enabled"]]
        as_expected = Text("yes", "green") if module["as_expected"] else Text("NO", "bold red")
        rows.add_row(module["name"], module["declares"], state, as_expected)
    show(interpreter.heading(this), rows, f"{good} of {len(modules)} as expected")

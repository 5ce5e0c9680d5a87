"""The import check of ftdemo itself: its modules, each in a fresh interpreter."""

import subprocess
import sys
from typing import NamedTuple, TypedDict

from ftdemo.check import interpreter

_PROGRAM = """
import importlib
is_gil_enabled = getattr(sys, "_is_gil_enabled", lambda: True)
importlib.import_module(sys.argv[1])
print(int(is_gil_enabled()))
"""


class Declaration(NamedTuple):
    """An extension module of ftdemo, and what it says of the GIL in its source."""

    name: str
    declares: str
    brings_gil_back: bool


DECLARATIONS = (
    Declaration("ftdemo._ready", "Py_mod_gil", brings_gil_back=False),
    Declaration("ftdemo._legacy", "nothing", brings_gil_back=True),
    Declaration("ftdemo._single_phase", "PyUnstable_Module_SetGIL", brings_gil_back=False),
    Declaration("ftdemo._object_header", "Py_mod_gil", brings_gil_back=False),
)


class ModuleResult(TypedDict):
    """What importing one module in a fresh interpreter showed; gil_enabled is None if it failed."""

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
    """
    Import each extension module of ftdemo in a fresh interpreter and see if the GIL came on.

    timeout is in seconds, for each module. What an import that fails has to say goes to stderr.
    Neither PYTHON_GIL nor a warning filter of this process changes the result.
    """
    this = interpreter.describe()
    env = interpreter.clean_environment()
    children = [
        subprocess.Popen(
            interpreter.fresh_command(_PROGRAM, module.name),
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
        )
        for module in DECLARATIONS
    ]
    modules: list[ModuleResult] = []
    for module, child in zip(DECLARATIONS, children, strict=True):
        gil_enabled = _answer(child, timeout)
        expected = module.brings_gil_back or not this["free_threaded"]
        modules.append(
            {
                "name": module.name,
                "declares": module.declares,
                "gil_enabled": gil_enabled,
                "expected_gil_enabled": expected,
                "as_expected": gil_enabled is expected,
            }
        )
    return {"version": 1, "interpreter": this, "modules": modules}


def _answer(child: subprocess.Popen[str], timeout: float) -> bool | None:
    try:
        answer, _ = child.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        child.kill()
        child.communicate()
        print(f"no answer within {timeout:g} s", file=sys.stderr)
        return None
    return {"0\n": False, "1\n": True}.get(answer) if child.returncode == 0 else None


def exit_code(result: Result) -> int:
    """0 as expected; 1 a module was not; 3 a build with the GIL, where nothing could be checked."""
    if not all(module["as_expected"] for module in result["modules"]):
        return 1
    return 0 if result["interpreter"]["free_threaded"] else 3

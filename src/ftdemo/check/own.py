"""The import check of ftdemo itself: its modules, each in a fresh process."""

import importlib.util
import sys
from collections.abc import Sequence
from typing import NamedTuple, TypedDict

from ftdemo.check import interpreter
from ftdemo.check.children import Children


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


def declarations() -> Sequence[Declaration]:
    """The extension modules that are to be there: the wheel for abi3t has ftdemo._ready alone."""
    ready = importlib.util.find_spec("ftdemo._ready")
    is_stable = ready is not None and ready.origin and "_ready.abi3t" in ready.origin
    return DECLARATIONS[:1] if is_stable else DECLARATIONS


class ModuleResult(TypedDict):
    """What importing one module in a fresh process showed; gil_enabled is None if it failed."""

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
    """Import each extension module of ftdemo in a fresh process and see if the GIL came on.

    timeout is in seconds, for each module. Why an import failed is said on stderr. Neither
    PYTHON_GIL nor a warning filter of this process changes the result.
    """
    modules: list[ModuleResult] = []
    with Children(timeout=timeout) as children:
        children.start()
        this = interpreter.describe()
        for name, declares, brings_gil_back in declarations():
            ((_, step),) = children.run([name])
            if step.raised:
                print(f"{name}: {step.raised.type}: {step.raised.message}", file=sys.stderr)
            elif step.ending:
                print(f"{name}: {step.ending}", file=sys.stderr)
            gil_enabled = None if step.raised else step.gil_on
            expected = brings_gil_back or not this["free_threaded"]
            modules.append(
                {
                    "name": name,
                    "declares": declares,
                    "gil_enabled": gil_enabled,
                    "expected_gil_enabled": expected,
                    "as_expected": gil_enabled is expected,
                }
            )
    return {"version": 1, "interpreter": this, "modules": modules}


def exit_code(result: Result) -> int:
    """0 as expected; 1 a module was not; 3 a build with the GIL, where nothing could be checked."""
    if not all(module["as_expected"] for module in result["modules"]):
        return 1
    return 0 if result["interpreter"]["free_threaded"] else 3

"""Does importing a module bring the GIL back? Tests modules that do and modules that do not."""

import pytest

from ftdemo.interpreter import FREE_THREADED

all_modules = pytest.mark.all_modules
KEEP_IT_OFF = [
    "ftdemo",
    "ftdemo._ready",
    pytest.param("ftdemo._single_phase", marks=all_modules),
    pytest.param("ftdemo._object_header", marks=all_modules),
    pytest.param("ftdemo._stress", marks=all_modules),
    "ftdemo.cli",
    "ftdemo.check",
    "ftdemo.wheels",
]
BRING_IT_BACK = ["ftdemo.legacy", "ftdemo._legacy"]
PROGRAM = """
import importlib, sys
is_gil_enabled = getattr(sys, "_is_gil_enabled", lambda: True)
before = is_gil_enabled()
importlib.import_module(sys.argv[1])
print(before, is_gil_enabled())
"""

pytestmark = pytest.mark.thread_unsafe(reason="starts processes")


@pytest.mark.parametrize("module", KEEP_IT_OFF)
def test_import_keeps_the_gil_off(fresh_python, module):
    done = fresh_python("-c", PROGRAM, module)
    expected = "False False\n" if FREE_THREADED else "True True\n"
    assert (done.stdout, done.stderr, done.returncode) == (expected, "", 0)


@all_modules
@pytest.mark.parametrize("module", BRING_IT_BACK)
def test_import_brings_the_gil_back(fresh_python, module):
    done = fresh_python("-c", PROGRAM, module)
    expected = "False True\n" if FREE_THREADED else "True True\n"
    assert (done.stdout, done.returncode) == (expected, 0)
    assert ("ftdemo._legacy" in done.stderr) is FREE_THREADED  # CPython's RuntimeWarning


@all_modules
@pytest.mark.free_threaded
def test_gil_0_hides_a_module_that_needs_the_gil(fresh_python):
    """PYTHON_GIL=0 hides the module, so a check must not run under it."""
    done = fresh_python("-c", PROGRAM, "ftdemo.legacy", env={"PYTHON_GIL": "0"})
    assert (done.stdout, done.stderr) == ("False False\n", "")


@all_modules
@pytest.mark.free_threaded
def test_w_error_does_not_keep_the_gil_off(fresh_python):
    """With -W error the import fails, but the GIL is on, and the next import succeeds."""
    program = """
import sys
try:
    import ftdemo.legacy
except RuntimeWarning:
    print("raised", sys._is_gil_enabled(), "ftdemo._legacy" in sys.modules)
import ftdemo.legacy
print("imported", sys._is_gil_enabled())
"""
    done = fresh_python("-W", "error", "-c", program)
    assert done.stdout == "raised True False\nimported True\n"

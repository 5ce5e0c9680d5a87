"""A counter does what it says, threads may share it, and importing it keeps the GIL off."""

import importlib.util
import os
import subprocess
import sys
import sysconfig
import threading
from pathlib import Path

import pytest
from setuptools import Distribution, Extension

import acme
import acme._core

SOURCE = Path(__file__).parent.parent / "csrc" / "_core.c"
ROUNDS = 100  # without the locks, one of these fails, unless the machine is busy

free_threaded = pytest.mark.skipif(
    not sysconfig.get_config_var("Py_GIL_DISABLED"), reason="needs a free-threaded build"
)
own_threads = pytest.mark.thread_unsafe(reason="starts threads or processes")


def test_add():
    counter = acme.Counter()
    assert counter.value == 0
    assert counter.add(5) == 5
    assert counter.add(-7) == -2
    assert counter.value == -2
    with pytest.raises(TypeError):
        counter.add("1")


@pytest.mark.parametrize(("value", "amount"), [(2**63 - 1, 1), (-(2**63), -1)])
def test_add_past_64_bits_changes_nothing(value, amount):
    counter = acme.Counter()
    counter.add(value)
    with pytest.raises(OverflowError):
        counter.add(amount)
    assert counter.value == value


def test_swap():
    a, b = acme.Counter(), acme.Counter()
    a.add(1)
    a.swap(b)
    assert (a.value, b.value) == (0, 1)
    b.swap(b)
    assert b.value == 1
    with pytest.raises(TypeError, match="expected a Counter"):
        a.swap(1)


def in_threads(*calls):
    """Make each call 20,000 times in its own thread, all threads at once."""
    barrier = threading.Barrier(len(calls))

    def repeat(method, argument):
        barrier.wait()
        for _ in range(20_000):
            method(argument)

    threads = [threading.Thread(target=repeat, args=call) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def adds(module):
    """No addition is lost."""
    counter = module.Counter()
    in_threads((counter.add, 1), (counter.add, 1))
    assert counter.value == 40_000


def swaps(module):
    """No value is lost, and swaps in opposite directions do not deadlock."""
    a, b = module.Counter(), module.Counter()
    a.add(1)
    in_threads((a.swap, b), (b.swap, a))
    assert {a.value, b.value} == {0, 1}


@own_threads
@pytest.mark.parametrize("race", [adds, swaps])
def test_threads_share_counters(race):
    for _ in range(ROUNDS):
        race(acme._core)


def build(folder, changes):
    """Build the module again, with these changes to the macros of Python.h."""
    source = folder / "_core.c"
    source.write_text(f'#include <Python.h>\n{changes}\n#include "{SOURCE.as_posix()}"\n')
    distribution = Distribution({"ext_modules": [Extension("_core", [str(source)])]})
    command = distribution.get_command_obj("build_ext")
    command.build_lib = command.build_temp = str(folder)
    command.ensure_finalized()
    command.run()
    return folder / command.get_ext_filename("_core")


@own_threads
@free_threaded
@pytest.mark.skipif(os.cpu_count() == 1, reason="on one core, threads seldom run at once")
@pytest.mark.parametrize("race", [adds, swaps])
def test_a_build_without_the_locks_fails(race, tmp_path):
    path = build(
        tmp_path,
        """
        #undef Py_BEGIN_CRITICAL_SECTION
        #undef Py_END_CRITICAL_SECTION
        #undef Py_BEGIN_CRITICAL_SECTION2
        #undef Py_END_CRITICAL_SECTION2
        #define Py_BEGIN_CRITICAL_SECTION(op) {
        #define Py_END_CRITICAL_SECTION() }
        #define Py_BEGIN_CRITICAL_SECTION2(a, b) {
        #define Py_END_CRITICAL_SECTION2() }
        """,
    )
    spec = importlib.util.spec_from_file_location("_core", path)
    unlocked = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(unlocked)
    with pytest.raises(AssertionError):
        for _ in range(50 * ROUNDS):  # ends with the first that fails, on a busy machine too
            race(unlocked)


def gil_after_import(module, folder):
    """Import a module in a fresh process; return its output: is the GIL on?"""
    clean = {name: value for name, value in os.environ.items() if name != "PYTHON_GIL"}
    code = f"import sys, {module}; print(sys._is_gil_enabled())"
    command = [sys.executable, "-W", "ignore", "-c", code]
    done = subprocess.run(command, env=clean, cwd=folder, capture_output=True, text=True)
    return done.stdout + done.stderr


@own_threads
@free_threaded
def test_importing_keeps_the_gil_off(tmp_path):
    assert gil_after_import("acme", tmp_path) == "False\n"


@own_threads
@free_threaded
def test_a_build_without_the_declaration_brings_the_gil_back(tmp_path):
    build(tmp_path, "#undef Py_mod_gil")
    assert gil_after_import("_core", tmp_path) == "True\n"

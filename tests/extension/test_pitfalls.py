"""The mistakes in docs/pitfalls.md that no other test shows really go wrong."""

import ctypes
import os
import re
import sys
import threading
import weakref
from functools import partial
from types import SimpleNamespace

import pytest

from ftdemo.interpreter import FREE_THREADED

pytestmark = [pytest.mark.slow, pytest.mark.thread_unsafe(reason="starts threads and processes")]

since_3_14 = pytest.mark.skipif(sys.version_info < (3, 14), reason="its functions came with 3.14")
api = ctypes.pythonapi

TWO_OFFENDERS = """
import importlib.util, sys
import ftdemo
path = importlib.util.find_spec("ftdemo._legacy").origin
for name in sys.argv[1:]:
    spec = importlib.util.spec_from_file_location(name, path)
    spec.loader.exec_module(importlib.util.module_from_spec(spec))
"""


@pytest.mark.all_modules
@pytest.mark.free_threaded
@pytest.mark.parametrize("names", [["one._legacy", "two._legacy"], ["two._legacy", "one._legacy"]])
def test_only_the_first_module_causes_a_warning(fresh_python, names):
    done = fresh_python("-W", "always", "-c", TWO_OFFENDERS, *names)
    assert re.findall(r"to load module '(.+?)'", done.stderr) == names[:1]
    verbose = fresh_python("-v", "-c", TWO_OFFENDERS, *names)
    named = re.findall(r"^# loading module '(.+?)', which requires", verbose.stderr, re.M)
    assert named == (names if sys.version_info < (3, 15) else names[1:])


def test_a_parallel_test_plugin_swallows_warnings(fresh_python, tmp_path):
    """It swallows them even if they are errors."""
    pytest.importorskip("pytest_run_parallel")
    test = tmp_path / "test_it.py"
    test.write_text("import warnings\ndef test(): warnings.warn('lost', RuntimeWarning)\n")
    pytest_it = ("-m", "pytest", "-p", "no:cacheprovider", "-c", os.devnull, "-W", "error")
    assert "1 failed" in fresh_python(*pytest_it, str(test)).stdout
    assert "1 passed" in fresh_python(*pytest_it, "--parallel-threads=2", str(test)).stdout


LEFT = """
import importlib.util, os, sys, time
spec = importlib.util.spec_from_file_location("critical_sections", sys.argv[1])
sections = importlib.util.module_from_spec(spec)
spec.loader.exec_module(sections)
thing = object()
sections.section(thing, lambda: None)
before = sections.held(thing)
sections.leave(thing)
if before or not sections.held(thing):
    os._exit(0)
time.sleep(0.01)  # detaches, which suspends the sections of this thread
os._exit(0)
"""


@pytest.mark.free_threaded
def test_return_inside_a_section_keeps_the_lock(fresh_python, sections):
    """There is no warning, the lock stays held, and the next detach crashes the process."""
    assert fresh_python("-c", LEFT, sections.__file__).returncode != 0


@pytest.mark.free_threaded
def test_decref_inside_a_section_may_suspend_it(sections, in_threads):
    """The __del__ method blocks, and meanwhile another thread enters the same section."""
    thing, dropped, entered = SimpleNamespace(), threading.Event(), threading.Event()

    class Last:
        def __del__(self):
            dropped.set()
            entered.wait()  # for ever, if the section were not suspended

    def drop():
        last = Last()
        del last

    def enter():
        dropped.wait()
        sections.section(thing, entered.set)

    in_threads(partial(sections.section, thing, drop), enter)
    assert entered.is_set()


@pytest.mark.skipif(sys.version_info < (3, 13), reason="PyDict_GetItemRef came with 3.13")
@pytest.mark.parametrize("borrowed", [True, False])
def test_a_borrowed_reference_is_not_kept_alive(in_threads, borrowed):
    class Value:
        pass

    things = {"key": Value()}
    alive = weakref.ref(things["key"])
    if borrowed:
        borrow = ctypes.PYFUNCTYPE(ctypes.c_void_p, ctypes.py_object, ctypes.py_object)
        found = borrow(("PyDict_GetItemWithError", api))(things, "key")
    else:
        found = ctypes.py_object()
        api.PyDict_GetItemRef(
            ctypes.py_object(things), ctypes.py_object("key"), ctypes.byref(found)
        )
    in_threads(things.clear)  # before a Py_INCREF
    assert found
    assert (alive() is None) is borrowed


@since_3_14
def test_reference_count_1_while_another_thread_has_the_object(in_threads):
    """Another thread can turn a weak reference into a strong one at any time."""

    class Thing:
        pass

    count = ctypes.PYFUNCTYPE(ctypes.c_ssize_t, ctypes.c_void_p)(("Py_REFCNT", api))
    only = ctypes.PYFUNCTYPE(ctypes.c_int, ctypes.c_void_p)(
        ("PyUnstable_Object_IsUniquelyReferenced", api)
    )
    thing = Thing()
    assert (count(id(thing)), only(id(thing))) == (1, 1)
    reference = weakref.ref(thing)
    assert count(id(thing)) == 1
    assert only(id(thing)) == (not FREE_THREADED)
    (theirs,) = in_threads(reference)
    assert theirs is thing
    assert count(id(thing)) == 2
    made_there = in_threads(Thing).pop()
    assert count(id(made_there)) == 1
    assert only(id(made_there)) == (not FREE_THREADED)


@since_3_14
@pytest.mark.free_threaded
def test_collector_takes_a_buffer_from_the_object_allocator_for_an_object():
    """It gets the memory of a freed object, whose count a lock-free reader may still write."""
    size = object.__basicsize__

    def buffer_in_place_of_an_object(malloc, free):
        allocate = ctypes.PYFUNCTYPE(ctypes.c_void_p, ctypes.c_size_t)((malloc, api))
        release = ctypes.PYFUNCTYPE(None, ctypes.c_void_p)((free, api))
        dead = id(object())
        buffers = [allocate(size) for _ in range(10_000)]
        try:
            if dead in buffers:
                ctypes.memset(dead, 0xAA, size)
                count_in = ctypes.PYFUNCTYPE(ctypes.c_int, ctypes.c_void_p)
                count_in(("PyUnstable_TryIncRef", api))(dead)
                return ctypes.string_at(dead, size)
        finally:
            for buffer in buffers:
                release(buffer)
        return None

    assert buffer_in_place_of_an_object("PyMem_Malloc", "PyMem_Free") is None
    found = buffer_in_place_of_an_object("PyObject_Malloc", "PyObject_Free")
    assert found not in {None, b"\xaa" * size}


# As on Windows, where pyconfig.h does not define it and the build has to.
FORGOTTEN = """
#include <pyconfig.h>
#undef Py_GIL_DISABLED
#include <Python.h>

static PyMethodDef methods[] = {{NULL, NULL, 0, NULL}};

#define MODULE forgotten
#include "module_end.h"
"""


@pytest.mark.free_threaded
def test_module_compiled_without_py_gil_disabled_is_for_the_gil_build(fresh_python, compiled):
    """Yet it has this build's file name, compiles without a warning, and is found."""
    built = compiled("forgotten", FORGOTTEN)
    done = fresh_python("-c", "import forgotten", env={"PYTHONPATH": str(built.parent)})
    assert "possibly compiled for non-free-threaded Python" in done.stderr or (
        sys.version_info < (3, 15) and "returned uninitialized object" in done.stderr
    )

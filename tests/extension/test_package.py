"""The installed files: the package and its type stubs, but no C sources."""

import importlib
import importlib.metadata
import inspect
import os
import sys
import sysconfig

import pytest

import ftdemo
from ftdemo import _ready
from ftdemo.own import declarations
from ftdemo.threadsafety import level_of


def test_no_sources_or_tests_are_installed():
    files = importlib.metadata.files("ftdemo")
    if any(path.name == "direct_url.json" and "editable" in path.read_text() for path in files):
        pytest.skip("an editable installation")
    assert any(path.name == "py.typed" for path in files)
    strays = [f for f in files if f.suffix in {".c", ".h"} or "tests" in f.parts]
    assert [f for f in strays if f.parts[:2] != ("ftdemo", "template")] == []


@pytest.mark.all_modules
def test_ready_and_legacy_have_the_same_public_names(fresh_python):
    program = "import ftdemo, ftdemo.legacy; print(ftdemo.__all__ == ftdemo.legacy.__all__)"
    assert fresh_python("-W", "ignore", "-c", program).stdout == "True\n"
    assert all(getattr(ftdemo, name) is getattr(_ready, name) for name in ftdemo.__all__)


def documented():
    """Yield every public function, type, method and attribute of the extension modules."""
    for declaration in declarations():
        if declaration.brings_gil_back:
            continue
        module = importlib.import_module(declaration.name)
        for name, thing in vars(module).items():
            if name.startswith("_"):
                continue
            yield f"{module.__name__}.{name}", thing
            if inspect.isclass(thing):
                for member, value in vars(thing).items():
                    if not member.startswith("_"):
                        yield f"{module.__name__}.{name}.{member}", value


@pytest.mark.parametrize(("name", "thing"), list(documented()))
def test_docstrings_end_with_a_thread_safety_level(name, thing):
    assert level_of(thing.__doc__), f"{name}: {thing.__doc__!r}"
    if callable(thing):
        inspect.signature(thing)


@pytest.mark.skipif("CIBUILDWHEEL_BUILD_IDENTIFIER" not in os.environ, reason="for cibuildwheel")
def test_cibuildwheel_tests_the_wheel_that_it_built():
    """For example, cp314t-manylinux_x86_64 is tested with 3.14t and extensions named for it."""
    build = os.environ["CIBUILDWHEEL_BUILD_IDENTIFIER"].partition("-")[0]
    threaded = "t" if sysconfig.get_config_var("Py_GIL_DISABLED") else ""
    assert build == f"cp{sys.version_info.major}{sys.version_info.minor}{threaded}"
    suffix = sysconfig.get_config_var("EXT_SUFFIX")
    assert _ready.__file__.endswith(suffix) or ".abi3t" in _ready.__file__

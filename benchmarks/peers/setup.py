"""The peers that are compiled. Each is built as its toolkit would build it, where that is possible.

On top come the interpreter's own flags, -O3 in most, as they do for ftdemo. A toolkit that is not
installed or does not compile is named on stderr and left out; `python -m peers.contract` says so.
"""

import shutil
import sys
import sysconfig
from collections.abc import Callable
from pathlib import Path

from setuptools import Extension, setup

WINDOWS = sys.platform == "win32"
FREE_THREADED = bool(sysconfig.get_config_var("Py_GIL_DISABLED"))


def cython() -> Extension:
    from Cython.Build import cythonize

    source = Extension("peers.cython_section", ["peers/cython_section.pyx"])
    (extension,) = cythonize([source], build_dir="build")
    return extension


def nanobind() -> Extension:
    """Compile nanobind into the module: as its CMake does for Release, but not for small size."""
    import nanobind

    root = Path(nanobind.include_dir()).parent
    options = ["-std=c++17", "-fvisibility=hidden", "-fno-strict-aliasing", "-fno-stack-protector"]
    macros = [("NDEBUG", None), ("NB_COMPACT_ASSERTIONS", None)]
    return Extension(
        "peers.nanobind_lock",
        ["peers/nanobind_lock.cpp", "peers/nanobind_core.cpp"],
        language="c++",
        include_dirs=[str(root / path) for path in ("include", "src", "ext/robin_map/include")],
        define_macros=[*macros, ("NB_FREE_THREADED", None)] if FREE_THREADED else macros,
        extra_compile_args=["/std:c++17", "/EHsc", "/GS-"] if WINDOWS else options,
    )


def pybind11() -> Extension:
    from pybind11.setup_helpers import Pybind11Extension

    return Pybind11Extension("peers.pybind11_mutex", ["peers/pybind11_mutex.cpp"], cxx_std=17)


def limits() -> Extension:
    """Compile what ftdemo itself is compiled with, for what nothing can be faster than."""
    return Extension("peers.limits", ["peers/limits.c"], include_dirs=["../../csrc"])


def possible(*toolkits: Callable[[], Extension]) -> list[Extension]:
    extensions = []
    for toolkit in toolkits:
        try:
            extension = toolkit()
        except ImportError as error:
            print(f"peers: {toolkit.__name__} is left out: {error}", file=sys.stderr)
        else:
            extension.optional = True  # setuptools goes on without it, and says why
            extensions.append(extension)
    return extensions


# What an earlier build left there would go into the wheel, even where it cannot be built now.
shutil.rmtree("build", ignore_errors=True)
setup(ext_modules=possible(limits, cython, nanobind, pybind11))

"""Compile the peers, each with the options of its toolkit if possible.

The interpreter's flags, usually with -O3, are added, as for ftdemo. A toolkit that is not installed
or does not compile is named on stderr and skipped; `python -m peers.contract` says it is missing.
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
    """Compile nanobind into the module, like its CMake Release build but not for small size."""
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
    """Compile the lower bounds with the same options as ftdemo."""
    return Extension("peers.limits", ["peers/limits.c"], include_dirs=["../../csrc"])


def possible(*toolkits: Callable[[], Extension]) -> list[Extension]:
    extensions = []
    for toolkit in toolkits:
        try:
            extension = toolkit()
        except ImportError as error:
            print(f"peers: {toolkit.__name__} is left out: {error}", file=sys.stderr)
        else:
            extension.optional = True  # setuptools prints why it fails, and continues
            extensions.append(extension)
    return extensions


# Files of an earlier build would go into the wheel, even if they can no longer be built.
shutil.rmtree("build", ignore_errors=True)
setup(ext_modules=possible(limits, cython, nanobind, pybind11))

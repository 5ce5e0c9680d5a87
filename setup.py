"""The extension modules. All that is static about the project is in pyproject.toml.

With FTDEMO_ABI3T=1, on a free-threaded 3.15 or later, the wheel is for the stable ABI of both
builds (PEP 803): one file for 3.15, 3.15t and all that come after. It has _ready alone.
"""

import os
import sys
import sysconfig
from glob import glob

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

ABI3T = bool(os.environ.get("FTDEMO_ABI3T"))
ABI3T_SINCE = (3, 15)

# Only PyInit_* leaves an extension. (MSVC exports nothing else by itself.)
compile_args = [] if sys.platform == "win32" else ["-fvisibility=hidden"]
if os.environ.get("FTDEMO_WERROR"):  # set in CI, where the compiler is known
    compile_args += ["/W4", "/WX"] if sys.platform == "win32" else ["-Wall", "-Wextra", "-Werror"]


def extension(name: str, *sources: str) -> Extension:
    # setuptools defines Py_GIL_DISABLED on Windows, where pyconfig.h is shared by both builds.
    return Extension(
        name,
        sorted(sources),
        include_dirs=["csrc"],
        depends=[*glob("csrc/*.h"), *glob("csrc/*/*.h")],
        extra_compile_args=compile_args,
        define_macros=[("Py_TARGET_ABI3T", "0x030f0000")] if ABI3T else [],
        py_limited_api=ABI3T,
    )


class BuildWithoutInit(build_ext):
    """On Windows, setuptools has the linker export PyInit_*, which PyModExport_* replaces."""

    def get_export_symbols(self, ext: Extension) -> list[str]:
        return list(ext.export_symbols)


# Free-threading-ready: the module that ftdemo's public names come from.
modules = [extension("ftdemo._ready", *glob("csrc/ready/*.c"))]
options = {}
if ABI3T:
    if sys.version_info < ABI3T_SINCE or not sysconfig.get_config_var("Py_GIL_DISABLED"):
        # setuptools names file and wheel for both builds only where it runs on this one.
        sys.exit("FTDEMO_ABI3T needs a free-threaded CPython 3.15 or later to build with")
    options = {
        "bdist_wheel": {"py_limited_api": "cp315"},
        # All that lies in build/lib... goes into a wheel, modules of an earlier build included.
        "build": {"build_base": "build/abi3t"},
    }
else:
    modules += [
        # The same before the port, kept so that there is something to compare with.
        extension("ftdemo._legacy", *glob("csrc/legacy/*.c")),
        # How a module without slots declares itself.
        extension("ftdemo._single_phase", "csrc/single_phase.c"),
        # A look at what the free-threaded build puts in front of every object.
        extension("ftdemo._object_header", "csrc/object_header.c"),
        # What `ftdemo stress` has threads meet with.
        extension("ftdemo._stress", "csrc/stress.c"),
    ]

setup(
    ext_modules=modules,
    cmdclass={"build_ext": BuildWithoutInit} if ABI3T else {},
    options=options,
)

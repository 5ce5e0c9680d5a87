"""Define the extension modules; pyproject.toml has all static metadata.

With FTDEMO_ABI3T=1, on a free-threaded 3.15 or later, the wheel is for the stable ABI of both
builds (PEP 803): one file for 3.15, 3.15t and all later versions. It contains only _ready.
"""

import os
import sys
import sysconfig
from glob import glob

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

ABI3T = bool(os.environ.get("FTDEMO_ABI3T"))
ABI3T_SINCE = (3, 15)

# An extension exports only its init function. (MSVC exports nothing else by default.)
compile_args = [] if sys.platform == "win32" else ["-fvisibility=hidden"]
if os.environ.get("FTDEMO_WERROR"):  # set by nox and CI
    compile_args += ["/W4", "/WX"] if sys.platform == "win32" else ["-Wall", "-Wextra", "-Werror"]


def extension(name: str, *sources: str) -> Extension:
    # On Windows, both builds share one pyconfig.h, and setuptools defines Py_GIL_DISABLED.
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
    """Do not export PyInit_*, which setuptools does on Windows and PyModExport_* replaces."""

    def get_export_symbols(self, ext: Extension) -> list[str]:
        return list(ext.export_symbols)


# The module that is ready for free threading; ftdemo's public names come from it.
modules = [extension("ftdemo._ready", *glob("csrc/ready/*.c"))]
options = {}
if ABI3T:
    if sys.version_info < ABI3T_SINCE or not sysconfig.get_config_var("Py_GIL_DISABLED"):
        # Only on this build does setuptools give file and wheel the names for both builds.
        sys.exit(
            "FTDEMO_ABI3T=1 needs a free-threaded CPython 3.15 or later as the build interpreter"
        )
    options = {
        "bdist_wheel": {"py_limited_api": "cp315"},
        # A wheel contains everything in build/lib..., including modules of an earlier build.
        "build": {"build_base": "build/abi3t"},
    }
else:
    modules += [
        # The same module before the port, for comparison.
        extension("ftdemo._legacy", *glob("csrc/legacy/*.c")),
        # A module without slots, which declares free-threading support with a function call.
        extension("ftdemo._single_phase", "csrc/single_phase.c"),
        # Shows the object header of the free-threaded build.
        extension("ftdemo._object_header", "csrc/object_header.c"),
        # Lets the threads of `ftdemo stress` call at the same time.
        extension("ftdemo._stress", "csrc/stress.c"),
    ]

setup(
    ext_modules=modules,
    cmdclass={"build_ext": BuildWithoutInit} if ABI3T else {},
    options=options,
)

"""The extension modules. All that is static about the project is in pyproject.toml."""

import os
import sys
from glob import glob

from setuptools import Extension, setup

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
    )


setup(
    ext_modules=[
        # Free-threading-ready: the module that ftdemo's public names come from.
        extension("ftdemo._ready", *glob("csrc/ready/*.c")),
        # The same before the port, kept so that there is something to compare with.
        extension("ftdemo._legacy", *glob("csrc/legacy/*.c")),
        # How a module without slots declares itself.
        extension("ftdemo._single_phase", "csrc/single_phase.c"),
        # A look at what the free-threaded build puts in front of every object.
        extension("ftdemo._object_header", "csrc/object_header.c"),
    ]
)

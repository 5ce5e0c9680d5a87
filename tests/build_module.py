"""Compile a C source in the current folder to an extension module in the same folder.

    python tests/build_module.py NAME.c [FLAG ...]

The source may include compat.h from csrc, and module_end.h from the folder of this file.
"""

import sys
from pathlib import Path

from setuptools import Extension, setup

HERE = Path(__file__).resolve().parent
source, *flags = sys.argv[1:]
name = Path(source).stem
setup(
    name=name,
    packages=[],
    script_args=["-q", "build_ext", "--inplace"],
    ext_modules=[
        Extension(
            name,
            [source],
            include_dirs=[str(HERE), str(HERE.parent / "csrc")],
            extra_compile_args=flags,
        )
    ],
)

"""How to build the extension module. pyproject.toml has everything else."""

import os
import sys

from setuptools import Extension, setup

flags = []
if os.environ.get("ACME_WERROR"):  # set by nox and in CI
    flags = ["/W3", "/WX"] if sys.platform == "win32" else ["-Wall", "-Wextra", "-Werror"]

core = Extension("acme._core", ["csrc/_core.c"], extra_compile_args=flags)
setup(ext_modules=[core])

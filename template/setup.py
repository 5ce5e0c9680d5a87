"""The extension module. All that is static about the project is in pyproject.toml."""

import os
import sys

from setuptools import Extension, setup

flags = []
if os.environ.get("ACME_WERROR"):  # set by nox and in CI
    flags = ["/W3", "/WX"] if sys.platform == "win32" else ["-Wall", "-Wextra", "-Werror"]

core = Extension("acme._core", ["csrc/_core.c"], extra_compile_args=flags)
setup(ext_modules=[core])

"""ftdemo lint: find code in an extension's C and C++ sources that relied on the GIL."""

from ftdemo.lint.api import Finding, LintError, Module, NotAnalysed, Result, lint

__all__ = ["Finding", "LintError", "Module", "NotAnalysed", "Result", "lint"]

"""The lint: what in an extension's C and C++ sources relied on the GIL."""

from ftdemo.lint.api import Finding, LintError, Module, NotAnalysed, Result, lint

__all__ = ["Finding", "LintError", "Module", "NotAnalysed", "Result", "lint"]

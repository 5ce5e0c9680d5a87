"""Stress: what goes wrong when threads share the objects of an extension.

Two operations on one object, at the same time, must come to what one order of them, one after the
other, comes to. The object itself is the oracle.
"""

from ftdemo.stress.results import Finding, Result, Skipped, TypeResult
from ftdemo.stress.run import Progress, TargetError, stress

__all__ = ["Finding", "Progress", "Result", "Skipped", "TargetError", "TypeResult", "stress"]

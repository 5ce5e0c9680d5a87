"""Stress: what goes wrong when threads share the objects of an extension.

Two operations on one object, at the same time, must come to what one order of them, one after the
other, comes to. The object itself is the oracle.
"""

from pathlib import Path

from ftdemo.check import TargetError
from ftdemo.stress.results import Finding, Result, Skipped, TypeResult
from ftdemo.stress.run import InterruptedStress, list_types, stress
from ftdemo.stress.session import Progress

__all__ = [
    "SCHEMA",
    "Finding",
    "InterruptedStress",
    "Progress",
    "Result",
    "Skipped",
    "TargetError",
    "TypeResult",
    "list_types",
    "stress",
]

SCHEMA = Path(__file__).with_name("schema.json")  # of what `ftdemo stress --json` prints

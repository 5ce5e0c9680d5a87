"""Stress: find out what goes wrong when threads share the objects of an extension.

Operations that run on one object at the same time must have the same result as running them one
after the other, in some order. The expected results come from the object itself, called by one
thread at a time.
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

SCHEMA = Path(__file__).with_name("schema.json")  # describes the output of `ftdemo stress --json`

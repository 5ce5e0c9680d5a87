"""The rules, one file per family. To add a rule, write a function with @rule in a fitting file."""

from ftdemo.lint.rules import (
    conventions,
    declaration,
    detached,
    fields,
    locks,
    references,
    statics,
)
from ftdemo.lint.rules.rule import RULES, Found, Rule

__all__ = [
    "RULES",
    "Found",
    "Rule",
    "conventions",
    "declaration",
    "detached",
    "fields",
    "locks",
    "references",
    "statics",
]

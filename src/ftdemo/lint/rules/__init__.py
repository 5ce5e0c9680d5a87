"""The rules, a file for each family. To add one, write a function with @rule in the file it fits."""

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

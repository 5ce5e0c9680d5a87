"""Read comments `/* ftdemo: ignore[rule] reason */`, and find those that suppress nothing."""

import re
from typing import NamedTuple

from ftdemo.lint.preprocess import Comment

IGNORE = re.compile(r"ftdemo:\s*ignore(?:\[([^\]]*)\])?")


class Ignore(NamedTuple):
    """An ignore: its line, the lines that it covers, and the rules (none: all rules)."""

    line: int
    first: int
    last: int
    rules: tuple[str, ...]

    def covers(self, rule: str, line: int, end_line: int) -> bool:
        """Tell whether it covers a finding: on its first or last line, or directly above."""
        if self.rules and rule not in self.rules:
            return False
        return self.first <= line <= self.last or self.first <= end_line <= self.last


def ignores(comments: list[Comment]) -> list[Ignore]:
    """Find the ignores among the comments of a file."""
    found = []
    for comment in comments:
        match = IGNORE.search(comment.text)
        if match is not None:
            rules = tuple(name.strip() for name in (match[1] or "").split(",") if name.strip())
            below = comment.end_line + 1 if comment.alone else comment.end_line
            first = below if comment.alone else comment.line
            found.append(Ignore(comment.line, first, below, rules))
    return found

"""Read comments `/* ftdemo: ignore[rule] reason */`, and find those that suppress nothing."""

import re
from typing import NamedTuple

from ftdemo.lint.preprocess import Comment

IGNORE = re.compile(r"ftdemo:\s*ignore(?:\[([^\]]*)\])?")


class Ignore(NamedTuple):
    """An ignore: its line, the lines whose findings it covers, and the rules (none: all rules).

    It covers a finding that begins or ends on its own line or directly below.
    """

    line: int
    first: int
    last: int
    rules: tuple[str, ...]


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

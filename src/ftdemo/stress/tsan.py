"""Read the reports of ThreadSanitizer, on an interpreter that is built with it."""

import json
import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from ftdemo.stress_child import MARK

_WARNING = "WARNING: ThreadSanitizer: "
_LINE = "=================="
_FRAME = re.compile(r"^ +#\d+ (?P<function>\S+) (?P<place>\S+:\d+)\S* \((?P<file>[^+)]+)\+0x")
MOST_LINES = 30


class Report(NamedTuple):
    """One report: the operations, the first line of the target's sources in it, and its text."""

    labels: tuple[str, ...]
    place: str
    text: str


def reports(errors: str, modules: Sequence[str]) -> Iterator[Report]:
    """Yield the reports that name a source line of these modules, each line once."""
    names = {module.rpartition(".")[2] for module in modules}
    labels: tuple[str, ...] = ()
    block: list[str] | None = None
    given: set[str] = set()
    for line in errors.splitlines():
        if line.startswith(MARK):
            labels, block = tuple(json.loads(line.removeprefix(MARK))), None
        elif line.startswith(_WARNING):
            block = [line]
        elif block is not None and line == _LINE:
            place = _place(block, names)
            if place and place not in given:
                given.add(place)
                yield Report(labels, place, "\n".join([place, *block[:MOST_LINES]]))
            block = None
        elif block is not None:
            block.append(line)


def _place(block: Sequence[str], names: set[str]) -> str:
    for line in block:
        frame = _FRAME.match(line)
        if frame and frame["file"].rpartition("/")[2].partition(".")[0] in names:
            return frame["place"]
    return ""

"""What each demo uses: the form of what it found, its reasons to show nothing, and its clock."""

import sys
import time
from collections.abc import Callable, Iterator
from typing import NamedTuple

from ftdemo.interpreter import cores
from ftdemo.own import READY_ALONE

# How long a demo looks for what it claims. It stops as soon as that is clear, so that a busy
# machine takes longer, and only a claim that is wrong takes this long.
DEADLINE = 30.0
# What a demo starts is given up after this; it ends long before.
CHILD_TIMEOUT = 60.0


class Finding(NamedTuple):
    """What a demo found: whether its claim was seen, in words, and in figures."""

    seen: bool
    detail: str
    measured: dict[str, object]


class SkipDemo(Exception):  # noqa: N818 - not an error
    """Nothing can be shown here; the message is the reason."""


def attempts(seconds: float | None = None) -> Iterator[int]:
    """Count attempts: at least one, and more until a deadline."""
    deadline = time.monotonic() + (DEADLINE if seconds is None else seconds)
    attempt = 0
    while not attempt or time.monotonic() < deadline:
        attempt += 1
        yield attempt


def need_two_cores() -> None:
    """Skip the demo where threads cannot run at the same time anyway."""
    if cores() < 2:
        raise SkipDemo("needs two cores, and there is one")


def need_module(name: str) -> None:
    """Skip the demo where there is no such module. Does not import it."""
    if READY_ALONE:
        raise SkipDemo(f"needs {name}, which is not in the wheel for the stable ABI")


def switch_often() -> None:
    """With the GIL, let threads take turns as often as they can: what is rare is seen sooner."""
    sys.setswitchinterval(1e-6)


def seconds_of(function: Callable[[], object]) -> float:
    """Time one call."""
    start = time.perf_counter()
    function()
    return time.perf_counter() - start

"""What all demos share: the type of a finding, reasons to skip a demo, and timing."""

import sys
import time
from collections.abc import Callable, Iterator
from typing import NamedTuple

from ftdemo.interpreter import cores
from ftdemo.own import READY_ALONE

# How long a demo tries to see its claim, in seconds. It stops when the result is clear: a busy
# machine takes longer, but only a wrong claim takes this long.
DEADLINE = 30.0
# A demo kills a child after this many seconds. Children normally end long before.
CHILD_TIMEOUT = 60.0


class Finding(NamedTuple):
    """What a demo found: whether it saw its claim, the details in words, and the measurements."""

    seen: bool
    detail: str
    measured: dict[str, object]


class SkipDemo(Exception):  # noqa: N818 - not an error
    """The demo cannot run on this interpreter or machine; the message is the reason."""


def attempts(seconds: float | None = None) -> Iterator[int]:
    """Count attempts: at least one, then more until a deadline."""
    deadline = time.monotonic() + (DEADLINE if seconds is None else seconds)
    attempt = 0
    while not attempt or time.monotonic() < deadline:
        attempt += 1
        yield attempt


def need_two_cores() -> None:
    """Skip the demo on one core, where threads cannot run in parallel."""
    if cores() < 2:
        raise SkipDemo("needs two cores; this process may use one")


def need_module(name: str) -> None:
    """Skip the demo if the wheel for abi3t is installed, which lacks the module name."""
    if READY_ALONE:
        raise SkipDemo(f"needs {name}, which is not in the wheel for the stable ABI (abi3t)")


def switch_often() -> None:
    """With the GIL, switch threads as often as possible, which makes rare races frequent."""
    sys.setswitchinterval(1e-6)


def seconds_of(function: Callable[[], object]) -> float:
    """Return how long one call takes, in seconds."""
    start = time.perf_counter()
    function()
    return time.perf_counter() - start

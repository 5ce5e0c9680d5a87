"""What all demos share: the type of a finding, reasons to skip a demo, children, and timing."""

import json
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from ftdemo.interpreter import cores
from ftdemo.own import READY_ALONE
from ftdemo.processes import ending, run_python

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


def call_in_child(function: Callable[..., object], *arguments: object, options: str = "") -> Any:
    """Call a function in a fresh interpreter; return its result, or in words how it ended."""
    call = f"{function.__name__}(*{arguments!r})"
    program = f"import json; from {function.__module__} import *; print(json.dumps({call}))"
    done = run_python("-P", *options.split(), "-c", program, timeout=CHILD_TIMEOUT)
    return ending(done.returncode, CHILD_TIMEOUT) if done.returncode else json.loads(done.stdout)


def switch_often() -> None:
    """With the GIL, switch threads as often as possible, which makes rare races frequent."""
    sys.setswitchinterval(1e-6)


def seconds_of(function: Callable[[], object]) -> float:
    """Return how long one call takes, in seconds."""
    start = time.perf_counter()
    function()
    return time.perf_counter() - start

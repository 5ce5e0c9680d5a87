"""What the demos share: what is found, threads that start together, and fresh interpreters."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple, TypeVar

from ftdemo import _ready
from ftdemo.check import interpreter

T = TypeVar("T")

# The wheel for the stable ABI of both builds has ftdemo._ready alone.
ABI3T = ".abi3t" in Path(_ready.__file__).name
FREE_THREADED = interpreter.describe()["free_threaded"]
is_gil_enabled: Callable[[], bool] = getattr(sys, "_is_gil_enabled", lambda: True)

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


def cores() -> int:
    """How many cores this process may use."""
    if hasattr(os, "process_cpu_count"):  # 3.13
        return os.process_cpu_count() or 1
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def need_two_cores() -> None:
    """Skip the demo where threads cannot run at the same time anyway."""
    if cores() < 2:
        raise SkipDemo("needs two cores, and there is one")


def need_module(name: str) -> None:
    """Skip the demo where there is no such module. Does not import it."""
    if ABI3T:
        raise SkipDemo(f"needs {name}, which is not in the wheel for the stable ABI (abi3t)")


def in_threads(*functions: Callable[[], T]) -> list[T]:
    """Call each function in a thread of its own, all from one barrier; give their results.

    What is raised in a thread is raised here.
    """
    barrier = threading.Barrier(len(functions))
    results: dict[int, T] = {}
    errors: list[BaseException] = []

    def call(index: int, function: Callable[[], T]) -> None:
        barrier.wait()
        try:
            results[index] = function()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=call, args=pair) for pair in enumerate(functions)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
    return [results[index] for index in range(len(functions))]


def switch_often() -> None:
    """With the GIL, let threads take turns as often as they can: what is rare is seen sooner."""
    sys.setswitchinterval(1e-6)


def seconds_of(function: Callable[[], object]) -> float:
    """Time one call."""
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def run_python(
    *arguments: str, env: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run this interpreter anew, without PYTHON_GIL unless env has it."""
    return subprocess.run(
        [sys.executable, "-P", *arguments],
        env=interpreter.clean_environment() | (env or {}),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=CHILD_TIMEOUT,
        check=False,
    )

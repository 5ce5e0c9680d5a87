"""How all is measured: in turn, in short windows. Only what was measured together is compared.

A machine may change its speed by half within a minute. So all cases have their turn in each window,
in another order each time, and a ratio is that of two figures of one window; of all windows it is
the median, with the quartiles. What took less than was subtracted from it counts as nothing.
"""

import math
import platform
import random
import statistics
import subprocess
import sys
import sysconfig
import time
import timeit
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from ftdemo.interpreter import FREE_THREADED, cores, is_gil_enabled
from ftdemo.threads import in_threads

# Runs so many operations, and gives the seconds that they took.
Case = Callable[[int], float]
# The seconds that one operation took, in each window.
Times = dict[str, list[float]]


class Plan(NamedTuple):
    """How long to measure: so many windows, in which each case has so many seconds."""

    windows: int
    seconds: float


class Figure(NamedTuple):
    """The median and the quartiles of what the windows gave."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: list[float]) -> "Figure":
        low, median, high = statistics.quantiles(values, n=4, method="inclusive")
        return cls(median, low, high)


def statement(code: str, setup: str = "pass", **names: object) -> Case:
    """Make a case of a statement: code of its own, which specializes for these objects alone."""
    return timeit.Timer(code, setup, globals=names).timeit


def calibrate(case: Case, seconds: float) -> int:
    """Find how many operations take so long."""
    number = 1
    while (took := case(number)) < seconds / 2:
        number *= 2 if took > seconds / 20 else 10
    return max(1, round(number * seconds / took))


def interleave(cases: Mapping[str, Case], plan: Plan) -> Times:
    """Measure the cases in turn; seconds per operation."""
    numbers = {name: calibrate(case, plan.seconds) for name, case in cases.items()}
    times: Times = {name: [] for name in cases}
    for window in range(plan.windows):
        for name in random.Random(window).sample(list(cases), len(cases)):
            times[name].append(cases[name](numbers[name]) / numbers[name])
    return times


def minus(times: list[float], loop: list[float]) -> list[float]:
    """Subtract, window by window."""
    return [max(each - empty, 0.0) for each, empty in zip(times, loop, strict=True)]


def ratios(times: list[float], base: list[float]) -> list[float]:
    """Divide, window by window; there is a figure for each, so that others can be divided by it."""
    return [each / by if by else math.inf for each, by in zip(times, base, strict=True)]


def at_once(*cases: Case) -> Case:
    """Make a case of threads that run a case each; it takes until the last is done."""

    def run(number: int) -> float:
        def call(case: Case) -> tuple[float, float]:
            start = time.perf_counter()
            case(number)
            return start, time.perf_counter()

        starts, ends = zip(*in_threads(*[partial(call, case) for case in cases]), strict=True)
        return max(ends) - min(starts)

    return run


def refuse_if_the_gil_came_on() -> None:
    """End a process whose figures are worthless, and say so."""
    if FREE_THREADED and is_gil_enabled():
        sys.exit("the GIL came on: no figure of this run would be about threads without it")


def interpreter() -> dict[str, Any]:
    """Say what was measured: the interpreter, its state, and how extensions are compiled for it."""
    return {
        "version": sys.version.split()[0],
        "free_threaded": FREE_THREADED,
        "gil_enabled": is_gil_enabled(),
        "compiler": platform.python_compiler(),
        "flags": sysconfig.get_config_var("CFLAGS"),
    }


def machine() -> dict[str, Any]:
    """Say what it was measured on."""
    model = platform.processor()
    information = Path("/proc/cpuinfo")
    if information.exists():
        lines = information.read_text(encoding="utf-8").splitlines()
        model = next((line.partition(": ")[2] for line in lines if "model name" in line), model)
    return {
        "processor": model or platform.machine(),
        "cores": cores(),
        "system": f"{platform.system()} {platform.machine()}",
    }


def commit() -> str:
    """Give the commit of what is measured, and whether it was changed since."""
    described = subprocess.run(
        ["git", "describe", "--always", "--dirty"], capture_output=True, text=True, check=False
    )
    return described.stdout.strip() or "unknown"

"""The same Account six times, and what a call, a conversion and a lock cost, in one process.

    python -X gil=0 benchmarks/operations.py WINDOWS

Prints seconds per operation, of each window, as JSON. Run it where the peers are, with the GIL
forced off: the unlocked twin would bring it back. `loop` is to be subtracted from what is in
Python, `limits.empty` from the other loops of limits.c, whose steps are the operations.
"""

import importlib
import json
import sys
from collections.abc import Callable
from functools import partial
from types import ModuleType

import harness
from harness import Case
from peers import NAMES, contract, limits

import ftdemo
import ftdemo.legacy

SECONDS = 0.002


def accounts() -> dict[str, ModuleType]:
    """Find all that have an Account, and see that each does what ftdemo's does."""
    found = {"ftdemo": ftdemo, "unlocked": ftdemo.legacy}
    for name in NAMES:
        try:
            found[name] = importlib.import_module(f"peers.{name}")
        except ImportError as error:
            print(f"operations: without {name}: {error}", file=sys.stderr)
    for name, module in found.items():
        contract.check_calls(module)
        if name != "unlocked":
            contract.check_threads(module)
    return found


def operations(modules: dict[str, ModuleType]) -> dict[str, Case]:
    """Give one case for each operation of each module."""
    pair = "a, b, transfer = Account(100_000_000), Account(), function"
    cases = {}
    for name, module in modules.items():
        names = {"Account": module.Account, "function": module.transfer}
        cases[f"{name}.deposit"] = harness.statement("a.deposit(1)", "a = Account()", **names)
        cases[f"{name}.transfer"] = harness.statement("transfer(a, b, 1)", pair, **names)
    for name, module in {"ftdemo": ftdemo, "unlocked": ftdemo.legacy}.items():
        new = "c = Checksum()"
        update = harness.statement("c.update(b'x')", new, Checksum=module.Checksum)
        cases[f"{name}.update"] = update
    return cases


def counter() -> dict[str, Case]:
    """Give the increment of an atomic integer, where cereggii can be had: a deposit of 1."""
    try:
        import cereggii
    except ImportError:
        return {}
    new = "n = AtomicInt64(0)"
    increment = harness.statement("n.increment_and_get()", new, AtomicInt64=cereggii.AtomicInt64)
    return {"cereggii.deposit": increment}


def bounds() -> dict[str, Case]:
    """Give what nothing can be faster than."""
    names = {"Account": limits.Account, "nothing": limits.nothing, "convert": limits.convert}
    cases = {"loop": harness.statement("pass")}
    for name in ("nothing", "convert"):
        method = harness.statement(f"a.{name}(1)", "a = Account()", **names)
        pair = f"a, b, call = Account(), Account(), {name}"
        cases[f"method.{name}"] = method
        cases[f"function.{name}"] = harness.statement("call(a, b, 1)", pair, **names)
    for name in ("empty", "add", "atomic_add", "mutex", "section", "section2"):
        cases[f"limits.{name}"] = partial(seconds_of_steps, getattr(limits, name))
    return cases


def seconds_of_steps(loop: Callable[[int], None], steps: int) -> float:
    """Run a loop of limits.c."""
    return harness.statement("loop(steps)", loop=loop, steps=steps)(1)


def main() -> None:
    plan = harness.Plan(int(sys.argv[1]), SECONDS)
    cases = operations(accounts()) | counter() | bounds()
    times = harness.interleave(cases, plan)
    harness.refuse_if_the_gil_came_on()
    print(json.dumps({"interpreter": harness.interpreter(), "times": times}))


if __name__ == "__main__":
    main()

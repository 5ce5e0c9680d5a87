"""Time one call of ftdemo and of each peer, and the speed of threads, in this interpreter.

    python -X gil=0 benchmarks/calls.py WINDOWS

Print, as JSON, the seconds for one operation in each window; benchmarks/run.py uses these. The
option -X gil=0 is needed because importing ftdemo.legacy would bring the GIL back.
"""

import importlib
import json
import platform
import sys
import sysconfig
import time

import cereggii
from peers import NAMES, limits
from timing import Case, in_turn, refuse_if_the_gil_came_on, statement, together

import ftdemo
import ftdemo.legacy
from ftdemo import interpreter
from ftdemo.threads import in_threads

CALL = 0.002  # seconds for one case in one window
THREADS = 0.02


def calls() -> dict[str, Case]:
    """Return one case per call, `WHO.OPERATION`, and one per lock in a loop in C, `loop.LOCK`."""
    modules = {"ftdemo": ftdemo, "legacy": ftdemo.legacy}
    modules |= {name: importlib.import_module(f"peers.{name}") for name in NAMES}
    pair = "a, b, call = Account(100_000_000), Account(), function"
    increment = statement("n.increment_and_get()", "n = make(0)", make=cereggii.AtomicInt64)
    cases = {"empty.loop": statement("pass"), "cereggii.deposit": increment}
    for name, module in modules.items():
        names = {"Account": module.Account, "function": module.transfer}
        cases[f"{name}.deposit"] = statement("a.deposit(1)", "a = Account()", **names)
        cases[f"{name}.transfer"] = statement("call(a, b, 1)", pair, **names)
    for name in ("ftdemo", "legacy"):
        new = modules[name].Checksum
        cases[f"{name}.update"] = statement("c.update(b'x')", "c = Checksum()", Checksum=new)
    for name in ("nothing", "convert"):
        names = {"Account": limits.Account, "function": getattr(limits, name)}
        pair = "a, b, call = Account(), Account(), function"
        cases[f"{name}.deposit"] = statement(f"a.{name}(1)", "a = Account()", **names)
        cases[f"{name}.transfer"] = statement("call(a, b, 1)", pair, **names)
    for name in ("empty", "atomic_add", "mutex", "section", "section2"):
        cases[f"loop.{name}"] = in_c(name)
    return cases


def in_c(name: str) -> Case:
    """Return a case for a loop in limits.c; each step counts as an operation."""
    return lambda steps: statement("loop(n)", loop=getattr(limits, name), n=steps)(1)


def shared(threads: int) -> dict[str, list[Case]]:
    """Return, for each way to share accounts or nothing, one case per thread."""
    every = range(threads)
    one = ftdemo.Account()
    pair = ftdemo.Account(2**60), ftdemo.Account(2**60)
    deposit, names = "a.deposit(1)", vars(ftdemo)
    side_by_side = [ftdemo.Account() for _ in every]
    ways = [pair[:: -1 if thread % 2 else 1] for thread in every]
    transfer = "a, b = way; move = transfer"
    return {
        "C": [in_c("detached") for _ in every],
        "sum_of_squares": [statement("sum_of_squares(1_000_000)", **names) for _ in every],
        "own": [statement(deposit, "a = Account()", **names) for _ in every],
        "side by side": [statement(deposit, "a = it", it=it) for it in side_by_side],
        "one": [statement(deposit, "a = it", it=one) for _ in every],
        "pair": [statement("move(a, b, 1)", transfer, way=way, **names) for way in ways],
    }


def fairness(cases: list[Case]) -> float:
    """Run all threads for the same time; return the smallest amount of work over the largest."""
    until = time.perf_counter() + THREADS

    def keep_on(case: Case) -> int:
        done = 0
        while time.perf_counter() < until:
            case(1000)
            done += 1
        return done

    done = in_threads(*[lambda case=case: keep_on(case) for case in cases])
    return min(done) / max(done)


def main() -> None:
    windows, most = int(sys.argv[1]), interpreter.cores()
    counts = [1, *(2**n for n in range(1, most.bit_length()) if 2**n < most), most]
    by_count = {threads: shared(threads) for threads in dict.fromkeys(counts)}
    threaded = {
        f"{kind}.{threads}": together(*cases)
        for threads, kinds in by_count.items()
        for kind, cases in kinds.items()
    }
    result = {
        "interpreter": {
            **interpreter.describe(),
            "compiler": platform.python_compiler(),
            "flags": sysconfig.get_config_var("CFLAGS"),
        },
        "calls": in_turn(calls(), windows, CALL),
        "threads": in_turn(threaded, windows, THREADS),
        "fairness": {
            kind: [fairness(by_count[most][kind]) for _ in range(windows)]
            for kind in ("own", "one", "pair")
        },
    }
    refuse_if_the_gil_came_on()
    print(json.dumps(result))


if __name__ == "__main__":
    main()

"""Throughput by threads: on objects of their own, on one, on a pair in opposite directions.

    python benchmarks/scaling.py WINDOWS

Prints, as JSON, the seconds that one operation of each of so many threads took, `KIND.THREADS`, in
each window, and how fair it was: what the thread that got least done did, for one that the thread
did that got most done. Beside them is plain C without Python. Start it as users would, without
forcing the GIL off: it refuses to give figures if the GIL came on.
"""

import json
import sys
import time

import harness
from harness import Case
from peers import limits

import ftdemo
from ftdemo.interpreter import cores
from ftdemo.threads import in_threads

SECONDS = 0.03
BATCH = 1000  # operations between looking at the clock


def kinds(threads: int) -> dict[str, list[Case]]:
    """Give for each kind of sharing a case for each thread."""
    side_by_side = [ftdemo.Account() for _ in range(threads)]
    one = ftdemo.Account()
    pair = ftdemo.Account(2**60), ftdemo.Account(2**60)
    every = range(threads)

    def each(code: str, setup: str = "pass", **names: object) -> Case:
        return harness.statement(code, setup, **names, **vars(ftdemo), limits=limits)

    def transfer(a: ftdemo.Account, b: ftdemo.Account) -> Case:
        move = "a, b, move = pair[0], pair[1], transfer"
        return each("move(a, b, 1)", move, pair=(a, b))

    return {
        "loop": [each("pass") for _ in every],
        "own": [each("a.deposit(1)", "a = Account()") for _ in every],
        "side by side": [each("a.deposit(1)", "a = it", it=it) for it in side_by_side],
        "one": [each("a.deposit(1)", "a = it", it=one) for _ in every],
        "pair": [transfer(*pair[:: -1 if thread % 2 else 1]) for thread in every],
        "sum_of_squares": [each("sum_of_squares(1_000_000)") for _ in every],
        "C": [each("limits.detached(1_000_000)") for _ in every],
    }


def fairness(cases: list[Case]) -> float:
    """Let each do what it can for the same time; the least that one did, for the most."""
    until = time.perf_counter() + SECONDS

    def keep_on(case: Case) -> int:
        done = 0
        while time.perf_counter() < until:
            case(BATCH)
            done += 1
        return done

    done = in_threads(*[lambda case=case: keep_on(case) for case in cases])
    return min(done) / max(done)


def main() -> None:
    windows = int(sys.argv[1])
    counts = [1]
    while counts[-1] < cores():
        counts.append(min(2 * counts[-1], cores()))
    by_count = {threads: kinds(threads) for threads in counts}
    cases = {
        f"{kind}.{threads}": harness.at_once(*each)
        for threads, by_kind in by_count.items()
        for kind, each in by_kind.items()
    }
    times = harness.interleave(cases, harness.Plan(windows, SECONDS))
    most = by_count[counts[-1]]
    fair = {kind: [fairness(most[kind]) for _ in range(windows)] for kind in ("own", "one", "pair")}
    harness.refuse_if_the_gil_came_on()
    about = {"interpreter": harness.interpreter(), "threads": counts}
    print(json.dumps(about | {"times": times, "fairness": fair}))


if __name__ == "__main__":
    main()

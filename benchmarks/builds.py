"""What one thread pays for a build without the GIL: two interpreters run the same, in turn.

    python benchmarks/builds.py WINDOWS WITH_GIL FREE_THREADED

Prints, as JSON, seconds per operation, `BUILD.OPERATION`, in each window; the operations are
ftdemo's, and a loop in pure Python. Both interpreters, given by their paths, have ftdemo.
"""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import harness
from harness import Case

import ftdemo
from ftdemo.demos import overhead

SECONDS = 0.01
OPTION = "--serve"


def operations() -> dict[str, Case]:
    names = vars(ftdemo) | {"in_python": overhead.program()}
    pair = "a, b, move = Account(100_000_000), Account(), transfer"
    return {
        "loop": harness.statement("pass"),
        "in Python": harness.statement("in_python(1000)", **names),
        "deposit": harness.statement("a.deposit(1)", "a = Account()", **names),
        "transfer": harness.statement("move(a, b, 1)", pair, **names),
        "update": harness.statement("c.update(b'x')", "c = Checksum()", **names),
        "intern": harness.statement("f('key')", "f = intern", **names),
        "next": harness.statement("next(tickets)", "tickets = Tickets(0, 2**60)", **names),
        "sum_of_squares": harness.statement("sum_of_squares(100_000)", **names),
    }


def serve() -> None:
    """Run what is asked for: a line with a name and a number; print the seconds that it took."""
    cases = operations()
    print(json.dumps(list(cases)), flush=True)
    for line in sys.stdin:
        name, number = json.loads(line)
        print(cases[name](number), flush=True)
    harness.refuse_if_the_gil_came_on()


@contextmanager
def served(python: str) -> Iterator[dict[str, Case]]:
    """Give the operations of another interpreter, which runs meanwhile."""
    command = [python, __file__, OPTION]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as it:

        def ask(name: str, number: int) -> float:
            print(json.dumps([name, number]), file=it.stdin, flush=True)
            return float(it.stdout.readline())

        names = json.loads(it.stdout.readline())
        yield {name: lambda number, name=name: ask(name, number) for name in names}
        it.stdin.close()
        if it.wait():
            sys.exit(f"{python} refused to give figures")


def main() -> None:
    windows, with_gil, free_threaded = sys.argv[1:]
    with served(with_gil) as one, served(free_threaded) as other:
        builds = {"with the GIL": one, "free-threaded": other}
        cases = {f"{b}.{name}": case for b, cases in builds.items() for name, case in cases.items()}
        times = harness.interleave(cases, harness.Plan(int(windows), SECONDS))
    print(json.dumps({"times": times}))


if __name__ == "__main__":
    serve() if sys.argv[1:] == [OPTION] else main()

"""Measure everything, each ratio within one run, and write the figures as JSON.

    python benchmarks/run.py --with-gil PYTHON [--pair GIL FREE ...] [--packages NAME ...] -o FILE

Start it with a free-threaded interpreter; --with-gil is one of the same version with the GIL. Both
have ftdemo and the peers, see benchmarks/peers/pyproject.toml. Each --pair has ftdemo. `--quick`
measures so little that nothing but an error can be learned from it.
"""

import argparse
import datetime
import itertools
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import harness
from harness import Figure, Times, minus, ratios

HERE = Path(__file__).parent
NANO = 1e9


class Goal(NamedTuple):
    """What a measure should reach."""

    least: float | None = None
    most: float | None = None

    def reached(self, value: float) -> bool:
        return (self.least is None or value >= self.least) and (
            self.most is None or value <= self.most
        )


# The peer's time for ftdemo's: at least so much for deposit, and for transfer.
PEERS = {
    "python_lock": ("Python + Lock", 7, 16),
    "cython_section": ("Cython", 1.2, 1.35),
    "nanobind_lock": ("nanobind", 1.9, 1.4),
    "pybind11_mutex": ("pybind11", 5.5, 4.3),
}


def ask(python: str, script: str, *arguments: object, gil: str | None = None) -> Any:
    """Run a script of this folder in an interpreter, and give what it printed."""
    options = [] if gil is None else ["-X", f"gil={gil}"]
    command = [python, *options, HERE / f"{script}.py", *map(str, arguments)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        sys.exit(f"{script}.py failed on {python}")
    return json.loads(done.stdout)


def operations(python: str, processes: int, windows: int, gil: str | None) -> dict[str, Any]:
    """Measure in several processes, which differ in where things lie in memory."""
    asked = [ask(python, "operations", windows, gil=gil) for _ in range(processes)]
    times: Times = {}
    for each in asked:
        for name, found in each["times"].items():
            times.setdefault(name, []).extend(found)
    net = {
        name: minus(found, times["limits.empty" if name.startswith("limits.") else "loop"])
        for name, found in times.items()
    }
    return {"interpreter": asked[0]["interpreter"], "net": net}


def measured(name: str, values: list[float], goal: Goal) -> dict[str, Any]:
    """Make an entry of the table: a measure, and whether its goal was reached."""
    figure = Figure.of(values)
    about = {"measure": name, **figure._asdict(), "windows": len(values), **goal._asdict()}
    return about | {"reached": goal.reached(figure.median)}


def of_operations(free: Times, with_gil: Times) -> Iterator[dict[str, Any]]:
    """Compare ftdemo with its unlocked twin and with the peers."""
    against = "against the unlocked twin"
    for operation, what, most in [
        ("deposit", "deposit (critical section)", 1.33),
        ("transfer", "transfer (SECTION2)", 1.31),
        ("update", "Checksum.update (a PyMutex of its own)", 1.05),
    ]:
        found = ratios(free[f"ftdemo.{operation}"], free[f"unlocked.{operation}"])
        yield measured(f"{what} {against}", found, Goal(most=most))
    for operation in ("deposit", "transfer"):
        found = ratios(with_gil[f"ftdemo.{operation}"], with_gil[f"unlocked.{operation}"])
        yield measured(f"{operation} {against}, with the GIL", found, Goal(most=1.03))
    for peer, (title, *goals) in PEERS.items():
        for operation, least in zip(("deposit", "transfer"), goals, strict=True):
            if f"{peer}.{operation}" in free:
                found = ratios(free[f"{peer}.{operation}"], free[f"ftdemo.{operation}"])
                yield measured(f"{operation}: {title} for ftdemo", found, Goal(least=least))


def gains(scaling: dict[str, Any]) -> dict[str, dict[str, list[float]]]:
    """Give throughput by kind and number of threads, for that of one thread, in each window."""
    times = scaling["times"]

    def net(kind: str, threads: int) -> list[float]:
        found = times[f"{kind}.{threads}"]
        # What is done in Python only to call it; the others do millions of steps in a call.
        in_python = kind not in {"loop", "sum_of_squares", "C"}
        return minus(found, times[f"loop.{threads}"]) if in_python else found

    kinds = dict.fromkeys(name.partition(".")[0] for name in times)
    return {
        kind: {
            str(threads): [threads * ratio for ratio in ratios(net(kind, 1), net(kind, threads))]
            for threads in scaling["threads"]
        }
        for kind in kinds
    }


def of_scaling(free: dict[str, Any], with_gil: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Compare two threads with one, and that with what plain C gains in the same window."""
    if 2 not in free["threads"]:
        return
    for scaling, kind, what, goal in [
        (free, "own", "deposits on an account each", Goal(least=0.98)),
        (free, "sum_of_squares", "sum_of_squares", Goal(least=0.98)),
        (with_gil, "sum_of_squares", "sum_of_squares, with the GIL", Goal(0.45, 0.55)),
    ]:
        found = gains(scaling)
        by_c = ratios(found[kind]["2"], found["C"]["2"])
        yield measured(f"{what}: what two threads gain, for what plain C gains", by_c, goal)
    opposite = gains(free)["pair"]["2"]
    what = "transfers between the same two accounts in opposite directions: two threads for one"
    yield measured(what, opposite, Goal(least=1.0))


def of_import_check(checks: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Compare `ftdemo check` with what else could be done, and with what nothing can beat."""
    for check in checks:
        yield from check["measures"]


def parts(net: Times) -> dict[str, Any]:
    """Take each operation apart, in nanoseconds: the call, the conversion, the work, the lock."""
    found = {}
    for operation, kind in (("deposit", "method"), ("transfer", "function")):
        steps = [f"{kind}.nothing", f"{kind}.convert", f"unlocked.{operation}"]
        whole = f"ftdemo.{operation}"
        sums = [Figure.of(net[step]).median * NANO for step in [*steps, whole]]
        lock = [1 - 1 / ratio for ratio in ratios(net[whole], net[steps[-1]])]
        split = [sums[0], *(b - a for a, b in itertools.pairwise(sums))]
        names = ("call", "conversion", "work", "lock")
        found[operation] = dict(zip(names, split, strict=True)) | {
            "lock's share": Figure.of(lock).median
        }
    return found


def nanoseconds(net: Times) -> dict[str, Any]:
    return {
        name: {key: value * NANO for key, value in Figure.of(times)._asdict().items()}
        for name, times in net.items()
    }


def builds(pairs: list[list[str]], windows: int) -> list[dict[str, Any]]:
    """Give for each pair of interpreters what one thread pays for the free-threaded one."""
    found = []
    for with_gil, free in pairs:
        times = ask(sys.executable, "builds", windows, with_gil, free)["times"]
        names = [name.partition(".")[2] for name in times if name.startswith("free-threaded.")]
        net = {
            f"{build}.{name}": minus(times[f"{build}.{name}"], times[f"{build}.loop"])
            for build in ("with the GIL", "free-threaded")
            for name in names
        }
        ratio = {
            name: Figure.of(ratios(net[f"free-threaded.{name}"], net[f"with the GIL.{name}"]))
            for name in names
            if name != "loop"
        }
        version = "import sys; print(sys.version.split()[0])"
        said = [subprocess.check_output([p, "-c", version], text=True) for p in (with_gil, free)]
        ratio_of = {name: figure._asdict() for name, figure in ratio.items()}
        found.append({"versions": [line.strip() for line in said], "ratios": ratio_of})
    return found


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--with-gil", required=True, metavar="PYTHON")
    parser.add_argument("--pair", nargs=2, action="append", default=[], metavar=("GIL", "FREE"))
    parser.add_argument("--packages", nargs="*", default=[], metavar="NAME")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("-o", "--output", type=Path, required=True)
    return parser.parse_args()


def main() -> None:
    options = arguments()
    python, with_gil = sys.executable, options.with_gil
    processes, windows = (1, 3) if options.quick else (5, 60)
    free = operations(python, processes, windows, gil="0")  # the unlocked twin brings it back
    gil = operations(with_gil, processes, windows, gil=None)
    scaling = {
        "free-threaded": ask(python, "scaling", windows),
        "with the GIL": ask(with_gil, "scaling", windows),
    }
    checks = []
    result = {
        "version": 1,
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "commit": harness.commit(),
        "quick": options.quick,
        "machine": harness.machine(),
        "interpreters": {"free-threaded": free["interpreter"], "with the GIL": gil["interpreter"]},
        "measures": [
            *of_operations(free["net"], gil["net"]),
            *of_scaling(*scaling.values()),
            *of_import_check(checks),
        ],
        "nanoseconds": {
            "free-threaded": nanoseconds(free["net"]),
            "with the GIL": nanoseconds(gil["net"]),
        },
        "parts": {"free-threaded": parts(free["net"]), "with the GIL": parts(gil["net"])},
        "scaling": {
            build: {
                "gains": {
                    kind: {threads: Figure.of(values)._asdict() for threads, values in by.items()}
                    for kind, by in gains(each).items()
                },
                "fairness": {
                    kind: Figure.of(values)._asdict() for kind, values in each["fairness"].items()
                },
            }
            for build, each in scaling.items()
        },
        "builds": builds([[with_gil, python], *options.pair], windows),
    }
    options.output.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    for measure in result["measures"]:
        print(f"{measure['median']:8.2f}  {measure['measure']}")


if __name__ == "__main__":
    main()

"""Measure everything, each ratio within one run, and write the figures as JSON.

    python benchmarks/run.py [--with-gil PYTHON] [--pair GIL FREE ...] [--packages NAME ...] -o FILE

Start it with a free-threaded interpreter; --with-gil is one of the same version with the GIL. Both
have ftdemo and the peers, see benchmarks/peers/pyproject.toml. Each --pair has ftdemo, this one the
packages. `--quick` measures so little that nothing but an error can be learned from it.
"""

import argparse
import datetime
import itertools
import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import harness
from harness import Figure, Times, minus, ratios

HERE = Path(__file__).parent
NANO = 1e9
FREE, GIL = "free-threaded", "with the GIL"


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


def operations(python: str, gil: str | None, processes: int, windows: int) -> dict[str, Any]:
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


def of_operations(by_build: dict[str, Times]) -> Iterator[dict[str, Any]]:
    """Compare ftdemo with its unlocked twin and with the peers."""
    against = "against the unlocked twin"
    free = by_build[FREE]
    for operation, what, most in [
        ("deposit", "deposit (critical section)", 1.33),
        ("transfer", "transfer (SECTION2)", 1.31),
        ("update", "Checksum.update (a PyMutex of its own)", 1.05),
    ]:
        found = ratios(free[f"ftdemo.{operation}"], free[f"unlocked.{operation}"])
        yield measured(f"{what} {against}", found, Goal(most=most))
    for operation in ("deposit", "transfer"):
        if net := by_build.get(GIL):
            found = ratios(net[f"ftdemo.{operation}"], net[f"unlocked.{operation}"])
            yield measured(f"{operation} {against}, {GIL}", found, Goal(most=1.03))
    for peer, (title, *goals) in PEERS.items():
        for operation, least in zip(("deposit", "transfer"), goals, strict=True):
            if f"{peer}.{operation}" in free:
                found = ratios(free[f"{peer}.{operation}"], free[f"ftdemo.{operation}"])
                yield measured(f"{operation}: {title} for ftdemo", found, Goal(least=least))


def scaling(python: str, windows: int) -> dict[str, Any]:
    """Give throughput by kind and number of threads, for that of one thread, in each window."""
    asked = ask(python, "scaling", windows)
    times = asked["times"]

    def net(kind: str, threads: int) -> list[float]:
        found = times[f"{kind}.{threads}"]
        # What is done in Python only to call it; the others do millions of steps in a call.
        in_python = kind not in {"loop", "sum_of_squares", "C"}
        return minus(found, times[f"loop.{threads}"]) if in_python else found

    kinds = dict.fromkeys(name.partition(".")[0] for name in times)
    gains = {
        kind: {
            str(threads): [threads * ratio for ratio in ratios(net(kind, 1), net(kind, threads))]
            for threads in asked["threads"]
        }
        for kind in kinds
    }
    return {"gains": gains, "fairness": asked["fairness"]}


def of_scaling(by_build: dict[str, dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Compare two threads with one, and that with what plain C gains in the same window."""
    by_c = "what two threads gain, for what plain C gains"
    for build, kind, what, goal in [
        (FREE, "own", "deposits on an account each", Goal(least=0.98)),
        (FREE, "sum_of_squares", "sum_of_squares", Goal(least=0.98)),
        (GIL, "sum_of_squares", f"sum_of_squares, {GIL}", Goal(least=0.98)),
    ]:
        gained = by_build.get(build, {}).get("gains", {})
        if "2" in gained.get(kind, {}):
            found = ratios(gained[kind]["2"], gained["C"]["2"])
            yield measured(f"{what}: {by_c}", found, goal)
    opposite = by_build[FREE]["gains"]["pair"]
    if "2" in opposite:
        what = "transfers between the same two accounts in opposite directions: two threads for one"
        yield measured(what, opposite["2"], Goal(least=1.0))


def of_import_check(checks: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Compare the import checks with what else could be done, and with what nothing can beat."""
    for check in checks:
        command, ours = f"`{check['command']}`", check["ours"]
        if "bare" in check:
            what = f"{command}, for five bare starts of the interpreter"
            yield measured(what, ratios(ours, check["bare"]), Goal(most=2))
        if command == "`ftdemo check scipy`":
            found = [check["each"] / each for each in ours]
            yield measured(f"a process a module, for {command}", found, Goal(least=50))
            what = f"{command}, for importing all of its modules once in one process"
            yield measured(what, ratios(ours, check["once"]), Goal(most=1.25))


def parts(net: Times) -> dict[str, Any]:
    """Take each operation apart, in nanoseconds, and give the lock's share of it."""
    found = {}
    for operation, kind in (("deposit", "method"), ("transfer", "function")):
        steps = [f"{kind}.nothing", f"{kind}.convert", f"unlocked.{operation}"]
        whole = f"ftdemo.{operation}"
        sums = [Figure.of(net[step]).median * NANO for step in [*steps, whole]]
        lock = [1 - 1 / ratio for ratio in ratios(net[whole], net[steps[-1]])]
        split = [sums[0], *(b - a for a, b in itertools.pairwise(sums))]
        names = ("call", "conversion", "work", "lock")
        found[operation] = dict(zip(names, split, strict=True)) | {"share": Figure.of(lock).median}
    return found


def nanoseconds(net: Times) -> dict[str, Any]:
    return {
        name: {key: value * NANO for key, value in Figure.of(times)._asdict().items()}
        for name, times in net.items()
    }


def absolute(quick: bool) -> dict[str, Any]:
    """Give the mean and the standard deviation of each operation, in nanoseconds."""
    import pyperf

    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "absolute.json"
        options = ["--debug-single-value"] if quick else ["--fast"]
        command = [sys.executable, HERE / "absolute.py", "--quiet", *options, "-o", file]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        found = pyperf.BenchmarkSuite.load(str(file)).get_benchmarks()
    return {
        each.get_name(): {
            "mean": each.mean() * NANO,
            "deviation": each.stdev() * NANO if each.get_nvalue() > 1 else 0.0,
        }
        for each in found
    }


def builds(pairs: list[list[str]], windows: int) -> list[dict[str, Any]]:
    """Give for each pair of interpreters what one thread pays for the free-threaded one."""
    found = []
    for with_gil, free in pairs:
        times = ask(sys.executable, "builds", windows, with_gil, free)["times"]
        names = [name.partition(".")[2] for name in times if name.startswith(f"{FREE}.")]
        net = {
            f"{build}.{name}": minus(times[f"{build}.{name}"], times[f"{build}.loop"])
            for build in (GIL, FREE)
            for name in names
        }
        ratio = {
            name: Figure.of(ratios(net[f"{FREE}.{name}"], net[f"{GIL}.{name}"]))
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
    parser.add_argument("--with-gil", metavar="PYTHON")
    parser.add_argument("--pair", nargs=2, action="append", default=[], metavar=("GIL", "FREE"))
    parser.add_argument("--packages", nargs="*", default=[], metavar="NAME")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("-o", "--output", type=Path, required=True)
    return parser.parse_args()


def main() -> None:
    options = arguments()
    processes, windows = (1, 3) if options.quick else (5, 100)
    # With the GIL forced off, since the unlocked twin would bring it back.
    pythons = {FREE: (sys.executable, "0")}
    if options.with_gil:
        pythons[GIL] = (options.with_gil, None)
        options.pair.insert(0, [options.with_gil, sys.executable])
    asked = {build: operations(*python, processes, windows) for build, python in pythons.items()}
    by_build = {build: each["net"] for build, each in asked.items()}
    scaled = {build: scaling(python, windows) for build, (python, _) in pythons.items()}
    checks = ask(sys.executable, "import_check", 3 if options.quick else 24, *options.packages)
    result = {
        "version": 1,
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "commit": harness.commit(),
        "quick": options.quick,
        "machine": harness.machine(),
        "interpreters": {build: each["interpreter"] for build, each in asked.items()},
        "measures": [
            *of_operations(by_build),
            *of_scaling(scaled),
            *of_import_check(checks),
        ],
        "nanoseconds": {build: nanoseconds(net) for build, net in by_build.items()},
        "parts": {build: parts(net) for build, net in by_build.items()},
        "scaling": {
            build: {
                "gains": {
                    kind: {threads: Figure.of(values)._asdict() for threads, values in by.items()}
                    for kind, by in each["gains"].items()
                },
                "fairness": {
                    kind: Figure.of(values)._asdict() for kind, values in each["fairness"].items()
                },
            }
            for build, each in scaled.items()
        },
        "checks": [
            {
                key: statistics.median(value) if isinstance(value, list) else value
                for key, value in check.items()
            }
            for check in checks
        ],
        "absolute": absolute(options.quick),
        "builds": builds(options.pair, windows),
    }
    options.output.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

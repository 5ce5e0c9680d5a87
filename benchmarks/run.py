"""Measure everything, and write the rows of the table as JSON, for report.py.

    python benchmarks/run.py --with-gil PYTHON [--quick] [--packages NAME ...] -o FILE

Run it with a free-threaded interpreter; PYTHON is the same version with the GIL. Both have ftdemo
and the peers, see benchmarks/peers/pyproject.toml; PYTHON also has the parser for ftdemo lint.
`--quick` runs everything so briefly that the figures mean nothing.
"""

import argparse
import datetime
import json
import platform
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from timing import Figure, Times, figure, minus, ratios

from ftdemo.interpreter import cores

HERE = Path(__file__).parent
FREE, GIL = "free-threaded", "with the GIL"

WHO = {
    "nothing": "a function that does nothing",
    "convert": "a function that only checks and converts its arguments",
    "legacy": "ftdemo.legacy: no lock",
    "ftdemo": "ftdemo",
    "cython_section": "Cython, `critical_section`",
    "nanobind_lock": "nanobind, `lock_self`, `lock`",
    "pybind11_mutex": "pybind11, `std::mutex`",
    "python_lock": "Python, `threading.Lock`",
    "cereggii": "cereggii, `AtomicInt64.increment_and_get`",
}
OPERATIONS = {
    "deposit": "`a.deposit(1)`",
    "transfer": "`transfer(a, b, 1)`",
    "update": "`Checksum.update(b'x')`",
}
LOCKS = {
    "atomic_add": "an atomic addition",
    "mutex": "a `PyMutex`",
    "section": "a critical section",
    "section2": "a critical section on two objects",
}
SAME_LOCK = {"deposit": "section", "transfer": "section2", "update": "mutex"}
KINDS = {
    "C": "a loop in C, detached",
    "sum_of_squares": "`sum_of_squares`",
    "own": "deposits, an account for each thread",
    "side by side": "the same, but the accounts are next to each other in memory",
    "one": "deposits, one account",
    "pair": "transfers between two accounts, in opposite directions",
}
Row = dict[str, Any]


def ask(python: str, script: str, *arguments: object) -> Any:
    """Run a script of this folder in an interpreter; return the JSON that it printed."""
    forced = [] if python != sys.executable or script != "calls" else ["-X", "gil=0"]
    command = [python, *forced, str(HERE / f"{script}.py"), *map(str, arguments)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        sys.exit(f"{script}.py failed on {python}")
    return json.loads(done.stdout)


def pooled(processes: list[dict[str, Any]], key: str) -> Times:
    """Join the windows of all processes, which differ in the layout of memory."""
    names = processes[0][key]
    return {name: [value for each in processes for value in each[key][name]] for name in names}


def rows_of_calls(asked: list[dict[str, Any]]) -> Iterator[tuple[str, str, str, Figure]]:
    """Yield the rows about calls, in nanoseconds, and about locks."""
    times = pooled(asked, "calls")

    def net(name: str) -> list[float]:
        empty = "loop.empty" if name.startswith("loop.") else "empty.loop"
        return [value * 1e9 for value in minus(times[name], times[empty])]

    for operation, title in OPERATIONS.items():
        for who, name in WHO.items():
            if f"{who}.{operation}" in times:
                yield title, name, "ns", figure(net(f"{who}.{operation}"))
    for name, title in LOCKS.items():
        yield "in a loop in C", title, "ns", figure(net(f"loop.{name}"))
    for operation, title in OPERATIONS.items():
        lock = minus(net(f"ftdemo.{operation}"), net(f"legacy.{operation}"))
        found = ratios(lock, net(f"loop.{SAME_LOCK[operation]}"))
        if asked[0]["interpreter"]["free_threaded"]:
            yield (
                "the lock in a call, divided by the same lock in the loop",
                title,
                "ratio",
                figure(found),
            )


def rows_of_threads(asked: list[dict[str, Any]]) -> Iterator[tuple[str, str, str, Figure]]:
    """Yield the rows about threads: their work relative to one thread, and its fairness."""
    times = pooled(asked, "threads")
    for name, values in times.items():
        kind, _, threads = name.partition(".")
        if threads != "1":
            found = [int(threads) * ratio for ratio in ratios(times[f"{kind}.1"], values)]
            yield f"{threads} threads, compared with one", KINDS[kind], "ratio", figure(found)
    for kind, values in pooled(asked, "fairness").items():
        title = "work of the slowest thread, divided by work of the fastest"
        yield title, KINDS[kind], "ratio", figure(values)


def rows_of_checks(found: Times) -> Iterator[tuple[str, str, str, Figure]]:
    titles = {
        "check": "`ftdemo check`",
        "all": "one process for all its modules",
        "each": "one process per module",
    }
    for name, values in found.items():
        package, _, which = name.partition(".")
        yield f"imports of {package}", titles[which], "s", figure(values)
        if which == "all":
            ratio = figure(ratios(found[f"{package}.check"], values))
            yield f"imports of {package}", "the first divided by the second", "ratio", ratio


def rows_of_stress(found: Times) -> Iterator[tuple[str, str, str, Figure]]:
    titles = {
        "driver": "meetings of two deposits into an `Account`, outcomes not compared",
        "stress": "meetings of all operations of `Account`, outcomes compared",
    }
    for name, values in found.items():
        if name in titles:
            yield "`ftdemo stress`, two threads", titles[name], "/s", figure(values)
        else:
            yield (
                "`ftdemo stress`, until a race is confirmed",
                f"legacy `{name}`",
                "s",
                figure(values),
            )


def machine() -> str:
    """Return a description of this machine."""
    model = platform.processor()
    information = Path("/proc/cpuinfo")
    if information.exists():
        lines = information.read_text(encoding="utf-8").splitlines()
        model = next((line.partition(": ")[2] for line in lines if "model name" in line), model)
    name = model or platform.machine()
    return f"{name}, {cores()} cores, {platform.system()} {platform.machine()}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--with-gil", metavar="PYTHON")
    parser.add_argument("--packages", nargs="*", default=[], metavar="NAME")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("-o", "--output", type=Path, required=True)
    options = parser.parse_args()
    processes, windows, times = (1, 3, 1) if options.quick else (4, 50, 5)

    commit = subprocess.check_output(["git", "describe", "--always", "--dirty"], text=True)
    pythons = {FREE: sys.executable}
    if options.with_gil:
        pythons[GIL] = options.with_gil
    for python in pythons.values():
        subprocess.run([python, "-m", "peers.contract"], check=True)
    # Alternate between the builds, so that changes in the speed of the machine affect both.
    asked: dict[str, list[dict[str, Any]]] = {build: [] for build in pythons}
    for _ in range(processes):
        for build, python in pythons.items():
            asked[build].append(ask(python, "calls", windows))

    table: dict[tuple[str, str, str], dict[str, Figure]] = {}

    def add(build: str, *sources: Iterator[tuple[str, str, str, Figure]]) -> None:
        for source in sources:
            for group, what, unit, found in source:
                table.setdefault((group, what, unit), {})[build] = found

    for build, found in asked.items():
        add(build, rows_of_calls(found), rows_of_threads(found))
    add(FREE, rows_of_checks(ask(sys.executable, "commands", "check", times, *options.packages)))
    if cores() > 1:
        add(FREE, rows_of_stress(ask(sys.executable, "commands", "stress", times)))
    else:
        print("run: without ftdemo stress, which needs two cores", file=sys.stderr)
    if options.with_gil:
        rates = ask(options.with_gil, "commands", "lint", times)["lint"]
        row = ("`ftdemo lint`, one process", "lines of csrc", "/s", figure(rates))
        add(GIL, iter([row]))
    else:
        print("run: without ftdemo lint, whose parser needs a build with the GIL", file=sys.stderr)

    result = {
        "version": 2,
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "commit": commit.strip(),
        "quick": options.quick,
        "machine": machine(),
        "interpreters": {build: found[0]["interpreter"] for build, found in asked.items()},
        "rows": [
            {"group": group, "what": what, "unit": unit, **builds}
            for (group, what, unit), builds in table.items()
        ],
    }
    options.output.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

"""Time ftdemo's commands: check in comparison with plain imports, stress, and lint.

    python benchmarks/commands.py check|stress|lint TIMES [PACKAGE ...]

Print figures by name, as JSON. PACKAGE is a package to check. Run lint on a build with the GIL,
because its parser has no wheel for free-threaded builds.
"""

import json
import subprocess
import sys
import time
from pathlib import Path

from timing import Case, Times, in_turn, refuse_if_the_gil_came_on, together

from ftdemo import Account

SOURCES = Path(__file__).parent.parent / "csrc"
ONE = "import importlib, sys; importlib.import_module(sys.argv[1]); sys._is_gil_enabled()"
ALL = "import importlib, sys\nfor name in sys.argv[1:]: importlib.import_module(name)"
LEGACY = ("Account", "Checksum", "Tickets", "intern")


def seconds(*command: str) -> float:
    """Run the interpreter to its end; return the time in seconds."""
    start = time.perf_counter()
    subprocess.run([sys.executable, *command], capture_output=True)
    return time.perf_counter() - start


def check(times: int, *packages: str) -> Times:
    """Time the check of a package, one process that imports all, and one process per module."""
    found: Times = {}
    for package in packages:
        command = ("-m", "ftdemo", "check", package)
        asked = subprocess.run([sys.executable, *command, "--json"], capture_output=True)
        modules = json.loads(asked.stdout)["targets"][0]["modules"]
        names = [module["name"] for module in modules if module["verdict"] == "pass"]
        cases: dict[str, Case] = {
            f"{package}.check": lambda _, command=command: seconds(*command),
            f"{package}.all": lambda _, names=names: seconds("-c", ALL, *names),
        }
        found |= in_turn(cases, times, seconds=0)
        found[f"{package}.each"] = [sum(seconds("-c", ONE, name) for name in names)]
    return found


def stress(times: int) -> Times:
    """Count meetings per second, and time the first finding for each legacy type."""
    from ftdemo.stress import stress as drive

    length = 3.0
    found: Times = {"driver": [meetings_a_second() for _ in range(5 * times)], "stress": []}
    for _ in range(times):
        result = drive(["ftdemo._ready:Account"], seconds=length)
        found["stress"].append(result["summary"]["meetings"] / length)
    for name in LEGACY:
        found[name] = [first_finding(f"ftdemo._legacy:{name}") for _ in range(times)]
    return found


def meetings_a_second(meetings: int = 20_000) -> float:
    """Let two threads deposit into new accounts; include the time to create the accounts."""
    from ftdemo._stress import Meetings

    start = time.perf_counter()
    shared, driver = [Account() for _ in range(meetings)], Meetings(2)
    calls = tuple((account.deposit, 1) for account in shared)
    cases: list[Case] = [
        lambda _, seed=seed: float(len(driver.collide(calls, 1, 0, seed)[0])) for seed in (1, 2)
    ]
    together(*cases)(1)
    assert all(account.balance == 2 for account in shared)
    return meetings / (time.perf_counter() - start)


def first_finding(target: str) -> float:
    """Stress a target until a finding is confirmed; return the time until then in seconds."""
    from ftdemo.stress import Progress
    from ftdemo.stress import stress as drive

    told: list[float] = []

    def listen(progress: Progress) -> None:
        if progress["findings"]:
            told.append(time.perf_counter() - start)

    start = time.perf_counter()
    drive([target], seconds=0.3, progress=listen)
    if not told:
        sys.exit(f"commands: ftdemo stress found nothing in {target}")
    return told[0]


def lint(times: int) -> Times:
    """Return the lines of csrc that one process reads per second."""
    from ftdemo.lint import lint as run

    rates = []
    for _ in range(times):
        start = time.perf_counter()
        lines = run([str(SOURCES)])["summary"]["lines"]
        rates.append(lines / (time.perf_counter() - start))
    return {"lint": rates}


def main() -> None:
    name, times, *packages = sys.argv[1:]
    command = {"check": check, "stress": stress, "lint": lint}[name]
    found = command(int(times), *packages)
    refuse_if_the_gil_came_on()
    print(json.dumps(found))


if __name__ == "__main__":
    main()

"""How long the import checks take, beside what they are to be compared with.

    python benchmarks/import_check.py WINDOWS [PACKAGE ...]

Prints seconds, as JSON: `ftdemo` beside five interpreters that do nothing, and `ftdemo check` of
each package beside a fresh process for each module, and one that imports all of them once. Run it
where ftdemo and the packages are, with their bytecode.
"""

import json
import subprocess
import sys
import time
from typing import Any

ONE = "import importlib, sys; importlib.import_module(sys.argv[1]); print(sys._is_gil_enabled())"
ALL = "import importlib, sys\nfor name in sys.argv[1:]: importlib.import_module(name)"
STARTS = 5


def seconds(*command: str) -> float:
    """Run the interpreter to its end, and give the time that it took."""
    start = time.perf_counter()
    subprocess.run([sys.executable, *command], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return time.perf_counter() - start


def measure_own(windows: int) -> dict[str, Any]:
    """Time the check of ftdemo's own modules."""
    ours, bare = [], []
    for _ in range(windows):
        ours.append(seconds("-m", "ftdemo"))
        bare.append(sum(seconds("-c", "pass") for _ in range(STARTS)))
    return {"command": "ftdemo", "ours": ours, "bare": bare}


def measure(package: str, windows: int) -> dict[str, Any]:
    """Time the check of one package. Its windows are spread among the many processes."""
    check = ("-m", "ftdemo", "check", package)
    printed = subprocess.run([sys.executable, *check, "--json"], capture_output=True).stdout
    modules = [m for target in json.loads(printed)["targets"] for m in target["modules"]]
    passed = [module["name"] for module in modules if module["verdict"] == "pass"]
    ours, once, each = [], [], 0.0
    for number, module in enumerate(modules):
        each += seconds("-c", ONE, module["name"])
        while len(ours) * len(modules) <= number * windows:
            ours.append(seconds(*check))
            once.append(seconds("-c", ALL, *passed))
    return {"command": f"ftdemo check {package}", "ours": ours, "once": once, "each": each}


def main() -> None:
    windows, *packages = sys.argv[1:]
    each = [measure(package, int(windows)) for package in packages]
    print(json.dumps([measure_own(int(windows)), *each]))


if __name__ == "__main__":
    main()

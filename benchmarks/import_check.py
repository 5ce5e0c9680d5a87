"""How long `ftdemo check` takes: against a fresh process a module, and against importing them once.

    python benchmarks/import_check.py scipy

Run it where ftdemo and the packages are installed. The three are interleaved, because a machine may
change its speed within a minute; of what is run more than once the median is taken.
"""

import json
import os
import platform
import statistics
import subprocess
import sys
import time

ONE = "import importlib, sys; importlib.import_module(sys.argv[1]); print(sys._is_gil_enabled())"
ALL = "import importlib, sys\nfor name in sys.argv[1:]: importlib.import_module(name)"
ROUNDS = 12  # so many of each of the others, spread among the many processes


def seconds(*command: str) -> float:
    """Run the command to its end, and give the time that it took."""
    start = time.perf_counter()
    subprocess.run([sys.executable, *command], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return time.perf_counter() - start


def measure(package: str) -> dict[str, object]:
    """Time the check of one package and what it is compared with; in seconds."""
    check = ("-m", "ftdemo", "check", package)
    printed = subprocess.run([sys.executable, *check, "--json"], capture_output=True).stdout
    modules = [m for target in json.loads(printed)["targets"] for m in target["modules"]]
    names = [module["name"] for module in modules]
    passed = [module["name"] for module in modules if module["verdict"] == "pass"]
    each, checks, imports = 0.0, [], []
    for number, name in enumerate(names):
        each += seconds("-c", ONE, name)
        if number % max(1, len(names) // ROUNDS) == 0:
            checks.append(seconds(*check))
            imports.append(seconds("-c", ALL, *passed))
    ours, once = statistics.median(checks), statistics.median(imports)
    return {
        "package": package,
        "modules": len(names),
        "a_process_each": round(each, 2),
        "imported_once": round(once, 2),
        "ftdemo_check": round(ours, 2),
        "times_faster_than_a_process_each": round(each / ours, 1),
        "times_as_long_as_importing_once": round(ours / once, 2),
    }


if __name__ == "__main__":
    about = {
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
        "interpreter": sys.version,
        "results": [measure(package) for package in sys.argv[1:]],
    }
    print(json.dumps(about, indent=2))

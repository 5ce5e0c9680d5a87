#!/usr/bin/env python3
"""Print the jobs that build the wheels of a release, as JSON for the matrix of a GitHub workflow.

There is one job per build identifier of cibuildwheel, and one more job per platform, in which 3.15t
builds the wheel for the stable ABI of both builds. Run it with a Python that has cibuildwheel.
"""

import json
import subprocess
import sys
from pathlib import Path

PROJECT = Path(__file__).parent.parent
# Each wheel is built on its own platform, without emulation or cross-compilation, so it is tested.
RUNNERS = {
    "linux": {"x86_64": "ubuntu-24.04", "aarch64": "ubuntu-24.04-arm"},
    "macos": {"x86_64": "macos-15-intel", "arm64": "macos-15"},
    "windows": {"amd64": "windows-2025", "arm64": "windows-11-arm"},
}
BUILDS_ABI3T = "cp315t"


def identifiers(system: str) -> list[str]:
    """Return the build identifiers of a system; exit if there are none.

    A misspelt `build` setting selects nothing, and cibuildwheel does not report that.
    """
    command = [sys.executable, "-m", "cibuildwheel", "--print-build-identifiers"]
    done = subprocess.run(
        [*command, "--platform", system, str(PROJECT)],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    if not done.stdout.split():
        sys.exit(f"cibuildwheel builds nothing for {system}: check `build` in pyproject.toml")
    return done.stdout.split()


def jobs() -> list[dict[str, str]]:
    """Return the jobs: what each builds, on which runner, and whether for the stable ABI."""
    listed = []
    for system, runners in RUNNERS.items():
        for identifier in identifiers(system):
            python, _, platform = identifier.partition("-")
            (runner,) = (name for arch, name in runners.items() if platform.endswith(f"_{arch}"))
            job = {"only": identifier, "runner": runner, "abi3t": ""}
            listed.append(job)
            if python == BUILDS_ABI3T:
                listed.append(job | {"abi3t": "1"})
    return listed


if __name__ == "__main__":
    print(json.dumps({"include": jobs()}))

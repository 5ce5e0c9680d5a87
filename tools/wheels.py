"""List and build the wheels of a release, which cibuildwheel selects from pyproject.toml.

    python tools/wheels.py jobs                   print the jobs of wheels.yml, as JSON
    python tools/wheels.py expected               print the list for `ftdemo wheels --expect`
    python tools/wheels.py build [OPTION ...]     build all wheels for this machine in wheelhouse/

There is one wheel per build identifier, and one more wheel per platform, which 3.15t builds for the
stable ABI of both builds and all later versions load. The options are those of cibuildwheel. If any
is given, only one run of cibuildwheel is made; with FTDEMO_ABI3T=1 it builds for the stable ABI.

Run it with a Python that has cibuildwheel and ftdemo. On Linux it needs docker or podman.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

PROJECT = Path(__file__).parent.parent
# Each wheel is built on its own platform, without emulation or cross-compilation, so it is tested.
RUNNERS = {
    "linux": {"x86_64": "ubuntu-24.04", "aarch64": "ubuntu-24.04-arm"},
    "macos": {"x86_64": "macos-15-intel", "arm64": "macos-15"},
    "windows": {"amd64": "windows-2025", "arm64": "windows-11-arm"},
}
BUILDS_ABI3T = "cp315t-"
ALLOW = 'allow = ["ftdemo/template/*"]  # new projects are copies of it\n\n'
CELLS = "[[cells]]\ninterpreters = {}\nplatforms = {}\n"


def identifiers(*options: str) -> list[str]:
    """Return the build identifiers that cibuildwheel selects; exit if there are none.

    A misspelt `build` setting selects nothing, and cibuildwheel does not report that.
    """
    command = [sys.executable, "-m", "cibuildwheel", "--print-build-identifiers", *options]
    done = subprocess.run([*command, str(PROJECT)], stdout=subprocess.PIPE, text=True, check=True)
    if not done.stdout.split():
        sys.exit(f"cibuildwheel {' '.join(options)}: nothing to build; see `build`, pyproject.toml")
    return done.stdout.split()


def jobs() -> dict[str, list[dict[str, str]]]:
    """Return what each job builds on which runner, and where the wheel for abi3t is tested."""
    wheels, stable = [], []
    for system, runners in RUNNERS.items():
        for identifier in identifiers("--platform", system):
            (runner,) = (name for arch, name in runners.items() if identifier.endswith(f"_{arch}"))
            wheels.append({"only": identifier, "runner": runner, "abi3t": ""})
            if identifier.startswith(BUILDS_ABI3T):
                wheels.append(wheels[-1] | {"abi3t": "1"})
                if "musllinux" not in identifier:  # for which there is no runner
                    stable.append({"only": identifier, "runner": runner})
    return {"wheels": wheels, "stable": stable}


def expected(names: list[str]) -> str:
    """Return the list of expected wheels, in TOML."""
    tables = []
    for name in names:
        python, _, platform = name.partition("-")
        tables.append(CELLS.format([python], [platform]))
        if name.startswith(BUILDS_ABI3T):
            later = CELLS.format(["cp316", "cp316t"], [platform])
            tables.append(f'{later}abi = "abi3.abi3t"\n')
    return ALLOW + "\n".join(tables)


def cibuildwheel(*options: str, **env: str) -> None:
    """Build and test wheels."""
    if sys.platform == "linux" and "CIBW_CONTAINER_ENGINE" not in os.environ:
        engine = shutil.which("docker") or shutil.which("podman")
        if engine is None:
            sys.exit("cibuildwheel needs docker or podman to build: please install one of them")
        env["CIBW_CONTAINER_ENGINE"] = Path(engine).stem
    command = [sys.executable, "-m", "cibuildwheel", *options, str(PROJECT)]
    subprocess.run(command, env=os.environ | env, check=True)


def build() -> None:
    """Build all wheels for this machine, and check that none is missing."""
    native = ("--archs", "native")
    names = identifiers(*native)
    shutil.rmtree("wheelhouse", ignore_errors=True)
    cibuildwheel(*native)
    if stable := [name for name in names if name.startswith(BUILDS_ABI3T)]:
        cibuildwheel(*native, FTDEMO_ABI3T="1", CIBW_BUILD=" ".join(stable))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "expected.toml"
        path.write_text(expected(names), encoding="utf-8")
        command = [sys.executable, "-m", "ftdemo", "wheels", "wheelhouse", "--expect"]
        subprocess.run([*command, str(path)], check=True)


def main() -> None:
    """Run the command that the first argument names."""
    match sys.argv[1:]:
        case ["jobs"]:
            print(json.dumps(jobs()))
        case ["expected"]:
            names = [name for system in RUNNERS for name in identifiers("--platform", system)]
            print(expected(names))
        case ["build"]:
            build()
        case ["build", *options]:
            cibuildwheel(*options)
        case _:
            sys.exit(__doc__)


if __name__ == "__main__":
    try:
        main()
    except subprocess.CalledProcessError as error:
        sys.exit(error.returncode)

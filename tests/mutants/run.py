"""Build csrc/ready without one precaution at a time, and check that the named test fails.

    python tests/mutants/run.py --python PYTHON [--repeat N] [--stress SECONDS] [NAME...]

A mutant is a patch of csrc/ready. Its header says what it breaks and which test must catch it. The
tests run on PYTHON, which has the dependency group `test`; ftdemo lint runs on this interpreter,
which has ftdemo.
With --stress, `ftdemo stress` must find the mutant instead; it runs for SECONDS per type.
Exit with 0 if every run kills its mutant; 1 if a mutant survives; 2 if a check fails without one.
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from ftdemo import processes

PROJECT = Path(__file__).parent.parent.parent
COPIED = ["csrc", "src", "tests", "pyproject.toml", "setup.py"]
LINT = "tests/tool/test_lint.py"
HEADER = re.compile(r"Broken: (?P<broken>.+)\nCaught by: (?P<check>\S+)\n\n---")
SECONDS = 60  # a hang counts as a failure
PYTEST_FAILED = 1
# A mutant that brings the GIL back must fail a test, and not stop pytest from starting.
NO_WARNING = "ignore:The global interpreter lock:RuntimeWarning"
OPTIONS = ["-p", "no:cacheprovider", "-p", "no:ftdemo", "-W", NO_WARNING]


class Mutant(NamedTuple):
    """A patch, what it breaks, and the check that must fail."""

    name: str
    patch: Path
    broken: str
    check: str


def mutants() -> Iterator[Mutant]:
    """Read all patches. Raise ValueError if a header is invalid."""
    for patch in sorted(Path(__file__).parent.glob("*.patch")):
        header = HEADER.match(patch.read_text(encoding="utf-8"))
        if header is None:
            raise ValueError(f"{patch}: the header must be {HEADER.pattern!r}")
        yield Mutant(patch.stem, patch, header["broken"], header["check"])


def build(python: str, copy: Path) -> None:
    """Compile the changed sources."""
    command = [python, "setup.py", "-q", "build_ext", "--inplace"]
    subprocess.run(command, cwd=copy, check=True, capture_output=True)


def passes(python: str, sound: Path, checks: set[str]) -> bool:
    """Run checks on the unchanged copy, with the output of pytest."""
    if LINT in checks and outcome(python, sound, LINT):
        return False
    tests = sorted(checks - {LINT})
    if not tests:
        return True
    command = [python, "-m", "pytest", *OPTIONS, *tests]
    environment = os.environ | {"PYTHONPATH": str(sound / "src")}
    return subprocess.run(command, cwd=sound, env=environment, check=False).returncode == 0


def outcome(python: str, copy: Path, check: str) -> str:
    """Run one check in a copy; return how it failed, or "" if it passed."""
    command = [python, "-m", "pytest", "-q", check, *OPTIONS]
    env = {"PYTHONPATH": str(copy / "src")}
    if check == LINT:
        command[0], env = sys.executable, {}
    try:
        done = processes.run(command, env=env, timeout=SECONDS, cwd=str(copy))
    except subprocess.TimeoutExpired:
        return "hung"
    if done.returncode < 0:
        return processes.ending(done.returncode, SECONDS)
    if done.returncode == PYTEST_FAILED:
        return "failed"
    if done.returncode == 0 and re.search(r"^[1-9]\d* passed", done.stdout, re.M):
        return ""
    sys.exit(f"{check} did not run:\n{done.stdout}{done.stderr}")


def stress_outcome(python: str, copy: Path, seconds: float) -> str:
    """Stress the copy of ftdemo._ready; return its findings, or "" if there are none."""
    command = [python, "-m", "ftdemo", "stress", "ftdemo._ready", "--json"]
    command += ["--seconds", str(seconds)]
    environment = os.environ | {"PYTHONPATH": str(copy / "src")}
    ran = subprocess.run(command, env=environment, check=False, capture_output=True, text=True)
    if ran.returncode not in {0, 1}:
        sys.exit(f"ftdemo stress did not run:\n{ran.stdout}{ran.stderr}")
    found = [
        f"{each['kind']} {' | '.join(each['operations'])}"
        for each in json.loads(ran.stdout)["findings"]
    ]
    return f"{len(found)} findings: {found[0]}" if found else ""


def main() -> int:
    """Run the named mutants, or all."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--python", required=True, help="a free-threaded interpreter")
    parser.add_argument("--repeat", type=int, default=1, help="number of runs of each check")
    parser.add_argument("--stress", type=float, metavar="SECONDS", help="run ftdemo stress")
    parser.add_argument("names", nargs="*", metavar="NAME", help="a mutant (default: all)")
    options = parser.parse_args()
    options.python = str(Path.cwd() / options.python)  # not resolved, to stay in its environment
    chosen = [m for m in mutants() if not options.names or m.name in options.names]
    with tempfile.TemporaryDirectory(prefix="ftdemo mutants ") as folder:
        sound = Path(folder) / "sound"
        ignored = shutil.ignore_patterns("__pycache__", "*.so", "*.pyd", "build")
        for name in COPIED:
            if (PROJECT / name).is_dir():
                shutil.copytree(PROJECT / name, sound / name, ignore=ignored)
            else:
                shutil.copy2(PROJECT / name, sound / name)
        build(options.python, sound)
        if options.stress:
            if how := stress_outcome(options.python, sound, options.stress):
                print(f"without a mutant: {how}")
                return 2
        elif not passes(options.python, sound, {mutant.check for mutant in chosen}):
            print("a check fails without a mutant")
            return 2
        return 1 if survivors(options, chosen, sound) else 0


def survivors(options: argparse.Namespace, chosen: list[Mutant], sound: Path) -> int:
    """Run the mutants and print one line for each; return how many survived a run."""
    survived = 0
    width = max((len(mutant.name) for mutant in chosen), default=0)
    for mutant in chosen:
        copy = sound.parent / mutant.name
        shutil.copytree(sound, copy)
        command = ["git", "apply", str(mutant.patch)]
        subprocess.run(command, cwd=copy, check=True)
        if options.stress or mutant.check != LINT:
            build(options.python, copy)
        how = Counter(
            stress_outcome(options.python, copy, options.stress)
            if options.stress
            else outcome(options.python, copy, mutant.check)
            for _ in range(options.repeat)
        )
        alive = how.pop("", 0)
        survived += bool(alive)
        verdict = "SURVIVED" if alive else "killed"
        if options.repeat > 1:
            verdict += f" {alive or how.total()} of {options.repeat}"
        check = "" if options.stress else mutant.check
        row = f"{mutant.name:{width}}  {verdict:8}  {', '.join(how):6}  {check}"
        print(row.rstrip(), flush=True)
        shutil.rmtree(copy)
    print(f"{len(chosen)} mutants, {survived} survived")
    return survived


if __name__ == "__main__":
    sys.exit(main())

"""Run the tests of the C code under a sanitizer, after it has reported known faults.

    python tests/sanitizers/run.py address --python PYTHON
    python tests/sanitizers/run.py thread --python PYTHON --suppressions FILE

PYTHON is in an environment with the dependency group `test`; this script installs ftdemo there,
compiled with the sanitizer's flags. For thread, PYTHON must be instrumented, and FILE contains
CPython's suppressions for its version; for address, any build will do. This interpreter has uv.

First, the canary: the sanitizer must report each fault in canary.c, and nothing in its sound code.
Then the tests run on csrc/ready and csrc/legacy: no report may name ftdemo, but with
ThreadSanitizer and the GIL forced off, a report must name each file of csrc/legacy that has a race.
Exit with 0 if all this is true, else with 1.
"""

import argparse
import ctypes
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).parent
PROJECT = HERE.parent.parent
READY, LEGACY = PROJECT / "csrc/ready", PROJECT / "csrc/legacy"
CONCEPTS = sorted(path.stem for path in READY.glob("*.c") if path.stem != "module")
RACING = [  # concepts that the port changed
    concept
    for concept in CONCEPTS
    if (READY / f"{concept}.c").read_text() != (LEGACY / f"{concept}.c").read_text()
]
SECONDS = 1200
ATTEMPTS = 10  # to report a known fault
FLAGS = {
    "address": "-fsanitize=address,undefined -fno-sanitize-recover=undefined",
    "thread": "-fsanitize=thread",
}

ASK = """
import sys, sysconfig
print(sysconfig.get_config_var("CC").split()[0])
print(bool(sysconfig.get_config_var("Py_GIL_DISABLED")))
"""
CALL = """
import canary, sys
from ftdemo.threads import in_threads
in_threads(*[getattr(canary, sys.argv[1])] * int(sys.argv[2]))
"""
# The beginning of a report. A report of leaks has one for each leak.
REPORT = re.compile(
    r"^(?=WARNING: ThreadSanitizer|=+\d+=+ERROR: AddressSanitizer|\w+ leak of |\S+ runtime error)",
    re.M,
)


class Run(NamedTuple):
    """A finished process: its exit code, its output, and the sanitizer's reports."""

    code: int
    output: str
    reports: list[str]

    def naming(self, pattern: str) -> list[str]:
        """Return the reports that name a C source or an extension module like this."""
        return [report for report in self.reports if re.search(pattern, report)]


class Sanitizer:
    """An interpreter, and the environment variables to run it with."""

    def __init__(self, which: str, python: str, folder: Path, suppressions: str) -> None:
        self.which = which
        self.python = str(Path.cwd() / python)  # not resolved, to stay in its environment
        self.folder = folder
        asked = subprocess.run([self.python, "-c", ASK], capture_output=True, text=True, check=True)
        compiler, free_threaded = asked.stdout.split()
        self.free_threaded = free_threaded == "True"
        log = f"log_path='{folder / 'report'}':exitcode=0"
        # With bytecode, since an instrumented interpreter takes half a minute to compile pytest.
        self.environment = os.environ | {"PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": ""}
        self.build()
        if which == "thread":
            self.environment["TSAN_OPTIONS"] = f"{log}:suppressions='{suppressions}'"
            return
        library = [compiler, "-print-file-name=libasan.so"]
        found = subprocess.run(library, capture_output=True, text=True, check=True)
        self.environment |= {
            "LD_PRELOAD": found.stdout.strip(),
            "ASAN_OPTIONS": f"{log}:detect_leaks=1:fast_unwind_on_malloc=0:malloc_context_size=12",
            "UBSAN_OPTIONS": "print_stacktrace=1",
        }
        if not self.free_threaded:  # the free-threaded build supports only mimalloc
            self.environment["PYTHONMALLOC"] = "malloc"

    def build(self) -> None:
        """Build ftdemo from an sdist, without old object files; install it; build the canary."""
        # setuptools uses these instead of the interpreter's flags, also of -fsanitize=thread.
        flags = FLAGS[self.which]
        env = os.environ | {"CFLAGS": f"-g -O1 {flags}", "LDFLAGS": flags}
        uv, target = [sys.executable, "-m", "uv"], ["-q", "--python", self.python]
        dist = self.folder / "dist"
        subprocess.run([*uv, "build", *target, "--out-dir", dist, PROJECT], env=env, check=True)
        (wheel,) = dist.glob("*.whl")
        subprocess.run([*uv, "pip", "install", *target, wheel], check=True)
        shutil.copy2(HERE / "canary.c", self.folder)
        command = [self.python, PROJECT / "tests/build_module.py", "canary.c"]
        subprocess.run(command, cwd=self.folder, env=env, check=True)

    def run(self, *arguments: str) -> Run:
        """Run the interpreter in the project's folder, and collect the reports."""
        done = subprocess.run(
            [self.python, *arguments],
            cwd=PROJECT,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=SECONDS,
            check=False,
        )
        reports = REPORT.split(done.stdout)[1:]  # UndefinedBehaviorSanitizer ignores log_path here
        for log in self.folder.glob("report.*"):
            reports += REPORT.split(log.read_text(encoding="utf-8", errors="replace"))[1:]
            log.unlink()
        return Run(done.returncode, done.stdout, reports)

    def call(self, function: str) -> Run:
        """Call a function of the canary, for ThreadSanitizer in two threads."""
        return self.run("-c", CALL, function, "2" if self.which == "thread" else "1")

    def test(self, files: list[str], *options: str, python: tuple[str, ...] = ()) -> Run:
        """Run test files in pytest without capturing, so that the sanitizer's output is printed."""
        paths = [str(PROJECT / "tests/extension" / f"test_{name}.py") for name in files]
        plain = ("-s", "-p", "no:cacheprovider", "-p", "no:ftdemo")
        return self.run(*python, "-m", "pytest", *plain, *options, *paths)


def canary(sanitizer: Sanitizer) -> Iterator[bool]:
    """Check that the sanitizer reports each known fault, and nothing else."""
    if sanitizer.which == "thread":
        faults = ["race"]
    else:
        faults = ["use_after_free", "leak", "overflow"]
        if not sanitizer.free_threaded:
            faults += ["past_the_end", "leaked_object"]
    for fault in faults:
        # On a busy machine, one thread may end before the other begins, and there is no race.
        attempts = (sanitizer.call(fault).naming(r"canary\.c") for _ in range(ATTEMPTS))
        reported = next(filter(None, attempts), [])
        yield tell(f"canary: {fault}", bool(reported), len(reported))
    done = sanitizer.call("locked")
    reported = done.naming("canary")
    yield tell("canary: locked", done.code == 0 and not reported, len(reported))


def ready(sanitizer: Sanitizer) -> Iterator[bool]:
    """Check that the tests of ftdemo pass without a report."""
    options = () if sanitizer.which == "thread" else ("-m", "not race")
    yield silent("ready", sanitizer.test([*CONCEPTS, "module"], *options))


def legacy(sanitizer: Sanitizer) -> Iterator[bool]:
    """Run the tests of ftdemo.legacy, which is sound except for its races."""
    without_gil = ("-X", "gil=0") if sanitizer.free_threaded else ()
    if sanitizer.which == "address":
        options = ("--extension=legacy", "-m", "not race")
        yield silent("legacy", sanitizer.test(CONCEPTS, *options, python=without_gil))
        return
    for concept in RACING:
        options = ("--extension=legacy", "-m", "race", "-x")
        done = sanitizer.test([concept], *options, python=without_gil)
        reported = done.naming(rf"csrc/legacy/{concept}\.c")
        yield tell(f"legacy/{concept}.c, GIL off", bool(reported), len(reported))


def silent(what: str, done: Run) -> bool:
    """Print whether tests passed without a report that names ftdemo, and any such report."""
    print(done.output, flush=True)
    reported = done.naming(r"csrc/|/ftdemo/_")
    for report in reported:
        print(report)
    print(f"reports that do not name ftdemo: {len(done.reports) - len(reported)}")
    return tell(what, done.code == 0 and not reported, len(reported))


def tell(what: str, is_so: bool, reports: int) -> bool:
    """Print one line of the result."""
    print(
        f"{what:27}  {'as expected' if is_so else 'UNEXPECTED':12}  reports: {reports}", flush=True
    )
    return is_so


def main() -> int:
    """Run the canary and the tests."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("which", choices=["address", "thread"])
    parser.add_argument("--python", required=True, help="an interpreter with ftdemo")
    parser.add_argument("--suppressions", default="", metavar="FILE", help="CPython's own")
    options = parser.parse_args()
    if options.which == "thread":
        # ThreadSanitizer fails if the kernel moves addresses too far: set ADDR_NO_RANDOMIZE.
        ctypes.CDLL(None).personality(0x0040000)
    with tempfile.TemporaryDirectory(prefix="ftdemo sanitizers ") as folder:
        arguments = (options.which, options.python, Path(folder), options.suppressions)
        sanitizer = Sanitizer(*arguments)
        if not all(list(canary(sanitizer))):
            print("a sanitizer that misses a known fault proves nothing")
            return 1
        return 0 if all([*ready(sanitizer), *legacy(sanitizer)]) else 1


if __name__ == "__main__":
    sys.exit(main())

"""Each task of a developer is a session. These two commands are what a change must pass:

tools/nox           Run the tests on every interpreter that is installed, of CPython 3.11 to 3.15,
                    with the GIL and without. Where none is free-threaded, it gets one first.
tools/nox -t rest   Run everything else, which takes longer: lint, packages, mutants, sanitizers,
                    stress, new projects, and the benchmarks in short.

Both end with a line for each session, and say why one was skipped. `tools/nox -s NAME` runs one
session, and what follows `--` goes to it. With uv, `uvx --with uv nox` is the same as `tools/nox`.
"""

import hashlib
import os
import re
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

import nox

nox.needs_version = ">=2026.4"
nox.options.default_venv_backend = "uv|venv"
nox.options.download_python = "never"  # what is missing is skipped by name; see provide()
nox.options.error_on_missing_interpreters = False
nox.options.sessions = ["provide", "tests"]
REST = ["rest"]  # the tag of what `tools/nox -t rest` runs

# Where tools/provide_python.py puts what it builds.
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "ftdemo"
os.environ["PATH"] += os.pathsep + str(Path(os.environ.get("FTDEMO_CACHE") or CACHE) / "bin")

PROJECT = nox.project.load_toml("pyproject.toml")
PYTHONS = ["3.13t", *nox.project.python_versions(PROJECT)]  # 3.14t and 3.15t are among them
FREE_THREADED = [version for version in PYTHONS if version.endswith("t")]
# Of what needs one free-threaded interpreter: that which upstream calls final, else any.
FREE = "3.14t" if shutil.which("python3.14t") else "3t"
THIS = f"{sys.version_info.major}.{sys.version_info.minor}"
UV = (sys.executable, "-m", "uv")
# uv would heed these of a session, in what a session runs that has environments of its own.
UNSET = {"UV_PYTHON": None, "VIRTUAL_ENV": None}
STRESS_SKIPPED = 77


def group(name: str) -> tuple[str, ...]:
    return nox.project.dependency_groups(PROJECT, name)


def install_ftdemo(session: nox.Session, *more: str) -> None:
    """Install ftdemo, compiled with warnings as errors, and what else a session needs."""
    # hypothesis has Rust in it, and wheels for 3.14t on; 3.13t gets the last one without.
    session.install("--only-binary=hypothesis", ".", *more, env={"FTDEMO_WERROR": "1"})


def provided(session: nox.Session, *options: str) -> str:
    """Give what tools/provide_python.py prints: the path of what was there or was just made."""
    command = (sys.executable, "tools/provide_python.py", *options)
    return str(session.run(*command, external=True, silent=True, stderr=sys.stderr)).strip()


def environment(session: nox.Session, python: str, *packages: str) -> str:
    """Make an environment beside the session's own, of any interpreter; gives its Python."""
    where = Path(session.create_tmp()) / f"environment-{Path(python).name}"
    session.run(*UV, "venv", "-q", "--clear", "-p", python, str(where), external=True)
    path = str(where / ("Scripts/python.exe" if os.name == "nt" else "bin/python"))
    if packages:
        session.run(*UV, "pip", "install", "-q", "--python", path, *packages, external=True)
    return path


@nox.session(python=False)
def provide(session: nox.Session) -> None:
    """See to it that there is a free-threaded interpreter, and say which."""
    session.log(f"free-threaded: {provided(session)}")


@nox.session(python=FREE, requires=["provide"])
def demo(session: nox.Session) -> None:
    """Build ftdemo for a free-threaded interpreter and run its import check: start here."""
    session.install(".")
    session.run("ftdemo", *session.posargs)


@nox.session(tags=REST)
def lint(session: nox.Session) -> None:
    """Check style, types, stubs, metadata and workflows: all hooks of .pre-commit-config.yaml."""
    install_ftdemo(session, *group("lint"), *group("test"), "nox")
    session.run("pre-commit", "run", "--all-files", "--show-diff-on-failure")
    session.run("pytest", "-q", "tests/tool/test_lint.py")


@nox.session
def guarantees(session: nox.Session) -> None:
    """Write docs/guarantees.md anew, from docstrings and mutants."""
    session.install(".")
    session.run("python", "tools/guarantees.py")


@nox.session(name="lint-real")
def lint_real(session: nox.Session) -> None:
    """Lint real sources: nox -s lint-real -- FOLDER... (the figures in docs/lint.md)."""
    session.install(".[lint]")
    session.run("python", "tests/tool/lint_real.py", *session.posargs)


@nox.session(name="format")
def fmt(session: nox.Session) -> None:
    """Format Python and C in place."""
    session.install(*group("lint"))
    session.run("ruff", "check", "--fix-only")
    session.run("ruff", "format")
    session.run("clang-format", "-i", *map(str, Path("csrc").rglob("*.[ch]")))


@nox.session(python=PYTHONS)
def tests(session: nox.Session) -> None:
    """Run the tests on this interpreter; without the GIL, in eight threads a test."""
    install_ftdemo(session, *group("test"))
    threads = ["--parallel-threads=8"] if str(session.python).endswith("t") else []
    session.run("pytest", *threads, *session.posargs)


@nox.session(python=FREE_THREADED, requires=["provide"], tags=REST)
def mutants(session: nox.Session) -> None:
    """Remove one precaution at a time from csrc/ready, and see the test named for it fail."""
    needed = (*group("test"), *PROJECT["project"]["dependencies"])
    session.install("--only-binary=hypothesis", *needed)
    # The source lint's parser has no wheels for free-threaded builds: it runs on nox's Python.
    linter = environment(session, sys.executable, *group("lint"), *group("test"), ".")
    run = ("tests/mutants/run.py", "--python", f"{session.bin}/python", *session.posargs)
    session.run(linter, *run, external=True)


@nox.session(python=[THIS, FREE], requires=["provide"], tags=REST)
def asan(session: nox.Session) -> None:
    """Run the tests of the C code under AddressSanitizer and UndefinedBehaviorSanitizer.

    On a build with the GIL, where every allocation is seen, and on a free-threaded one.
    """
    if sys.platform != "linux":
        session.skip("needs gcc's libraries")
    session.install("--only-binary=hypothesis", *group("test"))
    run = ("tests/sanitizers/run.py", "address", "--python", f"{session.bin}/python")
    session.run(sys.executable, *run, external=True)


@nox.session(python=False, tags=REST)
def tsan(session: nox.Session) -> None:
    """Run the tests of the C code under ThreadSanitizer, and see it report the legacy twin.

    Takes an interpreter that is instrumented, and a file of what CPython suppresses in its version;
    without them, provides both.
    """
    if sys.platform != "linux":
        session.skip("needs an interpreter that is built for it, which is provided on Linux")
    if session.posargs:
        python, suppressions = session.posargs
    else:
        python = provided(session, "--sanitizer", "thread")
        suppressions = str(Path(python).resolve().parent.parent / "share/tsan.txt")
    python = environment(session, python, "--only-binary=hypothesis", *group("test"))
    run = ("tests/sanitizers/run.py", "thread", "--python", python)
    session.run(sys.executable, *run, "--suppressions", suppressions, external=True)


@nox.session(python=FREE, requires=["provide"], tags=REST)
def stress(session: nox.Session) -> None:
    """Stress ftdemo's own types, then run each script in tests/stress: so many seconds each, 5."""
    session.install(".")
    seconds = session.posargs[0] if session.posargs else "5"
    own = ("ftdemo", "stress", "--seconds", seconds)
    session.run(*own, "ftdemo._ready", "ftdemo._stress", success_codes=[0, 3])
    session.run(*own, "ftdemo._legacy", success_codes=[1, 3])
    for script in sorted(Path("tests/stress").glob("*.py")):
        if script.stem != "common":
            session.run("python", str(script), seconds, success_codes=[0, STRESS_SKIPPED])


@nox.session(python=FREE, requires=["provide"])
def bench(session: nox.Session) -> None:
    """Measure ftdemo beside its peers: on a machine that does nothing else for ten minutes.

    `-- --publish` also writes what was measured to where the documents quote it.
    """
    measure(session, "numpy", "scipy", report=session.posargs)


@nox.session(python=FREE, requires=["provide"], tags=REST)
def smoke(session: nox.Session) -> None:
    """See that each benchmark runs and that no peer breaks its contract; no figure counts."""
    measure(session, "cereggii", options=["--quick"])


def measure(
    session: nox.Session, *packages: str, options: Sequence[str] = (), report: Sequence[str] = ()
) -> None:
    """Run benchmarks/run.py on this build, and beside it that with the GIL, if it is installed."""
    extras = PROJECT["project"]["optional-dependencies"]
    pythons = {f"{session.bin}/python": extras["plot"] if report else []}
    asked = str(session.run("python", "-c", "import sys; print(sys.version)", silent=True))
    if with_gil := shutil.which(f"python{'.'.join(asked.split('.')[:2])}"):
        other = environment(session, with_gil)
        pythons[other] = extras["lint"]
        options = [*options, "--with-gil", other]
    for python, more in pythons.items():
        install = (*UV, "pip", "install", "-q", "--python", python)
        what = (*group("bench"), *packages, *more, ".")
        session.run(*install, "--compile-bytecode", *what, external=True)
        # Without isolation, so that the toolkits are those that were pinned.
        session.run(*install, "--no-build-isolation", "./benchmarks/peers", external=True)
    result = str(Path(session.create_tmp()) / "results.json")
    session.run("python", "benchmarks/run.py", *options, "--packages", *packages, "-o", result)
    session.run("python", "benchmarks/report.py", result, *report)


@nox.session(python=["3.14t", "3.15t"])
def real(session: nox.Session) -> None:
    """Check real packages from PyPI, and compare with fresh interpreters: the table in the docs."""
    install_ftdemo(session, "--only-binary=scikit-image", *group("test"), *group("real"))
    packages = sorted({re.split("[<>;]", name)[0] for name in group("real")})
    session.run("ftdemo", "check", *packages, success_codes=[1])  # some bring the GIL back
    session.run(
        *("pytest", "tests/tool/test_check.py", "-k", "real_packages", *session.posargs),
        env={"FTDEMO_REAL_PACKAGES": " ".join(packages)},
    )


@nox.session(requires=["provide"], tags=REST)
def package(session: nox.Session) -> None:
    """Build the sdist and from it a wheel; install that where there is no compiler, and run it.

    Takes a folder to put them in. The wheel is built offline, as those who repackage do.
    """
    session.install(".[plot]", *group("test"))
    session.run("pytest", "tests/tool/test_demo.py", "-k", "plot")
    dist = Path(session.posargs[0] if session.posargs else f"{session.create_tmp()}/dist")
    shutil.rmtree(dist, ignore_errors=True)
    session.run(*UV, "build", "-q", "--sdist", "--out-dir", str(dist), external=True)
    (sdist,) = dist.glob("*.tar.gz")
    builder = environment(session, FREE, *PROJECT["build-system"]["requires"])
    options = ("--wheel", "--offline", "--no-build-isolation", "--python", builder)
    session.run(*UV, "build", "-q", *options, "--out-dir", str(dist), str(sdist), external=True)
    (wheel,) = dist.glob("*.whl")
    python = environment(session, FREE, str(wheel))
    bare = {"PATH": str(Path(python).parent), "CC": "false"}
    for arguments in ((), ("check", "ftdemo._ready"), ("wheels", str(dist))):
        session.run(python, "-m", "ftdemo", *arguments, external=True, env=bare)


@nox.session(requires=["provide"], tags=REST)
def template(session: nox.Session) -> None:
    """See template/ through, and a project that `ftdemo new` makes: all that a user can run."""
    session.install(*group("lint"), "nox", "uv")
    free = environment(session, FREE)
    session.run("python", "tests/tool/new_projects.py", "--free-threaded", free, env=UNSET)


@nox.session(python=FREE, requires=["provide"], tags=REST)
def cross(session: nox.Session) -> None:
    """Compile the C sources for Windows and macOS, with warnings as errors. Nothing is linked."""
    session.install("ziglang==0.17.1")
    provide = (sys.executable, "tools/provide_python.py", "--headers")
    found = str(session.run(*provide, external=True, silent=True, success_codes=[0, 1])).split("\n")
    folder = found[-2] if len(found) > 1 else ""
    if not Path(folder, "Include").exists():
        session.skip("there are no headers of CPython for Windows here")
    session.run("python", "tools/cross_compile.py", folder)


@nox.session(python=["3.15t", "3.15"], tags=REST)
def abi3t(session: nox.Session) -> None:
    """Test the wheel for the stable ABI, or the one that 3.15t builds, on both builds of 3.15."""
    dist = Path(".nox/abi3t")
    if session.python == "3.15t" and not session.posargs:
        shutil.rmtree(dist, ignore_errors=True)
        command = (*UV, "build", "-q", "--python", f"{session.bin}/python", "--out-dir", str(dist))
        env = {"FTDEMO_ABI3T": "1", "FTDEMO_WERROR": "1"}
        session.run(*command, external=True, env=env)
    wheel = next(iter([*map(Path, session.posargs), *dist.glob("*.whl")]), None)
    if wheel is None:
        session.skip("3.15t has not built the wheel")
    session.log(f"{wheel.name} SHA-256 {hashlib.sha256(wheel.read_bytes()).hexdigest()}")
    session.install(*group("test"), str(wheel))
    threads = ["--parallel-threads=8"] if session.python == "3.15t" else []
    session.run("pytest", *threads)


@nox.session
def wheels(session: nox.Session) -> None:
    """Build and test wheels, as in CI: all for this machine, or `-- --only IDENTIFIER`."""
    session.install(*group("wheels"), "uv", ".")
    session.run("python", "tools/wheels.py", "build", *session.posargs, env=UNSET)

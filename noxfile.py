"""The tasks of a developer, one session each. A change must pass these two commands:

tools/nox           Run the tests on every installed interpreter of CPython 3.11 to 3.15, with the
                    GIL and without. If none is free-threaded, install one first.
tools/nox -t rest   Run everything else, which takes longer: lint, packages, mutants, sanitizers,
                    stress, new projects, and short benchmarks.

Both end with one line per session, which says why a session was skipped. `tools/nox -s NAME` runs
one session; arguments after `--` are passed to it. With uv, `uvx --with uv nox` does the same as
`tools/nox`.
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
nox.options.download_python = "never"  # sessions without an interpreter are skipped; see provide()
nox.options.error_on_missing_interpreters = False
nox.options.sessions = ["provide", "tests"]
REST = ["rest"]  # the tag of the sessions that `tools/nox -t rest` runs

# Where tools/provide_python.py installs interpreters.
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "ftdemo"
os.environ["PATH"] += os.pathsep + str(Path(os.environ.get("FTDEMO_CACHE") or CACHE) / "bin")

PROJECT = nox.project.load_toml("pyproject.toml")
PYTHONS = ["3.13t", *nox.project.python_versions(PROJECT)]  # includes 3.14t and 3.15t
FREE_THREADED = [version for version in PYTHONS if version.endswith("t")]
# For sessions that need just one free-threaded interpreter: 3.14t if installed, or else any.
FREE = "3.14t" if shutil.which("python3.14t") else "3t"
THIS = f"{sys.version_info.major}.{sys.version_info.minor}"
UV = (sys.executable, "-m", "uv")
# Unset these for commands that create their own environments: uv would use the session's instead.
UNSET = {"UV_PYTHON": None, "VIRTUAL_ENV": None}


def group(name: str) -> tuple[str, ...]:
    return nox.project.dependency_groups(PROJECT, name)


def install_ftdemo(session: nox.Session, *more: str) -> None:
    """Install ftdemo, compiled with warnings as errors, and more packages."""
    # hypothesis contains Rust, with wheels since 3.14t; 3.13t gets the last release without Rust.
    session.install("--only-binary=hypothesis", ".", *more, env={"FTDEMO_WERROR": "1"})


def provided(session: nox.Session, *options: str) -> str:
    """Run tools/provide_python.py; return the path that it prints."""
    command = (sys.executable, "tools/provide_python.py", *options)
    return str(session.run(*command, external=True, silent=True, stderr=sys.stderr)).strip()


def environment(session: nox.Session, python: str, *packages: str) -> str:
    """Create a second virtual environment, for this interpreter; return the path of its Python."""
    where = Path(session.create_tmp()) / f"environment-{Path(python).name}"
    session.run(*UV, "venv", "-q", "--clear", "-p", python, str(where), external=True)
    path = str(where / ("Scripts/python.exe" if os.name == "nt" else "bin/python"))
    if packages:
        session.run(*UV, "pip", "install", "-q", "--python", path, *packages, external=True)
    return path


@nox.session(python=False)
def provide(session: nox.Session) -> None:
    """Install a free-threaded interpreter if there is none, and print its path."""
    session.log(f"free-threaded: {provided(session)}")


@nox.session(python=FREE, requires=["provide"])
def demo(session: nox.Session) -> None:
    """Build ftdemo for a free-threaded interpreter and run its import check: start here."""
    session.install(".")
    session.run("ftdemo", *session.posargs)


@nox.session(tags=REST)
def lint(session: nox.Session) -> None:
    """Check style, types, stubs, metadata and workflows with all hooks of pre-commit.

    It also formats Python and C, and writes docs/guarantees.md, and fails if that changes a file.
    """
    install_ftdemo(session, *group("lint"), *group("test"), "nox")
    session.run("pre-commit", "run", "--all-files", "--show-diff-on-failure")
    session.run("pytest", "-q", "tests/tool/test_lint.py")


@nox.session(name="lint-real")
def lint_real(session: nox.Session) -> None:
    """Run the lint on other sources, for docs/lint.md: nox -s lint-real -- FOLDER..."""
    session.install(".[lint]")
    session.run("python", "tests/tool/lint_real.py", *session.posargs)


@nox.session(python=PYTHONS)
def tests(session: nox.Session) -> None:
    """Run the tests on one interpreter; if it is free-threaded, each test in eight threads."""
    install_ftdemo(session, *group("test"))
    threads = ["--parallel-threads=8"] if str(session.python).endswith("t") else []
    session.run("pytest", *threads, *session.posargs)


@nox.session(python=FREE_THREADED, requires=["provide"], tags=REST)
def mutants(session: nox.Session) -> None:
    """Remove one precaution at a time from csrc/ready, and check that its test fails."""
    session.install("--only-binary=hypothesis", *group("test"), *PROJECT["project"]["dependencies"])
    # The parser of ftdemo lint has no wheels for free-threaded builds, so nox's Python runs it.
    linter = environment(session, sys.executable, *group("lint"), *group("test"), ".")
    run = ("tests/mutants/run.py", "--python", f"{session.bin}/python", *session.posargs)
    session.run(linter, *run, external=True)


@nox.session(python=[THIS, FREE], requires=["provide"], tags=REST)
def asan(session: nox.Session) -> None:
    """Run the tests of the C code under AddressSanitizer and UndefinedBehaviorSanitizer.

    Use a build with the GIL, where the sanitizer sees every allocation, and a free-threaded one.
    """
    if sys.platform != "linux":
        session.skip("needs gcc's libraries")
    session.install("--only-binary=hypothesis", *group("test"))
    run = ("tests/sanitizers/run.py", "address", "--python", f"{session.bin}/python")
    session.run(sys.executable, *run, external=True)


@nox.session(python=False, tags=REST)
def tsan(session: nox.Session) -> None:
    """Run the tests of the C code under ThreadSanitizer, which must report csrc/legacy.

    Arguments: an instrumented interpreter, and the file of CPython's suppressions for its version.
    Without arguments, install both.
    """
    if sys.platform != "linux":
        session.skip("needs an instrumented interpreter, which is built only on Linux")
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
    """Stress ftdemo's types, then run each script in tests/stress.

    Argument: the seconds for each type and script (default: 5).
    """
    session.install(".")
    seconds = session.posargs[0] if session.posargs else "5"
    own = ("ftdemo", "stress", "--seconds", seconds)
    session.run(*own, "ftdemo._ready", "ftdemo._stress", success_codes=[0, 3])
    session.run(*own, "ftdemo._legacy", success_codes=[1, 3])
    for script in sorted(Path("tests/stress").glob("*.py")):
        if script.stem != "common":
            session.run("python", str(script), seconds, success_codes=[0, 77])  # 77: skipped


@nox.session(python=FREE, requires=["provide"])
def bench(session: nox.Session) -> None:
    """Measure ftdemo and its peers for ten minutes, on an otherwise idle machine.

    `-- --publish` also writes the figures into the documents that quote them.
    """
    measure(session, "numpy", "scipy", report=session.posargs)


@nox.session(python=FREE, requires=["provide"], tags=REST)
def smoke(session: nox.Session) -> None:
    """Check that the benchmarks run and that each peer behaves like Account; ignore the figures."""
    measure(session, "cereggii", options=["--quick"])


def measure(
    session: nox.Session, *packages: str, options: Sequence[str] = (), report: Sequence[str] = ()
) -> None:
    """Run benchmarks/run.py on this build, and on the build with the GIL if it is installed."""
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
        # Without build isolation, to use the pinned versions of the toolkits.
        session.run(*install, "--no-build-isolation", "./benchmarks/peers", external=True)
    result = str(Path(session.create_tmp()) / "results.json")
    session.run("python", "benchmarks/run.py", *options, "--packages", *packages, "-o", result)
    session.run("python", "benchmarks/report.py", result, *report)


@nox.session(python=["3.14t", "3.15t"])
def real(session: nox.Session) -> None:
    """Check and stress packages from PyPI, for the tables in the documentation."""
    install_ftdemo(session, "--only-binary=scikit-image", *group("test"), *group("real"))
    packages = sorted({re.split("[<>;]", name)[0] for name in group("real")})
    session.run("ftdemo", "check", *packages, success_codes=[1])  # some bring the GIL back
    session.run(
        *("pytest", "tests/tool/test_check.py", "-k", "real_packages", *session.posargs),
        env={"FTDEMO_REAL_PACKAGES": " ".join(packages)},
    )
    if session.python == "3.14t":  # the pinned packages have wheels for it
        session.install("-r", "tests/real/packages.txt")
        # The table in docs/stress.md; the results and programs stay in the folder.
        session.run("python", "tests/real/stress.py", f"--keep={session.create_tmp()}/stress")


@nox.session(requires=["provide"], tags=REST)
def package(session: nox.Session) -> None:
    """Build the sdist and from it a wheel; install the wheel without a compiler and run it.

    Argument: a folder for both. The wheel is built offline, as Linux distributions do.
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
    """Run all checks of template/ and of a project that `ftdemo new` creates."""
    session.install(*group("lint"), "nox", "uv")
    free = environment(session, FREE)
    # Not in the session's folder: uv splits UV_CONSTRAINT at spaces, and its path may have one.
    env = {**UNSET, "TMPDIR": None}
    session.run("python", "tests/tool/new_projects.py", "--free-threaded", free, env=env)


@nox.session(python=FREE, requires=["provide"], tags=REST)
def cross(session: nox.Session) -> None:
    """Compile the C sources for Windows and macOS, with warnings as errors; link nothing."""
    session.install("ziglang==0.17.1")
    provide = (sys.executable, "tools/provide_python.py", "--headers")
    found = str(session.run(*provide, external=True, silent=True, success_codes=[0, 1])).split("\n")
    folder = found[-2] if len(found) > 1 else ""
    if not Path(folder, "Include").exists():
        session.skip("cannot get CPython's headers for Windows: see above")
    session.run("python", "tools/cross_compile.py", folder)


@nox.session(python=["3.15t", "3.15"], tags=REST)
def abi3t(session: nox.Session) -> None:
    """Test an abi3t wheel on 3.15 and 3.15t.

    Argument: its path. Without it, the 3.15t session builds the wheel.
    """
    dist = Path(".nox/abi3t")
    if session.python == "3.15t" and not session.posargs:
        shutil.rmtree(dist, ignore_errors=True)
        command = (*UV, "build", "-q", "--python", f"{session.bin}/python", "--out-dir", str(dist))
        session.run(*command, external=True, env={"FTDEMO_ABI3T": "1", "FTDEMO_WERROR": "1"})
    wheel = next(iter([*map(Path, session.posargs), *dist.glob("*.whl")]), None)
    if wheel is None:
        session.skip("3.15t has not built the wheel")
    session.log(f"{wheel.name} SHA-256 {hashlib.sha256(wheel.read_bytes()).hexdigest()}")
    session.install(*group("test"), str(wheel))
    threads = ["--parallel-threads=8"] if session.python == "3.15t" else []
    session.run("pytest", *threads)


@nox.session
def wheels(session: nox.Session) -> None:
    """Build and test wheels as CI does: all for this machine, or `-- --only IDENTIFIER`."""
    session.install(*group("wheels"), "uv", ".")
    session.run("python", "tools/wheels.py", "build", *session.posargs, env=UNSET)

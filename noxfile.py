"""Every developer task. `nox -l` lists them; `nox` alone is what a change must pass."""

import os
import shutil
import sys
import zipfile
from pathlib import Path

import nox

nox.needs_version = ">=2026.4"
nox.options.default_venv_backend = "uv|venv"
nox.options.download_python = "never"  # what is missing is skipped by name; see provide()
nox.options.error_on_missing_interpreters = False
nox.options.sessions = ["provide", "lint", "tests", "package"]

PROJECT = nox.project.load_toml("pyproject.toml")
PYTHONS = ["3.13t", *nox.project.python_versions(PROJECT)]  # 3.14t and 3.15t are among them
C_SOURCES = sorted(str(path) for path in Path("csrc").rglob("*.[ch]"))

# Where .ci/provide_python.py puts what it builds.
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "ftdemo"
os.environ["PATH"] += os.pathsep + str(Path(os.environ.get("FTDEMO_CACHE") or CACHE) / "bin")


def group(name: str) -> tuple[str, ...]:
    return nox.project.dependency_groups(PROJECT, name)


def install_ftdemo(session: nox.Session) -> None:
    """Build and install ftdemo with the compiler's warnings as errors."""
    session.install(".", env={"FTDEMO_WERROR": "1"})


def free_threaded_python(session: nox.Session) -> str:
    """Give the path of a free-threaded interpreter: one that is there, else one made for this."""
    path = session.run(
        sys.executable, ".ci/provide_python.py", external=True, silent=True, stderr=sys.stderr
    )
    assert isinstance(path, str)
    return path.strip()


def fresh_environment(session: nox.Session, python: str) -> Path:
    """Make an empty virtual environment of the interpreter at path python; gives its scripts."""
    where = Path(session.create_tmp()) / "environment"
    shutil.rmtree(where, ignore_errors=True)
    session.run(sys.executable, "-m", "uv", "venv", "-q", "-p", python, str(where), external=True)
    return where / ("Scripts" if os.name == "nt" else "bin")


def install_into(session: nox.Session, scripts: Path, what: str) -> None:
    session.run(
        *(sys.executable, "-m", "uv", "pip", "install", "-q"),
        *("--python", str(scripts / "python"), what),
        external=True,
    )


@nox.session(python=False)
def provide(session: nox.Session) -> None:
    """See to it that there is a free-threaded interpreter, and say which."""
    session.log(f"free-threaded: {free_threaded_python(session)}")


@nox.session(python=False)
def demo(session: nox.Session) -> None:
    """Build ftdemo for a free-threaded interpreter and run its import check: start here."""
    scripts = fresh_environment(session, free_threaded_python(session))
    install_into(session, scripts, ".")
    session.run(str(scripts / "ftdemo"), *session.posargs, external=True)


@nox.session
def lint(session: nox.Session) -> None:
    """Check style, types, stubs, metadata and workflows."""
    session.install(*group("lint"), *group("test"), "nox")
    install_ftdemo(session)
    session.run("ruff", "check")
    session.run("ruff", "format", "--check")
    session.run("clang-format", "--dry-run", "--Werror", *C_SOURCES)
    session.run("mypy")
    modules = ("_ready", "_legacy", "_single_phase", "_object_header")
    session.run("stubtest", *(f"ftdemo.{module}" for module in modules))
    session.run("validate-pyproject", "pyproject.toml")
    session.run("zizmor", "--offline", "--pedantic", "--quiet", ".github")
    if shutil.which("actionlint"):
        session.run("actionlint", external=True)
    else:
        session.warn("actionlint is not on PATH: skipped (CI on GitHub has it)")


@nox.session(name="format")
def fmt(session: nox.Session) -> None:
    """Format Python and C in place."""
    session.install(*group("lint"))
    session.run("ruff", "check", "--fix-only")
    session.run("ruff", "format")
    session.run("clang-format", "-i", *C_SOURCES)


@nox.session(python=PYTHONS)
def tests(session: nox.Session) -> None:
    """Run the tests on this interpreter; without the GIL, in eight threads a test."""
    # hypothesis has Rust in it, and wheels for 3.14t on; 3.13t gets the last one without.
    session.install("--only-binary=hypothesis", *group("test"))
    install_ftdemo(session)
    threads = ["--parallel-threads=8"] if str(session.python).endswith("t") else []
    session.run("pytest", *threads, *session.posargs)


REAL_PACKAGES = [
    "numpy",
    "scipy",
    "pandas",
    "lxml",
    "cryptography",
    "pydantic-core",
    "pyyaml",
    "matplotlib",
    "scikit-learn",
    "scikit-image",
    "aiohttp",
]


@nox.session(python=["3.14t", "3.15t"])
def real(session: nox.Session) -> None:
    """Check real packages from PyPI, and that all methods agree on them: the table in the docs."""
    # 0.26 is what four modules bring the GIL back in; 0.27 is the first with wheels for 3.15t.
    pin = "scikit-image<0.27" if session.python == "3.14t" else "scikit-image>=0.27.0rc1"
    session.install("--only-binary=scikit-image", *group("test"), *REAL_PACKAGES, pin)
    install_ftdemo(session)
    session.run("ftdemo", "check", *REAL_PACKAGES, success_codes=[1])  # some bring the GIL back
    session.run(
        *("pytest", "tests/test_check.py", "-k", "real_packages", *session.posargs),
        env={"FTDEMO_REAL_PACKAGES": " ".join(REAL_PACKAGES)},
    )


@nox.session
def package(session: nox.Session) -> None:
    """Build the sdist and from it a wheel; install that where there is no compiler, and run it."""
    session.install("build[uv]")
    python = free_threaded_python(session)
    dist = Path(session.create_tmp()) / "dist"
    shutil.rmtree(dist, ignore_errors=True)
    session.run("python", "-m", "build", "--installer=uv", "--sdist", "--outdir", str(dist))
    (sdist,) = dist.glob("*.tar.gz")
    session.run(
        *(sys.executable, "-m", "uv", "build", "-q", "--wheel", "--python", python),
        *("--out-dir", str(dist), str(sdist)),
        external=True,
    )
    (wheel,) = dist.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        strays = [n for n in archive.namelist() if n.endswith((".c", ".h")) or "tests/" in n]
    if strays:
        session.error(f"{wheel.name} has what no wheel should: {strays}")
    scripts = fresh_environment(session, python)
    install_into(session, scripts, str(wheel))
    bare = {"PATH": str(scripts), "CC": "false"}
    session.run(str(scripts / "ftdemo"), external=True, env=bare)
    session.run(str(scripts / "ftdemo"), "check", "ftdemo._ready", external=True, env=bare)

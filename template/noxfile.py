"""The tasks of a developer: `nox -l` lists them, and `nox` runs what a change must pass."""

import nox

nox.options.default_venv_backend = "uv|venv"
nox.options.sessions = ["lint", "tests", "stress"]

PROJECT = nox.project.load_toml("pyproject.toml")
# 3.13t is experimental: no wheels are built for it, but the package builds and works there.
PYTHONS = ["3.13t", *nox.project.python_versions(PROJECT)]
FREE_THREADED = [version for version in PYTHONS if version.endswith("t")]


def install(session: nox.Session, group: str) -> None:
    """Install a dependency group, then the package, with the compiler's warnings as errors."""
    session.install(*nox.project.dependency_groups(PROJECT, group))
    session.install(".", env={"ACME_WERROR": "1"})


@nox.session
def lint(session: nox.Session) -> None:
    """Check style, types, stubs and workflows, and look for C code that relies on the GIL."""
    install(session, "lint")
    session.run("ruff", "check")
    session.run("ruff", "format", "--check")
    session.run("clang-format", "--dry-run", "--Werror", "csrc/_core.c")
    session.run("mypy")
    session.run("stubtest", "acme._core")
    session.run("zizmor", "--offline", "--quiet", ".github")
    session.run("ftdemo", "lint", "csrc")


@nox.session(python=PYTHONS)
def tests(session: nox.Session) -> None:
    """Run the tests; on a free-threaded build, run each in eight threads at once."""
    install(session, "test")
    threads = ["--parallel-threads=8"] if session.python in FREE_THREADED else []
    session.run("pytest", *threads, *session.posargs)


@nox.session(python=FREE_THREADED)
def stress(session: nox.Session) -> None:
    """Check that the import keeps the GIL off, and let threads call shared objects at once."""
    install(session, "stress")
    session.run("ftdemo", "check", "acme")
    session.run("ftdemo", "stress", "acme", *session.posargs)


@nox.session
def wheels(session: nox.Session) -> None:
    """Build and test the wheels for this machine, as CI does; on Linux, this needs Docker."""
    session.install(*nox.project.dependency_groups(PROJECT, "wheels"))
    session.run("cibuildwheel", "--output-dir", "wheelhouse")

"""Run all checks of template/, and of a project that `ftdemo new` creates.

    python tests/tool/new_projects.py --free-threaded PYTHON

This interpreter has the dependency group `lint`, nox and uv. PYTHON is in an empty environment.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

PROJECT = Path(__file__).parents[2]
UV = (sys.executable, "-m", "uv")
VERSION = "import sys; print('%d.%d' % sys.version_info[:2])"


def run(*command: str, cwd: Path = PROJECT, **env: str) -> None:
    """Run a command and require that it succeeds."""
    print(*command, flush=True)
    subprocess.run(command, cwd=cwd, env=os.environ | env, check=True)


def version_of(python: str) -> str:
    """Return the version of an interpreter, such as 3.14."""
    return subprocess.check_output([python, "-c", VERSION], text=True).strip()


def create_projects(free: str, temporary: Path) -> Path:
    """Install ftdemo for PYTHON from the wheels in dist, and create projects; return one."""
    install = (*UV, "pip", "install", "-q", "--python", free, "--find-links")
    run(*install, str(temporary / "dist"), (temporary / "constraint.txt").read_text().strip())
    new = (free, "-m", "ftdemo", "new")
    # Formatting must not depend on the length of the name.
    for name in ("x", "a" * 30):
        folder = str(temporary / name)
        run(*new, name, folder)
        run("ruff", "check", folder)
        run("ruff", "format", "--check", folder)
        run("clang-format", "--dry-run", "--Werror", f"{folder}/csrc/_core.c")
    project = temporary / "with space" / "my-lib"
    run(*new, "my-lib", str(project))
    return project


def check_project(root: Path, sessions: list[str], temporary: Path) -> None:
    """Run the project in root: sessions of nox, the lint of its workflows, a build."""
    # Use the wheels that were just built, not those on PyPI.
    env = {
        "UV_FIND_LINKS": str(temporary / "dist"),
        "UV_CONSTRAINT": str(temporary / "constraint.txt"),
    }
    run("nox", "--error-on-missing-interpreters", "-s", *sessions, cwd=root, **env)
    run("zizmor", "--offline", "--pedantic", "--quiet", ".github", cwd=root)
    run("actionlint", *map(str, root.glob(".github/workflows/*.yml")), cwd=root)
    # Build the sdist, and from it a wheel.
    run(*UV, "build", "-q", "--out-dir", str(temporary / "built"), cwd=root)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--free-threaded", required=True, metavar="PYTHON")
    free = parser.parse_args().free_threaded
    this = version_of(sys.executable)
    version = version_of(free) + "t"
    sessions = ["lint", f"tests-{this}", f"tests-{version}", f"stress-{version}"]
    metadata = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))
    # A new folder each time, because uv caches wheels; not in .nox, which ruff excludes.
    with tempfile.TemporaryDirectory() as folder:
        temporary = Path(folder)
        constraint = f"ftdemo=={metadata['project']['version']}\n"
        (temporary / "constraint.txt").write_text(constraint, encoding="utf-8")
        for python in (sys.executable, free):
            wheel = ("--wheel", "--python", python, "--out-dir", str(temporary / "dist"))
            run(*UV, "build", "-q", *wheel)
        project = create_projects(free, temporary)
        for root in (PROJECT / "template", project):
            check_project(root, sessions, temporary)


if __name__ == "__main__":
    main()

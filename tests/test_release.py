"""What is released: the contract, and what cibuildwheel is told to build, are the same."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest

from ftdemo.wheels.contract import read_contract

pytest.importorskip("cibuildwheel", reason="run by nox -s package")

PROJECT = Path(__file__).parent.parent
SCRIPT = PROJECT / ".ci/wheel_matrix.py"


def jobs():
    done = subprocess.run([sys.executable, SCRIPT], stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout)["include"]


def test_the_jobs_are_the_cells_of_the_contract():
    cells = read_contract(PROJECT / ".github/wheels.toml").cells
    own = {f"{i.name}-{platform}" for (i, platform), abi in cells.items() if abi == i.name}
    stable = {platform for (_, platform), abi in cells.items() if abi == "abi3.abi3t"}
    built = jobs()
    assert sorted(job["only"] for job in built if not job["abi3t"]) == sorted(own)
    builds_it = {job["only"] for job in built if job["abi3t"]}
    assert builds_it == {f"cp315t-{platform}" for platform in stable}
    assert len(built) == len(own) + len(stable)


def test_nothing_to_build_is_an_error(tmp_path, monkeypatch):
    """As a misspelt identifier would have it, which cibuildwheel passes over in silence."""
    spec = importlib.util.spec_from_file_location("wheel_matrix", SCRIPT)
    matrix = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(matrix)
    (tmp_path / "pyproject.toml").write_text('[tool.cibuildwheel]\nbuild = "cp313t-*"\n')
    monkeypatch.setattr(matrix, "PROJECT", tmp_path)
    with pytest.raises(SystemExit, match="builds nothing for linux"):
        matrix.identifiers("linux")

"""Every race test must fail on ftdemo.legacy with the GIL forced off, where the race exists.

A test that passes there would pass on any code, and proves nothing about ftdemo._ready.
"""

import contextlib
import importlib.util
import re
import subprocess
from pathlib import Path

import pytest
from concepts import CSRC, NAMES

HERE = Path(__file__).parent


def race_tests():
    """Yield the node ids of all tests with the marker race, found by importing the test files."""
    for path in sorted(HERE.glob("test_*.py")):
        if path != Path(__file__):
            spec = importlib.util.spec_from_file_location(f"control_{path.stem}", path)
            module = importlib.util.module_from_spec(spec)
            with contextlib.suppress(pytest.skip.Exception):  # a requirement is missing
                spec.loader.exec_module(module)
            for name, value in vars(module).items():
                marks = getattr(value, "pytestmark", [])
                if name.startswith("test_") and any(mark.name == "race" for mark in marks):
                    yield f"{path.name}::{name}"


# Computed once, before threads start: test files cannot be imported by two threads at once.
RACE_TESTS = list(race_tests())


def test_every_concept_has_a_race_test():
    """Except concepts whose ready and legacy files are equal: they have nothing to lock."""
    files = {node.partition("::")[0] for node in RACE_TESTS}
    ready, legacy = CSRC / "ready", CSRC / "legacy"
    assert files == {
        f"test_{name}.py"
        for name in NAMES
        if (ready / f"{name}.c").read_text() != (legacy / f"{name}.c").read_text()
    }


@pytest.mark.slow
@pytest.mark.free_threaded
@pytest.mark.two_cores
@pytest.mark.thread_unsafe(reason="starts processes")
@pytest.mark.parametrize("node", RACE_TESTS)
def test_race_test_fails_on_legacy(fresh_python, node):
    """It usually fails at once; a busy machine may need a few attempts."""
    for _ in range(10):
        try:
            done = fresh_python(
                *("-X", "gil=0", "-m", "pytest", "-p", "no:cacheprovider", "--extension=legacy"),
                str(HERE / node),
                timeout=120,
            )
        except subprocess.TimeoutExpired:  # a loop without end is a failure too
            return
        if done.returncode < 0:  # and so is a crash
            return
        assert "GIL off" in done.stdout
        # SystemError: CPython noticed an object that another thread had freed.
        if re.search(r"^E +(AssertionError|assert |SystemError)", done.stdout, re.M):
            return
    pytest.fail(f"{node} passes on ftdemo.legacy too, which has the race: it cannot fail")

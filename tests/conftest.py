"""Fixtures and options of all tests: the module under test, threads, and fresh interpreters."""

import importlib
import importlib.util
import itertools
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import TypeVar

import pytest

from ftdemo import threads
from ftdemo.interpreter import FREE_THREADED, cores, is_gil_enabled
from ftdemo.own import READY_ALONE
from ftdemo.processes import run_python

T = TypeVar("T")

# Unset PYTHON* variables, so that results do not depend on your shell: PYTHONUNBUFFERED, for
# example, changes what a dying process prints. Keep the two that tests/mutants and
# tests/sanitizers set.
for variable in [name for name in os.environ if name.startswith("PYTHON")]:
    if variable not in {"PYTHONPATH", "PYTHONMALLOC"}:
        del os.environ[variable]

collect_ignore = (
    [
        "extension/test_negative_controls.py",
        "extension/test_object_header.py",
        "extension/test_single_phase.py",
        "tool/test_stress.py",
    ]
    if READY_ALONE
    else ["extension/test_abi3t.py"]
)
# What a test needs if it has the marker, and whether that is missing.
NEEDS = {
    "all_modules": (READY_ALONE, "needs modules that the stable ABI wheel lacks"),
    "two_cores": (cores() == 1, "needs two cores: on one, threads seldom run at the same time"),
    "free_threaded": (not FREE_THREADED, "needs a free-threaded build"),
}


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--twin",
        choices=["ready", "legacy"],
        default="ready",
        help="the version of the extension that the tests of its API use",
    )


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers", "race: threads share objects; must fail on ftdemo.legacy with the GIL off"
    )
    config.addinivalue_line("markers", "slow: takes seconds, and does not depend on the build")
    for marker, (_, reason) in NEEDS.items():
        config.addinivalue_line("markers", f"{marker}: {reason}")


def pytest_report_header() -> str:
    build = "free-threaded build" if FREE_THREADED else "build with the GIL"
    gil = "on" if is_gil_enabled() else "off"
    abi = ", stable ABI: only _ready" if READY_ALONE else ""
    return f"interpreter: {sys.version.split()[0]}, {build}, GIL {gil}{abi}"


# Runs before pytest-run-parallel reads the markers.
@pytest.hookimpl(tryfirst=True)
def pytest_itemcollected(item: pytest.Item) -> None:
    if item.get_closest_marker("race"):
        item.add_marker(pytest.mark.thread_unsafe(reason="starts threads"))
    for marker, (missing, reason) in NEEDS.items():
        if missing and item.get_closest_marker(marker):
            item.add_marker(pytest.mark.skip(reason=reason))


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail the run if the GIL came on during it: its threads proved nothing."""
    asked_for = getattr(sys.flags, "gil", None) == 1  # with -X gil=1 or PYTHON_GIL=1
    expected = asked_for or session.config.getoption("twin") == "legacy"
    if FREE_THREADED and is_gil_enabled() and not expected:
        print("\nERROR: the GIL came on during the tests", file=sys.stderr)
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.fixture(scope="session")
def twin(request: pytest.FixtureRequest) -> ModuleType:
    """Return the module under test: ftdemo, or with --twin=legacy ftdemo.legacy."""
    name = {"ready": "ftdemo", "legacy": "ftdemo.legacy"}[request.config.getoption("twin")]
    return importlib.import_module(name)


@pytest.fixture
def in_threads() -> Callable[..., list[T]]:
    """Call each function in its own thread, all released by one barrier; return their results.

    An exception in a thread is raised here. If threads hang, faulthandler_timeout ends the run.
    """
    return threads.in_threads


@pytest.fixture
def together() -> Callable[..., list[list[T]]]:
    """together(*functions, times=n) calls each in its own thread with 0, 1 ... n - 1, all at once.

    Return the results of each function. Calls should be short: on a busy machine, threads that run
    for long seldom run at the same time, and then there is no race. Before every call, the threads
    make sure that they do run at the same time.
    """

    def run(*functions: Callable[[int], T], times: int) -> list[list[T]]:
        arrived: list[None] = []
        at_once: list[bool] = []
        failed: list[None] = []
        give_up = [None] if is_gil_enabled() or cores() == 1 else []
        deadline = time.monotonic() + 5

        def crossings() -> Iterator[float]:
            """Release all threads at the same moment and yield the time, repeatedly."""
            for expected in itertools.count(len(functions), len(functions)):
                arrived.append(None)
                while len(arrived) < expected:  # a lock would wake them at different times
                    if failed:
                        raise RuntimeError("another thread has failed")
                    if give_up:
                        time.sleep(0)
                yield time.monotonic()

        def repeat(function: Callable[[int], T]) -> list[T]:
            cross = crossings()
            results = []
            for n in range(times):
                while not give_up:
                    first, second = next(cross), next(cross)
                    # Shorter than a time slice: a longer gap means that a thread waited for a core.
                    at_once.append(second - first < 300e-6)
                    if second > deadline:
                        give_up.append(None)
                    next(cross)
                    if all(at_once[-len(functions) :]):
                        break
                    time.sleep(random.random() / 1000)  # the system may move it to another core
                next(cross)
                results.append(function(n))
            return results

        def repeat_or_fail(function: Callable[[int], T]) -> list[T]:
            try:
                return repeat(function)
            except BaseException:
                failed.append(None)  # without this, the others would wait for ever
                raise

        return threads.in_threads(*[partial(repeat_or_fail, function) for function in functions])

    return run


def load(spec: ModuleSpec) -> ModuleType:
    """Create a new module from spec, even if it is already imported."""
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def another_module() -> Callable[[], ModuleType]:
    """Import ftdemo._ready again, as another module with its own state."""
    return lambda: load(importlib.util.find_spec("ftdemo._ready"))


@pytest.fixture
def fresh_python() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run this interpreter in a new process; PYTHON_GIL and PYTHONWARNINGS come only from env."""
    return partial(run_python, timeout=240)


@pytest.fixture
def interrupted() -> Callable[..., subprocess.CompletedProcess[str]]:
    """interrupted(*words, env, when) runs `ftdemo WORDS`, and sends Ctrl-C once when() is true."""

    def run(
        *words: str, env: dict[str, str], when: Callable[[], bool], patience: float = 5
    ) -> subprocess.CompletedProcess[str]:
        with subprocess.Popen(
            [sys.executable, "-m", "ftdemo", *words],
            env=os.environ | env,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            # A shell makes background processes ignore Ctrl-C, and these tests may be one.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509
        ) as process:
            while not when():
                assert process.poll() is None
                time.sleep(0.01)
            process.send_signal(signal.SIGINT)
            output, errors = process.communicate(timeout=patience)
        return subprocess.CompletedProcess(words, process.returncode, output, errors)

    return run


@pytest.fixture(scope="session")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, str], Path]:
    """compiled(name, code) builds an extension module for a test and returns its path."""

    def build(name: str, code: str) -> Path:
        source = tmp_path_factory.mktemp(name) / f"{name}.c"
        source.write_text(code, encoding="utf-8")
        flags = [] if os.name == "nt" else ["-Wall", "-Wextra", "-Werror"]
        command = [sys.executable, Path(__file__).with_name("build_module.py"), source.name, *flags]
        subprocess.run(command, cwd=source.parent, check=True, timeout=240)
        (built,) = [p for p in source.parent.iterdir() if p.suffix in {".so", ".pyd"}]
        return built

    return build


@pytest.fixture(scope="session")
def sections(compiled: Callable[[str, str], Path]) -> ModuleType:
    """Import a module: section(a, f), section2(a, b, f) call f inside; held(a): is a locked?"""
    source = Path(__file__).parent / "extension/critical_sections.c"
    built = compiled(source.stem, source.read_text(encoding="utf-8"))
    return load(importlib.util.spec_from_file_location(source.stem, built))


@pytest.fixture
def broken_copy(tmp_path: Path) -> Path:
    """Copy the package into a folder with a space in its name, so that a test can break modules."""
    package = Path(importlib.util.find_spec("ftdemo").origin).parent
    copy = tmp_path / "with space" / "ftdemo"
    shutil.copytree(package, copy, ignore=shutil.ignore_patterns("__pycache__"))
    return copy

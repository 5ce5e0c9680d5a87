"""What all tests share: the twin under test, threads behind a barrier, and a fresh interpreter."""

import importlib
import importlib.util
import os
import subprocess
import sys
import sysconfig
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Protocol, TypeVar

import pytest

T = TypeVar("T")

# The wheel for the stable ABI of both builds has ftdemo._ready alone.
# Found without importing it, which might bring the GIL back.
ABI3T = any(Path(importlib.util.find_spec("ftdemo").origin).parent.glob("_ready.abi3t*"))
collect_ignore = (
    ["test_negative_controls.py", "test_object_header.py", "test_single_phase.py"]
    if ABI3T
    else ["test_abi3t.py"]
)

FREE_THREADED = bool(sysconfig.get_config_var("Py_GIL_DISABLED"))
is_gil_enabled: Callable[[], bool] = getattr(sys, "_is_gil_enabled", lambda: True)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--twin",
        choices=["ready", "legacy"],
        default="ready",
        help="which of the twins the tests of their API run on",
    )


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers", "race: threads on shared objects; must fail on the legacy twin with the GIL off"
    )
    config.addinivalue_line("markers", "all_modules: needs those that the wheel for abi3t lacks")
    config.addinivalue_line("markers", "free_threaded: has a meaning on a free-threaded build only")


def pytest_report_header() -> str:
    build = "free-threaded build" if FREE_THREADED else "build with the GIL"
    gil = "on" if is_gil_enabled() else "off"
    abi = ", stable ABI (abi3t): _ready alone" if ABI3T else ""
    return f"interpreter: {sys.version.split()[0]}, {build}, GIL {gil}{abi}"


# Before pytest-run-parallel looks at the items.
@pytest.hookimpl(tryfirst=True)
def pytest_itemcollected(item: pytest.Item) -> None:
    if item.get_closest_marker("race"):
        item.add_marker(pytest.mark.thread_unsafe(reason="has threads of its own"))
    if item.get_closest_marker("free_threaded") and not FREE_THREADED:
        item.add_marker(pytest.mark.skip(reason="needs a free-threaded build"))
    if item.get_closest_marker("all_modules") and ABI3T:
        item.add_marker(pytest.mark.skip(reason="the wheel for abi3t has _ready alone"))


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail a run in which something brought the GIL back: its threads proved nothing."""
    expected = os.environ.get("PYTHON_GIL") == "1" or session.config.getoption("twin") == "legacy"
    if FREE_THREADED and is_gil_enabled() and not expected:
        print("\nERROR: the GIL came on during the tests", file=sys.stderr)
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.fixture(scope="session")
def twin(request: pytest.FixtureRequest) -> ModuleType:
    """The module whose API is tested: ftdemo, or with --twin=legacy ftdemo.legacy."""
    name = {"ready": "ftdemo", "legacy": "ftdemo.legacy"}[request.config.getoption("twin")]
    return importlib.import_module(name)


class InThreads(Protocol):
    def __call__(self, *functions: Callable[[], T]) -> list[T]: ...


@pytest.fixture
def in_threads() -> InThreads:
    """Call every function in a thread of its own, all from one barrier; give their results.

    An exception in a thread is raised here. Where threads hang, faulthandler_timeout ends the run.
    """

    def run(*functions: Callable[[], T]) -> list[T]:
        barrier = threading.Barrier(len(functions))
        results: list[T | None] = [None] * len(functions)
        errors: list[BaseException] = []

        def call(index: int, function: Callable[[], T]) -> None:
            try:
                barrier.wait()
                results[index] = function()
            except BaseException as error:
                errors.append(error)

        threads = [threading.Thread(target=call, args=pair) for pair in enumerate(functions)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if errors:
            raise errors[0]
        return results  # type: ignore[return-value]

    return run


@pytest.fixture
def meet() -> Callable[[int, int], None]:
    """meet(n, k) returns in n threads at the same moment, for k = 0, 1, 2 ... in this order.

    It spins: threads that a lock wakes up start microseconds apart, too far for a narrow race.
    """
    arrived: list[None] = []

    def wait(threads: int, meeting: int) -> None:
        arrived.append(None)
        while len(arrived) < threads * (meeting + 1):
            if is_gil_enabled():
                time.sleep(0)

    return wait


@pytest.fixture
def another_module() -> Callable[[], ModuleType]:
    """Import ftdemo._ready once more, as another module with a state of its own."""

    def load() -> ModuleType:
        spec = importlib.util.find_spec("ftdemo._ready")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    return load


class FreshPython(Protocol):
    def __call__(
        self, *arguments: str, env: dict[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]: ...


@pytest.fixture
def fresh_python() -> FreshPython:
    """Run this interpreter anew, without PYTHON_GIL and PYTHONWARNINGS unless env has them."""

    def run(*arguments: str, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        clean = {k: v for k, v in os.environ.items() if k not in {"PYTHON_GIL", "PYTHONWARNINGS"}}
        command: Sequence[str] = [sys.executable, *arguments]
        return subprocess.run(
            command,
            env=clean | (env or {}),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )

    return run

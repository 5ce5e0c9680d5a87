"""The benchmarks: the calculations on timings, and the figures that the documents quote."""

import importlib
import json
import time
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"
if not BENCHMARKS.exists():
    pytest.skip("the benchmarks are not beside the tests", allow_module_level=True)

pytestmark = pytest.mark.thread_unsafe(reason="the path of imports is shared")


@pytest.fixture
def module(monkeypatch):
    """Import a module from the folder of benchmarks."""
    monkeypatch.syspath_prepend(BENCHMARKS)
    return importlib.import_module


@pytest.fixture
def timing(module):
    return module("timing")


def test_ratios_use_one_window(timing):
    """The machine becomes four times slower, and no ratio changes."""
    ours, theirs, loop = [3.0, 6.0, 12.0], [5.0, 10.0, 20.0], [1.0, 2.0, 4.0]
    found = timing.ratios(timing.minus(theirs, loop), timing.minus(ours, loop))
    assert found == [2.0, 2.0, 2.0]
    assert timing.ratios([1.0, 1.0], [0.0, 2.0]) == [0.5]


def test_a_figure_is_the_median_with_quartiles(timing):
    assert timing.figure([9.0, 1.0, 3.0, 7.0, 5.0]) == [3.0, 5.0, 7.0]
    assert timing.figure([2.0]) == [2.0, 2.0, 2.0]


def test_each_window_times_each_case(timing):
    calls = []

    def case(name, cost):
        def run(number):
            calls.append(name)
            return number * cost

        return run

    cases = {"fast": case("fast", 1e-6), "slow": case("slow", 1e-3)}
    times = timing.in_turn(cases, windows=20, seconds=0.01)
    assert times == {"fast": [pytest.approx(1e-6)] * 20, "slow": [pytest.approx(1e-3)] * 20}
    windows = [tuple(calls[-40:][i : i + 2]) for i in range(0, 40, 2)]
    assert set(windows) == {("fast", "slow"), ("slow", "fast")}


@pytest.mark.parametrize("cost", [1e-9, 1e-6, 1e-3, 10.0])
def test_calibrate_finds_the_number_of_calls(timing, cost):
    number = timing.calibrate(lambda number: number * cost, 0.01)
    assert number == pytest.approx(0.01 / cost, rel=0.01) if cost < 1 else number == 1


def test_time_of_threads_ends_with_the_last_one(timing):
    def sleep(seconds):
        return lambda number: time.sleep(number * seconds)

    assert timing.together(sleep(0.001), sleep(0.01))(20) >= 0.2


@pytest.mark.all_modules
@pytest.mark.free_threaded
def test_error_when_the_gil_came_on(fresh_python):
    program = "import timing; {}; timing.refuse_if_the_gil_came_on(); print('figures')"
    env = {"PYTHONPATH": str(BENCHMARKS)}
    done = fresh_python("-c", program.format("pass"), env=env)
    assert (done.returncode, done.stdout) == (0, "figures\n")
    done = fresh_python("-c", program.format("import ftdemo.legacy"), env=env)
    assert (done.returncode, done.stdout) == (1, "")
    assert "the GIL came on: no figure" in done.stderr


def test_lock_in_a_call_is_compared_with_the_same_lock_in_a_loop(module):
    """A deposit takes 4 ns longer with its lock, and the lock 5 ns in the loop: 0.8."""
    nanoseconds = {"empty.loop": 2, "loop.empty": 1, "legacy.deposit": 12, "ftdemo.deposit": 16}
    nanoseconds |= {"loop.section": 6, "loop.section2": 11, "loop.mutex": 5, "loop.atomic_add": 3}
    for operation in ("transfer", "update"):
        nanoseconds |= {f"legacy.{operation}": 12, f"ftdemo.{operation}": 22}
    times = {name: [value * 1e-9] for name, value in nanoseconds.items()}
    process = {"interpreter": {"free_threaded": True}, "calls": times}
    rows = list(module("run").rows_of_calls([process]))
    ratios = [row[-1][1] for row in rows if row[2] == "ratio"]
    assert ratios == [pytest.approx(value) for value in (0.8, 1.0, 2.5)]


def test_documents_quote_the_measured_figures(module):
    report = module("report")
    result = json.loads(report.RESULTS.read_text(encoding="utf-8"))
    assert not result["quick"]
    quoted = set()
    for document in report.DOCUMENTS:
        text = document.read_text(encoding="utf-8")
        assert report.quoting(text, result) == text
        quoted.update(match["name"] for match in report.QUOTED.finditer(text))
    assert quoted == set(report.PARTS)
    assert result["machine"] in report.PLOT.read_text(encoding="utf-8")

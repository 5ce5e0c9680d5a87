"""The benchmarks: what they compute from what they measured, and refuse to, and what is quoted."""

import importlib
import json
import re
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
def harness(module):
    return module("harness")


def test_ratios_are_of_one_window(harness):
    """The machine becomes four times slower, and nothing seems to change."""
    ours, theirs, loop = [3.0, 6.0, 12.0], [5.0, 10.0, 20.0], [1.0, 2.0, 4.0]
    found = harness.ratios(harness.minus(theirs, loop), harness.minus(ours, loop))
    assert found == [2.0, 2.0, 2.0]
    assert harness.minus([1.0], [2.0]) == [0.0]
    assert harness.ratios([1.0, 1.0], [0.0, 2.0]) == [float("inf"), 0.5]


def test_the_median_and_the_quartiles(harness):
    assert harness.Figure.of([9.0, 1.0, 3.0, 7.0, 5.0]) == (5.0, 3.0, 7.0)


def test_each_case_has_its_turn_in_each_window(harness):
    calls = []

    def case(name, cost):
        def run(number):
            calls.append(name)
            return number * cost

        return run

    cases = {"fast": case("fast", 1e-6), "slow": case("slow", 1e-3)}
    times = harness.interleave(cases, harness.Plan(windows=20, seconds=0.01))
    assert times == {"fast": [pytest.approx(1e-6)] * 20, "slow": [pytest.approx(1e-3)] * 20}
    windows = [tuple(calls[-40:][i : i + 2]) for i in range(0, 40, 2)]
    assert set(windows) == {("fast", "slow"), ("slow", "fast")}


@pytest.mark.parametrize("cost", [1e-9, 1e-6, 1e-3, 10.0])
def test_calibrate(harness, cost):
    number = harness.calibrate(lambda number: number * cost, 0.01)
    assert number == pytest.approx(0.01 / cost, rel=0.01) if cost < 1 else number == 1


def test_a_statement_is_code_of_its_own(harness):
    """Else it would be specialized for what the first of its users does."""
    one, other = (harness.statement("a.append(1)", "a = list()") for _ in "12")
    assert one.__self__.inner.__code__ is not other.__self__.inner.__code__
    assert one(1000) > 0


def test_threads_take_until_the_last_is_done(harness):
    import time

    def sleep(seconds):
        return lambda number: time.sleep(number * seconds)

    assert harness.at_once(sleep(0.001), sleep(0.01))(20) >= 0.2


@pytest.mark.all_modules
@pytest.mark.free_threaded
def test_no_figure_of_a_run_in_which_the_gil_came_on(fresh_python):
    program = "import harness; {}; harness.refuse_if_the_gil_came_on(); print('figures')"
    env = {"PYTHONPATH": str(BENCHMARKS)}
    done = fresh_python("-c", program.format("pass"), env=env)
    assert (done.returncode, done.stdout) == (0, "figures\n")
    done = fresh_python("-c", program.format("import ftdemo.legacy"), env=env)
    assert (done.returncode, done.stdout) == (1, "")
    assert "the GIL came on: no figure" in done.stderr


RESULTS = BENCHMARKS / "results.json"


def test_documents_quote_what_was_measured(module):
    report = module("report")
    result = json.loads(RESULTS.read_text(encoding="utf-8"))
    assert not result["quick"]
    quoted = set()
    for document in report.DOCUMENTS:
        text = document.read_text(encoding="utf-8")
        assert report.quoting(text, result) == text
        quoted.update(match["name"] for match in report.QUOTED.finditer(text))
        for picture in re.findall(r"\((?:docs/)?(performance-\w+\.svg)\)", text):
            drawn = (report.PROJECT / "docs" / picture).read_text(encoding="utf-8")
            assert result["machine"]["processor"] in drawn
    assert quoted == set(report.TABLES)
    changed = json.loads(RESULTS.read_text(encoding="utf-8"))
    changed["measures"][0]["median"] += 1
    text = report.DOCUMENTS[1].read_text(encoding="utf-8")
    assert report.quoting(text, changed) != text


def test_what_is_reached(module):
    goal = module("run").Goal
    assert goal(most=1.33).reached(1.33)
    assert not goal(most=1.33).reached(1.34)
    assert goal(least=7).reached(7.0)
    assert not goal(least=7).reached(6.9)
    assert not goal(0.45, 0.55).reached(0.6)

"""The wheel for the stable ABI of both builds; collected only if that wheel is installed."""

import json

import pytest

from ftdemo.interpreter import FREE_THREADED

pytestmark = pytest.mark.thread_unsafe(reason="starts processes")


def test_import_error_of_legacy_says_why(fresh_python):
    done = fresh_python("-c", "import ftdemo.legacy")
    assert done.returncode == 1
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("ImportError")]
    assert "ftdemo.legacy is not in the wheel for the stable ABI" in line
    assert "ftdemo._legacy" not in done.stderr.replace("from ftdemo._legacy import", "")


def test_ftdemo_reports_only_ready(fresh_python):
    done = fresh_python("-m", "ftdemo", "--json")
    assert (done.returncode, done.stderr) == (0 if FREE_THREADED else 3, "")
    (module,) = json.loads(done.stdout)["modules"]
    assert module == {
        "name": "ftdemo._ready",
        "declares": "Py_mod_gil",
        "gil_enabled": not FREE_THREADED,
        "expected_gil_enabled": not FREE_THREADED,
        "as_expected": True,
    }


@pytest.mark.free_threaded
def test_ftdemo_check_reports_only_ready(fresh_python):
    done = fresh_python("-m", "ftdemo", "check", "ftdemo", "--json")
    assert done.returncode == 0
    assert json.loads(done.stdout)["summary"] == {"pass": 1, "fail": 0, "error": 0, "skip": 0}

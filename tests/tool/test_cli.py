"""The command line: the import check of ftdemo's modules, and options of all commands."""

import importlib.metadata
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from ftdemo.interpreter import FREE_THREADED
from ftdemo.terminal import show, table

GIL_ON = {
    "ftdemo._ready": not FREE_THREADED,
    "ftdemo._legacy": True,
    "ftdemo._single_phase": not FREE_THREADED,
    "ftdemo._object_header": not FREE_THREADED,
    "ftdemo._stress": not FREE_THREADED,
}
HOPED = 0 if FREE_THREADED else 3

# Environments that must not change the result of the check. On a build with the GIL, PYTHON_GIL=0
# is a fatal error of the interpreter.
SURROUNDINGS = {
    "plain": ([], {}),
    "PYTHON_GIL=1": ([], {"PYTHON_GIL": "1"}),
    "PYTHON_GIL=0": ([], {"PYTHON_GIL": "0"} if FREE_THREADED else {}),
    "-W error": (["-W", "error"], {}),
    "PYTHONWARNINGS=error": ([], {"PYTHONWARNINGS": "error"}),
    "-X gil=0": (["-X", "gil=0"] if FREE_THREADED else [], {}),
}

pytestmark = pytest.mark.thread_unsafe(reason="starts processes")


@pytest.mark.all_modules
@pytest.mark.parametrize("surroundings", SURROUNDINGS)
def test_json(fresh_python, surroundings):
    options, env = SURROUNDINGS[surroundings]
    done = fresh_python(*options, "-m", "ftdemo", "--json", env=env)
    assert (done.returncode, done.stderr) == (HOPED, "")
    assert json.loads(done.stdout) == {
        "version": 1,
        "interpreter": {"version": sys.version.split()[0], "free_threaded": FREE_THREADED},
        "modules": [
            {
                "name": name,
                "declares": {
                    "ftdemo._legacy": "nothing",
                    "ftdemo._single_phase": "PyUnstable_Module_SetGIL",
                }.get(name, "Py_mod_gil"),
                "gil_enabled": gil_on,
                "expected_gil_enabled": gil_on,
                "as_expected": True,
            }
            for name, gil_on in GIL_ON.items()
        ],
    }


@pytest.mark.all_modules
@pytest.mark.free_threaded
def test_table(fresh_python):
    done = fresh_python("-m", "ftdemo")
    assert (done.returncode, done.stderr) == (0, "")
    assert [line.split() for line in done.stdout.splitlines() if line.startswith("ftdemo.")] == [
        ["ftdemo._ready", "Py_mod_gil", "off", "yes"],
        ["ftdemo._legacy", "nothing", "on", "yes"],
        ["ftdemo._single_phase", "PyUnstable_Module_SetGIL", "off", "yes"],
        ["ftdemo._object_header", "Py_mod_gil", "off", "yes"],
        ["ftdemo._stress", "Py_mod_gil", "off", "yes"],
    ]
    assert done.stdout.endswith("\n5 of 5 as expected\n")


@pytest.mark.all_modules
@pytest.mark.skipif(FREE_THREADED, reason="needs a build with the GIL")
def test_one_line_on_a_build_with_the_gil(fresh_python):
    done = fresh_python("-m", "ftdemo")
    assert (done.returncode, done.stderr) == (3, "")
    (line,) = done.stdout.splitlines()
    assert "build with the GIL" in line
    assert "5 of 5 modules import" in line


@pytest.mark.parametrize("env", [{"NO_COLOR": "1"}, {"FORCE_COLOR": "1"}])
def test_colour_only_with_force_color(fresh_python, env):
    done = fresh_python("-m", "ftdemo", env=env)
    assert ("\x1b[" in done.stdout) is ("FORCE_COLOR" in env and FREE_THREADED)


@pytest.mark.all_modules
def test_exit_code_1_when_a_module_cannot_be_imported(fresh_python, broken_copy):
    for path in broken_copy.glob("_single_phase.*"):
        path.unlink()
    (broken_copy / "_single_phase.py").write_text("raise ImportError('broken')\n")
    done = fresh_python("-m", "ftdemo", "--json", env={"PYTHONPATH": str(broken_copy.parent)})
    assert done.returncode == 1
    failed = [m for m in json.loads(done.stdout)["modules"] if not m["as_expected"]]
    assert [(m["name"], m["gil_enabled"]) for m in failed] == [("ftdemo._single_phase", None)]
    assert "ftdemo._single_phase: ImportError: broken" in done.stderr


@pytest.mark.all_modules
@pytest.mark.free_threaded
def test_exit_code_1_when_a_module_brings_the_gil_back_unexpectedly(fresh_python, broken_copy):
    """A copy in which Python code that brings the GIL back replaces _object_header."""
    for path in broken_copy.glob("_object_header.*"):
        path.unlink()
    (broken_copy / "_object_header.py").write_text("import ftdemo._legacy\n")
    done = fresh_python("-m", "ftdemo", env={"PYTHONPATH": str(broken_copy.parent)})
    assert done.returncode == 1
    assert ["ftdemo._object_header", "Py_mod_gil", "on", "NO"] in [
        line.split() for line in done.stdout.splitlines()
    ]


@pytest.mark.parametrize("command", [[], ["check"], ["wheels"], ["demo"]])
def test_help_names_the_exit_codes(fresh_python, command):
    done = fresh_python("-m", "ftdemo", *command, "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert "exit codes: 0" in done.stdout


LONG = "a long line, " * 50 + "[bold] :smile: end"


def test_no_line_is_wrapped_when_stdout_is_not_a_terminal(capsys):
    rows = table("heading", "another")
    rows.add_row("one\ntwo", LONG)
    show(LONG, rows)
    line, _, _, first, second = capsys.readouterr().out.splitlines()
    assert line == LONG
    assert first == f"one      {LONG}"
    assert second == "two"


@pytest.mark.skipif(os.name == "nt", reason="needs pseudo-terminals")
@pytest.mark.parametrize("env", [{}, {"NO_COLOR": "1"}])
def test_colour_and_wrapping_on_a_terminal(env):
    import pty

    program = "import sys; from ftdemo.terminal import *; show(Text(sys.argv[1], 'red'))"
    ours, theirs = pty.openpty()
    done = subprocess.run(
        [sys.executable, "-c", program, LONG],
        env=os.environ | {"COLUMNS": "70", "TERM": "xterm"} | env,
        stdout=theirs,
        timeout=60,
        check=True,
    )
    os.close(theirs)
    printed = os.read(ours, 100_000).decode()
    os.close(ours)
    assert done.returncode == 0
    assert ("\x1b[31m" in printed) is (not env)
    lines = re.sub("\x1b\\[[0-9;]*m", "", printed).splitlines()
    assert len(lines) > 5
    assert max(map(len, lines)) <= 70
    assert " ".join(" ".join(lines).split()) == LONG


def test_exit_code_2_on_a_usage_error(fresh_python):
    done = fresh_python("-m", "ftdemo", "--no-such-option")
    assert (done.returncode, done.stdout) == (2, "")
    assert "--no-such-option" in done.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize("arguments", [[], ["--json"], ["check", "ftdemo"], ["check", "--schema"]])
def test_exit_code_2_when_the_disk_is_full(arguments):
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "ftdemo", *arguments],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=240,
            check=False,
        )
    assert done.returncode == 2
    assert "No space left on device" in done.stderr
    assert "Traceback" not in done.stderr


def test_version_is_that_of_the_distribution(fresh_python):
    done = fresh_python("-m", "ftdemo", "--version")
    assert done.stdout == f"ftdemo {importlib.metadata.version('ftdemo')}\n"


def test_the_script_and_python_m_share_main(fresh_python):
    """`ftdemo` and `python -m ftdemo` share main()."""
    program = "import sys; from ftdemo.cli import main; sys.exit(main(['--json']))"
    assert fresh_python("-c", program).returncode == HOPED

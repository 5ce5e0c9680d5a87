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

# What each module declares, and whether it brings the GIL back.
MODULES = {
    "ftdemo._ready": ("Py_mod_gil", False),
    "ftdemo._legacy": ("nothing", True),
    "ftdemo._single_phase": ("PyUnstable_Module_SetGIL", False),
    "ftdemo._object_header": ("Py_mod_gil", False),
    "ftdemo._stress": ("Py_mod_gil", False),
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
                "declares": declares,
                "gil_enabled": brings_it_back or not FREE_THREADED,
                "expected_gil_enabled": brings_it_back or not FREE_THREADED,
                "as_expected": True,
            }
            for name, (declares, brings_it_back) in MODULES.items()
        ],
    }


@pytest.mark.all_modules
@pytest.mark.free_threaded
def test_table(fresh_python):
    done = fresh_python("-m", "ftdemo")
    assert (done.returncode, done.stderr) == (0, "")
    assert [line.split() for line in done.stdout.splitlines() if line.startswith("ftdemo.")] == [
        [name, declares, "on" if brings_it_back else "off", "yes"]
        for name, (declares, brings_it_back) in MODULES.items()
    ]
    assert done.stdout.endswith("\n5 of 5 as expected\n")


@pytest.mark.all_modules
@pytest.mark.skipif(FREE_THREADED, reason="needs a build with the GIL")
def test_one_line_on_a_build_with_the_gil(fresh_python):
    done = fresh_python("-m", "ftdemo")
    assert (done.returncode, done.stderr) == (3, "")
    (line,) = done.stdout.splitlines()
    assert "is a build with the GIL: 5 of 5 modules import" in line


@pytest.mark.parametrize("env", [{"NO_COLOR": "1"}, {"FORCE_COLOR": "1"}])
def test_colour_only_with_force_color(fresh_python, env):
    done = fresh_python("-m", "ftdemo", env=env)
    assert ("\x1b[" in done.stdout) is ("FORCE_COLOR" in env and FREE_THREADED)


@pytest.mark.all_modules
def test_exit_code_1_when_a_module_fails_or_brings_the_gil_back(fresh_python, broken_copy):
    """In this copy, Python code replaces two modules."""
    broken = {"_single_phase": "raise ImportError('oh')", "_object_header": "import ftdemo._legacy"}
    for name, code in broken.items():
        for path in broken_copy.glob(f"{name}.*"):
            path.unlink()
        (broken_copy / f"{name}.py").write_text(code)
    done = fresh_python("-m", "ftdemo", env={"PYTHONPATH": str(broken_copy.parent)})
    assert done.returncode == 1
    assert "ftdemo._single_phase: ImportError: oh" in done.stderr
    rows = [line.split() for line in done.stdout.splitlines()]
    setter = "PyUnstable_Module_SetGIL"
    assert ["ftdemo._single_phase", setter, "import", "failed", "NO"] in rows
    if FREE_THREADED:
        assert ["ftdemo._object_header", "Py_mod_gil", "on", "NO"] in rows


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


@pytest.mark.parametrize(
    "words",
    [
        "--no-such-option",
        *("check", "check --timeout=0 x", "check --timeout=nan x", "check --jobs=0 x"),
        *("lint", "wheels"),
    ],
)
def test_exit_code_2_on_usage_errors(fresh_python, words):
    done = fresh_python("-m", "ftdemo", *words.split())
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("usage: ftdemo")


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

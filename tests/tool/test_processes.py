"""Child processes: they are killed with their children, and end with their parent."""

import contextlib
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ftdemo import processes

pytestmark = pytest.mark.thread_unsafe(reason="starts processes")
posix = pytest.mark.skipif(os.name == "nt", reason="lists processes in a POSIX way")

# Starts a process that sleeps, writes both process ids to a file, and sleeps.
SLEEPER = """
import os, subprocess, sys, time
sleep = "import time; time.sleep(600)"
process = subprocess.Popen([sys.executable, "-c", sleep], stdin=subprocess.DEVNULL)
with open(sys.argv[1] + ".new", "w") as file:
    print(os.getpid(), process.pid, file=file)
os.rename(sys.argv[1] + ".new", sys.argv[1])
time.sleep(600)
"""
# Starts SLEEPER as a child that ends with its parent.
PARENT = """
import subprocess, sys, time
from ftdemo import processes
child = processes.start([sys.executable, "-c", *sys.argv[1:]], stdin=subprocess.PIPE)
time.sleep(600)
"""


def read_pids(file):
    deadline = time.monotonic() + 60
    while not file.exists():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return [int(pid) for pid in file.read_text().split()]


def runs(pid):
    try:
        os.kill(pid, 0)
        status = Path(f"/proc/{pid}/stat")
        return not status.exists() or status.read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def all_end(pids, seconds=10):
    deadline = time.monotonic() + seconds
    while any(map(runs, pids)):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


@posix
def test_kill_ends_the_child_and_its_children(tmp_path):
    process = processes.start([sys.executable, "-c", SLEEPER, str(tmp_path / "pids")])
    pids = read_pids(tmp_path / "pids")
    assert pids[0] == process.pid
    assert all(map(runs, pids))
    processes.kill(process)
    assert all_end(pids)


@posix
@pytest.mark.parametrize("watched", [True, False])
def test_a_child_that_calls_end_with_parent_ends_with_it(tmp_path, watched):
    program = "from ftdemo import processes; processes.end_with_parent()\n" * watched + SLEEPER
    command = [sys.executable, "-c", PARENT, program, str(tmp_path / "pids")]
    with subprocess.Popen(command) as parent:
        pids = read_pids(tmp_path / "pids")
        assert all(map(runs, pids))
        parent.kill()
    try:
        assert all_end(pids, 10 if watched else 1) is watched
    finally:
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, 9)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux sends a signal")
def test_a_child_whose_threads_cannot_run_ends_with_its_parent(tmp_path):
    hangs = SLEEPER.replace("time.sleep(600)\n", "10 ** 10 ** 9\n")  # with the GIL
    program = "from ftdemo import processes; processes.end_with_parent()\n" + hangs
    with subprocess.Popen([sys.executable, "-c", PARENT, program, str(tmp_path / "pids")]) as parent:
        pids = read_pids(tmp_path / "pids")
        time.sleep(1)
        parent.kill()
    try:
        assert all_end(pids)
    finally:
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, 9)


@posix
def test_run_python_kills_the_child_at_the_timeout(tmp_path):
    with pytest.raises(subprocess.TimeoutExpired):
        processes.run_python("-c", SLEEPER, str(tmp_path / "pids"), timeout=5)
    assert all_end(read_pids(tmp_path / "pids"))


def test_run_python(monkeypatch):
    """PYTHON_GIL and PYTHONWARNINGS would change the answer of a fresh interpreter."""
    monkeypatch.setenv("PYTHON_GIL", "1")
    monkeypatch.setenv("PYTHONWARNINGS", "error")
    program = "import os, sys; print(*sorted(os.environ)); sys.exit(os.environ['ASKED'])"
    done = processes.run_python("-c", program, env={"ASKED": "why"})
    assert not {"PYTHON_GIL", "PYTHONWARNINGS"}.intersection(done.stdout.split())
    assert (done.returncode, done.stderr) == (1, "why\n")


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (None, "timed out after 2.5 s"),
        (3, "exited with status 3"),
        pytest.param(-11, "killed by SIGSEGV", marks=posix),
        (-999, "killed by signal 999"),
    ],
)
def test_ending_describes_signals_statuses_and_timeouts(status, said):
    assert processes.ending(status, 2.5) == said

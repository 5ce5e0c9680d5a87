"""Child processes: how every command starts them, ends them, and says how they ended.

Each child leads a process group of its own, so that a Ctrl-C reaches this process alone, and so
that kill() also ends what the child has started.
"""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

# Numeric libraries start a thread for each core when they are imported.
_ONE_THREAD = ("BLIS", "MKL", "NUMEXPR", "OMP", "OPENBLAS")


def clean_environment() -> dict[str, str]:
    """Make an environment for a fresh interpreter, in which nothing settles or hides the answer.

    PYTHON_GIL=0 keeps the GIL off whatever is imported, PYTHON_GIL=1 turns it on from the start,
    and PYTHONWARNINGS=error makes the import raise, after which the GIL is on all the same.
    (-X gil and -W do not reach child processes.)
    """
    kept = {k: v for k, v in os.environ.items() if k not in {"PYTHON_GIL", "PYTHONWARNINGS"}}
    return kept | {f"{library}_NUM_THREADS": "1" for library in _ONE_THREAD}


def same_import_path() -> dict[str, str]:
    """Make what to add to an environment, so that a child imports what this process would."""
    return {"PYTHONPATH": os.pathsep.join(str(Path(entry).absolute()) for entry in sys.path)}


def start(  # noqa: PLR0913 - what Popen takes
    command: Sequence[str],
    *,
    env: Mapping[str, str] | None = None,
    stdin: int | IO[bytes] = subprocess.DEVNULL,
    stdout: int | IO[bytes] = subprocess.DEVNULL,
    stderr: int | IO[bytes] = subprocess.DEVNULL,
    cwd: str | None = None,
) -> subprocess.Popen[bytes]:
    """Start a child in a process group of its own, in a clean environment unless env is given.

    End it with kill(). For end_with_parent(), the child needs stdin=subprocess.PIPE.
    """
    flags = 0
    if sys.platform == "win32":
        flags = subprocess.CREATE_NEW_PROCESS_GROUP
    return subprocess.Popen(
        command,
        env=clean_environment() if env is None else env,
        stdin=stdin,
        stdout=stdout,
        stderr=stderr,
        cwd=cwd,
        start_new_session=True,  # Windows has none
        creationflags=flags,
    )


def kill(process: subprocess.Popen[bytes]) -> None:
    """Kill a child that start() has started and what it has started, and wait for the child.

    On Windows, what a child that has ended left behind cannot be found any more.
    """
    if sys.platform == "win32":
        command = ["taskkill", "/F", "/T", "/PID", str(process.pid)]
        subprocess.run(command, capture_output=True, check=False)
    else:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def ending(status: int | None, timeout: float) -> str:
    """Say how a child ended; status is None for one that was killed after timeout seconds."""
    if status is None:
        return f"timed out after {timeout:g} s"
    if status < 0:
        try:
            return f"killed by {signal.Signals(-status).name}"
        except ValueError:
            return f"killed by signal {-status}"
    return f"exited with status {status}"


def run(
    command: Sequence[str], *, env: Mapping[str, str] | None = None, timeout: float = 60.0
) -> subprocess.CompletedProcess[str]:
    """Run a child to its end and capture what it prints; env adds to a clean environment.

    Raises subprocess.TimeoutExpired after timeout seconds. Nothing of the child goes on.
    """
    process = start(
        command,
        env=clean_environment() | dict(env or {}),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    with process:
        try:
            output, errors = process.communicate(timeout=timeout)
        finally:
            kill(process)
    return subprocess.CompletedProcess(
        command, process.returncode, _decoded(output), _decoded(errors)
    )


def run_python(
    *arguments: str, env: Mapping[str, str] | None = None, timeout: float = 60.0
) -> subprocess.CompletedProcess[str]:
    """Run this interpreter anew, as run() does."""
    return run([sys.executable, *arguments], env=env, timeout=timeout)


def _decoded(output: bytes) -> str:
    return output.decode(errors="replace").replace("\r\n", "\n")


def end_with_parent() -> None:
    """Called in a child: have it end, and its process group with it, when its parent ends.

    The child's stdin is a pipe that only the parent can write to, and does not: when the parent
    ends, however it does, the pipe is at its end. From here on, the child's stdin is empty.

    The check's probe must not import this module: it runs this function's code alone.
    """
    import _thread
    import os

    read, get_pid, get_group, leave = os.read, os.getpid, getattr(os, "getpgrp", int), os._exit
    kill_group = getattr(os, "killpg", None)
    lifeline = os.dup(0)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)

    def watch() -> None:
        try:
            read(lifeline, 1)
        except OSError:  # something in this child has closed every descriptor
            return
        if kill_group and get_group() == get_pid():
            kill_group(get_pid(), 9)
        leave(1)

    _thread.start_new_thread(watch, ())

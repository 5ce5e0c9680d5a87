"""Start child processes, kill them, and describe how they ended.

Each child leads its own process group. So Ctrl-C reaches only this process, and kill() also kills
the processes that the child has started.
"""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

# Numeric libraries start one thread per core when they are imported.
_ONE_THREAD = ("BLIS", "MKL", "NUMEXPR", "OMP", "OPENBLAS")


def clean_environment() -> dict[str, str]:
    """Return an environment for a fresh interpreter, without variables that affect the GIL check.

    PYTHON_GIL=0 keeps the GIL off whatever is imported; PYTHON_GIL=1 enables it from the start.
    PYTHONWARNINGS=error makes the import raise, but the GIL is on nevertheless.
    (Child processes do not inherit -X gil and -W.)
    """
    kept = {k: v for k, v in os.environ.items() if k not in {"PYTHON_GIL", "PYTHONWARNINGS"}}
    return kept | {f"{library}_NUM_THREADS": "1" for library in _ONE_THREAD}


def same_import_path() -> dict[str, str]:
    """Return the PYTHONPATH with which a child imports the same modules as this process."""
    return {"PYTHONPATH": os.pathsep.join(str(Path(entry).absolute()) for entry in sys.path)}


def start(  # noqa: PLR0913 - the arguments of Popen
    command: Sequence[str],
    *,
    env: Mapping[str, str] | None = None,
    stdin: int | IO[bytes] = subprocess.DEVNULL,
    stdout: int | IO[bytes] = subprocess.DEVNULL,
    stderr: int | IO[bytes] = subprocess.DEVNULL,
    cwd: str | None = None,
) -> subprocess.Popen[bytes]:
    """Start a child in its own process group, in a clean environment unless env is given.

    Kill it with kill(). A child that calls end_with_parent() needs stdin=subprocess.PIPE.
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
        start_new_session=True,  # no effect on Windows
        creationflags=flags,
    )


def kill(process: subprocess.Popen[bytes]) -> None:
    """Kill a child that start() started, and all its own children, and wait for it.

    On Windows, the children of a child that has already ended cannot be found.
    """
    if sys.platform == "win32":
        command = ["taskkill", "/F", "/T", "/PID", str(process.pid)]
        subprocess.run(command, capture_output=True, check=False)
    else:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def ending(status: int | None, timeout: float) -> str:
    """Describe how a child ended; status is None if it was killed after timeout seconds."""
    if status is None:
        return f"timed out after {timeout:g} s"
    if status < 0:
        try:
            return f"killed by {signal.Signals(-status).name}"
        except ValueError:
            return f"killed by signal {-status}"
    return f"exited with status {status}"


def run(
    command: Sequence[str],
    *,
    env: Mapping[str, str] | None = None,
    timeout: float = 60.0,
    cwd: str | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run a child to its end and capture its output; env adds to a clean environment.

    Raises subprocess.TimeoutExpired after timeout seconds. Kills all processes of the child.
    """
    process = start(
        command,
        env=clean_environment() | dict(env or {}),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=cwd,
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
    """Run this interpreter in a child, as run() does."""
    return run([sys.executable, *arguments], env=env, timeout=timeout)


def _decoded(output: bytes) -> str:
    return output.decode(errors="replace").replace("\r\n", "\n")


def end_with_parent() -> None:
    """Make this child process end, with its process group, when its parent ends.

    The child's stdin is a pipe to which only the parent could write, and never does. When the
    parent ends, in whatever way, a read from the pipe returns. After this call, stdin is empty.

    check/probe.py must not import this module, and runs only the code object of this function.
    """
    import _thread
    import os
    import sys

    read, get_pid, get_group, leave = os.read, os.getpid, getattr(os, "getpgrp", int), os._exit
    kill_group = getattr(os, "killpg", None)
    lifeline = os.dup(0)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    if sys.platform == "linux":
        # The kernel sends SIGIO to the process group, which ends it. The thread below may be unable
        # to run: while a call hangs that keeps the GIL, or while all threads are being stopped.
        import fcntl

        fcntl.fcntl(lifeline, fcntl.F_SETOWN, -get_group())
        fcntl.fcntl(lifeline, fcntl.F_SETFL, fcntl.fcntl(lifeline, fcntl.F_GETFL) | os.O_ASYNC)

    def watch() -> None:
        try:
            read(lifeline, 1)
        except OSError:  # the target has closed all file descriptors
            return
        if kill_group and get_group() == get_pid():
            kill_group(get_pid(), 9)
        leave(1)

    _thread.start_new_thread(watch, ())

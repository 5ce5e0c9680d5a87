"""Notice what an operation changes in its process: descriptors, threads, children, the folder."""

import contextlib
import os
import sys
import threading
from pathlib import Path

_forks = [0]


def count_fork() -> None:
    """Count a fork of this process, for os.register_at_fork()."""
    _forks[0] += 1


def surroundings() -> tuple[object, ...]:
    """Return process state that a well-behaved operation does not change."""
    open_ = []
    for descriptor in (0, 1, 2):
        with contextlib.suppress(OSError):
            os.fstat(descriptor)
            open_.append(descriptor)
    threads = len(list(Path("/proc/self/task").iterdir())) if sys.platform == "linux" else 0
    where = str(Path.cwd())
    return (threads, threading.active_count(), tuple(open_), where, _forks[0], _has_children())


def _has_children() -> bool:
    """Tell whether the process has children, running or ended, that it has not waited for."""
    if sys.platform == "win32":
        return False
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return False
    return True


def what_changed(before: tuple[object, ...]) -> str:
    """Say what an operation changed in the process, and undo it if possible."""
    after = surroundings()
    if after[2] != before[2]:
        null = os.open(os.devnull, os.O_RDWR)
        for descriptor in (0, 1, 2):
            with contextlib.suppress(OSError):
                os.fstat(descriptor)
                continue
            os.dup2(null, descriptor)
        return "closes file descriptors of the process"
    if after[5] and not before[5]:
        with contextlib.suppress(ChildProcessError):
            while True:  # if a child does not end, this blocks, and the attempt is not made again
                os.waitpid(-1, 0)
    if after[4] != before[4]:
        return "forks"
    if after[5] and not before[5]:
        return "starts a process"
    if after[3] != before[3]:
        os.chdir(str(before[3]))
        return "changes the working directory"
    return "starts threads"

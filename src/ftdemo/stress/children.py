"""Run one child: start probe.py in a new interpreter, read its report, and judge how it ended."""

import json
import os
import re
import subprocess
import sys
import sysconfig
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from itertools import islice, takewhile
from pathlib import Path
from typing import Any, NamedTuple

from ftdemo import interpreter, processes

SANITIZED = "-fsanitize=thread" in str(sysconfig.get_config_var("CFLAGS"))
_SLOWER = 10 if SANITIZED else 1
START = 30.0 * _SLOWER  # seconds until the first line of a child's report
TRY = 2.0 * _SLOWER  # seconds for an operation that one thread tries
STEP = 4.0 * _SLOWER  # seconds for a batch of meetings, which should take 0.1 s
MOST_WAITS = 10  # times the limit, for a child that has had little time on a core
LOOK = 0.01  # the interval, in seconds, at which a report is checked for progress

Line = list[Any]


class Ending(NamedTuple):
    """How a child ended. last is the last line of its report, errors what it wrote to stderr.

    kind is "done", "crash", "hang", "exit", or "error" for an uncaught Python exception. words
    describes the end for people.
    """

    kind: str
    words: str
    last: Line
    errors: str


class StoppedError(Exception):
    """The run was stopped while a child ran."""


def run(
    request: dict[str, Any],
    *,
    say: Callable[[Line], None],
    stop: threading.Event,
    malloc: str | None = None,
) -> Ending:
    """Run a child to its end, and call say with each line of its report as it arrives.

    Raises StoppedError when stop is set.
    """
    environment = processes.clean_environment() | {"PYTHONHASHSEED": "0"}
    environment.pop("PYTHONMALLOC", None)
    if malloc:
        environment["PYTHONMALLOC"] = malloc
    if SANITIZED:
        asked = os.environ.get("TSAN_OPTIONS", "")
        environment["TSAN_OPTIONS"] = f"{asked} exitcode=0 halt_on_error=0".strip()
    with tempfile.TemporaryDirectory(prefix="ftdemo-stress-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        (folder / "request").write_text(json.dumps(request), encoding="utf-8")
        (folder / "cwd").mkdir()
        command = [sys.executable, "-X", "gil=0", "-P", "-c", _BOOT]
        command += [json.dumps(sys.path), str(folder / "request"), str(folder / "report")]
        with (folder / "errors").open("wb") as errors:
            process = processes.start(
                command,
                env=environment,
                stdin=subprocess.PIPE,
                stderr=errors,
                cwd=str(folder / "cwd"),
            )
            try:
                status, lines = _listen(process, folder / "report", say, stop)
            finally:
                processes.kill(process)
                if process.stdin:
                    process.stdin.close()
        written = (folder / "errors").read_text(encoding="utf-8", errors="replace")
    last = lines[-1] if lines else ["start"]
    if last[0] == "done":
        return Ending("done", "", last, written)
    if status is None:
        return Ending("hang", f"no end after {_limit(last):g} s", last, written)
    fatal = [line for line in written.splitlines() if line.startswith("Fatal Python error")]
    words = processes.ending(status, 0)
    if status < 0 or fatal or status >= 0x80000000:
        return Ending("crash", words, last, written)
    if status == 1 and "Traceback (most recent call last)" in written:
        return Ending("error", written.strip().rpartition("\n")[2], last, written)
    return Ending("exit", words, last, written)


# Sets sys.path first: ftdemo may be on a path that only this process has.
_BOOT = (
    "import json, sys; sys.path[:] = json.loads(sys.argv.pop(1)); "
    "from ftdemo.stress_child.probe import main; main()"
)


def _limit(last: Line) -> float:
    return {"start": START, "try": TRY}.get(last[0], STEP)


class _Activity(NamedTuple):
    """What a child has done since it was started: CPU time, and whether a thread could run."""

    seconds: float
    runnable: bool


def _activity(pid: int) -> _Activity | None:
    """Return what a child has done; None if the system does not tell."""
    try:
        folder = Path(f"/proc/{pid}")
        fields = _stat(folder)
        seconds = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
        runnable = any(_stat(task)[0] == "R" for task in (folder / "task").iterdir())
    except OSError:
        return None
    return _Activity(seconds, runnable)


def _stat(folder: Path) -> list[str]:
    """Read the fields of proc_pid_stat(5), from the state on."""
    return (folder / "stat").read_text("ascii", "replace").rpartition(")")[2].split()


def _is_stuck(before: _Activity | None, now: _Activity | None, limit: float, waits: int) -> bool:
    """Tell whether a child that made no progress hangs; on a busy machine, it may only be slow.

    It hangs if all its threads wait, or if it had enough time on a core.
    """
    if waits >= MOST_WAITS:
        return True
    if before is None or now is None:
        load = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
        return waits >= load / interpreter.cores()
    had = now.seconds - before.seconds
    return had >= limit / 2 or (had < limit / 100 and not now.runnable)


def _listen(
    process: "subprocess.Popen[bytes]",
    report: Path,
    say: Callable[[Line], None],
    stop: threading.Event,
) -> tuple[int | None, Sequence[Line]]:
    """Return the exit status, or None after too long without progress; and the report."""
    lines: list[Line] = []
    read = 0
    deadline = time.monotonic() + START
    before, waits = _activity(process.pid), 1
    while True:
        if stop.is_set():
            raise StoppedError
        try:
            status: int | None = process.wait(LOOK)
        except subprocess.TimeoutExpired:
            status = None
        if report.exists() and report.stat().st_size > read:
            with report.open("rb") as file:
                file.seek(read)
                new = file.read()
            whole = new[: new.rfind(b"\n") + 1]
            read += len(whole)
            for line in map(_parsed, whole.splitlines()):
                if line:
                    lines.append(line)
                    say(line)
            deadline = time.monotonic() + _limit(lines[-1] if lines else ["start"])
            before, waits = _activity(process.pid), 1
        elif status is None and time.monotonic() > deadline:
            limit = _limit(lines[-1] if lines else ["start"])
            if _is_stuck(before, _activity(process.pid), limit, waits):
                return None, lines
            deadline, waits = time.monotonic() + limit, waits + 1
        if status is not None:
            return status, lines
        if lines and lines[-1][0] == "done":
            return 0, lines
        del lines[:-50]


def _parsed(text: bytes) -> Line | None:
    """Parse a line of a report; None if a child with damaged memory has written something else."""
    try:
        line = json.loads(text)
    except ValueError:
        return None
    return line if isinstance(line, list) else None


# Lines that are about the driver, not about the target.
_NOISE = re.compile(
    r"^\s*$|^<Cannot show|^Stack \(most|_Py_DumpStack"
    r"|[/\\]ftdemo[/\\](stress_child[/\\]|processes\.py)|[/\\]threading\.py\""
)


def error_text(errors: str) -> str:
    """Return the dozen lines of a child's stderr that say what went wrong."""
    begins = ("Fatal Python error", "Windows fatal exception", "Timeout (", "Debug memory block")
    lines = errors.splitlines()
    start = next((i for i, line in enumerate(lines) if line.startswith(begins)), -12)
    told = (line for line in lines[start:] if not _NOISE.search(line))
    return "\n".join(islice(takewhile(lambda line: "_stress." not in line, told), 12))

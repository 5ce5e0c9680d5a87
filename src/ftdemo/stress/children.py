"""Children that drive: how one is started, listened to, and what its end means."""

import json
import os
import subprocess
import sys
import sysconfig
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ftdemo import interpreter, processes

SANITIZED = "-fsanitize=thread" in str(sysconfig.get_config_var("CFLAGS"))
_SLOWER = 10 if SANITIZED else 1
START = 30.0 * _SLOWER  # seconds that a child may take until it says something
TRY = 2.0 * _SLOWER  # seconds for an operation that is tried by one thread
STEP = 4.0 * _SLOWER  # seconds for a batch of meetings, which should take a tenth of one
MOST_WAITS = 10  # times the limit, for a child that has had little time on a core
LOOK = 0.01  # seconds between looks at a report

Line = list[Any]


class Ending(NamedTuple):
    """How a child ended: what it said last, and what it, or CPython for it, wrote to stderr.

    kind is "done", "crash", "hang", "exit", or "error" for an exception of Python's.
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
    """Run a child to its end; say gets each line of its report as it comes.

    Raises StoppedError once stop is set.
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


# The package may have been found on a path that only this process has.
_BOOT = (
    "import json, sys; sys.path[:] = json.loads(sys.argv.pop(1)); "
    "from ftdemo.stress.child import main; main()"
)


def _limit(last: Line) -> float:
    return {"start": START, "try": TRY}.get(last[0], STEP * _busy())


def _busy() -> float:
    """How many threads want each core: where many do, what is slow must not look like a hang."""
    if not hasattr(os, "getloadavg"):
        return 1.0
    return min(max(os.getloadavg()[0] / interpreter.cores(), 1.0), 8.0)


def _cpu_seconds(pid: int) -> float:
    """The time that a child has had on cores; 0 where the system does not tell."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / float(os.sysconf("SC_CLK_TCK"))


def _listen(
    process: "subprocess.Popen[bytes]",
    report: Path,
    say: Callable[[Line], None],
    stop: threading.Event,
) -> tuple[int | None, Sequence[Line]]:
    """Wait for the end of a child; its status is None where it made no progress for too long."""
    lines: list[Line] = []
    read = 0
    deadline = time.monotonic() + START
    started, waits = _cpu_seconds(process.pid), 0
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
            for text in whole.splitlines():
                lines.append(json.loads(text))
                say(lines[-1])
            deadline = time.monotonic() + _limit(lines[-1] if lines else ["start"])
            started, waits = _cpu_seconds(process.pid), 0
        elif status is None and time.monotonic() > deadline:
            # On a busy machine, a child that goes on may have had little time on a core.
            limit = _limit(lines[-1] if lines else ["start"])
            had = _cpu_seconds(process.pid) - started
            if not limit / 100 < had < limit or waits >= MOST_WAITS:
                return None, lines
            deadline, waits = time.monotonic() + limit, waits + 1
        if status is not None:
            return status, lines
        if lines and lines[-1][0] == "done":
            return 0, lines
        del lines[:-50]


def error_text(errors: str) -> str:
    """The part of what a child wrote to stderr that says what went wrong: a dozen lines."""
    lines = errors.splitlines()
    start = next(
        (
            index
            for index, line in enumerate(lines)
            if line.startswith(
                ("Fatal Python error", "Windows fatal exception", "Timeout (", "Debug memory block")
            )
        ),
        max(0, len(lines) - 12),
    )
    return "\n".join(lines[start : start + 12])

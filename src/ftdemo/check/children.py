"""Run one child: start probe.py in a new interpreter, watch it, and read its report."""

import contextlib
import marshal
import secrets
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from concurrent.futures import CancelledError
from pathlib import Path
from typing import NamedTuple, TypeVar

from ftdemo import processes
from ftdemo.check import probe

# The name of a module to import, or the name and path of an extension to load by itself.
AnyStep = TypeVar("AnyStep", str, tuple[str, str])
# The interval, in seconds, at which the report of a running child is checked for progress.
LOOK = 0.05


class Loaded(NamedTuple):
    """An extension that was loaded during a step, and the state of the GIL before and after.

    inside is true if another extension, loaded while this one was being loaded, enabled the GIL.
    """

    name: str
    path: str
    on_before: bool
    on_after: bool
    inside: bool


class Raised(NamedTuple):
    """The exception of an import; missing is the name in a ModuleNotFoundError."""

    type: str
    message: str
    missing: str | None


class StepResult(NamedTuple):
    """The result of one step; gil_on is None if the child ended before it could report."""

    gil_on: bool | None
    seconds: float
    raised: Raised | None
    forked: bool
    loaded: Sequence[Loaded]
    ending: str


def import_in_child(
    steps: Sequence[AnyStep], *, path: Sequence[str], timeout: float, stop: threading.Event
) -> list[tuple[AnyStep, StepResult]]:
    """Import steps in a new interpreter, until one enables the GIL or ends the child.

    Returns one result per step that was begun, in order, and at least one. Skips the steps below a
    package whose import raised. path is the child's sys.path; timeout is in seconds per step.
    Raises CancelledError when stop is set.

    Thread safety: atomic.
    """
    with tempfile.TemporaryDirectory(prefix="ftdemo-check-") as folder:
        report, token = Path(folder, "report"), secrets.token_hex()
        request = {
            "path": list(path),
            "steps": list(steps),
            "report": str(report),
            "token": token,
            "end_with_parent": processes.end_with_parent.__code__,
        }
        command = [sys.executable, "-P", "-W", "ignore", probe.__file__]
        with processes.start(command, stdin=subprocess.PIPE) as process:
            try:
                # OSError if the child has already ended, which _wait() reports
                with contextlib.suppress(OSError):
                    assert process.stdin is not None
                    process.stdin.write(marshal.dumps(request))
                    process.stdin.flush()
                status = _wait(process, report, timeout, stop)
            finally:
                processes.kill(process)
        ending = processes.ending(status, timeout)
        if status is not None and status >= 0:
            ending += " during the import"
        results = _read(report, token, ending)
    return [(steps[index], result) for index, result in results.items()]


def _wait(
    process: subprocess.Popen[bytes], report: Path, timeout: float, stop: threading.Event
) -> int | None:
    """Return the exit status, or None if the child reported nothing for timeout seconds."""
    size, deadline = 0, time.monotonic() + timeout
    while time.monotonic() < deadline:
        if stop.is_set():
            raise CancelledError
        try:
            return process.wait(LOOK)
        except subprocess.TimeoutExpired:
            new_size = report.stat().st_size if report.exists() else 0
            if new_size != size:
                size, deadline = new_size, time.monotonic() + timeout
    return None


def _read(report: Path, token: str, ending: str) -> dict[int, StepResult]:
    """Read the result of each step that was begun; ending describes how the child ended."""
    unfinished = StepResult(None, 0.0, None, forked=False, loaded=[], ending=ending)
    results: dict[int, StepResult] = {}
    for line in report.read_bytes().split(b"\n") if report.exists() else ():
        written_by, _, said = line.partition(b" ")
        if written_by != token.encode():
            continue  # not written by probe.py: the target found the file
        kind, index, *rest = marshal.loads(bytes.fromhex(said.decode()))
        if kind == "begin":
            results[index] = unfinished
        elif kind == "forked":
            results[index] = results[index]._replace(forked=True)
        else:
            on, seconds, raised, loaded = rest
            results[index] = results[index]._replace(
                gil_on=on,
                seconds=seconds,
                raised=Raised(*raised) if raised else None,
                loaded=[Loaded(*entry) for entry in loaded],
                ending="",
            )
    return results or {0: unfinished}

"""Children that import: how one is started, watched and ended, with fork or without."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self, TypeVar

from ftdemo.check import interpreter, probe

# macOS has fork, but its frameworks do not survive one.
CAN_FORK = sys.platform == "linux"

# The name of a module, or the name and path of an extension to load alone.
AnyStep = TypeVar("AnyStep", str, tuple[str, str])


class Loaded(NamedTuple):
    """An extension that was loaded during a step, and the GIL around that.

    inside: something that it loaded in turn had the GIL turned on.
    """

    name: str
    path: str
    on_before: bool
    on_after: bool
    inside: bool


class Raised(NamedTuple):
    """What an import raised; missing is the name that a ModuleNotFoundError is about."""

    type: str
    message: str
    missing: str | None


class StepResult(NamedTuple):
    """What came of one step; gil_on is None where the child did not live to tell."""

    gil_on: bool | None
    seconds: float
    raised: Raised | None
    forked: bool
    loaded: Sequence[Loaded]
    ending: str


class InterruptedRunError(Exception):
    """The run was stopped while this child ran."""


class Children:
    """Runs one child at a time, each from a bare interpreter. Close it to end what still runs.

    Thread safety: compatible, but for close(), which any thread may call at any time.
    """

    def __init__(self, *, timeout: float, fork: bool = CAN_FORK) -> None:
        """Prepare for children; timeout is in seconds, for each step.

        What is in the list `path` is what they import from.
        """
        self.path = list(sys.path)
        self._timeout = timeout
        self._fork = fork
        self._folder = tempfile.TemporaryDirectory(prefix="ftdemo-check-")
        self._server: subprocess.Popen[bytes] | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._closed = threading.Event()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()
        for process in (self._server, self._process):
            if process is not None:
                with process:  # closes its pipes and waits for it
                    pass
        self._folder.cleanup()

    def close(self) -> None:
        """Kill the child that runs, and start no other."""
        self._closed.set()
        if self._server is not None and self._server.stdin is not None:
            with contextlib.suppress(OSError):
                self._server.stdin.close()
        if self._process is not None:
            kill(self._process)

    def start(self) -> None:
        """Start now what the first child would wait for, if anything."""
        if self._fork and self._server is None:
            self._server = subprocess.Popen(
                [sys.executable, "-W", "ignore", "-c", _source(), "serve"],
                env=interpreter.clean_environment(),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                start_new_session=True,  # Ctrl-C is for the one who asks
            )

    def run(self, steps: Sequence[AnyStep]) -> list[tuple[AnyStep, StepResult]]:
        """Import steps in one fresh child, until one turns the GIL on or ends the child.

        There is a result for each step that was begun, in order; steps below a package that raised
        are passed over. There is at least one. Raises InterruptedRunError.
        """
        report = Path(self._folder.name) / os.urandom(8).hex()
        request: dict[str, object] = {
            "path": self.path,
            "steps": steps,
            "report": str(report),
            "token": os.urandom(16).hex(),
            "timeout": self._timeout,
            "alarm": self._timeout * len(steps) + 60,
        }
        if self._closed.is_set():
            raise InterruptedRunError
        status = self._run_forked(request) if self._fork else self._run_process(request, report)
        if self._closed.is_set():
            raise InterruptedRunError
        lines = report.read_bytes().splitlines() if report.exists() else []
        report.unlink(missing_ok=True)
        how = ending(status, self._timeout)
        if status is not None and status >= 0:
            how += " during the import"
        results = _read(lines, str(request["token"]), how)
        return [(steps[index], result) for index, result in results.items()]

    def _run_forked(self, request: dict[str, object]) -> int | None:
        self.start()
        assert self._server is not None
        assert self._server.stdin is not None
        assert self._server.stdout is not None
        try:
            self._server.stdin.write(json.dumps(request).encode() + b"\n")
            self._server.stdin.flush()
            answer = self._server.stdout.readline()
        except (OSError, ValueError):
            answer = b""
        if not answer:
            # A target killed its parent; that is how its process ended, as far as anyone knows.
            with contextlib.suppress(OSError), self._server:
                self._server = None
            _kill_orphan(Path(str(request["report"])), request["token"])
            return -signal.SIGKILL
        status = json.loads(answer)
        return int(status) if status is not None else None

    def _run_process(self, request: dict[str, object], report: Path) -> int | None:
        self._process = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-c", _source(), "child", json.dumps(request)],
            env=interpreter.clean_environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=os.name != "nt",
        )
        seen, delay, deadline = -1, 0.001, time.monotonic() + self._timeout
        try:
            while self._process.poll() is None:
                size = report.stat().st_size if report.exists() else -1
                if size != seen:
                    seen, deadline = size, time.monotonic() + self._timeout
                if time.monotonic() > deadline:
                    return None
                time.sleep(delay)
                delay = min(delay * 1.5, 0.01)
            return self._process.returncode
        finally:
            kill(self._process)
            self._process.wait()


def _source() -> str:
    return Path(probe.__file__).read_text(encoding="utf-8")


def kill(process: subprocess.Popen[bytes]) -> None:
    """Kill a process that leads a group, and its group."""
    if os.name == "nt":
        process.kill()
    else:
        probe.kill_group(process.pid)


def _kill_orphan(report: Path, token: object) -> None:
    """Kill the child that wrote report, and its group."""
    lines = report.read_bytes().splitlines()[:1] if report.exists() else []
    for line in lines:
        its_token, _, _, pid = json.loads(line)
        if its_token == token:
            probe.kill_group(pid)


def ending(status: int | None, timeout: float) -> str:
    """Say how a process ended; None is one that was given up."""
    if status is None:
        return f"timed out after {timeout:g} s"
    if status < 0:
        try:
            return f"killed by {signal.Signals(-status).name}"
        except ValueError:
            return f"killed by signal {-status}"
    return f"exited with status {status}"


def _read(lines: Sequence[bytes], token: str, ending: str) -> dict[int, StepResult]:
    """Give the result of each step that was begun; ending is how the child ended."""
    results: dict[int, StepResult] = {}
    forked = set()
    unfinished = StepResult(None, 0.0, None, forked=False, loaded=[], ending=ending)
    for line in lines:
        try:
            its_token, kind, index, *rest = json.loads(line)
        except ValueError:
            continue
        if its_token != token:
            continue
        if kind == "begin":
            results[index] = unfinished
        elif kind == "forked":
            forked.add(index)
        elif results.get(index) is unfinished:
            gil_on, seconds, raised, loaded = rest
            results[index] = StepResult(
                gil_on,
                seconds,
                Raised(*raised) if raised else None,
                forked=False,
                loaded=[Loaded(*entry) for entry in loaded],
                ending="",
            )
    results = results or {0: unfinished}
    return {index: r._replace(forked=index in forked) for index, r in results.items()}

"""Children that import: how one is started, watched and ended, with fork or without."""

import contextlib
import importlib.machinery
import json
import marshal
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, NamedTuple, Self, TypeVar

from ftdemo.check import interpreter, probe

if TYPE_CHECKING:
    import tempfile

# macOS has fork, but its frameworks do not survive one.
CAN_FORK = sys.platform == "linux"

# Runs the code of probe.py, which comes on stdin, compiled: faster than compiling it each time.
BOOT = "import marshal, sys; exec(marshal.load(sys.stdin.buffer))"
# How often a report is looked at while the child goes on.
LOOK = 0.02

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


UNFINISHED = StepResult(None, 0.0, None, forked=False, loaded=[], ending="")


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
        self._folder: tempfile.TemporaryDirectory[str] | None = None
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
                with contextlib.suppress(OSError), process:  # closes its pipes and waits for it
                    pass
        if self._folder is not None:
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
            self._server = _start("serve", stdout=subprocess.PIPE)

    def run(
        self, steps: Sequence[AnyStep], raised: Callable[[int], None] | None = None
    ) -> list[tuple[AnyStep, StepResult]]:
        """Import steps in one fresh child, until one turns the GIL on or ends the child.

        There is a result for each step that was begun, in order; steps below a package that raised
        are passed over. There is at least one. raised is called with the index of each step that
        raised and left the GIL off, while the child goes on. Raises InterruptedRunError.
        """
        if self._folder is None:
            import tempfile  # not before the server has been started

            self.start()
            self._folder = tempfile.TemporaryDirectory(prefix="ftdemo-check-")
        report = _Report(os.path.join(self._folder.name, os.urandom(8).hex()))  # noqa: PTH118
        request: dict[str, object] = {
            "path": self.path,
            "steps": list(steps),
            "report": report.path,
            "token": report.token,
            "timeout": self._timeout,
            "alarm": self._timeout * len(steps) + 60,
        }

        def look() -> bool:
            """See what is new; False if nothing is."""
            ended = report.read()
            for index in ended or ():
                result = report.results[index]
                if raised and result.raised and not result.gil_on:
                    raised(index)
            return ended is not None

        if self._closed.is_set():
            raise InterruptedRunError
        if self._fork:
            status = self._run_forked(request, report, look)
        else:
            status = self._run_process(request, look)
        if self._closed.is_set():
            raise InterruptedRunError
        look()
        with contextlib.suppress(OSError):
            os.unlink(report.path)  # noqa: PTH108
        how = ending(status, self._timeout)
        if status is not None and status >= 0:
            how += " during the import"
        return [(steps[index], result) for index, result in report.all(how).items()]

    def _run_forked(
        self, request: dict[str, object], report: "_Report", look: Callable[[], bool]
    ) -> int | None:
        import select  # Windows has it for sockets only

        self.start()
        assert self._server is not None
        assert self._server.stdin is not None
        assert self._server.stdout is not None
        if self._closed.is_set():  # perhaps before there was this server to close
            return None
        try:
            self._server.stdin.write(marshal.dumps(request))
            self._server.stdin.flush()
            while not select.select([self._server.stdout], [], [], LOOK)[0]:
                look()
            answer = self._server.stdout.readline()
        except (OSError, ValueError):
            answer = b""
        if not answer:
            # A target killed its parent; that is how its process ended, as far as anyone knows.
            with contextlib.suppress(OSError), self._server:
                self._server = None
            look()
            if report.pid is not None:
                probe.kill_group(report.pid)
            return -signal.SIGKILL
        return None if answer == b"None\n" else int(answer)

    def _run_process(self, request: dict[str, object], look: Callable[[], bool]) -> int | None:
        self._process = _start("child", request)
        delay, deadline = 0.001, time.monotonic() + self._timeout
        try:
            while self._process.poll() is None:
                if look():
                    deadline = time.monotonic() + self._timeout
                if time.monotonic() > deadline or self._closed.is_set():
                    return None
                time.sleep(delay)
                delay = min(delay * 1.5, 0.01)
            return self._process.returncode
        finally:
            kill(self._process)
            self._process.wait()


def _start(
    role: str, request: dict[str, object] | None = None, *, stdout: int = subprocess.DEVNULL
) -> subprocess.Popen[bytes]:
    """Start an interpreter that runs probe.py."""
    process = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", BOOT, role],
        env=interpreter.clean_environment(),
        stdin=subprocess.PIPE,
        stdout=stdout,
        stderr=subprocess.DEVNULL,
        start_new_session=os.name != "nt",  # Ctrl-C is for the one who asks
    )
    assert process.stdin is not None
    loader = importlib.machinery.SourceFileLoader(probe.__name__, probe.__file__)
    with contextlib.suppress(OSError):  # it ended already, as will be seen
        process.stdin.write(marshal.dumps(loader.get_code(probe.__name__)))
        if request is None:
            process.stdin.flush()
        else:
            process.stdin.write(marshal.dumps(request))
            process.stdin.close()
    return process


def kill(process: subprocess.Popen[bytes]) -> None:
    """Kill a process that leads a group, and its group."""
    if os.name == "nt":
        process.kill()
    else:
        probe.kill_group(process.pid)


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


class _Report:
    """What a child has written so far, and what that says of each step that was begun."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.token = os.urandom(16).hex()
        self.pid: int | None = None
        self.results: dict[int, StepResult] = {}
        self._forked: set[int] = set()
        self._size = 0

    def read(self) -> list[int] | None:
        """Read on, and give the steps that have ended; None if nothing is new."""
        try:
            with open(self.path, "rb") as file:  # noqa: PTH123
                file.seek(self._size)
                new = file.read()
        except FileNotFoundError:
            return None
        new = new[: new.rfind(b"\n") + 1]
        self._size += len(new)
        ended = []
        for line in new.splitlines():
            token, _, said = line.partition(b" ")
            if token != self.token.encode():
                continue  # not by the child: the target found the file
            kind, index, *rest = json.loads(said)
            if kind == "begin":
                self.results[index] = UNFINISHED
                self.pid = rest[0]
            elif kind == "forked":
                self._forked.add(index)
            elif self.results.get(index) is UNFINISHED:
                gil_on, seconds, raised, loaded = rest
                self.results[index] = StepResult(
                    gil_on,
                    seconds,
                    Raised(*raised) if raised else None,
                    forked=False,
                    loaded=[Loaded(*entry) for entry in loaded],
                    ending="",
                )
                ended.append(index)
        return ended if new else None

    def all(self, ending: str) -> dict[int, StepResult]:
        """Give the result of each step that was begun; ending is how the child ended."""
        unfinished = UNFINISHED._replace(ending=ending)
        results = {n: unfinished if r is UNFINISHED else r for n, r in self.results.items()}
        return {
            index: result._replace(forked=index in self._forked)
            for index, result in (results or {0: unfinished}).items()
        }

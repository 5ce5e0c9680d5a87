"""The import check as a function."""

import os
import sys
import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Literal, Self, TypedDict

from ftdemo.check import interpreter, judge
from ftdemo.check.children import CAN_FORK, Children, InterruptedRunError

if TYPE_CHECKING:
    from ftdemo.check.targets import Target

Verdict = Literal["pass", "fail", "error", "skip"]
Method = Literal["fork", "spawn", "single"]
NOTHING_CHECKED = 3


class ModuleResult(TypedDict):
    """The verdict on one extension module. seconds is how long its import took, if it passed."""

    name: str
    verdict: Verdict
    culprits: list[str]
    detail: str
    seconds: float


class TargetResult(TypedDict):
    """The verdicts on a target; distribution and version are None for what belongs to none."""

    target: str
    distribution: str | None
    version: str | None
    modules: list[ModuleResult]


class Result(TypedDict):
    """What `ftdemo check --json` prints; schema.json describes it."""

    version: int
    interpreter: interpreter.Interpreter
    targets: list[TargetResult]
    summary: dict[Verdict, int]


class Progress(TypedDict):
    """How far a check has come; before the first verdict, target and module are empty."""

    target: str
    module: str
    done: int
    total: int


def check(
    targets: Sequence[str],
    *,
    timeout: float = 60.0,
    jobs: int | None = None,
    method: Method | None = None,
    progress: Callable[[Progress], None] | None = None,
) -> Result:
    """Import every extension module of targets in fresh processes, and see if the GIL comes on.

    targets are names of installed distributions, of packages or modules, or paths of wheel files.
    timeout is in seconds, for each import; jobs is how many processes import at a time, by default
    as many as there are cores. progress is called when it is known how much there is to do, and
    after each verdict, from any thread, one call at a time. method is chosen for the system, and
    all come to the same verdicts: "fork" takes a process for each module that does not pass,
    "spawn" does so without fork, and "single" takes a new interpreter for each module, which is
    slow.

    Raises TargetError where there is no such target. On KeyboardInterrupt the verdicts so far are
    in the attribute `result` of the exception.

    Importing runs the code of the target. Thread safety: safe on shared objects.
    """
    method = method or ("fork" if CAN_FORK else "spawn")
    with _Run(timeout, jobs or cores(), method, progress) as run:
        # Imported while the first child starts, and before there are threads: two that import at
        # the same time have been seen to deadlock on 3.15.0rc1.
        import tempfile
        from pathlib import Path

        from ftdemo.check.targets import find_all

        with tempfile.TemporaryDirectory(prefix="ftdemo-check-") as folder:
            found = find_all(targets, Path(folder))
            try:
                run.judge_all(found)
            except KeyboardInterrupt as interrupt:
                interrupt.result = run.result(found)  # type: ignore[attr-defined]
                raise
    return run.result(found)


def cores() -> int:
    """Count the cores that this process may use."""
    if sys.platform == "linux":
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class _Run:
    """One call of check()."""

    def __init__(
        self,
        timeout: float,
        jobs: int,
        method: Method,
        progress: Callable[[Progress], None] | None,
    ) -> None:
        self._timeout = timeout
        self._jobs = jobs
        self._method = method
        self._progress = progress
        self._verdicts: dict[tuple[str, str], ModuleResult] = {}
        self._total = 0
        self._over = False
        self._failure: BaseException | None = None
        self._waiting: deque[tuple[Target, judge.Judge, judge.Task]] = deque()
        self._workers: list[threading.Thread] = []
        self._working = 0
        # Guards all of these, and calls of _progress; _changed is notified when it is over.
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)
        self._children = [self._new_children()]
        self._idle = self._children.copy()
        self._interpreter = interpreter.describe()

    def __enter__(self) -> Self:
        if self._interpreter["free_threaded"]:
            self._children[0].start()  # while the targets are being looked for
        return self

    def __exit__(self, *_: object) -> None:
        for children in self._children:
            with children:  # closes it
                pass

    def judge_all(self, targets: "Sequence[Target]") -> None:
        self._total = sum(len(t.modules) + len(t.skipped) for t in targets)
        try:
            if self._interpreter["free_threaded"]:
                for target in sorted(targets, key=lambda target: -len(target.modules)):
                    case = judge.Judge(target.modules, together=self._method != "single")
                    for task in case.tasks():
                        self._submit(target, case, task)
            with self._lock:
                self._report()
            for target in targets:
                self._skip(target)
            with self._changed:
                self._changed.wait_for(lambda: self._failure or not self._working)
                if self._failure is not None:
                    raise self._failure
        finally:
            with self._lock:
                self._over = True
                for children in self._children:
                    children.close()
            for worker in self._workers:
                worker.join()

    def _skip(self, target: "Target") -> None:
        for name, why in target.skipped.items():
            self._add(target, _result(name, "skip", detail=why))
        if not self._interpreter["free_threaded"]:
            for module in target.modules:
                why = "this build always has the GIL"
                self._add(target, _result(module.name, "skip", detail=why))

    # concurrent.futures would do this; importing it takes as long as starting an interpreter.

    def _submit(self, target: "Target", case: judge.Judge, task: judge.Task) -> None:
        with self._lock:
            self._waiting.append((target, case, task))
            if self._working < self._jobs and not self._over:
                self._working += 1
                self._workers.append(threading.Thread(target=self._work))
                self._workers[-1].start()

    def _work(self) -> None:
        """Do what is waiting until nothing is."""
        while True:
            with self._lock:
                if self._over or not self._waiting:
                    self._working -= 1
                    self._changed.notify_all()
                    return
                target, case, task = self._waiting.popleft()
                if not self._idle:
                    self._idle.append(self._new_children())
                    self._children.append(self._idle[-1])
                children = self._idle.pop()
            try:
                self._do(target, case, task, children)
            except InterruptedRunError:
                pass
            except BaseException as error:
                with self._lock:
                    self._failure = error
                    self._changed.notify_all()
            with self._lock:
                self._idle.append(children)

    def _do(
        self, target: "Target", case: judge.Judge, task: judge.Task, children: Children
    ) -> None:
        children.path = [*target.path, *sys.path]
        for outcome in case.judge(task, children, lambda task: self._submit(target, case, task)):
            self._add(target, _verdict(outcome, target))

    def _new_children(self) -> Children:
        return Children(timeout=self._timeout, fork=self._method == "fork")

    def _add(self, target: "Target", result: ModuleResult) -> None:
        with self._lock:
            self._verdicts[target.target, result["name"]] = result
            self._report(target.target, result["name"])

    def _report(self, target: str = "", module: str = "") -> None:
        """Call _progress; _lock is held."""
        if self._progress is not None:
            done = len(self._verdicts)
            self._progress({"target": target, "module": module, "done": done, "total": self._total})

    def result(self, targets: "Sequence[Target]") -> Result:
        summary: dict[Verdict, int] = {"pass": 0, "fail": 0, "error": 0, "skip": 0}
        for verdict in self._verdicts.values():
            summary[verdict["verdict"]] += 1
        return {
            "version": 1,
            "interpreter": self._interpreter,
            "targets": [
                {
                    "target": target.target,
                    "distribution": target.distribution,
                    "version": target.version,
                    "modules": [
                        verdict
                        for (of, _), verdict in sorted(self._verdicts.items())
                        if of == target.target
                    ],
                }
                for target in targets
            ],
            "summary": summary,
        }


def _result(
    name: str,
    verdict: Verdict,
    *,
    culprits: Sequence[str] = (),
    detail: str = "",
    seconds: float = 0.0,
) -> ModuleResult:
    return {
        "name": name,
        "verdict": verdict,
        "culprits": list(culprits),
        "detail": detail,
        "seconds": seconds,
    }


def _verdict(outcome: judge.Outcome, target: "Target") -> ModuleResult:
    result = outcome.result
    details = []
    if outcome.step != outcome.name:
        details.append(f"importing {outcome.step}:")
    if result.raised:
        details.append(f"raised {result.raised.type}: {result.raised.message}".rstrip(": "))
    if result.gil_on is None:
        details.append(result.ending)
    if result.forked:
        details.append("(forked during the import)")
    verdict: Verdict = "pass"
    if result.gil_on:
        verdict = "fail"
        if not outcome.culprits:
            details.append("what turned the GIL on was not seen being loaded")
        elif outcome.step != outcome.name and len(details) == 1:
            details = [f"importing {outcome.step} does it already"]
    elif result.gil_on is None:
        verdict = "error"
    elif result.raised:
        missing = result.raised.missing
        outside = missing and missing.partition(".")[0] not in target.top_levels
        verdict = "skip" if outside else "error"
    return _result(
        outcome.name,
        verdict,
        culprits=outcome.culprits,
        detail=" ".join(details),
        seconds=result.seconds,
    )


def exit_code(result: Result) -> int:
    """0 no module brings the GIL back; 1 one does, or an error; 3 nothing could be checked."""
    summary = result["summary"]
    if summary["fail"] or summary["error"]:
        return 1
    return NOTHING_CHECKED if summary["skip"] and not summary["pass"] else 0

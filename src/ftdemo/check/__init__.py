"""The import check: find the extension modules whose import enables the GIL, and the reason."""

import sys
import tempfile
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from pathlib import Path
from typing import Literal, TypedDict

from ftdemo import exit_codes, interpreter
from ftdemo.check.judge import Judge, Outcome, Task
from ftdemo.check.targets import Target, TargetError, find_all

__all__ = ["SCHEMA", "InterruptedCheck", "Result", "TargetError", "check", "exit_code"]

SCHEMA = Path(__file__).with_name("schema.json")
Verdict = Literal["pass", "fail", "error", "skip"]


class ModuleResult(TypedDict):
    """The verdict on one extension module, and the duration of its import, if it passed.

    culprits has the names of the modules that enable the GIL during the import.
    """

    name: str
    verdict: Verdict
    culprits: list[str]
    detail: str
    seconds: float


class TargetResult(TypedDict):
    """The verdicts on a target; distribution and version are None if it belongs to none."""

    target: str
    distribution: str | None
    version: str | None
    modules: list[ModuleResult]


class Result(TypedDict):
    """The output of `ftdemo check --json`; schema.json describes it."""

    version: int
    interpreter: interpreter.Interpreter
    targets: list[TargetResult]
    summary: dict[Verdict, int]


class Progress(TypedDict):
    """The progress of a check; target and module are empty before the first verdict."""

    target: str
    module: str
    done: int
    total: int


class InterruptedCheck(KeyboardInterrupt):
    """Ctrl-C ended a check; result has the verdicts so far."""

    def __init__(self, result: Result) -> None:
        super().__init__()
        self.result = result


def check(
    targets: Sequence[str],
    *,
    timeout: float = 60.0,
    jobs: int | None = None,
    progress: Callable[[Progress], None] | None = None,
) -> Result:
    """Import every extension module of targets in fresh processes; report if the GIL comes on.

    targets are names of installed distributions, of packages or modules, or paths of wheel files.
    timeout is in seconds per import. jobs is the number of processes that import in parallel, by
    default the number of cores. progress is called once when the number of modules is known, and
    then after each verdict.

    Raises TargetError if a target does not exist, and InterruptedCheck on KeyboardInterrupt.

    Importing runs the code of the target. Thread safety: safe on shared objects.
    """
    with tempfile.TemporaryDirectory(prefix="ftdemo-wheels-") as folder:
        found = find_all(targets, Path(folder))
        verdicts = _Verdicts(found, progress or (lambda _: None))
        try:
            for target in found:
                skipped = dict(target.skipped)
                if not interpreter.FREE_THREADED:
                    why = "this build always has the GIL"
                    skipped |= {module.name: why for module in target.modules}
                for name, why in skipped.items():
                    verdict = ModuleResult(
                        name=name, verdict="skip", culprits=[], detail=why, seconds=0.0
                    )
                    verdicts.add(target, verdict)
            if interpreter.FREE_THREADED:
                _judge_all(found, verdicts, timeout, jobs or interpreter.cores())
        except KeyboardInterrupt:
            raise InterruptedCheck(verdicts.result()) from None
    return verdicts.result()


class _Verdicts:
    """Collects the verdicts, and reports progress."""

    def __init__(self, targets: Sequence[Target], progress: Callable[[Progress], None]) -> None:
        self._targets = targets
        self._progress = progress
        self._total = sum(len(target.modules) + len(target.skipped) for target in targets)
        self._verdicts: dict[tuple[str, str], ModuleResult] = {}
        self._report("", "")

    def add(self, target: Target, verdict: ModuleResult) -> None:
        self._verdicts[target.target, verdict["name"]] = verdict
        self._report(target.target, verdict["name"])

    def _report(self, target: str, module: str) -> None:
        done = len(self._verdicts)
        self._progress({"target": target, "module": module, "done": done, "total": self._total})

    def result(self) -> Result:
        summary: dict[Verdict, int] = {"pass": 0, "fail": 0, "error": 0, "skip": 0}
        for verdict in self._verdicts.values():
            summary[verdict["verdict"]] += 1
        return {
            "version": 1,
            "interpreter": interpreter.describe(),
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
                for target in self._targets
            ],
            "summary": summary,
        }


def _judge_all(targets: Sequence[Target], verdicts: _Verdicts, timeout: float, jobs: int) -> None:
    stop = threading.Event()
    targets = [target for target in targets if target.modules]
    with ThreadPoolExecutor(jobs) as pool:
        running = {}
        try:
            for target in sorted(targets, key=lambda target: -len(target.modules)):
                path = [*target.path, *sys.path]
                judge = Judge(target.modules, path=path, timeout=timeout, stop=stop)
                task = Task([module.name for module in target.modules])
                running[pool.submit(judge.judge, task)] = (target, judge)
            while running:
                # The timeout is for Windows, where Ctrl-C does not end a wait.
                for future in wait(running, timeout=0.5, return_when=FIRST_COMPLETED).done:
                    target, judge = running.pop(future)
                    outcomes, later = future.result()
                    for outcome in outcomes:
                        verdicts.add(target, _verdict_of(outcome, target))
                    for task in later:
                        running[pool.submit(judge.judge, task)] = (target, judge)
        finally:  # no effect if all tasks are done
            stop.set()
            pool.shutdown(wait=False, cancel_futures=True)


def _verdict_of(outcome: Outcome, target: Target) -> ModuleResult:
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
            details.append("the GIL is on, but no extension module was seen to enable it")
        elif outcome.step != outcome.name and len(details) == 1:
            details = [f"importing {outcome.step} already enables the GIL"]
    elif result.gil_on is None:
        verdict = "error"
    elif result.raised:
        missing = result.raised.missing
        outside = missing and missing.partition(".")[0] not in target.top_levels
        verdict = "skip" if outside else "error"
    return {
        "name": outcome.name,
        "verdict": verdict,
        "culprits": list(outcome.culprits),
        "detail": " ".join(details),
        "seconds": result.seconds,
    }


def exit_code(result: Result) -> int:
    """Return FAILED for any fail or error verdict, NOTHING_CHECKED if all are skips."""
    summary = result["summary"]
    if summary["fail"] or summary["error"]:
        return exit_codes.FAILED
    nothing = summary["skip"] and not summary["pass"]
    return exit_codes.NOTHING_CHECKED if nothing else exit_codes.OK

"""The run: from targets to findings, one child after another."""

import random
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Literal

from ftdemo import interpreter
from ftdemo.own import READY_ALONE
from ftdemo.stress.children import Line
from ftdemo.stress.drive import Driver, until_done
from ftdemo.stress.results import Result
from ftdemo.stress.session import (
    Progress,
    Session,
    Settings,
    Subject,
    Target,
    TargetSession,
    find,
    not_driven,
)

# What threads share when functions of a module are driven; with object(), nothing.
SHARED_ARGUMENTS = ("object()", "[3, 1, 2]", "{'a': 1}", "bytearray(b'abc')")


class InterruptedStress(KeyboardInterrupt):
    """A run was interrupted. `result` has what was seen so far."""

    def __init__(self, result: Result) -> None:
        super().__init__()
        self.result = result


def stress(
    targets: Sequence[str],
    *,
    seconds: float = 10.0,
    threads: int | None = None,
    seed: int | None = None,
    pair: Sequence[str] = (),
    jobs: int = 1,
    only: Literal["crash"] | None = None,
    factories: Mapping[str, str] | None = None,
    allow: Iterable[str] = (),
    progress: Callable[[Progress], None] | None = None,
) -> Result:
    """Let threads collide on the objects of targets, and see what no order of the calls explains.

    targets are names of installed distributions, packages or modules, wheel files, `module:Type`,
    or `module:Type(...)` for an object that is made in this way. seconds is for each type; threads
    is the most that share an object, by default twice as many as there are cores. With pair, only
    these operations meet, one in each thread. only="crash" leaves out what needs no crash to be
    wrong. factories maps names of types to expressions that make their objects; allow has names of
    what is documented as not atomic, such as "acme.Deque.extend". progress is called from any
    thread, one call at a time. jobs is how many types are driven at the same time.

    Raises TargetError where there is no such target, and on KeyboardInterrupt InterruptedStress,
    with the findings so far.

    This runs the code of the target, with arguments that make no sense, in child processes with the
    GIL off. Thread safety: safe on shared objects.
    """
    settings = Settings(
        seconds,
        threads or max(4, 2 * interpreter.cores()),
        random.SystemRandom().randrange(10**6) if seed is None else seed,
        tuple(pair),
        only,
        factories or {},
        frozenset(allow),
    )
    with tempfile.TemporaryDirectory(prefix="ftdemo-stress-") as folder:
        found = [find(name, Path(folder)) for name in dict.fromkeys(targets)]
        run = Session(settings, progress)
        reason = _why_not()
        if reason:
            run.skip_all(found, reason)
        else:
            try:
                _drive_all(run, found, jobs)
            except KeyboardInterrupt as interrupt:
                raise InterruptedStress(run.result()) from interrupt
    return run.result()


def _why_not() -> str:
    """Say why nothing can be driven; empty where it can."""
    if not interpreter.FREE_THREADED:
        return "threads never run at the same time here: this build always has the GIL"
    if interpreter.cores() < 2:
        return "threads never run at the same time here: there is one core"
    if READY_ALONE:
        return "the wheel for the stable ABI has no ftdemo._stress: install ftdemo from source"
    return ""


def list_types(target: str) -> list[str]:
    """List what stress() would drive of a target, each as a target of its own.

    `module:Type` for types, `module:` for the functions of a module. Raises TargetError. Imports
    the target, in a child process. Thread safety: safe on shared objects.
    """
    settings = Settings(0, 2, 0, (), None, {}, frozenset())
    with tempfile.TemporaryDirectory(prefix="ftdemo-stress-") as folder:
        found = TargetSession(Session(settings, None), find(target, Path(folder)))
    return [f"{subject.module}:{subject.expression}" for subject in found.queue]


def _drive_all(session: Session, found: Sequence[Target], jobs: int) -> None:
    with ThreadPoolExecutor(jobs) as pool:
        try:
            for target in found:
                work = TargetSession(session, target)
                session.tell(target.name, total=len(work.queue))
                while work.queue:
                    batch = list(work.queue)
                    work.queue.clear()
                    list(pool.map(partial(_drive_subject, work), batch))
        except BaseException:
            session.stop.set()
            pool.shutdown(cancel_futures=True)
            raise


def _drive_subject(target: TargetSession, subject: Subject) -> None:
    """Drive one type, or the functions of a module, in each way that its objects are made."""
    target.run.tell(subject.name)
    try:
        _drive_each_way(target, subject)
    finally:
        target.run.tell(subject.name, done=1)


def _drive_each_way(target: TargetSession, subject: Subject) -> None:
    aside: dict[str, str] = {}
    found = [
        Driver(target, subject._replace(constructor=constructor))
        for constructor in _constructors(target, subject, aside)
    ]
    driven = [each for each in found if each.survey()]
    for each in found:
        if each not in driven:
            aside.update(each.aside)
    if aside or not driven:
        target.run.add_type(not_driven(subject.name), aside)
    for each in driven:
        each.drive(target.run.settings.seconds / len(driven))


def _constructors(target: TargetSession, subject: Subject, aside: dict[str, str]) -> list[str]:
    """Give expressions that make the objects of a subject."""
    if subject.constructor is not None:
        return [subject.constructor]
    if not subject.expression:
        return list(SHARED_ARGUMENTS)
    found: list[str] = []

    def heard(line: Line) -> None:
        match line:
            case ["constructors", constructors, more]:
                found.extend(constructors)
                aside.update(more)

    until_done(target.request(subject, "drive"), aside, heard, target.run.stop)
    return found

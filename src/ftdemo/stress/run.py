"""Run the stress test: find the targets, drive them in child processes, collect the findings."""

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

# The objects that threads share when functions of a module are driven. object() stands for none:
# the functions get arguments that the threads do not share.
SHARED_ARGUMENTS = ("object()", "[3, 1, 2]", "{'a': 1}", "bytearray(b'abc')")


class InterruptedStress(KeyboardInterrupt):
    """Ctrl-C ended a run; result has the findings so far."""

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
    """Let threads call the objects of targets at once; report results that fit no order of calls.

    targets are names of installed distributions, packages or modules, wheel files, `module:Type`,
    or `module:Type(...)` for an object that is made in this way. seconds is the time for each type.
    threads is the maximum number of threads per object, by default twice the number of cores. If
    pair is given, only these operations run, one per thread. only="crash" leaves out findings of
    the kind "not-atomic". factories maps names of types to expressions that make their objects.
    allow has the names of types and methods that are documented as not atomic, such as
    "acme.Deque.extend". progress may be called from any thread, but by one at a time. jobs is the
    number of types to drive in parallel.

    Raises TargetError if a target does not exist, and InterruptedStress on KeyboardInterrupt.

    This runs the code of the target, with arbitrary arguments, in child processes with the GIL off.
    Thread safety: safe on shared objects.
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
    """Say why nothing can be driven; return "" if it can."""
    if not interpreter.FREE_THREADED:
        return "this build always has the GIL: run this on a free-threaded build, such as 3.14t"
    if interpreter.cores() < 2:
        return "with one core, threads never run at the same time: run this on two or more cores"
    if READY_ALONE:
        return "the wheel for the stable ABI has no ftdemo._stress: install ftdemo from source"
    return ""


def list_types(target: str) -> list[str]:
    """List what stress() would drive in a target, each entry as a separate target.

    An entry is `module:Type` for a type and `module:` for the functions of a module. Imports the
    target in a child process. Raises TargetError. Thread safety: safe on shared objects.
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
    """Drive one type, or the functions of a module, with each expression that makes its objects."""
    target.run.tell(subject.name)
    try:
        _drive_each_way(target, subject)
    finally:
        target.run.tell(subject.name, done=1)


def _drive_each_way(target: TargetSession, subject: Subject) -> None:
    aside: dict[str, str] = {}
    driven: dict[tuple[str, ...], Driver] = {}
    given = _constructors(target, subject, aside)
    if not given:
        target.add_unmade(subject.name)
    constructors = list(given)
    for constructor in constructors:
        driver = Driver(target, subject._replace(constructor=constructor))
        if not driver.survey():
            aside.update(driver.aside)
        elif driver.looks not in driven:  # not like the objects of another constructor
            driven[driver.looks] = driver
            if subject.constructor is None and constructor in given:
                constructors += driver.filled
    if aside or not driven:
        target.run.add_type(not_driven(subject.name), aside)
    for driver in driven.values():
        driver.drive(target.run.settings.seconds / len(driven))


def _constructors(target: TargetSession, subject: Subject, aside: dict[str, str]) -> list[str]:
    """Return expressions that make the objects of a subject."""
    if subject.constructor is not None:
        return [subject.constructor]
    found = [] if subject.expression else list(SHARED_ARGUMENTS)
    if found and not target.target.expression:
        # With objects of a type, the functions are driven as operations of that type. The command
        # of a finding that shares no argument names no object: object() stands for that.
        return found[:1] if target.run.settings.pair else found

    def heard(line: Line) -> None:
        match line:
            case ["constructors", constructors, more]:
                found.extend(constructors)
                aside.update(more)

    until_done(target.request(subject, "drive"), aside, heard, target.run.stop)
    return found

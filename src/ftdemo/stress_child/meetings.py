"""Let threads call fresh objects: at the same time, in turns, and in bursts."""

import contextlib
import gc
import itertools
import os
import queue
import random
import sys
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from itertools import chain, pairwise
from typing import Any, NamedTuple

from ftdemo._stress import Meetings, spin
from ftdemo.stress_child import c_memory
from ftdemo.stress_child.operations import Operation
from ftdemo.stress_child.outcomes import Form, Labels, Oracle, form, is_refusal, raised

ORDERS = 24  # the maximum number of orders of the operations that the oracle runs
ASKED_FIRST = 6  # times that the oracle runs each order before threads collide
ASKED_AGAIN = 400  # times that it runs all orders, in total, before an outcome counts
LONGEST_PHASE = 1e-3  # seconds
BURST_CALLS = 50  # per thread and object
BURST_OBJECTS = 50
C_NOISE = 8192  # bytes: buffers of CPython itself, which come and go
BURST_SECONDS = 0.1


class Crew:
    """Threads that live as long as the child: the same threads collide and serve the oracle."""

    def __init__(self, size: int) -> None:
        self._jobs: list[queue.SimpleQueue[Callable[[], Any]]] = []
        self._done: queue.SimpleQueue[tuple[int, Any]] = queue.SimpleQueue()
        for index in range(size):
            jobs: queue.SimpleQueue[Callable[[], Any]] = queue.SimpleQueue()
            self._jobs.append(jobs)
            threading.Thread(target=self._work, args=(index, jobs), daemon=True).start()

    def _work(self, index: int, jobs: "queue.SimpleQueue[Callable[[], Any]]") -> None:
        if sys.platform == "linux":
            # One core per thread: on a busy system, two could get the same core and never overlap.
            cores = sorted(os.sched_getaffinity(0))
            os.sched_setaffinity(0, {cores[index % len(cores)]})
        while True:
            self._done.put((index, jobs.get()()))

    def run(self, jobs: Sequence[Callable[[], Any]]) -> list[Any]:
        """Run each job in its own thread, the first always in the same; return their results."""
        for mine, job in zip(self._jobs, jobs, strict=False):
            mine.put(job)
        results = dict(self._done.get() for _ in jobs)
        return [results[index] for index in range(len(jobs))]


class Subject(NamedTuple):
    """How to make the objects that threads share, and how to observe their state.

    make() returns a new object, make_two() a new object and a second one of its type. observers are
    operations that take no other object.
    """

    make: Callable[[], Any]
    make_two: Callable[[], tuple[Any, Any]]
    observers: tuple[Operation, ...]


class Tally(NamedTuple):
    """The number of meetings, the number of outcomes that no order explains, and one of these."""

    meetings: int
    seen: int
    example: Form
    system_error: bool


def orders(counts: Sequence[int]) -> list[tuple[int, ...]]:
    """Return at most ORDERS orders of calls; counts has the number of calls per thread.

    An order is the thread of each call.
    """

    def rest(left: tuple[int, ...]) -> Iterable[tuple[int, ...]]:
        if not any(left):
            yield ()
        for thread, count in enumerate(left):
            if count:
                fewer = (*left[:thread], count - 1, *left[thread + 1 :])
                for after in rest(fewer):
                    yield (thread, *after)

    return list(itertools.islice(rest(tuple(counts)), ORDERS))


class Match:
    """One choice of operations, one per thread, with the outcomes that the oracle knows."""

    def __init__(
        self,
        subject: Subject,
        operations: Sequence[Operation],
        crew: Crew,
        number: "Numbers",
        with_other: bool = False,
    ) -> None:
        self.operations = tuple(operations)
        self.oracle = Oracle()
        self.asked = 0
        self.meetings = 0
        self.refused: set[str] = set()  # calls that the object refused without another effect
        self._without: dict[tuple[tuple[int, ...], ...], Match] = {}
        self._subject = subject
        self._crew = crew
        self._number = number
        self.orders = orders([len(operation.steps) for operation in operations])
        self._unexplained: set[Form] = set()
        self._with_other = with_other or any(each.uses_other for each in operations)
        self.cost = 20e-6  # seconds for a meeting, with its preparation and evaluation
        self._longest: float | None = None  # seconds for the slowest operation

    def ask(self, times: int) -> None:
        """Let the threads take turns in every order, and remember the outcomes.

        times is the number of meetings per order.
        """
        start = time.perf_counter()
        for order in self.orders:
            self.oracle.learn(order, self._outcomes(times, order=order))
        asked = times * len(self.orders)
        self.asked += asked
        self.cost = (time.perf_counter() - start) / asked

    def _longest_call(self) -> float:
        """Measure the seconds that the slowest operation takes.

        Each runs in the thread that also calls it in a collision: it may change that thread's own
        state.
        """
        longest = 0.0
        for thread, operation in enumerate(self.operations):
            calls: list[Any] = []
            for _ in range(50):
                x, y = self._subject.make_two()
                calls += operation.build(x, y, self._number.next())
            jobs: list[Callable[[], Any]] = [lambda: None] * len(self.operations)
            jobs[thread] = self._job(Meetings(1), tuple(calls), thread, (), 0, 0)
            start = time.perf_counter()
            self._crew.run(jobs)
            longest = max(longest, (time.perf_counter() - start) / 50)
        return longest

    def collide(self, times: int, seed: int) -> Tally:
        """Let threads collide on fresh objects, and count the outcomes that no order explains.

        times is the number of objects.
        """
        if self._longest is None:
            self._longest = min(max(self._longest_call(), 50e-9), LONGEST_PHASE)
        phase = int((self._longest if seed % 2 else min(self._longest, 100e-9)) / STEP)
        outcomes = self._outcomes(times, phase=phase, seed=seed)
        self.meetings += times
        seen = [o for o in outcomes if o in self._unexplained or not self.oracle.explains(o)]
        if seen and not self._unexplained.issuperset(seen):
            # Batches of the same size: objects are then as old as in the collision, in case their
            # state depends on time.
            self.ask(max(times, ASKED_AGAIN // len(self.orders)))
            seen = [o for o in seen if not self.oracle.explains(o)]
            seen = [o for o in seen if not self._is_refusal(o)]
            self._unexplained.update(seen)
        broken = [outcome for outcome in seen if ("raises", "SystemError") in outcome[0]]
        return Tally(times, len(seen), (broken or seen or [None])[0], bool(broken))

    def _is_refusal(self, outcome: Form) -> bool:
        """Tell whether calls were refused, and all else is as if they had not been made.

        For example, with "dict changed size during iteration".
        """
        written, states, _ = outcome
        results = iter(written)
        kept = tuple(
            tuple(step for step, _ in enumerate(each.steps) if not is_refusal(next(results)))
            for each in self.operations
        )
        rest = tuple(result for result in written if not is_refusal(result))
        if not rest or len(rest) == len(written):
            return False
        if kept not in self._without:
            others = [
                each.only(steps) for each, steps in zip(self.operations, kept, strict=True) if steps
            ]
            alone = Match(self._subject, others, self._crew, self._number, self._with_other)
            alone.ask(ASKED_AGAIN // len(alone.orders))
            self._without[kept] = alone
        without = (rest, states, _differences([*rest, *chain(*states)]))
        if not self._without[kept].oracle.explains(without):
            return False
        steps = [step for each in self.operations for step in each.steps]
        self.refused |= {s for s, r in zip(steps, written, strict=True) if is_refusal(r)}
        return True

    def _outcomes(
        self, times: int, *, order: tuple[int, ...] = (), phase: int = 0, seed: int = 0
    ) -> list[Form]:
        """Make objects, let the threads call, and return the outcome of each meeting."""
        shared = []
        scripts: list[list[Any]] = [[] for _ in self.operations]
        for _ in range(times):
            n = self._number.next()
            if self._with_other:
                x, y = self._subject.make_two()
            else:
                x, y = self._subject.make(), None
            shared.append((x, y))
            for script, operation in zip(scripts, self.operations, strict=True):
                script.extend(operation.build(x, y, n))
        meetings = Meetings(len(self.operations))
        results = self._crew.run(
            [
                self._job(meetings, tuple(script), thread, order, phase, seed)
                for thread, script in enumerate(scripts)
            ]
        )
        each = [len(operation.steps) for operation in self.operations]
        outcomes = []
        for index, (x, y) in enumerate(shared):
            labels = Labels(x=x, y=y) if self._with_other else Labels(x=x)
            written: list[Form] = []
            made = []
            for (values, flags), count in zip(results, each, strict=True):
                for place in range(index * count, (index + 1) * count):
                    value = values[place]
                    if flags[place]:
                        written.append(raised(value))
                    else:
                        written.append(form(value, labels))
                        if type(value) is type(x) and value is not x and value is not y:
                            made.append(value)
            states = [
                observe(self._subject, each, labels) for each in (x, y)[: 1 + self._with_other]
            ]
            states += [observe(self._subject, each, labels) for each in made]
            outcomes.append(
                (tuple(written), tuple(states), _differences([*written, *chain(*states)]))
            )
        return outcomes

    def _job(
        self,
        meetings: Meetings,
        calls: tuple[Any, ...],
        thread: int,
        order: tuple[int, ...],
        phase: int,
        seed: int,
    ) -> Callable[[], tuple[list[Any], bytes]]:
        if order:
            turns = tuple(turn for turn, who in enumerate(order) if who == thread)
            return lambda: meetings.take_turns(calls, turns, len(order))
        each = len(self.operations[thread].steps)
        return lambda: meetings.collide(calls, each, phase, seed * 64 + thread + 1)

    def expected(self) -> list[Form]:
        """Return the outcomes of the orders, each once."""
        return list(dict.fromkeys(self.oracle.patterns.values()))


def _differences(written: Sequence[Form]) -> Form:
    """Return the difference of each int to the int before: constant for serial numbers."""
    last = 0
    differences: list[int | None] = []
    for each in written:
        if each[0] == "int":
            differences.append(each[1] - last)
            last = each[1]
        else:
            differences.append(None)
    return tuple(differences)


class Numbers:
    """Numbers that no earlier meeting had, too large to be immortal small ints."""

    def __init__(self) -> None:
        self._last = 10**6

    def next(self) -> int:
        """Return a new number."""
        self._last += 1
        return self._last


def observe(subject: Subject, shared: Any, labels: Labels) -> Form:
    """Return what every observer shows of an object, in their order."""
    return tuple(observe_one(operation, shared, labels) for operation in subject.observers)


def observe_one(operation: Operation, shared: Any, labels: Labels) -> Form:
    """Return what one observer shows."""
    try:
        function, *arguments = operation.build(shared, None, 0)[0]
        return form(function(*arguments), labels)
    except BaseException as error:
        return raised(error)


def step_seconds() -> float:
    """Measure how long one step of a random wait takes."""
    steps = 20_000
    best = 1.0
    for _ in range(5):
        start = time.perf_counter()
        spin(steps)
        best = min(best, time.perf_counter() - start)
    return best / steps


STEP = step_seconds()


class Burst:
    """Many calls of some operations at the same time, on each of many objects."""

    def __init__(
        self,
        subject: Subject,
        operations: Sequence[Operation],
        threads: int,
        crew: Crew,
        number: Numbers,
    ) -> None:
        self.operations = tuple(operations)
        self.threads = threads
        self._subject = subject
        self._crew = crew
        self._number = number

    def size(self) -> tuple[int, int]:
        """Return how many objects, and calls per thread and object, take about BURST_SECONDS."""
        (slowest,) = self._crew.run([self._slowest])
        calls = int(BURST_SECONDS / slowest / self.threads)
        return max(1, min(BURST_OBJECTS, calls // BURST_CALLS)), max(4, min(BURST_CALLS, calls))

    def _slowest(self) -> float:
        """Measure the seconds that the slowest call takes in one thread."""
        slowest = 1e-7
        for operation in self.operations:
            made = operation.build(*self._subject.make_two(), self._number.next())
            start = time.perf_counter()
            for function, *arguments in made:
                with contextlib.suppress(BaseException):
                    function(*arguments)
            slowest = max(slowest, (time.perf_counter() - start) / len(made))
        return slowest

    def grows(self, objects: int, calls: int, seed: int) -> str:
        """Return a text if memory grows with every burst, but not when threads take turns."""

        def growth(in_turn: bool) -> list[list[int]]:
            sizes = []
            for index in range(4):
                self.run(objects, calls, seed + index, in_turn=in_turn)
                gc.collect()
                sizes.append((sys.getallocatedblocks(), c_memory.allocated()))
            return [[b - a for a, b in pairwise(each)] for each in zip(*sizes, strict=True)]

        units = {"blocks": objects / 2, "bytes of C memory": C_NOISE}
        loose, in_turn = growth(in_turn=False), growth(in_turn=True)
        for (unit, noise), apart, turns in zip(units.items(), loose, in_turn, strict=True):
            least, most = min(apart), max(turns)
            if least > noise and least > 10 * max(most, 0):
                each = least / objects
                return f"memory grows: {each:.1f} {unit} for each object that threads shared"
        return ""

    def run(
        self, objects: int, calls: int, seed: int, *, in_turn: bool = False, fresh: bool = False
    ) -> str:
        """Let the threads call at the same time, or in turns; return a text if something is broken.

        objects is the number of fresh objects, calls the number of calls per thread and object.
        With fresh, each call makes its arguments in its own thread and drops them, and the first
        thread makes the objects. A value that a call replaces is then freed at once: CPython frees
        an object in the thread that made it, and no argument keeps the value alive.
        """
        chance = random.Random(seed)
        shared: list[Any] = []
        witnesses: list[Any] = []
        scripts: list[list[Any]] = [[] for _ in range(self.threads)]

        def prepare() -> None:
            for _ in range(objects):
                n = self._number.next()
                x, y = self._subject.make_two()
                shared.append((x, y))
                for thread, script in enumerate(scripts):  # threads share x and y, no arguments
                    if fresh:
                        made = [operation.build_fresh(x, y, n) for operation in self.operations]
                    else:
                        made = [operation.build(x, y, n) for operation in self.operations]
                        witnesses.extend(value for each in made for value in _witnesses(each))
                    drawn = [made[thread % len(made)], *chance.choices(made, k=calls - 1)]
                    script.extend([call for each in drawn for call in each][:calls])

        if fresh:
            self._crew.run([prepare])
        else:
            prepare()
        meetings = Meetings(self.threads)
        if in_turn:
            total = calls * self.threads
            jobs = [
                self._turns(meetings, script, i, calls, total) for i, script in enumerate(scripts)
            ]
        else:
            jobs = [
                self._loose(meetings, script, i, calls, seed) for i, script in enumerate(scripts)
            ]
        results = self._crew.run(jobs)
        errors = [o for outcomes, _ in results for o in outcomes if isinstance(o, SystemError)]
        if errors:
            return f"raises SystemError: {errors[0]}"
        del jobs, results
        scripts.clear()
        shared.clear()
        return _still_held(witnesses)

    def _turns(
        self, meetings: Meetings, script: list[Any], thread: int, calls: int, total: int
    ) -> Callable[[], tuple[list[Any], bytes]]:
        turns = tuple(range(thread, total, self.threads))
        return lambda: meetings.take_turns(tuple(script), turns, total, False)

    def _loose(
        self, meetings: Meetings, script: list[Any], thread: int, calls: int, seed: int
    ) -> Callable[[], tuple[list[Any], bytes]]:
        return lambda: meetings.collide(tuple(script), calls, 20, seed * 64 + thread + 1, False)


def _witnesses(calls: Iterable[tuple[Any, ...]]) -> list[Any]:
    """Return the arguments that only these calls refer to."""
    return [
        call[place]
        for call in calls
        for place in range(1, len(call))
        if type(call[place]) in _WITNESSES and sys.getrefcount(call[place]) == _ALONE
    ]


def _still_held(witnesses: list[Any]) -> str:
    """Return a text if a witness has more or fewer references than that of the list."""
    for last in (False, True):
        counts = {sys.getrefcount(witnesses[index]) for index in range(len(witnesses))}
        wrong = counts - {_ALONE}
        if not wrong:
            return ""
        if not last:
            gc.collect()
    return f"an argument ends with {max(wrong, key=abs) - _ALONE:+d} references too many"


def _count_alone() -> int:
    alone = [object()]
    return sys.getrefcount(alone[0])


_ALONE = _count_alone()
_WITNESSES = {object, list, dict, tuple, bytearray}

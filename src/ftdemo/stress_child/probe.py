"""The program that drives one subject, in its own interpreter, with the GIL off.

ftdemo.stress.children starts it, as `python -X gil=0 -m ftdemo.stress_child.probe REQUEST REPORT`
would. It reads a request (JSON), and appends lines (JSON) to the report. It opens the report by
name for each line, so the target may print anything and close all file descriptors. It announces
each step before it runs the step: if the child crashes, the last step caused it.
"""

import faulthandler
import gc
import importlib
import itertools
import json
import os
import random
import re
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from ftdemo.processes import end_by_signal, end_with_parent
from ftdemo.stress_child import MARK, extension_types
from ftdemo.stress_child.meetings import ASKED_FIRST, Burst, Crew, Match, Numbers, Subject
from ftdemo.stress_child.operations import Operation, mirrored, parse
from ftdemo.stress_child.outcomes import ANY, Form, matches, text
from ftdemo.stress_child.surroundings import count_fork
from ftdemo.stress_child.survey import Found, Survey
from ftdemo.threadsafety import level_of

FIRST_LOOK = 200  # meetings
BATCH_SECONDS = 0.1
MOST_MEETINGS = 2000  # per batch
ENOUGH_MEETINGS = 20_000  # to confirm a finding
MANY = 150  # operations of one type; of more, not all pairs are listed
MOST_FINDINGS = 10  # per subject: more would tell nothing new
DEBUG = "PYTHONMALLOC" in os.environ  # freed memory is overwritten
FRESH = 0.6  # of the bursts: their calls make the arguments themselves
LONG_ASK = 5  # times the seconds of the collisions, for the oracle to confirm a rare outcome
CHANCE = 1 / 20  # that an outcome is as frequent when threads take turns, but was not seen
SHOWN = 3  # parts of the state, those with the shortest text, per finding
LIMIT = 3.0  # seconds for a step, which should take 0.1 s

_open, _write, _close, _getpid, _exit = os.open, os.write, os.close, os.getpid, os._exit
_APPEND = os.O_WRONLY | os.O_APPEND | os.O_CREAT


class Reporter:
    """Writes the report."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._pid = _getpid()

    def say(self, *what: Any) -> None:
        """Append a line."""
        if _getpid() != self._pid:  # this is the child of a fork
            _exit(0)
        descriptor = _open(self._path, _APPEND, 0o600)
        _write(descriptor, (json.dumps(what) + "\n").encode())
        _close(descriptor)


def list_subjects(request: dict[str, Any], reporter: Reporter) -> None:
    """Report the types and functions of modules."""
    modules, aside = extension_types.import_all(request["modules"])
    own = extension_types.owner(request["own"])
    for operation, why in aside.items():
        reporter.say("aside", operation, why)
    for found in extension_types.find_types(modules, own):
        reporter.say("type", *found)
    seen: set[int] = set()
    for module in modules:
        functions = {
            name: id(vars(module)[name]) for name in extension_types.find_functions(module, own)
        }
        if names := [name for name, function in functions.items() if function not in seen]:
            reporter.say("functions", module.__name__, names)
        seen.update(functions.values())


class Drive:
    """Drives one subject."""

    def __init__(self, request: dict[str, Any], reporter: Reporter) -> None:
        self._request = request
        self._say = reporter.say
        module = importlib.import_module(request["module"])
        for other in request["imports"]:
            importlib.import_module(other)
        self._own = extension_types.owner(request["own"])
        given = request["given"] if request["constructor"] else []
        self._survey = Survey(module, self._own, self._say, dict(request["aside"]), given)
        self._chance = random.Random(request["seed"])
        self._crew = Crew(max(request["threads"], 2))
        self._numbers = Numbers()
        self._matches: dict[tuple[str, ...], Match] = {}
        self._mirrors: dict[str, str] = {}
        self._done = {tuple(labels) for labels in request["done"]}
        self._crashed = [set(_parts(labels)) for labels in request["crashed"]]
        self._findings = 0
        self._measured: set[tuple[tuple[str, ...], int]] = set()
        self._found_parts: list[tuple[str, ...]] = []
        self._start = time.perf_counter()
        self._collected = self._start

    def run(self) -> None:
        """Do what the request asks for."""
        request = self._request
        if request["constructor"] is None:
            self._say_constructors()
            return
        make = self._survey.constructor_of(request["constructor"])
        self._say("try", request["constructor"])
        self._example = make()
        if request["operations"] is None and not request["labels"]:
            self._say_operations()
            return
        observers = [self._parse(label) for label in request["observers"]]
        self._siblings = self._survey.siblings_of(request["constructor"])
        make_two = self._siblings or (lambda: (make(), make()))
        self._subject = Subject(make, make_two, tuple(observers))
        self._found = request["operations"] or []
        self._base = {o["label"]: o["variant_of"] for o in self._found if o["variant_of"]}
        self._start = time.perf_counter()
        match request["task"]:
            case "drive":
                self._drive()
            case "confirm":
                self._confirm(request["labels"])
            case "burst":
                self._burst_until_end(request["labels"], request["in_turn"])

    def _parse(self, label: str) -> Operation:
        return parse(label, self._survey.namespace, self._example)

    def _say_constructors(self) -> None:
        expression = self._request["expression"]
        if not expression:
            found = self._survey.objects_for(self._request["functions"])
            self._say("constructors", found, self._survey.aside)
            return
        kind = eval(expression, self._survey.namespace)
        found = self._survey.constructors(kind, expression)
        self._say("constructors", found, self._survey.aside)

    def _say_operations(self) -> None:
        request = self._request
        kind = type(self._example)
        if (
            request["only_functions"]
            and extension_types.is_extension_type(kind)
            and self._own(extension_types.module_of(kind))
        ):
            every, observers = self._survey.operations(
                kind, request["constructor"], request["functions"]
            )
            names = set(request["functions"])
            found = [each for each in every if names.intersection(each["names"])], observers
        elif request["only_functions"]:
            found = self._survey.module_functions(request["functions"], request["constructor"])
        else:
            found = self._survey.operations(kind, request["constructor"], request["functions"])
            name = extension_types.name_in(kind, self._survey.module)
            self._say("kind", name, level_of(kind.__doc__))
        filled = []
        if not request["only_functions"] and not request["given"]:
            filled = self._survey.filled(found[0], request["constructor"], self._example)
        self._say(
            "operations",
            *found,
            self._survey.aside,
            self._survey.derived,
            self._survey.state,
            filled,
        )

    # The share of the time that has passed.

    def _spent(self) -> float:
        return (time.perf_counter() - self._start) / float(self._request["seconds"])

    def _drive(self) -> None:
        self._pairs = sorted(self._all_pairs(), key=lambda ranked: ranked[0])
        bursts = self._all_bursts()
        collides = self._request["only"] != "crash"
        for _, labels in self._pairs if collides else ():
            if self._spent() > 0.5:
                break
            self._look(labels, FIRST_LOOK)
        for labels in self._short_sequences() if collides else ():
            if self._spent() > 0.6:
                break
            if not self._is_known(labels):
                self._look(labels, FIRST_LOOK)
        for burst in bursts:
            if self._spent() > 0.8:
                break
            self._burst(*burst)
        while self._spent() < 1 and (bursts or self._pairs):
            if bursts and (not collides or self._chance.random() < 0.35):
                self._burst(*self._chance.choice(bursts))
            elif collides and (drawn := self._draw()):
                self._look(drawn, MOST_MEETINGS)
            else:
                break

    def _all_pairs(self) -> Iterator[tuple[int, tuple[str, ...]]]:
        """Yield (rank, pair): pairs that write, and pairs of one operation, have a low rank."""
        found = [each for each in self._found if each["collides"]]
        given: set[tuple[str, ...]] = set()
        for one, other in self._combinations(found):
            rank = 3 - one["writes"] - other["writes"]
            if one is other:
                rank -= 1
            rank += one["fails"] or other["fails"]
            rank += bool(one["variant_of"] or other["variant_of"])
            a, b = one["label"], other["label"]
            mirrored_a, mirrored_b = self._mirrored(a), self._mirrored(b)
            for pair in ((a, b), (a, mirrored_b), (b, mirrored_a)):
                other_way = (self._mirrored(pair[0]), self._mirrored(pair[1]))
                if given.isdisjoint({pair, pair[::-1], other_way, other_way[::-1]}):
                    given.add(pair)
                    yield rank, pair

    def _combinations(self, found: list[Found]) -> Iterable[Sequence[Found]]:
        """Combine each two operations, one with itself too; of a large type, a random part."""
        if len(found) <= MANY:
            return itertools.combinations_with_replacement(found, 2)
        drawn = [self._chance.sample(found, 2) for _ in range(MANY**2)]
        return [*zip(found, found, strict=True), *drawn]

    def _mirrored(self, label: str) -> str:
        if label not in self._mirrors:
            swap = self._siblings or re.search(r"\by\b", label)
            # Without siblings, y is independent of x: an operation on y alone would do the same.
            self._mirrors[label] = (
                mirrored(label, self._survey.namespace, self._example) if swap else label
            )
        return self._mirrors[label]

    def _short_sequences(self) -> Iterator[tuple[str, ...]]:
        """Yield short sequences: two calls in each of two threads, one in each of three or more.

        Yields nothing for a type with many operations, for which there is no time for all of them;
        _draw() chooses some at random.
        """
        labels = [
            each["label"] for each in self._found if each["collides"] and not each["variant_of"]
        ]
        if len(labels) > 6:
            return
        most = min(4, self._request["threads"])
        for label in labels:
            yield (label,) * 3
            yield (label,) * most
        for one, other in itertools.permutations(labels, 2):
            yield (f"{one}; {other}",) * 2

    def _all_bursts(self) -> list[tuple[tuple[str, ...], int]]:
        """Return bursts: pairs, first those that write, in two threads; all operations, in more."""
        labels = tuple(each["label"] for each in self._found)
        if not labels:
            return []
        most = self._request["threads"]
        together = [
            (labels, threads) for threads in dict.fromkeys((2, most // 2, most)) if threads > 1
        ]
        pairs = []
        different = [each for each in self._found if not each["variant_of"]]
        for one, other in self._combinations(different):
            writers = one["writes"] + other["writes"]
            # With freed memory overwritten, a reader beside a writer crashes most easily.
            rank = abs(1 - writers) if DEBUG else 2 - writers
            if not writers and one is not other:  # perhaps one changes what nothing shows
                rank += 1
            pairs.append((rank, tuple(dict.fromkeys((one["label"], other["label"])))))
        pairs.sort(key=lambda ranked: ranked[0])
        mine = [each for each in together if each[0] not in self._done]
        return [(pair, 2) for _, pair in pairs[:40] if pair not in self._done] + mine

    def _draw(self) -> tuple[str, ...] | None:
        """Choose the next operations: a pair, sequences of calls, or three threads or more."""
        if not self._pairs or self._findings >= MOST_FINDINGS:
            return None
        chance = self._chance.random()
        for _ in range(20):
            if chance < 0.5:
                weights = [1.0 / (2 + rank) ** 2 for rank, _ in self._pairs]
                labels = self._chance.choices([labels for _, labels in self._pairs], weights)[0]
            else:
                labels = self._longer(chance)
            if labels not in self._done and not self._is_known(labels):
                return labels
        return None

    def _is_known(self, labels: tuple[str, ...]) -> bool:
        """Tell whether these operations contain those of an earlier finding."""
        threads = [set(label.split("; ")) for label in labels]
        return any(
            any(
                all(part in thread for part, thread in zip(known, some, strict=False))
                for some in itertools.permutations(threads, len(known))
            )
            for known in self._found_parts
            if len(known) <= len(threads)
        )

    def _longer(self, chance: float) -> tuple[str, ...]:
        found = [each for each in self._found if each["collides"]]
        weights = [3.0 if each["writes"] else 1.0 for each in found]

        def some(count: int) -> str:
            return "; ".join(
                each["label"] for each in self._chance.choices(found, weights, k=count)
            )

        if chance < 0.75:
            first = some(2)
            return (first, first if self._chance.random() < 0.5 else some(2))
        if chance < 0.88:
            return (some(3), some(1))
        threads = self._chance.randint(3, max(3, min(4, self._request["threads"])))
        first = some(1)
        return tuple(first if self._chance.random() < 0.5 else some(1) for _ in range(threads))

    def _match(self, labels: tuple[str, ...]) -> Match:
        match = self._matches.get(labels)
        if match is None:
            operations = [self._parse(label) for label in labels]
            match = Match(self._subject, operations, self._crew, self._numbers)
            if len(self._matches) > 5000:
                self._matches.clear()
            self._matches[labels] = match
            self._begin("oracle", labels)
            match.ask(ASKED_FIRST)
        return match

    def _begin(self, phase: str, labels: Sequence[str], threads: int = 0) -> None:
        self._say("begin", phase, labels, threads, self._spent())
        if self._request["sanitized"]:  # assigns the reports of ThreadSanitizer to operations
            print(MARK + json.dumps(labels), file=ERRORS, flush=True)
        faulthandler.dump_traceback_later(LIMIT, file=ERRORS)
        if time.perf_counter() - self._collected > 1.0:
            gc.collect()
            self._collected = time.perf_counter()

    def _look(self, labels: tuple[str, ...], most: int) -> None:
        """Let threads collide in one batch of meetings, and report the result."""
        if self._is_over(labels) or self._findings >= MOST_FINDINGS:
            return
        match = self._match(labels)
        times = max(10, min(most, int(BATCH_SECONDS / match.cost)))
        self._begin("collide", labels)
        tally = match.collide(times, self._chance.randrange(2**32))
        self._say("meetings", times)
        if match.refused:
            self._say("refused", sorted(match.refused))
        if tally.seen:
            for pair in _pairs_in(labels) * 3:  # fewer calls that show the race are clearer
                self._look(pair, MOST_MEETINGS)
                if self._is_known(labels):
                    return
            self._done.add(labels)
            self._findings += 1
            if not any("; " in label for label in labels):
                self._found_parts.append(labels)
            self._say("finding", labels, tally.seen, times, self._picture(match, tally.example))

    def _is_over(self, labels: tuple[str, ...]) -> bool:
        """Tell whether these operations or variants have failed, or contain a known crash."""
        parts = _parts(labels)
        like = tuple(self._base.get(label, label) for label in labels)
        return not self._done.isdisjoint({labels, like}) or any(
            crashed <= parts for crashed in self._crashed
        )

    def _confirm(self, labels: Sequence[str]) -> None:
        """Collide until the share of unexplained outcomes is clear, and ask the oracle as often."""
        match = self._match(tuple(labels))
        seen, example, broken, seed = 0, None, False, int(self._request["seed"])
        times = FIRST_LOOK
        while match.meetings < ENOUGH_MEETINGS and self._spent() < 1:
            times = max(10, min(MOST_MEETINGS, int(BATCH_SECONDS / match.cost)))
            self._begin("collide", labels)
            tally = match.collide(times, seed)
            seed += 1
            seen += tally.seen
            example = example or tally.example
            broken = broken or tally.system_error
            if seen >= 20 and match.meetings >= 2000:
                break
        if seen:
            # An outcome that is as rare when threads take turns is no race. It must be so much more
            # frequent in collisions that chance explains this in one of 20 cases at most.
            wanted = match.meetings * (CHANCE ** (-1 / seen) - 1)
            self._start = time.perf_counter()
            while match.asked < wanted and self._spent() < LONG_ASK:
                self._begin("oracle", labels)
                match.ask(times)
            # A SystemError is never right, however rare.
            if match.oracle.explains(example) or (match.asked < wanted and not broken):
                seen = 0
        outcome = self._picture(match, example) if seen else None
        self._say("confirmed", seen, match.meetings, broken, outcome)

    def _picture(self, match: Match, example: Form) -> dict[str, Any]:
        """Describe an outcome: what each call returned, and which part of the state is wrong."""
        expected = match.expected()
        # Compare with the nearest order, among those with the same results if there are any.
        same = [form for form in expected if matches(form[0], example[0])]
        objects = 2 if any(each.uses_other for each in match.operations) else 1
        wrong = min((_wrong_states(form, example, objects) for form in same or expected), key=len)
        # Each part is possible, but not all together: show the state of the returned objects.
        together = bool(same) and not wrong
        made = [(i, j) for i in range(objects, len(example[1])) for j in range(len(example[1][i]))]

        def length(where: tuple[int, int]) -> int:
            return len(text(_state(example, *where)))

        after = sorted(wrong or (made if together else []), key=length)[:SHOWN]
        for order in same:  # contradict each order: another one may explain what is wrong here
            also = _wrong_states(order, example, objects)
            if also and not set(also).intersection(after):
                after.append(min(also, key=length))
        after.sort(key=lambda where: where[0])

        def words(form: Form) -> dict[str, Any]:
            return {
                "results": _texts(form),
                "after": [text(_state(form, *where)) for where in after],
            }

        shown = []
        for form in expected:
            if words(form) not in shown:
                shown.append(words(form))
        calls = [list(operation.steps) for operation in match.operations]
        return {
            "object": self._request["constructor"],
            "threads": calls,
            **words(example),
            "state": [self._observer(objects, *where) for where in after],
            "in_any_order": shown,
            "together": together,
        }

    def _observer(self, objects: int, index: int, place: int) -> str:
        label = self._subject.observers[place].label
        if index < objects:
            swapped = mirrored(label, self._survey.namespace, self._example)
            return swapped if index else label
        return f"{label} of result {index - objects + 1}"

    def _burst(self, labels: tuple[str, ...], threads: int) -> None:
        """Let threads make many calls on fresh objects, and report what is broken afterwards."""
        if self._is_over(labels):
            return
        operations = [self._parse(label) for label in labels]
        burst = Burst(self._subject, operations, threads, self._crew, self._numbers)
        self._begin("burst", labels, threads)
        objects, calls = burst.size()
        fresh = DEBUG or self._chance.random() < FRESH
        broken = burst.run(objects, calls, self._chance.randrange(2**32), fresh=fresh)
        self._say("meetings", objects)
        measures = not DEBUG and (labels, threads) not in self._measured
        if not broken and measures:
            self._measured.add((labels, threads))
            self._begin("burst", labels, threads)
            broken = burst.grows(objects, calls, self._chance.randrange(2**32))
        elif broken:
            self._begin("control", labels, threads)
            seed = self._chance.randrange(2**32)
            if burst.run(objects, calls, seed, in_turn=True, fresh=fresh):
                self._done.add(labels)
                return
        if broken:
            self._done.add(labels)
            self._say("broken", labels, threads, broken)

    def _burst_until_end(self, labels: Sequence[str], in_turn: bool) -> None:
        """Repeat one burst, to confirm what it broke; for a control, let threads take turns."""
        operations = [self._parse(label) for label in labels]
        threads = self._request["threads"]
        burst = Burst(self._subject, operations, threads, self._crew, self._numbers)
        seen, runs, words = 0, 0, ""
        self._begin("control" if in_turn else "burst", labels, threads)
        objects, calls = burst.size()
        for round_ in itertools.count():
            if self._spent() >= 1:
                break
            self._begin("control" if in_turn else "burst", labels, threads)
            seed = int(self._request["seed"]) + runs
            broken = burst.run(objects, calls, seed, in_turn=in_turn, fresh=round_ % 2 == 1)
            if not broken and not in_turn and round_ % 4 == 0:
                broken = burst.grows(objects, calls, seed)
            runs += objects
            self._say("meetings", objects)
            if broken:
                seen, words = seen + 1, broken
        self._say("broken_again", seen, runs, words)


def _state(form: Form, index: int, place: int) -> Form:
    """Return what one observer shows of one object; in a pattern, any part may be ANY."""
    states = form[1]
    if states is ANY or index >= len(states) or states[index] is ANY:
        return ANY
    return states[index][place]


def _wrong_states(form: Form, example: Form, objects: int) -> list[tuple[int, int]]:
    """Return which states of the shared objects differ, as (object, observer) numbers."""
    return [
        (index, place)
        for index in range(objects)
        for place, state in enumerate(example[1][index])
        if not matches(_state(form, index, place), state)
    ]


def _texts(form: Form) -> list[str]:
    """Return the results as text; two numbers with a constant difference become n and n + 1."""
    if form[0] is ANY:
        return ["..."]
    shown = [text(result) for result in form[0]]
    masked = [place for place, result in enumerate(form[0]) if result == ("int", ANY)]
    differences = form[2] if form[2] is not ANY and len(masked) == 2 else ()
    if differences and isinstance(differences[masked[1]], int):
        more = differences[masked[1]]
        shown[masked[0]] = "n"
        shown[masked[1]] = f"n {'-' if more < 0 else '+'} {abs(more)}" if more else "n"
    return shown


def _pairs_in(labels: Sequence[str]) -> list[tuple[str, str]]:
    """Return the pairs of single calls in longer sequences, or in those of more threads."""
    threads = [label.split("; ") for label in labels]
    if sum(map(len, threads)) <= 2:
        return []
    pairs = (itertools.product(*two) for two in itertools.combinations(threads, 2))
    return list(dict.fromkeys(itertools.chain.from_iterable(pairs)))


def _parts(labels: Sequence[str]) -> set[str]:
    return {part for label in labels for part in label.split("; ")}


def main() -> None:
    """Run the request."""
    request = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    end_by_signal(end_with_parent())
    reporter = Reporter(sys.argv[2])
    faulthandler.enable(ERRORS)
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_parent=count_fork, after_in_child=lambda: _exit(0))
    sys.path[:] = request["path"]
    if request["task"] == "list":
        list_subjects(request, reporter)
    else:
        gc.disable()  # _begin() collects between batches
        Drive(request, reporter).run()
    reporter.say("done")
    _exit(0)


ERRORS = sys.stderr

if __name__ == "__main__":
    main()

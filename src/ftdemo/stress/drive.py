"""Drive the objects that one constructor makes: find operations, run them, confirm findings."""

import shlex
import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import Any, NamedTuple

from ftdemo.stress import children, tsan
from ftdemo.stress.children import Ending, Line, error_text
from ftdemo.stress.results import FEW, KINDS, Counts, Finding, Kind
from ftdemo.stress.session import Subject, TargetSession

MOST_RESTARTS = 40  # children per subject; each new one follows a crash or a hang
MOST_ATTEMPTS = 4  # that end the child, per function
MOST_CONFIRMED = 10  # findings per subject of the kind not-atomic
MOST_CRASHES = 2  # findings per subject of each other kind
MOST_ENDS = {"crash": 12, "hang": 4}  # of children that drive one subject; a hang takes longer
CONFIRM_SECONDS = 2.0
CONTROL_SECONDS = 0.5
MOST_TRIALS: dict[Kind, int] = {"crash": 16, "hang": 4, "broken": 16}  # to reduce a finding
MALLOC_SHARE = 0.15  # of the time, with PYTHONMALLOC=debug, which overwrites freed memory

UNSHARED = ("compatible", "safe on distinct objects")
FOR_CRASHES = "documented as {}, so threads may not share it: only crashes count"

REFUSED = "raises while another thread uses it, with no other effect"


class _Candidate(NamedTuple):
    """A finding of one child, which another child must confirm."""

    kind: Kind
    labels: tuple[str, ...]
    threads: int
    outcome: dict[str, Any]
    malloc: str | None = None
    seen: int = 1
    meetings: int = 1
    collided: bool = False  # it was seen in a collision, or when its outcome was read


class _Shown(NamedTuple):
    """A confirmed finding: its outcome, seen in how many of how many meetings, and its kind."""

    outcome: dict[str, Any]
    seen: int
    meetings: int
    kind: Kind


def until_done(
    request: dict[str, Any],
    aside: dict[str, str],
    heard: Callable[[Line], None],
    stop: threading.Event,
) -> Ending:
    """Run a child. If an attempt ends it, add the attempt to aside and run another child."""
    for _ in range(MOST_RESTARTS):
        ending = children.run({**request, "aside": aside}, say=heard, stop=stop)
        if ending.kind == "done" or ending.last[0] != "try" or ending.last[1] in aside:
            break
        label, why = ending.last[1], _why_aside(ending)
        aside[label] = why
        name = label.partition("(")[0]
        if sum(each.startswith(f"{name}(") for each in aside) >= MOST_ATTEMPTS:
            aside[f"{name}(...)"] = why  # with whatever arguments
    return ending


def _why_aside(ending: Ending) -> str:
    match ending.kind:
        case "crash":
            return f"crashes in one thread ({ending.words})"
        case "hang":
            return f"blocks: it does not return within {children.TRY:g} s"
        case "error":
            return f"fails in a new process ({ending.words})"
    return f"ends the process ({ending.words})"


class Driver:
    """Drives the objects of a subject that one constructor makes."""

    def __init__(self, parent: TargetSession, subject: Subject) -> None:
        self._of = parent
        self._run = parent.run
        self._settings = parent.run.settings
        self._subject = subject
        self.aside: dict[str, str] = {}
        self.looks: tuple[str, ...] = ()  # what distinguishes these objects from other ones
        self.filled: list[str] = []  # expressions for objects on which more calls work
        self._operations: list[dict[str, Any]] = []
        self._observers: list[str] = []
        self._name = subject.name
        self._level = subject.level
        self._done: set[tuple[str, ...]] = set()
        self._crashed: set[tuple[str, ...]] = set()  # one or two operations
        self._pairs: set[tuple[str, ...]] = set()
        self._meetings = 0
        self._candidates: list[_Candidate] = []
        self._races: set[str] = set()  # source lines with a report of ThreadSanitizer
        self._hung: Counter[str] = Counter()
        self._ends: Counter[str] = Counter()  # of children, by kind

    def survey(self) -> bool:
        """Find the operations; return False if there are none."""
        derived: dict[str, str] = {}

        def heard(line: Line) -> None:
            match line:
                case ["operations", operations, observers, aside, more, state, filled]:
                    self._operations, self._observers = operations, observers
                    self.aside.update(aside)
                    derived.update(more)
                    labels = [operation["label"] for operation in operations]
                    works = [str(not operation["fails"]) for operation in operations]
                    argument = "" if self._subject.expression else str(self._subject.constructor)
                    self.looks = (argument, *labels, *works, *observers, state)
                    self.filled = filled
                case ["kind", name, level]:
                    self._name, self._level = name, level

        request = self._of.request(self._subject, "drive")
        ending = until_done(request, self.aside, heard, self._run.stop)
        if ending.kind != "done":
            what = str(self._subject.constructor)
            error = ending.errors.strip().rpartition("\n")[2] or ending.words
            self.aside.setdefault(what, f"could not be made ({error})")
            return False
        self._of.add_derived(derived, self._subject, str(self._subject.constructor))
        if given := self._settings.given:  # what happened to other operations does not matter
            self.aside = {what: why for what, why in self.aside.items() if what in given}
        self._heed_levels()
        return bool(self._operations or self._settings.pair)

    def drive(self, seconds: float) -> None:
        """Drive the operations, or only those of --pair, for seconds; then confirm the findings."""
        settings = self._settings
        try:
            if settings.pair:
                self._pairs.add(settings.pair)
                self._drive_pair(seconds)
            else:
                malloc = MALLOC_SHARE * seconds
                self._drive(seconds - malloc, settings.only, None)
                self._drive(malloc, "crash", "debug")
                self._confirm_all(seconds)
        except children.StoppedError:
            self._add_unconfirmed()
            raise
        finally:
            counts: Counts = {
                "type": self._name,
                "constructor": self._subject.constructor or "",
                "operations": len(settings.given or self._operations),
                "pairs": len(self._pairs),
                "meetings": self._meetings,
            }
            if self._meetings < FEW and not self._run.has_finding(self._name):
                self.aside["*"] = f"only {self._meetings} meetings: too few to say anything"
            self._run.add_type(counts, self.aside)

    def _heed_levels(self) -> None:
        """Apply the documented thread-safety level of each method, or else of the type."""
        driven = []
        for operation in self._operations:
            level = operation["level"] or self._level
            if level == "incompatible":
                self.aside[operation["label"]] = "documented as incompatible with threads"
                continue
            operation["collides"] = level not in UNSHARED
            if not operation["collides"]:
                self.aside[operation["label"]] = FOR_CRASHES.format(level)
            driven.append(operation)
        self._operations = driven

    def _drive(self, seconds: float, only: str | None, malloc: str | None) -> None:
        left = seconds
        for _ in range(MOST_RESTARTS):
            spent, last = self._drive_once(left, only, malloc)
            if last is None:
                return
            left *= max(0.0, 1 - spent)
            self._ends[last.kind] += 1
            if left < 0.05 or any(self._ends[kind] >= most for kind, most in MOST_ENDS.items()):
                return

    def _drive_once(
        self, seconds: float, only: str | None, malloc: str | None
    ) -> tuple[float, Ending | None]:
        """Run a child; return the share of seconds that it used, and its Ending if it failed."""
        spent = 0.0
        begun: Line = []

        def heard(line: Line) -> None:
            nonlocal spent, begun
            match line:
                case ["begin", _, labels, _, share]:
                    spent, begun = share, line
                    self._pairs.add(tuple(labels))
                case ["refused", steps]:
                    self.aside.update(dict.fromkeys(steps, REFUSED))
                case ["meetings", count]:
                    self._meetings += count
                    self._run.tell(self._name, meetings=count)
                case ["finding", labels, seen, times, picture]:
                    self._done.add(tuple(labels))
                    self._candidates.append(
                        _Candidate(
                            "not-atomic",
                            tuple(labels),
                            len(labels),
                            picture,
                            seen=seen,
                            meetings=times,
                        )
                    )
                case ["broken", labels, threads, words]:
                    self._done.add(tuple(labels))
                    outcome = {"object": self._subject.constructor, "error": words}
                    self._candidates.append(_Candidate("broken", tuple(labels), threads, outcome))

        request = self._of.request(
            self._subject,
            "drive",
            seconds=seconds,
            only=only,
            operations=self._operations,
            observers=self._observers,
            aside=self.aside,
            done=[list(labels) for labels in self._done],
            crashed=[list(labels) for labels in self._crashed],
        )
        ending = children.run(request, say=heard, stop=self._run.stop, malloc=malloc)
        for labels, place, text in tsan.reports(ending.errors, self._of.target.modules):
            if place not in self._races:
                self._races.add(place)
                outcome = {"object": self._subject.constructor, "error": text}
                shown = _Shown(outcome, 1, max(self._meetings, 1), "data-race")
                self._run.add_finding(self._finding(shown, labels, max(2, len(labels))))
        if ending.kind == "done":
            return 1.0, None
        if not begun:
            self.aside["*"] = f"stopped: {ending.words}"
            return 1.0, None
        self._blame(ending, begun, malloc)
        return spent, ending

    def _blame(self, ending: Ending, begun: Line, malloc: str | None) -> None:
        """Attribute the end of a child to its last step: a race, or a bug that needs no race."""
        _, phase, labels, threads, _ = begun
        self._done.add(tuple(labels))
        what = " | ".join(labels)
        if ending.kind == "error":
            self.aside[what] = f"could not be called ({ending.words})"
            return
        if ending.kind == "crash" and len(set(labels)) <= 2:
            self._crashed.add(tuple(labels))
        if phase in {"oracle", "control"} and not self._is_fine_in_turn(ending, labels):
            does = {"crash": "crashes", "hang": "blocks", "exit": "ends the process"}[ending.kind]
            self.aside[what] = f"{does} when the threads take turns ({ending.words})"
            for label in set(labels):
                self._hung[label] += 1
                if self._hung[label] >= 2 and len(self._operations) > 1:
                    self.aside[label] = f"{does} when the threads take turns, in several pairs"
                    self._operations = [o for o in self._operations if o["label"] != label]
            return
        kind: Kind = "hang" if ending.kind == "hang" else "crash"
        kind = "broken" if ending.kind == "error" else kind
        outcome = self._error(ending)
        count = threads or len(labels)
        self._meetings += 1  # the meeting that the child could not report
        collided = phase == "collide"
        self._candidates.append(
            _Candidate(kind, tuple(labels), count, outcome, malloc, collided=collided)
        )

    def _is_fine_in_turn(self, ending: Ending, labels: list[str]) -> bool:
        """Tell whether a crash does not recur when threads take turns in a new child.

        In that case an earlier race has corrupted the heap.
        """
        if ending.kind != "crash":
            return False
        threads = max(2, len(labels))
        again = self._burst(
            tuple(labels), threads, CONTROL_SECONDS, lambda _: None, None, in_turn=True
        )
        return again.kind == "done"

    def _error(self, ending: Ending) -> dict[str, Any]:
        error = f"{ending.words}\n{error_text(ending.errors)}".strip()
        return {"object": self._subject.constructor, "error": error}

    # Confirming.

    def _confirm_all(self, seconds: float) -> None:
        """Confirm the candidates, the worst first, until the time is over.

        An operation that crashes in one pair crashes in others, too: one finding per operation is
        enough.
        """
        deadline = time.monotonic() + max(seconds, CONFIRM_SECONDS)
        confirmed: Counter[str] = Counter()
        blamed: set[str] = set()
        self._candidates.sort(key=lambda candidate: KINDS.index(candidate.kind))
        while self._candidates:
            candidate = self._candidates.pop(0)
            kind, labels = candidate.kind, candidate.labels
            calls = {call for label in labels for call in label.split("; ")}
            grave = kind != "not-atomic"
            if confirmed.total() and time.monotonic() > deadline:
                break
            if grave and (confirmed[kind] >= MOST_CRASHES or blamed.intersection(calls)):
                continue
            if not grave and confirmed[kind] >= MOST_CONFIRMED:
                continue
            if self._run.has_finding(self._name, labels):
                continue
            finding = (
                self._confirm_burst(candidate)
                if grave
                else self._confirm_outcome(labels, CONFIRM_SECONDS, self._settings.seed)
            )
            if finding is None and grave:
                words = str(candidate.outcome.get("error", kind)).partition("\n")[0]
                self.aside.setdefault(
                    " | ".join(labels), f"{kind} seen once, but not again ({words})"
                )
            if finding is not None:
                confirmed[finding["kind"]] += 1
                if finding["kind"] != "not-atomic":
                    blamed.update(
                        call for label in finding["operations"] for call in label.split("; ")
                    )
                self._run.add_finding(finding)
                self._run.tell(self._name)

    def _add_unconfirmed(self) -> None:
        """Report the candidates as unconfirmed, because the run was stopped."""
        for kind, labels, threads, outcome, _, seen, meetings, _ in self._candidates:
            shown = _Shown({**outcome, "unconfirmed": True}, seen, meetings, kind)
            self._run.add_finding(self._finding(shown, labels, threads))

    def _drive_pair(self, seconds: float) -> None:
        """Drive the operations of --pair for seconds."""
        labels, settings = self._settings.pair, self._settings
        finding = None
        if settings.only != "crash" and len(labels) > 1:
            finding = self._confirm_outcome(labels, seconds, settings.seed)
        counts = dict.fromkeys((max(2, len(labels)), max(settings.threads, len(labels))))
        self._candidates += [_Candidate("crash", labels, threads, {}) for threads in counts]
        for candidate in self._candidates:
            finding = finding or self._confirm_burst(candidate)
        self._candidates.clear()
        if finding is not None:
            self._run.add_finding(finding)

    def _confirm_outcome(
        self, labels: tuple[str, ...], seconds: float, seed: int
    ) -> Finding | None:
        """Confirm an outcome: let threads collide in a new child."""
        told: Line = ["confirmed", 0, 0, False, None]
        begun: Line = []

        def heard(line: Line) -> None:
            nonlocal begun, told
            if line[0] == "confirmed":
                told = line
            elif line[0] == "begin":
                begun = line
            elif line[0] == "meetings":
                self._meetings += line[1]

        request = self._request_to_confirm(labels, seconds, seed)
        ending = children.run(request, say=heard, stop=self._run.stop)
        if ending.kind != "done":
            if begun:
                self._blame(ending, begun, None)
            elif ending.last[0] == "start":
                error = ending.errors.strip().rpartition("\n")[2]
                self.aside[" | ".join(labels)] = error or ending.words
            return None
        _, seen, meetings, broken, outcome = told
        if self._settings.pair:
            self._meetings += meetings
        if not seen:
            return None
        kind: Kind = "broken" if broken else "not-atomic"
        return self._finding(_Shown(outcome, seen, meetings, kind), labels, len(labels))

    def _request_to_confirm(
        self, labels: tuple[str, ...], seconds: float, seed: int
    ) -> dict[str, Any]:
        return self._of.request(
            self._subject,
            "confirm",
            labels=list(labels),
            observers=self._observers,
            seconds=seconds,
            seed=seed,
        )

    def _confirm_burst(self, candidate: _Candidate) -> Finding | None:
        """Run a burst that failed again in a new child; if threads take turns, it must not fail."""
        labels, threads = candidate.labels, candidate.threads
        start = time.monotonic()
        shown = self._show_again(candidate, labels, threads)
        if shown is None:
            return None
        # A bug that needs no race, but many objects, must have the time to show.
        seconds = max(CONTROL_SECONDS, 2 * (time.monotonic() - start))
        if shown.kind == "hang":
            seconds = CONTROL_SECONDS
        if self._needs_no_race(labels, threads, candidate.malloc, seconds):
            return None
        if len(labels) > 2 or threads > 2:
            labels, threads, shown = self._reduce(candidate, labels, threads, shown)
        return self._finding(shown, labels, threads)

    def _show_again(
        self, candidate: _Candidate, labels: tuple[str, ...], threads: int
    ) -> _Shown | None:
        """Run a burst in a new child until something goes wrong; return that, or None."""
        meetings = 0
        words = ""

        def heard(line: Line) -> None:
            nonlocal meetings, words
            if line[0] == "meetings":
                meetings += line[1]
            elif line[0] == "broken_again" and line[1]:
                words = line[3]

        tries = (candidate.malloc,) if candidate.kind == "hang" else (candidate.malloc, "debug")
        for attempt, malloc in enumerate(tries):
            ending = self._burst(labels, threads, CONFIRM_SECONDS, heard, malloc, attempt)
            if ending.kind not in {"done", "error"} and ending.last[0] in {"begin", "meetings"}:
                kind: Kind = "hang" if ending.kind == "hang" else "crash"
                self._meetings += max(meetings, 1) if self._settings.pair else 0
                return _Shown(self._error(ending), 1, max(meetings, 1), kind)
            if words:
                outcome = {"object": self._subject.constructor, "error": words}
                return _Shown(outcome, 1, max(meetings, 1), "broken")
        self._meetings += meetings if self._settings.pair else 0
        if candidate.collided and labels == candidate.labels:
            return self._collide_again(candidate)
        return None

    def _collide_again(self, candidate: _Candidate) -> _Shown | None:
        """Run collisions in a new child until it dies; bursts do not read outcomes."""
        begun: Line = []
        meetings = 0

        def heard(line: Line) -> None:
            nonlocal begun, meetings
            if line[0] == "begin":
                meetings += bool(begun)
                begun = line

        request = self._request_to_confirm(candidate.labels, CONFIRM_SECONDS, self._settings.seed)
        ending = children.run(request, say=heard, stop=self._run.stop, malloc=candidate.malloc)
        if ending.kind in {"done", "exit"} or not begun or begun[1] != "collide":
            return None
        return _Shown(self._error(ending), 1, meetings, candidate.kind)

    def _burst(
        self,
        labels: tuple[str, ...],
        threads: int,
        seconds: float,
        heard: Callable[[Line], None],
        malloc: str | None,
        attempt: int = 0,
        in_turn: bool = False,
    ) -> Ending:
        request = self._of.request(
            self._subject,
            "burst",
            labels=list(labels),
            threads=threads,
            seconds=seconds,
            seed=self._settings.seed + attempt,
            in_turn=in_turn,
        )
        return children.run(request, say=heard, stop=self._run.stop, malloc=malloc)

    def _needs_no_race(
        self, labels: tuple[str, ...], threads: int, malloc: str | None, seconds: float
    ) -> bool:
        """Tell whether it also fails when threads take turns, or in one thread."""
        broken: list[str] = []

        def heard(line: Line) -> None:
            if line[0] == "broken_again" and line[1]:
                broken.append(line[3])

        for count in (threads, 1):
            ending = self._burst(labels, count, seconds, heard, malloc, in_turn=True)
            if ending.kind != "done" or broken:
                who = "the threads take turns" if count > 1 else "one thread makes all calls"
                what = broken[0] if broken else ending.words
                self.aside[" | ".join(labels)] = f"also fails when {who} ({what})"
                return True
        return False

    def _reduce(
        self,
        candidate: _Candidate,
        labels: tuple[str, ...],
        threads: int,
        shown: _Shown,
    ) -> tuple[tuple[str, ...], int, _Shown]:
        """Find fewer operations and threads with which it still fails."""
        trials, most = 0, MOST_TRIALS[shown.kind]
        size = len(labels) // 2
        while size >= 1 and trials < most:
            for start in range(0, len(labels), size):
                fewer = labels[start : start + size]
                if len(fewer) == len(labels) or trials >= most:
                    continue
                trials += 1
                again = self._show_again(candidate, fewer, threads)
                if again is not None:
                    labels, shown = fewer, again
                    break
            size = min(size // 2, len(labels) // 2)
        if threads > 2:
            again = self._show_again(candidate, labels, 2)
            if again is not None:
                threads, shown = 2, again
        return labels, threads, shown

    def _finding(self, shown: _Shown, labels: tuple[str, ...], threads: int) -> Finding:
        public = {self._name, self._name.partition(".")[0] + "." + self._name.rpartition(".")[2]}
        names = {label.partition("(")[0] for each in labels for label in each.split("; ")}
        known = {o["label"]: o["names"] for o in self._operations}
        for each in labels:
            names.update(name for label in each.split("; ") for name in known.get(label, ()))
        called = {f"{owner}.{name}" for owner in public for name in names} | public
        allowed = shown.kind in {"not-atomic", "broken"} and bool(called & self._settings.allow)
        return {
            "type": self._name,
            "kind": shown.kind,
            "operations": list(labels),
            "outcome": shown.outcome,
            "allowed": allowed,
            "seen": shown.seen,
            "meetings": shown.meetings,
            "threads": threads,
            "seed": self._settings.seed,
            "declares_ready": self._of.declares_ready,
            "again": self._again(shown.kind, labels, threads),
        }

    def _again(self, kind: Kind, labels: tuple[str, ...], threads: int) -> str:
        target = f"{self._subject.module}:{self._subject.constructor}"
        if not self._subject.expression and self._subject.constructor == "object()":
            target = f"{self._subject.module}:"  # the functions
        words = ["ftdemo", "stress", target, "--pair", *labels, "--seed", str(self._settings.seed)]
        if kind in {"crash", "hang"}:
            words += ["--only", "crash"]
        if threads not in {2, len(labels)}:
            words += ["--threads", str(threads)]
        return " ".join(map(_quoted, words))


def _quoted(word: str) -> str:
    """Quote a word for a shell, in double quotes if it contains single quotes."""
    if "'" in word and not any(character in word for character in '"$`\\!'):
        return f'"{word}"'
    return shlex.quote(word)

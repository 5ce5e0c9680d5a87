"""The run: from targets to findings, one child after another."""

import importlib.machinery
import importlib.util
import random
import shlex
import sys
import tempfile
import threading
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypedDict

from ftdemo import interpreter
from ftdemo.check import check, targets
from ftdemo.stress import children
from ftdemo.stress.children import Ending, Line, error_text
from ftdemo.stress.results import Finding, Kind, Result, TypeResult

TargetError = targets.TargetError

MOST_RESTARTS = 40  # of the child of one subject, each after a crash or a hang
MOST_CONFIRMED = {"not-atomic": 10}  # findings of a subject; of other kinds:
MOST_CRASHES = 3
CONFIRM_SECONDS = 2.0
CONTROL_SECONDS = 1.0
MOST_TRIALS = 16  # to reduce a crash
MALLOC_SHARE = 0.15  # of the time, with allocators that show what was freed

UNSHARED = ("compatible", "safe on distinct objects")
FOR_CRASHES = "sharing is not promised ({}): only crashes count"


class InterruptedStress(KeyboardInterrupt):  # noqa: N818 - named as the interrupt that it is
    """A run was interrupted. `result` has what was seen so far."""

    def __init__(self, result: Result) -> None:
        super().__init__()
        self.result = result


class Progress(TypedDict):
    """How far a run has come: the subject that is driven, and how many are known."""

    subject: str
    done: int
    total: int
    meetings: int
    findings: int


class Settings(NamedTuple):
    """What a run is asked for."""

    seconds: float
    threads: int
    seed: int
    pair: tuple[str, ...]
    only: Literal["crash"] | None
    factories: Mapping[str, str]
    allow: frozenset[str]


class Target(NamedTuple):
    """A target: the modules to import, what belongs to it, and an object that is named."""

    name: str
    path: list[str]
    modules: list[str]
    own: list[str]
    expression: str | None


class Subject(NamedTuple):
    """What a child drives: an expression for a type or an object, or functions of a module."""

    name: str
    module: str
    expression: str  # of a type; empty for functions
    constructor: str | None
    level: str | None
    functions: tuple[str, ...]


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
        run = _Run(settings, progress)
        if interpreter.FREE_THREADED and interpreter.cores() > 1:
            try:
                run.drive(found, jobs)
            except KeyboardInterrupt as interrupt:
                raise InterruptedStress(run.result()) from interrupt
        else:
            one = "one core" if interpreter.FREE_THREADED else "this build always has the GIL"
            run.skip_all(found, f"threads never run at the same time here: {one}")
    return run.result()


def find(name: str, unpack_to: Path) -> Target:
    """Find a target. Raises TargetError."""
    place, colon, expression = name.partition(":")
    if colon and not name.endswith(".whl") and place.replace(".", "").isidentifier():
        return Target(name, [], [place], [place], expression)
    found = targets.find(name, unpack_to)
    modules = [module.name for module in found.modules]
    tops = sorted(found.top_levels)
    if _is_importable(name):
        tops = [name]
    elif not name.endswith(".whl"):
        tops = tops or [name.replace("-", "_")]
    half = f"_{name}"
    if name in sys.stdlib_module_names and _is_extension(half):
        tops.append(half)
    own = [*modules, *tops]
    modules = [*modules, *tops]
    return Target(name, found.path, list(dict.fromkeys(modules)), own, None)


def _is_importable(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except (ImportError, ValueError):
        return False


def _is_extension(name: str) -> bool:
    if name in sys.builtin_module_names:
        return True
    spec = importlib.util.find_spec(name)
    return spec is not None and isinstance(spec.loader, importlib.machinery.ExtensionFileLoader)


class _Run:
    """One call of stress()."""

    def __init__(self, settings: Settings, progress: Callable[[Progress], None] | None) -> None:
        self.settings = settings
        self._progress = progress
        self._types: list[TypeResult] = []
        self._findings: list[Finding] = []
        self._pairs = 0
        self._meetings = 0
        self._done = 0
        self._total = 0
        self.stop = threading.Event()
        # Guards all of these, and calls of _progress.
        self._lock = threading.Lock()

    def skip_all(self, found: Sequence[Target], why: str) -> None:
        for target in found:
            self.add_type(target.name, "", 0, 0, 0, {"*": why})

    def drive(self, found: Sequence[Target], jobs: int) -> None:
        with ThreadPoolExecutor(jobs) as pool:
            try:
                for target in found:
                    work = _OfTarget(self, target)
                    self._total += len(work.queue)
                    while work.queue:
                        batch = list(work.queue)
                        work.queue.clear()
                        list(pool.map(work.drive_subject, batch))
            except BaseException:
                self.stop.set()
                pool.shutdown(cancel_futures=True)
                raise

    def add_type(
        self,
        name: str,
        constructor: str,
        operations: int,
        pairs: int,
        meetings: int,
        aside: Mapping[str, str],
    ) -> None:
        with self._lock:
            self._types.append(
                {
                    "type": name,
                    "constructor": constructor,
                    "operations": operations,
                    "pairs": pairs,
                    "meetings": meetings,
                    "skipped": [{"operation": key, "why": why} for key, why in aside.items()],
                }
            )

    def add_finding(self, finding: Finding) -> None:
        with self._lock:
            self._findings.append(finding)

    def tell(self, subject: str, *, meetings: int = 0, done: int = 0, total: int = 0) -> None:
        """Count, and call _progress."""
        with self._lock:
            self._meetings += meetings
            self._done += done
            self._total += total
            if self._progress is not None:
                self._progress(
                    {
                        "subject": subject,
                        "done": self._done,
                        "total": self._total,
                        "meetings": self._meetings,
                        "findings": len(self._findings),
                    }
                )

    def result(self) -> Result:
        with self._lock:
            types, findings = list(self._types), list(self._findings)
        return {
            "version": 1,
            "interpreter": interpreter.describe(),
            "types": types,
            "findings": findings,
            "summary": {
                "types": sum(1 for each in types if each["pairs"]),
                "pairs": sum(each["pairs"] for each in types),
                "meetings": sum(each["meetings"] for each in types),
                "findings": sum(1 for each in findings if not each["allowed"]),
                "allowed": sum(1 for each in findings if each["allowed"]),
                "skipped": sum(len(each["skipped"]) for each in types),
            },
        }


class _OfTarget:
    """The subjects of one target."""

    def __init__(self, run: _Run, target: Target) -> None:
        self.run = run
        self.target = target
        self.queue: deque[Subject] = deque()
        self.functions: dict[str, tuple[str, ...]] = {}
        self._known: set[str] = set()
        self._lock = threading.Lock()  # guards queue and _known
        self.declares_ready = self._declares_ready()
        self._list()

    def _declares_ready(self) -> bool:
        """Whether importing the target leaves the GIL off, when nothing forces it off."""
        name = self.target.modules[0] if self.target.expression else self.target.name
        try:
            verdicts = check([name])["summary"]
        except TargetError:
            return True
        return not verdicts["fail"]

    def request(self, subject: Subject, task: str, **more: Any) -> dict[str, Any]:
        settings = self.run.settings
        return {
            "task": task,
            "path": [*self.target.path, *sys.path],
            "module": subject.module,
            "own": self.target.own,
            "imports": [name for name in self.target.modules if name != subject.module],
            "expression": subject.expression,
            "constructor": subject.constructor,
            "functions": subject.functions,
            "only_functions": not subject.expression,
            "operations": None,
            "observers": [],
            "labels": [],
            "aside": {},
            "done": [],
            "seconds": settings.seconds,
            "threads": settings.threads,
            "seed": settings.seed,
            "only": settings.only,
            "in_turn": False,
            "sanitized": children.SANITIZED,
            **more,
        }

    def _list(self) -> None:
        """Find the types and functions of the target, and queue them."""
        target, settings = self.target, self.run.settings
        nothing = Subject("", target.modules[0], "", None, None, ())
        request = {**self.request(nothing, "list"), "modules": target.modules}
        aside: dict[str, str] = {}
        types: list[Subject] = []
        functions: dict[str, tuple[str, ...]] = {}

        def heard(line: Line) -> None:
            match line:
                case ["aside", operation, why]:
                    aside[operation] = why
                case ["type", module, name, expression, level]:
                    types.append(Subject(name, module, expression, None, level, ()))
                case ["functions", module, names]:
                    functions[module] = tuple(names)

        ending = children.run(request, say=heard, stop=self.run.stop)
        if ending.kind != "done":
            aside["import"] = ending.words
        if aside:
            self.run.add_type(target.name, "", 0, 0, 0, aside)
        self.functions = functions
        self._known = {subject.name for subject in types}
        if target.expression is not None:
            module = target.modules[0]
            made = target.expression
            bare = made.isidentifier()
            named = functions.get(module, ())
            if not made:
                self.queue.append(Subject(module, module, "", None, None, named))
            elif bare and made in named:
                self.queue.append(Subject(f"{module}.{made}", module, "", None, None, (made,)))
            elif bare:
                name = next((t.name for t in types if t.expression == made), f"{module}.{made}")
                self.queue.append(Subject(name, module, made, None, None, named))
            else:
                self.queue.append(Subject(f"{module}:{made}", module, "x", made, None, named))
            return
        for subject in types:
            if subject.level == "incompatible":
                why = "its documentation says that it is incompatible with threads"
                self.run.add_type(subject.name, "", 0, 0, 0, {"*": why})
                continue
            mine = functions.get(subject.module, ())
            self.queue.append(
                subject._replace(
                    functions=mine, constructor=settings.factories.get(_public(subject), None)
                )
            )
        for factory, expression in settings.factories.items():
            if not any(_public(subject) == factory for subject in types):
                top = factory.partition(".")[0]
                if top in {name.partition(".")[0] for name in target.modules}:
                    self.queue.append(Subject(factory, top, "x", expression, None, ()))
        for module, names in functions.items():
            self.queue.append(Subject(module, module, "", None, None, names))

    def add_derived(self, names: Mapping[str, str], subject: Subject, constructor: str) -> None:
        """Queue the types of the target that only calls return: made by such a call."""
        for name, label in names.items():
            with self._lock:
                bare = (self.target.expression or "x").isidentifier()
                if name in self._known or not bare or self.run.settings.pair:
                    continue
                self._known.add(name)
                made = _made_by(label, constructor)
                if made:
                    self.queue.append(Subject(name, subject.module, "x", made, None, ()))
                    self.run.tell(name, total=1)

    def drive_subject(self, subject: Subject) -> None:
        """Drive one type, or the functions of a module, in each way that its objects are made."""
        self.run.tell(subject.name)
        try:
            _OfSubject(self, subject).drive()
        finally:
            self.run.tell(subject.name, done=1)


def _public(subject: Subject) -> str:
    """The name that the author uses: without the extension module inside the package."""
    return f"{subject.module.partition('.')[0]}.{subject.expression}"


def _made_by(label: str, constructor: str) -> str | None:
    """An expression that makes what the operation returns, from the constructor of its object."""
    import ast

    class Replace(ast.NodeTransformer):
        def visit_Name(self, node: ast.Name) -> ast.AST:  # noqa: N802
            if node.id in {"x", "y"}:
                return ast.parse(constructor, mode="eval").body
            return node

    try:
        tree = ast.parse(label, mode="eval")
    except SyntaxError:
        return None
    first: ast.AST = tree.body
    while isinstance(first, ast.Subscript):
        first = first.value
    if isinstance(first, ast.Call) and isinstance(first.func, ast.Name):
        mentions = any(isinstance(n, ast.Name) and n.id in "xy" for a in first.args for n in [a])
        if not mentions and first.func.id not in {"x", "y"}:
            first.func = ast.Attribute(ast.Name("x", ast.Load()), first.func.id, ast.Load())
    made = ast.unparse(ast.fix_missing_locations(Replace().visit(tree)))
    return None if "n" in {n.id for n in ast.walk(ast.parse(made)) if isinstance(n, ast.Name)} else made


class _Candidate(NamedTuple):
    """What a child has seen, to be confirmed in another."""

    kind: Kind
    labels: tuple[str, ...]
    threads: int
    outcome: dict[str, Any]
    malloc: str | None = None
    seen: int = 1
    meetings: int = 1


class _OfSubject:
    """One subject: its constructors, their operations, and what comes of them."""

    def __init__(self, parent: _OfTarget, subject: Subject) -> None:
        self._of = parent
        self._run = parent.run
        self._settings = parent.run.settings
        self._subject = subject
        self._aside: dict[str, str] = {}

    def drive(self) -> None:
        found = [
            _OfConstructor(self._of, self._subject._replace(constructor=constructor))
            for constructor in self._constructors()
        ]
        driven = [each for each in found if each.survey()]
        aside = self._aside
        for each in found:
            aside = {**aside, **each.aside} if each not in driven else aside
        if aside or not driven:
            self._run.add_type(self._subject.name, "", 0, 0, 0, aside)
        for each in driven:
            each.drive(self._settings.seconds / len(driven))

    def _constructors(self) -> list[str]:
        subject = self._subject
        if subject.constructor is not None:
            return [subject.constructor]
        if not subject.expression:
            return ["object()", "[3, 1, 2]", "{'a': 1}", "bytearray(b'abc')"]
        found: list[str] = []

        def heard(line: Line) -> None:
            match line:
                case ["constructors", constructors, aside]:
                    found.extend(constructors)
                    self._aside.update(aside)

        request = self._of.request(subject, "drive")
        _until_done(request, self._aside, heard, self._run.stop)
        return found


def _until_done(
    request: dict[str, Any],
    aside: dict[str, str],
    heard: Callable[[Line], None],
    stop: threading.Event,
) -> Ending:
    """Run a child; where an attempt ends it, put that aside and run another."""
    for _ in range(MOST_RESTARTS):
        ending = children.run({**request, "aside": aside}, say=heard, stop=stop)
        if ending.kind == "done" or ending.last[0] != "try" or ending.last[1] in aside:
            break
        aside[ending.last[1]] = _why_aside(ending)
    return ending


def _why_aside(ending: Ending) -> str:
    match ending.kind:
        case "crash":
            return f"crashes in one thread ({ending.words})"
        case "hang":
            return f"blocks: it does not return within {children.TRY:g} s"
    return f"ends the process ({ending.words})"


class _OfConstructor:
    """One way to make the objects of a subject."""

    def __init__(self, parent: _OfTarget, subject: Subject) -> None:
        self._of = parent
        self._run = parent.run
        self._settings = parent.run.settings
        self._subject = subject
        self.aside: dict[str, str] = {}
        self._operations: list[dict[str, Any]] = []
        self._observers: list[str] = []
        self._name = subject.name
        self._level = subject.level
        self._done: set[tuple[str, ...]] = set()
        self._pairs: set[tuple[str, ...]] = set()
        self._meetings = 0
        self._candidates: list[_Candidate] = []
        self._hung: Counter[str] = Counter()

    def survey(self) -> bool:
        """Find the operations; False where there are none."""
        derived: dict[str, str] = {}

        def heard(line: Line) -> None:
            match line:
                case ["operations", operations, observers, aside, more]:
                    self._operations, self._observers = operations, observers
                    self.aside.update(aside)
                    derived.update(more)
                case ["kind", name, level]:
                    self._name, self._level = name, level

        request = self._of.request(self._subject, "drive")
        ending = _until_done(request, self.aside, heard, self._run.stop)
        if ending.kind != "done":
            what = str(self._subject.constructor)
            error = ending.errors.strip().rpartition("\n")[2] or ending.words
            self.aside.setdefault(what, f"could not be made ({error})")
            return False
        self._of.add_derived(derived, self._subject, str(self._subject.constructor))
        self._heed_levels()
        return bool(self._operations or self._settings.pair)

    def drive(self, seconds: float) -> None:
        """Drive the operations, or those that are named, for so many seconds; confirm findings."""
        settings = self._settings
        try:
            if settings.pair:
                self._pairs.add(settings.pair)
                self._drive_pair(seconds)
            else:
                malloc = MALLOC_SHARE * seconds
                self._drive(seconds - malloc, settings.only, None)
                self._drive(malloc, "crash", "debug")
                self._confirm_all()
        except children.StoppedError:
            self._add_unconfirmed()
            raise
        finally:
            self._run.add_type(
                self._name,
                self._subject.constructor or "",
                len(self._operations),
                len(self._pairs),
                self._meetings,
                self.aside,
            )

    def _heed_levels(self) -> None:
        """Heed what documentation promises: of a method first, else of its type."""
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
            grave = sum(1 for each in self._candidates if each.kind in {"crash", "hang"})
            if left < 0.05 or grave >= MOST_CRASHES:
                return

    def _drive_once(
        self, seconds: float, only: str | None, malloc: str | None
    ) -> tuple[float, Ending | None]:
        """Run a child until it is done, or gone; give the share of time that it took."""
        spent = 0.0

        def heard(line: Line) -> None:
            nonlocal spent
            match line:
                case ["begin", _, labels, _, share]:
                    spent = share
                    self._pairs.add(tuple(labels))
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
        )
        ending = children.run(request, say=heard, stop=self._run.stop, malloc=malloc)
        if ending.kind == "done":
            return 1.0, None
        if ending.last[0] not in {"begin", "meetings"}:
            self.aside["*"] = f"stopped: {ending.words}"
            return 1.0, None
        self._blame(ending, malloc)
        return spent, ending

    def _blame(self, ending: Ending, malloc: str | None) -> None:
        """Blame what the child did last: a race, or a fault that needs none."""
        match ending.last:
            case ["begin", phase, labels, threads, _]:
                pass
            case _:  # between two steps: collecting garbage, say
                self.aside["*"] = f"stopped: {ending.words}"
                return
        self._done.add(tuple(labels))
        what = " | ".join(labels)
        if phase in {"oracle", "control"}:
            does = {"crash": "crashes", "hang": "blocks", "exit": "ends the process"}[ending.kind]
            self.aside[what] = f"{does} when the threads take turns ({ending.words})"
            for label in set(labels):
                self._hung[label] += 1
                if self._hung[label] >= 2 and len(self._operations) > 1:
                    self.aside[label] = f"{does} when the threads take turns, with several others"
                    self._operations = [o for o in self._operations if o["label"] != label]
            return
        kind: Kind = "hang" if ending.kind == "hang" else "crash"
        outcome = self._error(ending)
        so_many = threads or len(labels)
        self._candidates.append(_Candidate(kind, tuple(labels), so_many, outcome, malloc))

    def _error(self, ending: Ending) -> dict[str, Any]:
        error = f"{ending.words}\n{error_text(ending.errors)}".strip()
        return {"object": self._subject.constructor, "error": error}

    # Confirming.

    def _confirm_all(self) -> None:
        confirmed: Counter[str] = Counter()
        while self._candidates:
            candidate = self._candidates[0]
            kind = candidate.kind
            if confirmed[kind] < MOST_CONFIRMED.get(kind, MOST_CRASHES):
                finding = (
                    self._confirm_outcome(candidate.labels, CONFIRM_SECONDS, self._settings.seed)
                    if kind == "not-atomic"
                    else self._confirm_burst(candidate)
                )
                if finding is not None:
                    confirmed[kind] += 1
                    self._run.add_finding(finding)
                    self._run.tell(self._name)
            self._candidates.remove(candidate)

    def _add_unconfirmed(self) -> None:
        """Report what was seen before the run was stopped, as it was seen."""
        for kind, labels, threads, outcome, _, seen, meetings in self._candidates:
            outcome = {**outcome, "unconfirmed": True}
            self._run.add_finding(self._finding(kind, labels, outcome, seen, meetings, threads))

    def _drive_pair(self, seconds: float) -> None:
        """Drive the operations that are named, for as long as is asked."""
        labels, settings = self._settings.pair, self._settings
        finding = None
        if settings.only != "crash":
            finding = self._confirm_outcome(labels, seconds, settings.seed)
        if finding is None:
            threads = max(2, len(labels))
            candidate = _Candidate("crash", labels, threads, {})
            finding = self._confirm_burst(candidate)
        if finding is not None:
            self._run.add_finding(finding)

    def _confirm_outcome(
        self, labels: tuple[str, ...], seconds: float, seed: int
    ) -> Finding | None:
        """Have threads collide in a child of their own, until it is clear what comes of it."""
        told: list[Line] = []

        def heard(line: Line) -> None:
            if line[0] == "confirmed":
                told.append(line)
            elif line[0] == "meetings":
                self._meetings += line[1]

        request = self._of.request(
            self._subject,
            "confirm",
            labels=list(labels),
            observers=self._observers,
            seconds=seconds,
            seed=seed,
        )
        ending = children.run(request, say=heard, stop=self._run.stop)
        if ending.kind != "done":
            if ending.last[0] == "begin":
                self._blame(ending, None)
                candidate = self._candidates[-1] if self._candidates else None
                if candidate and candidate.labels == labels and candidate.kind != "not-atomic":
                    return self._confirm_burst(candidate)
            elif ending.last[0] == "start":
                error = ending.errors.strip().rpartition("\n")[2]
                self.aside[" | ".join(labels)] = error or ending.words
            return None
        _, seen, meetings, broken, outcome = told[0]
        if self._settings.pair:
            self._meetings += meetings
        if not seen:
            return None
        kind: Kind = "broken" if broken else "not-atomic"
        return self._finding(kind, labels, outcome, seen, meetings, len(labels))

    def _confirm_burst(self, candidate: _Candidate) -> Finding | None:
        """Show a crash, a hang or what is broken again, alone; and see that turns do not show it."""
        labels, threads = candidate.labels, candidate.threads
        shown = self._show_again(candidate, labels, threads)
        if shown is None:
            return None
        if self._needs_no_race(labels, threads, candidate.malloc):
            return None
        if len(labels) > 2 or threads > 2:
            labels, threads, shown = self._reduce(candidate, labels, threads, shown)
        outcome, seen, meetings, kind = shown
        return self._finding(kind, labels, outcome, seen, meetings, threads)

    def _show_again(
        self, candidate: _Candidate, labels: tuple[str, ...], threads: int
    ) -> tuple[dict[str, Any], int, int, Kind] | None:
        """Run a burst until something goes wrong: what it was, and how often in how many."""
        meetings = 0
        words = ""

        def heard(line: Line) -> None:
            nonlocal meetings, words
            if line[0] == "meetings":
                meetings += line[1]
            elif line[0] == "broken_again" and line[1]:
                words = line[3]

        for attempt in range(1 if candidate.kind == "hang" else 2):
            ending = self._burst(labels, threads, CONFIRM_SECONDS, heard, candidate.malloc, attempt)
            if ending.kind in {"crash", "hang", "exit"} and ending.last[0] in {"begin", "meetings"}:
                kind: Kind = "hang" if ending.kind == "hang" else "crash"
                return self._error(ending), 1, max(meetings, 1), kind
            if words:
                outcome = {"object": self._subject.constructor, "error": words}
                return outcome, 1, max(meetings, 1), "broken"
        self._meetings += meetings if self._settings.pair else 0
        return None

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

    def _needs_no_race(self, labels: tuple[str, ...], threads: int, malloc: str | None) -> bool:
        """Whether it also goes wrong when threads take turns, or one thread does it all."""
        broken: list[str] = []

        def heard(line: Line) -> None:
            if line[0] == "broken_again" and line[1]:
                broken.append(line[3])

        for so_many in (threads, 1):
            ending = self._burst(
                labels, so_many, CONTROL_SECONDS, heard, malloc, in_turn=True
            )
            if ending.kind != "done" or broken:
                who = "the threads take turns" if so_many > 1 else "one thread does it all"
                what = broken[0] if broken else ending.words
                self.aside[" | ".join(labels)] = f"goes wrong also when {who} ({what})"
                return True
        return False

    def _reduce(
        self,
        candidate: _Candidate,
        labels: tuple[str, ...],
        threads: int,
        shown: tuple[dict[str, Any], int, int, Kind],
    ) -> tuple[tuple[str, ...], int, tuple[dict[str, Any], int, int, Kind]]:
        """Find fewer operations, and fewer threads, that still show it."""
        trials = 0
        size = len(labels) // 2
        while size >= 1 and trials < MOST_TRIALS:
            for start in range(0, len(labels), size):
                fewer = labels[start : start + size]
                if len(fewer) == len(labels) or trials >= MOST_TRIALS:
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

    def _finding(
        self,
        kind: Kind,
        labels: tuple[str, ...],
        outcome: dict[str, Any],
        seen: int,
        meetings: int,
        threads: int,
    ) -> Finding:
        public = {self._name, self._name.partition(".")[0] + "." + self._name.rpartition(".")[2]}
        names = {label.partition("(")[0] for each in labels for label in each.split("; ")}
        known = {o["label"]: o["names"] for o in self._operations}
        for each in labels:
            names.update(name for label in each.split("; ") for name in known.get(label, ()))
        called = {f"{owner}.{name}" for owner in public for name in names} | public
        allowed = kind in {"not-atomic", "broken"} and bool(called & self._settings.allow)
        return {
            "type": self._name,
            "kind": kind,
            "operations": list(labels),
            "outcome": outcome,
            "allowed": allowed,
            "seen": seen,
            "meetings": meetings,
            "threads": threads,
            "seed": self._settings.seed,
            "declares_ready": self._of.declares_ready,
            "again": self._again(kind, labels, threads),
        }

    def _again(self, kind: Kind, labels: tuple[str, ...], threads: int) -> str:
        target = f"{self._subject.module}:{self._subject.constructor}"
        if not self._subject.expression and self._subject.constructor == "object()":
            target = f"{self._subject.module}:object()"
        words = ["ftdemo", "stress", target, "--pair", *labels, "--seed", str(self._settings.seed)]
        if kind in {"crash", "hang"}:
            words += ["--only", "crash"]
        if threads not in {2, len(labels)}:
            words += ["--threads", str(threads)]
        return " ".join(map(_quoted, words))


def _quoted(word: str) -> str:
    """Quote a word for a shell, in double quotes where it has single ones."""
    if "'" in word and not any(character in word for character in '"$`\\!'):
        return f'"{word}"'
    return shlex.quote(word)

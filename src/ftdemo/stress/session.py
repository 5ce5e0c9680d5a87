"""The state of one run: its targets, their types and functions, and the results so far."""

import ast
import importlib.machinery
import importlib.util
import sys
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypedDict

from ftdemo import interpreter
from ftdemo.check import TargetError, check, targets
from ftdemo.stress import children
from ftdemo.stress.children import Line
from ftdemo.stress.results import Counts, Finding, Result, Skipped, TypeResult


class Progress(TypedDict):
    """The progress of a run: the current subject, and how many subjects are done and known."""

    subject: str
    done: int
    total: int
    meetings: int
    findings: int


class Settings(NamedTuple):
    """The arguments of stress()."""

    seconds: float
    threads: int
    seed: int
    pair: tuple[str, ...]
    only: Literal["crash"] | None
    factories: Mapping[str, str]
    allow: frozenset[str]

    @property
    def given(self) -> list[str]:
        """The calls of pair."""
        return list(dict.fromkeys(call for label in self.pair for call in label.split("; ")))


class Target(NamedTuple):
    """The modules to import, the names of modules that belong to the target, and its expression."""

    name: str
    path: list[str]
    modules: list[str]
    own: list[str]
    expression: str | None


class Subject(NamedTuple):
    """What a child drives: a type, an object, or the functions of a module."""

    name: str
    module: str
    expression: str  # names a type; empty for functions
    constructor: str | None
    level: str | None
    functions: tuple[str, ...]


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


def not_driven(name: str) -> Counts:
    """Return counts of zero, for a subject that is not driven."""
    return {"type": name, "constructor": "", "operations": 0, "pairs": 0, "meetings": 0}


class Session:
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
        # Guards all the private attributes above, and calls of _progress.
        self._lock = threading.Lock()

    def skip_all(self, found: Sequence[Target], why: str) -> None:
        for target in found:
            self.add_type(not_driven(target.name), {"*": why})

    def add_type(self, counts: Counts, aside: Mapping[str, str]) -> None:
        """Add what was driven with one constructor; aside maps what was not to the reason."""
        skipped: list[Skipped] = [{"operation": what, "why": why} for what, why in aside.items()]
        with self._lock:
            self._types.append({**counts, "skipped": skipped})

    def add_finding(self, finding: Finding) -> None:
        with self._lock:
            self._findings.append(finding)

    def has_finding(self, name: str, labels: Sequence[str] | None = None) -> bool:
        """Tell whether there is a finding on a type, or on these operations of it."""
        with self._lock:
            return any(
                each["type"] == name and (labels is None or each["operations"] == list(labels))
                for each in self._findings
            )

    def tell(self, subject: str, *, meetings: int = 0, done: int = 0, total: int = 0) -> None:
        """Add to the counts, and call _progress."""
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


class TargetSession:
    """The subjects of one target."""

    def __init__(self, run: Session, target: Target) -> None:
        self.run = run
        self.target = target
        self.queue: deque[Subject] = deque()
        self.functions: dict[str, tuple[str, ...]] = {}
        self._known: set[str] = set()
        self._derived: dict[str, Subject] = {}
        self._not_imported: set[str] = set()
        self._lock = threading.Lock()  # guards queue, _known and _derived
        self.declares_ready = self._declares_ready()
        self._list()

    def _declares_ready(self) -> bool:
        """Tell whether the GIL stays off when the target is imported, without -X gil=0."""
        named = self.target.expression is None
        name = self.target.name if named else self.target.modules[0]
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
            "imports": [
                name
                for name in self.target.modules
                if name != subject.module and name not in self._not_imported
            ],
            "expression": subject.expression,
            "constructor": subject.constructor,
            "functions": subject.functions,
            "only_functions": not subject.expression,
            "given": settings.given,
            "operations": None,
            "observers": [],
            "labels": [],
            "aside": {},
            "done": [],
            "crashed": [],
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
            self.run.add_type(not_driven(target.name), aside)
        self._not_imported = {operation.removeprefix("import ") for operation in aside}
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
                other = Subject(f"{module}.{made}", module, made, None, None, ())
                self._queue_type(next((t for t in types if t.expression == made), other))
            else:
                self.queue.append(Subject(f"{module}:{made}", module, "x", made, None, named))
            return
        for subject in types:
            self._queue_type(subject)
        for factory, expression in settings.factories.items():
            if not any(factory in _names(subject) for subject in types):
                top = factory.partition(".")[0]
                if top in {name.partition(".")[0] for name in target.modules}:
                    self.queue.append(Subject(factory, top, "x", expression, None, ()))
        for module, names in functions.items():
            self.queue.append(Subject(module, module, "", None, None, names))
        if not self.queue and not aside:
            why = "it has no public types or functions that are written in C"
            self.run.add_type(not_driven(target.name), {"*": why})

    def _queue_type(self, subject: Subject) -> None:
        if subject.level == "incompatible":
            why = "its documentation says that it is incompatible with threads"
            self.run.add_type(not_driven(subject.name), {"*": why})
            return
        factories = self.run.settings.factories
        factory = next((factories[name] for name in _names(subject) if name in factories), None)
        functions = self.functions.get(subject.module, ())
        self.queue.append(subject._replace(functions=functions, constructor=factory))

    def add_derived(self, names: Mapping[str, str], subject: Subject, constructor: str) -> None:
        """Add types of the target that a call returns; queue those that have no constructor."""
        if not (self.target.expression or "x").isidentifier() or self.run.settings.pair:
            return
        functions = () if subject.expression else subject.functions
        for name, label in names.items():
            if made := _made_by(label, constructor, functions):
                derived = Subject(name, subject.module, "x", made, None, ())
                with self._lock:
                    self._derived.setdefault(name, derived)
                    self._queue_derived(name)

    def add_unmade(self, name: str) -> None:
        """Add a type for which no constructor call works; queue it if another call returns it."""
        with self._lock:
            self._known.discard(name)
            self._queue_derived(name)

    def _queue_derived(self, name: str) -> None:
        if name in self._derived and name not in self._known:
            self._known.add(name)
            self.queue.append(self._derived[name])
            self.run.tell(name, total=1)


def _names(subject: Subject) -> tuple[str, ...]:
    """Return the names of a type: with and without the extension module inside the package."""
    top = subject.module.partition(".")[0]
    return (f"{top}.{subject.expression}", f"{subject.module}.{subject.expression}", subject.name)


def _made_by(label: str, constructor: str, functions: Sequence[str]) -> str | None:
    """Return an expression that makes what the operation returns; None if there is none.

    constructor makes the object of the operation. functions are the names of the module's
    functions: a call of one of these is not a method call.
    """

    class Replace(ast.NodeTransformer):
        def visit_Name(self, node: ast.Name) -> ast.AST:
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
        if not mentions and first.func.id not in {"x", "y", *functions}:
            first.func = ast.Attribute(ast.Name("x", ast.Load()), first.func.id, ast.Load())
    made = ast.unparse(ast.fix_missing_locations(Replace().visit(tree)))
    return (
        None
        if "n" in {n.id for n in ast.walk(ast.parse(made)) if isinstance(n, ast.Name)}
        else made
    )

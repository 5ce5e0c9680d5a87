"""Join facts of all files: which functions call which, under which lock; structs of objects."""

import re
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from ftdemo.lint.changes import changed_parameters, containers
from ftdemo.lint.flow import strip
from ftdemo.lint.tree import Node

if TYPE_CHECKING:
    from ftdemo.lint.source import Function, Source

# Roles of functions that run before the object is shared, or when it is no longer shared.
ALONE = {
    "new", "init", "dealloc", "clear", "traverse", "exec", "module_init", "finalize", "alloc",
    "free",
}  # fmt: skip
INIT = {"exec", "module_init"}


class Site(NamedTuple):
    """A call of a function, or another use of its name."""

    callee: str
    caller: str  # the key of the enclosing function; "" if there is none
    is_call: bool
    locked: bool
    fresh: tuple[bool, ...]  # for each argument: whether no other thread has seen that object


class Summary(NamedTuple):
    """The facts of one file that other files need."""

    roles: dict[str, frozenset[str]]  # of functions, by key
    sites: list[Site]
    objects: set[str]  # structs
    fields: dict[str, dict[str, str]]  # of structs: safe, object, pointer, inline or value
    makers: set[str]  # functions that return an object that they just created
    changers: dict[str, dict[int, str]]  # functions: the parameters whose struct they change
    given_away: set[str]  # fields whose containers others may have
    changed: set[str]  # fields whose containers are changed after they were stored
    local: set[str]  # structs of local variables
    lasting: set[str]  # structs that are allocated, or that outlive a call
    globals: set[str]  # variables that other files may write
    externs: set[str]  # variables of other files, which this file declares
    takers: dict[str, str]  # functions that take or release a lock
    elsewhere: dict[str, set[str]]  # roles that a table gives to functions of other files
    declares: bool


class Project:
    """The facts of all files together."""

    def __init__(self) -> None:
        self.held: set[str] = set()
        self.alone: set[str] = set()
        self.during_init: set[str] = set()
        self.objects: set[str] = set()
        self.fields: dict[str, dict[str, str]] = {}
        self.makers: set[str] = set()
        self.changers: dict[str, dict[int, str]] = {}
        self.own: set[str] = set()  # fields whose containers no other code has
        self.settled: set[str] = set()  # of these, those that are complete when they are stored
        self.automatic: set[str] = set()  # structs that exist only as local variables
        self.globals: set[str] = set()
        self.takers: dict[str, str] = {}
        self.fresh_arguments: dict[str, list[bool]] = {}
        self.any_declares = False
        self.roles: dict[str, set[str]] = {}  # of functions that a table of another file names
        self.defined: set[str] = set()
        self.frozen: frozenset[str] = frozenset()

    def defines(self, name: str) -> bool:
        """Tell whether a file of the project defines a function of that name."""
        return name in self.defined

    def makes(self, path: str, name: str) -> bool:
        """Tell whether a function returns an object that it just created."""
        return name in self.makers or f"{path}:{name}" in self.makers

    def changes(self, path: str, name: str) -> list[int]:
        """Return the parameters of a function whose plain struct it changes without a lock."""
        found = self.changers.get(f"{path}:{name}") or self.changers.get(name) or {}
        return [number for number, struct in found.items() if struct not in self.objects]


def summarize(source: "Source", *, declares: bool) -> Summary:
    """Return the facts of a file that other files need."""
    roles: dict[str, frozenset[str]] = {}
    keys: dict[str, str] = {}
    for function in source.functions:
        roles[function.key] = roles.get(function.key, frozenset()) | frozenset(function.roles)
        keys[function.name] = function.key
    for _ in range(2):
        for function in source.functions:
            if _is_maker(function):
                source.project.makers.add(function.key)
    objects = {name for name, struct in source.structs.items() if struct.is_object}
    objects |= {name for name, target in source.typedefs.items() if target in objects}
    fields = {
        name: {f.name: f.sort for f in struct.fields.values()}
        for name, struct in source.structs.items()
    }
    takers = {
        name: kind
        for name, kind in source.takers.items()
        if source.by_name[name].key == name  # not only of this file
    }
    return Summary(
        roles,
        _sites(source, keys, roles),
        objects,
        fields,
        source.project.makers,
        {f.key: changed for f in source.functions if (changed := changed_parameters(f))},
        *containers(source),
        *source.structs_of_variables(),
        {v.name for v in source.globals.values() if not (v.is_static or v.is_const or v.is_safe)},
        source.externs,
        takers,
        source.elsewhere,
        declares,
    )


def _sites(source: "Source", keys: dict[str, str], roles: dict[str, frozenset[str]]) -> list[Site]:
    sites = []
    seen = set()
    for function in source.functions:
        for event in function.events:
            if event.kind not in {"call", "lock", "unlock"}:
                continue
            called = event.node.get("function")
            seen.add(called)
            fresh: tuple[bool, ...] = ()
            if event.name in keys or not event.name.startswith(("Py", "_Py")):
                fresh = tuple(_is_fresh(function, strip(a), event.node) for a in event.arguments)
            locked = bool(event.state.locks) or bool(function.clinic_locks)
            name = event.name.rpartition("::")[2]
            caller = "" if source.in_lambda(event.node) else function.key
            sites.append(Site(keys.get(name, name), caller, True, locked, fresh))
    for node in source.nodes("identifier"):
        key = keys.get(node.text)
        whole = node  # with its namespace or class
        while whole.parent is not None and whole.parent.kind == "qualified_identifier":
            whole = whole.parent
        parent = whole.parent
        if key is None or parent is None or whole in seen:
            continue
        first = parent.children[0] is whole
        if first and parent.kind in {"function_declarator", "call_expression"}:
            continue  # its definition, a prototype, or an unreachable call
        if roles[key] - {"by name"}:
            continue  # the table gives its role
        sites.append(Site(key, "", False, False, ()))
    return sites


def _is_fresh(function: "Function", argument: Node, before: Node) -> bool:
    if argument.kind == "identifier":
        return function.is_fresh(argument.text, before)
    return argument.text in {"NULL", "nullptr"}


def _is_maker(function: "Function") -> bool:
    """Tell whether every result of a function except NULL is an object that it created."""
    if "*" not in function.node.text.split("(", 1)[0]:
        return False
    gives = False
    for event in function.events:
        if event.kind != "return":
            continue
        if event.value is None:
            return False
        value = strip(event.value)
        if value.text in {"NULL", "nullptr", "0"}:
            continue
        if value.kind == "call_expression":
            if value.text.startswith(("PyErr_", "_PyErr")):
                continue
            if not function.source.makes(value):
                return False
        elif value.kind != "identifier" or not function.is_fresh(value.text, event.node):
            return False
        gives = True
    return gives


def _join(summaries: Sequence[Summary]) -> Project:
    """Join the facts that need no look at calls."""
    project = Project()
    for summary in summaries:
        project.objects |= summary.objects
        project.fields.update(summary.fields)
        project.makers |= summary.makers
        project.changers.update(summary.changers)
        project.own |= {name for fields in summary.fields.values() for name in fields}
        project.takers.update(summary.takers)
        project.any_declares = project.any_declares or summary.declares
    project.own -= {name for summary in summaries for name in summary.given_away}
    project.settled = project.own - {name for summary in summaries for name in summary.changed}
    project.automatic = {name for summary in summaries for name in summary.local}
    project.automatic -= {name for summary in summaries for name in summary.lasting}
    externs = {name for summary in summaries for name in summary.externs}
    project.globals = {name for summary in summaries for name in summary.globals} & externs
    return project


Roles = dict[str, frozenset[str]]


def _calls(summaries: Sequence[Summary], project: Project) -> tuple[Roles, dict[str, list[Site]]]:
    """Return the roles of all functions, and the uses of each."""
    roles: Roles = {}
    sites: dict[str, list[Site]] = defaultdict(list)
    for summary in summaries:
        for key, those in summary.roles.items():
            roles[key] = roles.get(key, frozenset()) | those
    for summary in summaries:
        for name, given in summary.elsewhere.items():
            if name in roles:  # a function that is not static
                project.roles.setdefault(name, set()).update(given)
    for name, added in project.roles.items():
        guessed = "by name" in roles[name]
        roles[name] = frozenset(added) | (frozenset() if guessed else roles[name])
    private = defaultdict(list)  # a file that another includes: its static functions, by name
    for key in roles:
        private[key.rpartition(":")[2]].append(key)
    project.defined = set(private)
    for summary in summaries:
        for site in summary.sites:
            if site.callee in roles:
                sites[site.callee].append(site)
            elif len(private[site.callee]) == 1:
                sites[private[site.callee][0]].append(site)
    return roles, sites


def link(summaries: Sequence[Summary]) -> Project:
    """Find the functions that run only under a lock, or only on unshared objects."""
    project = _join(summaries)
    roles, sites = _calls(summaries, project)

    def told(key: str) -> frozenset[str]:
        """Return the certain roles; one that only the name suggests counts if nothing calls it."""
        those = roles[key]
        if "by name" not in those:
            return those
        called = any(site.is_call for site in sites[key])
        return frozenset() if called else those - {"by name"}

    calls_of = defaultdict(set)
    for key, found in sites.items():
        for site in found:
            calls_of[site.caller].add(key)

    def greatest(seeds: set[str], good: Callable[[Site], bool]) -> set[str]:
        """Return the functions that only good sites and other such functions call."""
        inside = {key for key in roles if sites.get(key) and not told(key)} | seeds
        waiting = list(inside - seeds)
        while waiting:
            key = waiting.pop()
            if key not in inside or key in seeds:
                continue
            if not all(s.is_call and (good(s) or s.caller in inside) for s in sites[key]):
                inside.remove(key)
                waiting += calls_of[key]
        return inside

    init = {key for key in roles if told(key) & INIT}
    project.during_init = greatest(init, lambda _: False)
    alone = {key for key in roles if told(key) & ALONE} | project.during_init
    project.alone = greatest(alone, lambda site: any(site.fresh[:1]))
    named = {key for key in roles if re.search(r"(?i)_lock_?held$|_locked$", key)}
    project.held = greatest(named, lambda site: site.locked)
    # A helper that some callers call under a lock, and the others before the object is shared.
    safe = project.alone | project.held
    for key, calls in sites.items():
        if not told(key) and all(site.is_call for site in calls):
            columns = zip(*(site.fresh for site in calls), strict=False)
            project.fresh_arguments[key] = [all(column) for column in columns]
    project.held |= greatest(safe, lambda s: s.locked or any(s.fresh[:1])) - project.alone
    return project


def apply(project: Project, source: "Source") -> None:
    """Copy the project's facts about a file's functions to them."""
    source.project = project
    for function in source.functions:
        told = project.roles.get(function.key)
        if told is not None:
            function.roles = (set() if "by name" in function.roles else function.roles) | told
        function.escaped.clear()  # what is fresh depends on the project
        function.held = function.key in project.held
        fresh = project.fresh_arguments.get(function.key, [])
        function.fresh_parameters = {
            name for name, is_fresh in zip(function.parameters, fresh, strict=False) if is_fresh
        }
        function.alone = function.key in project.alone
        function.during_init = function.key in project.during_init

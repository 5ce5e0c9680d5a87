"""Check locks: exits, pairs, nesting, and code that must not run under one."""

import re
from collections.abc import Iterator

from ftdemo.lint.flow import Event, Lock, State, called_name, strip
from ftdemo.lint.names import DECREF, DETACH, RUNS_PYTHON, SECTION_BEGIN, SETS_REFERENCE
from ftdemo.lint.rules.rule import Found, rule
from ftdemo.lint.source import Function, Source, root_name
from ftdemo.lint.tree import Node

DOCS = "https://docs.python.org/3/c-api/synchronization.html"
LOOPS = ("for_statement", "while_statement", "do_statement", "for_range_loop")
MACRO = re.compile(r"\w*(BEGIN|END)_CRITICAL_SECTION\w*")
GIVES = re.compile(r"(?i)\w*(lock|acquire|enter|begin)")
TAKES = re.compile(r"(?i)\w*(lock|acquire|enter|begin|start|open)\w*")


@rule(
    "error",
    source=f"{DOCS}#python-critical-section-api; tried on 3.14.7t and 3.15.0rc1t",
    help="set a result in the section, and leave after Py_END_CRITICAL_SECTION()",
    wrong="""
static PyObject *
pop(PyObject *self, PyObject *unused)
{
    PyObject *result;
    Py_BEGIN_CRITICAL_SECTION(self);
    if (is_empty(self)) {
        return NULL; // !
    }
    for (int i = 0; i < 3; i++) {
        if (i == 2) {
            break;
        }
        goto done; // !
    }
    result = take(self);
    Py_END_CRITICAL_SECTION();
done:
    return result;
}
""",
    right="""
static PyObject *
pop(PyObject *self, PyObject *unused)
{
    PyObject *result = NULL;
    Py_BEGIN_CRITICAL_SECTION(self);
    if (is_empty(self)) {
        goto done;
    }
    result = take(self);
done:;
    Py_END_CRITICAL_SECTION();
    return result;
}
""",
)
def jump_out_of_section(source: Source) -> Iterator[Found]:
    """A jump out of a critical section skips its end: the process crashes later, but not with the GIL."""
    for function in source.functions:
        for event in function.events:
            if event.kind not in {"return", "jump"}:
                continue
            for lock in event.state.locks:
                if lock.kind == "section" and lock.sure and _leaves(event, lock, function):
                    yield Found(
                        event.node,
                        f"{_word(event)} leaves the section that began in line {source.line(lock.node.start)}",
                    )
                    break


def _word(event: Event) -> str:
    if event.kind == "jump" and event.name in {"break", "continue"}:
        return event.name
    return f"goto {event.name}" if event.kind == "jump" else (event.name or "return")


def _leaves(event: Event, lock: Lock, function: Function) -> bool:
    if event.kind == "return":
        return event.node.up("lambda_expression") is None
    if event.name in {"break", "continue"}:
        around = event.node.up(*LOOPS, *(("switch_statement",) if event.name == "break" else ()))
        return around is not None and around.start < lock.node.start
    label = next((e for e in function.events if e.kind == "label" and e.name == event.name), None)
    if label is None:
        return False
    return not lock.node.start < label.node.start < _end(lock, function)


def _end(lock: Lock, function: Function) -> int:
    """Return the end of a section: the first end after it in its block."""
    for event in function.events:
        if event.kind == "unlock" and event.node.start > lock.node.start:
            if event.node.up("compound_statement") is lock.block:
                return event.node.start
    return lock.block.end if lock.block is not None else function.body.end


@rule(
    "error",
    source=f"{DOCS}#c.PyMutex_Unlock",
    help="release the lock on every exit; end a section in the block where it begins",
    wrong="""
static PyObject *
add(Thing *self, PyObject *value)
{
    PyMutex_Lock(&self->mutex);
    if (value == NULL) {
        return NULL; // !
    }
    PyMutex_Unlock(&self->mutex);
    Py_RETURN_NONE;
}
static void
other(PyObject *self)
{
    if (self) {
        Py_BEGIN_CRITICAL_SECTION(self); // !
    }
    Py_END_CRITICAL_SECTION(); // !
}
""",
    right="""
static PyObject *
add(Thing *self, PyObject *value)
{
    PyMutex_Lock(&self->mutex);
    if (value == NULL) {
        PyMutex_Unlock(&self->mutex);
        return NULL;
    }
    PyMutex_Unlock(&self->mutex);
    Py_RETURN_NONE;
}
static void
thing_lock(Thing *self)
{
    PyMutex_Lock(&self->mutex);
}
""",
)
def lock_unpaired(source: Source) -> Iterator[Found]:
    """If a function returns without releasing its lock, the next thread that takes the lock waits for ever."""
    for function in source.functions:
        unlocks = any(event.kind == "unlock" for event in function.events)
        wrapper = not unlocks and (TAKES.fullmatch(function.name) or function.name in source.takers)
        seen = set()
        for event in function.events:
            if event.kind not in {"return", "end"} or wrapper:
                continue
            for lock in event.state.locks:
                if (
                    lock.kind == "mutex"
                    and lock.sure
                    and _may_keep(function, lock)
                    and (lock.node, event.kind) not in seen
                ):
                    if event.kind == "end":
                        seen.add((lock.node, event.kind))
                    where = event.node if event.kind == "return" else lock.node
                    yield Found(
                        where,
                        f"{function.name}() returns with the lock that {lock.name}() took in line {source.line(lock.node.start)}",
                    )
        yield from _sections(function)


def _may_keep(function: Function, lock: Lock) -> bool:
    """Tell whether a function that returns with this lock held certainly should not."""
    if GIVES.fullmatch(function.name):
        return False  # releases what its counterpart took, or vice versa
    given = [e for e in function.events if e.kind == "unlock"]
    if any(function.flow.root(a) in lock.objects for e in given for a in e.arguments[:1]):
        return True
    if any(e.node.get("function") is not None and e.name in {"unlock"} for e in given):
        return True
    return not given and not lock.name.startswith("PyThread") and bool(function.roles - {"by name"})


def _sections(function: Function) -> Iterator[Found]:
    stack: list[Node] = []
    calls = [
        n
        for n in function.body.walk()
        if n.kind == "call_expression" and MACRO.fullmatch(called_name(n))
    ]
    for call in calls:
        name = called_name(call)
        if SECTION_BEGIN.fullmatch(name):
            stack.append(call)
            continue
        block = call.up("compound_statement", "case_statement")
        if stack and stack[-1].up("compound_statement", "case_statement") is block:
            begin = stack.pop()
            if ("SECTION2" in called_name(begin)) != ("SECTION2" in name):
                yield Found(call, f"{name}() ends {called_name(begin)}()")
        else:
            yield Found(call, f"{name}() does not end the section that begins in its block")
    for call in stack:
        yield Found(call, f"{called_name(call)}() does not end in its block")


@rule(
    "warning",
    source=f"{DOCS}#c.Py_BEGIN_CRITICAL_SECTION2",
    help="use Py_BEGIN_CRITICAL_SECTION2(a, b), which takes both locks",
    wrong="""
static void
move(PyObject *a, PyObject *b)
{
    Py_BEGIN_CRITICAL_SECTION(a);
    Py_BEGIN_CRITICAL_SECTION(b); // !
    step(a, b);
    Py_END_CRITICAL_SECTION();
    Py_END_CRITICAL_SECTION();
}
""",
    right="""
static void
move(PyObject *a, PyObject *b)
{
    Py_BEGIN_CRITICAL_SECTION2(a, b);
    step(a, b);
    Py_END_CRITICAL_SECTION2();
    Py_BEGIN_CRITICAL_SECTION(b);
    Py_END_CRITICAL_SECTION();
}
""",
)
def nested_section(source: Source) -> Iterator[Found]:
    """Waiting for the inner section suspends the outer one: other threads run in between."""
    for function in source.functions:
        for event in function.events:
            if event.kind == "lock" and SECTION_BEGIN.fullmatch(event.name):
                outer = next((o for o in event.state.locks if o.kind == "section" and o.sure), None)
                if outer is not None and outer.node is not event.node:
                    yield Found(
                        event.node,
                        f"a section in the one that begins in line {source.line(outer.node.start)}, which may be suspended",
                    )


def suspends(event: Event) -> bool:
    """Tell whether an event may suspend a critical section: it may run Python code, detach, or wait."""
    if event.kind == "lock":
        return SECTION_BEGIN.fullmatch(event.name) is not None or event.name in {
            "PyMutex_Lock",
            "PyThread_acquire_lock",
        }
    if event.kind != "call":
        return False
    return bool(
        RUNS_PYTHON.fullmatch(event.name)
        or DECREF.fullmatch(event.name)
        or DETACH.fullmatch(event.name)
    )


@rule(
    "warning",
    source=f"{DOCS}#python-critical-section-api",
    help="move it before or after the section, or read again before the write",
    ignore="the called function cannot run Python code for the objects that are possible here",
    wrong="""
static PyObject *
add(Thing *self, PyObject *other)
{
    Py_BEGIN_CRITICAL_SECTION(self);
    PyObject *old = self->total;
    PyObject *sum = PyNumber_Add(old, other); // !
    self->total = sum;
    Py_END_CRITICAL_SECTION();
    Py_RETURN_NONE;
}
""",
    right="""
static PyObject *
set(Thing *self, PyObject *value)
{
    PyObject *old;
    Py_BEGIN_CRITICAL_SECTION(self);
    old = self->total;
    self->total = Py_NewRef(value);
    Py_END_CRITICAL_SECTION();
    Py_XDECREF(old);
    Py_RETURN_NONE;
}
""",
)
def suspends_section(source: Source) -> Iterator[Found]:
    """Python code, a DECREF, detaching or another lock may suspend the section: other threads see a partial change."""
    for function in source.functions:
        inside: dict[Node, tuple[Lock, list[Event]]] = {}
        for event in function.events:
            for lock in event.state.locks:
                if lock.kind == "section":
                    inside.setdefault(lock.node, (lock, []))[1].append(event)
        for lock, events in inside.values():
            yield from _suspended(function, events, lock)


def _suspended(function: Function, inside: list[Event], lock: Lock) -> Iterator[Found]:
    read: dict[str, int] = {}
    calls: list[tuple[int, Event]] = []
    reported = set()
    for number, event in enumerate(inside):
        node = event.target if event.kind in {"read", "write"} else None
        if event.kind == "call" and event.name in SETS_REFERENCE and event.arguments:
            node = event.arguments[0]
        inner = strip(node) if node is not None else None
        root = (
            function.flow.root(inner)
            if inner is not None and inner.kind == "field_expression"
            else ""
        )
        guarded = any(root.startswith(f"{each}->") for each in lock.objects)
        if guarded and event.kind == "read" and inner is not None:
            read.setdefault(root, number)
        elif guarded and event.kind == "write" and root in read:
            for when, call in calls:
                if (
                    when > read[root]
                    and call not in reported
                    and call.state.tests == event.state.tests[: len(call.state.tests)]
                ):
                    reported.add(call)
                    yield Found(
                        call.node,
                        f"{call.name}() may suspend the section between the read of {root} and its write",
                    )
                    break
            read.pop(root)
        if suspends(event) and event.name not in SETS_REFERENCE:
            calls.append((number, event))


@rule(
    "warning",
    source=f"{DOCS}#c.PyMutex",
    help="copy the needed data under the lock, release the lock, then call Python",
    wrong="""
static PyObject *
call(Thing *self, PyObject *callback)
{
    PyMutex_Lock(&self->mutex);
    PyObject *result = PyObject_CallNoArgs(callback); // !
    PyMutex_Unlock(&self->mutex);
    return result;
}
""",
    right="""
static PyObject *
call(Thing *self, PyObject *callback)
{
    PyMutex_Lock(&self->mutex);
    self->calls++;
    PyMutex_Unlock(&self->mutex);
    return PyObject_CallNoArgs(callback);
}
""",
)
def python_under_mutex(source: Source) -> Iterator[Found]:
    """Python code that runs while a mutex is held may need the same mutex, or wait for a thread that does: a deadlock."""
    for function in source.functions:
        seen = set()
        for event in function.events:
            lock = _mutex(event.state)
            if event.kind != "call" or lock is None or lock.node in seen:
                continue
            if RUNS_PYTHON.fullmatch(event.name) or DECREF.fullmatch(event.name):
                if event.name.startswith("PyDict_") and event.name.endswith("String"):
                    continue
                if DECREF.fullmatch(event.name) and _is_plain(function, event):
                    continue
                seen.add(lock.node)
                yield Found(
                    event.node,
                    f"{event.name}() may run Python code under {lock.name} of line {source.line(lock.node.start)}",
                )


PLAIN = re.compile(r"Py(Long|Float|Bool|Unicode|Bytes)_From\w+")


def _is_plain(function: Function, event: Event) -> bool:
    """Tell whether an object is a number or a string created here, whose deallocation runs no Python code."""
    name = strip(event.arguments[0]).text if event.arguments else ""
    values = function.values.get(name, [])
    return bool(values) and all(
        value.kind == "call_expression" and PLAIN.fullmatch(called_name(value)) for value in values
    )


def _mutex(state: State) -> Lock | None:
    for lock in state.locks:
        if lock.sure and (
            lock.kind == "mutex"
            or (
                lock.kind == "scoped" and not re.search(r"(?i)critical|object_guard|ft_", lock.name)
            )
        ):
            return lock
    return None


LOCK_HELD = re.compile(r"\w+_lock_?held", re.IGNORECASE)


@rule(
    "warning",
    source="CPython's own naming; Include/internal/pycore_critical_section.h",
    help="take the lock in the caller, and only there",
    wrong="""
static void
add_lock_held(Thing *self)
{
    Py_BEGIN_CRITICAL_SECTION(self); // !
    self->count++;
    Py_END_CRITICAL_SECTION();
}
static PyObject *
add(Thing *self, PyObject *unused)
{
    add_lock_held(self); // !
    Py_RETURN_NONE;
}
""",
    right="""
static void
add_lock_held(Thing *self)
{
    self->count++;
}
static PyObject *
add(Thing *self, PyObject *unused)
{
    Py_BEGIN_CRITICAL_SECTION(self);
    add_lock_held(self);
    Py_END_CRITICAL_SECTION();
    Py_RETURN_NONE;
}
""",
)
def lock_held_mismatch(source: Source) -> Iterator[Found]:
    """A function named *_lock_held relies on its caller's lock: without it, nothing guards the data."""
    for function in source.functions:
        is_held = bool(LOCK_HELD.fullmatch(function.name))
        for event in function.events:
            if (
                is_held
                and event.kind == "lock"
                and any(root_name(function.flow.root(a)) == function.first for a in event.arguments)
            ):
                yield Found(event.node, f"{function.name}() takes the lock that its caller holds")
            if (
                event.kind == "call"
                and LOCK_HELD.fullmatch(event.name)
                and not function.is_locked(event.state)
            ):
                if function.alone:
                    continue
                first = strip(event.arguments[0]).text if event.arguments else ""
                if not function.is_fresh(first, event.node):
                    yield Found(event.node, f"{event.name}() is called without a lock")


def _is_looked_at(node: Node) -> bool:
    """Tell whether a lock is an argument of PyMutex_IsLocked(), which does not take it."""
    call = node.up("call_expression")
    return call is not None and called_name(call) == "PyMutex_IsLocked"


@rule(
    "error",
    source=f"{DOCS}#python-critical-section-api",
    help="use Py_BEGIN_CRITICAL_SECTION(op), or add a PyMutex field to the struct",
    wrong="""
static void
f(PyObject *op)
{
    PyMutex_Lock(&op->ob_mutex); // !
    PyMutex_Unlock(&op->ob_mutex); // !
}
""",
    right="""
static void
f(PyObject *op)
{
    Py_BEGIN_CRITICAL_SECTION(op);
    Py_END_CRITICAL_SECTION();
}
""",
)
def object_mutex(source: Source) -> Iterator[Found]:
    """An object's ob_mutex belongs to CPython: taken directly, it deadlocks with critical sections."""
    for node in source.nodes("field_expression"):
        field = node.get("field")
        if field is not None and field.text == "ob_mutex" and not _is_looked_at(node):
            yield Found(node, "only critical sections may use ob_mutex")

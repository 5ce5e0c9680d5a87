"""Check fields of shared objects: filled, written, advanced or exposed without a lock."""

import re
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterator
from typing import NamedTuple

from ftdemo.lint.changes import is_foreign_change
from ftdemo.lint.flow import Event, called_name, strip
from ftdemo.lint.names import SETS_REFERENCE
from ftdemo.lint.project import ALONE
from ftdemo.lint.rules.emptiness import filled_when_null
from ftdemo.lint.rules.references import is_comparison, is_frozen, is_private
from ftdemo.lint.rules.rule import Found, rule
from ftdemo.lint.source import Function, Source, root_name
from ftdemo.lint.tree import Node

HOWTO = "https://docs.python.org/3/howto/free-threading-extensions.html"
HELP = "put Py_BEGIN_CRITICAL_SECTION(self) around the write and the reads, or use an atomic type"
SETTLED = re.compile(
    r"constant (after|once)|written by|guarded by:?\s*(?!.*(self|lock|mutex|section))",
    re.IGNORECASE,
)
# Methods of C++ containers and strings that change them.
METHODS = re.compile(
    r"insert\w*|emplace\w*|erase|clear|(push|pop)(_(back|front))?|resize|assign|append|swap|merge|extract"
)
STATE = re.compile(
    r"PyModule_GetState|PyType_GetModuleState|_?(get|find)_\w*state\w*|\w*_(get_)?(module_)?state"
)


class Access(NamedTuple):
    """A read or a write of a field: the event, the struct, and the object."""

    event: Event
    function: Function
    struct: str
    field: str
    root: str
    writes: bool
    locked: bool
    lazily: bool


def accesses(source: Source) -> list[Access]:
    """Find the reads and writes of fields of objects that other threads may have."""
    if "accesses" not in source.cache:
        found = []
        for function in source.functions:
            if _is_alone(function):
                continue
            for event in function.events:
                access = _access(event, function)
                if access is not None:
                    found.append(access)
        source.cache["accesses"] = found
    return source.cache["accesses"]  # type: ignore[return-value]


def _is_alone(function: Function) -> bool:
    """Tell whether no other thread has the objects of a function, by its role."""
    if function.during_init:
        return True
    roles = function.roles
    return bool(roles & ALONE) and not roles - ALONE - {"by name"}


def _access(event: Event, function: Function) -> Access | None:
    node = event.target if event.kind in {"write", "read"} else None
    writes = event.kind == "write"
    if event.kind == "call" and event.name in SETS_REFERENCE and event.arguments:
        node, writes = event.arguments[0], True
    handed = False
    if event.kind == "call" and node is None:
        node, writes, handed = _handed_over(event, function), True, True
    if node is None:
        return None
    node = strip(node) if node.kind != "pointer_expression" or event.kind != "write" else node
    while node.kind == "subscript_expression":
        return None  # an element: see its container
    if node.kind != "field_expression":
        return None
    base, field = node.get("argument"), node.get("field")
    if base is None or field is None:
        return None
    inline = ""
    while strip(base).kind == "field_expression" and _is_dot(node):
        node = strip(base)
        inline = field.text
        base, field = node.get("argument"), node.get("field")
        if base is None or field is None:
            return None
    struct = _shared_struct(function, base, event.node)
    if not struct:
        return None
    owner = function.flow.root(base)
    if function.alone and owner == function.first:
        return None  # all its callers have just created it
    root = f"{owner}->{field.text}"
    locked = function.is_locked(event.state)
    lazily = writes and not inline and filled_when_null(event, root, function)
    sort = function.source.project.fields.get(struct, {}).get(field.text, "")
    if handed and sort not in {"pointer", "inline"}:
        return None
    if (sort == "safe" and not lazily) or field.text.startswith("ob_"):
        return None  # atomic, or a lock; but a lock that is created on first use counts
    return Access(event, function, struct, field.text, root, writes, locked, lazily)


def _handed_over(event: Event, function: Function) -> Node | None:
    """Return the field that a method passes to a function that changes what it points to."""
    source = function.source
    called = event.node.get("function")
    if called is not None and called.kind == "field_expression":  # a method of a C++ container
        owner = called.get("argument") if METHODS.fullmatch(event.name) else None
        return strip(owner) if owner is not None and owner.kind == "field_expression" else None
    if is_foreign_change(event, source):
        given = event.arguments[:1]
    else:
        changed = source.project.changes(str(source.path), event.name)
        given = tuple(a for n, a in enumerate(event.arguments) if n in changed)
    fields = (strip(argument) for argument in given)
    return next((field for field in fields if field.kind == "field_expression"), None)


def _is_dot(node: Node) -> bool:
    field = node.get("field")
    return field is not None and node.code[field.start - 1] == "."


def _shared_struct(function: Function, base: Node, before: Node) -> str:
    """Return the struct of an object that other threads may have, or ""."""
    project = function.source.project
    struct = function.struct_of(base)
    root = function.flow.root(base)
    name = root_name(root)
    if not root.replace("_", "a").isalnum():
        return ""  # reached through another object
    value = function.flow.aliases.get(strip(base).text)
    if value is not None and value.kind == "call_expression":
        called = called_name(value)
        if STATE.fullmatch(called):
            return struct or "module state"
    is_object = struct in project.objects
    if (
        not is_object
        and name == function.first
        and function.roles - {"by name"}
        and struct not in project.fields
    ):
        is_object = bool(function.roles & {"method", "getter", "setter"}) or any(
            r.startswith("slot") for r in function.roles
        )
        struct = struct or "self"
    if not is_object:
        return ""
    if name not in function.parameters:
        if function.is_fresh(name, before) or function.is_fresh(strip(base).text, before):
            return ""
        values = function.values.get(name, [])
        if name in function.flow.types and not values:
            return ""
    elif function.is_fresh(strip(base).text, before):
        return ""
    return struct


def _is_settled(source: Source, struct: str, field: str) -> bool:
    """Tell whether a comment says that a field is constant, or what else guards it."""
    found = source.structs.get(struct)
    node = found.fields[field].node if found is not None and field in found.fields else None
    if node is None:
        return False
    first, last = source.line(node.start), source.line(node.end)
    comments = source.text.comments
    begin = bisect_left(comments, first - 1, key=lambda comment: comment.end_line)
    end = bisect_right(comments, last, key=lambda comment: comment.line)
    return any(SETTLED.search(" ".join(c.text.split())) for c in comments[begin:end])


@rule(
    "warning",
    source=f"{HOWTO}#thread-safety",
    help="fill it in tp_new, or check and fill it in one critical section on the object",
    wrong="""
typedef struct {
    PyObject_HEAD
    PyObject *cache;
} Thing;
static PyObject *
get(Thing *self, void *closure)
{
    if (self->cache == NULL) {
        self->cache = PyDict_New(); // !
    }
    return Py_XNewRef(self->cache);
}
static PyGetSetDef getset[] = {{"cache", (getter)get, NULL, NULL, NULL}, {NULL}};
""",
    right="""
typedef struct {
    PyObject_HEAD
    PyObject *cache;
} Thing;
static PyObject *
get(Thing *self, void *closure)
{
    PyObject *result;
    Py_BEGIN_CRITICAL_SECTION(self);
    if (self->cache == NULL) {
        self->cache = PyDict_New();
    }
    result = Py_XNewRef(self->cache);
    Py_END_CRITICAL_SECTION();
    return result;
}
static PyGetSetDef getset[] = {{"cache", (getter)get, NULL, NULL, NULL}, {NULL}};
""",
)
def lazy_field(source: Source) -> Iterator[Found]:
    """Two threads find a field empty, and both fill it: one object leaks, or is freed while in use."""
    for access in accesses(source):
        if access.lazily and not access.locked and _is_pointer(source, access):
            yield Found(
                access.event.node,
                f"{access.function.name}() fills {access.field} if it is empty, without a lock",
            )


def _is_pointer(source: Source, access: Access) -> bool:
    sort = source.project.fields.get(access.struct, {}).get(access.field, "pointer")
    return sort in {"pointer", "object", "safe"}


@rule(
    "warning",
    source=f"{HOWTO}#thread-safety; CPython Doc/library/threadsafety.rst on iterators",
    help="check and advance in one critical section on the iterator",
    ignore="the documentation says that each thread needs its own iterator, and two threads cannot crash it",
    wrong="""
typedef struct {
    PyObject_HEAD
    Py_ssize_t index;
} Iterator;
static PyObject *
iterator_next(Iterator *self)
{
    return PyLong_FromSsize_t(self->index++); // !
}
static PyType_Slot slots[] = {{Py_tp_iternext, iterator_next}, {0, NULL}};
""",
    right="""
typedef struct {
    PyObject_HEAD
    Py_ssize_t index;
} Iterator;
static PyObject *
iterator_next(Iterator *self)
{
    Py_ssize_t index;
    Py_BEGIN_CRITICAL_SECTION(self);
    index = self->index++;
    Py_END_CRITICAL_SECTION();
    return PyLong_FromSsize_t(index);
}
static PyType_Slot slots[] = {{Py_tp_iternext, iterator_next}, {0, NULL}};
""",
)
def iterator_unlocked(source: Source) -> Iterator[Found]:
    """Threads that share an iterator advance it at the same time: they get one item twice, or read past the end."""
    for function, places in _iterator_writes(source).items():
        fields = ", ".join(dict.fromkeys(place.field for place in places))
        yield Found(places[0].event.node, f"{function.name}() advances {fields} without a lock")


def _iterator_writes(source: Source) -> dict[Function, list[Access]]:
    """Return the unlocked writes of each tp_iternext, and of functions that only it calls."""
    steppers = {f.name: f for f in source.functions if _is_iternext(f)}
    callers: dict[str, set[str]] = defaultdict(set)
    for function in source.functions:
        for event in function.events:
            if event.kind == "call":
                callers[event.name].add(function.name)
    for function in source.functions:
        calling = callers.get(function.name, set())
        if (
            not function.roles
            and calling
            and calling <= set(steppers)
            and function.name not in steppers
        ):
            steppers[function.name] = steppers[sorted(calling)[0]]
    found: dict[Function, list[Access]] = defaultdict(list)
    for access in accesses(source):
        if access.writes and not access.locked and access.function.name in steppers:
            if access.root.startswith(f"{access.function.first}->"):
                found[steppers[access.function.name]].append(access)
    return found


def _is_iternext(function: Function) -> bool:
    if "slot tp_iternext" in function.roles:
        return True
    return not function.roles and bool(re.fullmatch(r"\w*_(tp_)?iter_?next", function.name))


@rule(
    "warning",
    source=f"{HOWTO}#thread-safety",
    help=HELP,
    ignore="the object never leaves one thread, and the documentation says so",
    wrong="""
typedef struct {
    PyObject_HEAD
    long count;
} Counter;
static PyObject *
increment(Counter *self, PyObject *unused)
{
    self->count++; // !
    Py_RETURN_NONE;
}
static PyObject *
get(Counter *self, PyObject *unused)
{
    return PyLong_FromLong(self->count);
}
static PyMethodDef methods[] = {
    {"increment", (PyCFunction)increment, METH_NOARGS, NULL},
    {"get", (PyCFunction)get, METH_NOARGS, NULL},
    {NULL},
};
""",
    right="""
typedef struct {
    PyObject_HEAD
    long count;
    long size; /* constant after counter_new() */
    _Atomic long calls;
} Counter;
static void
add_lock_held(Counter *self)
{
    self->count++;
}
static PyObject *
increment(Counter *self, PyObject *unused)
{
    self->calls++;
    Py_BEGIN_CRITICAL_SECTION(self);
    add_lock_held(self);
    Py_END_CRITICAL_SECTION();
    Py_RETURN_NONE;
}
static PyObject *
counter_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    Counter *self = (Counter *)type->tp_alloc(type, 0);
    self->count = 1;
    return (PyObject *)self;
}
static PyMethodDef methods[] = {{"increment", (PyCFunction)increment, METH_NOARGS, NULL}, {NULL}};
""",
)
def field_unlocked(source: Source) -> Iterator[Found]:
    """A method writes a field without a lock: another thread reads a partial change, or an update is lost."""
    lazily = {
        a.event for a in accesses(source) if a.lazily and not a.locked and _is_pointer(source, a)
    }
    stepping = {a.event for places in _iterator_writes(source).values() for a in places}
    fields: dict[tuple[str, str], list[Access]] = defaultdict(list)
    for access in accesses(source):
        fields[access.struct, access.field].append(access)
    for (struct, field), places in fields.items():
        if _is_settled(source, struct, field) or field in source.project.frozen:
            continue
        bare = [a for a in places if a.writes and not a.locked]
        bare = [a for a in bare if a.event not in lazily and a.event not in stepping]
        readers = [a for a in places if not a.writes and not a.locked]
        if bare:
            names = _functions(bare)
            message = f"{field} of {struct} is written without a lock in {', '.join(names)}"
            others = [name for name in _functions(readers) if name not in names]
            if others:
                more = " and others" if len(others) > 3 else ""
                message += f", and read in {', '.join(others[:3])}{more}"
            yield Found(bare[0].event.node, message, f"{HELP} ({_lines(source, bare, readers)})")
            continue
        writers = [a for a in places if a.writes and a.locked and not a.lazily]
        readers = [a for a in readers if _takes_object(source, a)]
        if writers and readers:
            yield Found(
                readers[0].event.node,
                f"{field} of {struct} is read without a lock in {', '.join(_functions(readers))}, "
                f"and written under one in {', '.join(_functions(writers)[:3])}",
            )


def _functions(places: list[Access]) -> list[str]:
    return list(dict.fromkeys(f"{place.function.name}()" for place in places))


def _takes_object(source: Source, access: Access) -> bool:
    """Tell whether an access reads a pointer to an object, and not only to compare it."""
    sort = source.project.fields.get(access.struct, {}).get(access.field, "")
    if sort != "object" or access.field in source.project.settled:
        return False
    outer = access.event.node.parent
    addressed = outer is not None and outer.text.startswith("&")
    return not addressed and not is_comparison(access.event.node)


def _lines(source: Source, writes: list[Access], reads: list[Access]) -> str:
    """Return the lines of all places, for people who are about to guard them."""
    parts = []
    for verb, places in (("written", writes), ("read", reads)):
        lines = list(dict.fromkeys(str(source.line(a.event.node.start)) for a in places))
        if lines:
            parts.append(f"{verb} in line{'s' * (len(lines) > 1)} {', '.join(lines)}")
    return "; ".join(parts)


@rule(
    "warning",
    source="https://docs.python.org/3/c-api/structures.html#member-flags",
    help="replace the row by a PyGetSetDef whose functions take the lock",
    wrong="""
typedef struct {
    PyObject_HEAD
    PyObject *value;
} Box;
static PyObject *
set(Box *self, PyObject *value)
{
    Py_BEGIN_CRITICAL_SECTION(self);
    Py_XSETREF(self->value, Py_NewRef(value));
    Py_END_CRITICAL_SECTION();
    Py_RETURN_NONE;
}
static PyMethodDef methods[] = {{"set", (PyCFunction)set, METH_O, NULL}, {NULL}};
static PyMemberDef members[] = {
    {"value", Py_T_OBJECT_EX, offsetof(Box, value), Py_READONLY, NULL}, // !
    {NULL},
};
""",
    right="""
typedef struct {
    PyObject_HEAD
    PyObject *value;
    PyObject *name;
} Box;
static PyObject *
set(Box *self, PyObject *value)
{
    Py_BEGIN_CRITICAL_SECTION(self);
    Py_XSETREF(self->value, Py_NewRef(value));
    Py_END_CRITICAL_SECTION();
    Py_RETURN_NONE;
}
static PyMethodDef methods[] = {{"set", (PyCFunction)set, METH_O, NULL}, {NULL}};
static PyMemberDef members[] = {
    {"name", Py_T_OBJECT_EX, offsetof(Box, name), Py_READONLY, NULL},
    {NULL},
};
""",
)
def member_exposed(source: Source) -> Iterator[Found]:
    """A PyMemberDef row accesses the field directly, without the lock that the methods take."""
    guarded = {
        (a.struct, a.field): a.function.name for a in accesses(source) if a.writes and a.locked
    }
    for kind, _, rows in source.tables:
        for row in rows if kind == "PyMemberDef" else ():
            match = re.search(r"offsetof\s*\(\s*(?:struct\s+)?(\w+)\s*,\s*(\w+)", row.text)
            if match is None:
                continue
            writable = not re.search(r"READONLY|\b1\s*[,}]", row.text[match.end() :])
            exposes = re.search(r"\b(_?Py_)?T_OBJECT(_EX)?\b", row.text) or writable
            writer = guarded.get((match[1], match[2]))
            if exposes and writer:
                yield Found(
                    row,
                    f"{match[2]}, which {writer}() writes under a lock, is exposed without the lock",
                )


@rule(
    "warning",
    source=f"{HOWTO}#thread-safety",
    help="write before the end of the section, or read again in the section that writes",
    wrong="""
typedef struct {
    PyObject_HEAD
    long next;
} Tickets;
static PyObject *
take(Tickets *self, PyObject *unused)
{
    long ticket;
    Py_BEGIN_CRITICAL_SECTION(self);
    ticket = self->next;
    Py_END_CRITICAL_SECTION();
    self->next = ticket + 1; // !
    return PyLong_FromLong(ticket);
}
static PyMethodDef methods[] = {{"take", (PyCFunction)take, METH_NOARGS, NULL}, {NULL}};
""",
    right="""
typedef struct {
    PyObject_HEAD
    long next;
} Tickets;
static PyObject *
take(Tickets *self, PyObject *unused)
{
    long ticket;
    Py_BEGIN_CRITICAL_SECTION(self);
    ticket = self->next;
    self->next = ticket + 1;
    Py_END_CRITICAL_SECTION();
    return PyLong_FromLong(ticket);
}
static PyMethodDef methods[] = {{"take", (PyCFunction)take, METH_NOARGS, NULL}, {NULL}};
""",
)
def written_after_unlock(source: Source) -> Iterator[Found]:
    """A value that was read under a lock is written back after it: changes made in between are lost."""
    read_under: dict[tuple[Function, str], Access] = {}
    for access in accesses(source):
        key = (access.function, access.root)
        if not access.writes and access.event.state.locks:
            read_under.setdefault(key, access)
        elif access.writes and not access.locked and key in read_under:
            before = read_under[key]
            if before.event.node.start < access.event.node.start:
                line = source.line(before.event.node.start)
                yield Found(
                    access.event.node,
                    f"{access.field} is read under a lock in line {line} and written after its release",
                )


LOOKS = re.compile(
    r"_?PyDict_(GetItem\w*|Contains\w*)|PyMapping_HasKey\w*|PyObject_GetItem|PySequence_Contains"
)
ACTS = re.compile(r"_?PyDict_(SetItem|DelItem)\w*|PyObject_(SetItem|DelItem)")


@rule(
    "warning",
    source="https://docs.python.org/3/c-api/dict.html#c.PyDict_SetDefaultRef",
    help="call PyDict_SetDefaultRef() or PyDict_Pop(), which do both atomically, or put one critical section around both",
    wrong="""
static PyObject *
intern(PyObject *self, PyObject *key)
{
    int found = PyDict_Contains(cache, key);
    if (found == 0) {
        PyDict_SetItem(cache, key, key); // !
    }
    Py_RETURN_NONE;
}
""",
    right="""
static PyObject *
intern(PyObject *self, PyObject *key)
{
    PyObject *result;
    PyDict_SetDefaultRef(cache, key, key, &result);
    return result;
}
static PyObject *
locked(PyObject *self, PyObject *key)
{
    Py_BEGIN_CRITICAL_SECTION(cache);
    if (PyDict_Contains(cache, key) == 0) {
        PyDict_SetItem(cache, key, key);
    }
    Py_END_CRITICAL_SECTION();
    PyObject *own = PyDict_New();
    if (PyDict_Contains(own, key) == 0) {
        PyDict_SetItem(own, key, key);
    }
    return own;
}
""",
)
def check_then_act(source: Source) -> Iterator[Found]:
    """Between the lookup in a dict and the change, another thread may make the same change."""
    for function in source.functions:
        if function.always_locked:
            continue
        looked: dict[tuple[str, str], list[Event]] = defaultdict(list)
        for event in function.later_events:
            if event.kind != "call" or len(event.arguments) < 2:
                continue
            looks, acts = LOOKS.fullmatch(event.name), ACTS.fullmatch(event.name)
            if not looks and not acts:
                continue
            container = event.arguments[0]
            key = (function.flow.root(container), function.flow.root(event.arguments[1]))
            if looks:
                looked[key].append(event)
            elif key in looked:
                looks_before = looked.pop(key)
                before = looks_before[0]
                under = {lock.node for each in looks_before for lock in each.state.locks}
                if (
                    under & {lock.node for lock in event.state.locks}  # looks again under its lock
                    or (function.alone and key[0].startswith(f"{function.first}->"))
                    or is_private(function, container, event.node)
                    or is_frozen(function, container)
                ):
                    continue
                if not (
                    before.name.startswith(("PyDict", "_PyDict"))
                    or event.name.startswith(("PyDict", "_PyDict"))
                ):
                    continue
                yield Found(
                    event.node,
                    f"{before.name}() in line {source.line(before.node.start)} looks up a key in "
                    f"'{strip(container).text[:40]}', and {event.name}() then changes that dict: "
                    "the two calls are not one atomic step",
                )

"""Check data that outlives a call and belongs to no object: statics, globals, libc's buffers."""

import re
from collections import defaultdict
from collections.abc import Iterator
from typing import NamedTuple

from ftdemo.lint.flow import Event, strip
from ftdemo.lint.names import DEFINITIONS, SETS_REFERENCE, UNSAFE_LIBC
from ftdemo.lint.rules.emptiness import filled_when_null
from ftdemo.lint.rules.rule import Found, rule
from ftdemo.lint.source import Function, Source, Variable
from ftdemo.lint.tree import Node

HOWTO = "https://docs.python.org/3/howto/free-threading-extensions.html"
# Functions that write to the memory at their first argument.
FILLS = re.compile(
    r"(mem|str|wcs)(cpy|ncpy|cat|ncat|set|move)|(v?s(n)?printf)|PyOS_v?snprintf|strlcpy|strlcat|gethostname|getcwd|strftime|read"
)


class Written(NamedTuple):
    """A place where a variable is written."""

    event: Event
    function: Function
    lazily: bool


def written(source: Source) -> dict[Variable, list[Written]]:
    """Find writes without a lock, after initialization, to variables that outlive a call."""
    return _writes(source)[0]


def _writes(source: Source) -> tuple[dict[Variable, list[Written]], dict[str, list[Written]]]:
    """Find the writes to variables of this file, and to those of other files by name."""
    if "written" in source.cache:
        return source.cache["written"]  # type: ignore[return-value]
    local: dict[Function, dict[str, Variable]] = defaultdict(dict)
    for each in source.variables:
        if each.function is not None:
            local[each.function][each.name] = each
    places: dict[Variable, list[Written]] = defaultdict(list)
    elsewhere: dict[str, list[Written]] = defaultdict(list)
    for function in source.functions:
        ending = function.roles & {"free"} and "by name" not in function.roles
        if ending:
            continue
        own = local.get(function, {})
        for event in function.later_events:
            name = _target(event, function)
            if not name:
                continue
            variable = own.get(name)
            if variable is None:
                if name in function.flow.types or name in function.parameters:
                    continue  # a local variable of that name
                variable = source.globals.get(name)
            if function.is_locked(event.state):
                continue
            if variable is None:
                if name in source.project.globals:
                    elsewhere[name].append(Written(event, function, lazily=False))
                continue
            lazily = filled_when_null(event, name, function) or any(
                filled_when_null(event, other, function) for other in own if name in own
            )
            places[variable].append(Written(event, function, lazily))
    source.cache["written"] = (places, elsewhere)
    return places, elsewhere


def _target(event: Event, function: Function) -> str:
    """Return the variable that an event writes to, in whole or in part."""
    node = None
    changed = function.source.project.changes(str(function.source.path), event.name)
    if event.kind == "write" and event.node.kind != "init_declarator":
        node = event.target
    elif event.kind == "call" and event.arguments:
        if event.name in SETS_REFERENCE or FILLS.fullmatch(event.name):
            node = event.arguments[0]
            if event.name == "read":
                node = event.arguments[1] if len(event.arguments) > 1 else None
        for number in changed if node is None else ():
            given = event.arguments[number] if number < len(event.arguments) else None
            if given is not None and given.kind == "pointer_expression" and given.text[0] == "&":
                node = given
    while node is not None:
        node = (
            strip(node)
            if not (node.kind == "pointer_expression" and event.kind == "write")
            else node
        )
        if node.kind == "identifier":
            return node.text
        if node.kind == "pointer_expression":
            return ""  # writes to the memory that it points to
        if node.kind == "field_expression" and _is_arrow(node):
            return function.addressed.get(strip(node.children[0]).text, "")
        if node.kind in {"subscript_expression", "field_expression"}:
            node = node.get("argument")
        else:
            return ""
    return ""


def _is_arrow(node: Node) -> bool:
    field = node.get("field")
    return field is not None and node.code[field.start - 1] != "."


def _is_safe(variable: Variable) -> bool:
    if variable.is_const or variable.is_safe:
        return True
    return bool(DEFINITIONS.fullmatch(variable.type)) and not variable.is_pointer


def _where(places: list[Written]) -> str:
    names = list(dict.fromkeys(f"{p.function.name}()" for p in places))
    return ", ".join(names[:3]) + (" and others" if len(names) > 3 else "")


def _sets(event: Event) -> bool:
    """Tell whether an event sets a flag: to a number or true, and not to a computed value."""
    value = strip(event.value) if event.value is not None else None
    return value is not None and (value.kind in {"number_literal", "true"} or value.text.isupper())


@rule(
    "error",
    source=f"{HOWTO}#thread-safety; PEP 630",
    help="create it in the module's exec function and keep it in the module's state, or fill it once under a lock",
    ignore="filling it twice does no harm, and no thread can read it half filled (say why)",
    wrong="""
static PyObject *
loads(PyObject *self, PyObject *arg)
{
    static PyObject *decoder = NULL;
    if (decoder == NULL) {
        decoder = import_decoder(); // !
    }
    return PyObject_CallOneArg(decoder, arg);
}
static int
ready(void)
{
    static int done;
    if (!done) {
        fill_table();
        done = 1; // !
    }
    return 0;
}
""",
    right="""
static PyMutex mutex;
static PyObject *
loads(PyObject *self, PyObject *arg)
{
    static PyObject *decoder = NULL;
    static const char *const names[] = {"a", "b"};
    PyMutex_Lock(&mutex);
    if (decoder == NULL) {
        decoder = make_decoder();
    }
    PyMutex_Unlock(&mutex);
    return Py_NewRef(decoder);
}
""",
)
def lazy_static(source: Source) -> Iterator[Found]:
    """Two threads find a static empty and both fill it: one object leaks, or is used after it is freed."""
    for variable, places in written(source).items():
        if _is_safe(variable):
            continue
        lazily = [p for p in places if p.lazily and (variable.is_pointer or _sets(p.event))]
        if lazily and (variable.function is not None or variable.is_object):
            first = lazily[0]
            yield Found(
                first.event.node,
                f"static '{variable.name}' is filled on first use, in {_where(lazily)}: two threads may fill it at once",
            )


@rule(
    "warning",
    source=f"{HOWTO}#thread-safety; PEP 630",
    help="keep it in the module's state or in an object, guard it with a PyMutex, or make it atomic",
    ignore="all threads would write the same value, and nothing is freed (say why)",
    wrong="""
static int calls; // !
static PyObject *last; // !
static PyObject *
call(PyObject *self, PyObject *arg)
{
    calls++;
    Py_XSETREF(last, Py_NewRef(arg));
    return Py_NewRef(arg);
}
""",
    right="""
static const int limit = 1;
static PyObject *error;
static _Atomic int calls;
static int guarded;
static PyMutex mutex;
static PyMethodDef methods[] = {{NULL}};
static PyObject *
call(PyObject *self, PyObject *arg)
{
    static char *kwlist[] = {"a", NULL};
    calls++;
    PyMutex_Lock(&mutex);
    guarded++;
    PyMutex_Unlock(&mutex);
    return Py_NewRef(arg);
}
static int
module_exec(PyObject *module)
{
    error = PyErr_NewException("a.Error", NULL, NULL);
    return 0;
}
static PyModuleDef_Slot slots[] = {{Py_mod_exec, module_exec}, {0, NULL}};
""",
)
def mutable_static(source: Source) -> Iterator[Found]:
    """All threads and interpreters share a static: one reads it while another is writing it."""
    told = set()  # functions whose plain statics were reported as one
    for variable, places in written(source).items():
        if _is_safe(variable) or _is_buffer(variable) or variable.function in told:
            continue
        if variable.function is not None and not variable.is_object:
            told.add(variable.function)
        if variable.function is not None and any(place.lazily for place in places):
            continue  # lazy-static
        kind = "static" if variable.is_static else "global"
        yield Found(
            variable.declarator,
            f"{kind} '{variable.name}' is written after initialization without a lock, in {_where(places)}",
            severity="error" if variable.is_object else None,
        )
    for name, places in _writes(source)[1].items():
        yield Found(
            places[0].event.node,
            f"global '{name}' of another file is written after initialization without a lock, in {_where(places)}",
        )


def _is_buffer(variable: Variable) -> bool:
    return (
        variable.is_array
        and bool(re.search(r"\b(char|wchar_t|Py_UCS4|uint8_t|TCHAR)\b", variable.type))
        and not variable.is_pointer
    )


@rule(
    "warning",
    source=f"{HOWTO}#thread-safety",
    help="use one buffer per call, on the stack or allocated",
    wrong="""
static const char *
show(int value)
{
    static char text[20]; // !
    snprintf(text, sizeof(text), "%d", value);
    return text;
}
""",
    right="""
static PyObject *
show(int value)
{
    char text[20];
    static const char format[] = "%d";
    snprintf(text, sizeof(text), format, value);
    return PyUnicode_FromString(text);
}
""",
)
def static_buffer(source: Source) -> Iterator[Found]:
    """A thread overwrites a static buffer while another thread still uses its contents."""
    for variable, places in written(source).items():
        if not _is_safe(variable) and _is_buffer(variable):
            yield Found(
                variable.declarator,
                f"static buffer '{variable.name}' is written in {_where(places)}",
            )


@rule(
    "warning",
    source="POSIX.1-2024, System Interfaces, 2.9.1; attributes(7) of glibc",
    help="call a function that stores the result in memory of the caller",
    ignore="one lock for the whole process is held around the call and each use of the result",
    wrong="""
static PyObject *
home(PyObject *self, PyObject *arg)
{
    struct passwd *entry = getpwuid(getuid()); // !
    return PyUnicode_FromString(entry->pw_dir);
}
""",
    right="""
static PyObject *
home(PyObject *self, PyObject *arg)
{
    struct passwd buffer, *entry;
    char text[1000];
    getpwuid_r(getuid(), &buffer, text, sizeof(text), &entry);
    return PyUnicode_FromString(entry->pw_dir);
}
""",
)
def mt_unsafe_libc(source: Source) -> Iterator[Found]:
    """These C library functions return results in memory that all threads share."""
    for function in source.functions:
        told = set()
        for event in function.later_events:
            name = event.name.removeprefix("std::")
            if (
                name in told
                or event.kind != "call"
                or name not in UNSAFE_LIBC
                or name in source.by_name
            ):
                continue
            called = event.node.get("function")
            if called is None or called.kind == "field_expression":
                continue
            if not function.is_locked(event.state) or (
                event.state.detached == 2 and not event.state.locks
            ):
                told.add(name)
                yield Found(
                    event.node,
                    f"{name}() is not safe to call in two threads at once",
                    f"use {UNSAFE_LIBC[name]} instead",
                )

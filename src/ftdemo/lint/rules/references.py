"""Check references that another thread may drop, and containers that it may change."""

import re
from collections.abc import Iterator

from ftdemo.lint.flow import Event, call_arguments, called_name, strip
from ftdemo.lint.names import (
    BORROWING,
    BORROWS_FROM_INTERPRETER,
    DECREF,
    REFERENCE_OUT,
    REFERENCE_RETURNED,
)
from ftdemo.lint.rules.rule import Found, rule
from ftdemo.lint.source import Function, Source, is_keywords, is_null, root_name, struct_name
from ftdemo.lint.tree import Node

HOWTO = "https://docs.python.org/3/howto/free-threading-extensions.html"
INCREF = {"Py_INCREF", "Py_XINCREF", "Py_NewRef", "Py_XNewRef", "Py_IncRef"}
# Roles in which no other thread has the object: the objects that it refers to are not shared either.
ENDING = {"dealloc", "traverse", "clear", "finalize", "free"}


def is_private(function: Function, container: Node, before: Node) -> bool:
    """Tell whether no other thread can have a container: created here, or keyword arguments."""
    inner = strip(container)
    if inner.kind == "call_expression" and function.source.makes(inner):
        return True
    root = function.flow.root(container)
    name = root_name(root)
    if inner.kind == "identifier" and function.is_fresh(inner.text, before):
        return True
    if root != name:  # a field of an object that is created here, or of a local variable
        field = root.rpartition("->")[2]
        struct = struct_name(function.flow.types.get(name) or function.parameters.get(name, ""))
        project = function.source.project
        if struct in project.automatic and field in project.own:
            return True
        return function.is_fresh(name, before)
    return is_keywords(name) or function.is_fresh(name, before)


def is_frozen(function: Function, container: Node) -> bool:
    """Tell whether the configuration or the sources say that a container never changes."""
    frozen = function.source.project.frozen
    root = function.flow.root(container)
    if "->" in root and root.rpartition("->")[2] in function.source.project.settled:
        return True
    inner = strip(container)
    value = function.flow.aliases.get(inner.text, inner)
    called = called_name(value) if value.kind == "call_expression" else ""
    return bool(frozen & {root, root.rpartition("->")[2], inner.text, called})


def is_only_compared(function: Function, call: Node) -> bool:
    """Tell whether the result of a call is only compared with NULL."""
    if is_comparison(call):
        return True
    parent = call.parent
    while parent is not None and parent.kind in {"cast_expression", "parenthesized_expression"}:
        if is_comparison(parent):
            return True
        parent = parent.parent
    if parent is None:
        return False
    if parent.kind == "expression_statement":
        return True  # called for its effect
    name = variable_given(call)
    if not name and parent.kind == "assignment_expression" and is_comparison(parent):
        return True
    if not name or name not in function.names:
        return False
    uses = [n for n in function.names[name] if n.start > call.start]
    return all(is_comparison(use) or _is_target(use) for use in uses)


def _is_target(node: Node) -> bool:
    parent = node.parent
    return (
        parent is not None and parent.kind == "assignment_expression" and parent.get("left") is node
    )


def is_comparison(node: Node) -> bool:
    """Tell whether a value is only used as a truth value or compared with NULL."""
    parent = node.parent
    while parent is not None and parent.kind in {"parenthesized_expression", "condition_clause"}:
        node, parent = parent, parent.parent
    if parent is None:
        return False
    if parent.kind == "binary_expression":
        if parent.op in {"&&", "||"}:
            return True
        if parent.op in {"==", "!="}:
            left, right = parent.get("left"), parent.get("right")
            other = right if left is node else left
            return other is not None and (
                is_null(other) or strip(other).kind in {"identifier", "unary_expression"}
            )
        return False
    if parent.kind == "unary_expression" and parent.op == "!":
        return True
    if parent.kind in {
        "if_statement",
        "while_statement",
        "conditional_expression",
        "for_statement",
    }:
        return parent.get("condition") is node
    return False


def variable_given(call: Node) -> str:
    """Return the variable that the result of a call is assigned to, or ""."""
    node = call.used_in()
    if node is None:
        return ""
    if node.kind == "init_declarator":
        declarator = node.get("declarator")
        while declarator is not None and declarator.kind != "identifier":
            declarator = declarator.get("declarator")
        return declarator.text if declarator is not None else ""
    if node.kind == "assignment_expression":
        left = node.get("left")
        return left.text if left is not None and left.kind == "identifier" else ""
    return ""


@rule(
    "warning",
    source=f"{HOWTO}#borrowed-references; CPython Doc/data/refcounts.dat, threadsafety.dat",
    help="call a function that returns a strong reference",
    ignore="nothing changes the container from here on, and no other thread could before",
    wrong="""
static PyObject *
look_up(PyObject *self, PyObject *key)
{
    PyObject *value = PyDict_GetItemWithError(cache, key); // !
    if (value == NULL) {
        return NULL;
    }
    return PyObject_Str(value);
}
static PyObject *
first(PyObject *self, PyObject *list)
{
    return Py_XNewRef(PyList_GetItem(list, 0)); // !
}
""",
    right="""
static PyObject *
look_up(PyObject *self, PyObject *key)
{
    PyObject *value;
    if (PyDict_GetItem(cache, key) != NULL) {
        count();
    }
    if (PyDict_GetItemRef(cache, key, &value) < 0) {
        return NULL;
    }
    return value;
}
static PyObject *
first(PyObject *self, PyObject *args, PyObject *kwargs)
{
    PyObject *list = PyList_New(1);
    use(PyList_GET_ITEM(list, 0));
    use(PyDict_GetItemString(kwargs, "name"));
    return list;
}
static PyObject *
locked(PyObject *self, PyObject *list)
{
    PyObject *item;
    Py_BEGIN_CRITICAL_SECTION(list);
    item = Py_NewRef(PyList_GET_ITEM(list, 0));
    Py_END_CRITICAL_SECTION();
    return item;
}
""",
)
def borrowed_reference(source: Source) -> Iterator[Found]:
    """An object behind a borrowed reference may be freed before it is used or gets a strong reference."""
    for function in source.functions:
        fast = _fast_sequences(function)
        for event in function.later_events:
            if event.kind != "call" or event.name not in BORROWING:
                continue
            if not event.arguments:
                continue
            container = event.arguments[0]
            if event.name not in BORROWS_FROM_INTERPRETER:
                root = function.flow.root(container)
                if strip(container).text in fast or root in fast:
                    continue  # sequence-fast-unlocked
                if root == "args" and event.name.startswith("PySequence_Fast"):
                    continue  # the tuple of positional arguments
                if is_private(function, container, event.node) or is_frozen(function, container):
                    continue
                if function.locks_object(event.state, root):
                    continue
                if function.roles & ENDING:
                    continue
            if is_only_compared(function, event.node):
                continue
            at_once = _taken_at_once(function, event.node)
            what = "another thread may free it before it is used"
            if at_once:
                what = "another thread may free it before the reference is taken"
            whose = (
                ""
                if event.name in BORROWS_FROM_INTERPRETER
                else f" from '{strip(container).text[:40]}'"
            )
            yield Found(
                event.node,
                f"{event.name}() borrows{whose}: {what}",
                f"call {BORROWING[event.name]}, which returns a strong reference",
                "error" if at_once else None,
            )


def _taken_at_once(function: Function, call: Node) -> bool:
    """Tell whether the next step takes a reference to the borrowed object."""
    if _is_incref(call.used_in("argument_list")):
        return True
    name = variable_given(call)
    for node in function.names.get(name, ()):
        if node.start <= call.end or is_comparison(node):
            continue
        return _is_incref(node.used_in("argument_list"))
    return False


def _is_incref(node: Node | None) -> bool:
    return node is not None and node.kind == "call_expression" and called_name(node) in INCREF


@rule(
    "warning",
    source="https://docs.python.org/3/c-api/dict.html#c.PyDict_Next",
    help="put Py_BEGIN_CRITICAL_SECTION(dict) and Py_END_CRITICAL_SECTION() around the loop, or iterate over a copy",
    wrong="""
static PyObject *
total(PyObject *self, PyObject *dict)
{
    Py_ssize_t position = 0;
    PyObject *key, *value;
    while (PyDict_Next(dict, &position, &key, &value)) { // !
        add(value);
    }
    Py_RETURN_NONE;
}
""",
    right="""
static PyObject *
total(PyObject *self, PyObject *dict, PyObject *kwargs)
{
    Py_ssize_t position = 0;
    PyObject *key, *value;
    Py_BEGIN_CRITICAL_SECTION(dict);
    while (PyDict_Next(dict, &position, &key, &value)) {
        add(value);
    }
    Py_END_CRITICAL_SECTION();
    PyObject *copy = PyDict_Copy(dict);
    while (PyDict_Next(copy, &position, &key, &value)) {
        add(value);
    }
    while (PyDict_Next(kwargs, &position, &key, &value)) {
        add(value);
    }
    Py_RETURN_NONE;
}
""",
)
def dict_next_unlocked(source: Source) -> Iterator[Found]:
    """PyDict_Next() takes no lock: it reads freed memory if another thread changes the dict."""
    for function in source.functions:
        if function.roles & ENDING:
            continue
        for event in function.later_events:
            if event.kind == "call" and event.name in {
                "PyDict_Next",
                "_PyDict_Next",
                "_PySet_NextEntry",
            }:
                if not event.arguments or is_frozen(function, event.arguments[0]):
                    continue
                if is_private(function, event.arguments[0], event.node):
                    continue
                root = function.flow.root(event.arguments[0])
                if not function.locks_object(event.state, root):
                    yield Found(
                        event.node,
                        f"{event.name}() iterates over {strip(event.arguments[0]).text[:40]} without a lock on it",
                    )


FAST = {"PySequence_Fast_ITEMS", "PySequence_Fast_GET_ITEM", "PySequence_Fast_GET_SIZE"}


def _fast_sequences(function: Function) -> dict[str, Node]:
    """Return the variables that hold a result of PySequence_Fast(), each with its argument."""
    found = {}
    for name, values in function.values.items():
        for value in values:
            if value.kind == "call_expression" and called_name(value) == "PySequence_Fast":
                arguments = call_arguments(value)
                if arguments:
                    found[name] = arguments[0]
    return found


@rule(
    "warning",
    source="https://docs.python.org/3/c-api/synchronization.html#c.Py_BEGIN_CRITICAL_SECTION_SEQUENCE_FAST",
    help="put Py_BEGIN_CRITICAL_SECTION_SEQUENCE_FAST(original) around it (before 3.15, a section on the original), "
    "or make a copy with PySequence_Tuple()",
    wrong="""
static PyObject *
total(PyObject *self, PyObject *arg)
{
    PyObject *fast = PySequence_Fast(arg, "not a sequence");
    for (Py_ssize_t i = 0; i < PySequence_Fast_GET_SIZE(fast); i++) { // !
        add(PySequence_Fast_GET_ITEM(fast, i));
    }
    Py_DECREF(fast);
    Py_RETURN_NONE;
}
static PyObject *
other(PyObject *self, PyObject *arg)
{
    PyObject *fast = PySequence_Fast(arg, "not a sequence");
    Py_BEGIN_CRITICAL_SECTION_SEQUENCE_FAST(fast);
    add_all(PySequence_Fast_ITEMS(fast)); // !
    Py_END_CRITICAL_SECTION_SEQUENCE_FAST();
    Py_DECREF(fast);
    Py_RETURN_NONE;
}
""",
    right="""
static PyObject *
total(PyObject *self, PyObject *arg)
{
    PyObject *fast = PySequence_Fast(arg, "not a sequence");
    Py_BEGIN_CRITICAL_SECTION_SEQUENCE_FAST(arg);
    for (Py_ssize_t i = 0; i < PySequence_Fast_GET_SIZE(fast); i++) {
        add(PySequence_Fast_GET_ITEM(fast, i));
    }
    Py_END_CRITICAL_SECTION_SEQUENCE_FAST();
    Py_DECREF(fast);
    PyObject *tuple = PySequence_Tuple(arg);
    add(PySequence_Fast_GET_ITEM(tuple, 0));
    Py_RETURN_NONE;
}
""",
)
def sequence_fast_unlocked(source: Source) -> Iterator[Found]:
    """PySequence_Fast() returns a list itself, not a copy: another thread may change it during the loop."""
    for function in source.functions:
        seen = set()
        fast = _fast_sequences(function)
        for event in function.later_events:
            if event.kind != "call" or event.name not in FAST or not event.arguments:
                continue
            name = strip(event.arguments[0]).text
            original = fast.get(name)
            if original is None or name in seen:
                continue
            if strip(original).kind == "call_expression" or is_private(
                function, original, event.node
            ):
                continue
            root = function.flow.root(original)
            on_result = any(
                name in lock.objects or function.flow.root(event.arguments[0]) in lock.objects
                for lock in event.state.locks
            )
            if not on_result and function.locks_object(event.state, root):
                continue
            if function.held or (function.clinic_locks and root in function.clinic_locks):
                continue
            seen.add(name)
            how = f"locked on {name} and not on {root[:40]}" if on_result else "without a lock"
            yield Found(event.node, f"{event.name}() reads {root[:40]} {how}")


@rule(
    "warning",
    source="https://docs.python.org/3/c-api/object.html#c.PyUnstable_Object_IsUniquelyReferenced",
    help="use PyUnstable_Object_IsUniquelyReferenced(), new in 3.14",
    ignore="the object was created in this function and no other thread can have it",
    wrong="""
static PyObject *
append(PyObject *self, PyObject *value)
{
    if (Py_REFCNT(value) == 1) { // !
        change_in_place(value);
    }
    value->ob_refcnt++; // !
    Py_SET_REFCNT(value, 1); // !
    Py_RETURN_NONE;
}
""",
    right="""
static PyObject *
append(PyObject *self, PyObject *value)
{
    assert(Py_REFCNT(value) == 1);
#ifdef Py_GIL_DISABLED
    if (PyUnstable_Object_IsUniquelyReferenced(value)) {
#else
    if (Py_REFCNT(value) == 1) {
#endif
        change_in_place(value);
    }
    Py_RETURN_NONE;
}
""",
)
def unique_reference(source: Source) -> Iterator[Found]:
    """Without the GIL, a reference count has two parts: 1 does not mean that no other thread has the object."""
    for call in source.nodes("call_expression"):
        name = called_name(call)
        if name in {"Py_REFCNT", "Py_SET_REFCNT"} and _in_assert(call):
            continue
        if name == "Py_SET_REFCNT":
            yield Found(
                call,
                "Py_SET_REFCNT() overwrites the references that other threads count",
                "Py_INCREF() and Py_DECREF()",
                "error",
            )
        elif name == "Py_REFCNT":
            parent = call.used_in()
            if (
                parent is not None
                and parent.kind == "binary_expression"
                and parent.op in {"==", "!=", ">", "<", ">=", "<="}
            ):
                if re.search(r"(==|!=|[<>]=?) ?[12]$|^[12] ?(==|!=|[<>]=?)", parent.text):
                    yield Found(
                        call,
                        f"{parent.text[:60]} does not show that no other thread has the object",
                    )
    for node in source.nodes("field_expression"):
        field = node.get("field")
        if field is not None and field.text == "ob_refcnt" and not _in_assert(node):
            outer = node.parent
            writes = outer is not None and (
                outer.kind == "update_expression"
                or (outer.kind == "assignment_expression" and outer.get("left") is node)
            )
            yield Found(
                node,
                f"ob_refcnt is {'written' if writes else 'read'} directly",
                "Py_INCREF() and Py_DECREF()" if writes else "",
                "error" if writes else None,
            )


def _in_assert(node: Node) -> bool:
    outer = node.up("call_expression")
    while outer is not None:
        if "assert" in called_name(outer).lower():
            return True
        outer = outer.up("call_expression")
    return False


STEALS = re.compile(
    r"Py(Tuple|List)_(SET_ITEM|SetItem)|PyModule_AddObject|PyErr_Restore|PyErr_SetRaisedException|PyException_Set\w+"
    r"|Py_BuildValue|PyStructSequence_\w+|Py_DecRef|\w*[Ff]ree\w*|\w*[Ss]teal\w*|\w*release\w*|\w*DECREF\w*|\w*CLEAR\w*|\w*SETREF\w*"
    r"|\w*[Uu]nref\w*|\w*dealloc\w*|\w*[Tt]ake\w*"
)


@rule(
    "warning",
    source="https://docs.python.org/3/c-api/dict.html#c.PyDict_GetItemRef",
    help="call Py_XDECREF() on every exit, after its last use",
    wrong="""
static int
has(PyObject *dict, PyObject *key)
{
    PyObject *value;
    if (PyDict_GetItemRef(dict, key, &value) < 0) { // !
        return -1;
    }
    return value != NULL && PyLong_AsLong(value) > 0;
}
""",
    right="""
static int
has(PyObject *dict, PyObject *key)
{
    PyObject *value;
    if (PyDict_GetItemRef(dict, key, &value) < 0) {
        return -1;
    }
    int result = value != NULL && PyLong_AsLong(value) > 0;
    Py_XDECREF(value);
    return result;
}
static PyObject *
get(PyObject *list)
{
    PyObject *item = PyList_GetItemRef(list, 0);
    return item;
}
""",
)
def reference_not_released(source: Source) -> Iterator[Found]:
    """A strong reference that replaced a borrowed one must be released: if not, the object leaks."""
    for function in source.functions:
        for event in function.events:
            if event.kind != "call":
                continue
            if event.name in REFERENCE_RETURNED:
                name = variable_given(event.node)
            elif event.name in REFERENCE_OUT:
                position = REFERENCE_OUT[event.name]
                argument = (
                    event.arguments[position] if 0 <= position < len(event.arguments) else None
                )
                if argument is None or argument.kind != "pointer_expression":
                    continue
                inner = strip(argument)
                name = inner.text if inner.kind == "identifier" else ""
            else:
                continue
            if not name or name in function.parameters or name not in function.flow.types:
                continue
            if name in function.flow.statics or not _is_kept(function, name, event):
                if name and name not in function.flow.statics:
                    yield Found(
                        event.node,
                        f"{name}, a strong reference from {event.name}(), is never released",
                    )


def _is_kept(function: Function, name: str, event: Event) -> bool:
    """Tell whether a reference is released, returned or stored anywhere in a function."""
    for node in function.names.get(name, ()):
        if event.node.start <= node.start < event.node.end:
            continue
        parent = node.used_in()
        if parent is None:
            return True
        if parent.kind in {
            "return_statement",
            "conditional_expression",
            "initializer_list",
            "init_declarator",
            "comma_expression",
        }:
            if parent.kind != "conditional_expression" or parent.get("condition") is not node:
                return True
        if parent.kind == "assignment_expression" and parent.get("right") is not None:
            right = parent.get("right")
            if right is not None and right.start <= node.start:
                return True
        if parent.kind == "pointer_expression":
            return True
        if parent.kind == "argument_list" and parent.parent is not None:
            called = called_name(parent.parent)
            if (
                DECREF.fullmatch(called)
                or STEALS.fullmatch(called)
                or not called.startswith(("Py", "_Py"))
            ):
                return True
    return False

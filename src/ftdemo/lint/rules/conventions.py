"""ftdemo's own conventions, which other projects may adopt: `--select conventions`."""

import ast
import re
from collections.abc import Iterator

from ftdemo.lint.flow import call_arguments, called_name, declared_name
from ftdemo.lint.names import DECREF, DEFINITIONS, SECTION_BEGIN
from ftdemo.lint.rules.rule import Found, rule
from ftdemo.lint.source import HEAD, Source
from ftdemo.lint.tree import Node

LEVELS = "incompatible|compatible|safe on distinct objects|safe on shared objects|atomic"
GUARANTEE = re.compile(rf"\bThread safety: ({LEVELS})([,;][^.]*)?\.$")
GUARDED = re.compile(r"guarded by:|constant after|written by", re.IGNORECASE)
# The position of the docstring in a row.
DOC_INDEX = {"PyMethodDef": 3, "PyGetSetDef": 3, "PyMemberDef": 4}
# The part of Python's API that is allowed in a section. None of it runs Python code.
FINE = re.compile(
    r"Py_(MAX|MIN|X?INCREF|X?NewRef)|PyLong_From\w+|Py_(BEGIN|END)_CRITICAL_SECTION\w*|Py_\w+_CAST"
    r"|PyObject_GetTypeData|PyUnstable_\w+|Py\w+_(GET_SIZE|GET_ITEM|CHECK|Check|CheckExact)|PyList_GetItemRef"
)


@rule(
    "warning",
    group="conventions",
    source="csrc/ready",
    help='add a comment "guarded by: ..." or "constant after ..."',
    wrong="""
typedef struct {
    PyObject_HEAD
    long count; // !
} Counter;
""",
    right="""
typedef struct {
    PyObject_HEAD
    long count; /* guarded by: critical section on self */
    long limit; /* constant after counter_new() */
    PyMutex mutex;
} Counter;
""",
)
def guard_unsaid(source: Source) -> Iterator[Found]:
    """A mutable field has no comment that names its lock, or says why it needs none."""
    for struct in source.nodes("struct_specifier"):
        body = struct.get("body")
        fields = (
            [c for c in body.children if c.kind == "field_declaration"] if body is not None else []
        )
        owner = struct.parent
        names = (
            [declared_name(c) for c in owner.children if c is not struct]
            if owner is not None
            else []
        )
        of = struct.get("name")
        names += [of.text] if of is not None else []
        first = fields[0].get("type") if fields else None
        is_object = first is not None and bool(HEAD.fullmatch(first.text))
        if not is_object and not any(name.endswith("module_state") for name in names):
            continue
        whole = owner if owner is not None and owner.kind == "type_definition" else struct
        if _said(source, source.line(whole.start), source.line(whole.start)):
            continue
        for field in fields:
            of = field.get("type")
            kind = of.text if of is not None else ""
            if HEAD.fullmatch(kind) or kind in {"mutex_t", "PyMutex"}:
                continue
            named = [c for c in field.children if c is not of and declared_name(c)]
            constant = named and re.search(r"\*\s*const\b", field.text)
            if (
                named
                and not constant
                and not _said(source, source.line(field.start), source.line(field.end))
            ):
                yield Found(field, f"no comment says what guards {declared_name(named[0])}")


def _said(source: Source, first: int, last: int) -> bool:
    """Tell whether a comment on these lines, or directly above them, names the lock."""
    return any(
        GUARDED.search(" ".join(comment.text.split()))
        for comment in source.text.comments
        if comment.line == last or (comment.alone and comment.end_line == first - 1)
    )


def _string(node: Node) -> str:
    parts = []
    for literal in node.walk():
        if literal.kind == "string_literal":
            try:
                parts.append(str(ast.literal_eval(literal.text)))
            except (SyntaxError, ValueError):
                parts.append(literal.text)
    return "".join(parts)


def _docs(source: Source) -> Iterator[tuple[Node, Node, str]]:
    """Yield the row and the docstring of each method, attribute and type, and its expected start."""
    variables: dict[str, Node] = {}
    for call in source.nodes("call_expression", "macro_type_specifier"):
        if called_name(call) == "PyDoc_STRVAR":
            arguments = call_arguments(call)
            if len(arguments) == 2:
                variables[arguments[0].text] = arguments[1]
    for kind, _, rows in source.tables:
        for row in rows:
            items = row.children
            if (
                kind in {"PyType_Slot", "PySlot"}
                and len(items) == 2
                and items[0].text == "Py_tp_doc"
            ):
                doc, start = items[1], r"\w+\(.*\)\n--\n\n"
            elif (
                kind in DOC_INDEX
                and items
                and items[0].kind in {"string_literal", "initializer_pair"}
            ):
                doc = items[DOC_INDEX[kind]] if len(items) > DOC_INDEX[kind] else row
                start = rf"{_string(items[0])}\(.*\)\n--\n\n" if kind == "PyMethodDef" else ""
            else:
                continue
            words = [n.text for n in doc.walk() if n.kind == "identifier"]
            yield row, variables.get(words[-1], doc) if words else doc, start


@rule(
    "warning",
    group="conventions",
    source="docs/guarantees.md; CPython Doc/library/threadsafety.rst",
    help=f'end it with "Thread safety: LEVEL.", where LEVEL is one of {LEVELS.replace("|", ", ")}',
    wrong=r"""
PyDoc_STRVAR(doc, "f($self, /)\n--\n\nA.");
static PyMethodDef methods[] = {
    {"f", f, METH_O, doc}, // !
    {NULL, NULL, 0, NULL},
};
""",
    right=r"""
PyDoc_STRVAR(doc, "f($self, /)\n--\n\nA. Thread safety: atomic.");
static PyMethodDef methods[] = {
    {"f", f, METH_O, doc},
    {NULL, NULL, 0, NULL},
};
""",
)
def guarantee_unsaid(source: Source) -> Iterator[Found]:
    """A docstring lacks the signature, which inspect reads, or the thread safety level at its end."""
    for row, doc, start in _docs(source):
        text = _string(doc)
        if not re.match(start, text):
            yield Found(row, f"the docstring does not begin with {start!r}")
        elif not GUARANTEE.search(" ".join(text.split())):
            yield Found(row, "the docstring does not end with its thread safety level")


@rule(
    "warning",
    group="conventions",
    source="csrc/ready",
    help="convert and check arguments before the section; raise and release after it",
    wrong="""
static PyObject *
f(PyObject *self, PyObject *arg)
{
    Py_BEGIN_CRITICAL_SECTION(self);
    PyErr_SetString(PyExc_ValueError, "a"); // !
    Py_END_CRITICAL_SECTION();
    return NULL;
}
""",
    right="""
static PyObject *
f(PyObject *self, PyObject *arg)
{
    PyObject *result;
    Py_BEGIN_CRITICAL_SECTION(self);
    result = PyLong_FromLong(take(self));
    Py_END_CRITICAL_SECTION();
    return result;
}
""",
)
def section_not_plain(source: Source) -> Iterator[Found]:
    """A critical section calls an API that could run Python code, even if this call does not."""
    for function in source.functions:
        for event in function.events:
            inside = any(lock.kind == "section" for lock in event.state.locks)
            if event.kind == "lock" and inside and not SECTION_BEGIN.fullmatch(event.name):
                yield Found(event.node, f"{event.name}() is called in a section")
            if event.kind == "call" and inside and event.name.startswith(("Py", "_Py")):
                if not FINE.fullmatch(event.name) or DECREF.fullmatch(event.name):
                    yield Found(event.node, f"{event.name}() is called in a section")


@rule(
    "warning",
    group="conventions",
    source="csrc/ready",
    help="keep it in the module's state",
    wrong="""
static int calls; // !
static const char *name = "a"; // !
""",
    right="""
static const char *const name = "a";
static PyMethodDef methods[] = {{NULL}};
""",
)
def static_not_const(source: Source) -> Iterator[Found]:
    """A static is mutable. State belongs to the module or an object; definitions for CPython may be static."""
    for variable in source.variables:
        definition = bool(DEFINITIONS.fullmatch(variable.type)) and not variable.is_pointer
        if not (variable.is_const or definition or "extern" in variable.words):
            yield Found(variable.declarator, f"{variable.name} is not const")

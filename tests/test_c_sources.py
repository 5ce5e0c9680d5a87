"""csrc/ready keeps its rules for locks, references, state and docs: a lint with a C parser.

It sees one file at a time, and looks into the functions and macros that the file itself defines.
"""

import ast
import re
from collections import defaultdict
from pathlib import Path

import pytest

READY = Path(__file__).parent.parent / "csrc" / "ready"
SOURCES = sorted(READY.glob("*.[ch]"))

# What takes a lock, and what gives it back.
SECTION = {
    "Py_BEGIN_CRITICAL_SECTION": "Py_END_CRITICAL_SECTION",
    "Py_BEGIN_CRITICAL_SECTION2": "Py_END_CRITICAL_SECTION2",
    "Py_BEGIN_CRITICAL_SECTION_MUTEX": "Py_END_CRITICAL_SECTION",
    "Py_BEGIN_CRITICAL_SECTION2_MUTEX": "Py_END_CRITICAL_SECTION2",
}
MUTEX = {"mutex_lock": "mutex_unlock", "PyMutex_Lock": "PyMutex_Unlock"}
LOCKS = SECTION | MUTEX

# What of Python's API may be used under a lock. None of it runs Python code; add only such.
ANYWHERE = {"Py_MAX", "Py_MIN"}
IN_A_SECTION = {"Py_INCREF", "Py_NewRef", "Py_XINCREF", "Py_XNewRef", "PyLong_FromLongLong"}
FINE_IN_A_SECTION = ANYWHERE | IN_A_SECTION | set(SECTION.values())
FINE_UNDER_A_MUTEX = ANYWHERE | {"Py_BEGIN_ALLOW_THREADS"} | set(MUTEX.values())

BORROWING = re.compile(
    "PyCell_GET|PyDict_(GetItem|GetItemString|GetItemWithError|Next|SetDefault)"
    "|PyEval_Get(Builtins|Frame|Globals|Locals)|PyImport_AddModule(Object)?"
    "|PyList_(GET_ITEM|GetItem)|PySequence_Fast_(GET_ITEM|ITEMS)|PySys_GetObject"
    "|PyThreadState_GetDict|PyWeakref_(GET_OBJECT|GetObject)"
)
# Where the doc stands in a row. These and the definitions CPython takes as not const.
DOC_INDEX = {"PyMethodDef": 3, "PyGetSetDef": 3, "PyMemberDef": 4}
DEFINITIONS = {"PyModuleDef", "PyModuleDef_Slot", "PySlot", "PyType_Slot", "PyType_Spec"}
LEVELS = "incompatible|compatible|safe on distinct objects|safe on shared objects|atomic"
GUARANTEE = re.compile(rf"\bThread safety: ({LEVELS})([,;][^.]*)?\.$")
GUARDED = re.compile(r"guarded by:|constant after|written by", re.IGNORECASE)
HEADS = {"OBJECT_HEAD", "PyObject_HEAD"}

# Macros that stand without a semicolon, and what makes them C.
BARE = dict.fromkeys(HEADS, b";") | dict.fromkeys(
    ["Py_BEGIN_ALLOW_THREADS", "Py_END_ALLOW_THREADS"], b"();"
)
NAMES = {"identifier", "field_identifier", "type_identifier"}
EXITS = {"return_statement", "goto_statement"}
LOOPS = {"for_statement", "while_statement", "do_statement"}
OPTIONAL = {"if_statement", "for_statement", "while_statement", "preproc_if", "preproc_ifdef"}
ALTERNATIVES = {"else_clause", "case_statement", "preproc_else", "preproc_elif"}


def parse(code):
    """Parse C with bare macros, and with #if in initializers, which the grammar does not know.

    A first parse finds the tokens to add a semicolon to or to drop; no line moves.
    """
    tree_sitter = pytest.importorskip("tree_sitter")
    grammar = pytest.importorskip("tree_sitter_c")
    parser = tree_sitter.Parser(tree_sitter.Language(grammar.language()))
    tokens = [node for node in walk(parser.parse(code).root_node) if not node.children]
    for token in reversed(tokens):
        start, end = token.start_byte, token.end_byte
        if token.type in NAMES and text(token) in BARE and not code[end:].startswith(b";"):
            code = code[:end] + BARE[text(token)] + code[end:]
        elif token.type.startswith(("#", "preproc")) and ancestor(token, {"initializer_list"}):
            code = code[:start] + code[code.index(b"\n", start) :]
    return parser.parse(code).root_node


class Source:
    """The nodes of a file in their order, and of its functions and macros by name."""

    def __init__(self, code):
        self.nodes = list(walk(parse(code)))
        self.functions = [node for node in self.nodes if node.type == "function_definition"]
        self.macros = defaultdict(list)
        for node in self.nodes:
            if node.type in {"preproc_def", "preproc_function_def"}:
                value = node.child_by_field_name("value")
                body = b"\n" * node.start_point.row + (value.text if value else b"") + b"\n"
                self.macros[text(node.child_by_field_name("name"))] += walk(parse(body))

    def follow(self, locks):
        for function in self.functions:
            yield from follow(function, locks)

    def under(self, locks):
        """Give all nodes that run under such a lock, those of what is called there as well."""
        bodies = self.macros.copy()
        for function in self.functions:
            bodies[name_of(function)] = [*bodies[name_of(function)], *walk(function)]
        nodes = [node for lock, node in self.follow(locks) if lock]
        for node in nodes:  # the list grows
            nodes += bodies.pop(called(node), [])
        return nodes


def walk(node):
    yield node
    for child in node.children:
        yield from walk(child)


def follow(node, locks, lock=None):
    """Yield all nodes, each with the call that took the lock it runs under, or None.

    After a branch that may leave it held, a lock counts as held.
    """
    yield lock, node
    after = lock
    for child in node.children:
        if child.type in ALTERNATIVES:
            after = (yield from follow(child, locks, lock)) or after
        else:
            after = yield from follow(child, locks, after)
    if node.type in OPTIONAL and not any(child.type in ALTERNATIVES for child in node.children):
        after = after or lock
    if called(node) in locks:
        return node
    return None if called(node) in locks.values() else after


def text(node):
    return node.text.decode()


def line(node):
    return node.start_point.row + 1


def called(node):
    """Give what a call calls, as it is written; None for all other nodes."""
    return text(node.child_by_field_name("function")) if node.type == "call_expression" else None


def ancestor(node, types):
    while node is not None and node.type not in types:
        node = node.parent
    return node


def declarators(node):
    """Yield what a declarator is made of, from the outside in; the name is last."""
    while node is not None:
        yield node
        inner = node.named_children[-1] if node.type == "parenthesized_declarator" else None
        node = node.child_by_field_name("declarator") or inner


def name_of(node):
    *_, name = declarators(node)
    return text(name)


def shape_of(declarator):
    """Give the pointer or function that the name itself is (const char *p: a pointer), or None."""
    shapes = {"pointer_declarator", "function_declarator"}
    return ([None] + [node for node in declarators(declarator) if node.type in shapes])[-1]


def type_of(declaration):
    return text(declaration.child_by_field_name("type")).removeprefix("struct ")


def is_const(declaration, declarator):
    return "const" in map(text, (shape_of(declarator) or declaration).children)


def string(node):
    return "".join(ast.literal_eval(text(n)) for n in walk(node) if n.type == "string_literal")


# The rules. Each yields what breaks it: the line, and what is wrong there.


def parses(source):
    """What the parser does not understand, the other rules do not see."""
    for node in source.nodes:
        if node.is_error or node.is_missing:
            yield line(node), f"the parser stumbles at {text(node)[:40]!r}"


def no_jump_out(source):
    """A lock has one exit, its end: no return, goto, break or continue leaves it."""

    def jumps(node, lock):
        if node.type in {"break_statement", "continue_statement"}:
            switch = {"switch_statement"} if node.type == "break_statement" else set()
            return ancestor(node, LOOPS | switch).start_byte < lock.start_byte
        if node.type == "identifier":
            in_macro = {inner.type for inner in source.macros.get(text(node), [])}
            return text(node).startswith("Py_RETURN_") or in_macro & EXITS
        return node.type in EXITS

    for locks in (SECTION, MUTEX):
        for lock, node in source.follow(locks):
            if lock and jumps(node, lock):
                yield line(node), f"{text(node)} leaves {called(lock)}"


def locks_pair(source):
    """A lock ends in the function it begins in, a section in the same block."""
    for locks in (SECTION, MUTEX):
        for lock, node in source.follow(locks):
            if text(node) in {*locks, *locks.values()} and node.type in NAMES:
                if ancestor(node, {"call_expression"}) is None:
                    yield line(node), f"{text(node)} needs a semicolon"
            elif lock and node.type == "}" and node.parent.parent.type == "function_definition":
                yield line(lock), f"{called(lock)} without {locks[called(lock)]}"
            elif called(node) in locks.values():
                same_block = lock and (locks is MUTEX or node.parent.parent == lock.parent.parent)
                if not same_block or called(node) != locks[called(lock)]:
                    yield line(node), f"{called(node)} does not end what begins in its block"


def calls_of_python(nodes, fine):
    for node in nodes:
        name = called(node)
        indirect = name is not None and not name.isidentifier()
        if indirect or (name not in fine and (name or "").startswith(("Py", "_Py", *LOCKS))):
            yield line(node), name


def no_python_in_a_section(source):
    """Python code, another lock and detaching may suspend the section."""
    for where, name in calls_of_python(source.under(SECTION), FINE_IN_A_SECTION):
        yield where, f"{name} may suspend the critical section"


def no_python_under_a_mutex(source):
    """Python code may want the same lock; attaching may wait for whoever does."""
    for where, name in calls_of_python(source.under(MUTEX), FINE_UNDER_A_MUTEX):
        yield where, f"{name} under a lock of one's own"


def lock_held_is_true(source):
    """A function named *_lock_held is called under a lock, and takes none."""
    held = {node for locks in (SECTION, MUTEX) for lock, node in source.follow(locks) if lock}
    for function in source.functions:
        inside = name_of(function).endswith("_lock_held")
        for node in walk(function):
            name = called(node) or ""
            if inside and name in LOCKS:
                yield line(node), f"{name_of(function)} takes a lock"
            if name.endswith("_lock_held") and not inside and node not in held:
                yield line(node), f"{name} is called without a lock"


def names(source):
    for nodes in (source.nodes, *source.macros.values()):
        yield from ((line(node), text(node)) for node in nodes if node.type in NAMES)


def no_borrowed_references(source):
    """What a borrowed reference refers to, another thread may free."""
    for where, name in names(source):
        if BORROWING.fullmatch(name):
            yield where, f"{name} gives a borrowed reference"


def no_ob_mutex(source):
    """An object's own lock is for critical sections alone."""
    for where, name in names(source):
        if name == "ob_mutex":
            yield where, "ob_mutex is CPython's own"


def no_mutable_static(source):
    """State is the module's or an object's; all interpreters and threads share a static."""
    for node in source.nodes:
        local = ancestor(node, {"function_definition"}) and "static" not in map(text, node.children)
        if node.type != "declaration" or local:
            continue
        for declarator in node.children_by_field_name("declarator"):
            shape = shape_of(declarator)
            definition = shape is None and type_of(node) in {*DEFINITIONS, *DOC_INDEX}
            prototype = shape is not None and shape.type == "function_declarator"
            if not (definition or prototype or is_const(node, declarator)):
                yield line(declarator), f"{name_of(declarator)} is a mutable static"


def comments_on(source, node):
    """Yield the comments on the line where node ends, and those that end right above it."""
    for comment in (other for other in source.nodes if other.type == "comment"):
        before = comment.prev_sibling
        alone = before is None or before.end_point.row < comment.start_point.row
        above = alone and comment.end_point.row == node.start_point.row - 1
        if above or comment.start_point.row == node.end_point.row:
            yield " ".join(text(comment).split())


def fields_say_their_guard(source):
    """What guards a field that can change, or why nothing need to, a comment says."""
    for struct in (node for node in source.nodes if node.type == "struct_specifier"):
        fields = [node for node in walk(struct) if node.type == "field_declaration"]
        is_object = fields and type_of(fields[0]) in HEADS
        if not (is_object or (fields and name_of(struct.parent) == "module_state")):
            continue
        for field in fields:
            said = [*comments_on(source, field), *comments_on(source, struct.parent)]
            needs_none = type_of(field) in {*HEADS, "mutex_t", "PyMutex"}
            if not (needs_none or any(map(GUARDED.search, said))):
                for declarator in field.children_by_field_name("declarator"):
                    if not is_const(field, declarator):
                        yield line(field), f"what guards {name_of(declarator)}?"


def docs(source):
    """Yield the doc of each method, attribute and type, and the pattern of how it begins."""
    calls = [node for node in source.nodes if called(node) == "PyDoc_STRVAR"]
    arguments = [call.child_by_field_name("arguments").named_children for call in calls]
    variables = {text(name): doc for name, doc in arguments}
    for row in (node for node in source.nodes if node.type == "initializer_list"):
        items = [node for node in row.named_children if node.type != "comment"]
        declaration = ancestor(row, {"declaration"})
        index = DOC_INDEX.get(type_of(declaration)) if declaration else None
        if items and text(items[0]) == "Py_tp_doc":
            doc, start = items[1], r"\w+\(.*\)\n--\n\n"
        elif index and items[0].type in {"string_literal", "initializer_pair"}:
            doc = ([*items[index:], row])[0]
            is_method = type_of(declaration) == "PyMethodDef"
            start = rf"{string(items[0])}\(.*\)\n--\n\n" if is_method else ""
        else:
            continue
        words = [text(node) for node in walk(doc) if node.type == "identifier"]
        yield variables.get(words[-1] if words else None, doc), start


def docs_give_their_guarantee(source):
    """A doc begins with its signature, for inspect, and ends with its guarantee to threads."""
    for node, start in docs(source):
        if not re.match(start, string(node)):
            yield line(node), f"the doc does not begin with {start!r}"
        if not GUARANTEE.search(" ".join(string(node).split())):
            yield line(node), f"the doc does not end with Thread safety: {LEVELS}"


# Each rule speaks on the lines marked with exclamation marks, and on no other.
EXAMPLES = {
    no_jump_out: r"""
#define CHECK(x) if ((x) < 0) return NULL
#define COUNT(x) if ((x) < 0) n++
int section(PyObject *op) {
    for (int i = 0; i < n; i++) {
        if (i == 5) continue;
        Py_BEGIN_CRITICAL_SECTION(op);
        while (more()) { if (a) break; else continue; }
        switch (i) {
        case 1: break;
        case 2: return 0;  // !
        case 3: goto done;  // !
        case 4: continue;  // !
        default: Py_RETURN_NONE;  // !
        }
        CHECK(i);  // !
        COUNT(i);
        if (i) break;  // !
        Py_END_CRITICAL_SECTION();
        CHECK(i);
        if (i) break;
    }
done:
    return n;
}
int mutex(Object *self) {
    mutex_lock(&self->mutex);
    if (a) { mutex_unlock(&self->mutex); return 1; }
    else if (b) { return 2; }  // !
    mutex_unlock(&self->mutex);
    return 3;
}
""",
    locks_pair: r"""
void good(PyObject *op) {
    mutex_lock(m);
    if (a) { mutex_unlock(m); } else { mutex_unlock(m); }
    Py_BEGIN_CRITICAL_SECTION_MUTEX(m); f(); Py_END_CRITICAL_SECTION();
}
void no_end(PyObject *op) { Py_BEGIN_CRITICAL_SECTION(op); f(); }  // !
void no_begin(PyObject *op) { f(); Py_END_CRITICAL_SECTION(); }  // !
void other_end(PyObject *op) {
    Py_BEGIN_CRITICAL_SECTION2(op, op);
    Py_END_CRITICAL_SECTION();  // !
}
void other_block(PyObject *op) {
    if (a) { Py_BEGIN_CRITICAL_SECTION(op); }
    Py_END_CRITICAL_SECTION();  // !
}
void bare(PyObject *op) {
    Py_BEGIN_CRITICAL_SECTION(op)  // !
    f();
}
void one_way_only(void) { PyMutex_Lock(m); if (a) { PyMutex_Unlock(m); } }  // !
void twice(void) { mutex_lock(m); mutex_unlock(m); mutex_unlock(m); }  // !
""",
    no_python_in_a_section: r"""
#define SET(x, y) Py_XSETREF(x, y)  // !
void helper(PyObject *op) { Py_DECREF(op); }  // !
void not_called_there(PyObject *op) { Py_DECREF(op); }
void section(PyObject *op) {
    PyObject_Str(op);
    Py_BEGIN_CRITICAL_SECTION(op);
    self->next = PyLong_FromLongLong(Py_MIN(1, 2));
    old = Py_NewRef(self->old);
    // Py_DECREF(op);
    helper(op);
    SET(self->a, op);
    Py_CLEAR(self->a);  // !
    if (PyDict_SetItem(d, k, v) < 0) { PyErr_Clear(); }  // ! !
    type->tp_repr(op);  // !
    mutex_lock(&self->mutex);  // !
    Py_BEGIN_ALLOW_THREADS  // !
    native(op);
    Py_END_ALLOW_THREADS  // !
    Py_BEGIN_CRITICAL_SECTION(other);  // !
    Py_END_CRITICAL_SECTION();
    Py_XDECREF(old);
}
""",
    no_python_under_a_mutex: r"""
void add_lock_held(Object *self) { Py_INCREF(self->a); }  // !
void mutex(Object *self) {
    Py_INCREF(self);
    mutex_lock(&self->mutex);
    if (large) {
        Py_BEGIN_ALLOW_THREADS
        native(Py_MAX(1, 2));
        mutex_unlock(&self->mutex);
        Py_END_ALLOW_THREADS
        Py_DECREF(self);
        PyMutex_Lock(&self->mutex);
    }
    else { Py_DECREF(self); }  // !
    add_lock_held(self);
    mutex_lock(&self->other);  // !
    PyMutex_Unlock(&self->mutex);
    PyMem_Free(self->b);
}
""",
    lock_held_is_true: r"""
void one_lock_held(void) { two_lock_held(); }
void two_lock_held(void) { mutex_lock(m); Py_BEGIN_CRITICAL_SECTION(op); }  // ! !
void caller(void) {
    one_lock_held();  // !
    Py_BEGIN_CRITICAL_SECTION2(a, b); one_lock_held(); Py_END_CRITICAL_SECTION2();
    PyMutex_Lock(m); while (one_lock_held()) { } PyMutex_Unlock(m);
    one_lock_held();  // !
}
""",
    no_borrowed_references: r"""
#define GET(d, k) Py_XNewRef(PyDict_GetItem(d, k))  // !
void f(void) {
    // PyDict_GetItem(d, k);
    PyDict_GetItemRef(d, k, "PyDict_GetItem");
    PyTuple_GET_ITEM(t, 0);
    x = PyList_GET_ITEM(l, 0);  // !
    function = PySys_GetObject;  // !
}
""",
    no_ob_mutex: r"""
int my_ob_mutex;  // not ob_mutex
void f(PyObject *op) { PyMutex_Lock(&op->ob_mutex); }  // !
#define LOCK(op) PyMutex_Lock(&(op)->ob_mutex)  // !
""",
    no_mutable_static: r"""
PyObject *f(int), *cache;  // !
extern int elsewhere;  // !
static const char *name = "a", *const constant = "b";  // !
static int (*hook)(void);  // !
static PyMethodDef *methods_of;  // !
static const int limit = 1;
static const char *const names[] = {"a"};
static PyMethodDef methods[] = {
#if PY_VERSION_HEX >= 0x030D0000
    {NULL},
#endif
};
extern PyType_Spec spec;
static struct PyModuleDef def = {0};
PyABIInfo_VAR(abi_info);
typedef struct { int a; } pair;
static inline int g(int a) {
    int b = a;
    static int calls;  // !
    static const int step = 1;
    return b;
}
""",
    fields_say_their_guard: r"""
typedef struct {
    OBJECT_HEAD
    int a; /* guarded by: mutex */
    int b;  // !
    // Constant after new().
    int c;
    char *const d;
    const char *e;  // !
    PyMutex mutex;
} Object;
typedef struct { PyObject_HEAD int a; } Short;  // !
typedef struct { int a; } NoObject;
typedef struct { PyObject *a; } module_state;  // !

/* Written by exec() alone. */
typedef struct { PyObject *a; } module_state;
""",
    docs_give_their_guarantee: r"""
PyDoc_STRVAR(good, "f($self, /)\n--\n\n" "A. Thread safety:\n" "safe on shared\n" "objects; b.");
PyDoc_STRVAR(no_end, "f($self, /)\n--\n\nA.");  // !
PyDoc_STRVAR(no_level, "f($self, /)\n--\n\nA. Thread safety: fine.");  // !
PyDoc_STRVAR(not_last, "f($self, /)\n--\n\nA. Thread safety: atomic. B.");  // !
PyDoc_STRVAR(other_name, "g($self, /)\n--\n\nA. Thread safety: atomic.");  // !
PyDoc_STRVAR(type_doc, "A. Thread safety: compatible.");  // !
PyDoc_STRVAR(unused, "A.");
static PyMethodDef methods[] = {
    {"f", f, METH_O, good}, {"f", f, METH_O, no_end}, {"f", f, METH_O, no_level},
    {"f", f, METH_O, not_last}, {"f", f, METH_O, other_name},
    {"f", f, METH_O, NULL},  // ! !
    {NULL, NULL, 0, NULL},
};
static PyGetSetDef getset[] = {
    {"a", a, NULL, PyDoc_STR("A. Thread safety: atomic."), NULL},
    {"b", b, NULL, "#B.", NULL},  // !
};
static PyType_Slot slots[] = {{Py_tp_doc, (void *)type_doc}};
""",
}


def test_the_sources_are_found():
    if not READY.parent.is_dir():
        pytest.skip("the C sources are not beside the tests")
    assert {"account.c", "module.c", "module.h"} <= {path.name for path in SOURCES}


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.name)
@pytest.mark.parametrize("rule", [parses, *EXAMPLES], ids=lambda rule: rule.__name__)
def test_sources_keep_the_rule(rule, path):
    problems = [f"{path.name}:{where}: {what}" for where, what in rule(Source(path.read_bytes()))]
    assert not problems, rule.__doc__


@pytest.mark.parametrize("rule", EXAMPLES, ids=lambda rule: rule.__name__)
def test_the_rule_speaks_where_it_must(rule):
    source = Source(EXAMPLES[rule].encode())
    assert not list(parses(source))
    lines = enumerate(EXAMPLES[rule].splitlines(), 1)
    marked = [number for number, code in lines for _ in range(code.count(" !"))]
    assert sorted(where for where, _ in rule(source)) == marked


@pytest.mark.parametrize("code", ["int f(void) {", "void f(void) { } }", "int a[] = {1 2};", "1 +"])
def test_what_does_not_parse_is_a_problem(code):
    assert list(parses(Source(code.encode())))

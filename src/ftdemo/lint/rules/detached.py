"""Check code between Py_BEGIN_ALLOW_THREADS and its end, and the choice of allocators."""

import re
from collections.abc import Iterator

from ftdemo.lint.flow import Event, strip
from ftdemo.lint.names import ATTACH, DETACH
from ftdemo.lint.rules.rule import Found, rule
from ftdemo.lint.source import Function, Source, struct_name
from ftdemo.lint.tree import Node

NEEDS_NO_THREAD_STATE = re.compile(
    r"PyMem_Raw\w+|PyMutex_\w+|PyThread_\w+|PyGILState_(Ensure|Check|Release)|PyEval_(Restore|Acquire)Thread"
    r"|PyThreadState_(New|Clear|Delete|Swap)|PyOS_(snprintf|vsnprintf|strtol|strtoul|mystr\w+|stricmp|strnicmp|string_to_double_)"
    r"|PyTime_\w+|Py_(MIN|MAX|ABS|CLAMP|CHARMASK|ARRAY_LENGTH|SAFE_DOWNCAST|IS\w+|TO\w+|UNUSED|UNREACHABLE"
    r"|FatalError|HUGE_VAL|UNICODE_\w+|ALIGNED|IsFinalizing|IsInitialized|IsNone|Is|IsTrue|AddPendingCall|TYPE|SIZE|BIT_IS_SET)"
    r"|Py\w+_[A-Z][A-Z0-9_]*|Py_(BEGIN|END)_\w+|Py_(UN)?BLOCK_THREADS|Py(Array|DataType|UFunc|Imaging)\w*|PyInterpreterState_(Get|Head|Main|Next)"
    r"|PyThreadState_(Get|GetUnchecked|GetInterpreter|Next)|PyErr_SetInterrupt\w*|Py_HASH\w*"
)
IS_API = re.compile(
    r"Py[A-Z]\w*|Py_\w+|_Py(Object|Err|Unicode|Bytes|Dict|List|Long|Tuple|Type)_\w+"
)
HOWTO = "https://docs.python.org/3/c-api/threads.html"


@rule(
    "error",
    source=f"{HOWTO}#detaching-the-thread-state-from-extension-code",
    help="move it after Py_END_ALLOW_THREADS, or between Py_BLOCK_THREADS and Py_UNBLOCK_THREADS",
    wrong="""
static PyObject *
read_all(PyObject *self, PyObject *path)
{
    int result;
    Py_BEGIN_ALLOW_THREADS
    result = native_read(PyUnicode_AsUTF8(path)); // !
    if (result < 0) {
        return NULL; // !
    }
    Py_END_ALLOW_THREADS
    Py_RETURN_NONE;
}
""",
    right="""
static PyObject *
read_all(PyObject *self, PyObject *path)
{
    int result;
    const char *name = PyUnicode_AsUTF8(path);
    Py_BEGIN_ALLOW_THREADS
    char *copy = PyMem_RawMalloc(100);
    result = native_read(name);
    if (result < -1) {
        Py_BLOCK_THREADS
        return PyErr_NoMemory();
    }
    PyMem_RawFree(copy);
    Py_END_ALLOW_THREADS
    if (result < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}
""",
)
def python_while_detached(source: Source) -> Iterator[Found]:
    """A detached thread has no thread state: calling the API or returning to Python crashes."""
    for function in source.functions:
        attaches = any(e.kind == "call" and ATTACH.fullmatch(e.name) for e in function.events)
        for event in function.events:
            if event.state.detached < 2:
                continue
            returns = event.kind == "return" and event.state.detached == 2
            if returns and attaches and not _in_lambda(event, function):
                yield Found(
                    event.node, "returns while the thread is detached, after BEGIN_ALLOW_THREADS"
                )
            elif event.kind == "call" and IS_API.fullmatch(event.name):
                if NEEDS_NO_THREAD_STATE.fullmatch(event.name) or ATTACH.fullmatch(event.name):
                    continue
                if DETACH.fullmatch(event.name) or event.name in source.by_name:
                    continue
                if source.is_cpp and event.name in function.flow.types:
                    continue
                yield Found(event.node, f"{event.name}() is called while the thread is detached")


def _in_lambda(event: Event, function: Function) -> bool:
    inside = event.node.up("lambda_expression", "function_definition")
    return inside is not function.node


OBJECT_ALLOCATORS = re.compile(r"PyObject_(Malloc|Calloc|MALLOC|CALLOC)|PyObject_Realloc")
OTHER_ALLOCATORS = re.compile(r"malloc|calloc|PyMem_(Raw)?(Malloc|Calloc|New|MALLOC|NEW)")
PLAIN = {
    "char", "int", "long", "short", "double", "float", "unsigned", "Py_ssize_t", "size_t", "wchar_t", "Py_UCS4", "Py_UCS2",
    "Py_UCS1", "uint8_t", "uint16_t", "uint32_t", "uint64_t", "int8_t", "int16_t", "int32_t", "int64_t", "npy_intp",
}  # fmt: skip


@rule(
    "warning",
    source="https://docs.python.org/3/howto/free-threading-extensions.html#memory-allocation-apis",
    help="use PyMem_Malloc() and PyMem_Free() for data, PyObject_New() or tp_alloc for objects",
    wrong="""
typedef struct {
    PyObject_HEAD
    int a;
} Thing;
static PyObject *
make(PyObject *module, PyObject *arg)
{
    char *buffer = PyObject_Malloc(100); // !
    Thing *thing = (Thing *)malloc(sizeof(Thing)); // !
    return (PyObject *)PyObject_Init(thing, type);
}
""",
    right="""
typedef struct {
    PyObject_HEAD
    int a;
} Thing;
static PyObject *
make(PyObject *module, PyObject *arg)
{
    char *buffer = PyMem_Malloc(100);
    Thing *thing = PyObject_New(Thing, type);
    Thing *other = PyObject_Malloc(sizeof(Thing));
    return (PyObject *)thing;
}
""",
)
def wrong_allocator(source: Source) -> Iterator[Found]:
    """Objects, and nothing else, must come from the object allocator: the garbage collector finds objects in its heap."""
    objects = source.project.objects
    for function in source.functions:
        for event in function.events:
            if event.kind != "call":
                continue
            for_objects = OBJECT_ALLOCATORS.fullmatch(event.name)
            if not for_objects and not OTHER_ALLOCATORS.fullmatch(event.name):
                continue
            kind = _given_to(event, function)
            if for_objects and kind and kind not in objects:
                known = kind in PLAIN or kind in source.project.fields
                if known:
                    yield Found(
                        event.node, f"{event.name}() allocates {kind}, which is not a Python object"
                    )
            elif not for_objects and kind in objects:
                yield Found(
                    event.node, f"{event.name}() allocates a {kind}, which is a Python object"
                )


def _given_to(event: Event, function: Function) -> str:
    """Return the type that memory is allocated for, if the code shows it."""
    node: Node | None = event.node.parent
    while node is not None and node.kind == "parenthesized_expression":
        node = node.parent
    if node is not None and node.kind == "cast_expression":
        of = node.get("type")
        if of is not None and of.text.count("*") == 1:
            return struct_name(of.text)
        return ""
    for other in function.events:
        if other.kind == "write" and other.value is not None and other.target is not None:
            target = strip(other.target)
            if strip(other.value) is event.node and target.kind == "identifier":
                kind = function.flow.types.get(target.text, "")
                return struct_name(kind) if kind.count("*") == 1 else ""
    return ""

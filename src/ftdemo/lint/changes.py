"""Find what the code of a file changes: structs behind parameters, and containers in fields."""

import re
from typing import TYPE_CHECKING

from ftdemo.lint.flow import Event, strip
from ftdemo.lint.names import ATOMIC, CHANGES
from ftdemo.lint.tree import Node

if TYPE_CHECKING:
    from ftdemo.lint.source import Function, Source


def changed_parameters(function: "Function") -> dict[int, str]:
    """Return the parameters whose struct a function changes without a lock, and that struct."""
    names = [n for n, kind in function.parameters.items() if "*" in kind and "PyObject" not in kind]
    changed: dict[int, str] = {}
    for event in function.events if names else ():
        if function.is_locked(event.state):
            continue
        base = None
        if event.kind == "write" and event.target is not None:
            target = strip(event.target)
            base = target.get("argument") if target.kind == "field_expression" else None
        elif event.kind == "call" and is_foreign_change(event, function.source):
            base = event.arguments[0]
        root = function.flow.root(base) if base is not None else ""
        if base is not None and root in names:
            changed[list(function.parameters).index(root)] = function.struct_of(base)
    return changed


def containers(source: "Source") -> tuple[set[str], set[str]]:
    """Return the fields whose containers other code may have, and those that are changed later.

    All others are complete when they are stored, and no other code changes them.
    """
    given: set[str] = set()
    changed: set[str] = set()
    for table, _, rows in source.tables:
        if table == "PyMemberDef":
            given |= {m[1] for row in rows if (m := OFFSET.search(row.text))}
    for function in source.functions:
        stored: dict[str, str] = {}  # variables, and the fields that they were stored in
        for event in function.events:
            if event.kind == "write" and event.target is not None and event.value is not None:
                target, value = strip(event.target), strip(event.value)
                field = target.get("field") if target.kind == "field_expression" else None
                if field is None or value.text in {"NULL", "nullptr", "0"}:
                    continue
                if "PyObject" in function.flow.types.get(value.text, ""):
                    stored[value.text] = field.text
                if not _is_complete(function, value, event.node):
                    given.add(field.text)
            elif event.kind == "call" and not READS.fullmatch(event.name):
                for number, argument in enumerate(event.arguments):
                    if function.is_fresh(strip(argument).text, event.node):
                        continue
                    found = changed if not number and WRITES.fullmatch(event.name) else given
                    found.add(_given_away(function, argument))
                    found.add(stored.get(strip(argument).text, ""))
            elif event.kind == "return" and event.value is not None:
                given.add(_given_away(function, event.value))
    return given, changed


def _given_away(function: "Function", node: Node) -> str:
    """Return the field that an expression of the type PyObject * reads, or ""."""
    kind = node.get("type") if node.kind == "cast_expression" else None
    inner = strip(node)
    of = kind.text if kind is not None else function.flow.types.get(inner.text, "PyObject")
    return function.flow.root(inner).rpartition("->")[2] if "PyObject" in of else ""


# Functions that do not drop an item of a container, nor give it to code that could.
READS = re.compile(
    r"PyDict_(Get\w*|SetDefault\w*|Next|Size|Contains\w*|Keys|Values|Items|Copy|Check\w*)|PyDictProxy_New"
    r"|PyList_(GET_\w+|Get\w+|Size|AsTuple|Check\w*)|PyTuple_\w+|_?Py_(X?DECREF|CLEAR|VISIT|X?INCREF|TYPE)"
    r"|PySet_(Contains|Size)|PySequence_(Contains|Size|Length|Tuple|List)|assert|PyObject_Size"
)
WRITES = re.compile(
    r"PyDict_(SetItem\w*|DelItem\w*|Clear|Pop\w*|Update|Merge)|PySet_(Add|Discard|Clear)"
    r"|PyList_(Append|Insert|SetItem|SET_ITEM|SetSlice|Sort|Reverse|Clear)"
)
OFFSET = re.compile(r"offsetof\s*\([^,]*,\s*(\w+)")


def _is_complete(function: "Function", value: Node, before: Node) -> bool:
    """Tell whether a value that is stored is one that no other thread has, or no container."""
    if value.kind == "call_expression":
        return function.source.makes(value)
    if value.kind != "identifier":
        return False
    kind = function.flow.types.get(value.text, "")
    return function.is_fresh(value.text, before) or not kind.startswith(("PyObject", "PyDict"))


def is_foreign_change(event: Event, source: "Source") -> bool:
    """Tell whether an event calls a C library's function that changes its first argument."""
    if not event.arguments or not CHANGES.fullmatch(event.name) or ATOMIC.fullmatch(event.name):
        return False
    if event.name.startswith(("Py", "_Py")) or event.name in source.by_name:
        return False
    called = event.node.get("function")
    return (
        called is not None
        and called.kind == "identifier"
        and not source.project.defines(event.name)
    )

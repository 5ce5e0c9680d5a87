"""Find code that runs only if something was NULL, 0 or unset."""

from ftdemo.lint.flow import Event, Test, call_arguments, strip
from ftdemo.lint.source import Function, is_null
from ftdemo.lint.tree import Node

EMPTY = {"NULL", "0", "nullptr", "-1", "false", "Py_None", "UNSET", "FALSE"}


def filled_when_null(event: Event, root: str, function: Function) -> bool:
    """Tell whether an event writes to a variable or field that was just found empty."""
    if event.kind != "write" or (event.value is not None and is_null(event.value)):
        return False
    if event.target is None or strip(event.target).kind == "subscript_expression":
        return False
    return any(is_empty(test, root, function) for test in event.state.tests)


def is_empty(test: Test, root: str, function: Function) -> bool:
    """Tell whether a test shows that an object is NULL, 0 or unset."""
    return _says(test.condition, test.truth, root, function)


def _says(node: Node, truth: bool, root: str, function: Function) -> bool:
    node = strip(node)
    if node.kind == "call_expression":  # likely(), Py_UNLIKELY(), an atomic load
        arguments = call_arguments(node)
        return bool(arguments) and _says(arguments[0], truth, root, function)
    if node.kind == "unary_expression" and node.op == "!":
        argument = node.get("argument")
        return argument is not None and _says(argument, not truth, root, function)
    if node.kind == "binary_expression":
        left, right = node.get("left"), node.get("right")
        if left is None or right is None:
            return False
        if node.op in {"&&", "||"}:
            return _says(left, truth, root, function) or _says(right, truth, root, function)
        if node.op in {"==", "!="}:
            for one, other in ((left, right), (right, left)):
                if strip(other).text in EMPTY and _is(one, root, function):
                    return (node.op == "==") == truth
        return False
    if node.kind == "assignment_expression":
        return False
    return not truth and _is(node, root, function)


def _is(node: Node, root: str, function: Function) -> bool:
    inner = strip(node)
    if inner.kind == "assignment_expression":
        return False
    if inner.kind == "call_expression":
        arguments = call_arguments(inner)
        return bool(arguments) and _is(arguments[0], root, function)
    return inner.text == root or function.flow.root(inner) == root

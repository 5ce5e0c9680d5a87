"""Parse operations, written as Python: `add(1)`, `next(x)`, `x[0] = y`, `reserve(); commit()`.

x is the object that threads share, y another object of its type, n the number of the meeting:
`(n, 'a')` is a value that no earlier meeting had. A call by name, such as `add(1)`, calls a method
of x.
"""

import ast
import builtins
import operator
from collections.abc import Callable, Sequence
from functools import partial
from types import CodeType
from typing import Any, NamedTuple

# A callable and its arguments, as ftdemo._stress takes them.
Call = tuple[Any, ...]

_BINARY = {
    ast.Add: "add",
    ast.Sub: "sub",
    ast.Mult: "mul",
    ast.MatMult: "matmul",
    ast.Div: "truediv",
    ast.FloorDiv: "floordiv",
    ast.Mod: "mod",
    ast.Pow: "pow",
    ast.LShift: "lshift",
    ast.RShift: "rshift",
    ast.BitAnd: "and_",
    ast.BitOr: "or_",
    ast.BitXor: "xor",
}
_UNARY = {ast.USub: "neg", ast.UAdd: "pos", ast.Invert: "invert", ast.Not: "not_"}
_COMPARE = {
    ast.Eq: "eq",
    ast.NotEq: "ne",
    ast.Lt: "lt",
    ast.LtE: "le",
    ast.Gt: "gt",
    ast.GtE: "ge",
}


class OperationError(ValueError):
    """The text is not an operation; the message says why."""


class Operation(NamedTuple):
    """One or more calls that a thread makes, one after the other.

    build(x, y, n) returns the calls, with new arguments each time. build_fresh(x, y, n) returns
    calls that make their arguments when they are called, and drop them. names are the attributes
    and functions that are called, as the documentation and `allow` name them.
    """

    label: str
    build: Callable[[Any, Any, int], tuple[Call, ...]]
    build_fresh: Callable[[Any, Any, int], tuple[Call, ...]]
    steps: tuple[str, ...]
    names: tuple[str, ...]
    uses_other: bool

    def only(self, kept: Sequence[int]) -> "Operation":
        """Return an operation with the kept steps only."""

        def build(x: Any, y: Any, n: int) -> tuple[Call, ...]:
            calls = self.build(x, y, n)
            return tuple(calls[step] for step in kept)

        return self._replace(build=build, steps=tuple(self.steps[step] for step in kept))

    @property
    def takes_nothing(self) -> bool:
        """Tell whether it is one call without arguments other than x."""
        return len(self.steps) == 1 and _takes_nothing(ast.parse(self.label).body[0])


def _takes_nothing(statement: ast.stmt) -> bool:
    match statement:
        case ast.Expr(ast.Call(ast.Name(), [] | [ast.Name("x")], [])):
            return True
        case ast.Expr(ast.Call(ast.Attribute(ast.Name("x")), [], [])):
            return True
        case ast.Expr(ast.Attribute(ast.Name("x"))):
            return True
    return False


def parse(label: str, namespace: dict[str, Any], shared: Any) -> Operation:
    """Compile an operation; namespace has the global names, shared is an example of x.

    Raises OperationError.
    """
    try:
        body = _statements(label)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise OperationError(f"not an operation: {label!r}: {error}") from error
    if not body:
        raise OperationError("an operation is empty")
    calls: list[ast.Tuple] = []
    steps: list[str] = []
    names: list[str] = []
    for statement in body:
        made = _calls(statement, namespace, shared)
        names += [name for _, name in made]
        calls += [call for call, _ in made]
        text = ast.unparse(statement)
        steps += [text] if len(made) == 1 else [f"{name}()" for _, name in made]
    scope = {**namespace, "_operator": operator, "_partial": partial}
    build = eval(_compile(calls, label), scope)
    build_fresh = eval(_compile([_later(call) for call in calls], label), scope)
    used = {node.id for node in ast.walk(ast.Module(body, [])) if isinstance(node, ast.Name)}
    return Operation(label, build, build_fresh, tuple(steps), tuple(names), "y" in used)


def _statements(label: str) -> list[ast.stmt]:
    """Parse statements with "; " between them; unlike in Python, any of them may be a with."""
    try:
        return [statement for part in label.split("; ") for statement in ast.parse(part).body]
    except SyntaxError:  # the text is inside a string
        return ast.parse(label).body


def _function(parameters: str, body: ast.expr) -> ast.Lambda:
    arguments = ast.arguments([], [ast.arg(name) for name in parameters], None, [], [], None, [])
    return ast.Lambda(arguments, body)


def _compile(calls: Sequence[ast.expr], label: str) -> CodeType:
    """Compile a function of x, y and n that returns the calls."""
    function = ast.Expression(_function("xyn", ast.Tuple([*calls], ast.Load())))
    return compile(ast.fix_missing_locations(function), f"<{label}>", "eval")


def _later(call: ast.Tuple) -> ast.Tuple:
    """Turn a callable and its arguments into a function that evaluates these and calls."""
    function, *arguments = call.elts
    return ast.Tuple([_function("", ast.Call(function, arguments, []))], ast.Load())


def _calls(
    statement: ast.stmt, namespace: dict[str, Any], shared: Any
) -> Sequence[tuple[ast.Tuple, str]]:
    """Turn a statement into calls: each a callable with its arguments, and its name."""
    match statement:
        case ast.Expr(expression):
            return [_expression(expression, namespace, shared)]
        case ast.Assign([ast.Attribute(target, name)], value):
            return [_tuple(_name("setattr"), [target, ast.Constant(name), value], name)]
        case ast.Assign([ast.Subscript(target, key)], value):
            return [_operator("setitem", [target, key, value])]
        case ast.Delete([ast.Attribute(target, name)]):
            return [_tuple(_name("delattr"), [target, ast.Constant(name)], name)]
        case ast.Delete([ast.Subscript(target, key)]):
            return [_operator("delitem", [target, key])]
        case ast.AugAssign(ast.Name(name), kind, value):
            function = "i" + _BINARY[type(kind)].rstrip("_")
            return [_operator(function, [_name(name), value])]
        case ast.With([ast.withitem(ast.Name() as target)]):
            enter = ast.Attribute(target, "__enter__", ast.Load())
            leave = ast.Attribute(target, "__exit__", ast.Load())
            nothing: list[ast.expr] = [ast.Constant(None)] * 3
            return [_tuple(enter, [], "__enter__"), _tuple(leave, nothing, "__exit__")]
    raise OperationError(f"not an operation: {ast.unparse(statement)!r}")


def _expression(
    expression: ast.expr, namespace: dict[str, Any], shared: Any
) -> tuple[ast.Tuple, str]:
    match expression:
        case ast.Call(ast.Name(name) as function, arguments, keywords):
            if _method(expression, namespace, shared):
                attribute = ast.Attribute(_name("x"), name, ast.Load())
                return _call(attribute, arguments, keywords, name)
            if name not in {"x", "y"} and name not in namespace and not hasattr(builtins, name):
                raise OperationError(f"{type(shared).__name__} has no {name!r}")
            return _call(function, arguments, keywords, "__call__" if name in "xy" else name)
        case ast.Call(function, arguments, keywords):
            name = function.attr if isinstance(function, ast.Attribute) else ast.unparse(function)
            return _call(function, arguments, keywords, name)
        case ast.Attribute(target, name):
            return _tuple(_name("getattr"), [target, ast.Constant(name)], name)
        case ast.Subscript(target, key):
            return _operator("getitem", [target, key])
        case ast.BinOp(left, kind, right):
            return _operator(_BINARY[type(kind)], [left, right])
        case ast.UnaryOp(unary, operand):
            return _operator(_UNARY[type(unary)], [operand])
        case ast.Compare(left, [ast.In()], [right]):
            return _operator("contains", [right, left])
        case ast.Compare(left, [comparison], [right]) if type(comparison) in _COMPARE:
            return _operator(_COMPARE[type(comparison)], [left, right])
    raise OperationError(f"not an operation: {ast.unparse(expression)!r}")


def _call(
    function: ast.expr, arguments: list[ast.expr], keywords: list[ast.keyword], name: str
) -> tuple[ast.Tuple, str]:
    if keywords:
        function = ast.Call(_name("_partial"), [function], keywords)
    return _tuple(function, arguments, name)


def _operator(function: str, arguments: list[ast.expr]) -> tuple[ast.Tuple, str]:
    target = ast.Attribute(_name("_operator"), function, ast.Load())
    return _tuple(target, arguments, f"__{function.rstrip('_')}__")


def _tuple(function: ast.expr, arguments: list[ast.expr], name: str) -> tuple[ast.Tuple, str]:
    loaded = [_Load().visit(argument) for argument in arguments]
    slices = [_slice(argument) for argument in loaded]
    return ast.Tuple([function, *slices], ast.Load()), name


def _slice(argument: ast.expr) -> ast.expr:
    """Turn `1:2`, which is an expression only in a subscript, into slice(1, 2, None)."""
    if isinstance(argument, ast.Slice):
        parts = [argument.lower, argument.upper, argument.step]
        return ast.Call(_name("slice"), [part or ast.Constant(None) for part in parts], [])
    return argument


class _Load(ast.NodeTransformer):
    """Turns targets of assignments into expressions."""

    def visit(self, node: ast.AST) -> Any:
        if hasattr(node, "ctx"):
            node.ctx = ast.Load()
        return self.generic_visit(node)


def _name(name: str) -> ast.expr:
    return ast.Name(name, ast.Load())


def as_expression(label: str, namespace: dict[str, Any], shared: Any) -> str:
    """Return the operation as one Python expression, in which x is the object."""
    calls = [c for each in _statements(label) for c, _ in _calls(each, namespace, shared)]
    return ", ".join(ast.unparse(ast.Call(call.elts[0], call.elts[1:], [])) for call in calls)


def mirrored(label: str, namespace: dict[str, Any], shared: Any) -> str:
    """Return the same operation with x and y swapped."""

    class Swap(ast.NodeTransformer):
        def visit_Call(self, node: ast.Call) -> ast.Call:
            name = _method(node, namespace, shared)
            self.generic_visit(node)
            if name:
                node.func = ast.Attribute(_name("y"), name, ast.Load())
            return node

        def visit_Name(self, node: ast.Name) -> ast.Name:
            return ast.Name({"x": "y", "y": "x"}.get(node.id, node.id), node.ctx)

    swapped = [Swap().visit(statement) for statement in _statements(label)]
    return "; ".join(ast.unparse(each).replace(":\n    ", ": ") for each in swapped)  # with y: pass


def _method(call: ast.expr, namespace: dict[str, Any], shared: Any) -> str | None:
    """Return the name of the method of x that this call means; None if it is not one.

    `total(x, y)` calls the function if the namespace has one, even if x has a method of that name.
    """
    match call:
        case ast.Call(ast.Name(name), arguments):
            mentioned = any(isinstance(node, ast.Name) and node.id == "x" for node in arguments)
            known = name in namespace or hasattr(builtins, name)
            if name not in {"x", "y"} and hasattr(shared, name) and not (known and mentioned):
                return name
    return None

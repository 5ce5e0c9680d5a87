"""Evaluate #if conditions as the preprocessor would for free-threaded CPython 3.15.

If a condition cannot be evaluated (a platform, a feature test), both branches are kept if both
consist of whole statements; if not, the first one is.
"""

import re
from typing import NamedTuple

# The build that the lint assumes: 3.15 without the GIL, not the limited API, not PyPy.
KNOWN: dict[str, int] = {
    "PY_VERSION_HEX": 0x030F00F0,
    "PY_MAJOR_VERSION": 3,
    "PY_MINOR_VERSION": 15,
    "Py_GIL_DISABLED": 1,
}
UNDEFINED = {
    "Py_LIMITED_API",
    "Py_TARGET_ABI3T",
    "PYPY_VERSION",
    "PYPY_VERSION_NUM",
    "GRAALVM_PYTHON",
    "Py_REF_DEBUG",
    "Py_TRACE_REFS",
    "Py_BUILD_CORE_BUILTIN_NOT",
}
ELSEWHERE = re.compile(r"WIN32|WIN64|WINDOWS|MSC_VER|APPLE|__sun|_AIX|CYGWIN|__hpux|BORLANDC")
TOKEN = re.compile(
    r"\s*(?:(0[xX][0-9a-fA-F]+|\d+)[uUlL]*|([A-Za-z_]\w*)|(&&|\|\||[<>=!]=|<<|>>|[-+*/%<>!()&|~^?:,]))"
)
PRECEDENCE = {
    "||": 1, "&&": 2, "|": 3, "^": 4, "&": 5, "==": 6, "!=": 6, "<": 7, ">": 7, "<=": 7, ">=": 7,
    "<<": 8, ">>": 8, "+": 9, "-": 9, "*": 10, "/": 10, "%": 10,
}  # fmt: skip


class Macro(NamedTuple):
    """A macro: its parameters (None for an object-like macro), its body, and its condition."""

    parameters: tuple[str, ...] | None
    body: str
    guard: str = ""


class UndecidedError(Exception):
    """The value of a condition is not known."""


def value(condition: str, macros: dict[str, Macro], *, is_cpp: bool = False) -> bool | None:
    """Evaluate the condition of an #if; return None if it depends on an unknown value."""
    tokens = [match.groups() for match in TOKEN.finditer(condition)]
    try:
        result = _Evaluator(tokens, macros, is_cpp).expression(0)
    except (UndecidedError, IndexError, RecursionError, ZeroDivisionError, ValueError):
        return None
    return None if result is None else bool(result)


class _Evaluator:
    """A recursive descent parser; None stands for an unknown value."""

    def __init__(
        self, tokens: list[tuple[str, ...]], macros: dict[str, Macro], is_cpp: bool
    ) -> None:
        self.tokens = tokens
        self.macros = macros
        self.is_cpp = is_cpp
        self.position = 0

    def peek(self) -> tuple[str, ...]:
        if self.position < len(self.tokens):
            return self.tokens[self.position]
        return ("", "", "")

    def next(self) -> tuple[str, ...]:
        token = self.tokens[self.position]
        self.position += 1
        return token

    def expression(self, level: int) -> int | None:
        left = self.unary()
        while PRECEDENCE.get(self.peek()[2], 0) > level:
            operator = self.next()[2]
            right = self.expression(PRECEDENCE[operator])
            left = _apply(operator, left, right)
        return left

    def unary(self) -> int | None:
        number, name, operator = self.next()
        if number:
            return int(number, 0) if number[:2].lower() == "0x" else int(number)
        if operator == "(":
            inner = self.expression(0)
            self.next()
            return inner
        if operator in {"!", "-", "~"}:
            inner = self.unary()
            if inner is None:
                return None
            return {"!": int(not inner), "-": -inner, "~": ~inner}[operator]
        if name == "defined":
            return self.defined()
        if name:
            return self.named(name)
        raise UndecidedError

    def defined(self) -> int | None:
        _, name, operator = self.next()
        if operator == "(":
            name = self.next()[1]
            self.next()
        if name in KNOWN or name in self.macros:
            return 1
        if name in UNDEFINED:
            return 0
        if name == "__cplusplus":
            return int(self.is_cpp)
        return None

    def named(self, name: str) -> int | None:
        if self.peek()[2] == "(":  # a call, such as PY_VERSION_GE(3, 13)
            depth = 0
            while True:
                operator = self.next()[2]
                depth += {"(": 1, ")": -1}.get(operator, 0)
                if not depth:
                    return None
        if name in KNOWN:
            return KNOWN[name]
        if name in UNDEFINED:
            return 0
        macro = self.macros.get(name)
        if macro is not None and macro.parameters is None:
            tokens = [match.groups() for match in TOKEN.finditer(macro.body)]
            if 0 < len(tokens) < 40:
                rest = {key: macro for key, macro in self.macros.items() if key != name}
                return _Evaluator(tokens, rest, self.is_cpp).expression(0)
        return None


def _apply(operator: str, left: int | None, right: int | None) -> int | None:
    if operator == "&&":
        if left == 0 or right == 0:
            return 0
        return None if left is None or right is None else 1
    if operator == "||":
        if left or right:
            return 1
        return None if left is None or right is None else 0
    if left is None or right is None:
        return None
    match operator:
        case "==":
            return int(left == right)
        case "!=":
            return int(left != right)
        case "<":
            return int(left < right)
        case ">":
            return int(left > right)
        case "<=":
            return int(left <= right)
        case ">=":
            return int(left >= right)
        case "+":
            return left + right
        case "-":
            return left - right
        case "*":
            return left * right
        case "/":
            return left // right
        case "%":
            return left % right
        case "&":
            return left & right
        case "|":
            return left | right
        case "^":
            return left ^ right
        case "<<":
            return left << min(right, 64)
        case ">>":
            return left >> min(right, 64)
    raise UndecidedError  # fmt: skip

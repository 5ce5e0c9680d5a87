"""Outcomes of calls, in a form that can be compared, and the oracle: what each order results in.

A form is a value as nested tuples of plain values. It describes an object by its type and by a
number that distinguishes it from other objects of the same outcome. So equal outcomes have equal
forms, whatever the addresses. The objects that threads share appear by their names.
"""

import re
from array import array
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from itertools import islice
from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType, NoneType
from typing import Any

Form = Any  # nested tuples of str, int and other plain values; or ANY

BOUND = 32  # items to read from a container or an iterator
DEPTH = 4
MOST_ITEMS = 1000  # in one outcome, on all levels
_ADDRESS = re.compile(r"0x[0-9a-fA-F]{6,}")
_PLAIN = {NoneType, bool, int, complex, type(Ellipsis), type(NotImplemented)}
_BYTES = (bytearray, memoryview, array)
_NAMED = (type, ModuleType, FunctionType, BuiltinFunctionType, MethodType)


class _Any:
    """In a pattern: a part that differs between runs of the same order."""

    def __repr__(self) -> str:
        return "..."


ANY = _Any()


class Labels:
    """The labels of the objects in one outcome. Keeps the objects alive, so ids stay unique."""

    def __init__(self, **shared: Any) -> None:
        self._labels: dict[int, Any] = {id(value): name for name, value in shared.items()}
        self._alive: list[Any] = list(shared.values())
        self.left = MOST_ITEMS

    def of(self, value: Any) -> tuple[Any, bool]:
        """Return the label of an object, and whether it already had one."""
        label = self._labels.get(id(value))
        if label is not None:
            return label, True
        self._alive.append(value)
        label = self._labels[id(value)] = len(self._labels)
        return label, False


_NO_REFUSALS = (NotImplementedError, RecursionError)
_SAYS_BUSY = re.compile(r"busy|in use|concurren|locked|another thread|already", re.IGNORECASE)


def raised(error: BaseException) -> Form:
    """Return the form of an exception: only its type, and whether it may mean a refusal.

    A refusal is a RuntimeError or BufferError, or says that the object is in use.
    """
    name = type(error).__name__
    usual = isinstance(error, (RuntimeError, BufferError)) and not isinstance(error, _NO_REFUSALS)
    if usual or _SAYS_BUSY.search(described(error)):
        return ("raises", name, "refused")
    return ("raises", name)


def described(error: BaseException) -> str:
    """Return the type and text of an exception, for people."""
    try:
        return f"{type(error).__name__}: {error}"[:200].strip().rstrip(":")
    except BaseException:
        return type(error).__name__


def is_refusal(result: Form) -> bool:
    """Tell whether a call may have been refused: see raised()."""
    return len(result) == 3 and bool(result[0] == "raises")


def form(value: Any, labels: Labels, depth: int = DEPTH) -> Form:
    """Return the form of a value. Reads up to BOUND items of an iterator."""
    kind = type(value)
    if kind in _PLAIN:
        return (kind.__name__, value)
    if kind is str:
        return ("str", _ADDRESS.sub("0x", value) if "0x" in value else value)
    if kind is bytes:
        return ("bytes", value)
    if kind is float:
        return ("float", repr(value))
    if isinstance(value, _NAMED):
        return (kind.__name__, getattr(value, "__qualname__", None) or value.__name__)
    if isinstance(value, tuple) and not value:
        return (kind.__name__,)
    labels.left -= 1
    label, known = labels.of(value)
    if known:
        return ("same", label)
    module = getattr(kind, "__module__", "builtins")  # a type need not have one
    name = f"{module}.{kind.__qualname__}".removeprefix("builtins.")
    return (name, label, *_inside(value, labels, depth))


def _inside(value: Any, labels: Labels, depth: int) -> Iterator[Form]:
    """Yield the forms of up to BOUND items of a container or an iterator."""
    if depth == 0 or labels.left < 0:
        return
    try:
        if isinstance(value, (tuple, list, deque)):
            for item in islice(value, BOUND):
                yield form(item, labels, depth - 1)
        elif isinstance(value, (set, frozenset)):
            forms = [form(item, labels, depth - 1) for item in islice(value, BOUND)]
            yield from sorted(forms, key=repr)
        elif isinstance(value, dict):
            for key, item in islice(value.items(), BOUND):
                yield (form(key, labels, depth - 1), form(item, labels, depth - 1))
        elif isinstance(value, _BYTES):
            yield ("bytes", bytes(value)[:BOUND])
        elif isinstance(value, (Iterator, Sequence, Mapping, Set)):
            for item in islice(iter(value), BOUND):
                yield form(item, labels, depth - 1)
    except Exception as error:
        yield raised(error)


def generalize(first: Form, second: Form) -> Form:
    """Return the pattern of two forms: parts that differ become ANY."""
    if first == second and type(first) is type(second):
        return first
    if isinstance(first, tuple) and isinstance(second, tuple) and len(first) == len(second):
        return tuple(map(generalize, first, second))
    return ANY


def matches(pattern: Form, other: Form) -> bool:
    """Tell whether a form equals the pattern, except where the pattern has ANY."""
    if pattern is ANY or pattern == other:
        return True
    if isinstance(pattern, tuple) and isinstance(other, tuple) and len(pattern) == len(other):
        return all(map(matches, pattern, other))
    return False


class Oracle:
    """Knows which outcomes some order of the operations explains."""

    def __init__(self) -> None:
        self._seen: set[Form] = set()
        self.patterns: dict[tuple[int, ...], Form] = {}

    def learn(self, order: tuple[int, ...], outcomes: Iterable[Form]) -> None:
        """Add outcomes of one order, each on fresh objects."""
        for outcome in outcomes:
            self._seen.add(outcome)
            pattern = self.patterns.get(order, outcome)
            self.patterns[order] = generalize(pattern, outcome)

    def explains(self, outcome: Form) -> bool:
        """Tell whether some order has this outcome."""
        return outcome in self._seen or any(matches(p, outcome) for p in self.patterns.values())


def text(written: Form) -> str:
    """Return a form as text for people, like a repr() where possible."""
    if written is ANY:
        return "..."
    if not isinstance(written, tuple):
        return repr(written)
    match written:
        case (str(kind),):
            return f"{kind}()"
        case ("raises", name, *_):
            return f"raises {name}"
        case ("same", str(label)):
            return label
        case ("same", label):
            return f"the same object ({label})"
        case ("float", value):
            return str(value)
        case ("NoneType" | "bool" | "int" | "complex" | "str" | "bytes" as kind, value):
            return f"{kind}: ..." if value is ANY else repr(value)
        case (("type" | "module" | "function" | "builtin_function_or_method"), name):
            return str(name)
        case ("tuple", _, *items):
            return f"({', '.join(map(text, items))}{',' if len(items) == 1 else ''})"
        case ("list", _, *items):
            return f"[{', '.join(map(text, items))}]"
        case ("dict", _, *items):
            pairs = [item if isinstance(item, tuple) else (item, item) for item in items]
            return f"{{{', '.join(f'{text(key)}: {text(value)}' for key, value in pairs)}}}"
        case (str(kind), label, *items):
            inside = f": {', '.join(map(text, items))}" if items else ""
            return f"<{kind} {text(label)}{inside}>"
    return repr(written)

"""What came of a meeting, written so that it can be compared, and what orders explain.

A form is a value as nested tuples of plain values. An object is written by its type and a number
that tells it from other objects of the same outcome, so that forms of equal outcomes are equal,
whatever the addresses; the objects that threads share are written by their names.
"""

import re
from array import array
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from itertools import islice
from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType, NoneType
from typing import Any

Form = Any  # nested tuples of str, int and other plain values; or ANY

BOUND = 32  # items that are read of a container or an iterator
DEPTH = 4
MOST_ITEMS = 1000  # of one outcome, however they are nested
_ADDRESS = re.compile(r"0x[0-9a-fA-F]{6,}")
_PLAIN = {NoneType, bool, int, complex, type(Ellipsis), type(NotImplemented)}
_BYTES = (bytearray, memoryview, array)
_NAMED = (type, ModuleType, FunctionType, BuiltinFunctionType, MethodType)


class _Any:
    """Stands in a pattern for what differs between runs of the same order."""

    def __repr__(self) -> str:
        return "..."


ANY = _Any()


class Labels:
    """The objects of one outcome, and what they are called. Keeps them alive."""

    def __init__(self, **shared: Any) -> None:
        self._labels: dict[int, Any] = {id(value): name for name, value in shared.items()}
        self._alive: list[Any] = list(shared.values())
        self.left = MOST_ITEMS

    def of(self, value: Any) -> tuple[Any, bool]:
        """Give the label of an object, and whether it had one."""
        label = self._labels.get(id(value))
        if label is not None:
            return label, True
        self._alive.append(value)
        label = self._labels[id(value)] = len(self._labels)
        return label, False


def raised(error: BaseException) -> Form:
    """Write down an exception: its type alone."""
    return ("raises", type(error).__name__)


def form(value: Any, labels: Labels, depth: int = DEPTH) -> Form:
    """Write down a value. Reads iterators, up to a bound."""
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
    name = f"{kind.__module__}.{kind.__qualname__}".removeprefix("builtins.")
    return (name, label, *_inside(value, labels, depth))


def _inside(value: Any, labels: Labels, depth: int) -> Iterator[Form]:
    """Write down what is in a container or an iterator, up to a bound."""
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
    """Make the pattern of two forms: what differs between them is ANY."""
    if first == second and type(first) is type(second):
        return first
    if isinstance(first, tuple) and isinstance(second, tuple) and len(first) == len(second):
        return tuple(map(generalize, first, second))
    return ANY


def matches(pattern: Form, other: Form) -> bool:
    """Whether a form is what the pattern says, but for what is ANY in it."""
    if pattern is ANY or pattern == other:
        return True
    if isinstance(pattern, tuple) and isinstance(other, tuple) and len(pattern) == len(other):
        return all(map(matches, pattern, other))
    return False


class Oracle:
    """Which outcomes the orders of the operations explain."""

    def __init__(self) -> None:
        self._seen: set[Form] = set()
        self.patterns: dict[tuple[int, ...], Form] = {}

    def learn(self, order: tuple[int, ...], outcomes: Iterable[Form]) -> None:
        """Take what came of one order, each time on fresh objects."""
        for outcome in outcomes:
            self._seen.add(outcome)
            pattern = self.patterns.get(order, outcome)
            self.patterns[order] = generalize(pattern, outcome)

    def explains(self, outcome: Form) -> bool:
        """Whether any order comes to this outcome."""
        return outcome in self._seen or any(matches(p, outcome) for p in self.patterns.values())


def text(written: Form) -> str:
    """Write a form for people, as Python would where there is a way."""
    if written is ANY:
        return "..."
    if not isinstance(written, tuple):
        return repr(written)
    match written:
        case (str(kind),):
            return f"{kind}()"
        case ("raises", name):
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

"""Find the extension types and functions that belong to a target, in its modules."""

import builtins
import importlib
import sys
import types
from collections.abc import Callable, Iterable, Iterator, Sequence
from importlib.machinery import ExtensionFileLoader
from types import BuiltinFunctionType, FunctionType, ModuleType
from typing import Any, NamedTuple

from ftdemo.stress_child.outcomes import described
from ftdemo.threadsafety import level_of

_PLACES = {"__dict__", "__weakref__"}


class ExtensionType(NamedTuple):
    """A type that may be driven: its module, its full name, and the expression that names it."""

    module: str
    name: str
    expression: str
    level: str | None


def import_all(modules: Iterable[str]) -> tuple[list[ModuleType], dict[str, str]]:
    """Import modules by name; return the modules, and why the others cannot be imported."""
    imported: list[ModuleType] = []
    aside: dict[str, str] = {}
    for name in modules:
        try:
            imported.append(importlib.import_module(name))
        except BaseException as error:
            aside[f"import {name}"] = described(error)
    return imported, aside


def is_extension_type(kind: Any) -> bool:
    """Tell whether a type is from an extension module, not a Python class."""
    if not isinstance(kind, type) or issubclass(kind, BaseException):
        return False
    if "__firstlineno__" in vars(kind):  # 3.13
        return False
    members = {name: value for name, value in vars(kind).items() if name not in _PLACES}
    if any(isinstance(value, FunctionType) for value in members.values()):
        return False
    return any(
        callable(value) or hasattr(type(value), "__get__")
        for name, value in members.items()
        if name not in {"__doc__", "__module__", "__new__"}
    ) or isinstance(members.get("__new__"), BuiltinFunctionType)


def find_types(
    modules: Sequence[ModuleType], own: Callable[[str], bool]
) -> Iterator[ExtensionType]:
    """Yield the public extension types of modules, each once.

    own(name) tells whether the module of that name belongs to the target.
    """
    seen: set[int] = set()
    for module in modules:
        for name, value in sorted(vars(module).items()):
            if name.startswith("_") or id(value) in seen or not is_extension_type(value):
                continue
            if own(module_of(value)) or _has_no_module(value, module):
                seen.add(id(value))
                yield ExtensionType(
                    module.__name__, name_in(value, module), name, level_of(value.__doc__)
                )


def module_of(kind: type) -> str:
    """Return the __module__ of a type; "" if there is none, or if it is no text."""
    name = getattr(kind, "__module__", "")
    return name if isinstance(name, str) else ""


def name_in(kind: type, module: ModuleType) -> str:
    """Return the name of a type with its module, or with this one if it does not name its own."""
    return (
        f"{module.__name__}.{kind.__qualname__}"
        if _has_no_module(kind, module)
        else full_name(kind)
    )


def _has_no_module(kind: type, module: ModuleType) -> bool:
    """Tell whether a type does not name its module, as is the default of PyO3.

    Its __module__ is then "builtins", or there is none.
    """
    loader = getattr(module.__spec__, "loader", None)
    return (
        module_of(kind) in {"", "builtins"}
        and isinstance(loader, ExtensionFileLoader)
        and not any(kind is value for space in (builtins, types) for value in vars(space).values())
    )


def find_functions(module: ModuleType, own: Callable[[str], bool]) -> Iterator[str]:
    """Yield the names of the public functions of a module that are not Python functions."""
    for name, value in sorted(vars(module).items()):
        if (
            not name.startswith("_")
            and callable(value)
            and not isinstance(value, (type, FunctionType))
            and own(str(getattr(value, "__module__", None) or ""))
        ):
            yield name


def full_name(kind: type) -> str:
    """Return the name of a type with its module."""
    return f"{module_of(kind)}.{kind.__qualname__}"


def owner(names: Sequence[str]) -> Callable[[str], bool]:
    """Return a function that tells whether a type belongs to a target, by its __module__.

    names are the modules of the target. A type belongs to it if its __module__ is one of these, a
    module inside one, or a package that contains one. `_x` counts as `x`, as in the standard
    library. A type may name its module without the package: `_x` for `acme._x`, if no other module
    `_x` is imported.
    """
    plain = {_plain(name) for name in names}
    last = {name.rpartition(".")[2] for name in names}

    def own(module: str) -> bool:
        given = _plain(module)
        known = sys.modules.get(module)
        is_ours = known is None or any(known is sys.modules.get(name) for name in names)
        return (module in last and is_ours) or any(
            given == name or given.startswith(f"{name}.") or name.startswith(f"{given}.")
            for name in plain
        )

    return own


def _plain(module: str) -> str:
    return ".".join(part.lstrip("_") for part in module.split("."))

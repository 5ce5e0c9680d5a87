"""Read the list of expected wheels: a TOML file.

    [[cells]]                       # a wheel for every combination of these
    interpreters = ["cp314", "cp314t"]
    platforms = ["manylinux_x86_64", "win_amd64"]

    [[cells]]
    interpreters = ["cp316", "cp316t"]
    platforms = ["manylinux_x86_64"]
    abi = "abi3.abi3t"              # default: the interpreter's own ABI, cp314t for cp314t

A top-level `allow`, a list of fnmatch patterns, lists sources and tests that wheels may contain.
"""

import tomllib
from pathlib import Path
from typing import NamedTuple

from ftdemo.exit_codes import CommandError
from ftdemo.wheels.cells import Interpreter, parse_interpreter


class ContractError(CommandError):
    """The list of expected wheels cannot be read; the message says why."""


class Contract(NamedTuple):
    """The expected wheels. cells maps (interpreter, platform) to the ABI of the wheel."""

    cells: dict[tuple[Interpreter, str], str]
    allow: list[str]


def read_contract(path: Path) -> Contract:
    """Read a list of expected wheels. Raises ContractError."""
    try:
        with path.open("rb") as file:
            return _parse(tomllib.load(file))
    except (OSError, ValueError) as error:  # TOMLDecodeError is a ValueError
        raise ContractError(f"{path}: {error}") from error


def _parse(content: dict[str, object]) -> Contract:
    _know(content, {"cells", "allow"})
    tables = content.get("cells")
    if not isinstance(tables, list) or not tables:
        raise ValueError("add at least one table [[cells]]")
    cells: dict[tuple[Interpreter, str], str] = {}
    for table in tables:
        if not isinstance(table, dict):
            raise ValueError("cells must be tables: [[cells]]")
        _know(table, {"interpreters", "platforms", "abi"})
        abi = table.get("abi")
        if abi is not None and not isinstance(abi, str):
            raise ValueError("abi must be a string")
        for interpreter in map(parse_interpreter, _strings(table, "interpreters")):
            for platform in _strings(table, "platforms"):
                if (interpreter, platform) in cells:
                    raise ValueError(f"listed twice: {interpreter.name}-{platform}")
                cells[interpreter, platform] = abi or interpreter.name
    return Contract(cells, _strings(content, "allow") if "allow" in content else [])


def _know(table: dict[str, object], keys: set[str]) -> None:
    unknown = sorted(table.keys() - keys)
    if unknown:
        raise ValueError(f"unknown key {unknown[0]!r}; known are {', '.join(sorted(keys))}")


def _strings(table: dict[str, object], key: str) -> list[str]:
    value = table.get(key)
    if not isinstance(value, list) or not value or not all(isinstance(v, str) for v in value):
        raise ValueError(f"{key} must be a list of strings")
    return value

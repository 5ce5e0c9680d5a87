"""Read `[tool.ftdemo.stress]` in a pyproject.toml."""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple


class SettingsError(Exception):
    """A setting in pyproject.toml is wrong; the message says which."""


class Settings(NamedTuple):
    """How to make objects, and what is documented as not atomic: both by public names."""

    factories: Mapping[str, str]
    allow: frozenset[str]


def read(folder: Path) -> Settings:
    """Read the settings in the nearest pyproject.toml, in folder or above. Raises SettingsError."""
    for place in (folder, *folder.parents):
        path = place / "pyproject.toml"
        if path.is_file():
            return _read(path)
    return Settings({}, frozenset())


def _read(path: Path) -> Settings:
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SettingsError(f"{path}: {error}") from error
    table = document.get("tool", {}).get("ftdemo", {}).get("stress", {})
    unknown = sorted(table.keys() - {"factories", "allow"})
    if unknown:
        raise SettingsError(f"{path}: [tool.ftdemo.stress] has no setting {unknown[0]!r}")
    factories, allow = table.get("factories", {}), table.get("allow", [])
    if not isinstance(factories, dict) or not all(isinstance(v, str) for v in factories.values()):
        raise SettingsError(f"{path}: factories must map names of types to Python expressions")
    for name, expression in factories.items():
        try:
            compile(expression, name, "eval")
        except (SyntaxError, ValueError) as error:
            raise SettingsError(f"{path}: the factory of {name}: {error}") from error
    if not isinstance(allow, list) or not all(isinstance(name, str) for name in allow):
        raise SettingsError(f"{path}: allow must be a list of names, such as 'acme.Deque.extend'")
    return Settings(factories, frozenset(allow))

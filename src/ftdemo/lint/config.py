"""Read [tool.ftdemo.lint] in pyproject.toml, and the Python versions that a project supports."""

import re
import tomllib
from fnmatch import fnmatch
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from ftdemo.lint.rules import RULES

GROUPS = {"default", "optional", "conventions", "all"}
KEYS = {"select", "ignore", "per-file-ignores", "frozen"}


class ConfigError(Exception):
    """The configuration or the selection of rules is invalid; the message says why."""


class Config(NamedTuple):
    """Which rules run, and facts about a project that its sources do not show."""

    select: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    per_file_ignores: tuple[tuple[str, tuple[str, ...]], ...] = ()
    frozen: frozenset[str] = frozenset()
    root: Path | None = None

    def rules(self) -> list[str]:
        """Return the names of the rules to run. Raise ConfigError for an unknown name."""
        for _, rules in self.per_file_ignores:
            _expand(rules)
        names = _expand(self.select or ("default",))
        ignored = _expand(self.ignore)
        return [name for name in RULES if name in names and name not in ignored]

    def ignores(self, path: Path) -> set[str]:
        """Return the rules that are ignored in a file."""
        found: set[str] = set()
        for pattern, rules in self.per_file_ignores:
            relative = path.resolve()
            if self.root is not None and relative.is_relative_to(self.root):
                relative = relative.relative_to(self.root)
            if fnmatch(relative.as_posix(), pattern) or fnmatch(path.name, pattern):
                found |= _expand(rules)
        return found


def _expand(names: tuple[str, ...]) -> set[str]:
    found: set[str] = set()
    for name in names:
        if name in GROUPS:
            found |= {rule.name for rule in RULES.values() if name in {"all", rule.group}}
        elif name in RULES:
            found.add(name)
        else:
            raise ConfigError(
                f"unknown rule or group {name!r}; `ftdemo lint --explain all` lists the rules"
            )
    return found


@lru_cache
def pyproject(folder: Path) -> Path | None:
    """Find the pyproject.toml in a folder or above it."""
    for each in (folder, *folder.parents):
        if (each / "pyproject.toml").is_file():
            return each / "pyproject.toml"
    return None


def read(folder: Path) -> Config:
    """Read the configuration for a folder. Raise ConfigError if it is invalid."""
    file = pyproject(folder.resolve())
    if file is None:
        return Config()
    try:
        table = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"{file}: {error}") from error
    where = f"{file}: [tool.ftdemo.lint]"
    for key in ("tool", "ftdemo", "lint"):
        table = table.get(key, {})
        if not isinstance(table, dict):
            raise ConfigError(f"{where} must be a table")
    unknown = sorted(set(table) - KEYS)
    if unknown:
        raise ConfigError(
            f"{where} has no setting {unknown[0]!r}; use one of: {', '.join(sorted(KEYS))}"
        )
    ignores = table.get("per-file-ignores", {})
    if not isinstance(ignores, dict):
        raise ConfigError(f"{where} per-file-ignores must be a table")
    return Config(
        _strings(table.get("select", []), f"{where} select"),
        _strings(table.get("ignore", []), f"{where} ignore"),
        tuple((k, _strings(v, f"{where} per-file-ignores")) for k, v in ignores.items()),
        frozenset(_strings(table.get("frozen", []), f"{where} frozen")),
        file.parent,
    )


def _strings(value: object, where: str) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise ConfigError(f"{where} must be a list of strings")
    return tuple(value)


@lru_cache
def supports_older(folder: Path) -> bool:
    """Tell whether the project of a folder declares support for a Python older than 3.13."""
    file = pyproject(folder.resolve())
    text = ""
    for each in (
        file,
        *(f.parent / n for f in ([file] if file else []) for n in ("setup.py", "setup.cfg")),
    ):
        if each is not None and each.is_file():
            try:
                text += each.read_text(encoding="utf-8", errors="replace")
            except OSError:
                continue
    match = re.search(r"""(?:requires-python|python_requires)\s*=\s*["']?\s*>=?\s*3\.(\d+)""", text)
    return match is not None and int(match[1]) < 13

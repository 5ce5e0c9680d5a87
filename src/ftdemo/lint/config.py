"""[tool.ftdemo.lint] in an author's pyproject.toml, and which versions the project supports."""

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
    """The configuration, or what the command line selects, makes no sense."""


class Config(NamedTuple):
    """What to run, and what of a project the sources do not say."""

    select: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    per_file_ignores: tuple[tuple[str, tuple[str, ...]], ...] = ()
    frozen: frozenset[str] = frozenset()
    root: Path | None = None

    def rules(self) -> list[str]:
        """Give the names of the rules to run. Raises ConfigError for a name that is no rule's."""
        names = _expand(self.select or ("default",))
        ignored = _expand(self.ignore)
        return [name for name in RULES if name in names and name not in ignored]

    def ignores(self, path: Path) -> set[str]:
        """Give the rules that are ignored in a file."""
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
                f"no rule or group {name!r}; `ftdemo lint --explain all` lists the rules"
            )
    return found


@lru_cache
def pyproject(folder: Path) -> Path | None:
    """Find the pyproject.toml of a folder: in it or above it."""
    for each in (folder, *folder.parents):
        if (each / "pyproject.toml").is_file():
            return each / "pyproject.toml"
    return None


def read(folder: Path) -> Config:
    """Read the configuration that holds for a folder. Raises ConfigError."""
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
            raise ConfigError(f"{where} is no table")
    unknown = sorted(set(table) - KEYS)
    if unknown:
        raise ConfigError(f"{where} has no {unknown[0]!r}; there are: {', '.join(sorted(KEYS))}")
    ignores = table.get("per-file-ignores", {})
    if not isinstance(ignores, dict):
        raise ConfigError(f"{where} per-file-ignores is no table")
    return Config(
        _strings(table.get("select", []), f"{where} select"),
        _strings(table.get("ignore", []), f"{where} ignore"),
        tuple((k, _strings(v, f"{where} per-file-ignores")) for k, v in ignores.items()),
        frozenset(_strings(table.get("frozen", []), f"{where} frozen")),
        file.parent,
    )


def _strings(value: object, where: str) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise ConfigError(f"{where} is no list of strings")
    return tuple(value)


@lru_cache
def supports_older(folder: Path) -> bool:
    """Whether the project of a folder says that it supports a Python older than 3.13."""
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

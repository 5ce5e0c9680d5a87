"""Make a new project: a copy of template/ with another name."""

import builtins
import fnmatch
import keyword
import re
import sys
import tomllib
from pathlib import Path
from typing import NamedTuple

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

_TEMPLATE = Path(__file__).with_name("template")
if not _TEMPLATE.exists():  # in an editable installation
    _TEMPLATE = Path(__file__).parents[2] / "template"

# Not in the standard library of every version since 3.11, or left out of stdlib_module_names.
_OTHER_MODULES = """
    aifc annotationlib asynchat asyncore audioop cgi cgitb chunk compression crypt distutils imghdr
    imp lib2to3 mailcap msilib nis nntplib ossaudiodev pipes profiling smtpd sndhdr spwd sre_compile
    sre_constants sre_parse sunau telnetlib test uu xdrlib
"""
_STANDARD_LIBRARY = {name.lower() for name in sys.stdlib_module_names} | set(_OTHER_MODULES.split())


class NewError(Exception):
    """There can be no such project there; says why in one sentence."""


class Project(NamedTuple):
    """A project that was made."""

    name: str
    """What the module is called; for pip, the same as the name that was asked for."""
    folder: Path
    files: int


def new_project(name: str, folder: Path | None = None) -> Project:
    """Copy the template into a folder, by default one called name, and rename it.

    The folder is made if it does not exist. Raises NewError, before anything is written, for a
    name that no package can have and a folder that is not empty; and where it cannot write.
    """
    module = _module_name(name)
    folder = Path(name) if folder is None else folder
    words = {"acme": module, "ACME": module.upper()}

    def renamed(text: str) -> str:
        return re.sub("acme|ACME", lambda match: words[match[0]], text)

    sources = _template_files()
    try:
        if folder.exists() and any(folder.iterdir()):
            raise NewError(f"the folder {folder} is not empty")
        folder.mkdir(parents=True, exist_ok=True)
        for source in sources:
            target = folder / renamed(source.relative_to(_TEMPLATE).as_posix())
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(renamed(source.read_bytes().decode()).encode())
            target.chmod(target.stat().st_mode | source.stat().st_mode & 0o111)
    except OSError as error:
        raise NewError(f"cannot write to {folder}: {error.strerror}") from error
    return Project(module, folder, len(sources))


def _module_name(name: str) -> str:
    """Give the module for a project of this name, or raise NewError."""
    if not re.fullmatch(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?", name):
        raise NewError(
            f"{name!r} is no name for pip, which takes ASCII letters, digits, '-', '_' and '.', "
            "and a letter or digit at both ends"
        )
    module = re.sub(r"[-_.]+", "_", name).lower()
    if not module.isidentifier():
        reason = "no name for a module, since it begins with a digit"
    elif keyword.iskeyword(module):
        reason = "a keyword of Python"
    elif module in _STANDARD_LIBRARY:
        reason = "a module of the standard library"
    elif hasattr(builtins, module):
        reason = "a built-in name of Python"
    elif any((_TEMPLATE / found).exists() for found in (module, f"{module}.py")):
        reason = "a file or folder of every new project"
    elif any(fnmatch.fnmatch(module, pattern) for pattern in _ignored()):
        reason = "a folder that git ignores in every new project"
    elif re.fullmatch("con|prn|aux|nul|(com|lpt)[1-9]", module):
        reason = "a device on Windows, where no folder can be called that"
    elif module in _tools():
        reason = "a package that a new project is built or tested with"
    else:
        return module
    raise NewError(f"{module} is {reason}")


def _tools() -> set[str]:
    """Give the names of the packages that the template needs."""
    project = tomllib.loads((_TEMPLATE / "pyproject.toml").read_text(encoding="utf-8"))
    groups = [project["build-system"]["requires"], *project["dependency-groups"].values()]
    names = {Requirement(line).name for group in groups for line in group}
    return {canonicalize_name(name).replace("-", "_") for name in names | {"nox", "pip", "uv"}}


def _ignored() -> list[str]:
    """Give the patterns for what git ignores in the template."""
    lines = (_TEMPLATE / ".gitignore").read_text(encoding="utf-8").split()
    return [line.rstrip("/") for line in lines]


def _template_files() -> list[Path]:
    """Give the template's files, without what a build or a test may have left among them."""
    patterns = _ignored()
    return sorted(
        path
        for path in _TEMPLATE.rglob("*")
        if path.is_file()
        and not any(
            fnmatch.fnmatch(part, pattern)
            for part in path.relative_to(_TEMPLATE).parts
            for pattern in patterns
        )
    )

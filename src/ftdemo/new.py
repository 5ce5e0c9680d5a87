"""Create a new project: a copy of template/ under another name."""

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

from ftdemo.exit_codes import CommandError

_TEMPLATE = Path(__file__).with_name("template")
if not _TEMPLATE.exists():  # an editable installation
    _TEMPLATE = Path(__file__).parents[2] / "template"

# Standard library modules that some versions since 3.11 lack, or that stdlib_module_names omits.
_OTHER_MODULES = """
    aifc annotationlib asynchat asyncore audioop cgi cgitb chunk compression crypt distutils imghdr
    imp lib2to3 mailcap msilib nis nntplib ossaudiodev pipes profiling smtpd sndhdr spwd sre_compile
    sre_constants sre_parse sunau telnetlib test uu xdrlib
"""
_STANDARD_LIBRARY = {name.lower() for name in sys.stdlib_module_names} | set(_OTHER_MODULES.split())


class NewError(CommandError):
    """The project cannot be created; the message says why."""


class Project(NamedTuple):
    """A project that was created."""

    name: str
    """The name of the module; pip treats it and the requested name as the same name."""
    folder: Path
    files: int


def new_project(name: str, folder: Path | None = None) -> Project:
    """Copy the template into a folder, by default one named after the project, and rename it.

    Creates the folder if it does not exist. Raises NewError for an invalid name and for a folder
    that is not empty, before it writes anything, and if it cannot write the files.
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
    """Return the module name of a project with this name, or raise NewError."""
    if not re.fullmatch(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?", name):
        raise NewError(
            f"{name!r} is not a valid project name: use ASCII letters, digits, '-', '_' and '.', "
            "with a letter or digit at both ends"
        )
    module = re.sub(r"[-_.]+", "_", name).lower()
    if not module.isidentifier():
        reason = "not a valid module name, because it begins with a digit"
    elif keyword.iskeyword(module):
        reason = "a keyword of Python"
    elif module in _STANDARD_LIBRARY:
        reason = "the name of a module in the standard library"
    elif hasattr(builtins, module):
        reason = "a built-in name of Python"
    elif any((_TEMPLATE / found).exists() for found in (module, f"{module}.py")):
        reason = "the name of a file or folder in every new project"
    elif any(fnmatch.fnmatch(module, pattern) for pattern in _ignored()):
        reason = "the name of a folder that git ignores in every new project"
    elif re.fullmatch("con|prn|aux|nul|(com|lpt)[1-9]", module):
        reason = "the name of a device on Windows, which no folder can have"
    elif module in _tools():
        reason = "the name of a package that builds or tests new projects"
    else:
        return module
    raise NewError(f"{module!r} is {reason}; choose another name")


def _tools() -> set[str]:
    """Return the names of the packages that the template needs."""
    project = tomllib.loads((_TEMPLATE / "pyproject.toml").read_text(encoding="utf-8"))
    groups = [project["build-system"]["requires"], *project["dependency-groups"].values()]
    names = {Requirement(line).name for group in groups for line in group}
    return {canonicalize_name(name).replace("-", "_") for name in names | {"nox", "pip", "uv"}}


def _ignored() -> list[str]:
    """Return the patterns of the files that git ignores in the template."""
    lines = (_TEMPLATE / ".gitignore").read_text(encoding="utf-8").split()
    return [line.rstrip("/") for line in lines]


def _template_files() -> list[Path]:
    """Return the template's files, without files that a build or a test left there."""
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

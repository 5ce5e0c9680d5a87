"""Find the extension modules of a target, without importing the target."""

import difflib
import importlib.machinery
import importlib.metadata
import importlib.util
import pkgutil
import re
import sys
import tempfile
import zipfile
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath

from packaging.tags import sys_tags
from packaging.utils import InvalidWheelFilename, parse_wheel_filename

from ftdemo.check.judge import Module
from ftdemo.exit_codes import CommandError

SUFFIXES = sorted(importlib.machinery.EXTENSION_SUFFIXES, key=len, reverse=True)
ANY_SUFFIX = re.compile(r"^(?P<name>\w+)(?P<tag>\.[\w.-]+)?\.(so|pyd)$", re.ASCII)


class TargetError(CommandError):
    """The target does not exist; the message suggests a similar name if there is one."""


class Target:
    """The modules to check, and where they were found."""

    def __init__(
        self, target: str, distribution: str | None = None, version: str | None = None
    ) -> None:
        self.target = target
        self.distribution = distribution
        self.version = version
        self.modules: list[Module] = []
        self.skipped: dict[str, str] = {}  # module name: reason
        self.path: list[str] = []  # goes before sys.path

    @property
    def top_levels(self) -> set[str]:
        """The top-level import names of the target."""
        return {name.partition(".")[0] for name in (*(m.name for m in self.modules), *self.skipped)}


def find(name: str, unpack_to: Path) -> Target:
    """Find a target: a wheel file, an installed distribution, or a package or module.

    A wheel is unpacked into a new folder in unpack_to. Raises TargetError.
    """
    if name.endswith(".whl"):
        return _wheel(name, Path(name), unpack_to)
    try:
        distribution = importlib.metadata.distribution(name)
    except (importlib.metadata.PackageNotFoundError, ValueError):
        return _importable(name)
    return _distribution(name, distribution)


def _add(target: Target, name: str, path: Path) -> None:
    """Add the file at path, if it is an extension module; name is the name of its package."""
    prefix = f"{name}." if name else ""
    for suffix in SUFFIXES:
        base = path.name.removesuffix(suffix)
        if base != path.name and base.isidentifier():
            if suffix in {".so", ".pyd"} and not _has_init(path):
                return  # a library, not a module
            full = prefix.removesuffix(".") if base == "__init__" else prefix + base
            target.modules.append(Module(full, str(path)))
            return
    other = ANY_SUFFIX.match(path.name)
    if other and other["tag"]:
        why = f"built for another interpreter ({other['tag'].lstrip('.')})"
        target.skipped[prefix + other["name"]] = why


def _add_below(target: Target, folder: Path, *package: str) -> None:
    """Add the extension modules in a folder, which contains the modules of that package."""
    for file in sorted(folder.rglob("*")):
        inside = file.relative_to(folder).parent.parts
        if all(part.isidentifier() for part in inside) and file.is_file():
            _add(target, ".".join([*package, *inside]), file)


def _has_init(path: Path) -> bool:
    """Tell whether the library contains an init function (PyInit_, PyInitU_, PyModExport_)."""
    content = path.read_bytes()
    return b"PyInit" in content or b"PyModExport" in content


def _tidy(target: Target) -> Target:
    """Sort the modules; drop files for other interpreters if there is one for this interpreter."""
    target.modules = sorted({module.name: module for module in target.modules}.values())
    names = {module.name for module in target.modules}
    target.skipped = {n: why for n, why in sorted(target.skipped.items()) if n not in names}
    return target


def _distribution(name: str, distribution: importlib.metadata.Distribution) -> Target:
    target = Target(name, distribution.metadata["Name"], distribution.version)
    files = [str(file) for file in distribution.files or ()]
    for file in files:
        if file.endswith((".so", ".pyd")) and (parts := _import_path(file)):
            located = Path(str(distribution.locate_file(file)))
            if located.exists():
                _add(target, ".".join(parts[:-1]), located)
    if not target.modules and not target.skipped:
        # The files of an editable installation are elsewhere; the import system finds them.
        editable = distribution.read_text("direct_url.json") or ""
        listed = distribution.read_text("top_level.txt") or ""
        if '"editable"' in editable or not files:
            packages = {parts[0] for file in files if (parts := _import_path(file))}
            for package in sorted({*packages, *listed.split()} or {name.replace("-", "_")}):
                _walk_package(target, package)
    return _tidy(target)


def _import_path(file: str) -> list[str]:
    """Return the parts of the name that imports a file; empty if it cannot be imported."""
    *packages, name = PurePosixPath(file).parts
    parts = [*packages, name.partition(".")[0]]
    return parts if all(part.isidentifier() for part in parts) else []


def _importable(name: str) -> Target:
    if not all(part.isidentifier() for part in name.split(".")):
        raise _unknown(name)
    target = Target(name)
    if not _walk_package(target, name):
        raise _unknown(name)
    mapping = importlib.metadata.packages_distributions().get(name.partition(".")[0])
    if mapping:
        target.distribution = mapping[0]
        target.version = importlib.metadata.version(mapping[0])
    return _tidy(target)


def _walk_package(target: Target, name: str) -> bool:
    """Add the extension modules in a package, or a module itself; return False if not found."""
    spec = _find_spec(name)
    if spec is None:
        return False
    if isinstance(spec.loader, importlib.machinery.ExtensionFileLoader) and spec.origin:
        target.modules.append(Module(name, spec.origin))
    for location in spec.submodule_search_locations or ():
        _add_below(target, Path(location), name)
    return True


def _find_spec(name: str) -> importlib.machinery.ModuleSpec | None:
    """Find a module as import does, but without importing the packages that contain it."""
    top, *below = name.split(".")
    try:
        spec = importlib.util.find_spec(top)
    except ValueError:  # a module without a spec, such as __main__
        return None
    full = top
    for part in below:
        if spec is None or spec.submodule_search_locations is None:
            return None
        full = f"{full}.{part}"
        spec = importlib.machinery.PathFinder.find_spec(full, spec.submodule_search_locations)
    return spec


def _unknown(name: str) -> TargetError:
    known = {d.metadata["Name"] for d in importlib.metadata.distributions()}
    known |= {module.name for module in pkgutil.iter_modules()} | sys.stdlib_module_names
    close = difflib.get_close_matches(name, sorted(filter(None, known)), 1)
    hint = f"; did you mean {close[0]!r}?" if close else ""
    return TargetError(f"no installed distribution, package or module is called {name!r}{hint}")


def _wheel(name: str, path: Path, unpack_to: Path) -> Target:
    if not path.is_file():
        others = [str(p) for p in path.parent.glob("*.whl")] if path.parent.is_dir() else []
        close = difflib.get_close_matches(name, others, 1)
        hint = f"; did you mean {close[0]}?" if close else ""
        raise TargetError(f"no such wheel: {name}{hint}")
    try:
        distribution, version, _, tags = parse_wheel_filename(path.name)
        archive = zipfile.ZipFile(path)
    except (InvalidWheelFilename, zipfile.BadZipFile) as error:
        raise TargetError(f"not a wheel: {name}: {error}") from error
    target = Target(name, str(distribution), str(version))
    folder = Path(tempfile.mkdtemp(prefix="wheel-", dir=unpack_to))
    with archive:
        archive.extractall(folder)  # makes no links, and no files outside the folder
    roots = [folder, *folder.glob("*.data/purelib"), *folder.glob("*.data/platlib")]
    for root in reversed(roots):
        _add_below(target, root)
    target.path = [str(root) for root in roots]
    if not tags.intersection(sys_tags()):
        why = f"this wheel is for {', '.join(sorted(map(str, tags)))}"
        names = [*(module.name for module in target.modules), *target.skipped]
        target.skipped = dict.fromkeys(names or [str(distribution)], why)
        target.modules = []
    return _tidy(target)


def find_all(names: Iterable[str], unpack_to: Path) -> Sequence[Target]:
    """Find every target once. Raises TargetError for the first that does not exist."""
    return [find(name, unpack_to) for name in dict.fromkeys(names)]

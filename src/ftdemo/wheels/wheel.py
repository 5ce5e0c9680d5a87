"""One wheel file: its name, its contents, and whether they agree."""

import email.parser
import email.policy
import re
import zipfile
from collections import defaultdict
from collections.abc import Collection, Iterator
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath
from typing import NamedTuple, TypedDict

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.tags import Tag
from packaging.utils import BuildTag, InvalidWheelFilename, parse_wheel_filename

from ftdemo.exit_codes import CommandError
from ftdemo.wheels.cells import Interpreter, accepted, platform_of

SOURCES = {".c", ".cc", ".cpp", ".cxx", ".h", ".hh", ".hpp", ".hxx", ".pxd", ".pyx", ".rs"}
EXTENSION = re.compile(r"^(?P<module>[^.]+)\.(?:(?P<abi>.+)\.)?(?:so|pyd)$")
# cpython-314t-x86_64-linux-gnu, cp314t-win_amd64
OWN_ABI = re.compile(r"^(?:cpython-|cp)3(?P<minor>\d+)(?P<threaded>t?)\b")
STABLE_ABI = re.compile(r"^(?P<abi>abi3t?)\b")
ARCHITECTURE = re.compile(
    r"\b(?:x86_64|aarch64|i[36]86|armv7l|ppc64le|s390x|riscv64)(?=-linux)|win_\w+|win32"
)
# The interpreters for which tags are compared; abi3 and abi3t have no upper limit.
INTERPRETERS = [
    *(Interpreter(minor, threaded=False) for minor in range(8, 18)),
    *(Interpreter(minor, threaded=True) for minor in range(13, 18)),
]


def abi_tag(file: str) -> str:
    """Return the ABI tag in the name of a wheel file."""
    return file.removesuffix(".whl").split("-")[-2]


class WheelError(CommandError):
    """The file does not exist or is not a wheel; the message says which."""


class Problem(TypedDict):
    """A problem with a wheel, or a missing wheel. kind is hole, extra, sources, tests or tag."""

    kind: str
    subject: str
    detail: str


class Wheel(NamedTuple):
    """A wheel file. tags come from its name, declared from the WHEEL file in it."""

    file: str
    distribution: str
    version: str
    build: BuildTag
    tags: frozenset[Tag]
    declared: frozenset[Tag]
    requires_python: SpecifierSet
    contents: list[str]

    @property
    def platforms(self) -> set[str]:
        """The platforms that the wheel is for."""
        return {name for tag in self.tags for name in platform_of(tag.platform)}

    @property
    def abi(self) -> str:
        """The ABI tag in the name of the file, such as abi3.abi3t."""
        return abi_tag(self.file)

    def serves(self, interpreter: Interpreter, platform: str) -> bool:
        """Tell whether pip may install it for that interpreter on that platform."""
        fits = bool(self.tags.intersection(accepted(interpreter, platform)))
        return fits and self.allows(interpreter)

    def allows(self, interpreter: Interpreter) -> bool:
        """Tell whether its Requires-Python includes that version."""
        return self.requires_python.contains(f"3.{interpreter.minor}", prereleases=True)


def read_wheel(path: Path) -> Wheel:
    """Read the wheel at path. Raises WheelError."""
    try:
        distribution, version, build, tags = parse_wheel_filename(path.name)
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
            metadata = _headers(archive, ".dist-info/METADATA")
            declared = _headers(archive, ".dist-info/WHEEL").get_all("Tag", [])
        requires = SpecifierSet(str(metadata.get("Requires-Python", "")))
    except (InvalidWheelFilename, InvalidSpecifier, zipfile.BadZipFile, OSError) as error:
        raise WheelError(f"not a wheel: {path}: {error}") from error
    return Wheel(
        path.name,
        distribution,
        str(version),
        build,
        tags,
        frozenset(Tag(*tag.split("-")) for tag in declared if tag.count("-") == 2),
        requires,
        [name for name in names if not name.endswith("/")],
    )


def _headers(archive: zipfile.ZipFile, ending: str) -> email.message.EmailMessage:
    """Parse the file with that ending, which PEP 427 places one folder deep."""
    names = [name for name in archive.namelist() if name.endswith(ending) and name.count("/") == 1]
    if len(names) != 1:
        raise zipfile.BadZipFile(f"it has {len(names)} files named *{ending}, not one")
    parser = email.parser.BytesParser(policy=email.policy.default)
    return parser.parsebytes(archive.read(names[0]), headersonly=True)


def wrong_tags(wheel: Wheel) -> Iterator[Problem]:
    """Yield a problem for each tag that does not match the files in the wheel."""
    if wheel.declared != wheel.tags:
        inside = ", ".join(sorted(map(str, wheel.declared))) or "nothing"
        yield Problem(
            kind="tag", subject=wheel.file, detail=f"renamed: its WHEEL file says {inside}"
        )
    modules = defaultdict(list)
    for name in wheel.contents:
        path = PurePosixPath(name)
        match = EXTENSION.match(path.name)
        # Shared libraries that are not modules (libfoo.so.2, foo.libs/...) are ignored.
        if match and not path.parts[0].endswith(".libs"):
            modules[path.parent / match["module"]].append((name, match["abi"] or ""))
    promised = [i for i in INTERPRETERS if any(wheel.serves(i, p) for p in wheel.platforms)]
    for files in modules.values():
        unserved = [i for i in promised if not any(_loads(i, abi) for _, abi in files)]
        names = ", ".join(name for name, _ in files)
        if unserved:
            detail = (
                f"{names} does not load in {unserved[0].version}, which a tag of the wheel names"
            )
            yield Problem(kind="tag", subject=wheel.file, detail=detail)
        for name, abi in files:
            found = ARCHITECTURE.search(abi)
            if found and not any(p.endswith(found[0]) for p in wheel.platforms):
                yield Problem(kind="tag", subject=wheel.file, detail=f"{name} is for {found[0]}")


def _loads(interpreter: Interpreter, abi: str) -> bool:
    """Tell whether an interpreter loads extensions with that ABI in their file name."""
    own = OWN_ABI.match(abi)
    if own:
        return interpreter == (int(own["minor"]), bool(own["threaded"]))
    stable = STABLE_ABI.match(abi)
    if stable and stable["abi"] == "abi3t":  # PEP 803
        return interpreter.minor >= 15
    return not (stable and interpreter.threaded)


def strays(wheel: Wheel, allowed: Collection[str]) -> Iterator[Problem]:
    """Yield a problem for each source and test in a wheel that no pattern in allowed matches."""
    for name in wheel.contents:
        path = PurePosixPath(name)
        if any(fnmatchcase(name, pattern) for pattern in allowed):
            continue
        if path.suffix in SOURCES:
            yield Problem(kind="sources", subject=wheel.file, detail=name)
        is_test = path.name == "conftest.py" or fnmatchcase(path.name, "test_*.py")
        if is_test or {"test", "tests"}.intersection(path.parts[:-1]):
            yield Problem(kind="tests", subject=wheel.file, detail=name)

"""The cells of the matrix: interpreters and platforms, and the tags that an installer accepts.

Named as in the build identifiers of cibuildwheel: cp314t-manylinux_x86_64 is a cell. The tags and
their order are those of packaging.tags, which pip uses.
"""

import re
from collections.abc import Iterator
from functools import cache
from typing import NamedTuple

from packaging.tags import Tag, compatible_tags, cpython_tags, mac_platforms

INTERPRETER = re.compile(r"^cp3(?P<minor>\d+)(?P<threaded>t?)$", re.ASCII)
LEGACY_MANYLINUX = {17: "manylinux2014", 12: "manylinux2010", 5: "manylinux1"}
# Newer than any there is, so that no wheel is passed over for asking for too much.
GLIBC, MUSL, MACOS = 99, 9, 40


class Interpreter(NamedTuple):
    """A build of CPython: its minor version, and whether it can do without the GIL."""

    minor: int
    threaded: bool

    @property
    def name(self) -> str:
        """Such as cp314t; also the tag of its own ABI."""
        return f"cp3{self.minor}{'t' * self.threaded}"

    @property
    def version(self) -> str:
        """Such as 3.14t."""
        return self.name.replace("cp3", "3.", 1)


def parse_interpreter(name: str) -> Interpreter:
    """Make an Interpreter of its name. Raises ValueError."""
    match = INTERPRETER.match(name)
    if match is None:
        raise ValueError(f"no interpreter is called {name!r}; one is called 'cp314t'")
    return Interpreter(int(match["minor"]), bool(match["threaded"]))


def platform_of(tag: str) -> list[str]:
    """Name the platforms that a platform tag is for: a universal2 wheel is for two."""
    for pattern, family in (
        (r"manylinux(?:_2_\d+|1|2010|2014)_(\w+)$", "manylinux"),
        (r"musllinux_1_\d+_(\w+)$", "musllinux"),
        (r"macosx_\d+_\d+_(\w+)$", "macosx"),
    ):
        match = re.match(pattern, tag)
        if match and match[1] == "universal2":
            return ["macosx_x86_64", "macosx_arm64"]
        if match:
            return [f"{family}_{match[1]}"]
    return [tag]  # win_amd64, linux_x86_64 (which PyPI does not take), any, ...


def platform_tags(platform: str) -> Iterator[str]:
    """Give the platform tags that an up-to-date system of that platform accepts, best first."""
    family, _, arch = platform.partition("_")
    if family == "manylinux":
        for minor in range(GLIBC, 4, -1):
            yield f"manylinux_2_{minor}_{arch}"
            if minor in LEGACY_MANYLINUX:
                yield f"{LEGACY_MANYLINUX[minor]}_{arch}"
    elif family == "musllinux":
        yield from (f"musllinux_1_{minor}_{arch}" for minor in range(MUSL, -1, -1))
    elif family == "macosx":
        yield from mac_platforms((MACOS, 0), arch)
    else:
        yield platform


@cache
def accepted(interpreter: Interpreter, platform: str) -> dict[Tag, int]:
    """Give the tags that the interpreter accepts on the platform, with their rank; 0 is best."""
    version = (3, interpreter.minor)
    platforms = list(platform_tags(platform))
    own = cpython_tags(version, [interpreter.name], platforms)
    any_python = compatible_tags(version, f"cp3{interpreter.minor}", platforms)
    return {tag: rank for rank, tag in enumerate(dict.fromkeys([*own, *any_python]))}

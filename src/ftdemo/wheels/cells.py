"""Interpreters and platforms, with the tags of wheels that pip accepts for each combination.

A combination has the name of cibuildwheel's build identifier, such as cp314t-manylinux_x86_64. The
tags and their order come from packaging.tags, which pip uses.
"""

import re
from collections.abc import Iterator
from functools import cache
from typing import NamedTuple

from packaging.tags import Tag, compatible_tags, cpython_tags, mac_platforms

INTERPRETER = re.compile(r"^cp3(?P<minor>\d+)(?P<threaded>t?)$", re.ASCII)
LEGACY_MANYLINUX = {17: "manylinux2014", 12: "manylinux2010", 5: "manylinux1"}
# Newer than any release, so that no wheel is rejected because it requires a newer system.
GLIBC, MUSL, MACOS = 99, 9, 40


class Interpreter(NamedTuple):
    """A build of CPython: its minor version, and whether it is free-threaded."""

    minor: int
    threaded: bool

    @property
    def name(self) -> str:
        """The name, such as cp314t, which is also the tag of its own ABI."""
        return f"cp3{self.minor}{'t' * self.threaded}"

    @property
    def version(self) -> str:
        """The version, such as 3.14t."""
        return self.name.replace("cp3", "3.", 1)


def parse_interpreter(name: str) -> Interpreter:
    """Parse the name of an interpreter. Raises ValueError."""
    match = INTERPRETER.match(name)
    if match is None:
        raise ValueError(f"not an interpreter: {name!r}; write one as 'cp314t'")
    return Interpreter(int(match["minor"]), bool(match["threaded"]))


def platform_of(tag: str) -> list[str]:
    """Return the platforms of a platform tag: universal2 is two platforms."""
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
    return [tag]  # win_amd64, linux_x86_64 (which PyPI rejects), any, ...


def platform_tags(platform: str) -> Iterator[str]:
    """Yield the platform tags that an up-to-date system of that platform accepts, best first."""
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
    """Return the tags that the interpreter accepts on the platform, with ranks; 0 is best."""
    version = (3, interpreter.minor)
    platforms = list(platform_tags(platform))
    own = cpython_tags(version, [interpreter.name], platforms)
    any_python = compatible_tags(version, f"cp3{interpreter.minor}", platforms)
    return {tag: rank for rank, tag in enumerate(dict.fromkeys([*own, *any_python]))}

"""The wheel matrix: the wheel for each interpreter and platform, and the missing wheels."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TypedDict

from ftdemo import exit_codes
from ftdemo.wheels.cells import Interpreter, accepted, parse_interpreter
from ftdemo.wheels.contract import Contract, ContractError, read_contract
from ftdemo.wheels.wheel import Problem, Wheel, WheelError, read_wheel, strays, wrong_tags

__all__ = ["ContractError", "Result", "WheelError", "exit_code", "survey"]

# The builds that CPython supports, as of November 2026.
SUPPORTED = [
    *(Interpreter(minor, threaded=False) for minor in range(11, 16)),
    *(Interpreter(minor, threaded=True) for minor in (14, 15)),
]
# Shown only if a wheel fits them: an experimental build, and a version not yet released.
OTHERS = [Interpreter(13, threaded=True), Interpreter(16, False), Interpreter(16, True)]


class Cell(TypedDict):
    """The wheel that pip installs for an interpreter on a platform; None if there is no wheel."""

    interpreter: str
    platform: str
    wheel: str | None


class Release(TypedDict):
    """The matrix of one version of a distribution: interpreters by platforms.

    cells has each combination, holes the names of those without a wheel.
    """

    distribution: str
    version: str
    interpreters: list[str]
    platforms: list[str]
    cells: list[Cell]
    holes: list[str]


class Result(TypedDict):
    """The output of `ftdemo wheels --json`."""

    version: int
    releases: list[Release]
    problems: list[Problem]


def survey(paths: Sequence[str], expect: str | None = None) -> Result:
    """Build the matrix of the wheels at paths, and compare it with the expected wheels.

    Each path is a wheel or a folder of wheels. expect is the path of a list of expected wheels (see
    ftdemo.wheels.contract). Without it, a missing wheel is shown but is not a problem, and wheels
    may contain sources and tests. A wheel with a wrong tag is always a problem.

    Raises WheelError for a file that is not a wheel, and ContractError if the list cannot be read.
    Runs no code from the wheels.
    Thread safety: safe on shared objects.
    """
    contract = read_contract(Path(expect)) if expect is not None else None
    wheels = [read_wheel(file) for file in _files(paths)]
    problems = [problem for wheel in wheels for problem in wrong_tags(wheel)]
    if contract is not None:
        problems += [p for wheel in wheels for p in strays(wheel, contract.allow)]
        problems += _breaches(contract, wheels)
    by_release: dict[tuple[str, str], list[Wheel]] = defaultdict(list)
    for wheel in wheels:
        by_release[wheel.distribution, wheel.version].append(wheel)
    return {
        "version": 1,
        "releases": [_lay_out(wheels, contract) for _, wheels in sorted(by_release.items())],
        "problems": problems,
    }


def _files(paths: Iterable[str]) -> list[Path]:
    files: dict[Path, None] = {}
    for path in map(Path, paths):
        if path.is_dir():
            files.update(dict.fromkeys(sorted(path.glob("*.whl"))))
        elif path.is_file():
            files[path] = None
        else:
            raise WheelError(f"no such file or folder: {path}")
    return list(files)


def choose(interpreter: Interpreter, platform: str, wheels: Iterable[Wheel]) -> Wheel | None:
    """Choose among wheels of one version as pip does: by the best tag, then by build number."""
    ranks = accepted(interpreter, platform)
    serving = [wheel for wheel in wheels if wheel.serves(interpreter, platform)]
    return max(
        serving,
        key=lambda wheel: (-min(ranks[tag] for tag in wheel.tags if tag in ranks), wheel.build),
        default=None,
    )


def _lay_out(wheels: Sequence[Wheel], contract: Contract | None) -> Release:
    expected = contract.cells if contract is not None else {}
    platforms = {platform for wheel in wheels for platform in wheel.platforms}
    if platforms != {"any"}:
        platforms.discard("any")
    platforms.update(platform for _, platform in expected)

    def anywhere(interpreter: Interpreter) -> bool:
        return any(wheel.serves(interpreter, p) for wheel in wheels for p in platforms)

    interpreters = {interpreter for interpreter, _ in expected}
    if not expected:
        interpreters.update(i for i in SUPPORTED if any(wheel.allows(i) for wheel in wheels))
    interpreters.update(i for i in [*OTHERS, *_named(wheels)] if anywhere(i))
    rows, columns = sorted(interpreters), sorted(platforms, key=_by_system)
    chosen = {(row, column): choose(row, column, wheels) for row in rows for column in columns}
    return {
        "distribution": wheels[0].distribution,
        "version": wheels[0].version,
        "interpreters": [row.name for row in rows],
        "platforms": columns,
        "cells": [
            {"interpreter": i.name, "platform": p, "wheel": wheel.file if wheel else None}
            for (i, p), wheel in chosen.items()
        ],
        "holes": [f"{i.name}-{p}" for (i, p), wheel in chosen.items() if wheel is None],
    }


def _named(wheels: Iterable[Wheel]) -> Iterator[Interpreter]:
    """Yield the interpreters for whose own ABI there is a wheel."""
    for tag in {tag for wheel in wheels for tag in wheel.tags}:
        if tag.abi.startswith("cp3") and tag.abi.removesuffix("t").removeprefix("cp").isdigit():
            yield parse_interpreter(tag.abi)


def _by_system(platform: str) -> tuple[int, str]:
    systems = ("manylinux", "musllinux", "macosx", "win")
    places = [place for place, system in enumerate(systems) if platform.startswith(system)]
    return (places[0] if places else len(systems), platform)


def _breaches(contract: Contract, wheels: Sequence[Wheel]) -> Iterator[Problem]:
    releases = sorted({f"{wheel.distribution} {wheel.version}" for wheel in wheels})
    if len(releases) > 1:
        yield Problem(kind="extra", subject=", ".join(releases), detail="more than one release")
    used = set()
    for (interpreter, platform), abi in contract.cells.items():
        cell = f"{interpreter.name}-{platform}"
        wheel = choose(interpreter, platform, wheels)
        if wheel is None:
            yield Problem(kind="hole", subject=cell, detail="no wheel")
        elif wheel.abi != abi:
            yield Problem(
                kind="hole", subject=cell, detail=f"no wheel for {abi}; pip installs {wheel.file}"
            )
        else:
            used.add(wheel.file)
    for wheel in wheels:
        if wheel.file not in used:
            yield Problem(
                kind="extra", subject=wheel.file, detail="not in the list of expected wheels"
            )


def exit_code(result: Result) -> int:
    """Return FAILED if there are problems, NOTHING_CHECKED if there was no wheel."""
    if result["problems"]:
        return exit_codes.FAILED
    return exit_codes.OK if result["releases"] else exit_codes.NOTHING_CHECKED

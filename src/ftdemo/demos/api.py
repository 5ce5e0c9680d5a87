"""Run demos, each in an interpreter of its own, and say what came of them."""

import json
import os
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal, TypedDict

from ftdemo.check import interpreter
from ftdemo.check.children import ending, kill
from ftdemo.demos import claim

Outcome = Literal["seen", "not seen", "skip"]
OUTCOMES: tuple[Outcome, ...] = ("seen", "not seen", "skip")
NOTHING_SHOWN = 3
TIMEOUT = 120.0


class Demo(TypedDict):
    """What came of one demo."""

    name: str
    claim: str
    outcome: Outcome
    detail: str
    measured: dict[str, object]


class Result(TypedDict):
    """What came of all, as `ftdemo demo --json` prints it."""

    version: int
    interpreter: interpreter.Interpreter
    demos: list[Demo]
    summary: dict[str, int]


def run(names: Sequence[str], *, quick: bool = False, timeout: float = TIMEOUT) -> Iterator[Demo]:
    """Run demos one after another, so that they do not disturb each other.

    timeout is in seconds, for each. A demo that crashes, hangs or raises is "not seen".
    """
    for name in names:
        with tempfile.TemporaryDirectory(prefix="ftdemo-demo-") as folder:
            yield _run_one(name, Path(folder), quick=quick, timeout=timeout)


def _environment(name: str) -> dict[str, str]:
    """Make the environment of a demo. Only `gil` is about what is asked of the interpreter."""
    environment = interpreter.clean_environment()
    if name == "gil":
        asked = ("PYTHON_GIL", "PYTHONWARNINGS")
        environment |= {key: os.environ[key] for key in asked if key in os.environ}
    path = [str(Path(entry).absolute()) for entry in sys.path]
    return environment | {"PYTHONPATH": os.pathsep.join(path)}  # what it imports, we would import


def _run_one(name: str, folder: Path, *, quick: bool, timeout: float) -> Demo:
    report, errors = folder / "report", folder / "errors"
    gil = sys._xoptions.get("gil")
    options = ["-X", f"gil={gil}"] if name == "gil" and gil is not None else []
    command = [sys.executable, "-P", *options, "-m", "ftdemo.demos"]
    arguments = [name, str(report), str(timeout), *(["--quick"] if quick else [])]
    with errors.open("wb") as stderr:
        process = subprocess.Popen(
            [*command, *arguments],
            env=_environment(name),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=stderr,
            start_new_session=os.name != "nt",  # Ctrl-C is for the one who asks
        )
        status: int | None
        try:
            status = process.wait(timeout)
        except subprocess.TimeoutExpired:
            status = None
        finally:
            kill(process)  # and what it started
            process.wait()
    demo: Demo = {
        "name": name,
        "claim": claim(name),
        "outcome": "not seen",
        "detail": "",
        "measured": {},
    }
    if status == 0 and report.exists():
        demo.update(json.loads(report.read_text(encoding="utf-8")))
        return demo
    lines = errors.read_text(encoding="utf-8", errors="replace").split("\n")
    last = next((line for line in reversed(lines) if line.strip()), "")
    said = f": {last}" if last and status and status > 0 else ""
    demo["detail"] = f"the demo did not finish: {ending(status, timeout)}{said}"
    return demo


def collect(demos: Sequence[Demo]) -> Result:
    """Make one result of what came of each."""
    counts = Counter(demo["outcome"] for demo in demos)
    return {
        "version": 1,
        "interpreter": interpreter.describe(),
        "demos": list(demos),
        "summary": {outcome: counts[outcome] for outcome in OUTCOMES},
    }


def exit_code(result: Result) -> int:
    """0 every claim was seen, or had a reason to be skipped; 1 one was not; 3 all were skipped."""
    if result["summary"]["not seen"]:
        return 1
    return 0 if result["summary"]["seen"] else NOTHING_SHOWN

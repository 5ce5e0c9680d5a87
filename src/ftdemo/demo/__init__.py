"""Run demos, each in a fresh interpreter, and collect their outcomes."""

import json
import os
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, TypedDict

from ftdemo import exit_codes, interpreter, processes
from ftdemo.demos import claim

Outcome = Literal["seen", "not seen", "skip"]
OUTCOMES: tuple[Outcome, ...] = ("seen", "not seen", "skip")
TIMEOUT = 120.0


class Demo(TypedDict):
    """The outcome of one demo."""

    name: str
    claim: str
    outcome: Outcome
    detail: str
    measured: dict[str, object]


class Result(TypedDict):
    """The outcomes of all demos, as `ftdemo demo --json` prints them."""

    version: int
    interpreter: interpreter.Interpreter
    demos: list[Demo]
    summary: dict[str, int]


def run(name: str, *, quick: bool = False, timeout: float = TIMEOUT) -> Demo:
    """Run one demo for at most timeout seconds; a crash, hang or exception is "not seen"."""
    demo: Demo = {
        "name": name,
        "claim": claim(name),
        "outcome": "not seen",
        "detail": "",
        "measured": {},
    }
    gil = sys._xoptions.get("gil")
    options = ["-X", f"gil={gil}"] if name == "gil" and gil is not None else []
    command = [sys.executable, "-P", *options, "-m", "ftdemo.demo", name]
    with tempfile.TemporaryDirectory(prefix="ftdemo-demo-") as folder:
        report, errors = Path(folder, "report"), Path(folder, "errors")
        command += [str(report), str(timeout), *(["--quick"] if quick else [])]
        with (
            errors.open("wb") as stderr,
            processes.start(
                command, env=_environment(name), stdin=subprocess.PIPE, stderr=stderr
            ) as process,
        ):
            status: int | None = None
            try:
                status = process.wait(timeout)
            except subprocess.TimeoutExpired:
                pass
            finally:
                processes.kill(process)
        if status == 0 and report.exists():
            demo.update(json.loads(report.read_text(encoding="utf-8")))
            return demo
        lines = errors.read_text(encoding="utf-8", errors="replace").split("\n")
    last = next((line for line in reversed(lines) if line.strip()), "")
    said = f": {last}" if last and status and status > 0 else ""
    demo["detail"] = f"the demo did not finish: {processes.ending(status, timeout)}{said}"
    return demo


def _environment(name: str) -> dict[str, str]:
    """Make the environment of a demo: clean, but for `gil`, which demonstrates its variables."""
    environment = processes.clean_environment() | processes.same_import_path()
    if name == "gil":
        asked = ("PYTHON_GIL", "PYTHONWARNINGS")
        environment |= {key: os.environ[key] for key in asked if key in os.environ}
    return environment


def collect(demos: Sequence[Demo]) -> Result:
    """Combine the outcomes of all demos into one result."""
    counts = Counter(demo["outcome"] for demo in demos)
    return {
        "version": 1,
        "interpreter": interpreter.describe(),
        "demos": list(demos),
        "summary": {outcome: counts[outcome] for outcome in OUTCOMES},
    }


def exit_code(result: Result) -> int:
    """Return FAILED if a claim was not seen, NOTHING_CHECKED if all demos were skipped."""
    if result["summary"]["not seen"]:
        return exit_codes.FAILED
    return exit_codes.OK if result["summary"]["seen"] else exit_codes.NOTHING_CHECKED

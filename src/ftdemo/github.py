"""GitHub Actions: annotations of a run, and the summary of a job."""

import os
import sys
from pathlib import Path


def annotate(kind: str, title: str, message: str, *, file: str = "", line: int = 0) -> None:
    """Write a workflow command on stderr: kind is "error", "warning" or "notice"."""
    for character, escaped in (("%", "%25"), ("\r", "%0D"), ("\n", "%0A")):
        title, message = title.replace(character, escaped), message.replace(character, escaped)
    title = title.replace(":", "%3A").replace(",", "%2C")
    place = f"file={file},line={line}," if file else ""
    print(f"::{kind} {place}title={title}::{message}", file=sys.stderr)


def add_to_summary(markdown: str) -> None:
    """Add to the summary of the job, where there is one."""
    summary = os.environ.get("GITHUB_STEP_SUMMARY")
    if summary:
        with Path(summary).open("a", encoding="utf-8") as file:
            file.write(markdown + "\n")

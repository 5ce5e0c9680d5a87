"""Annotations and job summaries for GitHub Actions."""

import os
import sys
from pathlib import Path


def annotation(kind: str, title: str, message: str, **place: str | int) -> str:
    """Format a workflow command: kind is error, warning or notice, place has file, line and col."""
    properties = ",".join(f"{name}={_property(str(of))}" for name, of in place.items())
    comma = "," if properties else ""
    return f"::{kind} {properties}{comma}title={_property(title)}::{_data(message)}"


def annotate(kind: str, title: str, message: str, **place: str | int) -> None:
    """Write a workflow command to stderr."""
    print(annotation(kind, title, message, **place), file=sys.stderr)


def _data(text: str) -> str:
    for character, escaped in (("%", "%25"), ("\r", "%0D"), ("\n", "%0A")):
        text = text.replace(character, escaped)
    return text


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")


def add_to_summary(markdown: str) -> None:
    """Append to the job summary, if the environment names a file for it."""
    summary = os.environ.get("GITHUB_STEP_SUMMARY")
    if summary:
        with Path(summary).open("a", encoding="utf-8") as file:
            file.write(markdown + "\n")

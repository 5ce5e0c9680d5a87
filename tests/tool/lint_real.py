"""Lint the sources of other projects, for the figures in docs/lint.md.

Arguments are folders. For NAME-before and NAME-after, the sources before and after a fix, it also
compares: how many findings are gone where the fix changed the line, or where the function got a
lock; and how many functions that got a lock had such a finding, in themselves, or also in what they
now call under the lock.
"""

import gc
import re
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from ftdemo.lint import Finding, Result, api, files, lint
from ftdemo.lint.project import apply, link
from ftdemo.terminal import Table, show


class Code(NamedTuple):
    """The functions of a folder by name: all, those that lock, what they call, and their lines."""

    names: set[str]
    locking: set[str]
    calls: dict[str, set[str]]
    calls_locked: dict[str, set[str]]
    places: dict[tuple[str, int], str]


def read(folder: str) -> Code:
    """Parse a folder."""
    found, _ = files.find([folder])
    loaded = api.load(found)
    code = Code(set(), set(), defaultdict(set), defaultdict(set), {})
    project = link(loaded.summaries)
    for source in api._sources:
        apply(project, source)
        for function in source.functions:
            code.names.add(function.name)
            for line in range(function.line, function.end_line + 1):
                code.places[source.shown, line] = function.name
            for event in function.events:
                if event.kind == "lock":
                    code.locking.add(function.name)
                elif event.kind == "call":
                    code.calls[function.name].add(event.name)
                    if event.state.locks:
                        code.calls_locked[function.name].add(event.name)
            if function.clinic_locks:
                code.locking.add(function.name)
                code.calls_locked[function.name] |= code.calls[function.name]
    return code


def plain(name: str | None) -> str:
    """Return the name of a function without the suffix that a fix may add or remove."""
    return (name or "").removesuffix("_impl").removesuffix("_lock_held")


def functions_of(finding: Finding, code: Code) -> set[str]:
    """Return the functions that a finding names, by name or by a line."""
    named = set(re.findall(r"(\w+)\(\)", finding["message"])) | {finding["function"] or ""}
    lines = re.findall(r"(?<=[ (])\d+(?=[,;)])", finding["help"])
    named |= {code.places.get((finding["path"], int(line)), "") for line in lines}
    return {plain(name) for name in named}


def changed_lines(old: Path, new: Path) -> set[int]:
    """Return the lines of a file that are no longer in the new one."""
    if not new.is_file():
        return set(range(1, len(old.read_bytes().splitlines()) + 1))
    run = ["git", "diff", "--no-index", "-U0", "-w", "--no-color", str(old), str(new)]
    text = subprocess.run(run, capture_output=True, check=False).stdout.decode("latin-1")
    found = set()
    for start, count in re.findall(r"^@@ -(\d+)(?:,(\d+))? ", text, re.MULTILINE):
        found |= set(range(int(start), int(start) + int(count or 1)))
    return found


def message(finding: Finding) -> tuple[str, str, str]:
    """Return the parts of a finding that stay when lines move and helpers are split off."""
    return finding["rule"], plain(finding["function"]), finding["message"].split(" in ")[0]


def reached(code: Code, name: str) -> set[str]:
    """Return a function and all that it calls under its lock."""
    found = {name}
    waiting = list(code.calls_locked[name])
    while waiting:
        called = waiting.pop()
        if called not in found and called in code.names:
            found.add(called)
            waiting += code.calls[called]
    return {plain(each) for each in found}


def compare(name: str, before: str, after: str, results: dict[str, Result]) -> Iterable[str]:
    """Return a row of the table of pairs."""
    old, new = read(before), read(after)
    first, last = results[before]["findings"], results[after]["findings"]
    changes: dict[str, set[int]] = {}
    for path in {f["path"] for f in first}:
        changes[path] = changed_lines(Path(path), Path(after, Path(path).relative_to(before)))
    got = {plain(n) for n in new.locking} - {plain(n) for n in old.locking}
    fixed = [f for f in first if f["line"] in changes[f["path"]] or functions_of(f, old) & got]
    there = {message(f) for f in last}
    gone = [f for f in fixed if message(f) not in there]
    for f in fixed:
        if f not in gone:
            print(f"still there: {f['path']}:{f['line']}: {f['rule']}: {f['message'][:60]}")
    locked = sorted(n for n in new.locking if plain(n) in got & {plain(o) for o in old.names})
    gone_in = set().union(*(functions_of(f, old) for f in gone))
    own = [n for n in locked if plain(n) in gone_in]
    under = [n for n in locked if n not in own and reached(new, n) & gone_in]
    for n in locked:
        if n not in own:
            print(f"{name}: nothing found in {n}(), which got a lock" + " itself" * (n in under))
    yield name
    yield f"{len(first)}"
    yield f"{len(last)}"
    yield f"{len(gone)} of {len(fixed)}"
    yield f"{len(own)} of {len(locked)}"
    yield f"{len(own) + len(under)} of {len(locked)}"


def main(folders: list[str]) -> int:
    """Lint each folder on one core, and print tables."""
    results: dict[str, Result] = {}
    table = Table("sources", "lines", "errors", "warnings", "per 1,000 lines", "lines per second")
    for folder in folders:
        gc.collect()  # of the folder before
        start = time.process_time()
        result = lint([folder])
        seconds = time.process_time() - start
        results[folder] = result
        lines, summary = result["summary"]["lines"], result["summary"]
        rate = 1000 * len(result["findings"]) / max(lines, 1)
        counts = (str(n) for n in (lines, summary["errors"], summary["warnings"]))
        table.add_row(Path(folder).name, *counts, f"{rate:.1f}", f"{lines / seconds:.0f}")
    pairs = Table("pair", "before", "after", "fixed and gone", "got a lock, found", "with callees")
    for before in results:
        after = before.removesuffix("-before") + "-after"
        if before.endswith("-before") and after in results:
            pairs.add_row(
                *compare(Path(before).name.removesuffix("-before"), before, after, results)
            )
    show(table, *([pairs] if pairs.rows else []))
    return 0 if results else 3


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

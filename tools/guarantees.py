"""Write docs/guarantees.md from the docstrings and the mutants.

    python tools/guarantees.py

Needs ftdemo to be installed. Exits with 1 if a concept has fewer than two mutants, or if a public
name is in no concept's file.
"""

import inspect
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import ftdemo

PROJECT = Path(__file__).parent.parent
DOCUMENT = PROJECT / "docs/guarantees.md"
READY = PROJECT / "csrc/ready"
INTRODUCTION = """\
# Guarantees, and what proves them

What does each public name of ftdemo guarantee to threads that share its objects, and which test
proves it? This page is for authors who want to copy one of the concepts.

```python
import ftdemo  # keeps the GIL off

a, b = ftdemo.Account(100), ftdemo.Account()
ftdemo.transfer(a, b, 30)  # atomic, even if other threads transfer in the other direction
ftdemo.total(a, b)  # 100, at any time

import ftdemo.legacy  # the same names before the port: CPython warns, and the GIL is back
```

The guarantee is the end of each docstring, one of CPython's [thread safety
levels](https://docs.python.org/3.15/library/threadsafety.html). The second table of each section
lists mutants: patches in [tests/mutants](../tests/mutants) that remove one precaution, each with
the test that then fails. `tools/nox -s mutants` runs them. The same tests run under ThreadSanitizer
(`tools/nox -s tsan`) and under AddressSanitizer and UndefinedBehaviorSanitizer (`tools/nox -s
asan`); no report may name `csrc/ready`.

`tools/nox -s lint` writes this page.
"""
HEADER = re.compile(r"Broken: (?P<broken>.+)\nCaught by: (?:\w+/)*(?P<check>\S+)")


def public_names() -> Iterator[tuple[str, object]]:
    """Yield every public function and type of ftdemo, with its public members."""
    for name in ftdemo.__all__:
        thing = getattr(ftdemo, name)
        yield name, thing
        if inspect.isclass(thing):
            yield from ((f"{name}.{m}", v) for m, v in vars(thing).items() if m[0] != "_")


def guarantee(thing: object) -> str:
    """Return the text after "Thread safety:" in a docstring, without the full stop."""
    return " ".join(str(thing.__doc__).split()).partition("Thread safety: ")[2].removesuffix(".")


def concept(source: Path) -> Iterator[str]:
    """Yield the lines about the concept in one C source file."""
    code = source.read_text(encoding="utf-8")
    yield f"\n## {source.stem}\n"
    yield code.removeprefix("/* ").partition("\n")[0]
    names = [
        f"| `{name}` | {guarantee(thing)} |"
        for name, thing in public_names()
        if f'"{name.partition(".")[0]}(' in code
    ]
    if names:
        yield from ["", "| name | guarantee |", "|---|---|", *names]
    yield from ["", "| what the mutant breaks | test that fails | mutant |", "|---|---|---|"]
    mutants = []
    for patch in sorted((PROJECT / "tests/mutants").glob("*.patch")):
        text = patch.read_text(encoding="utf-8")
        header = HEADER.match(text)
        if header and f"+++ b/csrc/ready/{source.name}\n" in text:
            mutants.append(f"| {header['broken']} | `{header['check']}` | `{patch.stem}` |")
    if len(mutants) < 2:
        sys.exit(f"{source.name} has fewer than two mutants")
    yield from mutants


def document() -> str:
    """Return the text of the page: the concepts in the order of concepts.h, the module last."""
    listed = (PROJECT / "csrc/concepts.h").read_text(encoding="utf-8")
    order = [*re.findall(r"^    X\((\w+)\)", listed, re.M), "module"]
    lines = [line for name in order for line in concept(READY / f"{name}.c")]
    for name, thing in public_names():
        if f"| `{name}` | {guarantee(thing)} |" not in lines:
            sys.exit(f"{name} is in no concept's file")
    return INTRODUCTION + "\n".join(lines) + "\n"


if __name__ == "__main__":
    DOCUMENT.write_text(document(), encoding="utf-8")

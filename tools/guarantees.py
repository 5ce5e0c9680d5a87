"""Write docs/guarantees.md: what the docstrings promise, and what the mutants prove.

    python tools/guarantees.py

Needs ftdemo installed. tests/test_guarantees.py compares the document with what this gives.
"""

import inspect
import re
from collections.abc import Iterator
from pathlib import Path

import ftdemo

PROJECT = Path(__file__).parent.parent
DOCUMENT = PROJECT / "docs/guarantees.md"
READY = PROJECT / "csrc/ready"
INTRODUCTION = """\
# Guarantees, and what proves them

What each public name promises to threads that share its objects, in the words of CPython's [thread
safety levels](https://docs.python.org/3.15/library/threadsafety.html): the end of its docstring.
And for each file, its mutants: patches in [tests/mutants](../tests/mutants) that take away one
precaution, and the test that fails then; `tools/nox -s mutants` runs them. The same tests run under
ThreadSanitizer (`tools/nox -s tsan`) and under AddressSanitizer and UndefinedBehaviorSanitizer
(`tools/nox -s asan`), where no report may name `csrc/ready`.

`tools/nox -s guarantees` writes this page.
"""
HEADER = re.compile(r"Broken: (?P<broken>.+)\nCaught by: (?:\w+/)*(?P<check>\S+)")


def public_names() -> Iterator[tuple[str, object]]:
    """Give every public function and type of ftdemo, with its public members."""
    for name in ftdemo.__all__:
        thing = getattr(ftdemo, name)
        yield name, thing
        if inspect.isclass(thing):
            yield from ((f"{name}.{m}", v) for m, v in vars(thing).items() if m[0] != "_")


def guarantee(thing: object) -> str:
    """Give what a docstring says after "Thread safety:", without the full stop."""
    return " ".join(str(thing.__doc__).split()).partition("Thread safety: ")[2].removesuffix(".")


def concept(source: Path) -> Iterator[str]:
    """Give the lines about the concept of a C source."""
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
    yield from ["", "| without this precaution | what fails | mutant |", "|---|---|---|"]
    for patch in sorted((PROJECT / "tests/mutants").glob("*.patch")):
        text = patch.read_text(encoding="utf-8")
        header = HEADER.match(text)
        if header and f"+++ b/csrc/ready/{source.name}\n" in text:
            yield f"| {header['broken']} | `{header['check']}` | `{patch.stem}` |"


def document() -> str:
    """Give the text of the document: the concepts in their order, the module last."""
    listed = (PROJECT / "csrc/concepts.h").read_text(encoding="utf-8")
    order = [*re.findall(r"^    X\((\w+)\)", listed, re.M), "module"]
    lines = [line for name in order for line in concept(READY / f"{name}.c")]
    return INTRODUCTION + "\n".join(lines) + "\n"


if __name__ == "__main__":
    DOCUMENT.write_text(document(), encoding="utf-8")

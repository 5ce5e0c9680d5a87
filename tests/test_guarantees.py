"""docs/guarantees.md has every public name, and names tests and mutants that there are."""

import inspect
import re
from pathlib import Path

import pytest

import ftdemo
from ftdemo.threadsafety import level_of

TESTS = Path(__file__).parent
TABLE = TESTS.parent / "docs/guarantees.md"
ROW = re.compile(
    r"^\| `(?P<name>[\w.]+)` \| (?P<level>[\w ]+) \| .+ \| `.+` \| (?:`\w+`|-) \|$", re.M
)
TEST = re.compile(r"`(?P<file>test_\w+\.py)::(?P<name>\w+)(?P<parameter>\[.+?\])?`")
MUTANT = re.compile(r"\| `(?P<name>\w+)` \|$", re.M)
CHECK = re.compile(r"^Caught by: tests/(?P<check>.+)$", re.M)

if not TABLE.exists():
    pytest.skip("the documentation is not beside the tests", allow_module_level=True)
TEXT = TABLE.read_text(encoding="utf-8")


def public_names():
    """Every public function and type of ftdemo, with its public members."""
    for name in ftdemo.__all__:
        thing = getattr(ftdemo, name)
        yield name, thing
        if inspect.isclass(thing):
            yield from ((f"{name}.{m}", v) for m, v in vars(thing).items() if m[0] != "_")


def test_every_public_name_is_in_the_table():
    assert sorted(row["name"] for row in ROW.finditer(TEXT)) == sorted(n for n, _ in public_names())


def test_the_levels_are_those_of_the_docstrings():
    things = dict(public_names())
    for row in ROW.finditer(TEXT):
        assert level_of(things[row["name"]].__doc__) == row["level"]


def test_every_mutant_exists_and_names_that_test():
    for line in TEXT.splitlines():
        mutant, test = MUTANT.search(line), TEST.search(line)
        if mutant and test:
            patch = (TESTS / f"mutants/{mutant['name']}.patch").read_text(encoding="utf-8")
            assert CHECK.search(patch)["check"] == test[0].strip("`")


def test_every_concept_has_two_mutants():
    patches = [path.read_text(encoding="utf-8") for path in (TESTS / "mutants").glob("*.patch")]
    for source in (TESTS.parent / "csrc/ready").glob("*.c"):
        assert sum(f"b/csrc/ready/{source.name}\n" in patch for patch in patches) >= 2, source.name

"""docs/guarantees.md says what docstrings and mutants say, and each promise is kept by a test."""

import importlib.util
from pathlib import Path

import pytest
from concepts import CSRC, NAMES

SCRIPT = Path(__file__).parent.parent / "tools/guarantees.py"

if not SCRIPT.exists():
    pytest.skip("the tools are not beside the tests", allow_module_level=True)
spec = importlib.util.spec_from_file_location("guarantees", SCRIPT)
guarantees = importlib.util.module_from_spec(spec)
spec.loader.exec_module(guarantees)


def test_the_document_is_up_to_date():
    assert guarantees.DOCUMENT.read_text(encoding="utf-8") == guarantees.document()


def test_every_public_name_is_in_it():
    for name, thing in guarantees.public_names():
        assert f"| `{name}` | {guarantees.guarantee(thing)} |" in guarantees.document()


@pytest.mark.parametrize("name", [*NAMES, "module"])
def test_every_concept_has_two_mutants(name):
    lines = list(guarantees.concept(CSRC / f"ready/{name}.c"))
    mutants = lines[lines.index("| without this precaution | what fails | mutant |") + 2 :]
    assert len(mutants) >= 2

"""module.c: each import and each interpreter has its own module; nothing is leaked."""

import gc
import sys

import pytest
from concepts import CONCEPTS, SOURCES
from other_interpreter import AVAILABLE, run_in_another_interpreter

import ftdemo
from ftdemo import _ready

pytestmark = pytest.mark.thread_unsafe(reason="counts allocations of the whole process")

TYPES = [name for name in ftdemo.__all__ if isinstance(getattr(ftdemo, name), type)]


def test_each_import_has_its_own_types(another_module):
    module = another_module()
    assert TYPES
    assert all(getattr(module, name) is not getattr(_ready, name) for name in TYPES)
    for concept in CONCEPTS.values():
        concept.use(module)


@pytest.mark.parametrize("name", CONCEPTS)
def test_no_reference_leaks(name):
    """One leaked object per round would be 500 blocks; a first run fills the caches."""

    def grown(rounds):
        gc.collect()
        before = sys.getallocatedblocks()
        for _ in range(rounds):
            CONCEPTS[name].use(ftdemo)
        gc.collect()
        return sys.getallocatedblocks() - before

    grown(500)
    assert min(grown(500) for _ in range(3)) < 250


needs_interpreters = pytest.mark.skipif(
    not AVAILABLE, reason="no interpreters with their own GIL before 3.13"
)


@needs_interpreters
def test_a_subinterpreter_has_its_own_module():
    """The module there has its own types and works; the module here does not change."""
    types = {name: id(getattr(ftdemo, name)) for name in TYPES}
    program = f"""
import ftdemo
for name, elsewhere in {types}.items():
    assert id(getattr(ftdemo, name)) != elsewhere
for source in {list(SOURCES.values())}:
    scope = {{}}
    exec(source, scope)
    scope["use"](ftdemo)
"""
    for _ in range(3):
        assert run_in_another_interpreter(program) == ""
    for concept in CONCEPTS.values():
        concept.use(ftdemo)


@needs_interpreters
@pytest.mark.all_modules
def test_a_subinterpreter_refuses_the_legacy_module():
    """It has static variables, so it does not declare support for a GIL per interpreter."""
    failed = run_in_another_interpreter("import ftdemo._legacy")
    assert "module ftdemo._legacy does not support loading in subinterpreters" in failed

"""module.c: a module of its own for each import, and for each interpreter; nothing is leaked."""

import gc
import sys
from functools import partial

import pytest

import ftdemo
from ftdemo import _ready

pytestmark = pytest.mark.thread_unsafe(reason="counts what the whole process has allocated")


def test_each_import_has_a_state_of_its_own(another_module):
    module = another_module()
    assert module.Account is not _ready.Account
    with pytest.raises(TypeError, match="Account"):
        module.total(module.Account(), _ready.Account())
    key = 2**100
    assert _ready.intern(key) is key
    assert _ready.intern(float(key)) is key
    assert module.intern(float(key)) is not key  # another cache, empty until now


def test_an_instance_keeps_what_it_needs(another_module):
    account = another_module().Account(5)
    gc.collect()
    account.deposit(1)
    assert account.balance == 6


def test_a_module_is_collected_with_what_it_interned(fresh_python):
    """The key refers to the module, which refers to the key: only m_traverse shows the cycle."""
    program = """
import gc, importlib.util, weakref
class Key:
    pass
for _ in range(3):
    spec = importlib.util.find_spec("ftdemo._ready")
    key = Key()
    key.module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(key.module)
    key.module.intern(key)
    gone = [weakref.ref(thing) for thing in (key, key.module.Account)]
    del key
    gc.collect()
    assert [ref() for ref in gone] == [None, None]
"""
    # A new process, since 3.13t makes types immortal once there have been threads.
    assert fresh_python("-c", program).stderr == ""


def use_everything():
    a, b = ftdemo.Account(10), ftdemo.Account(balance=5)
    a.deposit(1)
    a.withdraw(2)
    a.transfer_to(b, 3)
    ftdemo.transfer(b, a, 3)
    ftdemo.total(a, b)
    list(ftdemo.Tickets(2**62, 2**62 + 50))
    ftdemo.intern("always the same key")
    checksum = ftdemo.Checksum()
    checksum.update(b"x" * 5000)
    assert checksum.copy().value == checksum.value
    ftdemo.sum_of_squares(4_000_000)
    for wrong in (
        partial(a.withdraw, 10**6),
        partial(a.deposit, 2**63 - 1),
        partial(a.deposit, "1"),
        partial(a.transfer_to, None, 1),
        partial(ftdemo.intern, []),
        partial(checksum.update, "no bytes"),
        partial(ftdemo.sum_of_squares, -1),
        partial(ftdemo.Tickets, 2**70),
    ):
        try:
            wrong()
        except (ValueError, OverflowError, TypeError):
            pass
        else:
            raise AssertionError(wrong)


def test_nothing_is_leaked():
    """A leaked object a round would be 500 blocks; what caches take comes before."""

    def grown(rounds):
        gc.collect()
        before = sys.getallocatedblocks()
        for _ in range(rounds):
            use_everything()
        gc.collect()
        return sys.getallocatedblocks() - before

    grown(500)
    assert min(grown(500) for _ in range(3)) < 250


def run_in_another_interpreter(program):
    """Run program in a new interpreter with a GIL of its own; give what it raised as text."""
    if sys.version_info >= (3, 14):
        from concurrent import interpreters

        interpreter = interpreters.create()
        try:
            interpreter.exec(program)
        except interpreters.ExecutionFailed as error:
            return str(error)
        finally:
            interpreter.close()
        return ""
    if sys.version_info >= (3, 13):
        import _interpreters

        interpreter = _interpreters.create("isolated")
        try:
            failed = _interpreters.exec(interpreter, program)
        finally:
            _interpreters.destroy(interpreter)
        return failed.formatted if failed else ""
    pytest.skip("no interpreter with a GIL of its own")


def test_another_interpreter_has_a_state_of_its_own():
    key = 2**101
    assert ftdemo.intern(key) is key
    program = """
import ftdemo, sys
assert type(ftdemo.intern(float(2**101))) is float  # not in this one's cache before
a, b = ftdemo.Account(2), ftdemo.Account()
ftdemo.transfer(a, b, 1)
assert ftdemo.total(a, b) == 2
assert list(ftdemo.Tickets(0, 3)) == [0, 1, 2]
checksum = ftdemo.Checksum()
checksum.update(bytes(5000))
assert checksum.copy().value == checksum.value
"""
    for _ in range(3):
        assert run_in_another_interpreter(program) == ""
    assert ftdemo.intern(float(2**101)) is key


@pytest.mark.all_modules
def test_the_legacy_module_is_refused():
    """It has static variables, and so does not say that it can be used by interpreters apart."""
    failed = run_in_another_interpreter("import ftdemo._legacy")
    assert "module ftdemo._legacy does not support loading in subinterpreters" in failed

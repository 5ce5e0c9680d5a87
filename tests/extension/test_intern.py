"""intern.c: a module-wide cache."""

import gc
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

# Few letters: for all of Unicode, hypothesis creates a table on first use, and eight threads that
# do so at the same time take two minutes in 3.13t.
TEXT = st.text("abc")


def make(ftdemo):
    return None


def step(ftdemo, thing):
    for number in range(20):
        key = f"key {number}"
        assert ftdemo.intern(key) == key
        assert ftdemo.intern(key) is ftdemo.intern(f"{key}")


def use(ftdemo):
    step(ftdemo, make(ftdemo))
    try:
        ftdemo.intern([])
    except TypeError:
        return
    raise AssertionError


@given(key=st.one_of(TEXT, st.integers(), st.tuples(TEXT, st.integers())))
def test_equal_keys_share_one_object(twin, key):
    first = twin.intern(key)
    assert first == key
    assert twin.intern(key) is first
    assert twin.intern(first) is first


def test_equal_but_distinct_objects_are_one_key(twin):
    first, second = "".join(["equal", " keys"]), "".join(["equal", " keys"])
    assert first is not second
    assert twin.intern(first) is twin.intern(second)


def test_keys_are_compared_as_in_a_dict(twin):
    """As in a dict, 1 == 1.0 == True: intern() returns the first one that it got."""
    key = 10**20
    assert twin.intern(key) is key
    assert twin.intern(float(key)) is key


def test_exceptions_in_key_methods_propagate(twin):
    with pytest.raises(TypeError, match="unhashable"):
        twin.intern([])

    class Bad:
        def __hash__(self):
            return 12345

        def __eq__(self, other):
            raise ZeroDivisionError

    twin.intern(12345)
    with pytest.raises(ZeroDivisionError):
        twin.intern(Bad())


def test_references_are_strong(twin):
    class Key:
        pass

    key = Key()
    twin.intern(key)
    identity = id(key)
    before = sys.getrefcount(key)
    for _ in range(100):
        assert twin.intern(key) is key
    assert sys.getrefcount(key) == before
    del key
    gc.collect()
    assert any(id(o) == identity for o in gc.get_objects() if type(o) is Key)


def test_each_import_has_its_own_cache(another_module):
    key, other = 2**100, float(2**100)
    first, second = another_module(), another_module()
    assert first.intern(key) is key is first.intern(other)
    assert second.intern(other) is other


@pytest.mark.thread_unsafe(reason="collects objects of all threads")
def test_a_module_and_its_interned_objects_are_collected(fresh_python):
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


@pytest.mark.slow
@pytest.mark.thread_unsafe(reason="starts threads")
def test_concurrent_first_calls_in_a_new_module_share_an_object(another_module, together):
    """The exec function creates the cache. (Not in ftdemo.legacy, whose cache is static.)"""
    modules = [another_module() for _ in range(2_000)]

    def intern(n):
        return modules[n].intern(f"first {n}")

    first, second = together(intern, intern, times=len(modules))
    assert all(a is b for a, b in zip(first, second, strict=True))


@pytest.mark.race
def test_threads_get_one_object_per_key(twin, together):
    """Concurrent first calls with equal but distinct keys all return the same object."""

    def intern(n):
        return [twin.intern(f"one object per key {n} {m}") for m in range(200)]

    for kept in zip(*together(intern, intern, times=500), strict=True):
        assert all(a is b for a, b in zip(*kept, strict=True))

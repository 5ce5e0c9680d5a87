"""object_header.c: the object header of the free-threaded build."""

import sys

import pytest

from ftdemo._object_header import current_thread, object_header
from ftdemo.interpreter import FREE_THREADED

SPLIT = ["owner_thread", "local_refcount", "shared_refcount", "locked"]


class Thing:
    pass


def test_result_has_every_key():
    assert sorted(object_header(Thing())) == sorted(["refcount", "immortal", *SPLIT])


def test_reference_count_grows_with_references():
    thing = Thing()
    before = object_header(thing)["refcount"]
    more = [thing] * 10
    assert object_header(thing)["refcount"] == before + len(more)


@pytest.mark.skipif(sys.version_info < (3, 12), reason="no object is immortal before 3.12")
def test_none_is_immortal():
    assert object_header(None)["immortal"]
    before = object_header(None)
    more = [None] * 10
    assert object_header(None) == before
    assert more
    assert not object_header(Thing())["immortal"]


def test_gil_build_has_no_other_keys():
    if FREE_THREADED:
        pytest.skip("free-threaded build")
    header = object_header(Thing())
    assert [header[key] for key in SPLIT] == [None] * 4
    assert current_thread() is None
    if sys.version_info < (3, 12):
        assert not object_header(None)["immortal"]


@pytest.mark.free_threaded
def test_owner_is_the_thread_that_created_the_object(in_threads):
    thing = Thing()
    assert object_header(thing)["owner_thread"] == current_thread()
    (theirs, their_thread) = in_threads(lambda: (Thing(), current_thread()))[0]
    assert their_thread != current_thread()
    assert object_header(theirs)["owner_thread"] in {their_thread, 0}


@pytest.mark.free_threaded
def test_other_threads_count_in_the_shared_part(in_threads):
    thing = Thing()
    kept = []
    before = object_header(thing)
    in_threads(lambda: kept.extend([thing] * 10))
    after = object_header(thing)
    assert after["shared_refcount"] - before["shared_refcount"] >= 10
    assert after["local_refcount"] == before["local_refcount"]
    kept.extend([thing] * 5)
    assert object_header(thing)["local_refcount"] == after["local_refcount"] + 5


@pytest.mark.free_threaded
def test_list_is_locked_while_it_is_sorted():
    """A list is locked while it is sorted; the comparisons read its header."""
    seen = []
    items = []

    class Peek:
        def __lt__(self, other):
            seen.append(object_header(items)["locked"])
            return False

    items.extend([Peek(), Peek()])
    assert object_header(items)["locked"] is False
    items.sort()
    assert seen == [True]
    assert object_header(items)["locked"] is False

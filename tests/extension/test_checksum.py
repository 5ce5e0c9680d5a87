"""checksum.c: native data and long work."""

import array
import copy
import itertools
import pickle
import zlib
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

LONG = 2048  # DETACH_MINSIZE


def make(ftdemo):
    return ftdemo.Checksum()


def step(ftdemo, checksum):
    checksum.update(b"x" * 5_000)  # detached
    checksum.update(b"y")
    assert 0 < checksum.copy().value < 2**32


def use(ftdemo):
    import zlib

    checksum = make(ftdemo)
    step(ftdemo, checksum)
    assert checksum.value == zlib.adler32(b"x" * 5_000 + b"y")
    try:
        checksum.update("no bytes")
    except TypeError:
        return
    raise AssertionError


@given(parts=st.lists(st.binary(max_size=3 * LONG)))
def test_value_agrees_with_zlib(twin, parts):
    checksum = twin.Checksum()
    for part in parts:
        checksum.update(part)
    assert checksum.value == zlib.adler32(b"".join(parts))


@pytest.mark.parametrize("size", [0, 1, 511, 512, 513, LONG - 1, LONG, 1_000_003])
def test_value_of_the_largest_sums(twin, size):
    checksum = twin.Checksum()
    checksum.update(b"\xff" * size)
    assert checksum.value == zlib.adler32(b"\xff" * size)


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview, partial(array.array, "B")])
def test_update_accepts_bytes_like_objects(twin, kind):
    checksum = twin.Checksum()
    checksum.update(kind(b"abc"))
    assert checksum.value == zlib.adler32(b"abc")


def test_errors_on_wrong_arguments(twin):
    checksum = twin.Checksum()
    for wrong in (["abc"], [1], [None], [[1, 2]], [object()], []):
        with pytest.raises(TypeError):
            checksum.update(*wrong)
    with pytest.raises(BufferError):
        checksum.update(memoryview(b"abcdef")[::2])  # not contiguous
    with pytest.raises(AttributeError):
        checksum.value = 2
    assert checksum.value == 1
    with pytest.raises(TypeError):
        twin.Checksum(b"abc")


@pytest.mark.parametrize("size", [3, LONG])
def test_a_copy_is_independent(twin, size):
    data = b"x" * size
    first = twin.Checksum()
    first.update(data)
    second = first.copy()
    assert type(second) is twin.Checksum
    second.update(data)
    assert (first.value, second.value) == (zlib.adler32(data), zlib.adler32(2 * data))


def test_subclassing_and_pickling_are_type_errors(twin):
    with pytest.raises(TypeError, match="not an acceptable base type"):
        type("Sub", (twin.Checksum,), {})
    for operation in (copy.copy, copy.deepcopy, pickle.dumps):
        with pytest.raises(TypeError, match="cannot pickle"):
            operation(twin.Checksum())


def test_new_initializes_and_init_changes_nothing(twin):
    assert twin.Checksum.__new__(twin.Checksum).value == 1
    checksum = twin.Checksum()
    checksum.update(b"abc")
    checksum.__init__()
    assert checksum.value == zlib.adler32(b"abc")


def test_the_buffer_is_released(twin):
    data = bytearray(LONG)
    twin.Checksum().update(data)
    data.append(1)  # a BufferError while exported


@pytest.mark.thread_unsafe(reason="starts a process with threads")
def test_process_exits_while_a_daemon_thread_updates(fresh_python):
    """The thread never attaches again. If it still held the lock, the exit would hang."""
    program = """
import faulthandler, os, threading, time, ftdemo
faulthandler.dump_traceback_later(20, exit=True)
class AtExit:
    def __init__(self, checksum):
        self.checksum = checksum
    def __del__(self, write=os.write):
        self.checksum.value
        write(1, b"read")
checksum = ftdemo.Checksum()
keep = AtExit(checksum)
threading.Thread(target=checksum.update, args=(bytes(300_000_000),), daemon=True).start()
time.sleep(0.05)
"""
    done = fresh_python("-c", program)
    assert (done.returncode, done.stdout) == (0, "read")


@pytest.mark.race
def test_concurrent_short_updates_are_atomic(twin, together):
    checksum = twin.Checksum()
    data = b"every update counts" * 100

    def update(_):
        for _ in range(50):
            checksum.update(data)

    together(update, update, times=300)
    assert checksum.value == zlib.adler32(data * 2 * 50 * 300)


@pytest.mark.race
def test_concurrent_long_updates_are_atomic(twin, together):
    """The updates run detached, each time on an object that never got a long buffer before."""
    data = b"y" * 50_000
    checksums = [twin.Checksum() for _ in range(500)]

    def update(n):
        checksums[n].update(data)

    together(update, update, times=len(checksums))
    assert {checksum.value for checksum in checksums} == {zlib.adler32(data * 2)}


@pytest.mark.race
@pytest.mark.parametrize("read", ["value", "copy"])
def test_reads_see_whole_updates(twin, together, read):
    """Each value that is read is the result of some number of whole updates."""
    checksum = twin.Checksum()
    data = b"\xfe" * (LONG - 1)
    whole = [1]
    for _ in range(300 * 50):
        whole.append(zlib.adler32(data, whole[-1]))

    def update(_):
        for _ in range(50):
            checksum.update(data)
        return set()

    def watch(_):
        if read == "value":
            return {checksum.value for _ in range(500)}
        return {checksum.copy().value for _ in range(500)}

    assert set().union(*itertools.chain(*together(update, watch, times=300))) <= set(whole)

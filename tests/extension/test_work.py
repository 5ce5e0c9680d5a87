"""work.c: native work that touches no Python object."""

import signal
import sys
from functools import partial
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st


def make(ftdemo):
    return None


def step(ftdemo, thing):
    assert ftdemo.sum_of_squares(1_000) == 332_833_500


def use(ftdemo):
    step(ftdemo, make(ftdemo))
    try:
        ftdemo.sum_of_squares(-1)
    except ValueError:
        return
    raise AssertionError


def closed_form(n):
    return (n - 1) * n * (2 * n - 1) // 6 % 2**64


@given(n=st.integers(0, 100_000))
def test_sum_matches_the_closed_form(twin, n):
    assert twin.sum_of_squares(n) == closed_form(n)


@pytest.mark.parametrize("n", [0, 1, 2, 3_810_776, 3_810_779, 2**25 - 1, 2**25, 2**25 + 1, 2**26])
def test_sum_across_blocks_and_64_bits(twin, n):
    """From about n = 3.8 million on, the sum exceeds 64 bits."""
    assert twin.sum_of_squares(n) == closed_form(n)


def test_errors_on_wrong_arguments(twin):
    for wrong in (True, 1.0, "1", None):
        with pytest.raises(TypeError, match="expected an int"):
            twin.sum_of_squares(wrong)
    for negative in (-1, -(2**63)):
        with pytest.raises(ValueError, match="at least 0"):
            twin.sum_of_squares(negative)
    for too_large in (2**32 + 1, 2**63, 2**70, -(2**70)):
        with pytest.raises(OverflowError):
            twin.sum_of_squares(too_large)


@pytest.mark.thread_unsafe(reason="starts threads")
def test_threads_get_their_own_sums(twin, in_threads):
    """Each thread computes with its own numbers."""
    sizes = [10_000_000 + n for n in range(4)]
    sums = in_threads(*[partial(twin.sum_of_squares, n) for n in sizes] * 2)
    assert sums == [closed_form(n) for n in sizes] * 2


@pytest.mark.slow
@pytest.mark.thread_unsafe(reason="starts a process with threads")
def test_garbage_collection_does_not_wait_for_the_work(fresh_python):
    """A collection stops all threads, and must wait for each attached thread to stop."""
    program = """
import ftdemo, gc, threading, time
worker = threading.Thread(target=ftdemo.sum_of_squares, args=(2**31,))
worker.start()
began = now = time.monotonic()
longest = 0.0
while worker.is_alive():
    gc.collect()
    before, now = now, time.monotonic()
    longest = max(longest, now - before)
print(longest < (now - began) / 2)
"""
    assert fresh_python("-c", program).stdout == "True\n"


@pytest.mark.skipif(sys.platform == "win32", reason="has no timer signal")
def test_ctrl_c_interrupts_the_work(fresh_python):
    program = """
import ftdemo, signal
signal.signal(signal.SIGALRM, signal.default_int_handler)
signal.setitimer(signal.ITIMER_REAL, 0.05)
ftdemo.sum_of_squares(2**32)
"""
    done = fresh_python("-c", program)
    assert done.returncode == -signal.SIGINT
    assert "KeyboardInterrupt" in done.stderr


def test_ready_and_legacy_are_the_same_file():
    """Nothing to lock, nothing to port."""
    csrc = Path(__file__).parents[2] / "csrc"
    assert (csrc / "ready/work.c").read_text() == (csrc / "legacy/work.c").read_text()

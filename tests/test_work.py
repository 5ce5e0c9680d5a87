"""work.c: native work that touches no Python object."""

import signal
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st


def closed_form(n):
    return (n - 1) * n * (2 * n - 1) // 6


@given(n=st.integers(0, 100_000))
def test_sum(twin, n):
    assert twin.sum_of_squares(n) == closed_form(n)


@pytest.mark.parametrize("n", [0, 1, 2, 2**20 - 1, 2**20, 2**20 + 1, 3_810_776, 3_810_779, 2**25])
def test_across_pauses_and_64_bits(twin, n):
    """From about n = 3.8 million on, the sum is longer than 64 bits."""
    assert twin.sum_of_squares(n) == closed_form(n)


@pytest.mark.parametrize("wrong", [True, 1.0, "1", None])
def test_only_exact_integers(twin, wrong):
    with pytest.raises(TypeError, match="expected an int"):
        twin.sum_of_squares(wrong)


def test_out_of_range(twin):
    for negative in (-1, -(2**63), -(2**70)):
        with pytest.raises(ValueError, match="at least 0"):
            twin.sum_of_squares(negative)
    for too_large in (2**32 + 1, 2**63, 2**70):
        with pytest.raises(OverflowError):
            twin.sum_of_squares(too_large)


@pytest.mark.skipif(sys.platform == "win32", reason="has no timer signal")
def test_a_signal_gets_through(fresh_python):
    program = """
import ftdemo, signal
signal.signal(signal.SIGALRM, signal.default_int_handler)
signal.setitimer(signal.ITIMER_REAL, 0.05)
ftdemo.sum_of_squares(2**32)
"""
    done = fresh_python("-c", program)
    assert done.returncode == -signal.SIGINT
    assert "KeyboardInterrupt" in done.stderr


def test_the_twins_are_the_same_file():
    """Nothing to lock, nothing to port."""
    csrc = Path(__file__).parent.parent / "csrc"
    assert (csrc / "ready/work.c").read_text() == (csrc / "legacy/work.c").read_text()

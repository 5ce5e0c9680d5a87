"""single_phase.c: a module without slots. What it does to the GIL is in test_gil_state.py."""

from ftdemo import _single_phase


def test_identity_returns_its_argument():
    thing = object()
    assert _single_phase.identity(thing) is thing

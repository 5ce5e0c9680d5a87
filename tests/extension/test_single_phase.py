"""single_phase.c: a module without slots; test_gil_state.py tests its effect on the GIL."""

from ftdemo import _single_phase


def test_identity_returns_its_argument():
    thing = object()
    assert _single_phase.identity(thing) is thing

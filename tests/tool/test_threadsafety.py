"""The level of thread safety that a docstring ends with."""

import pytest

from ftdemo.threadsafety import LEVELS, level_of


@pytest.mark.parametrize("level", LEVELS)
def test_each_level_is_read(level):
    assert level_of(f"Do it. Thread safety: {level}.") == level
    assert level_of(f"Do it.\n\n    Thread\n    safety: {level}; but each step is slow.\n") == level


@pytest.mark.parametrize(
    "docstring",
    [None, "", "Do it.", "Thread safety: atomic. Or not.", "Thread safety: safe.", "atomic."],
)
def test_none_when_a_docstring_does_not_end_with_a_level(docstring):
    assert level_of(docstring) is None

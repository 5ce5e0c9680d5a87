"""A counter that threads may share."""

from ._core import Counter

__all__ = ["Counter"]

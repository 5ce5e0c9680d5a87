"""Critical sections without C: set.add() is in one on its set while it calls __eq__ of the keys."""

from collections.abc import Callable


class Key:
    """Equal to every other, and calls functions to find out."""

    def __init__(self, *functions: Callable[[], object]) -> None:
        self.functions = functions

    def __hash__(self) -> int:
        return 0

    def __eq__(self, other: object) -> bool:
        for function in (*self.functions, *getattr(other, "functions", ())):
            function()
        return True


def section(a: set[Key], *functions: Callable[[], object]) -> None:
    """Call functions inside a critical section on a."""
    a.add(Key(*functions))


def held(a: set[Key]) -> bool:
    """Whether any thread has the lock of a."""
    from ftdemo._object_header import object_header

    return bool(object_header(a)["locked"])

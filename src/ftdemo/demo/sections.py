"""Critical sections without C: set.add() calls __eq__ of keys inside a section on its set."""

from collections.abc import Callable


class Key:
    """A key that equals every other key, and calls functions when it is compared."""

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
    """Tell whether any thread holds the lock of a."""
    from ftdemo._object_header import object_header

    return bool(object_header(a)["locked"])

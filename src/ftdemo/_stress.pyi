from collections.abc import Callable
from typing import Any, Self, TypeAlias, final

_Call: TypeAlias = tuple[Callable[..., object], *tuple[Any, ...]]

@final
class Meetings:
    def __new__(cls, threads: int) -> Self: ...
    def collide(
        self,
        calls: tuple[_Call, ...],
        each: int,
        phase: int = 0,
        seed: int = 1,
        keep: bool = True,
        /,
    ) -> tuple[list[Any], bytes]: ...
    def take_turns(
        self,
        calls: tuple[_Call, ...],
        turns: tuple[int, ...],
        total: int,
        keep: bool = True,
        /,
    ) -> tuple[list[Any], bytes]: ...

def spin(steps: int, /) -> None: ...

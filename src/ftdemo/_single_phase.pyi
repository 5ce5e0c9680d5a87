from typing import TypeVar

_T = TypeVar("_T")

def identity(obj: _T, /) -> _T: ...

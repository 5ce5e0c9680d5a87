"""The import check: which extension modules bring the GIL back, and which are to blame."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ftdemo.check.api import Result, check
    from ftdemo.check.targets import TargetError

__all__ = ["Result", "TargetError", "check"]


def __getattr__(name: str) -> Any:
    """Import the function when it is asked for: the check of ftdemo itself needs less (PEP 562)."""
    if name in {"Result", "check"}:
        from ftdemo.check import api

        return getattr(api, name)
    if name == "TargetError":
        from ftdemo.check.targets import TargetError

        return TargetError
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

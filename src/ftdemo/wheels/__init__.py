"""The wheel matrix: which wheel serves which interpreter on which platform, and what is missing."""

from ftdemo.wheels.contract import ContractError
from ftdemo.wheels.matrix import Result, survey
from ftdemo.wheels.wheel import WheelError

__all__ = ["ContractError", "Result", "WheelError", "survey"]

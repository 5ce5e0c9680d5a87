"""Check that every peer does all that ftdemo's Account does; only then is its speed comparable.

    python -m peers.contract [MODULE ...]

Print for each peer, or for each named module, whether it behaves like Account, or that it is
missing. Toolkits may choose the exception for an argument that they cannot convert, and which other
objects they accept as an int (True, for example). A balance must be right in any case.
"""

import faulthandler
import importlib
import sys
from types import ModuleType
from typing import Any

import ftdemo.check
from ftdemo.interpreter import FREE_THREADED
from ftdemo.threads import in_threads
from peers import NAMES

LIMIT = 2**63 - 1
UNCONVERTIBLE = (AttributeError, TypeError, ValueError, OverflowError)
STEPS = 20_000
PATIENCE = 300  # seconds after which opposite transfers count as deadlocked


class BrokenError(Exception):
    """A module behaves in another way than Account; the message says where."""


def _expect(raised: type[Exception] | tuple[type[Exception], ...], call: Any, *args: Any) -> None:
    try:
        call(*args)
    except raised:
        return
    except Exception as error:
        raise BrokenError(f"{call.__name__}{args[-1:]} raised {error!r}") from error
    raise BrokenError(f"{call.__name__}{args[-1:]} raised nothing")


def _same(found: object, expected: object, what: str) -> None:
    if found != expected:
        raise BrokenError(f"{what}: {found!r}, not {expected!r}")


def check_calls(module: ModuleType) -> None:
    """Check one thread: results, errors, and that an error changes nothing."""
    account_type, transfer = module.Account, module.transfer
    _same(account_type().balance, 0, "a new account")
    _same(account_type(balance=LIMIT).balance, LIMIT, "the largest balance")
    _expect(ValueError, account_type, -1)
    _expect(UNCONVERTIBLE, account_type, LIMIT + 1)
    a, b = account_type(100), account_type(LIMIT - 5)
    _same(a.deposit(7), None, "what deposit returns")
    _same(a.withdraw(7), None, "what withdraw returns")
    _same(transfer(a, b, 5), None, "what transfer returns")
    _same((a.balance, b.balance), (95, LIMIT), "after a transfer")
    _expect(OverflowError, transfer, a, b, 1)
    _expect(OverflowError, b.deposit, 1)
    _expect(ValueError, a.withdraw, 96)
    _expect(ValueError, transfer, a, b, 96)
    for amount in (0, -1, -LIMIT - 1):
        for call in (a.deposit, a.withdraw):
            _expect(ValueError, call, amount)
        _expect(ValueError, transfer, a, b, amount)
    for amount in (1.0, 0.5, "1", None, LIMIT + 1, -LIMIT - 2, 2**64 + 1):
        for call in (a.deposit, a.withdraw):
            _expect(UNCONVERTIBLE, call, amount)
        _expect(UNCONVERTIBLE, transfer, a, b, amount)
    _expect(UNCONVERTIBLE, transfer, a, None, 1)
    _expect(UNCONVERTIBLE, transfer, None, a, 1)
    _expect(UNCONVERTIBLE, setattr, a, "balance", 1)
    _same((a.balance, b.balance), (95, LIMIT), "after errors")
    transfer(b, b, LIMIT)
    transfer(a, a, 95)
    _expect(ValueError, transfer, a, a, 96)
    _same((a.balance, b.balance), (95, LIMIT), "after transfers to oneself")
    transfer(b, a, LIMIT - 95)
    _same((a.balance, b.balance), (LIMIT, 95), "after a transfer of nearly all")


def check_threads(module: ModuleType) -> None:
    """Check threads: no deposit may be lost, and no transfer, even in opposite directions.

    By luck, a module without locks may pass; a module with locks never fails.
    """
    a, b = module.Account(), module.Account(STEPS)
    transfer = module.transfer

    def deposit() -> None:
        for _ in range(STEPS):
            a.deposit(1)

    def there() -> None:
        for _ in range(STEPS):
            transfer(a, b, 1)

    def back() -> None:
        for _ in range(STEPS):
            transfer(b, a, 1)

    in_threads(deposit, deposit)
    _same(a.balance, 2 * STEPS, "after deposits in two threads")
    in_threads(there, back)
    _same((a.balance, b.balance), (2 * STEPS, STEPS), "after opposite transfers")
    in_threads(deposit, there, back, deposit)
    _same((a.balance, b.balance), (4 * STEPS, STEPS), "after all at once")


def check(module: ModuleType) -> None:
    """Raise BrokenError unless the module behaves like Account and leaves the GIL off."""
    check_calls(module)
    check_threads(module)
    if FREE_THREADED:
        summary = ftdemo.check.check([module.__name__])["summary"]
        _same(sum(summary.values()), summary["pass"], "the import check")


def main(names: list[str]) -> int:
    """Check the named modules; return 0 if all are installed and behave like Account."""
    failed = 0
    faulthandler.dump_traceback_later(PATIENCE, exit=True)
    for name in names or [f"peers.{name}" for name in NAMES]:
        try:
            check(importlib.import_module(name))
        except ImportError as error:
            failed, said = 1, f"missing: {error}"
        except Exception as error:
            failed, said = 1, f"broken: {error}"
        else:
            said = "behaves like Account"
        print(f"{name}: {said}")
    return failed


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

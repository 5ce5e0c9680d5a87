"""Check that every peer does all that ftdemo's Account does; only then is its speed comparable.

    python -m peers.contract [MODULE ...]

Print for each peer, or for each named module, whether it behaves like Account, or that it is
missing. Toolkits may choose the exception for an argument that they cannot convert, and which other
objects they accept as an int (True, for example). A balance must be right in any case.
"""

import importlib
import os
import subprocess
import sys
import sysconfig
import threading
from types import ModuleType
from typing import Any

from peers import NAMES

LIMIT = 2**63 - 1
UNCONVERTIBLE = (AttributeError, TypeError, ValueError, OverflowError)
STEPS = 20_000
PATIENCE = 60.0  # seconds after which opposite transfers count as deadlocked
ASK = "import importlib, sys; importlib.import_module(sys.argv[1]); print(sys._is_gil_enabled())"


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


def _together(*works: Any) -> None:
    """Run each in its own thread, all at once."""
    barrier = threading.Barrier(len(works))

    def start(work: Any) -> None:
        barrier.wait(PATIENCE)
        work()

    threads = [threading.Thread(target=start, args=[work], daemon=True) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    if any(thread.is_alive() for thread in threads):
        raise BrokenError(f"threads did not end within {PATIENCE:.0f} seconds: a deadlock?")


def check_threads(module: ModuleType) -> None:
    """Check threads: no deposit may be lost, and no transfer, even in opposite directions.

    By luck, a module without locks may pass; a module with locks never fails. If an exception
    ends a thread, the balances show that, too.
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

    _together(deposit, deposit)
    _same(a.balance, 2 * STEPS, "after deposits in two threads")
    _together(there, back)
    _same((a.balance, b.balance), (2 * STEPS, STEPS), "after opposite transfers")
    _together(deposit, there, back, deposit)
    _same((a.balance, b.balance), (4 * STEPS, STEPS), "after all at once")


def check_gil(module: ModuleType) -> None:
    """Check in a new process that importing the module leaves the GIL off."""
    if not sysconfig.get_config_var("Py_GIL_DISABLED"):
        return
    # Not PYTHON_GIL, which would hide the answer.
    env = {name: value for name, value in os.environ.items() if name != "PYTHON_GIL"}
    env["PYTHONPATH"] = os.pathsep.join(path for path in sys.path if path)
    command = [sys.executable, "-X", "utf8", "-c", ASK, module.__name__]
    asked = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    _same(asked.stdout.strip(), "False", "is the GIL on after the import")


def check(module: ModuleType, *, locked: bool = True) -> None:
    """Raise BrokenError unless the module behaves like Account; without locks, check calls only."""
    check_calls(module)
    if locked:
        check_threads(module)
        check_gil(module)


def main(names: list[str]) -> int:
    """Check the named modules; return 0 if all are installed and behave like Account."""
    failed = 0
    for name in names or [f"peers.{name}" for name in NAMES]:
        try:
            check(importlib.import_module(name))
        except ImportError as error:
            failed, said = 1, f"missing: {error}"
        except BrokenError as error:
            failed, said = 1, f"broken: {error}"
        else:
            said = "behaves like Account"
        print(f"{name}: {said}")
    return failed


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

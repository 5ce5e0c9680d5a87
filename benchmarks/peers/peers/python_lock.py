"""Pure Python: one threading.Lock per account; a transfer takes two in a fixed order."""

from threading import Lock

LIMIT = 2**63 - 1


def check(amount: int, minimum: int) -> None:
    if not isinstance(amount, int):
        raise TypeError(f"expected an int, got {type(amount)}")
    if amount < minimum:
        raise ValueError(f"expected at least {minimum}, got {amount}")


class Account:
    """An exact count of minor units, from 0 to 2**63 - 1."""

    __slots__ = ("_balance", "lock")

    def __init__(self, balance: int = 0) -> None:
        check(balance, 0)
        if balance > LIMIT:
            raise OverflowError("balance exceeds a signed 64-bit integer")
        self._balance = balance
        self.lock = Lock()

    @property
    def balance(self) -> int:
        with self.lock:
            return self._balance

    def deposit(self, amount: int, /) -> None:
        """Add amount."""
        check(amount, 1)
        with self.lock:
            if amount > LIMIT - self._balance:
                raise OverflowError("result exceeds a signed 64-bit integer")
            self._balance += amount

    def withdraw(self, amount: int, /) -> None:
        """Take out amount."""
        check(amount, 1)
        with self.lock:
            if amount > self._balance:
                raise ValueError("amount exceeds the balance")
            self._balance -= amount


def move_lock_held(src: Account, dst: Account, amount: int) -> None:
    if amount > src._balance:
        raise ValueError("amount exceeds the balance")
    if src is not dst and amount > LIMIT - dst._balance:
        raise OverflowError("result exceeds a signed 64-bit integer")
    src._balance -= amount
    dst._balance += amount


def transfer(src: Account, dst: Account, amount: int, /) -> None:
    """Move amount from src to dst."""
    check(amount, 1)
    if src is dst:  # a Lock cannot be taken twice
        with src.lock:
            move_lock_held(src, dst, amount)
    else:  # opposite transfers take both in the same order and cannot deadlock
        first, second = (src, dst) if id(src) < id(dst) else (dst, src)
        with first.lock, second.lock:
            move_lock_held(src, dst, amount)

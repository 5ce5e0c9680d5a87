"""Two threads that take two locks in opposite orders deadlock; in one order they never do.

Each thread holds the lock that the other one waits for. A timeout detects that: the first thread
that gives up releases its lock, and the other one continues. The remedy is one order in which all
threads take the locks. Py_BEGIN_CRITICAL_SECTION2 orders the locks by the addresses of the objects,
and releases them while it waits. This is why transfers between two `Account` objects in both
directions at once all complete.

Source: PEP 703, "Avoiding Deadlocks"; csrc/ready/account.c.
"""

import threading

import ftdemo
from ftdemo.demo.finding import CHILD_TIMEOUT, Finding, switch_often
from ftdemo.threads import in_threads

Lock = threading.Lock
TIMEOUT = 0.2  # of a lock that is never released: any value will do


def opposite_order() -> int:
    """Count the threads that give up; without a timeout, both would wait forever."""
    a, b = Lock(), Lock()
    both_have_one = threading.Barrier(2)

    def take(first: threading.Lock, second: threading.Lock) -> bool:
        with first:
            both_have_one.wait()
            if second.acquire(timeout=TIMEOUT):
                second.release()
                return True
            return False

    return in_threads(lambda: take(a, b), lambda: take(b, a)).count(False)


def one_order(rounds: int) -> int:
    """Count how often two threads got both locks, which take() sorts into one order."""
    locks = Lock(), Lock()

    def take(*asked: threading.Lock) -> int:
        first, second = sorted(asked, key=id)
        had = 0
        for _ in range(rounds):
            with first:
                if second.acquire(timeout=CHILD_TIMEOUT):
                    had += 1
                    second.release()
        return had

    return sum(in_threads(lambda: take(*locks), lambda: take(*reversed(locks))))


def transfers(rounds: int) -> int:
    """Transfer in both directions at once; return the total of both accounts."""
    a, b = ftdemo.Account(rounds), ftdemo.Account(rounds)

    def transfer(src: ftdemo.Account, dst: ftdemo.Account) -> None:
        for _ in range(rounds):
            ftdemo.transfer(src, dst, 1)

    in_threads(lambda: transfer(a, b), lambda: transfer(b, a))
    return ftdemo.total(a, b)


def demo(*, quick: bool) -> Finding:
    """Deadlock and time out; then take the locks in one order; then transfer."""
    rounds = 20_000 if quick else 200_000
    switch_often()
    gave_up = opposite_order()
    had_both = one_order(rounds)
    total = transfers(rounds)
    return Finding(
        gave_up > 0 and had_both == total == 2 * rounds,
        f"in opposite order, {gave_up} of 2 threads gave up after {TIMEOUT} s; in one order, "
        f"they got both locks {had_both} times of {2 * rounds}; {2 * rounds} transfers in both "
        f"directions completed, and the total is unchanged: {total == 2 * rounds}",
        {"gave_up": gave_up, "rounds": 2 * rounds, "had_both": had_both, "total": total},
    )

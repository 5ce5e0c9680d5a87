"""Two locks taken in opposite order hang both threads; taken in one order they never do.

Each thread has what the other one waits for. A timeout finds it: the first to give up frees the
other one. The cure is an order of all locks in which everyone takes them. SECTION2 has such an
order, the objects' addresses, and gives up what it has while it waits: that is why transfers of
`Account` in both directions at once all come through.

Source: PEP 703, "Avoiding Deadlocks"; csrc/ready/account.c.
"""

import threading

import ftdemo
from ftdemo.demo.finding import CHILD_TIMEOUT, Finding, switch_often
from ftdemo.threads import in_threads

Lock = threading.Lock
TIMEOUT = 0.2  # of the locks that can never be had: any will do


def opposite_order() -> int:
    """Count the threads that gave up; without a timeout, both would wait for ever."""
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
    """Count the times that two threads had both locks, each asking for them in its own order."""
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
    """Transfer in both directions at once; what is there in the end?"""
    a, b = ftdemo.Account(rounds), ftdemo.Account(rounds)

    def transfer(src: ftdemo.Account, dst: ftdemo.Account) -> None:
        for _ in range(rounds):
            ftdemo.transfer(src, dst, 1)

    in_threads(lambda: transfer(a, b), lambda: transfer(b, a))
    return ftdemo.total(a, b)


def demo(*, quick: bool) -> Finding:
    """Hang, and come free; then go in order."""
    rounds = 20_000 if quick else 200_000
    switch_often()
    gave_up = opposite_order()
    had_both = one_order(rounds)
    total = transfers(rounds)
    return Finding(
        gave_up > 0 and had_both == total == 2 * rounds,
        f"in opposite order, {gave_up} of 2 threads gave up after {TIMEOUT} s; in one order, both "
        f"locks were had {had_both} times of {2 * rounds}; {2 * rounds} transfers in both "
        f"directions came through, and all the money is there: {total == 2 * rounds}",
        {"gave_up": gave_up, "rounds": 2 * rounds, "had_both": had_both, "total": total},
    )

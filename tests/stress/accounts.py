"""Accounts: money is neither lost nor made, and never seen in flight.

Far more threads than cores transfer in all directions, deposit and withdraw. Some balances are
at the limit of 64 bits: operations fail there, and then change nothing, not even for a moment.
"""

import random

import common

MAX = 2**63 - 1
AMOUNTS = (1, 7, 500, MAX // 2)


def stress(ftdemo, going):
    shared = [ftdemo.Account(balance) for balance in (0, 1_000, MAX - 1_000, MAX)]
    closed = [ftdemo.Account(1_000), ftdemo.Account(1_000)]
    poor, full = ftdemo.Account(5), ftdemo.Account(MAX)
    put_in = sum(account.balance for account in shared)

    def steps(work):
        """Make a thread's function of one step; it gives the sum of what the steps give."""

        def run():
            rng = random.Random()
            result = 0
            while going():
                for _ in range(100):
                    try:
                        result += work(rng) or 0
                    except (ValueError, OverflowError):  # overdrawn, or past 64 bits
                        pass
            return result

        return run

    def transfer(rng):
        src, dst = rng.choices(shared, k=2)  # now and then the same
        src.transfer_to(dst, rng.choice(AMOUNTS))

    def deposit_or_withdraw(rng):
        """Give the amount that came in by it."""
        account, amount = rng.choice(shared), rng.choice(AMOUNTS)
        if rng.random() < 0.5:
            account.deposit(amount)
            return amount
        account.withdraw(amount)
        return -amount

    def transfer_closed(rng):
        src, dst = rng.sample(closed, 2)
        ftdemo.transfer(src, dst, 7)

    def transfer_fails(rng):
        try:
            ftdemo.transfer(poor, full, 5)
        except OverflowError:
            return
        raise AssertionError("a transfer past 64 bits went through")

    def watch(rng):
        a, b = rng.choices(shared, k=2)
        assert 0 <= a.balance <= MAX, "a balance is not a count"
        total = ftdemo.total(a, b)  # or OverflowError
        assert 0 <= total <= MAX, f"the total of two balances is {total}"

    def watch_closed(rng):
        total = ftdemo.total(*rng.sample(closed, 2))
        assert total == 2_000, f"money in flight: {total} instead of 2000"

    def watch_failing(rng):
        balances = poor.balance, full.balance
        assert balances == (5, MAX), f"a failing transfer is seen halfway: {balances}"

    movers = [transfer] * 10 + [deposit_or_withdraw] * 6 + [transfer_closed] * 6
    others = [transfer_fails] * 2 + [watch] * 3 + [watch_closed] * 3 + [watch_failing] * 2
    put_in += sum(common.in_threads(going, [steps(work) for work in movers + others]))
    there = sum(account.balance for account in shared)
    assert there == put_in, f"{there - put_in:+} in the accounts that nobody put in"
    assert ftdemo.total(*closed) == 2_000
    return f"{len(movers + others)} threads, nothing lost"


if __name__ == "__main__":
    common.main(stress)

"""Tickets: every number is handed out exactly once, and none is missing.

Rounds of many threads, each of which takes numbers from all of some shared iterators until they
have none left, by turns and in its own order. Some end at the limits of 64 bits.
"""

import itertools
import random

import common

THREADS = 24
LENGTH = 10_000
AT_ONCE = 50
MIN, MAX = -(2**63), 2**63 - 1


def stress(ftdemo, going):
    starts = (-LENGTH // 2, 0, MIN, MAX - LENGTH, MAX - LENGTH)
    numbers = [range(start, start + LENGTH) for start in starts]
    rounds = 0
    while going():
        iterators = [ftdemo.Tickets(r.start, r.stop) for r in numbers[:-1]]
        iterators.append(ftdemo.Tickets(MAX - LENGTH))  # no stop: ends with an OverflowError

        def take(iterators=iterators):
            """Give a list for every iterator: the numbers that this thread got of it."""
            rng = random.Random()
            taken = [[] for _ in iterators]
            left = list(range(len(iterators)))
            while left:
                n = rng.choice(left)
                before = len(taken[n])
                try:
                    for ticket in itertools.islice(iterators[n], AT_ONCE):
                        taken[n].append(ticket)
                except OverflowError:
                    assert n == len(iterators) - 1, "only the one without stop overflows"
                assert len(taken[n]) <= LENGTH, "more tickets than there are"
                if len(taken[n]) < before + AT_ONCE:
                    left.remove(n)
            return taken

        by_iterator = zip(*common.in_threads(going, [take] * THREADS), strict=True)
        for expected, parts in zip(numbers, by_iterator, strict=True):
            taken = sorted(itertools.chain(*parts))
            missing = len(expected) - len(set(taken).intersection(expected))
            assert taken == list(expected), (
                f"of {len(expected)} tickets from {expected.start} on, {len(taken)} were handed "
                f"out and {missing} were not"
            )
        for iterator in iterators[:-1]:
            assert next(iterator, None) is None, "a ticket after the last"
        rounds += 1
    return f"{rounds} rounds of {THREADS} threads, each ticket handed out once"


if __name__ == "__main__":
    common.main(stress)

"""Interning: equal keys give one and the same object in all threads.

Rounds of many threads, each of which interns keys of its own making: equal to those of the others,
or its own alone, strings or objects with Python's __hash__ and __eq__. Others intern the same and
keep nothing, and the garbage collector runs all the while.
"""

import gc
import random
import time

import common

KEEPERS = 8
DROPPERS = 4
KEYS = 10_000


class Key:
    def __init__(self, *parts):
        self.parts = parts

    def __hash__(self):
        return hash(self.parts)

    def __eq__(self, other):
        return type(other) is Key and self.parts == other.parts


def stress(ftdemo, going):
    rounds = 0
    while going():
        # What is interned stays as long as the module: a module for each round, or memory grows.
        # (On free-threaded 3.13 it does: there types are never freed once there are threads.)
        intern = common.another_module(ftdemo).intern
        busy = set(range(KEEPERS + DROPPERS))

        def keep(thread, intern=intern, busy=busy, number=rounds):
            # Nothing else in these loops: the threads are to be at the same key at the same time.
            kept = [intern(f"{number}/{n}") for n in range(KEYS)]
            kept += [intern(Key(number, n)) for n in range(KEYS)]
            for n in range(KEYS):
                own = f"{number}/{n}/{thread}"
                assert intern(own) is own, "a key that nobody has interned is not its own"
            busy.discard(thread)
            return kept

        def drop(thread, intern=intern, busy=busy, number=rounds):
            rng = random.Random()
            for n in range(KEYS):
                intern(f"{number}/{n}")
                n_before = rng.randrange(n + 1)
                assert intern(Key(number, n_before)) == Key(number, n_before)
            busy.discard(thread)

        def collect(busy=busy):
            while busy and going():
                gc.collect()
                time.sleep(0.01)  # it stops all threads: let them get on in between

        functions = [lambda n=n, keep=keep: keep(n) for n in range(KEEPERS)]
        functions += [lambda n=n, drop=drop: drop(n) for n in range(KEEPERS, KEEPERS + DROPPERS)]
        first, *others = common.in_threads(going, [*functions, collect])[:KEEPERS]
        for other in others:
            different = sum(a is not b for a, b in zip(first, other, strict=True))
            assert not different, f"{different} of {len(first)} keys have two objects"
        for key in first:
            assert intern(key) is key, "what stands for a key does not stand for itself"
        rounds += 1
    return f"{rounds} rounds of {KEEPERS + DROPPERS} threads, one object a key"


if __name__ == "__main__":
    common.main(stress)

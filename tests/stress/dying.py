"""Dying: objects die in other threads than they were made in, and nothing is left of them.

Threads put new objects of every type into shared slots, use what they find there, and drop it:
whoever is last lets it die. Instances of subclasses have weak references, and refer to themselves,
so that the garbage collector, which runs all the while, has to find them.
"""

import gc
import random
import sys
import time
import weakref

import common

THREADS = 16
SLOTS = 64
# Free-threaded 3.13 never frees a type once there have been threads, so no module with types dies.
MODULES_DIE = not common.FREE_THREADED or sys.version_info >= (3, 14)


def stress(ftdemo, going):
    class Cyclic(ftdemo.Account):
        def __init__(self, balance):
            self.me = self

    class Raffle(ftdemo.Tickets):
        pass

    def module():
        made = common.another_module(ftdemo)
        assert made.intern(made) is made  # a cycle through its cache
        return made.Account(1)  # keeps its type, which keeps the module

    kinds = [ftdemo.Account, ftdemo.Tickets, ftdemo.Checksum, Cyclic, Raffle]
    makers = [lambda kind=kind: kind() for kind in kinds if kind is not Cyclic]
    makers.append(lambda: Cyclic(1))

    def use(thing):
        for operation, argument in (("deposit", 1), ("update", b"abc"), ("__next__", None)):
            if hasattr(thing, operation):
                getattr(thing, operation)(*[argument] * (argument is not None))

    def one_round(end):
        """Give the number of objects made."""
        slots, references = [None] * SLOTS, [lambda: None] * SLOTS
        still = common.Going(end - time.monotonic())

        def make_and_drop():
            rng = random.Random()
            made = 0
            while still() and going():
                for _ in range(100):
                    thing = rng.choice(makers)()
                    n = rng.randrange(SLOTS)
                    found, slots[n] = slots[n], thing
                    use(found)
                    use(references[n]())  # alive or not: never something in between
                    if isinstance(thing, (Cyclic, Raffle)):
                        references[n] = weakref.ref(thing)
                    made += 1
                if MODULES_DIE:
                    slots[rng.randrange(SLOTS)] = module()
            return made

        def collect():
            while still() and going():
                gc.collect()
                time.sleep(0.001)  # it stops all threads, and back to back they hardly get on
            return 0

        return sum(common.in_threads(going, [make_and_drop] * THREADS + [collect]))

    def live():
        """Give the number of objects and types of ftdemo that live, and that of all blocks."""
        gc.collect()
        gc.collect()
        there = gc.get_objects()
        objects = sum(type(thing).__module__ in {ftdemo.__name__, __name__} for thing in there)
        types = [thing for thing in there if type(thing) is type and thing.__name__ == "Account"]
        types = sum(account.__module__ == ftdemo.__name__ for account in types)
        del there
        return objects, types, sys.getallocatedblocks()

    made, early, late = 0, None, None
    while going():
        made += one_round(time.monotonic() + 0.5)
        late = live()
        early = early or late  # not before the first round: that one fills caches and free lists
        assert late[:2] == early[:2] == (0, 1), f"objects and Account types that live on: {late}"
    # Generous: one block lost for each object would be tens of thousands a second.
    assert late[2] < early[2] + 20_000, f"{late[2] - early[2]} more blocks than after one round"
    return f"{made} objects made, none left, {late[2] - early[2]:+} blocks"


if __name__ == "__main__":
    common.main(stress)

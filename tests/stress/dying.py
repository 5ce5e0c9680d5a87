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
from concepts import CONCEPTS

BASETYPE = 1 << 10  # Py_TPFLAGS_BASETYPE
THREADS = 16
SLOTS = 64
# Free-threaded 3.13 never frees a type once there have been threads, so no module with types dies.
MODULES_DIE = not common.FREE_THREADED or sys.version_info >= (3, 14)


def object_of_another_module(ftdemo):
    """Make a module, use it, and give an object of it, which keeps its type, which keeps it."""
    made = common.another_module(ftdemo)
    for concept in CONCEPTS.values():
        concept.use(made)
    return next(filter(None, (concept.make(made) for concept in CONCEPTS.values())))


def stress(ftdemo, going):
    """Put instances of every type into slots; where it can be subclassed, also ones with cycles."""
    steps = {type(concept.make(ftdemo)): concept.step for concept in CONCEPTS.values()}
    steps = {kind: step for kind, step in steps.items() if kind.__module__ == ftdemo.__name__}
    number_of_types = len(steps)
    for kind in [kind for kind in steps if kind.__flags__ & BASETYPE]:

        class Cyclic(kind):
            def __init__(self):
                self.me = self

        steps[Cyclic] = steps[kind]
    kinds = list(steps)

    def use(thing):
        if type(thing) in steps:  # else it is of another module
            steps[type(thing)](ftdemo, thing)

    def one_round(end):
        """Give the number of objects made."""
        slots, references = [None] * SLOTS, [lambda: None] * SLOTS
        still = common.Going(end - time.monotonic())

        def make_and_drop():
            rng = random.Random()
            made = 0
            while still() and going():
                for _ in range(100):
                    thing = rng.choice(kinds)()
                    n = rng.randrange(SLOTS)
                    found, slots[n] = slots[n], thing
                    use(found)
                    use(references[n]())  # alive or not: never something in between
                    if hasattr(thing, "me"):
                        references[n] = weakref.ref(thing)
                    made += 1
                if MODULES_DIE:
                    slots[rng.randrange(SLOTS)] = object_of_another_module(ftdemo)
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
        types = [thing for thing in there if type(thing) is type]
        types = sum(thing.__module__ == ftdemo.__name__ for thing in types)
        del there
        return objects, types, sys.getallocatedblocks()

    made, early, late = 0, None, None
    while going():
        made += one_round(time.monotonic() + 0.5)
        late = live()
        early = early or late  # not before the first round: that one fills caches and free lists
        alive = f"objects and types that live on: {late}"
        assert late[:2] == early[:2] == (0, number_of_types), alive
    # Generous: one block lost for each object would be tens of thousands a second.
    assert late[2] < early[2] + 20_000, f"{late[2] - early[2]} more blocks than after one round"
    return f"{made} objects made, none left, {late[2] - early[2]:+} blocks"


if __name__ == "__main__":
    common.main(stress)

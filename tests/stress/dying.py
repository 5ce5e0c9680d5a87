"""Dying: objects are freed in other threads than they were created in, and nothing leaks.

Threads put new objects of every type into shared slots, use the objects that they find there, and
drop them; the thread with the last reference frees the object. Instances of subclasses have weak
references, and refer to themselves, so that the garbage collector, which runs all the time, has to
find them.
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
# Once there have been threads, free-threaded 3.13 never frees a type, nor a module with types.
MODULES_DIE = not common.FREE_THREADED or sys.version_info >= (3, 14)


def object_of_another_module(ftdemo):
    """Create and use a module; return an object that keeps its type, and so the module, alive."""
    made = common.another_module(ftdemo)
    for concept in CONCEPTS.values():
        concept.use(made)
    return next(filter(None, (concept.make(made) for concept in CONCEPTS.values())))


def stress(ftdemo, going):
    """Put instances of every type into slots, and of subclasses with reference cycles."""
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
        if type(thing) in steps:  # if not, it is from another module
            steps[type(thing)](ftdemo, thing)

    def one_round(end):
        """Run for a while; return the number of objects created."""
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
                    use(references[n]())  # an object or None, never a partly freed object
                    if hasattr(thing, "me"):
                        references[n] = weakref.ref(thing)
                    made += 1
                if MODULES_DIE:
                    slots[rng.randrange(SLOTS)] = object_of_another_module(ftdemo)
            return made

        def collect():
            while still() and going():
                gc.collect()
                time.sleep(0.001)  # a collection stops all threads: let them run in between
            return 0

        return sum(common.in_threads(going, [make_and_drop] * THREADS + [collect]))

    def live():
        """Return the numbers of live objects and types of ftdemo, and of all blocks."""
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
        early = early or late  # after the first round, which fills caches and free lists
        alive = f"objects and types that live on: {late}"
        assert late[:2] == early[:2] == (0, number_of_types), alive
    # A generous limit: one leaked block per object would be tens of thousands per second.
    assert late[2] < early[2] + 20_000, f"{late[2] - early[2]} more blocks than after one round"
    return f"{made} objects made, none left, {late[2] - early[2]:+} blocks"


if __name__ == "__main__":
    common.main(stress)

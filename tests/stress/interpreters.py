"""Interpreters: each has its own ftdemo, even if many are created and destroyed at the same time.

Threads create interpreters, each with its own GIL (or none), import ftdemo there, use it in several
threads, and destroy the interpreters. No two interpreters share a type.
"""

import math

import common
from concepts import CONCEPTS, SOURCES
from other_interpreter import AVAILABLE, run_in_another_interpreter

THREADS = 6
# CPython's free-threaded builds leak 3 to 4 MB per interpreter, even if it does nothing: there, the
# run ends early after this many interpreters.
MOST = 300 if common.FREE_THREADED else math.inf

# types: the ids of the main interpreter's types; sources: the functions of each concept.
PROGRAM = """
import sys, threading
import {name} as ftdemo

for name, elsewhere in {types}.items():
    assert id(getattr(ftdemo, name)) != elsewhere, "a type of the main interpreter"
done = []

def repeat(step, thing):
    for _ in range(100):
        step(ftdemo, thing)
    done.append(step)

for source in {sources}:
    scope = {{}}
    exec(source, scope)
    scope["use"](ftdemo)
    thing = scope["make"](ftdemo)
    threads = [
        threading.Thread(target=repeat, args=(scope["step"], thing)) for _ in range({threads})
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
assert len(done) == {threads} * len({sources}), "a thread failed"
assert not ({free_threaded} and sys._is_gil_enabled()), "the GIL is on"
"""


def stress(ftdemo, going):
    if not AVAILABLE:
        common.skip("needs Python 3.13, the first with a module for interpreters")
    types = [name for name in ftdemo.__all__ if isinstance(getattr(ftdemo, name), type)]
    program = PROGRAM.format(
        name=ftdemo.__name__,
        types={name: id(getattr(ftdemo, name)) for name in types},
        sources=list(SOURCES.values()),
        threads=3,
        free_threaded=common.FREE_THREADED,
    )
    made = []

    def come_and_go():
        while going() and len(made) < MOST:
            made.append(None)
            assert run_in_another_interpreter(program) == ""
            for concept in CONCEPTS.values():
                concept.use(ftdemo)  # still works

    common.in_threads(going, [come_and_go] * THREADS)
    return f"{len(made)} interpreters came and went"


if __name__ == "__main__":
    common.main(stress)

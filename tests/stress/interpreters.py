"""Interpreters: each has an ftdemo of its own, however many come and go at a time.

Threads make interpreters, each with a GIL of its own (or none), import and use ftdemo there, in
threads again, and destroy them. The types of one are not those of another.
"""

import math

import common
from concepts import CONCEPTS, SOURCES

try:
    from concurrent import interpreters  # 3.14
except ImportError:
    interpreters = None
    try:
        import _interpreters  # 3.13
    except ImportError:
        common.skip("no module for interpreters: needs Python 3.13")

THREADS = 6
# CPython's free-threaded builds lose 3 to 4 MB with each interpreter, even one that does nothing:
# there the run ends before its time when it has made so many.
MOST = 300 if common.FREE_THREADED else math.inf

# types: those of the main interpreter, by their ids; sources: of the functions of each concept.
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


def run_elsewhere(program):
    """Run program in an interpreter that is made for it and destroyed after it."""
    if interpreters:
        interpreter = interpreters.create()
        try:
            interpreter.exec(program)
        finally:
            interpreter.close()
        return
    interpreter = _interpreters.create("isolated")
    try:
        error = _interpreters.exec(interpreter, program)
    finally:
        _interpreters.destroy(interpreter)
    assert error is None, error.errdisplay


def stress(ftdemo, going):
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
            run_elsewhere(program)
            for concept in CONCEPTS.values():
                concept.use(ftdemo)  # as before

    common.in_threads(going, [come_and_go] * THREADS)
    return f"{len(made)} interpreters came and went"


if __name__ == "__main__":
    common.main(stress)

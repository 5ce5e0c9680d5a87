"""Interpreters: each has an ftdemo of its own, however many come and go at a time.

Threads make interpreters, each with a GIL of its own (or none), import and use ftdemo there, in
threads again, and destroy them. What one has interned is not what another gets.
"""

import common

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
MOST = 300 if common.FREE_THREADED else None

# main_account and main_key are the ids of objects of the main interpreter.
PROGRAM = """
import sys, threading
import {name} as ftdemo

assert id(ftdemo.Account) != {main_account}, "a type of the main interpreter"
key = "/".join(["a", "key"])
assert ftdemo.intern(key) is key and id(key) != {main_key}, "another interpreter's cache"

accounts = ftdemo.Account(500), ftdemo.Account(500)
tickets = ftdemo.Tickets(0, 1_000)
checksum = ftdemo.Checksum()
taken = []

def use():
    for ticket in tickets:
        taken.append(ticket)
        ftdemo.transfer(*accounts[:: 1 if ticket % 2 else -1], 1)
        checksum.update(b"x" * 3_000)
        ftdemo.intern(f"{{ticket // 2}}")

threads = [threading.Thread(target=use) for _ in range(3)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
assert sorted(taken) == list(range(1_000)) and ftdemo.total(*accounts) == 1_000
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
    key = ftdemo.intern("/".join(["a", "key"]))
    program = PROGRAM.format(
        name=ftdemo.__name__,
        main_account=id(ftdemo.Account),
        main_key=id(key),
        free_threaded=common.FREE_THREADED,
    )

    numbers = ftdemo.Tickets(0, MOST)

    def come_and_go():
        runs = 0
        while going() and next(numbers, None) is not None:
            run_elsewhere(program)
            assert ftdemo.intern("/".join(["a", "key"])) is key, "this interpreter's key is gone"
            runs += 1
        return runs

    runs = sum(common.in_threads(going, [come_and_go] * THREADS))
    return f"{runs} interpreters came and went"


if __name__ == "__main__":
    common.main(stress)

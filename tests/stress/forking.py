"""Forking: a child of a process whose threads use ftdemo can use objects that its parent did not.

It cannot use objects that its parent shares: at the fork, another thread may hold the lock of such
an object, and the child does not have that thread. The same is true of objects of the standard
library, so neither the busy threads nor a child use one that has a lock, such as the generator of
`random`.
"""

import os
import signal
import time
import warnings

import common
from concepts import CONCEPTS

BUSY = 8
FORKING = 2
TIMEOUT = 20


def status_of(child):
    """Wait for the child and return its exit code; after the timeout kill it, with a traceback."""
    end = time.monotonic() + TIMEOUT
    while True:
        pid, status = os.waitpid(child, os.WNOHANG)
        if pid:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() > end:
            os.kill(child, signal.SIGABRT)  # faulthandler prints where it hangs
            _, status = os.waitpid(child, 0)
            return f"{os.waitstatus_to_exitcode(status)}, killed after {TIMEOUT} s"
        time.sleep(0.001)


def stress(ftdemo, going):
    if not hasattr(os, "fork"):
        common.skip("no fork on this platform")
    warnings.filterwarnings("ignore", "This process .* is multi-threaded", DeprecationWarning)
    unused = common.another_module(ftdemo)  # only children use its objects
    for concept in CONCEPTS.values():
        concept.use(ftdemo)  # imports all modules it needs

    shared = [(concept.step, concept.make(ftdemo)) for concept in CONCEPTS.values()]

    def be_busy():
        while going():
            for step, thing in shared:
                step(ftdemo, thing)
        return 0

    def fork():
        # This includes CPython's locks: a thread's first call of a function locks the code object.
        for concept in CONCEPTS.values():
            concept.use(ftdemo)
        children = 0
        while going():
            child = os.fork()
            if child == 0:
                status = 1
                try:
                    for concept in CONCEPTS.values():
                        concept.use(unused)
                    status = 0
                finally:
                    os._exit(status)
            status = status_of(child)
            assert status == 0, f"a child ended with {status}"
            children += 1
        return children

    children = sum(common.in_threads(going, [be_busy] * BUSY + [fork] * FORKING))
    return f"{children} children, all well"


if __name__ == "__main__":
    common.main(stress)

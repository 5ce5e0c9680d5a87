"""Forking: a child of a process whose threads are busy in ftdemo can use objects of its own.

Not those that it shares with its parent: another thread may have held such a lock at the fork, and
is not there to give it up. Between fork and exit a child does no more than it has to.
"""

import os
import signal
import time
import warnings
import zlib

import common

BUSY = 8
FORKING = 2
TIMEOUT = 20
DATA = b"x" * 5_000  # updates of this size run detached, with the lock held


def use(ftdemo, intern):
    """Give whether new objects do what they should."""
    a, b = ftdemo.Account(3), ftdemo.Account()
    ftdemo.transfer(a, b, 2)
    checksum = ftdemo.Checksum()
    checksum.update(DATA)
    key = "/".join(["a", "key"])
    return (
        (a.balance, ftdemo.total(a, b)) == (1, 3)
        and list(ftdemo.Tickets(0, 3)) == [0, 1, 2]
        and checksum.copy().value == zlib.adler32(DATA)
        and intern(key) is key is intern("/".join(["a", "key"]))
    )


def status_of(child):
    """Wait for the child and give its exit code; after the timeout end it, with a traceback."""
    end = time.monotonic() + TIMEOUT
    while True:
        pid, status = os.waitpid(child, os.WNOHANG)
        if pid:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() > end:
            os.kill(child, signal.SIGABRT)  # faulthandler shows where it hangs
            _, status = os.waitpid(child, 0)
            return f"{os.waitstatus_to_exitcode(status)}, killed after {TIMEOUT} s"
        time.sleep(0.001)


def stress(ftdemo, going):
    if not hasattr(os, "fork"):
        common.skip("no fork on this platform")
    warnings.filterwarnings("ignore", "This process .* is multi-threaded", DeprecationWarning)
    accounts = ftdemo.Account(1_000), ftdemo.Account(1_000)
    tickets, checksum = ftdemo.Tickets(), ftdemo.Checksum()
    unused = common.another_module(ftdemo).intern  # its cache is the child's alone

    def be_busy():
        while going():
            for ticket in (next(tickets) for _ in range(100)):
                ftdemo.transfer(*accounts[:: 1 if ticket % 2 else -1], 1)
                checksum.update(DATA)
                ftdemo.intern(f"{ticket % 1_000}")
                ftdemo.Account().deposit(1)
        return 0

    def fork():
        children = 0
        while going():
            child = os.fork()
            if child == 0:
                status = 1
                try:
                    status = 0 if use(ftdemo, unused) else 2
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

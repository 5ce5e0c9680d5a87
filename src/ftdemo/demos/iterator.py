"""A generator that threads share raises ValueError, loses items or crashes; Tickets does not.

A generator runs in one thread at a time. With the GIL, a thread that calls next() while another one
is inside it gets "ValueError: generator already executing". CPython does not promise that
its iterators, generators among them, hand out each item once when threads share one without the
GIL, and a generator may even crash the interpreter (as of 3.14), which is why it is tried in a
process of its own. `ftdemo.Tickets` takes a lock for each step: every number once, none lost.

Source: https://docs.python.org/3/howto/free-threading-python.html#iterators, csrc/ready/tickets.c.
"""

import json
from collections.abc import Iterator

import ftdemo
from ftdemo.demo.finding import CHILD_TIMEOUT, Finding, attempts, switch_often
from ftdemo.processes import ending, run_python
from ftdemo.threads import in_threads


def take_all(shared: Iterator[int]) -> tuple[list[int], int]:
    """Take all that one thread gets, and count the errors."""
    taken, errors = [], 0
    while True:
        try:
            taken.append(next(shared))
        except ValueError:
            errors += 1
        except StopIteration:
            return taken, errors


def share(shared: Iterator[int], count: int) -> dict[str, int]:
    """Share an iterator of the ints below count between two threads; what went wrong?"""
    switch_often()
    (mine, errors), (theirs, more_errors) = in_threads(*[lambda: take_all(shared)] * 2)
    distinct = len({*mine, *theirs})
    return {
        "ValueError": errors + more_errors,
        "lost": count - distinct,
        "twice": len(mine) + len(theirs) - distinct,
    }


def share_a_generator(count: int) -> None:
    """Run in a process of its own."""
    print(json.dumps(share((number for number in range(count)), count)))


def demo(*, quick: bool) -> Finding:
    """Share a generator until something goes wrong, and then Tickets."""
    count = 50_000 if quick else 500_000
    program = f"from ftdemo.demos.iterator import *; share_a_generator({count})"
    wrong: dict[str, object] = {}
    for _ in attempts():
        done = run_python("-P", "-c", program)
        if done.returncode < 0:
            wrong = {"crash": ending(done.returncode, CHILD_TIMEOUT)}
        elif done.returncode == 0:
            wrong = json.loads(done.stdout)
        if any(wrong.values()):
            break
    tickets = share(ftdemo.Tickets(0, count), count)
    told = ", ".join(f"{what}: {how}" for what, how in wrong.items() if how) or "nothing wrong seen"
    return Finding(
        any(wrong.values()) and not any(tickets.values()),
        f"of {count} numbers that two threads took from one generator: {told}; "
        f"from Tickets: {tickets['lost']} lost, {tickets['twice']} twice",
        {"count": count, "generator": wrong, "tickets": tickets},
    )

"""A generator that threads share raises ValueError, loses items or crashes; Tickets does not.

A generator runs in one thread at a time. With the GIL, a thread that calls next() while another
thread runs the generator gets "ValueError: generator already executing". Without the GIL, CPython
does not promise that an iterator, such as a generator, returns each item once when threads share
it. A shared generator may even crash the interpreter (as of 3.14), so this demo shares it in a
separate process. `ftdemo.Tickets` takes a lock for each step: it returns every number once.

Source: https://docs.python.org/3/howto/free-threading-python.html#iterators, csrc/ready/tickets.c.
"""

from collections.abc import Iterator

import ftdemo
from ftdemo.demo.finding import Finding, attempts, call_in_child, switch_often
from ftdemo.threads import in_threads


def take_all(shared: Iterator[int]) -> tuple[list[int], int]:
    """Take items until there are none left; return them and the number of errors."""
    taken, errors = [], 0
    while True:
        try:
            taken.append(next(shared))
        except ValueError:
            errors += 1
        except StopIteration:
            return taken, errors


def share(shared: Iterator[int], count: int) -> dict[str, int]:
    """Share an iterator over range(count) between two threads; count what goes wrong."""
    switch_often()
    (mine, errors), (theirs, more_errors) = in_threads(*[lambda: take_all(shared)] * 2)
    distinct = len({*mine, *theirs})
    return {
        "ValueError": errors + more_errors,
        "lost": count - distinct,
        "twice": len(mine) + len(theirs) - distinct,
    }


def share_a_generator(count: int) -> dict[str, int]:
    """Share a generator; runs in a separate process."""
    return share((number for number in range(count)), count)


def demo(*, quick: bool) -> Finding:
    """Share a generator until something goes wrong; then share Tickets."""
    count = 50_000 if quick else 500_000
    for _ in attempts():
        found = call_in_child(share_a_generator, count)
        wrong: dict[str, object] = {"crash": found} if isinstance(found, str) else found
        if any(wrong.values()):
            break
    tickets = share(ftdemo.Tickets(0, count), count)
    seen = ", ".join(f"{what}: {how}" for what, how in wrong.items() if how) or "no fault seen"
    return Finding(
        any(wrong.values()) and not any(tickets.values()),
        f"of {count} numbers that two threads took from one generator: {seen}; "
        f"from Tickets: {tickets['lost']} lost, {tickets['twice']} twice",
        {"count": count, "generator": wrong, "tickets": tickets},
    )

"""list.append and dict writes from many threads lose nothing, with the GIL or without it.

On a free-threaded build, each object has its own lock in its header. An operation that changes a
list, dict or set holds this lock until it is done; most reads take no lock. An operation that was
atomic with the GIL therefore stays atomic, and no item that threads append or store is lost. The
lock does not make two operations one: the demo check-then-act shows that.

Source: PEP 703, "Container Thread-Safety"; https://docs.python.org/3/library/threadsafety.html.
"""

from collections.abc import Callable
from functools import partial

from ftdemo.demo.finding import Finding, switch_often
from ftdemo.threads import in_threads

THREADS = 4


def append(shared: list[int], first: int, count: int) -> None:
    for number in range(first, first + count):
        shared.append(number)  # noqa: PERF402 - one at a time


def store(shared: dict[int, int], first: int, count: int) -> None:
    for number in range(first, first + count):
        shared[number] = -number


def in_all(work: Callable[[int], None], count: int) -> None:
    in_threads(*(partial(work, thread * count) for thread in range(THREADS)))


def demo(*, quick: bool) -> Finding:
    """Write from all threads at once, then count the items."""
    count = 50_000 if quick else 250_000
    switch_often()
    numbers: list[int] = []
    in_all(lambda first: append(numbers, first, count), count)
    table: dict[int, int] = {}
    in_all(lambda first: store(table, first, count), count)
    everything = range(THREADS * count)
    in_list = len(set(numbers).intersection(everything))
    in_dict = sum(table.get(number) == -number for number in everything)
    return Finding(
        in_list == len(numbers) == in_dict == len(table) == len(everything),
        f"{THREADS} threads wrote {len(everything)} items each way: {in_list} are in the list, "
        f"{in_dict} in the dict",
        {"threads": THREADS, "items": len(everything), "in_list": in_list, "in_dict": in_dict},
    )

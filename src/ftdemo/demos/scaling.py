"""CPU-bound threads gain nothing with the GIL, and nearly the number of cores without it.

The same work is done by threads and one after the other. In Python, only one thread at a time runs
bytecode while the GIL is on. C code may give it up for its work; `sum_of_squares` does not on a
build with the GIL, where it is a plain C function that holds on to it. On a free-threaded build,
and in the wheel for the stable ABI of both, it detaches, so that it never has to wait for a GIL.

Threads gain less than this where they write to the same objects, since their cores then pass
the memory with its reference count to and fro.

Source: PEP 703; csrc/ready/work.c.
"""

import ftdemo
from ftdemo.demo.finding import ABI3T, Finding, need_two_cores
from ftdemo.demo.gains import measure
from ftdemo.interpreter import FREE_THREADED, cores, is_gil_enabled

DETACHES = FREE_THREADED or ABI3T


def in_python(steps: int) -> int:
    """Add up numbers; all that it writes to is its own."""
    total = 0
    for number in range(steps):
        total += number * number
    return total


def demo(*, quick: bool) -> Finding:
    """Measure until both are clear."""
    need_two_cores()
    threads = min(cores(), 4)
    size = 1 if quick else 4

    def python() -> object:
        return in_python(500_000 * size)

    def native() -> object:
        return ftdemo.sum_of_squares(50_000_000 * size)

    seconds = 5 if quick else 20
    ratio, clear = measure(python, threads, gains=not is_gil_enabled(), seconds=seconds)
    ratio_native, clear_native = measure(native, threads, gains=DETACHES, seconds=seconds)
    state = "on" if is_gil_enabled() else "off"
    return Finding(
        clear and clear_native,
        f"GIL {state}: {threads} threads are {ratio:.2f} times as fast as one in Python, "
        f"{ratio_native:.2f} times in sum_of_squares, which "
        f"{'detaches' if DETACHES else 'holds the GIL'}",
        {"threads": threads, "python": ratio, "native": ratio_native},
    )

"""With the GIL, CPU-bound threads are no faster than one; without it, they scale with the cores.

This demo does the same work once in parallel threads and once in one thread. While the GIL is on,
only one thread at a time runs bytecode. C code can detach from the interpreter while it works, as
`sum_of_squares` does: its threads run in parallel on every build.

Threads that use the same objects gain less, because their cores contend for the memory of the
reference counts.

Source: PEP 703; csrc/ready/work.c.
"""

import ftdemo
from ftdemo.demo.finding import Finding, need_two_cores
from ftdemo.demo.gains import measure
from ftdemo.interpreter import cores, is_gil_enabled


def in_python(steps: int) -> int:
    """Add up squares; writes only to local variables."""
    total = 0
    for number in range(steps):
        total += number * number
    return total


def demo(*, quick: bool) -> Finding:
    """Measure until both results are clear."""
    need_two_cores()
    threads = min(cores(), 4)
    size = 1 if quick else 4

    def python() -> object:
        return in_python(500_000 * size)

    def native() -> object:
        return ftdemo.sum_of_squares(50_000_000 * size)

    seconds = 5 if quick else 20
    ratio, clear = measure(python, threads, gains=not is_gil_enabled(), seconds=seconds)
    ratio_native, clear_native = measure(native, threads, gains=True, seconds=seconds)
    state = "on" if is_gil_enabled() else "off"
    return Finding(
        clear and clear_native,
        f"GIL {state}: {threads} threads are {ratio:.2f} times as fast as one in Python, "
        f"{ratio_native:.2f} times in sum_of_squares, which detaches",
        {"threads": threads, "python": ratio, "native": ratio_native},
    )

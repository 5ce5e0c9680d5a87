"""A collection of garbage stops all threads; without the GIL, each one looks at all objects.

With the GIL, the collector keeps it; without, it stops the world: each thread is paused at the
next point where it can be. There are generations with the GIL, so that most collections look at
new objects only. The free-threaded collector has none: gc.collect(0) takes as long as gc.collect().
It starts by itself less often: when the number of new objects passes the threshold, and a quarter
of those that the last collection left.

Source: PEP 703, "Garbage Collection"; https://github.com/python/cpython/blob/main/InternalDocs/garbage_collector.md.
"""

import gc
import statistics
import threading
import time
from collections.abc import Callable

from ftdemo.demo.finding import Finding, attempts, seconds_of
from ftdemo.interpreter import FREE_THREADED


def longest_pause(while_running: Callable[[], object]) -> tuple[float, float]:
    """Give the seconds that something takes, and the longest that another thread was paused."""
    stop, started, pauses = threading.Event(), threading.Event(), [0.0]

    def spin() -> None:
        last = time.perf_counter()
        while not stop.is_set():
            now = time.perf_counter()
            pauses[0] = max(pauses[0], now - last)
            last = now
            started.set()

    thread = threading.Thread(target=spin)
    thread.start()
    started.wait()
    seconds = seconds_of(while_running)
    stop.set()
    thread.join()
    return seconds, pauses[0]


def demo(*, quick: bool) -> Finding:
    """Measure a thread's pauses with a collection and without, in turn, until it is clear."""
    gc.disable()
    kept = [[number] for number in range(400_000 if quick else 2_000_000)]
    gc.collect()  # they are old now
    young = statistics.median(seconds_of(lambda: gc.collect(0)) for _ in "12345")
    full = statistics.median(seconds_of(gc.collect) for _ in "12345")
    for _ in attempts():
        seconds, pause = longest_pause(gc.collect)
        _, otherwise = longest_pause(lambda: time.sleep(seconds))  # noqa: B023
        # Not all of the collection: parts of it need no world that stands still.
        stopped = pause > seconds / 2 > otherwise
        if stopped:
            break
    # All objects or none of them: anything in between would be far from both.
    generations = young < full / 5
    return Finding(
        stopped and generations is not FREE_THREADED,
        f"another thread was paused for {pause * 1e3:.0f} ms of a collection of "
        f"{seconds * 1e3:.0f} ms among {len(kept)} lists ({otherwise * 1e3:.0f} ms without one); "
        f"gc.collect(0) takes {young * 1e3:.2f} ms, gc.collect() {full * 1e3:.0f} ms; "
        f"thresholds {gc.get_threshold()}",
        {
            "seconds": seconds,
            "pause": pause,
            "pause_without": otherwise,
            "young": young,
            "full": full,
            "thresholds": gc.get_threshold(),
        },
    )

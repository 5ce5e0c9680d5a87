"""A garbage collection stops all threads; without the GIL, each one visits all objects.

With the GIL, the collector holds it while it runs. Without the GIL, the collector stops the world:
it pauses each thread at the next point where that is safe. With the GIL there are generations, so
most collections visit only new objects. The free-threaded collector has no generations:
gc.collect(0) takes as long as gc.collect(). Automatic collections are rarer: one starts when the
number of new objects exceeds both the threshold and a quarter of the objects that survived the
last collection.

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
    """Return how long a call takes and the longest pause of another thread, in seconds."""
    stop, started, pauses = threading.Event(), threading.Event(), [0.0]

    def spin() -> None:
        last = time.perf_counter()
        running = True
        while running:
            running = not stop.is_set()  # after it was set, there is one more time to take
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
    """Compare a thread's pauses with and without a collection until they differ clearly."""
    gc.disable()
    kept = [[number] for number in range(400_000 if quick else 2_000_000)]
    gc.collect()  # moves them to the oldest generation
    young = statistics.median(seconds_of(lambda: gc.collect(0)) for _ in "12345")
    full = statistics.median(seconds_of(gc.collect) for _ in "12345")
    for _ in attempts():
        seconds, pause = longest_pause(gc.collect)
        _, without = longest_pause(lambda: time.sleep(seconds))  # noqa: B023
        # Half of it, because some phases of a collection run while other threads do.
        stopped = pause > seconds / 2 > without
        if stopped:
            break
    # A collection of the young visits either all objects or nearly none: no value lies between.
    generations = young < full / 5
    return Finding(
        stopped and generations is not FREE_THREADED,
        f"another thread was paused for {pause * 1e3:.0f} ms of a collection of "
        f"{seconds * 1e3:.0f} ms among {len(kept)} lists ({without * 1e3:.0f} ms without one); "
        f"gc.collect(0) takes {young * 1e3:.2f} ms, gc.collect() {full * 1e3:.0f} ms; "
        f"thresholds {gc.get_threshold()}",
        {
            "seconds": seconds,
            "pause": pause,
            "pause_without": without,
            "young": young,
            "full": full,
            "thresholds": gc.get_threshold(),
        },
    )

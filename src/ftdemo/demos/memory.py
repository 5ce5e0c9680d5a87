"""Without the GIL, small objects and threads take more memory, and mimalloc is the only allocator.

On 64-bit platforms an object header grows by 16 bytes: it has the owning thread, two reference
counts, a lock and the garbage collector's bits. Objects that the collector tracks keep their size,
because the two pointers in front of each, which linked them into the collector's list, are gone.
The collector asks mimalloc for the objects instead, so a free-threaded build has no other
allocator. Each thread has its own heap, so it allocates without a lock.

Source: PEP 703, "Mimalloc", "Garbage Collection".
"""

import sys

from ftdemo.demo.builds import ask, installed_builds
from ftdemo.demo.finding import Finding
from ftdemo.processes import run


def measure() -> dict[str, object]:
    """Measure sizes in bytes; self-contained, because another interpreter runs this."""
    import os
    import sys
    import threading

    def resident() -> int:
        with open("/proc/self/statm") as file:  # noqa: PTH123
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    things = {"object()": object(), "1.0": 1.0, "'a'": "a", "[]": [], "{}": {}}
    found: dict[str, object] = {name: sys.getsizeof(thing) for name, thing in things.items()}
    if sys.platform == "linux":
        before, done = resident(), threading.Event()
        threads = [threading.Thread(target=done.wait) for _ in range(50)]
        for thread in threads:
            thread.start()
        found["a thread"] = (resident() - before) // len(threads)
        done.set()
    return found


def takes_pymalloc(python: str) -> bool:
    """Tell whether an interpreter starts with pymalloc, the allocator that mimalloc replaces."""
    done = run([python, "-c", ""], env={"PYTHONMALLOC": "pymalloc", "PYTHONPATH": ""})
    return done.returncode == 0


def demo(*, quick: bool) -> Finding:
    """Measure this build, and the other build of this version if it is installed."""
    builds = installed_builds()
    found = {build: ask(python, measure) for build, python in builds.items()}
    mimalloc = {build: not takes_pymalloc(python) for build, python in builds.items()}
    pointer = 8 if sys.maxsize > 2**32 else 4
    headers = {"with the GIL": 2 * pointer, "free-threaded": 3 * pointer + 8}
    threads = [found[build].get("a thread", 0) for build in builds]
    whats = found[next(iter(builds))]
    rows = [f"{what} {' / '.join(str(found[build][what]) for build in builds)}" for what in whats]
    return Finding(
        all(found[build]["object()"] == headers[build] for build in builds)
        and threads == sorted(threads)
        and all(mimalloc[build] is (build == "free-threaded") for build in builds),
        f"bytes {' / '.join(builds)}: {', '.join(rows)}; mimalloc is the only allocator: "
        f"{' / '.join('yes' if mimalloc[build] else 'no' for build in builds)}",
        {"bytes": found, "mimalloc_alone": mimalloc},
    )

"""A single dict operation is safe; a lookup followed by a store is two operations, and races.

`if key not in cache: cache[key] = make(key)`: two threads look the key up, find nothing, and each
make an object. The dict stays intact, with the GIL or without it, but the threads hold different
objects. With the GIL, another thread can run during make(); without it, at any time. `setdefault`
is one operation: all threads get the same object, though more than one may have been made. With a
lock around both operations, only one is made. csrc/ready/intern.c calls PyDict_SetDefaultRef, which
is `setdefault` in C.

Source: https://docs.python.org/3/library/threadsafety.html#thread-safety-for-dict-objects.
"""

import threading
from collections.abc import Callable

from ftdemo.demo.finding import Finding, attempts, switch_often
from ftdemo.threads import in_threads

Thing = list[int]
Cache = dict[int, Thing]
LOCK = threading.Lock()


def make(key: int) -> Thing:
    return [number + key for number in range(100)]


def look_then_store(cache: Cache, key: int) -> Thing:
    if key not in cache:
        cache[key] = make(key)
    return cache[key]


def set_default(cache: Cache, key: int) -> Thing:
    return cache.setdefault(key, make(key))


def with_lock(cache: Cache, key: int) -> Thing:
    with LOCK:
        return look_then_store(cache, key)


def different(get: Callable[[Cache, int], Thing], keys: int) -> int:
    """Count the keys for which two threads hold different objects."""
    cache: Cache = {}
    pair = in_threads(*[lambda: [get(cache, key) for key in range(keys)]] * 2)
    assert len(cache) == keys  # the dict itself stays intact
    return sum(a is not b for a, b in zip(*pair, strict=True))


def demo(*, quick: bool) -> Finding:
    """Run the race until two threads get different objects; then run both remedies."""
    keys = 2_000 if quick else 20_000
    switch_often()
    found = 0
    for attempt in attempts():  # noqa: B007
        found += different(look_then_store, keys)
        if found:
            break
    mended = {"setdefault": different(set_default, keys), "Lock": different(with_lock, keys)}
    return Finding(
        found > 0 and not any(mended.values()),
        f"of {attempt * keys} keys, two threads got different objects for {found}; "
        f"with setdefault for {mended['setdefault']}, with a Lock for {mended['Lock']} of {keys}",
        {"keys": attempt * keys, "different": found, "different_mended": mended},
    )

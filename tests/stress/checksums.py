"""Checksums: every update goes in whole, and no reader or copy sees half of one.

Rounds of many threads that update shared checksums. All add the same bytes, so the order of the
updates does not matter, and the values there may be at any time are known beforehand.
"""

import zlib

import common

UPDATERS = 12
WATCHERS = 8
UPDATES = 300  # by each thread
DETACHED = 2048  # updates of this size and more run detached


def values_of(data):
    """Each value that some number of updates with data gives, and that number."""
    values = [1]
    for _ in range(UPDATERS * UPDATES + 1):  # one more, for the copies
        values.append(zlib.adler32(data, values[-1]))
    known = {value: n for n, value in enumerate(values)}
    assert len(known) == len(values)
    return known


def stress(ftdemo, going):
    chunks = [b"\xfe" * (DETACHED - 1), b"\xfd" * (2 * DETACHED)]
    known = [values_of(data) for data in chunks]
    rounds = 0
    while going():
        checksums = [ftdemo.Checksum() for _ in chunks]

        def update(checksums=checksums):
            for _ in range(UPDATES):
                for checksum, data in zip(checksums, chunks, strict=True):
                    checksum.update(data)

        def watch(checksums=checksums):
            seen = [0] * len(checksums)  # updates
            while min(seen) < UPDATERS * UPDATES and going():
                for i, checksum in enumerate(checksums):
                    copied = checksum.copy()
                    n = known[i].get(copied.value)
                    assert n is not None, "a copy has half an update"
                    assert n >= seen[i], "a copy is older than one made before"
                    copied.update(chunks[i])
                    assert known[i].get(copied.value) == n + 1, "a copy does not go its own way"
                    seen[i] = known[i].get(checksum.value, -1)
                    assert seen[i] >= n, "a value has half an update, or is older than a copy"

        common.in_threads(going, [update] * UPDATERS + [watch] * WATCHERS)
        for i, checksum in enumerate(checksums):
            n = known[i].get(checksum.value)
            assert n == UPDATERS * UPDATES, f"of {UPDATERS * UPDATES} updates, {n} went in"
        rounds += 1
    return f"{rounds} rounds of {UPDATERS + WATCHERS} threads, every update went in whole"


if __name__ == "__main__":
    common.main(stress)

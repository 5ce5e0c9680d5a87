"""The owning thread counts its references separately; immortal objects are not counted.

Biased reference counting: the thread that made an object owns it, and counts its references in one
field of the header, without atomic instructions. All other threads count in a second field, with
atomic instructions. With the GIL there is one count. None, small ints and other immortal objects
keep a constant count (since 3.12), so threads that share them do not contend for one cache line.

Source: PEP 703, "Biased Reference Counting"; PEP 683, "Immortal Objects"; csrc/object_header.c.
"""

import sys

from ftdemo.demo.finding import Finding, need_module
from ftdemo.interpreter import FREE_THREADED
from ftdemo.threads import in_threads

MORE = 100


class Thing:
    """An object to count the references of."""


def counts(thing: object) -> dict[str, int | None]:
    from ftdemo._object_header import object_header

    header = object_header(thing)
    return {
        "all": header["refcount"],
        "owner": header["local_refcount"],
        "others": header["shared_refcount"],
    }


def added_by(before: dict[str, int | None], after: dict[str, int | None]) -> dict[str, int]:
    pairs = ((key, before[key], after[key]) for key in before)
    return {key: b - a for key, a, b in pairs if a is not None and b is not None}


def demo(*, quick: bool) -> Finding:
    """Take references in the thread that owns an object, then in another thread."""
    need_module("ftdemo._object_header")
    thing = Thing()
    kept: list[object] = []
    made = counts(thing)
    kept.append([thing] * MORE)
    by_owner = added_by(made, counts(thing))
    in_threads(lambda: kept.append([thing] * MORE))
    by_other = added_by(made, counts(thing))
    immortals: list[object] = [None, 7]
    before = [counts(immortal)["all"] for immortal in immortals]
    kept += [[immortal] * MORE for immortal in immortals]
    changes = [counts(immortal)["all"] != b for immortal, b in zip(immortals, before, strict=True)]
    if FREE_THREADED:
        split = by_owner["owner"] == MORE and by_other["owner"] == MORE <= by_other["others"]
        told = (
            f"the owner's {MORE} references are in one field ({by_owner['owner']}), the {MORE} of "
            f"another thread in a second one ({by_other['others']})"
        )
    else:
        split = [by_owner, by_other] == [{"all": MORE}, {"all": 2 * MORE}]
        told = f"the {MORE} references of each of two threads are in one count ({by_other['all']})"
    immortal = sys.version_info >= (3, 12)
    return Finding(
        split and changes == [not immortal] * len(immortals),
        f"{told}; the counts of None and 7 {'changed' if any(changes) else 'did not change'}"
        f"{'' if immortal else ' (they are immortal since 3.12)'}",
        {"by_owner": by_owner, "by_both": by_other, "immortal_changed": changes},
    )

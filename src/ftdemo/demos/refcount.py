"""Who owns an object counts its references apart from all others; immortal ones are not counted.

Biased reference counting: the thread that made an object counts in one field of its header without
atomic instructions, all others in a second one with them. With the GIL there is one count. None,
small ints and others that never die have no count that changes (since 3.12): threads that share
them do not wait for each other's cores.

Source: PEP 703, "Biased Reference Counting"; PEP 683, "Immortal Objects"; csrc/object_header.c.
"""

import sys

from ftdemo.demo.finding import Finding, need_module
from ftdemo.interpreter import FREE_THREADED
from ftdemo.threads import in_threads

MORE = 100


class Thing:
    """Something to refer to."""


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
    """Take references in the thread that made an object, then in another one."""
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
            f"the owner's {MORE} references were counted apart ({by_owner['owner']}) from the "
            f"{MORE} of another thread ({by_other['others']})"
        )
    else:
        split = [by_owner, by_other] == [{"all": MORE}, {"all": 2 * MORE}]
        told = f"the {MORE} references of each of two threads are in one count ({by_other['all']})"
    immortal = sys.version_info >= (3, 12)
    return Finding(
        split and changes == [not immortal] * len(immortals),
        f"{told}; the counts of None and 7 {'changed' if any(changes) else 'did not change'}"
        f"{'' if immortal else ' (they are immortal from 3.12 on)'}",
        {"by_owner": by_owner, "by_both": by_other, "immortal_changed": changes},
    )

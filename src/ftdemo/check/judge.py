"""From what children show to what is true of each module, and which modules are to blame.

The GIL, once on, stays on for the life of a process. So one child imports module after module, and
as long as the GIL is off at the end of a step, everything imported so far keeps it off. A step that
ends otherwise is judged by a child that imports nothing else, and another child goes on with the
rest. That asks for a process a failure, not a process a module.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from ftdemo.check.children import Children, StepResult


class Module(NamedTuple):
    """An extension module to judge: its full name, and its file if it is known."""

    name: str
    path: str | None


class Outcome(NamedTuple):
    """What importing a module in a fresh process came to."""

    name: str
    step: str  # the module or the package above it that decided
    result: StepResult
    culprits: Sequence[str]


def judge(
    modules: Sequence[Module], children: Children, *, together: bool = True
) -> Iterator[Outcome]:
    """Judge every module, in an order of its own.

    together=False takes a child for every module, which is slower and comes to the same.
    """
    blame = _Blame(children)
    paths = {module.name: module.path for module in modules}
    pending = list(paths)
    # Steps to ask about again, in a child that imports nothing else, and what they decide.
    alone: list[tuple[str, list[str]]] = []
    while pending or alone:
        step, below = alone.pop() if alone else ("", [])
        results = children.run(_steps([step] if step else pending if together else pending[:1]))
        for position, (seen, result) in enumerate(results):
            if _is_good(result):
                decided = [name for name in (below or pending) if name == seen]
            else:
                decided = [name for name in (below or pending) if _is_within(name, seen)]
                if not all(_is_within(seen, earlier) for earlier, _ in results[:position]):
                    alone.append((seen, decided))
                    pending = [name for name in pending if name not in decided]
                    continue
            pending = [name for name in pending if name not in decided]
            below = [name for name in below if name not in decided]
            culprits = blame.of(result) if decided and result.gil_on else []
            for name in decided:
                path = paths[name]
                own = culprits and name not in culprits and path is not None and name != seen
                also = blame.among([(name, path)]) if own and path is not None else []
                yield Outcome(name, seen, result, [*culprits, *also])
        alone += [(name, [name]) for name in below]  # it was good, alone: so ask about each


def _steps(names: Sequence[str]) -> list[str]:
    """The names with the packages above each before it, every one once."""
    steps: dict[str, None] = {}
    for name in names:
        parts = name.split(".")
        steps.update((".".join(parts[: n + 1]), None) for n in range(len(parts)))
    return list(steps)


def _is_within(name: str, package: str) -> bool:
    return name == package or name.startswith(package + ".")


def _is_good(result: StepResult) -> bool:
    return result.gil_on is False and result.raised is None


class _Blame:
    """Finds out which extensions have the GIL turned on.

    The one that was being loaded when it came on is seen in the act. Those loaded afterwards are
    each loaded once more, alone, in a child whose GIL is off.
    """

    def __init__(self, children: Children) -> None:
        self._children = children
        self._turns_it_on: dict[tuple[str, str], bool] = {}

    def of(self, result: StepResult) -> list[str]:
        """Name the extensions that were loaded in this step and have the GIL turned on."""
        unseen = []
        for entry in result.loaded:
            key = (entry.name, entry.path)
            if not entry.on_after:
                self._turns_it_on[key] = False
            elif entry.on_before or entry.inside:
                unseen.append(key)
            else:
                self._turns_it_on[key] = True
        self.among(unseen)
        names = [e.name for e in result.loaded if self._turns_it_on[e.name, e.path]]
        return list(dict.fromkeys(names))

    def among(self, extensions: Sequence[tuple[str, str]]) -> list[str]:
        """Name those of extensions, pairs of name and path, that have the GIL turned on."""
        unknown = [key for key in dict.fromkeys(extensions) if key not in self._turns_it_on]
        while unknown:
            results = self._children.run(unknown)
            for key, result in results:
                # The extension is the first that was loaded; others may be, from inside it. What
                # does not survive being loaded alone is given the benefit of the doubt.
                own = result.loaded[0] if result.loaded else None
                self._turns_it_on[key] = bool(own and own.on_after and not own.inside)
            del unknown[: len(results)]
        return [name for name, path in extensions if self._turns_it_on[name, path]]

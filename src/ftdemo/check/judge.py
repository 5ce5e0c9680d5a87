"""From what children show to what is true of each module, and which modules are to blame.

The GIL, once on, stays on for the life of a process. So one child imports module after module, and
as long as the GIL is off at the end of a step, everything imported so far keeps it off. A step that
ends otherwise is judged by a child that imports nothing else, and another child goes on with the
rest. That asks for a process a failure, not a process a module. Each is a task of its own, so that
they can run at the same time.
"""

import threading
from collections.abc import Callable, Generator, Iterator, Sequence
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


class Task(NamedTuple):
    """Modules to decide about: by importing one after the other, or by one step alone."""

    names: Sequence[str]
    alone: str | None = None


class Judge:
    """Judges modules of one target, in an order of its own.

    together=False takes a child for every module, which is slower and comes to the same.
    Thread safety: safe on shared objects.
    """

    def __init__(self, modules: Sequence[Module], *, together: bool = True) -> None:
        self._paths = {module.name: module.path for module in modules}
        self._together = together
        self._blame = _Blame()

    def tasks(self) -> list[Task]:
        """What to do first. Two tasks would each import most of what the modules have in common."""
        names = list(self._paths)
        return [Task(names)] if self._together else [Task([name], name) for name in names]

    def judge(
        self, task: Task, children: Children, later: Callable[[Task], None]
    ) -> Iterator[Outcome]:
        """Do a task. What it leaves undone goes to later(), while a child may still be at work."""
        pending = task.names
        while pending:
            pending = yield from self._ask(pending, task.alone, children, later)
            if task.alone:  # it was good, alone: so ask about each
                for name in pending:
                    later(Task([name], name))
                return

    def _ask(
        self,
        names: Sequence[str],
        alone: str | None,
        children: Children,
        later: Callable[[Task], None],
    ) -> Generator[Outcome, None, Sequence[str]]:
        """Ask one child, and give the names that it did not get to."""
        steps = _steps([alone] if alone else names)
        left: set[str] = set()

        def leave(index: int) -> None:
            """Have another child import what may have failed because of what was before it."""
            seen = steps[index]
            if not all(_is_within(seen, earlier) for earlier in steps[:index]):
                left.add(seen)
                later(Task([name for name in names if _is_within(name, seen)], seen))

        pending = names
        for seen, result in children.run(steps, raised=leave):
            good = _is_good(result)
            if not good and seen not in left and result.gil_on is not False:
                leave(steps.index(seen))
            decided = [n for n in pending if (n == seen if good else _is_within(n, seen))]
            pending = [name for name in pending if name not in decided]
            if not decided or seen in left:
                continue
            culprits = self._blame.of(result, children) if result.gil_on else []
            for name in decided:
                path = self._paths[name]
                own = culprits and name not in culprits and path is not None and name != seen
                also = self._blame.among([(name, path)], children) if own and path else []
                yield Outcome(name, seen, result, [*culprits, *also])
        return pending


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

    def __init__(self) -> None:
        self._turns_it_on: dict[tuple[str, str], bool] = {}
        # Guards _turns_it_on; held while a child runs, lest two find out the same.
        self._lock = threading.RLock()

    def of(self, result: StepResult, children: Children) -> list[str]:
        """Name the extensions that were loaded in this step and have the GIL turned on."""
        unseen = []
        with self._lock:
            for entry in result.loaded:
                key = (entry.name, entry.path)
                if not entry.on_after:
                    self._turns_it_on[key] = False
                elif entry.on_before or entry.inside:
                    unseen.append(key)
                else:
                    self._turns_it_on[key] = True
            self.among(unseen, children)
            names = [e.name for e in result.loaded if self._turns_it_on[e.name, e.path]]
        return list(dict.fromkeys(names))

    def among(self, extensions: Sequence[tuple[str, str]], children: Children) -> list[str]:
        """Name those of extensions, pairs of name and path, that have the GIL turned on."""
        with self._lock:
            unknown = [key for key in dict.fromkeys(extensions) if key not in self._turns_it_on]
            while unknown:
                results = children.run(unknown)
                for key, result in results:
                    # The extension is the first that was loaded; others may be, from inside it.
                    # What does not survive being loaded alone has the benefit of the doubt.
                    own = result.loaded[0] if result.loaded else None
                    self._turns_it_on[key] = bool(own and own.on_after and not own.inside)
                del unknown[: len(results)]
            return [name for name, path in extensions if self._turns_it_on[name, path]]

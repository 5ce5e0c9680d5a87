"""From what children show to what is true of each module, and which modules are to blame.

The GIL, once on, stays on for the life of a process. So one child imports module after module, and
as long as the GIL is off at the end of a step, everything imported so far keeps it off. A step that
ends otherwise is judged by a child that imports nothing else, and another child goes on with the
rest. So each failure takes two more children, and a module that passes takes none. Children are
separate tasks, which can run at the same time.
"""

import threading
from collections.abc import Sequence
from typing import NamedTuple

from ftdemo.check.child import AnyStep, StepResult, import_in_child


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
    """Judges modules of one target, with one child for each task.

    path, timeout and stop are those of import_in_child().
    Thread safety: safe on shared objects.
    """

    def __init__(
        self,
        modules: Sequence[Module],
        *,
        path: Sequence[str],
        timeout: float,
        stop: threading.Event,
    ) -> None:
        self._paths = {module.name: module.path for module in modules}
        self._path = path
        self._timeout = timeout
        self._stop = stop
        self._turns_it_on: dict[tuple[str, str], bool] = {}
        # Guards _turns_it_on; held while a child runs, lest two find out the same.
        self._lock = threading.RLock()

    def _ask(self, steps: Sequence[AnyStep]) -> list[tuple[AnyStep, StepResult]]:
        return import_in_child(steps, path=self._path, timeout=self._timeout, stop=self._stop)

    def judge(self, task: Task) -> tuple[list[Outcome], list[Task]]:
        """Do a task: what that decides, and the tasks that are left to do."""
        steps = _steps([task.alone] if task.alone else task.names)
        pending = list(task.names)
        outcomes: list[Outcome] = []
        later: list[Task] = []
        for number, (step, result) in enumerate(self._ask(steps)):
            good = result.gil_on is False and result.raised is None
            decided = [n for n in pending if (n == step if good else _is_within(n, step))]
            pending = [name for name in pending if name not in decided]
            # It came after nothing but the packages above it, so this child was its own.
            alone = all(_is_within(step, earlier) for earlier in steps[:number])
            if good or alone:
                outcomes += self._outcomes(decided, step, result)
            elif decided:
                later.append(Task(decided, step))
        if task.alone:  # it was good, alone: so ask about each
            later += [Task([name], name) for name in pending]
        elif pending:
            later.append(Task(pending))
        return outcomes, later

    def _outcomes(self, names: Sequence[str], step: str, result: StepResult) -> list[Outcome]:
        culprits = self._culprits(result) if result.gil_on else []
        outcomes = []
        for name in names:
            path = self._paths[name]
            # Not loaded, since the package above it had turned the GIL on before.
            unseen = culprits and name not in culprits and path is not None and name != step
            also = self._blame([(name, path)]) if unseen and path else []
            outcomes.append(Outcome(name, step, result, [*culprits, *also]))
        return outcomes

    def _culprits(self, result: StepResult) -> list[str]:
        """Name the extensions that were loaded in this step and have the GIL turned on.

        The one that was being loaded when it came on is seen in the act. Those loaded afterwards
        are each loaded once more, alone, in a child whose GIL is off.
        """
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
            self._blame(unseen)
            names = [e.name for e in result.loaded if self._turns_it_on[e.name, e.path]]
        return list(dict.fromkeys(names))

    def _blame(self, extensions: Sequence[tuple[str, str]]) -> list[str]:
        """Name those of extensions, pairs of name and path, that have the GIL turned on."""
        with self._lock:
            unknown = [key for key in dict.fromkeys(extensions) if key not in self._turns_it_on]
            while unknown:
                results = self._ask(unknown)
                for key, result in results:
                    # The extension is the first that was loaded; others may be, from inside it.
                    # What does not survive being loaded alone has the benefit of the doubt.
                    own = result.loaded[0] if result.loaded else None
                    self._turns_it_on[key] = bool(own and own.on_after and not own.inside)
                del unknown[: len(results)]
            return [name for name, path in extensions if self._turns_it_on[name, path]]


def _steps(names: Sequence[str]) -> list[str]:
    """The names with the packages above each before it, every one once."""
    steps: dict[str, None] = {}
    for name in names:
        parts = name.split(".")
        steps.update((".".join(parts[: n + 1]), None) for n in range(len(parts)))
    return list(steps)


def _is_within(name: str, package: str) -> bool:
    return name == package or name.startswith(package + ".")

"""Derive from the results of children the verdict on each module, and which modules cause it.

Once the GIL is on, it stays on until the process ends. So one child can import module after module:
if the GIL is off after a step, no module imported so far enables it. A step that enables the GIL,
raises or ends the child is repeated in a child that imports nothing else, while another child
continues with the remaining modules. So each failure takes two more children, and a module that
passes takes none. Each child is a separate task; tasks can run in parallel.
"""

import threading
from collections.abc import Sequence
from typing import NamedTuple

from ftdemo.check.children import AnyStep, StepResult, import_in_child


class Module(NamedTuple):
    """An extension module to check: its full name, and its file if that is known."""

    name: str
    path: str | None


class Outcome(NamedTuple):
    """The result of importing a module in a fresh process."""

    name: str
    step: str  # the import that decided: the module, or a package that contains it
    result: StepResult
    culprits: Sequence[str]


class Task(NamedTuple):
    """Modules that have no verdict yet. If alone is set, import only that step in a new child."""

    names: Sequence[str]
    alone: str | None = None


class Judge:
    """Decides the verdicts on the modules of one target, with one child per task.

    path, timeout and stop are passed to import_in_child().
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
        # Guards _turns_it_on. Held while a child runs, so that no two children do the same work.
        self._lock = threading.RLock()

    def _ask(self, steps: Sequence[AnyStep]) -> list[tuple[AnyStep, StepResult]]:
        return import_in_child(steps, path=self._path, timeout=self._timeout, stop=self._stop)

    def judge(self, task: Task) -> tuple[list[Outcome], list[Task]]:
        """Run a task; return the outcomes it decides and the tasks that remain."""
        steps = _steps([task.alone] if task.alone else task.names)
        pending = list(task.names)
        outcomes: list[Outcome] = []
        later: list[Task] = []
        for number, (step, result) in enumerate(self._ask(steps)):
            good = result.gil_on is False and result.raised is None
            decided = [n for n in pending if (n == step if good else _is_within(n, step))]
            pending = [name for name in pending if name not in decided]
            # If nothing but its parent packages was imported before it, this step had the child to
            # itself.
            alone = all(_is_within(step, earlier) for earlier in steps[:number])
            if good or alone:
                outcomes += self._outcomes(decided, step, result)
            elif decided:
                later.append(Task(decided, step))
        if task.alone:  # the step passed in its own child: decide each module separately
            later += [Task([name], name) for name in pending]
        elif pending:
            later.append(Task(pending))
        return outcomes, later

    def _outcomes(self, names: Sequence[str], step: str, result: StepResult) -> list[Outcome]:
        culprits = self._culprits(result) if result.gil_on else []
        outcomes = []
        for name in names:
            path = self._paths[name]
            # It was not loaded, because a package that contains it enabled the GIL first.
            unseen = culprits and name not in culprits and path is not None and name != step
            also = self._blame([(name, path)]) if unseen and path else []
            outcomes.append(Outcome(name, step, result, [*culprits, *also]))
        return outcomes

    def _culprits(self, result: StepResult) -> list[str]:
        """Return the extensions that were loaded in this step and enable the GIL.

        The extension that was being loaded when the GIL came on is one. Each extension that was
        loaded later is loaded again, by itself, in a child whose GIL is off.
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
        """Return the names of those extensions, given as (name, path), that enable the GIL."""
        with self._lock:
            unknown = [key for key in dict.fromkeys(extensions) if key not in self._turns_it_on]
            while unknown:
                results = self._ask(unknown)
                for key, result in results:
                    # The extension is the first entry; others were loaded from inside it. An
                    # extension that crashes when it is loaded by itself does not count.
                    own = result.loaded[0] if result.loaded else None
                    self._turns_it_on[key] = bool(own and own.on_after and not own.inside)
                del unknown[: len(results)]
            return [name for name, path in extensions if self._turns_it_on[name, path]]


def _steps(names: Sequence[str]) -> list[str]:
    """Return the names, each once and preceded by the packages that contain it."""
    steps: dict[str, None] = {}
    for name in names:
        parts = name.split(".")
        steps.update((".".join(parts[: n + 1]), None) for n in range(len(parts)))
    return list(steps)


def _is_within(name: str, package: str) -> bool:
    return name == package or name.startswith(package + ".")

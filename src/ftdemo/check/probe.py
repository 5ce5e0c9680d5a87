"""The program that imports what is checked. It runs in an interpreter of its own.

Standard library only, and as little of it as will do: what this file imports, every checked module
finds imported already, so that one which forgot an import of its own would pass here and fail its
users. Hence neither json nor signal, which import re, enum and more; and nothing of ftdemo, which
would import an extension module. child.py starts it and writes a request to its stdin, as marshal
has it.

It reports in a file that it opens by name for every line, so that a module may print what it
likes, close every descriptor or replace everything in sys, and still be judged by what it did.
"""

import marshal
import os
import sys
import time

TYPE_CHECKING = False  # typing is one more import
if TYPE_CHECKING:
    from importlib.machinery import ModuleSpec
    from typing import Any

# Taken before anything of a target is imported: a module may replace them.
is_gil_enabled = getattr(sys, "_is_gil_enabled", lambda: True)
_open, _write, _close, _getpid, _exit = os.open, os.write, os.close, os.getpid, os._exit
_clock, _sleep, _strip, _dumps = time.perf_counter, time.sleep, str.strip, marshal.dumps
_APPEND = os.O_WRONLY | os.O_APPEND | os.O_CREAT


def run(request: "dict[str, Any]") -> None:
    """Import what request["steps"] names, one by one, and write down what came of each.

    A step is the name of a module or, to load an extension without what is around it, its
    name and path. Ends when the GIL is on. What is below a package that raised is passed over.
    """
    import _imp  # of the interpreter; no module of a target is called so
    import gc
    import importlib
    from importlib import machinery

    exec(request["end_with_parent"])  # the code of processes.end_with_parent()
    gc.disable()  # takes its time, in a process that is soon gone
    sys.path[:] = request["path"]
    me = _getpid()
    import_module = importlib.import_module
    create_dynamic = _imp.create_dynamic
    loaded: list[list[object]] = []
    depth_on = [False]

    def watched(spec: "ModuleSpec", file: object = None) -> object:
        """Load an extension, and note whether it was this that turned the GIL on.

        What it loads from inside itself is told apart: [name, path, before, after, inside].
        """
        before, outer = is_gil_enabled(), depth_on[0]
        depth_on[0] = False
        entry = [f"{spec.name}", f"{spec.origin}", before, before, False]
        loaded.append(entry)
        try:
            return create_dynamic(spec, file) if file is not None else create_dynamic(spec)
        finally:
            after = is_gil_enabled()
            entry[3], entry[4] = after, depth_on[0]
            depth_on[0] = outer or (after and not before)

    _imp.create_dynamic = watched  # type: ignore[assignment]

    def say(*what: "Any") -> None:
        # A line of its own, whatever the target may have left there.
        line = f"\n{request['token']} {_dumps(what).hex()}\n".encode()
        descriptor = _open(request["report"], _APPEND, 0o600)
        _write(descriptor, line)
        _close(descriptor)

    forks: list[None] = []
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_parent=lambda: forks.append(None))
    broken: list[str] = []
    for index, step in enumerate(request["steps"]):
        if isinstance(step, str) and any(step.startswith(package) for package in broken):
            continue
        say("begin", index)
        del loaded[:]
        start, raised = _clock(), None
        try:
            if isinstance(step, str):
                import_module(step)
            else:
                name, path = step
                loader = machinery.ExtensionFileLoader(name, path)
                watched(machinery.ModuleSpec(name, loader, origin=path))
        except BaseException as error:
            raised = _describe(error)
        if _getpid() != me:  # a copy of this process came back from a fork inside the import
            say("forked", index)
            _exit(0)
        on = is_gil_enabled()
        say("end", index, on, round(_clock() - start, 6), raised, loaded if on else [])
        if on:
            break
        if raised and isinstance(step, str):
            broken.append(step + ".")
    if forks:
        _sleep(0.3)  # for a copy to say that it came back, before it is killed with this process
    _exit(0)


def _describe(error: BaseException) -> list[str | None]:
    """[type, message, name of the module that was not found], whatever the error's code does."""
    try:
        message = _strip(str(error))[:500]
    except BaseException:
        message = "(its message could not be read)"
    missing = error.name if isinstance(error, ModuleNotFoundError) else None
    return [type(error).__name__, message, None if missing is None else f"{missing}"]


if __name__ == "__main__":
    run(marshal.load(sys.stdin.buffer))

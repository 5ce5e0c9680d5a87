"""The program that imports the modules of a target, in its own interpreter.

It imports as few modules as possible, from the standard library only. A module that this file
imports is already in sys.modules when a target is imported, so a target that forgot to import it
would pass here and fail for its users. For this reason it uses neither json nor signal, which
import re, enum and more. It imports nothing from ftdemo, which would load an extension module.
children.py starts it and writes a request to its stdin, in marshal's format.

It writes each line of its report to a file that it opens by name. So a target may print anything,
close all file descriptors or replace anything in sys, and does not change its verdict.
"""

import marshal
import os
import sys
import time

TYPE_CHECKING = False  # instead of typing, which would be one more import
if TYPE_CHECKING:
    from importlib.machinery import ModuleSpec
    from typing import Any

# Looked up before any target is imported, because a target may replace them.
is_gil_enabled = getattr(sys, "_is_gil_enabled", lambda: True)
_open, _write, _close, _getpid, _exit = os.open, os.write, os.close, os.getpid, os._exit
_clock, _sleep, _strip, _dumps = time.perf_counter, time.sleep, str.strip, marshal.dumps
_APPEND = os.O_WRONLY | os.O_APPEND | os.O_CREAT


def run(request: "dict[str, Any]") -> None:
    """Import the steps in request["steps"] one by one, and report the result of each.

    A step is the name of a module or, to load an extension without its package, its name and path.
    Stops when the GIL is on. Skips modules below a package whose import raised.
    """
    import _imp  # built into the interpreter: no target has a module of this name
    import gc
    import importlib
    from importlib import machinery

    exec(request["end_with_parent"])  # the code of processes.end_with_parent()
    gc.disable()  # collections would waste time in this short-lived process
    sys.path[:] = request["path"]
    me = _getpid()
    import_module = importlib.import_module
    create_dynamic = _imp.create_dynamic
    loaded: list[list[object]] = []
    depth_on = [False]

    def watched(spec: "ModuleSpec", file: object = None) -> object:
        """Load an extension, and record whether this enabled the GIL.

        Records [name, path, before, after, inside]; inside is true if an extension that was loaded
        from inside this one enabled the GIL.
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
        # The leading newline ends any line that the target may have left unfinished.
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
        if _getpid() != me:  # the import forked, and this is the child of the fork
            say("forked", index)
            _exit(0)
        on = is_gil_enabled()
        say("end", index, on, round(_clock() - start, 6), raised, loaded if on else [])
        if on:
            break
        if raised and isinstance(step, str):
            broken.append(step + ".")
    if forks:
        _sleep(0.3)  # lets a fork report that it returned, before it is killed with this process
    _exit(0)


def _describe(error: BaseException) -> list[str | None]:
    """Return [type, message, missing module], even if the exception's own code misbehaves."""
    try:
        message = _strip(str(error))[:500]
    except BaseException:
        message = "(its message could not be read)"
    missing = error.name if isinstance(error, ModuleNotFoundError) else None
    return [type(error).__name__, message, None if missing is None else f"{missing}"]


if __name__ == "__main__":
    run(marshal.load(sys.stdin.buffer))

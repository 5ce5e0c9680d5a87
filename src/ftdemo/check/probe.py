"""The program that imports what is checked. It runs in an interpreter of its own.

Standard library only, and as little of it as will do: what this file imports, every checked module
finds imported already: neither json nor signal, which import re, enum and more. children.py starts
it as `python -c BOOT serve` or `... child`, and writes requests to its stdin, as marshal has them:

- `serve` forks: a bare, single-threaded parent that never imports anything of a target, and for
  each request a child that does. The parent outlives whatever the child does.
- `child` is such a child as a process of its own, for systems where one cannot fork.

A child reports in a file that it opens by name for every line, so that a module may print what it
likes, close every descriptor or replace everything in sys, and still be judged by what it did.
"""

from __future__ import annotations

import marshal
import os
import sys
import time
from codecs import utf_16_be_encode

TYPE_CHECKING = False  # typing is one more import
if TYPE_CHECKING:
    import signal
    from importlib.machinery import ModuleSpec
    from typing import Any
else:
    import _signal as signal

# Taken before anything of a target is imported: a module may replace them.
is_gil_enabled = getattr(sys, "_is_gil_enabled", lambda: True)
_open, _write, _close, _getpid, _exit = os.open, os.write, os.close, os.getpid, os._exit
_clock, _sleep, _utf_16, _strip = time.perf_counter, time.sleep, utf_16_be_encode, str.strip
_APPEND = os.O_WRONLY | os.O_APPEND | os.O_CREAT


def run_child(request: dict[str, Any], report: str) -> None:
    """Import what request["steps"] names, one by one, and write down what came of each.

    A step is the name of a module or, to load an extension without what is around it, a list of
    its name and path. Ends when the GIL is on. What is below a package that raised is passed over.
    """
    import _imp  # of the interpreter; no module of a target is called so
    import gc
    import importlib
    from importlib import machinery

    gc.disable()  # takes its time, in a process that is soon gone
    sys.path[:] = request["path"]
    me = _getpid()
    import_module = importlib.import_module
    create_dynamic = _imp.create_dynamic
    loaded: list[list[object]] = []
    depth_on = [False]

    def watched(spec: ModuleSpec, file: object = None) -> object:
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

    def say(*what: object) -> None:
        # A line of its own, whatever the target may have left there.
        line = f"\n{request['token']} {_to_json([*what])}\n".encode()
        descriptor = _open(report, _APPEND, 0o600)
        _write(descriptor, line)
        _close(descriptor)

    forks: list[None] = []
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_parent=lambda: forks.append(None))
    broken: list[str] = []
    for index, step in enumerate(request["steps"]):
        if isinstance(step, str) and any(step.startswith(package) for package in broken):
            continue
        say("begin", index, me)
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


def _to_json(value: object) -> str:
    """Do what json.dumps does with what is said here, each character of a string escaped."""
    if isinstance(value, list):
        return f"[{','.join([_to_json(item) for item in value])}]"
    if isinstance(value, str):
        digits = _utf_16(value, "surrogatepass")[0].hex()
        return '"' + "".join(["\\u" + digits[n : n + 4] for n in range(0, len(digits), 4)]) + '"'
    if value is None:
        return "null"
    return f"{value}".lower()  # a boolean or a number


def isolate() -> None:
    """Make this process a group of its own, with nothing to read and nowhere to print."""
    os.setsid()
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(null, descriptor)
    os.closerange(3, 256)


def kill_group(leader: int) -> None:
    try:
        os.killpg(leader, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        pass


def serve() -> None:
    """For each request, fork a child, watch it, and answer with how it ended, in a line.

    The answer is the exit status (as subprocess counts it), or None for a child that made no
    progress for request["timeout"] seconds and was killed with its group. When stdin ends, as it
    does when whoever asks dies, the child is killed too.
    """
    import select  # Windows has it for sockets only

    requests = sys.stdin.buffer
    answers = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    while True:
        try:
            request = marshal.load(requests)
        except EOFError:
            _exit(0)
        child = os.fork()
        if child == 0:
            isolate()
            signal.alarm(int(request["alarm"]))  # should everyone else be gone
            run_child(request, request["report"])
        try:
            ended, delay = [os.pidfd_open(child)], min(request["timeout"] / 20, 0.1)
        except OSError:  # an old kernel, or a sandbox
            ended, delay = [], 0.002
        seen = -1
        status: int | None = None
        deadline = time.monotonic() + request["timeout"]
        while True:
            ready = select.select([requests, *ended], [], [], delay)[0]
            pid, raw = os.waitpid(child, os.WNOHANG)
            if pid:
                status = os.waitstatus_to_exitcode(raw)
                break
            try:
                size = os.stat(request["report"]).st_size
            except FileNotFoundError:
                size = -1
            if size != seen:
                seen, deadline = size, time.monotonic() + request["timeout"]
            if time.monotonic() > deadline or requests in ready:
                kill_group(child)
                os.waitpid(child, 0)
                break
        for descriptor in ended:
            os.close(descriptor)
        kill_group(child)  # what it left behind
        answers.write(f"{status}\n".encode())


def main() -> None:
    if sys.argv[1:2] == ["serve"]:
        serve()
    else:
        request = marshal.load(sys.stdin.buffer)
        run_child(request, request["report"])


if __name__ == "__main__":
    main()

"""Check each row of the tables in __init__.py, using only threading.

    python3.14t tests/tool/racing_package/by_hand.py FOLDER [--seconds N] [NAME ...]

Build the package in FOLDER first, if it is not there. A type in UNSAFE must fail in one of its
ways. A type in SAFE must not fail, and each of its operations in aside must do in one thread what
the table says. Exit with 1 if one of these is not true.
"""

import argparse
import ast
import importlib
import importlib.util
import json
import os
import random
import subprocess
import sys
import threading
import time
from contextlib import nullcontext
from functools import partial
from pathlib import Path


def load_table():
    """Import __init__.py, beside this file, under another name than the package that it builds."""
    spec = importlib.util.spec_from_file_location(
        "racing_tables", Path(__file__).with_name("__init__.py")
    )
    tables = importlib.util.module_from_spec(spec)
    sys.modules["racing_tables"] = tables
    spec.loader.exec_module(tables)
    return tables


TABLES = load_table()


class Shared:
    """An object that all threads may use; its references are counted."""


def function(code, namespace):
    """Return a function of o and x that runs code, and if that is an expression, returns it."""
    try:
        ast.parse(code, mode="eval")
    except SyntaxError:
        pass
    else:
        code = f"return {code}"
    scope = {}
    exec(f"def call(o, x):\n    {code}", namespace, scope)
    return scope["call"]


def result_of(call, o, x):
    try:
        return call(o, x)
    except Exception as error:
        return error.with_traceback(None)


def in_threads(functions):
    results = [None] * len(functions)

    def run(n):
        results[n] = functions[n]()

    threads = [threading.Thread(target=run, args=(n,)) for n in range(len(functions))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def memory():
    """Return the resident memory of the process in kilobytes, or 0 if there is no /proc."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * 4
    except OSError:
        return 0


def once_on_each(call, objects, threads):
    """Make one call on each object, at the same time as the other threads; return the results."""
    results = []
    for o, x, arrived in objects:
        phase = random.randrange(20)
        arrived.append(None)
        spins = 0
        while len(arrived) < threads:
            spins += 1
            if spins > 300 or threads > 2:  # the late thread may need this core
                time.sleep(0)
        for _ in range(phase):
            pass
        results.append(result_of(call, o, x))
    return results


def meet(row, namespace, seconds, seen):
    """Let the threads call at the same time, once on each object."""
    calls = [function(code, namespace) for code in row.calls]
    make = function(row.make, namespace)
    right = eval(f"lambda o, x, r: {row.right or True}", namespace)
    before = memory()
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        shared = [Shared() for _ in range(100)]
        references = [sys.getrefcount(x) for x in shared]
        objects = [(make(None, None), x, []) for x in shared]
        results = in_threads([partial(once_on_each, call, objects, len(calls)) for call in calls])
        for (o, x, _), *r in zip(objects, *results, strict=True):
            seen["meetings"] += 1
            seen["broken"] += any(isinstance(one, SystemError) for one in r)
            seen["not-atomic"] += not right(o, x, r)
        del o, x, r, objects, results
        seen["broken"] += [sys.getrefcount(x) for x in shared] != references
    seen["bytes a meeting"] = (memory() - before) * 1024 // max(seen["meetings"], 1)


def again_and_again(call, o, x, end, turns):
    """Repeat a call; return the number of calls, and of those that raised SystemError."""
    calls = broken = 0
    while calls < 2000 and time.monotonic() < end:
        with turns:
            result = result_of(call, o, x)
        calls += 1
        broken += isinstance(result, SystemError)
    return calls, broken


def burst(row, namespace, seconds, seen, *, in_turn=False):
    """Let the threads repeat their calls on one object, at the same time, or in turns."""
    calls = [function(code, namespace) for code in row.calls]
    make = function(row.make, namespace)
    turns = threading.Lock() if in_turn else nullcontext()
    before = memory()
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        o, x = make(None, None), Shared()
        references = sys.getrefcount(x)
        for n, broken in in_threads(
            [partial(again_and_again, call, o, x, end, turns) for call in calls]
        ):
            seen["calls"] += n
            seen["broken"] += broken
        del o
        seen["broken"] += sys.getrefcount(x) != references
    seen["bytes a call"] = (memory() - before) * 1024 // max(seen["calls"], 1)


def namespace_of(module):
    return vars(importlib.import_module(f"racing.{module}")) | {"Shared": Shared}


def child(module, name, seconds, how):
    rows = {"unsafe": TABLES.UNSAFE, "safe": TABLES.SAFE}[module]
    row = rows[name]
    # The calls may close or fill the standard streams.
    report = os.fdopen(os.dup2(1, 100), "w")
    namespace = namespace_of(module)
    seen = {"meetings": 0, "calls": 0, "not-atomic": 0, "broken": 0}
    if how == "meet":
        meet(row, namespace, seconds, seen)
    else:
        burst(row, namespace, seconds, seen, in_turn=how == "turns")
    print("\n" + json.dumps(seen), file=report, flush=True)
    os._exit(0)


ALONE = """
import sys, threading
sys.path.insert(0, sys.argv[1])
from racing.safe import *
o = {make}
def run():
    {code}
    print("returned", flush=True)
"""
IN_ANOTHER_THREAD = """
run()
thread = threading.Thread(target=run)
thread.start()
thread.join()
"""


def alone(folder, row, code):
    """Run code in one thread; return one of the table's reasons, or the output."""
    program = ALONE.format(make=row.make, code=code)
    program += {
        TABLES.CRASHES_IN_TURN: IN_ANOTHER_THREAD,
        TABLES.SPAWNS: "run(); import os; print(os.wait()[1])",
        TABLES.LEAKS: "for _ in range(100_000): run()\nprint(*open('/proc/self/statm'), end='')",
    }.get(row.aside[code], "run()")
    command = [sys.executable, "-X", "gil=0", "-c", program, str(folder)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=3, check=False)
    except subprocess.TimeoutExpired:
        return TABLES.WAITS
    lines = done.stdout.splitlines()
    error = "".join(done.stderr.splitlines()[-1:])
    what = {
        TABLES.BROKEN: error.startswith("SystemError"),
        TABLES.UNMADE: error.startswith(("NotImplementedError", "TypeError")),
        TABLES.ENDS: error == "KeyboardInterrupt" or (done.returncode >= 0 and not lines),
        TABLES.CRASHES: done.returncode < 0 and not lines,
        TABLES.CRASHES_IN_TURN: done.returncode < 0 and lines,
        TABLES.LEAKS: len(lines) == 100_001 and int(lines[-1].split()[1]) * 4 > 100_000,
        TABLES.SPAWNS: lines[-1:] == ["0"],
        TABLES.FORKS: done.stdout.count("returned") == 2,
    }
    return next((reason for reason, so in what.items() if so), done.stdout + done.stderr)


def try_row(folder, module, name, seconds, how):
    """Run a row in a child; return the kinds of failures that were seen, and the figures."""
    command = [sys.executable, "-X", "gil=0", __file__, str(folder)]
    command += [f"--child={module}.{how}", f"--seconds={seconds}", name]
    env = os.environ | ({"PYTHONMALLOC": "debug"} if how == "debug" else {})
    try:
        done = subprocess.run(
            command, capture_output=True, timeout=seconds + 10, env=env, check=False
        )
    except subprocess.TimeoutExpired:
        return {"hang"}, {}
    if done.returncode < 0:
        return {"crash"}, {"signal": -done.returncode}
    if done.returncode > 0 and b"SystemError" in done.stderr:  # in a thread that the child started
        return {"broken"}, {}
    if done.returncode > 0:
        return {done.stderr.decode(errors="replace")}, {}
    seen = json.loads(done.stdout.decode().rstrip().rpartition("\n")[2])
    kinds = {kind for kind in ("not-atomic", "broken") if seen[kind]}
    if how == "meet" and seen["bytes a meeting"] > 100:
        kinds.add("broken")
    if how == "burst" and (leaked := seen["bytes a call"]) >= 4:
        _, control = try_row(folder, module, name, seconds, "turns")
        seen["in turn"] = control.get("bytes a call", leaked)
        kinds |= {"broken"} if leaked > 4 * seen["in turn"] else set()
    return kinds, seen


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--seconds", type=float, default=2)
    parser.add_argument("--child", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    folder = arguments.folder.resolve()
    sys.path.insert(0, str(folder))
    if arguments.child:
        module, how = arguments.child.split(".")
        child(module, arguments.names[0], arguments.seconds, how)
    if not (folder / "racing").exists():
        TABLES.build(folder)
    failed = []
    for module, rows in (("unsafe", TABLES.UNSAFE), ("safe", TABLES.SAFE)):
        for name, row in rows.items():
            if arguments.names and name not in arguments.names:
                continue
            found, figures = set(), []
            hows = ["meet"] * bool(row.calls)
            if row.calls and (module == "unsafe" or not set(row.aside) & set(row.calls)):
                hows += ["burst", "debug"]  # not for a call that waits for another thread
            # On a busy machine, both threads may stay on one core, so their calls never overlap.
            for how in hows * (5 if module == "unsafe" and row.kinds != {"data-race"} else 1):
                if found and len(figures) >= len(hows):
                    break
                kinds, seen = try_row(folder, module, name, arguments.seconds, how)
                found |= kinds
                figures.append(f"{how}: {sorted(kinds)} {seen}")
            if module == "unsafe":
                good = found <= row.kinds and bool(found or row.kinds == {"data-race"})
            else:
                aside = {code: alone(folder, row, code) for code in row.aside}
                figures.append(str(aside) if aside else "")
                good = not found and aside == row.aside
            failed += [] if good else [name]
            print(f"{'ok ' if good else 'BAD'} {module}.{name}: {' | '.join(figures)}", flush=True)
    print("the tables are wrong about:", *failed) if failed else print("the tables are right")
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())

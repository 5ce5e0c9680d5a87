"""Reproduce each finding of `ftdemo stress --json` with nothing but threading.

    python3.14t tests/real/by_hand.py RESULT.json... [--seconds N] [--write FOLDER]

For each finding, write a plain program and run it; --write keeps the programs. A program for an
outcome first lets threads take turns in every order, then lets them meet on new objects, and counts
the outcomes that no order gave. A program for a crash or a hang makes the calls first in one
thread, then in several. Exit with 1 if a finding is not reproduced.
"""

import argparse
import ast
import builtins
import importlib
import json
import os
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

ATTEMPTS = 10

BEGIN = '''\
"""{title}"""

import _operator, os, sys, threading
from random import choice, choices, randrange
from re import sub
from time import monotonic, sleep
import {top}
import {module} as target

seconds = {seconds}

# Not in a function, whose constants Python keeps for ever.
object_code = compile({object!r}, "<object>", "eval")

def make():
    return eval(object_code)

{functions}
calls = [{names}]
threads = {threads}

def arrive(here, n):
    """Wait for the other threads, then for a random time."""
    wait = randrange(12)
    here.append(None)
    spins = 0
    while len(here) < n:
        spins += 1
        if spins > 1000:
            sleep(0)
    for _ in range(wait):
        pass

def pinned(i, function):
    """Pin each thread to its own core: a busy system runs all on one, where they never meet."""
    if hasattr(os, "sched_setaffinity"):
        cores = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, {{cores[i % len(cores)]}})
    function()

def together(functions):
    all_threads = [
        threading.Thread(target=pinned, args=each, daemon=True) for each in enumerate(functions)
    ]
    for thread in all_threads:
        thread.start()
    for thread in all_threads:
        thread.join()

'''

OUTCOMES = '''\
# Random waits vary the moments at which calls meet.
def shown(value, n):
    """Return the type of a value and its text."""
    kind = type(value).__name__
    if isinstance(value, BaseException):
        return kind, ""
    try:
        text = repr(read(value, 3))
    except BaseException as error:
        text = type(error).__name__
    return kind, sub("0x[0-9a-f]{5,}", "0x", text).replace(str(n), "n")

def read(value, depth):
    """Read iterators, also those in tuples and lists."""
    if depth and hasattr(value, "__next__") and not hasattr(value, "read"):
        return [read(item, depth - 1) for item, _ in zip(value, range(32))]
    if depth and type(value) in (tuple, list):
        return [read(item, depth - 1) for item in value]
    return bytes(value) if isinstance(value, memoryview) else value

def items_of(shared):
    """Return the items of a sequence."""
    if hasattr(shared, "keys") or not hasattr(shared, "__getitem__"):
        return []
    try:
        return [item for item, _ in zip(shared, range(32))]
    except Exception:
        return []

def outcome(x, y, n, results):
    values = [shown(value, n) for value in results]
    plain = (int, str, bytes, float, bool, type(None))
    same = [a is b for a in results for b in results if type(a) not in plain]
    items = [item for each in (x, y) for item in items_of(each) if type(item) not in plain]
    same += [a is b for a in items for b in items]
    same += [value is x for value in results] + [value is y for value in results]
    state = []
    for look in looks:
        try:
            state.append(shown(look(x, y, n), n))
        except BaseException as error:
            state.append((type(error).__name__, ""))
    if coarse:  # of values that differ each time, compare the types, and which results are equal
        values = [(kind, values.index((kind, text))) for kind, text in values]
        state = [kind for kind, _ in state]
    return tuple(values), tuple(same), tuple(state)

def orders(steps):
    """Return all orders of the calls of all threads, as a list of threads for each order."""
    if not any(steps):
        return [()]
    return [
        (i, *rest)
        for i, left in enumerate(steps)
        if left
        for rest in orders([s - (j == i) for j, s in enumerate(steps)])
    ]

def in_turn(known):
    """Let the threads take turns in every order; return the outcomes that are not yet known."""
    new = set()
    for order in orders([len(each) for each in calls])[:60]:
        shared = [(make(), make(), number()) for _ in range(60)]
        results = [[] for _ in calls]
        done = [0]

        def run(i):
            turns = [turn for turn, thread in enumerate(order) if thread == i]
            for k, (x, y, n) in enumerate(shared):
                results[i].append([])
                for call, turn in zip(calls[i], turns):
                    while done[0] < k * len(order) + turn:
                        sleep(0)
                    results[i][-1].append(attempt(call, x, y, n))
                    done[0] += 1

        together([lambda i=i: run(i) for i in range(len(calls))])
        for k, (x, y, n) in enumerate(shared):
            new.add(outcome(x, y, n, [r for each in results for r in each[k]]))
    return new - known

def attempt(call, x, y, n):
    try:
        return call(x, y, n)
    except BaseException as error:
        return error.with_traceback(None)

last = [10**15]
def number():
    last[0] += 1
    return last[0]

coarse = False
known = in_turn(set())
if len(in_turn(known)) > 1:  # values that differ each time
    coarse = True
    known = in_turn(set())
    known |= in_turn(known)
print("fine in turn", flush=True)

seen, meetings, example = 0, 0, None
end = monotonic() + seconds
while monotonic() < end and (seen < 3 or meetings < 500):
    shared = [(make(), make(), number(), []) for _ in range(100)]
    results = [[] for _ in calls]

    def run(i):
        for x, y, n, here in shared:
            arrive(here, len(calls))
            results[i].append([attempt(call, x, y, n) for call in calls[i]])

    together([lambda i=i: run(i) for i in range(len(calls))])
    for index, (x, y, n, _) in enumerate(shared):
        meetings += 1
        came = outcome(x, y, n, [r for each in results for r in each[index]])
        if came not in known:
            seen += 1
            example = came
if seen:  # an outcome that is rare in one thread, too, is no race
    again = set()
    for _ in range(20):
        again |= in_turn(known)
    if example in again:
        seen = 0
print("seen", seen, "of", meetings, example, flush=True)
os._exit(0)  # a crash at the end of the process is no race
'''

CRASHES = '''\
import faulthandler
faulthandler.enable()

# Objects shared by all test objects: each must release as many references to them as it takes.
constants = object_code.co_consts
references = [sys.getrefcount(each) for each in constants]

def script(i, count):
    """Return the calls of a thread: first its own, then random ones."""
    each = [calls[i % len(calls)], *choices(calls, k=count - 1)]
    return [call for steps in each for call in steps]

def burst(script, x, y, n, turns, reads):
    for call in script:
        if turns:
            turns.acquire()
        try:
            kept = call(x, y, n)
            if reads and hasattr(kept, "__next__") and not hasattr(kept, "read"):
                kept = [item for item, _ in zip(kept, range(32))]
        except SystemError as error:
            print("SystemError", error, flush=True)
            os._exit(99)
        except Exception:
            pass
        if turns:
            turns.release()

def loose(turns, seconds):
    end = monotonic() + seconds
    objects = 0
    while monotonic() < end:
        shared, made = [], threading.Event()
        count = choice([1, 3, 50])  # the first calls empty some objects
        size = 60 // count + 20
        reads = choice([True, False])  # that takes time, in which another thread may be faster
        def prepare():
            shared.extend((make(), make(), objects * 100 + 10**6 + i, []) for i in range(size))
            made.set()
        # CPython frees an object in the thread that made it: at once, if this one makes calls too.
        if choice([True, False]):
            prepare()
        def run(i):
            if i == 0 and not shared:
                prepare()
            made.wait()
            for x, y, n, here in shared:
                mine = script(i, count)
                arrive(here, threads)
                burst(mine, x, y, n, turns, reads)
        together([lambda i=i: run(i) for i in range(threads)])
        objects += size
        del shared
        if any(sys.getrefcount(each) < count for each, count in zip(constants, references)):
            print("a reference was lost", flush=True)
            os._exit(99)
    return objects

# First one thread makes all calls, then threads take turns, then they run at the same time.
for x, y in [(make(), make()) for _ in range(50)]:
    for i in range(threads):
        burst(script(i, 50), x, y, 10**6, None, True)
loose(threading.Lock(), 1)
print("fine in turn", flush=True)
print("seen 0 of", loose(None, seconds), flush=True)
os._exit(0)  # a crash at the end of the process is no race
'''


def qualified(tree: ast.AST, module: object) -> str:
    """Return the source of a tree, in which names of the module become attributes of `target`.

    A module may have functions that are called like the built-in ones, such as numpy.any().
    """

    class Names(ast.NodeTransformer):
        def visit_Name(self, node: ast.Name) -> ast.AST:
            if node.id in {"x", "y", "n"} or not hasattr(module, node.id):
                return node
            return ast.Attribute(ast.Name("target"), node.id)

    return ast.unparse(Names().visit(tree))


def plain(label: str, module: object, example: object) -> list[str]:
    """Return the bodies of Python functions of x, y and n for the steps of an operation."""

    class Methods(ast.NodeTransformer):
        def visit_Call(self, node: ast.Call) -> ast.AST:
            self.generic_visit(node)
            match node.func:
                case ast.Name(name) if name not in {"x", "y"} and hasattr(example, name):
                    known = hasattr(module, name) or hasattr(builtins, name)
                    about_x = any(isinstance(a, ast.Name) and a.id == "x" for a in node.args)
                    if not (known and about_x):
                        node.func = ast.Attribute(ast.Name("x"), name)
            return node

    bodies = []
    for statement in ast.parse(label).body:
        text = qualified(Methods().visit(statement), module)
        match statement:
            case ast.Expr():
                bodies.append(f"return {text}")
            case ast.AugAssign(ast.Name(name)):
                bodies.append(f"{text}; return {name}")
            case ast.With():
                bodies += ["return x.__enter__()", "return x.__exit__(None, None, None)"]
            case _:
                bodies.append(text)
    return bodies


def write(finding: dict, seconds: float) -> str:
    """Return the program for a finding. This imports the module and creates an object."""
    place, _, _ = target_of(finding).partition(":")
    module = importlib.import_module(place)
    top = place.partition(".")[0]
    made = finding["outcome"]["object"]
    namespace = {**sys.modules, **vars(module)}
    example = eval(made, namespace)
    functions, names = [], []

    def define(name: str, body: str) -> str:
        functions.append(f"def {name}(x, y, n):\n    {body}\n")
        return name

    for i, label in enumerate(finding["operations"]):
        bodies = plain(label, module, example)
        steps = [define(f"thread_{i}_call_{j}", body) for j, body in enumerate(bodies)]
        names.append(f"[{', '.join(steps)}]")
    outcome = finding["kind"] == "not-atomic"
    looks = []
    if outcome:
        for i, label in enumerate(finding["outcome"]["state"]):
            looks += [
                define(f"look_{i}_{j}", b) for j, b in enumerate(plain(label, module, example))
            ]
    title = f"{finding['type']}: {finding['kind']}: {' | '.join(finding['operations'])}"
    text = BEGIN.format(
        title=title.replace("\\", "\\\\").replace('"', "'"),
        top=top,
        module=place,
        seconds=seconds,
        object=qualified(ast.parse(made, mode="eval"), module),
        functions="\n".join(functions),
        names=", ".join(names),
        threads=finding["threads"],
    )
    if outcome:
        return text + f"looks = [{', '.join(looks)}]\n\n" + OUTCOMES
    return text + CRASHES


def target_of(finding: dict) -> str:
    """Return the target in the finding's command."""
    return shlex.split(finding["again"])[2]


def confirm(finding: dict, program: Path, seconds: float) -> tuple[bool, str]:
    """Write a program, run it up to ATTEMPTS times; return whether the finding shows, and how."""
    command = [sys.executable, "-X", "gil=0", str(Path(__file__).resolve())]
    command += ["--program", str(program), f"--seconds={seconds}"]
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:  # calls may write files
        written = subprocess.run(
            command,
            input=json.dumps(finding),
            capture_output=True,
            text=True,
            timeout=60,
            cwd=folder,
            check=False,
        )
    if written.returncode:
        return False, "no program: " + (written.stderr.strip().rpartition("\n")[2] or "?")
    # With PYTHONMALLOC=debug, CPython overwrites freed memory: who still uses it crashes.
    ways = [{}] if finding["kind"] == "not-atomic" else [{}, {"PYTHONMALLOC": "debug"}]
    for attempt in range(ATTEMPTS):
        shown, words = run(program, seconds, ways[attempt % len(ways)])
        if shown:
            break
    return shown, words


def run(program: Path, seconds: float, way: dict[str, str]) -> tuple[bool, str]:
    """Run a program in a new folder; return whether the finding shows, and its outcome."""
    environment = os.environ | {"PYTHONHASHSEED": "0"} | way
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        try:
            done = subprocess.run(
                [sys.executable, "-X", "gil=0", str(program)],
                capture_output=True,
                text=True,
                errors="replace",
                timeout=seconds + 20,
                cwd=folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            lines = (error.stdout or b"").decode(errors="replace")
            return "fine in turn" in lines, "hangs"
    fine = "fine in turn" in done.stdout
    if done.returncode < 0:
        how = "".join(f" with {name}={value}" for name, value in way.items())
        return fine, f"signal {-done.returncode}{how}" + ("" if fine else " in one thread")
    if done.returncode == 99:
        return fine, done.stdout.strip().rpartition("\n")[2]
    last = done.stdout.strip().rpartition("\n")[2] or done.stderr.strip().rpartition("\n")[2]
    words = last.split()
    return words[:1] == ["seen"] and words[1] != "0", last[:160]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("results", nargs="*", type=Path)
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--write", type=Path, metavar="FOLDER")
    parser.add_argument("--program", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.program:
        arguments.program.write_text(write(json.load(sys.stdin), arguments.seconds), "utf-8")
        os._exit(0)  # without the object's destructor, which may crash
    failed = 0
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as temporary:
        folder = arguments.write or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        for path in arguments.results:
            result = json.loads(path.read_text("utf-8"))
            for number, finding in enumerate(result["findings"]):
                program = (folder / f"{path.stem}_{number}.py").resolve()
                shown, words = confirm(finding, program, arguments.seconds)
                finding["by_hand"] = words if shown else ""
                failed += not shown
                what = " | ".join(finding["operations"])[:100]
                print(
                    "yes" if shown else "NO ", path.stem, number, finding["type"], what, "->", words
                )
                sys.stdout.flush()
            if path.exists() and os.access(path, os.W_OK):
                path.write_text(json.dumps(result), "utf-8")
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())

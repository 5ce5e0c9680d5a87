"""`ftdemo demo`: every claim is seen, every demo can fail, and none affects the others."""

import inspect
import json
import os
import platform
import re
import sys
from pathlib import Path

import pytest

from ftdemo import demo as runner
from ftdemo import demos
from ftdemo.demo import report
from ftdemo.interpreter import FREE_THREADED, cores

DOCUMENT = Path(__file__).parents[2] / "docs/free-threading.md"

pytestmark = pytest.mark.thread_unsafe(reason="starts processes")

# The reasons why a demo may show nothing, and when they hold.
NOT_IN_THE_WHEEL = "not in the wheel for the stable ABI"
REASONS = {
    "scaling": ["other processes use them"],
    "one-import": ["other processes use them", NOT_IN_THE_WHEEL],
    "legacy-unlocked": [NOT_IN_THE_WHEEL],
    "refcount": [NOT_IN_THE_WHEEL],
    "overhead": ["needs the other build", "3.13 is the first"],
}


def run(fresh_python, *arguments, env=None):
    done = fresh_python("-m", "ftdemo", "demo", *arguments, env=env)
    return done, json.loads(done.stdout) if "--json" in arguments else None


def may_skip(name, reason):
    known = [*REASONS.get(name, []), *(["needs two cores"] if cores() == 1 else [])]
    return any(each in reason for each in known)


@pytest.mark.parametrize("name", demos.NAMES)
def test_claim_is_seen(fresh_python, name):
    done, result = run(fresh_python, name, "--quick", "--json")
    assert result["version"] == 1
    assert result["interpreter"]["free_threaded"] is FREE_THREADED
    (demo,) = result["demos"]
    assert list(demo) == ["name", "claim", "outcome", "detail", "measured"]
    assert (demo["name"], demo["claim"]) == (name, demos.claim(name))
    if demo["outcome"] == "skip":
        assert may_skip(name, demo["detail"]), demo["detail"]
    else:
        assert demo["outcome"] == "seen", demo["detail"]
        assert demo["measured"]
    assert result["summary"] == {o: int(o == demo["outcome"]) for o in runner.OUTCOMES}
    assert (done.returncode, done.stderr) == (3 if demo["outcome"] == "skip" else 0, "")


def test_each_demo_is_one_short_documented_program():
    modules = {name: demos.load(name) for name in demos.NAMES}
    files = {path for path in Path(demos.__file__).parent.glob("*.py") if path.stem != "__init__"}
    assert files == {Path(module.__file__) for module in modules.values()}
    assert not sys.stdlib_module_names & {path.stem for path in files}
    for name, module in modules.items():
        assert len(Path(module.__file__).read_text(encoding="utf-8").splitlines()) < 100, name
        assert re.search(r"^\n.+?\n\nSource: ", module.__doc__.partition("\n")[2], re.S), name


def test_a_run_of_all_demos_ends_with_a_table(capsys):
    demo = {"name": "race", "claim": "wins", "outcome": "seen", "detail": "it did", "measured": {}}
    report.print_table(runner.collect([demo, demo | {"name": "gc", "outcome": "not seen"}]))
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["race", "seen", "wins"] in rows
    assert ["gc", "not", "seen", "wins"] in rows
    assert rows[-1] == ["1", "seen,", "1", "not", "seen"]


def test_list_prints_every_demo_and_its_claim(fresh_python):
    done, _ = run(fresh_python, "--list")
    rows = [line.split(maxsplit=1) for line in done.stdout.splitlines()[1:]]
    assert rows == [[name, demos.claim(name)] for name in demos.NAMES]


@pytest.mark.skipif(not DOCUMENT.exists(), reason="the documentation is not beside the tests")
def test_the_document_shows_what_each_demo_printed():
    text = DOCUMENT.read_text(encoding="utf-8")
    shown = re.findall(r"^```text\n([\w-]+): (.+)\n\n(seen): .+\n```$", text, re.M)
    assert sorted(shown) == sorted((name, demos.claim(name), "seen") for name in demos.NAMES)


# Code that replaces a function which a demo uses, so that its claim is wrong and it must say so.
WRONG = {
    "gil": "m.gil_after = lambda *a, **k: 'neither'",
    "scaling": "m.is_gil_enabled = lambda: False",  # run with the GIL
    "one-import": "sys.modules['ftdemo.legacy'] = sys",  # does not bring the GIL back
    "race": "m.Counter.add_locked = lambda self, steps: None",
    "check-then-act": "m.with_lock = lambda cache, key: cache.setdefault(key, 0) or [key]",
    "iterator": "m.ftdemo = Fake(Tickets=lambda start, stop: iter([start] * stop))",
    "collections": "m.append = lambda all, first, n: all.extend(range(first, first + n - 1))",
    "deadlock": "m.ftdemo = Fake(Account=int, transfer=lambda *a: 0, total=lambda *a: 0)",
    "suspension": "m.PATIENCE = 0.5; m.section = mutex",
    "legacy-unlocked": "m.call_in_child = lambda *a, **k: 1",
    "refcount": "m.counts = lambda thing: dict.fromkeys(['all', 'owner', 'others'], 1)",
    "gc": "m.gc = Fake(disable=int, get_threshold=int, collect=lambda *a: time.sleep(0.2))",
    "memory": "m.takes_pymalloc = lambda python: FREE_THREADED",
    "overhead": "m.both_builds = lambda: {0: 'a', 1: 'b'}; m.ask = slower",
    "abi": "m.FREE_THREADED = not m.FREE_THREADED",
}
PROGRAM = """
import sys, threading, time
from types import SimpleNamespace as Fake
from ftdemo.demo import finding, gains
from ftdemo.demos import load
from ftdemo.interpreter import FREE_THREADED

lock = threading.RLock()
def mutex(a, *functions):
    with lock:
        for function in functions:
            function()

def slower(python, *arguments):
    ratio = 10 if sys.version_info >= (3, 14) else 0.5
    return {"Python code": {"a": 1, "b": ratio}[python]}

finding.DEADLINE = 1
gains.attempts = lambda _: finding.attempts()
m = load(NAME)
try:
    print(m.demo(quick=True).seen)
except finding.SkipDemo as reason:
    print("skip:", reason)
"""


@pytest.mark.parametrize("name", demos.NAMES)
def test_a_wrong_claim_is_not_seen(fresh_python, name):
    if name == "one-import" and not FREE_THREADED:
        pytest.skip("on this build the GIL is on whatever is imported")
    program = PROGRAM.replace("NAME", repr(name)).replace("try:", f"{WRONG[name]}\ntry:")
    done = fresh_python("-c", program, env={"PYTHON_GIL": "1"} if name == "scaling" else {})
    if done.stdout.startswith("skip: "):
        assert may_skip(name, done.stdout), done.stdout
    else:
        assert done.stdout == "False\n", done.stderr


BROKEN = {
    "os.abort()": ("not seen", "killed by SIGABRT"),
    "time.sleep(600)": ("not seen", "timed out after 5 s"),
    "raise RuntimeError('oops')": ("not seen", "exited with status 1: RuntimeError: oops"),
    "os._exit(0)": ("not seen", "exited with status 0"),
    "raise SkipDemo('no reason')": ("skip", "no reason"),
    "print('{', flush=True); os.close(1); os.close(2); return Finding(True, 'fine', {})": (
        "seen",
        "fine",
    ),
}


@pytest.fixture
def break_demo(broken_copy):
    """Replace a demo in a copy of the package; return the environment variables to use the copy."""

    def replace(name, code):
        imports = ["import os, time", "from ftdemo.demo.finding import Finding, SkipDemo"]
        source = [f'"""{demos.claim(name)}"""', *imports, "def demo(*, quick):", f"    {code}"]
        (broken_copy / f"demos/{Path(demos.load(name).__file__).name}").write_text(
            "\n".join(source), encoding="utf-8"
        )
        return {"PYTHONPATH": str(broken_copy.parent)}

    return replace


@pytest.mark.parametrize("code", BROKEN)
@pytest.mark.skipif(os.name == "nt", reason="Windows has no POSIX signals")
def test_a_demo_that_crashes_hangs_or_raises_is_reported(fresh_python, break_demo, code):
    env = break_demo("race", code)
    program = (
        "import json; from ftdemo.demo import *; result = collect([run('race', timeout=5)]); "
        "print(json.dumps([result['demos'][0], exit_code(result)]))"
    )
    demo, exit_code = json.loads(fresh_python("-c", program, env=env).stdout)
    outcome, detail = BROKEN[code]
    assert demo["outcome"] == outcome
    assert demo["detail"].endswith(detail)
    assert exit_code == {"seen": 0, "not seen": 1, "skip": 3}[outcome]


def test_a_demo_given_by_name_is_explained_and_exit_code_1_when_not_seen(fresh_python, break_demo):
    env = break_demo("race", "return Finding(False, 'nothing lost', {})")
    done, _ = run(fresh_python, "race", "collections", "--quick", env=env)
    assert (done.returncode, done.stderr) == (1, "")
    assert "not seen: nothing lost" in done.stdout
    explained = inspect.cleandoc(demos.load("collections").__doc__)
    assert f"\n\ncollections: {explained}\n\nseen: 4 threads wrote" in done.stdout


@pytest.mark.skipif(os.name == "nt", reason="Windows has no POSIX signals")
def test_interrupt_ends_the_demo_that_runs(interrupted, tmp_path, break_demo):
    note = tmp_path / "pid"
    hang = f"print(os.getpid(), file=open({str(note)!r}, 'w'), flush=True); time.sleep(600)"
    done = interrupted(
        *("demo", "collections", "race", "--quick", "--json"),
        env=break_demo("race", hang),
        when=lambda: note.exists() and note.read_text(),
    )
    assert done.returncode == 2
    assert done.stderr.endswith("interrupted: the demos so far are printed\n")
    assert [demo["name"] for demo in json.loads(done.stdout)["demos"]] == ["collections"]
    with pytest.raises(ProcessLookupError):
        os.kill(int(note.read_text()), 0)


def test_only_the_gil_demo_inherits_python_gil(fresh_python):
    env = {"PYTHON_GIL": "1"}
    _, result = run(fresh_python, "gil", "suspension", "--quick", "--json", env=env)
    gil, suspension = result["demos"]
    assert gil["measured"]["here"] == "on"
    assert gil["measured"]["why"] == ("PYTHON_GIL=1" if FREE_THREADED else "the build")
    assert {gil["outcome"], suspension["outcome"]} == {"seen"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["no-such-demo"], f"unknown demo 'no-such-demo'; choose from {', '.join(demos.NAMES)}"),
        (["--plot", "x.svg"], "--plot needs scaling"),
        (["race", "--plot", "x.svg"], "--plot needs scaling"),
    ],
)
def test_exit_code_2_on_usage_errors(fresh_python, arguments, message):
    done, _ = run(fresh_python, *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert message in done.stderr


def test_exit_code_2_when_plot_lacks_matplotlib(fresh_python, tmp_path):
    program = "import sys; sys.modules['matplotlib'] = None; from ftdemo.cli import main; main()"
    done = fresh_python("-c", program, "demo", "scaling", "--plot", str(tmp_path / "x.svg"))
    assert done.returncode == 2
    assert "--plot needs matplotlib: pip install 'ftdemo[plot]'" in done.stderr


def test_the_plot_names_its_machine_and_interpreter(fresh_python, tmp_path):
    pytest.importorskip("matplotlib")
    file = tmp_path / "scaling.svg"
    run(fresh_python, "scaling", "--quick", "--plot", str(file))
    text = file.read_text(encoding="utf-8")
    for said in ("threads", sys.version.split()[0], platform.machine(), "cores"):
        assert said in text

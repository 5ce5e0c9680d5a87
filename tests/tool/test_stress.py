"""`ftdemo stress`: reports the types that race, and not the types that only seem to race."""

import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import ModuleType

import fastjsonschema
import pytest
import racing_package

from ftdemo import exit_codes, processes
from ftdemo.interpreter import FREE_THREADED, cores
from ftdemo.stress import SCHEMA, TargetError, children, stress
from ftdemo.stress.report import exit_code
from ftdemo.stress.results import FEW
from ftdemo.stress.run import list_types
from ftdemo.stress.tsan import reports
from ftdemo.stress_child import values
from ftdemo.stress_child.extension_types import owner
from ftdemo.stress_child.meetings import Burst, Crew, Numbers, Subject
from ftdemo.stress_child.operations import OperationError, mirrored, parse
from ftdemo.stress_child.outcomes import ANY, Labels, Oracle, form, generalize, matches
from ftdemo.stress_child.survey import Survey

needs_threads = pytest.mark.skipif(
    not FREE_THREADED or cores() < 2, reason="needs a free-threaded build and two cores"
)
pytestmark = [
    pytest.mark.thread_unsafe(reason="starts processes"),
    pytest.mark.all_modules,
]


# A few of each kind. FTDEMO_RACING=all tests all of them, which takes minutes.
if os.environ.get("FTDEMO_RACING") == "all":
    FOUND = [name for name in racing_package.UNSAFE if "." not in name]
    FOUND = [n for n in FOUND if not racing_package.UNSAFE[n].allowed and n != "OnlyDataRace"]
    SILENT = [name for name in racing_package.SAFE if name not in {"NeedsKey", "NeverMade"}]
else:
    FOUND = ["PlainIncrement", "TornPair", "ShelfReader", "UnlockedStack", "LeaksReference"]
    FOUND += ["NumbersObjects", "OneForEach", "TornSides", "Tap", "bump", "count_in"]
    FOUND += ["LastItem", "UnitedSets", "MadeByMethod", "Listeners", "Digits", "Jobs"]
    FOUND += ["Lazy", "Named", "Query", "Cursor", "Watchers", "Squares", "name_number"]
    SILENT = ["RandomValues", "RareValues", "TimeStamps", "ExportsLocked", "CountsAllCalls"]
    SILENT += ["RefusesWhenBusy", "NumbersSafely"]
# Targets with another name: types that only calls create, and two functions with one state.
TARGETS = {"ShelfReader": "Shelf", "Tap": "Barrel", "square": ""}
ASIDE = {
    "WaitsForEver": ("wait()", "blocks"),
    "EndsProcess": ("at_once()", "ends the process"),
    "CrashesAlone": ("crash()", "crashes in one thread"),
    "ClosesDescriptors": ("output()", "closes file descriptors"),
    "Forks": ("spawn()", "starts a process"),
}


@pytest.fixture(scope="session")
def racing(tmp_path_factory):
    """Build the package of racing types in a folder with a space in its name."""
    folder = tmp_path_factory.mktemp("with space")
    racing_package.build(folder)
    return folder


@pytest.fixture
def on_path(racing, monkeypatch):
    monkeypatch.syspath_prepend(str(racing))


# The base class of an exception, its text, and whether it says that an object refuses a call.
REFUSALS = [("RuntimeError", "", True), ("Exception", "in use", True), ("Exception", "", False)]


def drive(target, seconds=0.7, **more):
    return stress([target], seconds=seconds, seed=1, **more)


@needs_threads
@pytest.mark.parametrize("name", FOUND)
def test_finding_when_a_type_races(name, on_path):
    for seconds in (1.5, 10.0):  # a busy machine takes longer
        result = drive(f"racing.unsafe:{TARGETS.get(name, name)}", seconds)
        assert not any(map(shows_an_order, result["findings"]))
        kinds = {
            finding["kind"]
            for finding in result["findings"]
            if name not in TARGETS or name in finding["type"] + " ".join(finding["operations"])
        }
        if kinds & racing_package.UNSAFE[name].kinds:
            return
    pytest.fail(f"{name}: {result}")


def shows_an_order(finding):
    """Tell whether all that a finding shows is what some order results in."""
    outcome = finding["outcome"]
    if finding["kind"] != "not-atomic" or outcome["together"]:
        return False
    shown = {"results": outcome["results"], "after": outcome["after"]}
    return shown in outcome["in_any_order"]


@needs_threads
@pytest.mark.parametrize("name", SILENT)
def test_no_finding_when_a_type_is_safe(name, on_path):
    result = drive(f"racing.safe:{name}")
    assert result["findings"] == []
    driven = {row.partition("(")[0] for row in racing_package.SAFE[name].aside}
    assert result["summary"]["meetings"] > 0 or driven


@needs_threads
def test_no_finding_when_each_thread_has_a_state_of_its_own(on_path):
    result = drive("racing.safe:", pair=("sign_out()", "sign_in()"))
    assert result["findings"] == []
    assert result["summary"]["meetings"] > 0


@needs_threads
@pytest.mark.parametrize("name", ASIDE)
def test_an_operation_that_cannot_run_is_listed_with_a_reason(name, on_path):
    result = drive(f"racing.safe:{name}", 0.5)
    operation, why = ASIDE[name]
    skipped = {s["operation"]: s["why"] for each in result["types"] for s in each["skipped"]}
    assert why in skipped[operation]
    assert result["findings"] == []


@needs_threads
@pytest.mark.parametrize(
    ("target", "name"),
    [
        ("_random", "_random.Random"),  # seed() takes nothing, and any object
        ("zlib", "zlib.Compress"),  # made by a function of the module
        ("_struct", "_struct.Struct"),  # needs a format
        ("array", "array.array"),  # needs a type's code
    ],
)
def test_types_of_the_standard_library_are_tested(target, name):
    result = drive(target, 0.5)
    assert sum(each["meetings"] for each in result["types"] if each["type"] == name) > 0
    ended = [s for t in result["types"] for s in t["skipped"] if "ends the process" in s["why"]]
    assert ended == []


def test_types_that_name_their_module_without_the_package_are_found(monkeypatch):
    own = owner(["acme._fast", "acme.json"])
    assert own("_fast")
    for name in ("acme._fast", "_fast"):  # Cython adds the second name
        monkeypatch.setitem(sys.modules, name, pytest)
    assert own("_fast")
    assert own("acme.pool") is False
    assert own("json") is False  # another module, which has been imported


@needs_threads
def test_pair_of_functions_is_driven_once_and_its_module_declares_nothing():
    calls = ("intern((n, 'a'))",) * 2
    (finding,) = drive("ftdemo._legacy:", 5, pair=calls)["findings"]
    assert finding["again"].startswith("ftdemo stress ftdemo._legacy: --pair")
    assert finding["declares_ready"] is False


def test_arguments_are_read_from_docstrings_as_pybind11_writes_them():
    class Pool:
        """A pool."""

        __signature__ = "none"

        def __init__(self, *args):
            """__init__(self: acme.Pool, name: str, size: typing.SupportsInt) -> None"""

    class Method:
        """release(self: acme.Pool, data: bytes) -> None"""

        __name__ = "release"

    assert next(values.arguments(Pool, "Pool", "Pool")) == ("'a'", "1")
    assert next(values.arguments(Method(), "Pool.release", "Pool")) == ("b'abc'",)


@needs_threads
def test_threads_that_repeat_calls_share_no_arguments():
    seen: dict[int, list[list[int]]] = {}

    class Box:
        def put(self, item):
            seen.setdefault(threading.get_ident(), []).append(item)

    subject = Subject(Box, lambda: (Box(), Box()), ())
    Burst(subject, [parse("put([1])", {}, Box())], 2, Crew(2), Numbers()).run(1, 4, seed=1)
    one, other = seen.values()
    assert {id(item) for item in one}.isdisjoint(id(item) for item in other)


def test_an_object_is_filled_with_what_a_call_uses_up():
    acme = ModuleType("acme")
    source = """
class Emitter:
    def __init__(self): self.always, self.waiting = [], []
    def on(self, callback: "Callable"): self.always.append(callback)
    def once(self, callback: "Callable"): self.waiting.append(callback)
    def emit(self):
        waiting, self.waiting = self.waiting, []
        return len(self.always) + len(waiting)
"""
    exec(source, vars(acme))
    survey = Survey(acme, owner(["acme"]), lambda *_: None, {})
    found, _ = survey.operations(acme.Emitter, "Emitter()", ())
    best, *_ = survey.filled(found, "Emitter()", acme.Emitter())
    assert "x.once(" in best


@needs_threads
def test_an_object_that_crashes_when_it_holds_several_items_is_driven(tmp_path, monkeypatch):
    source = """
import os
class Box:
    def __init__(self): self.items = []
    def put(self, item: int):
        self.items.append(item)
        if len(self.items) > 3: os.abort()
    def count(self): return len(self.items)
"""
    (tmp_path / "box.py").write_text(source, encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    result = drive("box:Box()")
    assert result["summary"]["meetings"] > 0
    (row,) = result["types"]
    assert any("for i in range" in each["operation"] for each in row["skipped"])


@needs_threads
def test_finding_has_the_fewest_calls_that_show_the_race(monkeypatch):
    """On a busy machine, the threads may meet first in a longer combination, as they must here."""
    longer = "from ftdemo.stress_child.probe import Drive; Drive._all_pairs = lambda self: []; "
    monkeypatch.setattr(children, "_BOOT", children._BOOT.replace("main()", f"{longer}main()"))
    result = drive("ftdemo._legacy:Tickets(0, 1)", seconds=3)
    operations = [finding["operations"] for finding in result["findings"]]
    assert operations == [["next(x)", "next(x)"]]


@needs_threads
def test_a_pair_is_tested_without_trying_other_calls_with_arguments(tmp_path, monkeypatch):
    ends = "".join(f"    def end_{i}(self, status): os._exit(status)\n" for i in range(50))
    source = f"import os\nclass Trap:\n    n = 0\n    def add(self, more): self.n += more\n{ends}"
    (tmp_path / "trap.py").write_text(source, encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    (tested,) = drive("trap:Trap()", pair=("add(1)", "add(1)"))["types"]
    assert tested["meetings"] > 0
    assert tested["skipped"] == []


@needs_threads
def test_type_with_many_operations_is_driven(tmp_path, monkeypatch):
    methods = "\n".join(f"    def m{number}(self, other=None): ..." for number in range(300))
    (tmp_path / "manifold.py").write_text(f"class Wide:\n{methods}\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert drive("manifold:Wide", 5)["summary"]["meetings"] >= FEW


@needs_threads
def test_only_crashes_count_when_a_type_is_documented_as_compatible(on_path):
    assert drive("racing.unsafe:DocumentedCompatible")["findings"] == []
    result = drive("racing.unsafe:DocumentedCrash", 2.0)
    assert {finding["kind"] for finding in result["findings"]} <= {"crash", "broken"}
    assert result["findings"]


@needs_threads
def test_no_calls_when_a_type_is_documented_as_incompatible(on_path):
    result = drive("racing.unsafe:DocumentedIncompatible")
    assert result["summary"]["meetings"] == 0
    assert "incompatible" in result["types"][0]["skipped"][0]["why"]


@needs_threads
def test_the_command_in_a_finding_reproduces_it(racing, on_path):
    result = drive("racing.unsafe:ChecksThenActs", 3.0)
    finding = next(f for f in result["findings"] if f["kind"] == "not-atomic")
    again = run(racing, finding["again"].removeprefix("ftdemo "))
    assert again.returncode == exit_codes.FAILED, again.stdout + again.stderr
    assert "not-atomic" in again.stdout


@needs_threads
def test_exit_code_0_when_the_finding_is_allowed(racing, tmp_path):
    settings = '[tool.ftdemo.stress]\nallow = ["racing.PlainIncrement.add"]  # documented\n'
    (tmp_path / "pyproject.toml").write_text(settings, encoding="utf-8")
    command = "stress 'racing.unsafe:PlainIncrement()' --pair 'add(1)' 'add(1)' --seed 1 --json"
    ran = run(racing, command, cwd=tmp_path)
    result = json.loads(ran.stdout)
    fastjsonschema.compile(json.loads(SCHEMA.read_text(encoding="utf-8")))(result)
    assert [finding["allowed"] for finding in result["findings"]] == [True]
    assert ran.returncode == exit_codes.OK


@needs_threads
def test_no_crash_is_reported_when_creating_an_object_sometimes_fails(on_path):
    now_and_then = "PlainIncrement() if __import__('random').random() < 0.999 else 1 / 0"
    result = drive(f"racing.unsafe:{now_and_then}", 1.0)
    reasons = {s["why"] for each in result["types"] for s in each["skipped"]}
    assert any("ZeroDivisionError" in why for why in reasons)
    assert {finding["kind"] for finding in result["findings"]} <= {"not-atomic"}


@needs_threads
@pytest.mark.parametrize(("base", "text", "silent"), REFUSALS)
def test_no_finding_when_an_object_refuses_with_an_exception_of_its_own(
    tmp_path, monkeypatch, base, text, silent
):
    source = f"""
import threading
class Refusal({base}): pass
class Section:
    def __init__(self): self.n, self.lock = 0, threading.Lock()
    def run(self):
        if not self.lock.acquire(blocking=False): raise Refusal({text!r})
        for _ in range(100): pass
        self.n += 1
        self.lock.release()
"""
    (tmp_path / "section.py").write_text(source, encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    result = drive("section:Section()", pair=("run()", "run()"))
    assert (not result["findings"]) is silent
    assert result["summary"]["meetings"] > 0


@needs_threads
def test_no_finding_when_an_object_refuses_a_second_call(on_path):
    result = drive("racing.safe:RefusesWhenBusy", 2.0)
    reasons = {s["operation"]: s["why"] for each in result["types"] for s in each["skipped"]}
    assert result["findings"] == []
    assert "while another thread uses it" in reasons["use()"]


def test_exit_code_3_when_threads_met_too_few_times():
    result = stress(["ftdemo._ready:Account"], seconds=0.0, seed=1)
    result["summary"]["meetings"] = FEW - 1
    assert exit_code(result) == exit_codes.NOTHING_CHECKED
    result["summary"]["meetings"] = FEW
    assert exit_code(result) == exit_codes.OK


@needs_threads
@pytest.mark.parametrize("name", ["racing.NeedsKey", "racing.safe.NeedsKey"])
def test_a_factory_in_the_settings_creates_the_objects(name, on_path):
    factories = {name: "racing.safe.NeedsKey(racing.safe.make_key('open sesame'))"}
    result = drive("racing.safe:NeedsKey", 0.2, factories=factories)
    assert result["types"][0]["operations"] > 0


@needs_threads
@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGINT for one process")
@pytest.mark.parametrize("by", [signal.SIGINT, signal.SIGTERM])
def test_interrupt_prints_the_findings_so_far(interrupted, racing, by):
    words = ("stress", "racing.unsafe", "--seconds", "2", "--json")
    later = time.monotonic() + 8
    env = environment(racing)
    done = interrupted(*words, env=env, when=lambda: time.monotonic() > later, patience=60, by=by)
    assert done.returncode == exit_codes.ERROR, done.stderr
    assert "interrupted" in done.stderr
    assert json.loads(done.stdout)["types"]


@needs_threads
@pytest.mark.skipif(sys.platform != "linux", reason="looks for the child in /proc")
def test_child_ends_with_its_parent():
    command = [sys.executable, "-m", "ftdemo", "stress", "ftdemo._ready:Account", "--seconds", "60"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        own = Path(f"/proc/{process.pid}/task")
        deadline = time.monotonic() + 60
        seen, driving = set(), set()
        while not driving and time.monotonic() < deadline:
            # A child that lists types ends within two seconds; one that tests a type runs longer.
            time.sleep(2)
            started = " ".join(task.read_text() for task in own.glob("*/children")).split()
            now = {pid for pid in started if "ftdemo.stress" in words_of(pid)}
            seen, driving = now, now & seen
        process.kill()
    assert driving
    deadline = time.monotonic() + 10
    while any("ftdemo.stress" in words_of(pid) for pid in driving):
        assert time.monotonic() < deadline, "the child goes on without its parent"
        time.sleep(0.2)


def words_of(pid):
    """The command line of a process; nothing of one that has ended."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_text(encoding="utf-8")
    except (FileNotFoundError, ProcessLookupError):
        return ""


@needs_threads
def test_no_finding_in_ready_and_in_the_driver():
    for target in ("ftdemo._ready", "ftdemo._stress"):
        result = drive(target, 1.0)
        assert result["findings"] == []
        assert result["summary"]["meetings"] > 0


def test_exit_code_3_when_nothing_was_tested(tmp_path):
    ran = run(tmp_path, "stress ftdemo._ready:Account --seconds 0.1", env={"PYTHON_CPU_COUNT": "1"})
    assert ran.returncode == exit_codes.NOTHING_CHECKED, ran.stdout + ran.stderr
    assert "Nothing was tested" in ran.stdout


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("stress no-such-package", "no installed distribution"),
        ("stress", "the following arguments are required"),
        ("stress ftdemo ftdemo --pair 'a()' 'b()'", "--pair needs exactly one TARGET"),
    ],
)
def test_exit_code_2_on_usage_errors(tmp_path, command, words):
    ran = run(tmp_path, command)
    assert ran.returncode == exit_codes.ERROR
    assert words in ran.stderr


def test_settings_error_when_a_setting_is_unknown(tmp_path):
    (tmp_path / "pyproject.toml").write_text("[tool.ftdemo.stress]\nfactory = 1\n")
    ran = run(tmp_path, "stress ftdemo")
    assert ran.returncode == exit_codes.ERROR
    assert "has no setting 'factory'" in ran.stderr


def test_target_error_when_the_target_does_not_exist():
    with pytest.raises(TargetError):
        stress(["no-such-package"])


def environment(racing, **more):
    kept = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
    return kept | {"PYTHONPATH": str(racing)} | more


def run(racing, command, cwd=None, env=None):
    return subprocess.run(
        [sys.executable, "-m", "ftdemo", *shlex.split(command)],
        env=environment(racing, **(env or {})),
        cwd=cwd or racing,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )


@needs_threads
def test_module_that_cannot_be_imported_does_not_hide_the_others(racing, tmp_path, monkeypatch):
    shutil.copytree(racing / "racing", tmp_path / "racing")
    (tmp_path / "racing" / "broken.py").write_text("raise ValueError('no')\n", encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert "racing.unsafe:PlainIncrement" in list_types("racing")


@needs_threads
def test_lines_of_the_report_that_cannot_be_read_are_left_out(tmp_path, monkeypatch):
    scribbles = r"""
import sys
from ftdemo._ready import Account
if len(sys.argv) == 3:
    with open(sys.argv[2], "ab") as report:
        report.write(b"[1\xff\n{}\n")
"""
    (tmp_path / "scribbles.py").write_text(scribbles, encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    result = drive("scribbles:Account", 0.2)
    assert result["findings"] == []
    assert result["summary"]["meetings"] > 0


@pytest.mark.parametrize(
    ("seconds", "runnable", "stuck"),
    [(0.1, True, False), (0.0, True, False), (0.0, False, True), (1.0, True, True)],
    ids=["slow", "waits for a core", "deadlock", "endless"],
)
def test_only_a_child_that_waits_or_had_time_on_a_core_hangs(seconds, runnable, stuck):
    before = children._Activity(5.0, True)
    now = children._Activity(5.0 + seconds, runnable)
    assert children._is_stuck(before, now, limit=1.0, waits=1) == stuck


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_activity_of_a_child_is_its_time_on_a_core():
    with processes.start([sys.executable, "-c", "while True: pass"]) as process:
        while children._activity(process.pid).seconds < 0.1:
            time.sleep(0.1)
        spins = children._activity(process.pid)
        processes.kill(process)
    assert spins.runnable
    with processes.start(["sleep", "9"]) as process:
        time.sleep(0.5)
        waits = children._activity(process.pid)
        processes.kill(process)
    assert not waits.runnable
    assert waits.seconds < 0.1


# Operations, as text.


@pytest.mark.parametrize(
    ("label", "calls"),
    [
        ("append(1)", 1),
        ("x[0]", 1),
        ("x[0] = 5", 1),
        ("del x[0]", 1),
        ("x += [1]", 1),
        ("len(x)", 1),
        ("3 in x", 1),
        ("x == y", 1),
        ("append(1); pop()", 2),
        ("y.extend(x)", 1),
        ("x[0:1]", 1),
    ],
)
def test_an_operation_has_the_effect_of_its_text(label, calls):
    namespace = {"list": list}
    operation = parse(label, namespace, [])
    by_driver, other = [3, 1, 2], [7]
    by_python, same = [3, 1, 2], [7]
    made = operation.build(by_driver, other, 1)
    assert len(made) == calls
    for function, *arguments in made:
        function(*arguments)
    prefix = "x." if label[0] not in "xyl3d" else ""
    exec(f"{prefix}{label.replace('; ', f'; {prefix}')}", {"x": by_python, "y": same})
    assert (by_driver, other) == (by_python, same)


def test_a_with_statement_may_be_one_of_several_calls():
    lock = threading.Lock()
    operation = parse("locked(); with x: pass; locked()", {}, lock)
    calls = operation.build(lock, None, 1)
    assert [function(*arguments) for function, *arguments in calls] == [False, True, None, False]


@pytest.mark.parametrize("label", ["", "1 +", "no_such(1)", "import os", "x if y else n"])
def test_operation_error_when_a_text_is_no_operation(label):
    with pytest.raises(OperationError):
        parse(label, {}, [])


def test_a_mirrored_operation_swaps_x_and_y():
    assert mirrored("extend(y)", {}, []) == "y.extend(x)"
    assert mirrored("y.extend(x)", {}, []) == "x.extend(y)"
    assert mirrored("len(x)", {}, []) == "len(y)"
    assert mirrored("with x: pass; len(x)", {}, []) == "with y: pass; len(y)"


# Outcomes.


def test_a_pattern_masks_only_the_parts_that_differ():
    pattern = generalize((("int", 1), ("str", "a")), (("int", 2), ("str", "a")))
    assert pattern == (("int", ANY), ("str", "a"))
    assert matches(pattern, (("int", 3), ("str", "a")))
    assert not matches(pattern, (("int", 3), ("str", "b")))


def test_oracle_explains_any_order_and_nothing_else():
    oracle = Oracle()
    oracle.learn((0, 1), [(1, 2)])
    oracle.learn((1, 0), [(2, 1)])
    assert oracle.explains((1, 2))
    assert oracle.explains((2, 1))
    assert not oracle.explains((1, 1))


def test_a_form_numbers_objects_and_names_the_shared_ones():
    shared, one, other = [], object(), object()
    labels = Labels(x=shared)
    assert form(shared, labels) == ("same", "x")
    assert form(one, labels) != form(other, labels)
    assert form(one, labels) == ("same", form(one, labels)[1])
    assert form(True, labels) != form(1, labels)


def test_form_reads_iterators_and_nested_containers_up_to_a_bound():
    endless = form(iter(int, 1), Labels())
    assert len(endless) < 50
    deep = []
    deep.append(deep)
    form(deep, Labels())
    form(iter(lambda: iter(int, 1), 1), Labels())


def test_forms_are_equal_when_only_addresses_differ():
    assert form(f"<thing at {hex(2**40)}>", Labels()) == form(f"<thing at {hex(2**41)}>", Labels())


TSAN = """
ftdemo stress: ["add(1)", "add(1)"]
==================
WARNING: ThreadSanitizer: data race (pid=1)
  Write of size 8 at 0x7fff by thread T2:
    #0 memcpy <null> (libtsan.so.2+0x1)
    #1 add csrc/counter.c:22 (_core.cpython-314t-x86_64-linux-gnu.so+0x2)
    #2 _PyEval_Vector Python/ceval.c:2113 (python3.14t+0x3)
==================
==================
WARNING: ThreadSanitizer: data race (pid=1)
  Read of size 8 at 0x7fff by thread T1:
    #0 _PyEval_Vector Python/ceval.c:2113 (python3.14t+0x3)
==================
"""


def test_report_of_thread_sanitizer_has_the_pair_and_the_line_in_the_target():
    (report,) = reports(TSAN, ["acme._core"])
    assert report.labels == ("add(1)", "add(1)")
    assert report.place == "csrc/counter.c:22"
    assert list(reports(TSAN, ["other"])) == []

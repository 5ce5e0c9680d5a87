"""`ftdemo check`: the verdicts are true, even for a package that does all it can to hide them."""

import contextlib
import json
import os
import re
import shutil
import stat
import subprocess
import sys
import threading
import time
import zipfile
from pathlib import Path

import fastjsonschema
import misbehaving_package
import pytest

from ftdemo.check import TargetError, check, probe, targets
from ftdemo.check.children import import_in_child
from ftdemo.interpreter import FREE_THREADED
from ftdemo.processes import run_python

pytestmark = pytest.mark.thread_unsafe(reason="starts processes")
posix = pytest.mark.skipif(os.name == "nt", reason="the package misbehaves in POSIX ways")

SURROUNDINGS = {
    "plain": ([], {}),
    "PYTHON_GIL=0": ([], {"PYTHON_GIL": "0"}),
    "PYTHON_GIL=1": ([], {"PYTHON_GIL": "1"}),
    "-W error": (["-W", "error"], {"PYTHONWARNINGS": "error"}),
}


@pytest.fixture(scope="session")
def package(tmp_path_factory):
    """A folder with a space in its name that contains the package of misbehaving modules."""
    folder = tmp_path_factory.mktemp("with space")
    misbehaving_package.build(folder)
    return folder


@pytest.fixture(scope="session")
def schema(tmp_path_factory):
    done = subprocess.run(
        [sys.executable, "-m", "ftdemo", "check", "--schema"],
        capture_output=True,
        check=True,
        cwd=tmp_path_factory.getbasetemp(),
    )
    return fastjsonschema.compile(json.loads(done.stdout))


def expected():
    """Yield each module with its verdict, what enables the GIL, and the beginning of the detail."""
    for name, case in misbehaving_package.MODULES.items():
        culprits = [f"misbehaving.{culprit}" for culprit in case.culprits]
        yield f"misbehaving.{name}", (case.verdict, culprits, case.detail)
    other = "built for another interpreter (cpython-39-x86_64-linux-gnu)"
    yield "misbehaving.other", ("skip", [], other)


def verdicts(result):
    return {
        module["name"]: (module["verdict"], module["culprits"], module["detail"])
        for target in result["targets"]
        for module in target["modules"]
    }


def differences(result):
    """Return the differences from the expected result; a detail may be longer than expected."""
    found, wanted = verdicts(result), dict(expected())
    assert sorted(found) == sorted(wanted)
    for name, (verdict, culprits, detail) in wanted.items():
        if found[name][:2] != (verdict, culprits) or not (
            found[name][2].startswith(detail) if detail else found[name][2] == ""
        ):
            yield name, found[name], wanted[name]


@posix
@pytest.mark.free_threaded
@pytest.mark.parametrize("surroundings", SURROUNDINGS)
def test_every_verdict(fresh_python, package, schema, surroundings):
    options, env = SURROUNDINGS[surroundings]
    done = fresh_python(
        *options,
        *("-m", "ftdemo", "check", "--json", "--timeout=2", "misbehaving"),
        env=env | {"PYTHONPATH": str(package)},
    )
    assert done.stderr == ""
    result = schema(json.loads(done.stdout))
    assert list(differences(result)) == []
    wanted = [verdict for _, (verdict, _, _) in expected()]
    assert result["summary"] == {v: wanted.count(v) for v in ("pass", "fail", "error", "skip")}
    assert done.returncode == 1
    assert processes_left() == []


# `nox -s real` checks more packages.
REAL = os.environ.get("FTDEMO_REAL_PACKAGES", "ftdemo hypothesis").split()
IMPORT = """
import importlib, sys
try:
    importlib.import_module(sys.argv[1])
    raised = ""
except BaseException:
    raised = "raised"
print()
print(sys._is_gil_enabled(), raised)
"""


def what_the_interpreter_shows(module):
    """Import a module in a fresh interpreter; return the possible verdicts and what caused them."""
    done = run_python("-W", "default", "-c", IMPORT, module)
    gil, _, raised = done.stdout.rpartition("\n")[0].rpartition("\n")[2].partition(" ")
    if done.returncode:
        return {"error"}, set()
    if gil == "True":
        return {"fail"}, set(re.findall(r"to load module '([\w.]+)'", done.stderr))
    return ({"error", "skip"} if raised else {"pass"}), set()


@pytest.mark.free_threaded
@pytest.mark.parametrize("target", REAL)
def test_verdicts_on_real_packages_are_what_fresh_interpreters_show(target):
    for name, (verdict, culprits, detail) in verdicts(check([target])).items():
        fitting, blamed = what_the_interpreter_shows(name)
        assert verdict in fitting, (name, detail)
        assert blamed <= set(culprits), name


def processes_left():
    """Return processes of the package that still run a moment after the end of the check."""
    for _ in range(300):
        left = [line for line in command_lines() if probe.__file__ in line]
        if not left:
            return []
        time.sleep(0.1)
    return left


# In the environment of every process that these tests start, since other runs may be active.
OURS = f"FTDEMO_TEST_RUN={os.getpid()}"
os.environ["FTDEMO_TEST_RUN"] = str(os.getpid())


def command_lines():
    """List the processes, from /proc where it exists, because a bare machine has no ps."""
    if not Path("/proc/self/cmdline").exists():
        command = ["ps", "-eo", "args"]
        listed = subprocess.run(command, capture_output=True, text=True, check=True)
        yield from listed.stdout.splitlines()
        return
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):  # it has ended, or belongs to another user
            if OURS in path.with_name("environ").read_text(errors="replace"):
                yield path.read_text(errors="replace")


@posix
@pytest.mark.free_threaded
def test_ctrl_c_ends_the_run_with_the_verdicts_so_far(interrupted, package):
    words = ("check", "--json", "--jobs=1", "misbehaving.plain", "misbehaving.hangs")
    later = time.monotonic() + 2
    env = {"PYTHONPATH": str(package)}
    done = interrupted(*words, env=env, when=lambda: time.monotonic() > later)
    assert done.returncode == 2
    assert "interrupted" in done.stderr
    assert verdicts(json.loads(done.stdout)) == {"misbehaving.plain": ("pass", [], "")}
    assert processes_left() == []


@posix
@pytest.mark.free_threaded
def test_children_end_when_the_parent_is_killed(package):
    with subprocess.Popen(
        [sys.executable, "-m", "ftdemo", "check", "misbehaving.hangs"],
        env=os.environ | {"PYTHONPATH": str(package)},
        stdout=subprocess.DEVNULL,
    ) as process:
        time.sleep(2)
        process.kill()
    assert processes_left() == []


@posix
@pytest.mark.free_threaded
def test_reports_name_the_modules_that_enable_the_gil(fresh_python, package, tmp_path):
    summary = tmp_path / "summary.md"
    done = fresh_python(
        *("-m", "ftdemo", "check", "--timeout=2", "misbehaving.legacy", "misbehaving.plain"),
        env={
            "PYTHONPATH": str(package),
            "GITHUB_ACTIONS": "true",
            "GITHUB_STEP_SUMMARY": str(summary),
        },
    )
    assert re.search(r"^misbehaving\.undeclared +2 *$", done.stdout, re.M)
    error = "::error title=The import enables the GIL::importing misbehaving.undeclared"
    assert error in done.stderr
    text = summary.read_text()
    assert "| misbehaving.legacy.inside | fail | misbehaving.undeclared enables" in text
    assert "| misbehaving.legacy | 2 fail |\n| misbehaving.plain | 1 pass |\n" in text


@pytest.mark.all_modules
@pytest.mark.skipif(FREE_THREADED, reason="needs a build with the GIL")
def test_exit_code_3_on_a_build_with_the_gil(fresh_python, schema):
    done = fresh_python("-m", "ftdemo", "check", "--json", "ftdemo")
    result = schema(json.loads(done.stdout))
    assert done.returncode == 3
    assert result["summary"] == {"pass": 0, "fail": 0, "error": 0, "skip": 5}
    assert "Nothing could be checked." in fresh_python("-m", "ftdemo", "check", "ftdemo").stdout
    done = fresh_python("-m", "ftdemo", "check", "rich")  # which has no extension module
    assert done.returncode == 0
    assert "Nothing" not in done.stdout


@pytest.mark.all_modules
def test_check_finds_all_modules_and_reports_progress():
    seen = []
    result = check(["ftdemo"], jobs=1, progress=seen.append)
    (target,) = result["targets"]
    assert target["distribution"] == "ftdemo"
    assert [module["name"] for module in target["modules"]] == [
        "ftdemo._legacy",
        "ftdemo._object_header",
        "ftdemo._ready",
        "ftdemo._single_phase",
        "ftdemo._stress",
    ]
    assert [state["done"] for state in seen] == [0, 1, 2, 3, 4, 5]
    assert {state["total"] for state in seen} == {5}


@pytest.mark.parametrize("name", ["pytest_run_parallel", "PyTest.Run-Parallel", "packaging"])
def test_exit_code_0_when_there_is_no_extension_module(fresh_python, name):
    done = fresh_python("-m", "ftdemo", "check", name)
    assert done.returncode == 0
    assert "no extension module" in done.stdout


@pytest.mark.parametrize("name", ["hypothesiss", "ftdemo._reddy", "no-such-thing", "", "a b", "."])
def test_exit_code_2_when_the_target_does_not_exist(fresh_python, name):
    done = fresh_python("-m", "ftdemo", "check", name)
    assert (done.returncode, done.stdout) == (2, "")
    assert "no installed distribution, package or module" in done.stderr
    if name == "hypothesiss":
        assert "did you mean 'hypothesis'?" in done.stderr


def test_a_dotted_name_is_found_without_importing_its_package(package, monkeypatch):
    monkeypatch.syspath_prepend(package)
    sys.modules.pop("misbehaving", None)
    found = targets.find("misbehaving.broken.inside", package)
    assert [module.name for module in found.modules] == ["misbehaving.broken.inside"]
    assert "misbehaving" not in sys.modules


class TestWheels:
    """A wheel is unpacked, but only if it is valid."""

    @pytest.fixture
    def wheel(self, tmp_path, package):
        from packaging.tags import sys_tags

        def make(name="acme-1.2", tag=None, files=()):
            path = tmp_path / f"{name}-{tag or next(iter(sys_tags()))}.whl"
            with zipfile.ZipFile(path, "w") as archive:
                for source in (package / "misbehaving").glob("plain.*"):
                    archive.write(source, f"acme/{source.name}")
                for entry, content in files:
                    archive.writestr(entry, content)
            return path

        return make

    @pytest.mark.free_threaded
    def test_modules_in_a_wheel_are_checked(self, wheel, schema):
        path = wheel(files=[("acme/__init__.py", "")])
        (target,) = schema(check([str(path)]))["targets"]
        assert (target["distribution"], target["version"]) == ("acme", "1.2")
        assert [(m["name"], m["verdict"]) for m in target["modules"]] == [("acme.plain", "pass")]

    def test_skip_when_the_wheel_is_for_another_interpreter(self, wheel):
        path = wheel(tag="cp39-cp39-win32", files=[("acme/x.cp39-win32.pyd", "")])
        result = check([str(path)])
        for module in result["targets"][0]["modules"]:
            assert module["verdict"] == "skip"
            assert module["detail"] == "this wheel is for cp39-cp39-win32"
        assert result["summary"]["skip"] == 2

    def test_no_path_leaves_the_wheel(self, wheel, tmp_path):
        link = zipfile.ZipInfo("acme/link")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        path = wheel(files=[("../a", ""), (f"{tmp_path}/b", ""), ("c/../../d", ""), (link, "/")])
        unpack_to = tmp_path / "deep" / "deeper"
        unpack_to.mkdir(parents=True)
        targets.find(str(path), unpack_to)
        made = [found for found in tmp_path.rglob("*") if found.is_file()]
        assert len(made) == 6  # the wheel, plain, a, b, d and the link
        assert all(unpack_to in found.parents for found in made if found != path)
        assert not any(found.is_symlink() for found in made)

    def test_target_error_when_a_file_is_not_a_wheel(self, tmp_path):
        (tmp_path / "acme-1-py3-none-any.whl").write_text("no zip file")
        for name in ("acme-1-py3-none-any.whl", "acme.whl", "acme-2-py3-none-any.whl"):
            with pytest.raises(TargetError):
                targets.find(str(tmp_path / name), tmp_path)


@pytest.mark.free_threaded
class TestPytestPlugin:
    """pytest --ftdemo-check=TARGET."""

    def run(self, fresh_python, tmp_path, *arguments):
        return fresh_python(
            *("-m", "pytest", "-p", "no:cacheprovider", "-rs", f"--rootdir={tmp_path}"),
            *("-c", os.devnull, *arguments, str(tmp_path)),
        )

    def test_no_tests_are_added_without_the_option_or_a_target(self, fresh_python, tmp_path):
        assert self.run(fresh_python, tmp_path).returncode == 5
        done = self.run(fresh_python, tmp_path, "--ftdemo-check=no-such-thing")
        assert done.returncode == 4
        assert "no-such-thing" in done.stderr

    @pytest.mark.all_modules
    def test_one_test_is_added_per_module(self, fresh_python, tmp_path):
        done = self.run(fresh_python, tmp_path, "--ftdemo-check=ftdemo", "-v")
        assert "1 failed, 4 passed" in done.stdout
        assert "importing it enables the GIL, because of ftdemo._legacy" in done.stdout
        assert "ftdemo-check::ftdemo::ftdemo._ready PASSED" in done.stdout


def test_modules_of_an_editable_namespace_package_are_found(tmp_path, package, monkeypatch):
    """Modules in a folder without __init__.py, of a distribution that does not list its files."""
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "acme" / "deep").mkdir(parents=True)
    for source in (package / "misbehaving").glob("plain.*"):
        shutil.copy(source, tmp_path / "acme" / "deep")
    info = tmp_path / "acme-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: acme\nVersion: 1\n")
    (info / "RECORD").write_text("acme-1.dist-info/METADATA,,\n")
    (info / "direct_url.json").write_text('{"url": "file:///x", "dir_info": {"editable": true}}')
    (info / "top_level.txt").write_text("acme\n")
    found = targets.find("ACME", tmp_path)
    assert (found.distribution, found.version) == ("acme", "1")
    assert [module.name for module in found.modules] == ["acme.deep.plain"]


@posix
@pytest.mark.free_threaded
def test_report_lines_without_the_token_are_ignored(tmp_path):
    """A module that finds the report file can write anything into it, except the secret token."""
    (tmp_path / "forges.py").write_text("""
import glob, os, tempfile
for path in filter(os.path.isfile, glob.glob(f"{tempfile.gettempdir()}/ftdemo-check-*/*")):
    with open(path, "a") as file:
        file.write("[" * 100_000 + '\\n["end",0,true,0,null,[]]\\n0 ["end",0,true,0,null,[]]')
""")
    ((_, result),) = import_alone(tmp_path, "forges")
    assert (result.gil_on, result.raised, result.ending) == (False, None, "")


def import_alone(folder, module):
    path = [str(folder), *sys.path]
    return import_in_child([module], path=path, timeout=30, stop=threading.Event())


def test_the_importing_process_imports_few_modules(tmp_path):
    """A module that forgot an import must fail there, too."""
    program = f"import sys; open({str(tmp_path / 'found')!r}, 'w').write(' '.join(sys.modules))"
    (tmp_path / "looks.py").write_text(program)
    import_alone(tmp_path, "looks")
    found = set((tmp_path / "found").read_text().split())
    bare = set(run_python("-W", "ignore", "-c", "import sys; print(*sys.modules)").stdout.split())
    assert not [
        name for name in found - bare - {"gc", "looks"} if name.split(".")[0] != "importlib"
    ]

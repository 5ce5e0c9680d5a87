""".ci/new_project.py: what it makes is clean, complete and the same each time, or there is nothing.

It is run by nox -s template alone: on one interpreter, with the tools that a new project has.
"""

import ast
import itertools
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tomllib
import zipfile
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parent.parent
SCRIPT = CHECKOUT / ".ci/new_project.py"
TOOLS = Path(sys.executable).parent
if not all(shutil.which(tool, path=TOOLS) for tool in ("ruff", "clang-format", "nox", "uv")):
    pytest.skip("run by nox -s template", allow_module_level=True)

CONCEPTS = ["account", "tickets", "intern", "checksum"]
COMBINATIONS = list(itertools.product(CONCEPTS, ["", "--abi3t"], ["", "--no-legacy"]))
# All that says where the project is from: that it is tested with ftdemo, from PyPI.
DEPENDENCY = {
    "pyproject.toml": '"ftdemo>=0.1"',
    "noxfile.py": 'session.run("ftdemo", "check", "acme")',
}

pytestmark = pytest.mark.thread_unsafe(reason="starts processes, and tmp_path is shared")
combinations = pytest.mark.parametrize(
    "options", COMBINATIONS, ids=lambda o: " ".join(filter(None, o))
)


def new(*arguments, script=SCRIPT, cwd=None):
    """Run the script; give its exit code and what it said."""
    command = [sys.executable, script, *arguments]
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    return done.returncode, done.stderr


def make(folder, options, name="acme"):
    concept, *others = options
    arguments = ["--concept", concept, *filter(None, others), "--author", 'Ann "O" Nymous']
    assert new(name, folder, *arguments) == (0, "")
    return folder


def texts(folder):
    """Give the files of a project by their paths."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_text(encoding="utf-8") for path in files}


def lines(files, pattern):
    """Give each line, with its file, in which a word is found."""
    return [
        (path, line.strip())
        for path, text in files.items()
        for line in [path, *text.splitlines()]
        if re.search(pattern, line, re.I)
    ]


@combinations
def test_nothing_is_left_of_what_was_not_chosen(tmp_path, options):
    concept, abi3t, no_legacy = options
    files = texts(make(tmp_path / "acme", options))
    own = lines(files, "ftdemo")
    assert [path for path, _ in own] == sorted(DEPENDENCY)
    assert all(DEPENDENCY[path] in line for path, line in own)
    others = "|".join(["sum_of_squares", *(c for c in CONCEPTS if c != concept)])
    assert lines(files, f"(?<![a-z])({others})s?(?![a-z])") == []
    if not abi3t:
        assert lines(files, r"abi3|PEP ?803|Py_LIMITED_API|PyModExport|stable ABI") == []
    if no_legacy:
        assert lines(files, r"legacy|\btwins?\b") == []
    assert lines(files, r"<(\w+ )?(abi3t|author|concept|example|legacy|names|summary)>") == []


@combinations
def test_what_is_there_belongs_together(tmp_path, options):
    _, abi3t, no_legacy = options
    files = texts(make(tmp_path / "acme", options))
    trees = {
        path: ast.parse(text) for path, text in files.items() if path.endswith((".py", ".pyi"))
    }
    tomllib.loads(files["pyproject.toml"])
    functions = {
        node.name for node in ast.walk(trees["noxfile.py"]) if isinstance(node, ast.FunctionDef)
    }
    assert {"lint", "tests", "mutants", "tsan", "wheels"} <= functions
    assert ("abi3t" in functions) is bool(abi3t)
    assert ("csrc/legacy/module.c" in files) is not bool(no_legacy)
    sources = {path: text for path, text in files.items() if path.startswith("csrc/")}
    code = "".join(text for path, text in sources.items() if "legacy" not in path)
    for match in re.finditer(
        r"^(?:#define )?(?!PyInit|PyModExport|PyABIInfo|PyDoc)(\w+)\(", code, re.M
    ):
        assert len(re.findall(rf"\b{match[1]}\b", code)) > 1, match[1]  # or it is unused
    for header in {Path(path).name for path in sources if path.endswith(".h")}:
        assert f'#include "{header}"' in code
    names = {n.name for n in trees["src/acme/_ready.pyi"].body if hasattr(n, "name")}
    assert f"__all__ = {sorted(names)}".replace("'", '"') in files["src/acme/__init__.py"]
    patches = [path for path in files if path.endswith(".patch")]
    assert len(patches) > 2
    for path in patches:
        check = re.search(r"^Caught by: (.*?)::(\w+)", files[path], re.M)
        assert check[2] in {getattr(node, "name", "") for node in trees[check[1]].body}
        subprocess.run(["git", "apply", "--check", path], cwd=tmp_path / "acme", check=True)
    assert 'Ann "O" Nymous' in files["LICENSE"]
    assert tomllib.loads(files["pyproject.toml"])["project"]["authors"] == [
        {"name": 'Ann "O" Nymous'}
    ]
    for link in re.findall(r"\]\((?!https:)(.*?)\)", files["README.md"]):
        assert any(path.startswith(link) for path in files), link


def test_the_same_call_gives_the_same_bytes(tmp_path):
    """Also from a copy of what it takes, without git, in a folder with a space in its name."""
    sys.path.insert(0, str(SCRIPT.parent))
    try:
        import new_project_rules as rules
    finally:
        sys.path.remove(str(SCRIPT.parent))
    assert list(rules.CONCEPTS) == CONCEPTS
    copy = tmp_path / "a copy"
    taken = [*rules.FILES, *rules.LEGACY_FILES, ".ci/new_project.py", ".ci/new_project_rules.py"]
    taken += [source for source in rules.FUNCTIONS.values() if "\n" not in source]
    patches = [f"tests/mutants/{path.name}" for path in CHECKOUT.glob("tests/mutants/*.patch")]
    for path in [*patches, *(path.replace("CONCEPT", c) for path in taken for c in CONCEPTS)]:
        (copy / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(CHECKOUT / path, copy / path)
    first = make(tmp_path / "first", ("account", "--abi3t"))
    arguments = ("acme", "second", "--concept=account", "--abi3t", '--author=Ann "O" Nymous')
    assert new(*arguments, script=copy / ".ci/new_project.py", cwd=tmp_path) == (0, "")
    assert texts(tmp_path / "second") == texts(first)
    if os.name == "posix":
        runnable = [path for path in texts(first) if os.access(first / path, os.X_OK)]
        assert runnable == [path for path in texts(first) if os.access(CHECKOUT / path, os.X_OK)]
        assert (tmp_path / "second").stat().st_mode == copy.stat().st_mode


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("2fast", "not a name that Python can import"),
        ("my-package", "not a name that Python can import"),
        ("class", "not a name that Python can import"),
        ("", "not a name that Python can import"),
        ("Acme", "not lower-case"),
        ("çok", "not lower-case"),
        ("two__lines", "not lower-case"),
        ("json", "what Python itself calls so"),
        ("imp", "what Python itself calls so"),
        ("compression", "what Python itself calls so"),
        ("print", "what Python itself calls so"),
        ("pytest", "a module that the project itself needs"),
        ("setuptools", "a module that the project itself needs"),
        ("ftdemo", "a module that the project itself needs"),
    ],
)
def test_a_name_that_will_not_do(tmp_path, name, reason):
    code, said = new(name, tmp_path / "new")
    assert code == 2
    assert reason in said
    assert len(said.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_will_not_do(tmp_path):
    (tmp_path / "there").mkdir()
    assert new("acme", tmp_path / "there")[0] == 2
    (tmp_path / "file").touch()
    code, said = new("acme", tmp_path / "file")
    assert (code, "exists already" in said) == (2, True)
    assert new("acme", tmp_path / "file" / "new")[0] == 2
    assert new("acme", tmp_path / "no" / "new")[0] == 2
    assert new("acme", tmp_path / "new", "--concept", "work")[0] == 2
    assert new("acme", tmp_path / "new", "--author", "two\nlines")[0] == 2
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["file", "there"]


@pytest.fixture
def script(monkeypatch):
    """The script as a module."""
    monkeypatch.syspath_prepend(SCRIPT.parent)
    monkeypatch.delitem(sys.modules, "new_project", raising=False)
    import new_project

    return new_project


def test_an_interrupt_leaves_nothing(tmp_path, monkeypatch, script):
    written = []

    def interrupt(path, *_):
        written.extend(tmp_path.rglob("*.c"))
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "rename", interrupt)
    monkeypatch.setattr(sys, "argv", ["new_project.py", "acme", str(tmp_path / "new")])
    with pytest.raises(KeyboardInterrupt):
        script.main()
    assert written
    assert list(tmp_path.iterdir()) == []


def test_a_rule_that_fits_no_more_is_an_error(tmp_path, monkeypatch, capsys, script):
    read = script.read
    monkeypatch.setattr(
        script, "read", lambda path: read(path).replace("Development Status", "Status")
    )
    monkeypatch.setattr(sys, "argv", ["new_project.py", "acme", str(tmp_path / "new")])
    assert script.main() == 2
    assert "pyproject.toml: 0 places, not one, for the rule 'Development" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


# From here on with tools, and other interpreters.


def python(*versions):
    """The first of these interpreters that is here."""
    return next((version for version in versions if shutil.which(f"python{version}")), None)


def test_all_but_c_is_linted_and_formatted(tmp_path):
    for number, options in enumerate(COMBINATIONS):
        make(tmp_path / f"acme {number}", options)
        make(tmp_path / f"long {number}", options, "a_rather_long_name_for_a_module")
    for command in (["ruff", "check"], ["ruff", "format", "--check"]):
        subprocess.run([TOOLS / command[0], *command[1:], tmp_path], check=True)
    metadata = tmp_path.glob("*/pyproject.toml")
    subprocess.run([TOOLS / "validate-pyproject", *metadata], check=True)
    workflows = tmp_path.glob("*/.github")
    subprocess.run([TOOLS / "zizmor", "--offline", "--pedantic", "--quiet", *workflows], check=True)


def test_c_is_formatted_and_compiles_without_a_warning(tmp_path):
    compiler = shutil.which("gcc") or shutil.which("clang") or pytest.skip("no compiler to ask")
    flags = ["-Wall", "-Wextra", "-Werror", "-Icsrc", f"-I{sysconfig.get_path('include')}"]
    for number, options in enumerate(COMBINATIONS):
        project = make(tmp_path / f"{number}", options)
        sources = sorted(path.relative_to(project) for path in project.rglob("csrc/**/*.[ch]"))
        form = [TOOLS / "clang-format", "--dry-run", "--Werror", *sources]
        subprocess.run(form, cwd=project, check=True)
        code = [source for source in sources if source.suffix == ".c"]
        subprocess.run([compiler, "-fsyntax-only", *flags, *code], cwd=project, check=True)


@pytest.fixture(scope="module")
def nox(tmp_path_factory):
    """Run nox in a project, with a ftdemo from this checkout instead of PyPI's; give its output."""
    links = tmp_path_factory.mktemp("links")
    foreign = {"UV_PYTHON", "VIRTUAL_ENV", "FTDEMO_WERROR", "PYTHON_GIL"}
    clean = {name: value for name, value in os.environ.items() if name not in foreign}
    subprocess.run(
        [TOOLS / "uv", "build", "-q", "--sdist", "--out-dir", links, CHECKOUT],
        check=True,
        env=clean,
    )

    def run(project, *sessions):
        done = subprocess.run(
            [TOOLS / "nox", "-s", *sessions],
            cwd=project,
            env=clean | {"UV_FIND_LINKS": str(links), "PIP_FIND_LINKS": str(links)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        print(done.stdout)
        assert done.returncode == 0
        ran = re.findall(r"Session (\S+) was (\w+)", done.stdout)
        assert ran == [(session, "successful") for session in sessions]
        return done.stdout

    return run


def test_a_new_project_is_green(tmp_path, nox):
    """Its lint, its wheel, its tests without the GIL and with it, the import check, its mutants."""
    project = make(tmp_path / "acme", ("tickets",))
    threaded = python("3.14t", "3.15t", "3.13t") or pytest.skip("no free-threaded Python is here")
    own = f"{sys.version_info.major}.{sys.version_info.minor}"
    sessions = ["lint", "package", f"tests-{threaded}", f"tests-{own}"]
    output = nox(project, *sessions, *(["mutants"] if threaded != "3.13t" else []))
    tested = re.findall(r"^interpreter: .*, (.*), GIL (\w+)$", output, re.M)
    assert tested == [("free-threaded build", "off"), ("build with the GIL", "on")]
    assert re.search(r"^acme 0\.1\.0  1 pass$", output, re.M)  # by ftdemo check
    assert "mutants, 0 survived" in output or threaded == "3.13t"
    (wheel,) = project.rglob("dist/*.whl")
    with zipfile.ZipFile(wheel) as archive:
        inside = {re.sub(r"\..*", "", name) for name in archive.namelist() if name[:5] == "acme/"}
    assert inside == {"acme/__init__", "acme/_ready", "acme/py"}


def test_one_wheel_for_both_builds(tmp_path, nox):
    if not (python("3.15t") and python("3.15")):
        pytest.skip("needs 3.15t and 3.15")
    output = nox(make(tmp_path / "acme", ("intern", "--abi3t")), "abi3t")
    assert re.findall(r"^interpreter: 3\.15\S+ (.*), GIL (\w+)$", output, re.M) == [
        ("build with the GIL", "on"),
        ("free-threaded build", "off"),
    ]
    assert "acme-0.1.0-cp315-abi3.abi3t-" in output

"""What a project that new_project.py makes has of this one, and what is otherwise there.

A rule fits one place in its file; one that fits none, or two, is an error, and no project is made.
tests/test_new.py makes one with each combination of the options.
"""

from __future__ import annotations

import sys
from typing import NamedTuple

# What one can start from: what it is, and how it is used.
CONCEPTS = {
    "account": (
        "Accounts that many threads may share",
        "a, b = ftdemo.Account(100), ftdemo.Account()\n"
        "ftdemo.transfer(a, b, 30)  # atomic\n"
        "assert ftdemo.total(a, b) == 100  # at any time\n",
    ),
    "tickets": (
        "An iterator that many threads may share",
        "tickets = ftdemo.Tickets(stop=3)\n"
        "assert list(tickets) == [0, 1, 2]  # each once, whoever asks\n",
    ),
    "intern": (
        "One object for all equal keys, for many threads",
        'first = ftdemo.intern("".join(["one", " key"]))\n'
        'assert ftdemo.intern("one key") is first\n',
    ),
    "checksum": (
        "A checksum that many threads may update",
        "checksum = ftdemo.Checksum()\n"
        'checksum.update(b"abc")  # goes in whole\n'
        "assert checksum.value == 0x24D0127\n",
    ),
}
DEFAULT = "tickets"

# CONCEPT is the one that was chosen.
FILES = [
    *(".ci/wheel_matrix.py", ".github/dependabot.yml", ".github/workflows/ci.yml"),
    *(".github/workflows/wheels.yml", ".clang-format", ".gitignore", ".pre-commit-config.yaml"),
    *("LICENSE", "MANIFEST.in", "noxfile.py", "pyproject.toml", "setup.py"),
    *("csrc/args.h", "csrc/compat.h"),
    *("csrc/ready/CONCEPT.c", "csrc/ready/module.c", "csrc/ready/module.h"),
    *("src/ftdemo/_ready.pyi", "src/ftdemo/py.typed"),
    *("tests/conftest.py", "tests/extension.py", "tests/module.h", "tests/mutants/run.py"),
    *("tests/sanitizers/canary.c", "tests/sanitizers/run.py"),
    *("tests/test_CONCEPT.py", "tests/test_gil_state.py"),
]
LEGACY_FILES = [
    *("csrc/legacy/CONCEPT.c", "csrc/legacy/module.c", "csrc/legacy/module.h"),
    "tests/test_negative_controls.py",
]
SESSIONS = {"lint", "fmt", "tests", "mutants", "asan", "tsan", "package", "wheels"}

# Of every Python that is supported, whichever of them runs this.
STDLIB = {
    *sys.stdlib_module_names,
    *("annotationlib", "compression", "profiling"),  # since 3.14 or 3.15
    *("aifc", "asynchat", "asyncore", "audioop", "cgi", "cgitb", "chunk", "crypt", "distutils"),
    *("imghdr", "imp", "lib2to3", "mailcap", "msilib", "nis", "nntplib", "ossaudiodev", "pipes"),
    *("smtpd", "sndhdr", "spwd", "sre_compile", "sre_constants", "sre_parse", "sunau"),
    *("telnetlib", "uu", "xdrlib"),
    "test",  # which that list leaves out
}


class Change(NamedTuple):
    """A rule for the one place of a file that it fits."""

    old: str  # [...] stands for any text
    new: str | None  # None: what goes is the block whose first line begins with old
    when: str
    after: str  # the first place after this text, where there are several


def put(old: str, new: str, when: str = "", after: str = "") -> Change:
    """Say what is worded otherwise in the new project."""
    return Change(old, new, when, after)


def cut(old: str, when: str = "", after: str = "") -> Change:
    """Say what is not in the new project: a line, all that is indented below, its comment."""
    return Change(old, None, when, after)


# FTdemo is this project's own name, which stays.
CHANGES = {
    ".ci/wheel_matrix.py": [
        put("cibuildwheel, and one more[...]Run it", "cibuildwheel. Run it", "no abi3t"),
        cut("BUILDS_ABI3T = ", "no abi3t"),
        put(" builds, on which runner, and [...].", " builds, and on which runner.", "no abi3t"),
        put("python, _, platform = ", "_, _, platform = ", "no abi3t"),
        put(
            'job = {"only": identifier, "runner": runner, "abi3t": ""}\n[...]append(job)\n',
            'listed.append({"only": identifier, "runner": runner})\n',
            "no abi3t",
        ),
        cut("            if python == BUILDS_ABI3T:", "no abi3t"),
    ],
    ".github/workflows/ci.yml": [
        put("name: mutants, [...]\n", "name: mutants and AddressSanitizer\n"),
        put("- run: nox -s asan\n[...]\n\n", "- run: nox -s asan\n\n"),
        put("sdist, wheel and new projects", "sdist and wheel"),
        cut("      - run: nox -s template"),
    ],
    ".github/workflows/wheels.yml": [
        cut("      - .github/wheels.toml"),
        put("only }}${{ matrix.abi3t && ' abi3t' }}", "only }}", "no abi3t"),
        put("only }}${{ matrix.abi3t && '-abi3t' }}", "only }}", "no abi3t"),
        cut("      FTDEMO_ABI3T: ", "no abi3t"),
        cut("  stable-abi:", "no abi3t"),
        put("needs: [wheel, stable-abi, sdist]", "needs: [wheel, sdist]", "no abi3t"),
        put(":\n      contents: read # to check out\n", ": {}\n", after="  contract:"),
        cut("      - uses: actions/checkout@", after="  contract:"),
        put("pip install . twine", "pip install twine"),
        cut("      - run: ftdemo wheels"),
        put("  contract:\n    name: contract\n", "  release:\n    name: release\n"),
        put("needs: contract", "needs: release"),
    ],
    "LICENSE": [put("The ftdemo authors", "<author>")],
    "MANIFEST.in": [
        put("The sdist is the whole project: who", "Who"),
        put("graft docs\n[...]graft tests", "graft tests"),
        cut("graft .github"),
        cut("include .gitignore"),
        put("CONTRIBUTING.md SECURITY.md ", ""),
    ],
    "csrc/args.h": [put(", the same for both twins.", ".", "no legacy")],
    "csrc/compat.h": [
        put(" and the stable ABI for both builds (PEP 803) lack.", " lack.", "no abi3t"),
        put(
            "version or an ABI that is not about a module's declaration\n * stands here",
            "version that is not about a module's declaration stands\n * here",
            "no abi3t",
        ),
        cut("#define Py_BEGIN_CRITICAL_SECTION2", "no account"),
        cut("#define Py_END_CRITICAL_SECTION2", "no account"),
        put("before that and in the stable ABI, which lacks it, an", "before that an", "no abi3t"),
        cut("#define PY_SSIZE_T_CLEAN"),
        put("Also of 3.13;", "It came with 3.13;", "intern"),
    ],
    "csrc/legacy/module.h": [
        put("Where the public names are imported from; pickle", "Compiled by tests alone; pickle"),
        put('"ftdemo.legacy"', '"_legacy"'),
    ],
    "csrc/ready/module.c": [
        put("/* Two ways to say the same.[...]*/\n", "", "no abi3t"),
        put("Native types that[...]ready for free threading.", "<summary>."),
    ],
    "noxfile.py": [
        cut("nox.options.download_python = "),
        put("Build and install ftdemo with", "Build and install the package with"),
        put("Compile ftdemo for", "Compile the package for"),
        put(
            'env={"FTDEMO_ABI3T": "1", "FTDEMO_WERROR": "1"},',
            'env={\n                "FTDEMO_ABI3T": "1",\n                "FTDEMO_WERROR": "1",\n'
            "            },",
            "abi3t",
        ),
        put(
            "nox.options.sessions = [[...]]",
            'nox.options.sessions = ["lint", "tests", "package", "mutants"]',
            "no abi3t",
        ),
        put(
            "nox.options.sessions = [[...]]",
            'nox.options.sessions = ["lint", "tests", "package", "abi3t", "mutants"]',
            "abi3t",
        ),
        put(', name: str = "environment"', ""),
        put("session.create_tmp()) / name", 'session.create_tmp()) / "environment"'),
        cut('os.environ["PATH"] += '),
        put('*group("lint"), *group("test"), "nox")', '*group("lint"), "nox")'),
        cut('    session.run("pytest", "-q", "tests/test_c_sources.py")'),
        cut("    modules = "),
        put('"stubtest", *([...]))', '"stubtest", "ftdemo._ready")'),
        put(
            'session.run("pytest", *threads, *session.posargs)\n',
            'session.run("pytest", *threads, *session.posargs)\n'
            '    if threads:\n        session.run("FTdemo", "check", "ftdemo")\n',
        ),
        cut('    session.install(*group("lint"), *group("test"), ".")'),
        put(", and see it report the legacy twin.", ".", "no legacy"),
        put(
            "an interpreter that is instrumented, and a file of what CPython suppresses in its "
            "version;\n    without them, provides both.",
            "an interpreter that is instrumented (./configure --with-thread-sanitizer "
            "--disable-gil)\n    and what CPython suppresses in its version "
            "(Tools/tsan/suppressions_free_threading.txt).",
        ),
        put("an interpreter that is built for it, which is provided on Linux", "Linux"),
        put(
            "    if session.posargs:\n        python, suppressions = session.posargs\n"
            '    else:\n[...]tsan.txt")\n',
            "    if len(session.posargs) != 2:\n"
            '        session.error("takes an interpreter and a file: nox --usage tsan")\n'
            "    python, suppressions = session.posargs\n",
        ),
        put('"build[uv]", *group("test"), *group("wheels"), ".[plot]"', '"build[uv]"'),
        cut('    session.run("pytest", "tests/test_release.py")'),
        cut('    session.run("pytest", "tests/test_demos.py"'),
        put("tests/test_account.py", "tests/test_<concept>.py"),
        put(
            '    session.run(str(scripts / "ftdemo"), external=True, env=bare)',
            '    command = (str(scripts / "python"), "-c", "import ftdemo")\n'
            "    session.run(*command, external=True, env=bare)",
        ),
        cut('    session.run(str(scripts / "ftdemo"), "check"'),
        cut('    session.run(str(scripts / "ftdemo"), "wheels"'),
        put('*group("wheels"), "uv", ".")', '*group("wheels"), "uv")'),
        cut("    listed = ", "no abi3t"),
        cut("    identifiers = ", "no abi3t"),
        cut("    stable = ", "no abi3t"),
        cut("    if stable:", "no abi3t"),
        cut("    contract = Path("),
        cut("    contract.write_text("),
        cut('    session.run("ftdemo", "wheels"'),
    ],
    "pyproject.toml": [
        put('"setuptools>=84.2.1"] # the first that knows abi3t', '"setuptools>=77"]', "no abi3t"),
        put('description = "[...]"', 'description = "<summary>."'),
        put('"The ftdemo authors"', "<quoted author>"),
        cut("dependencies = "),
        cut("keywords = "),
        put("Development Status :: 4 - Beta", "Development Status :: 3 - Alpha"),
        cut("[project.optional-dependencies]"),
        cut("[project.scripts]"),
        cut("[project.entry-points.pytest11]"),
        put('"fastjsonschema", ', '"FTdemo>=0.1", '),
        cut('    "tree-sitter=='),
        cut('    "tree-sitter-c=='),
        cut("bench = ["),
        cut('    { env = "FTDEMO_ABI3T" }', "no abi3t"),
        put('"ftdemo", "ftdemo.check", "ftdemo.demo", "ftdemo.demos", "ftdemo.wheels"', '"ftdemo"'),
        cut('"ftdemo.check" = '),
        put("# .github/wheels.toml names the cells; every", "# Every", "abi3t"),
        put("# .github/wheels.toml names[...]cp315t-...\n", "", "no abi3t"),
        put('["csrc", "pyproject.toml", "tests"]', '["pyproject.toml", "tests"]', "no legacy"),
        cut("environment-pass = ", "no abi3t"),
        cut("[[tool.cibuildwheel.overrides]]", "no abi3t"),
        put('"src/ftdemo/{[...]"tests/*" = ', '"tests/*" = '),
        put('"tests/*" = [[...]]', '"tests/*" = ["N806", "SIM105"]', "account"),
        cut('"tests/*" = ', "no account"),
        put("\nfiles = [[...]]", '\nfiles = ["src", "noxfile.py", ".ci/wheel_matrix.py"]'),
        put('["src", ".ci"]', '["src"]'),
        cut("[[tool.mypy.overrides]]"),
    ],
    "setup.py": [
        put("extension modules.", "extension module."),
        put("\n\nWith FTDEMO_ABI3T=1,[...]_ready alone.\n", "", "no abi3t"),
        put(
            "is for the stable ABI of both\nbuilds (PEP 803):[...]_ready alone.",
            "is for the\nstable ABI of both builds (PEP 803): one file for 3.15, 3.15t and "
            "all that come after.",
            "abi3t",
        ),
        put(
            "needs a free-threaded CPython 3.15 or later to build with",
            "needs 3.15t or later",
            "abi3t",
        ),
        put("  # set in CI, where the compiler is known", "  # set in CI"),
        cut("ABI3T = ", "no abi3t"),
        cut("ABI3T_SINCE = ", "no abi3t"),
        cut("        define_macros=", "no abi3t"),
        cut("        py_limited_api=", "no abi3t"),
        cut("class BuildWithoutInit", "no abi3t"),
        put(": the module that ftdemo's public names come from.", "."),
        cut("options = {}", "no abi3t"),
        cut("if ABI3T:", "no abi3t"),
        cut("else:"),
        cut("    cmdclass=", "no abi3t"),
        cut("    options=options", "no abi3t"),
    ],
    "tests/conftest.py": [
        put("the twin under test", "the module", "no legacy"),
        cut("# The wheel for the stable ABI of both"),
        cut("# Found without importing it"),
        cut("ABI3T = "),
        cut("collect_ignore = "),
        cut("def pytest_addoption(", "no legacy"),
        put(
            '(\n        "markers", "race: threads on shared objects; [...]"\n    )',
            '("markers", "race: threads on shared objects")',
            "no legacy",
        ),
        cut('    config.addinivalue_line("markers", "all_modules:'),
        cut('    config.addinivalue_line("markers", "two_cores:', "no legacy"),
        cut('    config.addinivalue_line("markers", "free_threaded:', "no legacy"),
        cut("    abi = "),
        put("GIL {gil}{abi}", "GIL {gil}"),
        cut('    if item.get_closest_marker("free_threaded")', "no legacy"),
        cut('    if item.get_closest_marker("two_cores")', "no legacy"),
        cut('    if item.get_closest_marker("all_modules")'),
        put(' or session.config.getoption("twin") == "legacy"', "", "no legacy"),
        put("import time\n", "import threading\nimport time\n"),
        put("Import ftdemo._ready once more", "Import the extension once more"),
        put("def together(in_threads: InThreads)", "def together()"),
    ],
    "tests/mutants/run.py": [
        put("`test`; the source lint runs on this interpreter.", "`test`."),
        cut("LINT = "),
        put('prefix="ftdemo mutants "', 'prefix="two words "'),
        cut("    if check == LINT:"),
        put('"no:cacheprovider", "-p", "no:ftdemo"', '"no:cacheprovider"'),
        put("        if mutant.check != LINT:\n    ", ""),
    ],
    "tests/sanitizers/run.py": [
        put("and ftdemo compiled", "and it compiled"),
        put('prefix="ftdemo sanitizers "', 'prefix="two words "'),
        put(
            "tests of both twins: no report may name ftdemo, but with ThreadSanitizer and the GIL "
            "forced off, one\nmust name each file of csrc/legacy that has a race.",
            "tests: no report may name what is tested, but with ThreadSanitizer, csrc/legacy and "
            "the GIL forced\noff, one must name the file that has the race.",
            "legacy",
        ),
        put(
            "tests of both twins: no report [...]race.",
            "tests: no report may name what is tested.",
            "no legacy",
        ),
        put("Run the tests of ftdemo:", "Run the tests:"),
        put("report that names ftdemo;", "report that names what is tested;"),
        put("reports that do not name ftdemo", "other reports"),
        put("an interpreter with ftdemo", "an interpreter that has all"),
        put("READY, LEGACY = [...]\n", 'READY = PROJECT / "csrc/ready"\n'),
        cut("RACING = "),
        put('"no:cacheprovider", "-p", "no:ftdemo"', '"no:cacheprovider"'),
        put('[*CONCEPTS, "interpreters"]', "CONCEPTS"),
        put(
            "Run the tests of ftdemo.legacy, which is sound but for its races.",
            "Run the tests of races on csrc/legacy, which has them.",
            "legacy",
        ),
        put(
            '    if sanitizer.which == "address":\n[...]        return\n',
            '    if sanitizer.which == "address":  # which is not about races\n        return\n',
            after="def legacy(",
        ),
        put("for concept in RACING:", "for concept in CONCEPTS:"),
        put("[*ready(sanitizer), *legacy(sanitizer)]", "list(ready(sanitizer))", "no legacy"),
    ],
    "tests/test_gil_state.py": [
        put(", both polarities.", "."),
        cut("all_modules = "),
        *(cut(f'    pytest.param("ftdemo.{name}"') for name in ("_single_phase", "_object_header")),
        *(cut(f'    "ftdemo.{name}",') for name in ("cli", "check", "wheels")),
    ],
    "tests/test_intern.py": [put(" No legacy twin: its cache is static.", "", "no legacy")],
    "tests/test_negative_controls.py": [
        put("concepts = {[...]}\n", 'concepts = {"test_<concept>.py"}\n'),
        put("assert files == concepts  # [...]\n", "assert files == concepts\n"),
    ],
}

# Top-level functions that are others there: the code, or the file that has it.
FUNCTIONS = {
    ("noxfile.py", "free_threaded_python", ""): '''
def free_threaded_python(session: nox.Session) -> str:
    """Give the newest free-threaded interpreter that is here; where there is none, uv gets one."""
    versions = (version for version in reversed(PYTHONS) if version.endswith("t"))
    found = (find_python(session, version) for version in versions)
    return next(filter(None, found), "3.14t")
''',
    ("tests/conftest.py", "twin", "legacy"): '''
@pytest.fixture(scope="session")
def twin(request: pytest.FixtureRequest, compiled: Callable[[str, str], Path]) -> ModuleType:
    """The module whose API is tested, or with --twin=legacy csrc/legacy, compiled for this."""
    if request.config.getoption("twin") == "ready":
        return importlib.import_module("ftdemo")
    sources = sorted(Path(__file__).parent.parent.glob("csrc/legacy/*.c"))
    built = compiled("_legacy", "".join(f'#include "{path.as_posix()}"\\n' for path in sources))
    module = load(importlib.util.spec_from_file_location("_legacy", built))
    return sys.modules.setdefault("_legacy", module)  # where pickle looks
''',
    ("tests/conftest.py", "twin", "no legacy"): '''
@pytest.fixture(scope="session")
def module() -> ModuleType:
    """The module whose API is tested."""
    return importlib.import_module("ftdemo")
''',
    ("tests/conftest.py", "in_threads", ""): "src/ftdemo/threads.py",
}

INIT = '''\
"""<summary>."""

from ftdemo._ready import <names>

__all__ = [<quoted names>]
'''
README = """\
# ftdemo

<summary>: a C extension that is ready for
free-threaded Python. Importing it keeps the GIL off.

```python
import ftdemo

<example>```

## Development

`nox` (or `uvx --with uv nox`) is what a change must pass: lint, the tests on every CPython that is
here or that uv can get, mutants, and an sdist and a wheel that are built, installed and imported.
`nox -l` lists all tasks.

| to see | look at |
|---|---|
| the extension | [csrc/ready](csrc/ready) |
<legacy>| each precaution removed: a test must fail | [tests/mutants](tests/mutants) |
| sanitizers, which must report known faults | [tests/sanitizers](tests/sanitizers) |
| a wheel for each CPython<abi3t> | [wheels.yml](.github/workflows/wheels.yml) |

A release on GitHub publishes to PyPI, once that
[trusts](https://docs.pypi.org/trusted-publishers/) wheels.yml in an environment named `pypi`.
"""
README_LEGACY = """\
| the same without a lock: tests of races must fail | [csrc/legacy](csrc/legacy) |
"""
README_ABI3T = ", and one for all from 3.15 on"
CHANGELOG = """\
# Changelog

The format is that of [Keep a Changelog](https://keepachangelog.com/en/1.1.0/), and versions follow
[Semantic Versioning](https://semver.org/).

## [Unreleased]

### Added

- <names>.
"""

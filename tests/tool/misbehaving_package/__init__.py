"""A package of extension modules that misbehave when they are imported, built by the tests.

MODULES lists how each module is built, which Python code it runs during its initialization, and the
verdict that the import check must give on a free-threaded build.
"""

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

UNDECLARED = "import misbehaving.undeclared"


@dataclass
class Case:
    verdict: str
    culprits: tuple[str, ...] = ()
    detail: str = ""
    code: str = ""
    declares: bool = True
    single_phase: bool = False


MODULES = {
    "plain": Case("pass"),
    "_private": Case("pass"),
    "undeclared": Case("fail", ("undeclared",), declares=False),
    "single_phase": Case("pass", single_phase=True),
    "single_phase_undeclared": Case(
        "fail", ("single_phase_undeclared",), declares=False, single_phase=True
    ),
    "imports_undeclared": Case("fail", ("undeclared",), code=UNDECLARED),
    "imports_two": Case(
        "fail",
        ("undeclared", "single_phase_undeclared"),
        code=f"{UNDECLARED}\nimport misbehaving.single_phase_undeclared, misbehaving.plain",
    ),
    "undeclared_too": Case(
        "fail", ("undeclared_too", "undeclared"), code=UNDECLARED, declares=False
    ),
    "silences": Case(
        "fail",
        ("undeclared",),
        code=f"""
import warnings
warnings.simplefilter("ignore")
warnings.warn = warnings.warn_explicit = print
{UNDECLARED}
""",
    ),
    "patches": Case(
        "fail",
        ("undeclared",),
        code=f"""
import builtins, io, json, os, sys, time
sys._is_gil_enabled = lambda: False
sys.stdout = sys.stderr = io.StringIO()
os.environ.clear()
os.environ["PYTHON_GIL"] = "0"
{UNDECLARED}
json.dumps = os.open = os.write = os.getpid = builtins.open = lambda *a, **k: 1
time.perf_counter = lambda: 0
""",
    ),
    "closes": Case(
        "fail", ("undeclared",), code=f"import os\nos.closerange(0, 9999)\n{UNDECLARED}"
    ),
    "closes_and_is_fine": Case("pass", code="import os\nos.closerange(0, 9999)"),
    "forges": Case(
        "pass",
        code="""
import os
for descriptor in range(20):
    try:
        os.write(descriptor, b"# loading module 'plain', which requires the GIL\\n")
        os.write(descriptor, b'["", "end", 0, true, 0, null, []]\\n0\\n')
    except OSError:
        pass
""",
    ),
    "warns_and_raises": Case(
        "fail",
        ("undeclared",),
        detail="raised RuntimeWarning: The global interpreter lock (GIL) has been enabled",
        code=f"import warnings\nwarnings.simplefilter('error')\n{UNDECLARED}",
    ),
    "segfaults": Case(
        "error", detail="killed by SIGSEGV", code="import os\nos.kill(os.getpid(), 11)"
    ),
    "aborts": Case("error", detail="killed by SIGABRT", code="import os\nos.abort()"),
    "exits": Case(
        "error", detail="exited with status 0 during the import", code="import os\nos._exit(0)"
    ),
    "hangs": Case(
        "error",
        detail="timed out after 2 s",
        code="import signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\ntime.sleep(600)",
    ),
    "quits": Case("error", detail="raised SystemExit: 3", code="raise SystemExit(3)"),
    "interrupts": Case("error", detail="raised KeyboardInterrupt", code="raise KeyboardInterrupt"),
    "bad_message": Case(
        "error",
        detail="raised Bad: (its message could not be read)",
        code="class Bad(Exception):\n    def __str__(self):\n        raise SystemExit\nraise Bad",
    ),
    "forks": Case(
        "pass",
        detail="(forked during the import)",
        code=f"import os\nif os.fork() == 0:\n    {UNDECLARED}",
    ),
    "leaves_a_process": Case(
        "pass", code="import os, time\nif os.fork() == 0:\n    time.sleep(600)"
    ),
    "misses": Case(
        "skip",
        detail="raised ModuleNotFoundError: No module named 'a_dependency'",
        code="import a_dependency.inside",
    ),
    "misses_its_own": Case(
        "error",
        detail="raised ModuleNotFoundError: No module named 'misbehaving.nothing'",
        code="import misbehaving.nothing",
    ),
    "namespace.inside": Case("pass"),
    "broken.inside": Case(
        "error", detail="importing misbehaving.broken: raised ValueError: as broken as can be"
    ),
    "legacy.inside": Case(
        "fail", ("undeclared",), detail="importing misbehaving.legacy already enables the GIL"
    ),
    "legacy.undeclared_inside": Case(
        "fail",
        ("undeclared", "legacy.undeclared_inside"),
        detail="importing misbehaving.legacy already enables the GIL",
        declares=False,
    ),
}
PACKAGES = {
    "": "",
    "broken": "raise ValueError('as broken as can be')",
    "legacy": UNDECLARED,
}
SETUP = """
import json, sys
from setuptools import Extension, setup
setup(name="misbehaving", packages=[], script_args=["-q", "build_ext", "--inplace"],
      ext_modules=[Extension(name, ["module.c"], define_macros=[(k, v) for k, v in macros])
                   for name, macros in json.loads(sys.argv[1])])
"""


def build(folder: Path) -> None:
    """Build the package in folder, for the running interpreter."""
    import json

    (folder / "module.c").write_bytes(Path(__file__).with_name("module.c").read_bytes())
    extensions = []
    for name, case in MODULES.items():
        macros: list[tuple[str, str | None]] = [("NAME", name.rpartition(".")[2])]
        macros += [("DECLARES", None)] if case.declares else []
        macros += [("SINGLE_PHASE", None)] if case.single_phase else []
        path = folder / "misbehaving" / name.replace(".", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        if case.code:
            (path.parent / f"code_{name}.py").write_text(case.code)
            macros.append(("BEHAVES", f"misbehaving.code_{name}"))
        extensions.append((f"misbehaving.{name}", macros))
    for name, code in PACKAGES.items():
        (folder / "misbehaving" / name / "__init__.py").write_text(code)
    # A library that is not a module, and a module for another interpreter.
    (folder / "misbehaving/library.so").write_bytes(b"no init function in here")
    (folder / "misbehaving/other.cpython-39-x86_64-linux-gnu.so").write_bytes(b"")
    subprocess.run(
        [sys.executable, "-c", SETUP, json.dumps(extensions)],
        cwd=folder,
        check=True,
        capture_output=True,
        timeout=240,
    )

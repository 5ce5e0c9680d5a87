"""Each task of a developer is a session. These two commands are what a change must pass:

tools/nox           Run the tests on every interpreter that is installed, of CPython 3.11 to 3.15,
                    with the GIL and without. Where none is free-threaded, it gets one first.
tools/nox -t rest   Run everything else, which takes longer: lint, packages, mutants, sanitizers,
                    stress, new projects, and the benchmarks in short.

Both end with a line for each session, and say why one was skipped. `tools/nox -s NAME` runs one
session, and what follows `--` goes to it. With uv, `uvx --with uv nox` is the same as `tools/nox`.
"""

import ctypes
import hashlib
import os
import shutil
import sys
import tarfile
import tempfile
from collections.abc import Sequence
from pathlib import Path

import nox

nox.needs_version = ">=2026.4"
nox.options.default_venv_backend = "uv|venv"
nox.options.download_python = "never"  # what is missing is skipped by name; see provide()
nox.options.error_on_missing_interpreters = False
nox.options.sessions = ["provide", "tests"]
REST = ["rest"]  # the tag of what `tools/nox -t rest` runs

PROJECT = nox.project.load_toml("pyproject.toml")
PYTHONS = ["3.13t", *nox.project.python_versions(PROJECT)]  # 3.14t and 3.15t are among them
FREE_THREADED = [version for version in PYTHONS if version.endswith("t")]
C_SOURCES = sorted(str(path) for path in Path("csrc").rglob("*.[ch]"))

# Where tools/provide_python.py puts what it builds.
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "ftdemo"
os.environ["PATH"] += os.pathsep + str(Path(os.environ.get("FTDEMO_CACHE") or CACHE) / "bin")


STRESS_SKIPPED = 77
VERSION = "import sys; print('%d.%d' % sys.version_info[:2])"


def group(name: str) -> tuple[str, ...]:
    return nox.project.dependency_groups(PROJECT, name)


def install_ftdemo(session: nox.Session) -> None:
    """Build and install ftdemo with the compiler's warnings as errors."""
    session.install(".", env={"FTDEMO_WERROR": "1"})


def free_threaded_python(session: nox.Session, *options: str) -> str:
    """Give the path of a free-threaded interpreter: one that is there, else one made for this."""
    provide = (sys.executable, "tools/provide_python.py", *options)
    path = session.run(*provide, external=True, silent=True, stderr=sys.stderr)
    assert isinstance(path, str)
    return path.strip()


def fresh_environment(session: nox.Session, python: str, name: str = "environment") -> Path:
    """Make an empty virtual environment of the interpreter at path python; gives its scripts."""
    where = Path(session.create_tmp()) / name
    shutil.rmtree(where, ignore_errors=True)
    session.run(sys.executable, "-m", "uv", "venv", "-q", "-p", python, str(where), external=True)
    return where / ("Scripts" if os.name == "nt" else "bin")


def find_python(session: nox.Session, version: str) -> str | None:
    """Find the interpreter of a version such as 3.15t, if it is here."""
    found = session.run(
        *(sys.executable, "-m", "uv", "python", "find", "--no-project", "--system"),
        *("--no-python-downloads", version),
        external=True,
        silent=True,
        success_codes=[0, 2],
    )
    path = str(found).strip()
    return path if Path(path).exists() else None


def install_into(session: nox.Session, scripts: Path, *what: str) -> None:
    session.run(
        *(sys.executable, "-m", "uv", "pip", "install", "-q"),
        *("--python", str(scripts / "python"), *what),
        external=True,
    )


@nox.session(python=False)
def provide(session: nox.Session) -> None:
    """See to it that there is a free-threaded interpreter, and say which."""
    session.log(f"free-threaded: {free_threaded_python(session)}")


@nox.session(python=False)
def demo(session: nox.Session) -> None:
    """Build ftdemo for a free-threaded interpreter and run its import check: start here."""
    scripts = fresh_environment(session, free_threaded_python(session))
    install_into(session, scripts, ".")
    session.run(str(scripts / "ftdemo"), *session.posargs, external=True)


@nox.session(tags=REST)
def lint(session: nox.Session) -> None:
    """Check style, types, stubs, metadata and workflows."""
    session.install(*group("lint"), *group("test"), "nox")
    install_ftdemo(session)
    session.run("ruff", "check")
    session.run("ruff", "format", "--check")
    session.run("clang-format", "--dry-run", "--Werror", *C_SOURCES)
    session.run("ftdemo", "lint", "--strict", "--select", "all", "csrc/ready")
    session.run("ftdemo", "lint", "--strict", "csrc/stress.c", "csrc/single_phase.c")
    session.run("pytest", "-q", "tests/tool/test_lint.py")
    session.run("mypy")
    modules = ("_ready", "_legacy", "_single_phase", "_object_header", "_stress")
    session.run("stubtest", *(f"ftdemo.{module}" for module in modules))
    session.run("validate-pyproject", "pyproject.toml")
    session.run("zizmor", "--offline", "--pedantic", "--quiet", ".github")
    session.run("actionlint")


@nox.session
def guarantees(session: nox.Session) -> None:
    """Write docs/guarantees.md anew, from docstrings and mutants."""
    session.install(".")
    session.run("python", "tools/guarantees.py")


@nox.session(name="lint-real")
def lint_real(session: nox.Session) -> None:
    """Lint real sources: nox -s lint-real -- FOLDER... (the figures in docs/lint.md).

    For each folder, findings by rule, for each 1,000 lines, and lines a second. Two folders
    NAME-before and NAME-after are a pair: what of the first is gone in the second.
    """
    session.install(".[lint]")
    session.run("python", "tests/tool/lint_real.py", *session.posargs)


@nox.session(name="format")
def fmt(session: nox.Session) -> None:
    """Format Python and C in place."""
    session.install(*group("lint"))
    session.run("ruff", "check", "--fix-only")
    session.run("ruff", "format")
    session.run("clang-format", "-i", *C_SOURCES)


@nox.session(python=PYTHONS)
def tests(session: nox.Session) -> None:
    """Run the tests on this interpreter; without the GIL, in eight threads a test."""
    # hypothesis has Rust in it, and wheels for 3.14t on; 3.13t gets the last one without.
    session.install("--only-binary=hypothesis", *group("test"))
    install_ftdemo(session)
    threads = ["--parallel-threads=8"] if str(session.python).endswith("t") else []
    session.run("pytest", *threads, *session.posargs)


@nox.session(python=FREE_THREADED, requires=["provide"], tags=REST)
def mutants(session: nox.Session) -> None:
    """Remove one precaution at a time from csrc/ready, and see the test fail that is named for it.

    Takes the arguments of tests/mutants/run.py: --repeat N, and names.
    """
    dependencies = PROJECT["project"]["dependencies"]
    session.install("--only-binary=hypothesis", *group("test"), *dependencies)
    # The source lint's parser has no wheels for free-threaded builds: it runs on nox's Python.
    linter = fresh_environment(session, sys.executable)
    install_into(session, linter, *group("lint"), *group("test"), ".")
    run = (str(linter / "python"), "tests/mutants/run.py", "--python", f"{session.bin}/python")
    session.run(*run, *session.posargs, external=True)


SANITIZERS = {
    "address": "-fsanitize=address,undefined -fno-sanitize-recover=undefined",
    "thread": "-fsanitize=thread",
}


def sanitize(session: nox.Session, which: str, python: str, *options: str) -> None:
    """Compile ftdemo for this interpreter with a sanitizer, and run its tests."""
    flags = SANITIZERS[which]
    # To setuptools, these are instead of the interpreter's own, -fsanitize=thread among them. With
    # bytecode, since an instrumented interpreter takes half a minute to compile pytest's modules.
    env = {"CFLAGS": f"-g -O1 {flags}", "LDFLAGS": flags, "PYTHONDONTWRITEBYTECODE": ""}
    dist = Path(session.create_tmp()) / "dist"
    shutil.rmtree(dist, ignore_errors=True)
    build = (sys.executable, "-m", "uv", "build", "-q", "--python", python, "--out-dir", str(dist))
    session.run(*build, env=env, external=True)  # from an sdist: without objects built before
    (wheel,) = dist.glob("*.whl")
    scripts = fresh_environment(session, python)
    install_into(session, scripts, "--only-binary=hypothesis", *group("test"), str(wheel))
    run = (sys.executable, "tests/sanitizers/run.py", which, "--python", str(scripts / "python"))
    session.run(*run, *options, env=env, external=True)


@nox.session(python=False, tags=REST)
def asan(session: nox.Session) -> None:
    """Run the tests of the C code under AddressSanitizer and UndefinedBehaviorSanitizer.

    On a build with the GIL, where every allocation is seen, and on a free-threaded one. Takes
    interpreters; without any, those of nox and of `nox -s demo`.
    """
    if sys.platform != "linux":
        session.skip("needs gcc's libraries")
    for python in session.posargs or [sys.executable, free_threaded_python(session)]:
        sanitize(session, "address", python)


@nox.session(python=False, tags=REST)
def tsan(session: nox.Session) -> None:
    """Run the tests of the C code under ThreadSanitizer, and see it report the legacy twin.

    Takes an interpreter that is instrumented, and a file of what CPython suppresses in its version;
    without them, provides both.
    """
    if sys.platform != "linux":
        session.skip("needs an interpreter that is built for it, which is provided on Linux")
    # ThreadSanitizer fails where the kernel moves addresses too far: ADDR_NO_RANDOMIZE, inherited.
    ctypes.CDLL(None).personality(0x0040000)
    if session.posargs:
        python, suppressions = session.posargs
    else:
        python = free_threaded_python(session, "--sanitizer", "thread")
        suppressions = str(Path(python).resolve().parent.parent / "share/tsan.txt")
    sanitize(session, "thread", python, "--suppressions", suppressions)


@nox.session(python=False, tags=REST)
def stress(session: nox.Session) -> None:
    """Stress ftdemo's own types, then run each script in tests/stress: so many seconds each, 5."""
    scripts = fresh_environment(session, free_threaded_python(session))
    install_into(session, scripts, ".")
    seconds = session.posargs[0] if session.posargs else "5"
    own = (str(scripts / "ftdemo"), "stress", "--seconds", seconds)
    session.run(*own, "ftdemo._ready", "ftdemo._stress", external=True, success_codes=[0, 3])
    session.run(*own, "ftdemo._legacy", external=True, success_codes=[1, 3])
    for script in sorted(Path("tests/stress").glob("*.py")):
        if script.stem != "common":
            command = (str(scripts / "python"), str(script), seconds)
            session.run(*command, external=True, success_codes=[0, STRESS_SKIPPED])


@nox.session(python=False)
def bench(session: nox.Session) -> None:
    """Measure ftdemo beside its peers: on a machine that does nothing else for ten minutes.

    `-- --publish` also writes what was measured to where the documents quote it.
    """
    measure(session, "numpy", "scipy", report=session.posargs)


@nox.session(python=False, tags=REST)
def smoke(session: nox.Session) -> None:
    """Run the benchmarks so briefly that all that can be learned is whether they run."""
    measure(session, quick=True)


def measure(
    session: nox.Session, *packages: str, quick: bool = False, report: Sequence[str] = ()
) -> None:
    """Run benchmarks/run.py, for the builds that are here of the version that the goals are for."""
    free = find_python(session, "3.14t") or free_threaded_python(session)
    asked = session.run(free, "-c", VERSION, external=True, silent=True)
    with_gil = find_python(session, str(asked).strip())
    scripts = with_peers(session, free, "free", *packages)
    options = ["--quick"] if quick else ["--packages", *packages]
    if with_gil:
        options += ["--with-gil", str(with_peers(session, with_gil, "gil") / "python")]
    pair = [path for version in ("3.15", "3.15t") if (path := find_python(session, version))]
    if len(pair) == 2 and not quick:
        environments = [fresh_environment(session, path, Path(path).name) for path in pair]
        for each in environments:
            install_into(session, each, ".")
        options += ["--pair", *(str(each / "python") for each in environments)]
    result = Path(session.create_tmp()) / "results.json"
    python = str(scripts / "python")
    session.run(python, "benchmarks/run.py", *options, "-o", str(result), external=True)
    if "--publish" in report:
        install_into(session, scripts, *PROJECT["project"]["optional-dependencies"]["plot"])
    session.run(python, "benchmarks/report.py", str(result), *report, external=True)


def with_peers(session: nox.Session, python: str, name: str, *packages: str) -> Path:
    """Make an environment with ftdemo and what it is compared with."""
    scripts = fresh_environment(session, python, name)
    install_into(session, scripts, "--compile-bytecode", *group("bench"), *packages, ".")
    # Without isolation, so that the toolkits are those that were pinned.
    install_into(session, scripts, "--no-build-isolation", "./benchmarks/peers")
    session.run(str(scripts / "python"), "-m", "peers.contract", external=True)
    return scripts


REAL_PACKAGES = [
    "numpy",
    "scipy",
    "pandas",
    "lxml",
    "cryptography",
    "pydantic-core",
    "pyyaml",
    "matplotlib",
    "scikit-learn",
    "scikit-image",
    "aiohttp",
]


@nox.session(python=["3.14t", "3.15t"])
def real(session: nox.Session) -> None:
    """Check real packages from PyPI, and compare with fresh interpreters: the table in the docs."""
    # 0.26 is what four modules bring the GIL back in; 0.27 is the first with wheels for 3.15t.
    pin = "scikit-image<0.27" if session.python == "3.14t" else "scikit-image>=0.27.0rc1"
    session.install("--only-binary=scikit-image", *group("test"), *REAL_PACKAGES, pin)
    install_ftdemo(session)
    session.run("ftdemo", "check", *REAL_PACKAGES, success_codes=[1])  # some bring the GIL back
    session.run(
        *("pytest", "tests/tool/test_check.py", "-k", "real_packages", *session.posargs),
        env={"FTDEMO_REAL_PACKAGES": " ".join(REAL_PACKAGES)},
    )


@nox.session(tags=REST)
def package(session: nox.Session) -> None:
    """Build the sdist and from it a wheel; install that where there is no compiler, and run it.

    Takes a folder to put them in. The wheel is built offline, as those who repackage do.
    """
    session.install("build[uv]", *group("test"), *group("wheels"), ".[plot]")
    session.run("pytest", "tests/test_release.py")
    session.run("pytest", "tests/tool/test_demo.py", "-k", "plot")
    python = free_threaded_python(session)
    temporary = Path(session.create_tmp())
    dist = Path(session.posargs[0]) if session.posargs else temporary / "dist"
    shutil.rmtree(dist, ignore_errors=True)
    session.run("python", "-m", "build", "--installer=uv", "--sdist", "--outdir", str(dist))
    (sdist,) = dist.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    missing = {"tests/extension/test_account.py", "csrc/compat.h", "noxfile.py", "LICENSE"} - names
    if missing:
        session.error(f"{sdist.name} lacks {missing}")
    builder = fresh_environment(session, python)
    install_into(session, builder, *PROJECT["build-system"]["requires"])
    session.run(
        *(sys.executable, "-m", "uv", "build", "-q", "--wheel", "--offline"),
        *("--no-build-isolation", "--python", str(builder / "python")),
        *("--out-dir", str(dist), str(sdist)),
        external=True,
    )
    (wheel,) = dist.glob("*.whl")
    scripts = fresh_environment(session, python)
    install_into(session, scripts, str(wheel))
    bare = {"PATH": str(scripts), "CC": "false"}
    session.run(str(scripts / "ftdemo"), external=True, env=bare)
    session.run(str(scripts / "ftdemo"), "check", "ftdemo._ready", external=True, env=bare)
    session.run(str(scripts / "ftdemo"), "wheels", str(dist), external=True, env=bare)


@nox.session(tags=REST)
def template(session: nox.Session) -> None:
    """See template/ through, and a project that `ftdemo new` makes: all that a user can run.

    That is their lint, their tests with the GIL and without, stress, workflows and an sdist.
    """
    session.install(*group("lint"), "nox", "uv")
    # Outside of .nox, which ruff leaves out; and another each time, since uv remembers wheels.
    with tempfile.TemporaryDirectory() as temporary:
        see_template_through(session, Path(temporary))


def see_template_through(session: nox.Session, temporary: Path) -> None:
    free = find_python(session, "3.14t") or free_threaded_python(session)
    dist = temporary / "dist"
    build = (sys.executable, "-m", "uv", "build", "-q")
    versions = []
    for python in (sys.executable, free):
        wheel = ("--wheel", "--python", python, "--out-dir", str(dist))
        session.run(*build, *wheel, external=True)
        asked = session.run(python, "-c", VERSION, external=True, silent=True)
        versions.append(str(asked).strip())
    with_gil, without = versions
    sessions = ("lint", f"tests-{with_gil}", f"tests-{without}t", f"stress-{without}t")
    this_version = f"ftdemo=={PROJECT['project']['version']}"
    scripts = fresh_environment(session, free)
    install_into(session, scripts, "--find-links", str(dist), this_version)
    new = (str(scripts / "ftdemo"), "new")

    # Neither a short name nor a long one has to be formatted otherwise.
    for name in ("x", "a" * 30):
        folder = str(temporary / name)
        session.run(*new, name, folder, external=True, silent=True)
        session.run("ruff", "check", folder)
        session.run("ruff", "format", "--check", folder)
        session.run("clang-format", "--dry-run", "--Werror", f"{folder}/csrc/_core.c")

    project = temporary / "with space" / "my-lib"
    session.run(*new, "my-lib", str(project), external=True)
    constraint = temporary / "constraint.txt"
    constraint.write_text(f"{this_version}\n", encoding="utf-8")
    # The wheels that were just built, not what PyPI has; and nothing of this session's environment.
    env = {"UV_FIND_LINKS": str(dist), "UV_CONSTRAINT": str(constraint)}
    own = {"UV_PYTHON": None, "VIRTUAL_ENV": None}
    for root in (Path("template").resolve(), project):
        with session.chdir(root):
            inner = ("nox", "--error-on-missing-interpreters", "-s", *sessions)
            session.run(*inner, env={**env, **own})
            session.run("zizmor", "--offline", "--pedantic", "--quiet", ".github")
            session.run("actionlint", *map(str, Path(".github/workflows").glob("*.yml")))
            # The sdist, and from it a wheel.
            session.run(*build, "--out-dir", str(temporary / "built"), external=True)


@nox.session(tags=REST)
def cross(session: nox.Session) -> None:
    """Compile the C sources for Windows and macOS, with warnings as errors. Nothing is linked."""
    session.install("ziglang==0.17.1")
    provide = (sys.executable, "tools/provide_python.py")
    found = session.run(*provide, "--headers", external=True, silent=True, success_codes=[0, 1])
    folder = str(found).strip().splitlines()[-1]
    if not Path(folder, "Include").exists():
        session.skip("there are no headers of CPython for Windows here")
    windows = [f"-I{folder}/Include", f"-I{folder}/PC"]
    ask = "import sysconfig; print(sysconfig.get_path('include'))"
    here = session.run(
        *(free_threaded_python(session), "-c", ask), external=True, silent=True, stderr=sys.stderr
    )
    posix = [f"-I{str(here).strip()}"]
    targets = [
        ("x86_64-windows-gnu", windows),
        ("x86_64-windows-gnu", [*windows, "-DPy_GIL_DISABLED=1"]),
        # The free-threaded build asks an intrinsic of MSVC's for the thread there.
        ("aarch64-windows-gnu", windows),
        ("x86_64-macos", posix),
        ("aarch64-macos", posix),
    ]
    flags = ["-c", "-O2", "-Wall", "-Wextra", "-Werror", "-Icsrc"]
    objects = Path(session.create_tmp())
    for target, includes in targets:
        for source in (name for name in C_SOURCES if name.endswith(".c")):
            out = objects / f"{target}-{source.replace(os.sep, '-')}.o"
            session.run(
                *("python", "-m", "ziglang", "cc", "-target", target, *flags, *includes),
                *(source, "-o", str(out)),
                silent=True,
            )
    session.log(f"compiled for {', '.join(dict.fromkeys(target for target, _ in targets))}")


@nox.session(python=False, tags=REST)
def abi3t(session: nox.Session) -> None:
    """Test the wheel for the stable ABI of both builds: the very same file on 3.15 and 3.15t.

    Takes the wheel; without one, it is built here, which needs 3.15t.
    """
    pythons = {version: find_python(session, version) for version in ("3.15", "3.15t")}
    if session.posargs:
        (wheel,) = map(Path, session.posargs)
    else:
        builder = pythons["3.15t"] or session.skip("there is no 3.15t, which builds the wheel")
        dist = Path(session.create_tmp()) / "dist"
        shutil.rmtree(dist, ignore_errors=True)
        session.run(
            *(sys.executable, "-m", "uv", "build", "-q", "--wheel"),
            *("--python", builder, "--out-dir", str(dist)),
            env={"FTDEMO_ABI3T": "1", "FTDEMO_WERROR": "1"},
            external=True,
        )
        (wheel,) = dist.glob("*.whl")
    session.log(f"{wheel.name} SHA-256 {hashlib.sha256(wheel.read_bytes()).hexdigest()}")
    for version, python in pythons.items():
        if python is None:
            continue
        scripts = fresh_environment(session, python)
        install_into(session, scripts, *group("test"), str(wheel))
        threads = ["--parallel-threads=8"] if version.endswith("t") else []
        session.run(str(scripts / "python"), "-m", "pytest", *threads, external=True)
    missing = [version for version, python in pythons.items() if python is None]
    if missing:
        tell = session.error if session.posargs else session.skip
        tell(f"there is no {' and no '.join(missing)}: not tested there")


@nox.session
def wheels(session: nox.Session) -> None:
    """Build and test the wheels for this architecture, as in CI; needs docker or podman on Linux.

    CIBW_BUILD and all other settings of cibuildwheel apply. The wheels are left in wheelhouse/.
    """
    on_linux = sys.platform == "linux"
    if on_linux and "CIBW_CONTAINER_ENGINE" not in os.environ:
        engine = shutil.which("docker") or shutil.which("podman")
        if engine is None:
            session.error("there is neither docker nor podman here, in which cibuildwheel builds")
        session.env["CIBW_CONTAINER_ENGINE"] = Path(engine).stem
    session.install(*group("wheels"), "uv", ".")
    wheelhouse = Path("wheelhouse")
    shutil.rmtree(wheelhouse, ignore_errors=True)
    build = ("cibuildwheel", "--archs", "native")
    listed = session.run(*build, "--print-build-identifiers", silent=True, stderr=sys.stderr)
    identifiers = str(listed).split()
    own = {"UV_PYTHON": None, "VIRTUAL_ENV": None}  # of this session; uv would heed them in a build
    session.run(*build, "--output-dir", str(wheelhouse), env=own)
    stable = [name for name in identifiers if name.startswith("cp315t-")]
    if stable:
        env = {**own, "FTDEMO_ABI3T": "1", "CIBW_BUILD": " ".join(stable)}
        session.run(*build, "--output-dir", str(wheelhouse), env=env)
    contract = Path(session.create_tmp()) / "contract.toml"
    contract.write_text(contract_for(identifiers, stable), encoding="utf-8")
    session.run("ftdemo", "wheels", str(wheelhouse), "--expect", str(contract))


def contract_for(identifiers: list[str], stable: list[str]) -> str:
    """Write the part of .github/wheels.toml that these build identifiers are about."""
    cells = [(name, [name.partition("-")[0]], "") for name in identifiers]
    cells += [(name, ["cp316", "cp316t"], 'abi = "abi3.abi3t"\n') for name in stable]
    return "".join(
        f"[[cells]]\ninterpreters = {pythons}\nplatforms = ['{name.partition('-')[2]}']\n{abi}"
        for name, pythons, abi in cells
    )

#!/usr/bin/env python3
"""Print the path of a free-threaded CPython; install one first if there is none.

It tries, in this order: PATH and earlier builds of this script; `uv python install`; a build of the
newest CPython source in Debian's archive, which takes minutes, once. It keeps its builds in
$FTDEMO_CACHE, by default ~/.cache/ftdemo. It prints progress to stderr and the path to stdout.

It uses the standard library only. Nothing else in the project depends on how it works: noxfile.py
runs it and reads the path. A project copied from this one does not need it if its CI provides the
interpreters.

With --sanitizer thread, it provides an interpreter that is instrumented with ThreadSanitizer:
pythonX.Yt-tsan from PATH or an earlier build, or a new build. The installation contains CPython's
suppressions for that version in share/tsan.txt.

With --headers, it prints a folder with Include and PC of the newest source in Debian's archive.
These suffice to compile for Windows, where configure does not generate pyconfig.h.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import threading
import time
from pathlib import Path

WANTED = ("3.15t", "3.14t", "3.13t")  # in order of preference
UV_WANTED = "3.14t"  # the newest final release that supports free threading
BUILD_PACKAGES = ("gcc", "make", "libc6-dev", "libssl-dev", "libffi-dev", "zlib1g-dev")
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
SUITES = ("sid", "testing", "stable")
SANITIZER_OPTIONS = ["--with-thread-sanitizer", "--with-ensurepip=no", "OPT=-g -O1 -DNDEBUG"]
ASK = "import sysconfig; print(sysconfig.get_config_var('Py_GIL_DISABLED'))"


class UnavailableError(Exception):
    """This way of providing an interpreter does not work on this machine; the message says why."""


def cache() -> Path:
    """Return the folder for built interpreters; its bin/ contains links to them."""
    default = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "ftdemo"
    return Path(os.environ.get("FTDEMO_CACHE") or default).absolute()


def say(message: str) -> None:
    print(message, file=sys.stderr, flush=True)


def is_free_threaded(path: str) -> bool:
    """Tell whether path is a working interpreter of a free-threaded build."""
    try:
        asked = subprocess.run(
            [path, "-c", ASK], capture_output=True, text=True, timeout=60, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return asked.stdout.strip() == "1"


def find(suffix: str = "") -> str | None:
    """Find an installed free-threaded interpreter, the newest first."""
    search = os.pathsep.join([os.environ.get("PATH", os.defpath), str(cache() / "bin")])
    for version in WANTED:
        path = shutil.which(f"python{version}{suffix}", path=search)
        if path and is_free_threaded(path):
            return path
    return None


def from_uv() -> str:
    """Let uv download a build from python-build-standalone."""
    beside = str(Path(sys.executable).parent)  # a virtual environment that is not activated
    uv = shutil.which("uv") or shutil.which("uv", path=beside)
    if uv is None:
        raise UnavailableError("uv is not installed")
    say(f"uv python install {UV_WANTED}")
    installed = subprocess.run(
        [uv, "python", "install", UV_WANTED],
        stdout=sys.stderr,
        check=False,
        env={"UV_PYTHON_INSTALL_BIN": "0", "UV_HTTP_RETRIES": "1", **os.environ},
    )
    if installed.returncode != 0:
        raise UnavailableError(f"uv python install {UV_WANTED} failed")
    found = subprocess.run(
        [uv, "python", "find", "--no-project", "--no-python-downloads", UV_WANTED],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    link(found.stdout.strip())
    return found.stdout.strip()


def from_source(work: Path, suffix: str = "") -> str:
    """Build the newest source in Debian's archive; 3.13 is the first with a free-threaded build.

    With the suffix -tsan, instrument it with ThreadSanitizer. Install missing build tools, but
    leave the system's package lists alone.
    """
    if shutil.which("apt-get") is None:
        raise UnavailableError("a build from source needs apt-get to download the source")
    install_build_packages()
    archive, version = download_source(work)
    prefix = cache() / f"cpython-{version}t{suffix}"
    say(f"building CPython {version}, free-threaded{suffix}, into {prefix}")
    unpack(archive, work)
    (source,) = (path.parent for path in work.glob("*/configure"))
    options = ["--disable-gil", "--disable-test-modules", f"--prefix={prefix}", "-q"]
    jobs = f"-j{os.cpu_count() or 1}"
    install = ["make", "altinstall"]
    if suffix:
        options += SANITIZER_OPTIONS
        # --help replaces compileall, which takes minutes in an instrumented interpreter.
        install += ["COMPILEALL_OPTS=--help"]
    logged(["./configure", *options], source, work / "configure.log")
    logged(["make", jobs], source, work / "make.log")
    logged(install, source, work / "install.log")
    minor = ".".join(version.split(".")[:2])
    python = prefix / "bin" / f"python{minor}t"
    if suffix:
        own = source / "Tools/tsan/suppressions_free_threading.txt"
        shutil.copy2(own, prefix / "share/tsan.txt")
    if not is_free_threaded(str(python)):
        raise UnavailableError(f"the build produced no working {python}")
    link(str(python), suffix)
    return str(python)


def headers(work: Path) -> str:
    """Unpack the headers of the newest source in Debian's archive; return the folder."""
    if shutil.which("apt-get") is None:
        raise UnavailableError("apt-get is needed to download the source")
    archive, version = download_source(work)
    folder = cache() / f"headers-{version}"
    if not folder.exists():
        unpack(archive, work)
        (source,) = (path.parent for path in work.glob("*/configure"))
        unfinished = work / "headers"
        for name in ("Include", "PC"):
            shutil.copytree(source / name, unfinished / name)
        template = unfinished / "PC" / "pyconfig.h.in"
        if template.exists():
            template.rename(template.with_suffix(""))
        unfinished.rename(folder)
    return str(folder)


def unpack(archive: Path, folder: Path) -> None:
    with tarfile.open(archive) as tar:
        if sys.version_info >= (3, 12):
            tar.extractall(folder, filter="data")
        else:
            tar.extractall(folder)


def install_build_packages() -> None:
    known = subprocess.run(
        ["dpkg-query", "-W", "-f", "${db:Status-Abbrev}${Package}\n", *BUILD_PACKAGES],
        capture_output=True,
        text=True,
        check=False,
    )
    installed = {line[3:].strip() for line in known.stdout.splitlines() if line.startswith("ii")}
    missing = [package for package in BUILD_PACKAGES if package not in installed]
    if not missing:
        return
    command = ["apt-get", "install", "-y", "-qq", "--no-install-recommends", *missing]
    if os.geteuid() != 0:
        raise UnavailableError(f"the build from source needs packages: sudo {' '.join(command)}")
    say(" ".join(command))
    env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for step in (["apt-get", "update", "-qq"], command):
        subprocess.run(step, stdout=sys.stderr, check=True, env=env)


def download_source(work: Path) -> tuple[Path, str]:
    """Download the newest CPython source tarball that the archive both lists and contains.

    Return its path and its version.
    """
    sites = subprocess.run(
        ["apt-get", "indextargets", "--format", "$(REPO_URI)"],
        capture_output=True,
        text=True,
        check=True,
    )
    archives = [uri for uri in sites.stdout.split() if uri.rstrip("/").endswith("/debian")]
    if not archives:
        raise UnavailableError("no Debian archive is configured for apt")
    sources = work / "sources.list"
    for directory in ("state/lists/partial", "cache/archives/partial"):
        (work / directory).mkdir(parents=True, exist_ok=True)
    apt = [
        *("-o", f"Dir::Etc::sourcelist={sources}", "-o", "Dir::Etc::sourceparts=-"),
        *("-o", f"Dir::State={work / 'state'}", "-o", "Dir::State::status=/dev/null"),
        *("-o", f"Dir::Cache={work / 'cache'}", "-o", "APT::Sandbox::User="),
    ]
    for suite in SUITES:
        sources.write_text(f"deb-src [signed-by={KEYRING}] {archives[0]} {suite} main\n")
        say(f"looking for CPython's source in Debian {suite}")
        if subprocess.run(["apt-get", *apt, "update", "-qq"], check=False).returncode != 0:
            continue
        for package in (f"python{version.rstrip('t')}" for version in WANTED):
            subprocess.run(
                ["apt-get", *apt, "source", "-qq", "--download-only", "--tar-only", package],
                cwd=work,
                stdout=sys.stderr,
                check=False,
            )
            for archive in work.glob(f"{package}_*.orig.tar.*"):
                return archive, re.sub(r"^.*_([0-9.]+[0-9]).*$", r"\1", archive.name)
    raise UnavailableError("Debian's archive has no source of CPython 3.13 or newer")


def logged(command: list[str], cwd: Path, log: Path) -> None:
    """Run a command with its output in log; print progress to stderr every ten seconds."""
    started = time.monotonic()
    done = threading.Event()

    def show() -> None:
        while not done.wait(10):
            with log.open("rb") as output:
                lines = sum(1 for _ in output)
            say(f"  {' '.join(command[:2])}: {time.monotonic() - started:.0f} s, {lines} lines")

    with log.open("wb") as output:
        shower = threading.Thread(target=show, daemon=True)
        shower.start()
        ran = subprocess.run(command, cwd=cwd, stdout=output, stderr=subprocess.STDOUT, check=False)
        done.set()
        shower.join()
    if ran.returncode != 0:
        tail = log.read_text(errors="replace").splitlines()[-20:]
        raise UnavailableError("\n".join([f"{' '.join(command)} failed:", *tail]))


def link(python: str, suffix: str = "") -> None:
    """Link the complete interpreter as pythonX.Yt in the cache's bin/."""
    asked = subprocess.run(
        [python, "-c", "import sys; print('python%d.%dt' % sys.version_info[:2])"],
        capture_output=True,
        text=True,
        check=True,
    )
    if os.name != "nt":
        target = cache() / "bin" / f"{asked.stdout.strip()}{suffix}"
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = target.with_name(f".{target.name}.{os.getpid()}")
        temporary.symlink_to(python)
        temporary.replace(target)


def provide_headers() -> int:
    cache().mkdir(parents=True, exist_ok=True)
    try:
        with tempfile.TemporaryDirectory(prefix="headers-", dir=cache()) as work:
            print(headers(Path(work)))
    except (UnavailableError, subprocess.CalledProcessError) as error:
        say(f"cannot get the headers of CPython: {error}")
        return 1
    return 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--only", choices=["find", "uv", "source"], help="try only this way")
    parser.add_argument(
        "--sanitizer", choices=["thread"], help="provide an instrumented interpreter"
    )
    parser.add_argument(
        "--headers", action="store_true", help="provide headers instead of an interpreter"
    )
    options = parser.parse_args()
    if options.headers:
        return provide_headers()
    suffix = "-tsan" if options.sanitizer else ""

    python = find(suffix) if options.only in {None, "find"} else None
    reasons = []
    if (
        python is None and options.only in {None, "uv"} and not suffix
    ):  # uv has no instrumented builds
        try:
            python = from_uv()
        except UnavailableError as error:
            reasons.append(str(error))
    if python is None and options.only in {None, "source"}:
        cache().mkdir(parents=True, exist_ok=True)
        try:
            with tempfile.TemporaryDirectory(prefix="build-", dir=cache()) as work:
                python = from_source(Path(work), suffix)
        except (UnavailableError, subprocess.CalledProcessError) as error:
            reasons.append(str(error))
    if python is None:
        say("cannot get a free-threaded CPython:")
        for reason in reasons or ["none is on PATH"]:
            say(f"- {reason}")
        return 1
    print(python)
    return 0


if __name__ == "__main__":
    sys.exit(main())

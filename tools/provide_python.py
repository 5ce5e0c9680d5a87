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

import argparse
import contextlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

WANTED = ("3.15t", "3.14t", "3.13t")  # in order of preference
UV_WANTED = "3.14t"  # the newest final release that supports free threading
BUILD_PACKAGES = ("gcc", "make", "libc6-dev", "libssl-dev", "libffi-dev", "zlib1g-dev")
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
SUITES = ("sid", "testing", "stable")
SANITIZER_OPTIONS = ["--with-thread-sanitizer", "--with-ensurepip=no", "OPT=-g -O1 -DNDEBUG"]
ASK = "import sysconfig; print(sysconfig.get_config_var('Py_GIL_DISABLED'))"


class UnavailableError(Exception):
    """This machine cannot provide an interpreter in this way; the message says why."""


def cache() -> Path:
    """Return the folder for built interpreters; its bin/ contains links to them."""
    default = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "ftdemo"
    return Path(os.environ.get("FTDEMO_CACHE") or default).absolute()


def say(message: str) -> None:
    print(message, file=sys.stderr, flush=True)


def run(*command: str, cwd: Path | None = None, **env: str) -> None:
    """Run a command that prints to stderr, since stdout is for the path."""
    say(" ".join(command))
    subprocess.run(command, cwd=cwd, stdout=sys.stderr, env={**os.environ, **env}, check=True)


def output(*command: str) -> str:
    """Return what a command prints."""
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout.strip()


def is_free_threaded(path: str) -> bool:
    """Tell whether path is a working interpreter of a free-threaded build."""
    try:
        return output(path, "-c", ASK) == "1"
    except (OSError, subprocess.CalledProcessError):
        return False


def find(suffix: str = "") -> str:
    """Find an installed free-threaded interpreter, the newest first."""
    search = os.pathsep.join([os.environ.get("PATH", os.defpath), str(cache() / "bin")])
    for version in WANTED:
        path = shutil.which(f"python{version}{suffix}", path=search)
        if path and is_free_threaded(path):
            return path
    raise UnavailableError("none is on PATH")


def from_uv() -> str:
    """Let uv download a build from python-build-standalone."""
    beside = str(Path(sys.executable).parent)  # a virtual environment that is not activated
    uv = shutil.which("uv") or shutil.which("uv", path=beside)
    if uv is None:
        raise UnavailableError("uv is not installed")
    run(uv, "python", "install", UV_WANTED, UV_PYTHON_INSTALL_BIN="0", UV_HTTP_RETRIES="1")
    python = output(uv, "python", "find", "--no-project", "--no-python-downloads", UV_WANTED)
    link(python)
    return python


def from_source(work: Path, suffix: str = "") -> str:
    """Build the newest source in Debian's archive; 3.13 is the first with a free-threaded build.

    With the suffix -tsan, instrument it with ThreadSanitizer. As root, install the build tools.
    """
    source, version = download_source(work)
    if os.geteuid() == 0:
        install = ("apt-get", "install", "-y", "-qq", "--no-install-recommends", *BUILD_PACKAGES)
        run("apt-get", "update", "-qq")
        run(*install, DEBIAN_FRONTEND="noninteractive")
    prefix = cache() / f"cpython-{version}t{suffix}"
    say(f"building CPython {version}, free-threaded{suffix}: takes minutes, and prints little")
    options = ["--disable-gil", "--disable-test-modules", f"--prefix={prefix}", "-q"]
    # --help replaces compileall, which takes minutes in an instrumented interpreter.
    quiet = "COMPILEALL_OPTS=--help" if suffix else "COMPILEALL_OPTS=-j0 -q"
    run("./configure", *options, *(SANITIZER_OPTIONS if suffix else []), cwd=source)
    run("make", "-s", f"-j{os.cpu_count() or 1}", cwd=source)
    run("make", "-s", "altinstall", quiet, cwd=source)
    python = prefix / "bin" / f"python{version.rpartition('.')[0]}t"
    if suffix:
        own = source / "Tools/tsan/suppressions_free_threading.txt"
        shutil.copy2(own, prefix / "share/tsan.txt")
    if not is_free_threaded(str(python)):
        raise UnavailableError(f"the build produced no working {python}")
    link(str(python), suffix)
    return str(python)


def headers(work: Path) -> str:
    """Keep the headers of the newest source in Debian's archive; return the folder."""
    source, version = download_source(work)
    folder = cache() / f"headers-{version}"
    if not folder.exists():
        for name in ("Include", "PC"):
            shutil.copytree(source / name, work / "headers" / name)
        template = work / "headers/PC/pyconfig.h.in"
        if template.exists():
            template.rename(template.with_suffix(""))
        (work / "headers").rename(folder)
    return str(folder)


def download_source(work: Path) -> tuple[Path, str]:
    """Unpack the newest CPython source that Debian's archive both lists and contains.

    Leave the system's package lists alone. Return the folder of the source, and its version.
    """
    if shutil.which("apt-get") is None:
        raise UnavailableError("the source of CPython needs apt-get to download it")
    sites = output("apt-get", "indextargets", "--format", "$(REPO_URI)").split()
    archives = [uri for uri in sites if uri.rstrip("/").endswith("/debian")]
    if not archives:
        raise UnavailableError("no Debian archive is configured for apt")
    sources = work / "sources.list"
    for directory in ("state/lists/partial", "cache/archives/partial"):
        (work / directory).mkdir(parents=True, exist_ok=True)
    apt = [
        *("apt-get", "-qq", "-o", f"Dir::Etc::sourcelist={sources}"),
        *("-o", "Dir::Etc::sourceparts=-", "-o", f"Dir::State={work / 'state'}"),
        *("-o", "Dir::State::status=/dev/null", "-o", f"Dir::Cache={work / 'cache'}"),
        *("-o", "APT::Sandbox::User="),
    ]
    for suite in SUITES:
        sources.write_text(f"deb-src [signed-by={KEYRING}] {archives[0]} {suite} main\n")
        say(f"looking for CPython's source in Debian {suite}")
        if subprocess.run([*apt, "update"], stdout=sys.stderr, check=False).returncode != 0:
            continue
        for package in (f"python{version.rstrip('t')}" for version in WANTED):
            download = [*apt, "source", "--download-only", "--tar-only", package]
            subprocess.run(download, cwd=work, stdout=sys.stderr, check=False)
            for archive in work.glob(f"{package}_*.orig.tar.*"):
                shutil.unpack_archive(archive, work)
                (source,) = (path.parent for path in work.glob("*/configure"))
                return source, re.sub(r"^.*_([0-9.]+[0-9]).*$", r"\1", archive.name)
    raise UnavailableError("Debian's archive has no source of CPython 3.13 or newer")


def link(python: str, suffix: str = "") -> None:
    """Link the complete interpreter as pythonX.Yt in the cache's bin/."""
    name = output(python, "-c", "import sys; print('python%d.%dt' % sys.version_info[:2])")
    if os.name != "nt":
        target = cache() / "bin" / f"{name}{suffix}"
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = target.with_name(f".{target.name}.{os.getpid()}")
        temporary.symlink_to(python)
        temporary.replace(target)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    asked = parser.add_mutually_exclusive_group()
    asked.add_argument("--sanitizer", choices=["thread"], help="an instrumented interpreter")
    asked.add_argument("--headers", action="store_true", help="headers, and no interpreter")
    options = parser.parse_args()
    suffix = "-tsan" if options.sanitizer else ""

    with contextlib.ExitStack() as stack:
        cache().mkdir(parents=True, exist_ok=True)
        work = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=cache())))
        ways: list[Callable[[], str]] = [lambda: find(suffix), from_uv]
        if suffix:  # uv has no instrumented builds
            ways.remove(from_uv)
        ways.append(lambda: from_source(work, suffix))
        if options.headers:
            ways = [lambda: headers(work)]
        for way in ways:
            try:
                print(way())
            except (UnavailableError, subprocess.CalledProcessError) as error:
                say(f"- {error}")
            else:
                return 0
    say("cannot get the headers of CPython" if options.headers else "cannot get CPython")
    return 1


if __name__ == "__main__":
    sys.exit(main())

"""Run `ftdemo stress` on real packages, reproduce each finding by hand, and print a table.

    python3.14t tests/real/stress.py [--seconds S] [--keep FOLDER] [NAME...]

It needs the packages in tests/real/packages.txt. It calls their functions with arbitrary arguments,
so run it in a container. Exit with 1 if a finding is not reproduced by hand.
"""

import argparse
import json
import platform
import subprocess
import sys
import tempfile
from importlib import metadata
from pathlib import Path

HERE = Path(__file__).parent

# Distributions and modules of the standard library, with the targets if the name does not suffice.
TARGETS: dict[str, tuple[str, ...]] = {
    "multidict": (
        "multidict",
        "multidict:MultiDict(a=1, b=2)",
        "multidict:CIMultiDict(a=1, b=2)",
    ),
    "frozenlist": (),
    "propcache": (),
    "xxhash": (),
    "kiwisolver": (
        "kiwisolver",
        "kiwisolver:Term(kiwisolver.Variable('a'), 2.0)",
        "kiwisolver:Expression([kiwisolver.Term(kiwisolver.Variable('a'), 2.0)])",
        "kiwisolver:Constraint(kiwisolver.Variable('a') + 1, '==')",
    ),
    "msgpack": (),
    "ft_utils": (),
    "numpy": (
        "numpy:arange(10)",
        "numpy:arange(6).reshape(2, 3)",
        "numpy:array(['a', object()], dtype=object)",
        "numpy:arange(6).flat",
        "numpy:nditer(numpy.arange(6))",
        "numpy:broadcast([1, 2], [3, 4])",
        "numpy:dtype('i4')",
        "numpy:float64",
        "numpy:datetime64",
        "numpy.random:default_rng(0)",
        "numpy.random:RandomState(0)",
        "numpy.random:PCG64",
        "numpy.random:MT19937",
        "numpy.random:SeedSequence",
    ),
    "pyyaml": (),
    "regex": (
        "regex:compile('a+')",
        "regex:compile('a+').scanner('aabaa')",
        "regex:match('a+', 'aab')",
    ),
    "aiohttp": (),
    "bcrypt": (),
    "bitarray": (),
    "blake3": (),
    "blosc2": (),
    "cbor2": (),
    "cffi": ("_cffi_backend", "cffi:FFI().new('int[4]')"),
    "contourpy": (),
    "coverage": (),
    "cramjam": (),
    "crc32c": (),
    "cymem": (),
    "hiredis": (),
    "httptools": ("httptools", "httptools:HttpRequestParser(object())"),
    "levenshtein": (),
    "lru-dict": ("lru-dict", "lru:LRU(3)"),
    "lxml": (),
    "mmh3": (),
    "murmurhash": (),
    "pillow": ("pillow", "PIL.Image:new('L', (4, 4)).im"),
    "preshed": (),
    "psutil": (),
    "pybase64": (),
    "pydantic-core": (),
    "pyroaring": (),
    "python-snappy": (),
    "rapidfuzz": (),
    "rpds-py": (),
    "simplejson": (),
    "ujson": (),
    "uvloop": (),
    "wrapt": ("wrapt", "wrapt:ObjectProxy([1, 2])"),
    "yarl": ("yarl._quoting_c:_Quoter()", "yarl._quoting_c:_Unquoter()"),
    "itertools": (),
    "collections": (),
    "array": (),
    "io": (),
    "random": ("random", "_random"),
    "json": (),
    "pickle": (),
    "zlib": (),
    "hashlib": (),
    "struct": ("struct", "_struct"),
}


def run(name: str, seconds: float, seed: int, path: Path) -> bool:
    """Stress one package in a new process; return False if there is no result."""
    command = [sys.executable, "-m", "ftdemo", "stress", *(TARGETS[name] or (name,)), "--json"]
    command += [f"--seconds={seconds}", f"--seed={seed}"]
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder, path.open("wb") as file:
        subprocess.run(command, stdout=file, cwd=folder, check=False)
    return bool(path.stat().st_size)


def row(name: str, result: dict) -> str:
    summary = result["summary"]
    findings = result["findings"]
    kinds = {
        kind: sum(f["kind"] == kind for f in findings)
        for kind in dict.fromkeys(f["kind"] for f in findings)
    }
    operations = sum(each["operations"] for each in result["types"])
    types = len({each["type"] for each in result["types"] if each["meetings"]})
    cells = [
        f"{name} {version(name)}".rstrip(),
        f"{types}",
        f"{operations:,}",
        f"{summary['meetings']:,}",
        ", ".join(f"{count} {kind}" for kind, count in kinds.items()) or "0",
        f"{sum(bool(f.get('by_hand')) for f in findings)} of {len(findings)}" if findings else "",
    ]
    return f"| {' | '.join(cells)} |"


def version(name: str) -> str:
    if name in sys.stdlib_module_names:
        return ""
    return metadata.version(name)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--seconds", type=float, default=2, help="for each type (default: 2)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="keep results and programs")
    arguments = parser.parse_args()
    names = arguments.names or list(TARGETS)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as temporary:
        folder = (arguments.keep or Path(temporary)).resolve()
        folder.mkdir(parents=True, exist_ok=True)
        paths = {name: folder / f"{name}.json" for name in names}
        for name, path in paths.items():
            if not run(name, arguments.seconds, arguments.seed, path):
                return 2
            by_hand = [sys.executable, str(HERE / "by_hand.py"), str(path), "--write", str(folder)]
            subprocess.run(by_hand, check=False)
        return print_table({name: json.loads(path.read_text()) for name, path in paths.items()})


def print_table(results: dict[str, dict]) -> int:
    print(f"\nCPython {platform.python_version()}, {platform.platform()}\n")
    print("| target | types | operations | meetings | findings | by hand |")
    print("|---|---|---|---|---|---|")
    for name, result in results.items():
        print(row(name, result))
    findings = [f for result in results.values() for f in result["findings"]]
    shown = sum(bool(f.get("by_hand")) for f in findings)
    print(f"\n{shown} of {len(findings)} findings show again by hand")
    return shown < len(findings)


if __name__ == "__main__":
    sys.exit(main())

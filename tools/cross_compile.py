"""Compile the C sources for Windows and macOS, with warnings as errors; link nothing.

    python tools/cross_compile.py HEADERS

HEADERS is a folder with CPython's Include and PC, for Windows: tools/provide_python.py --headers
prints one. For macOS, the headers of this interpreter are used. This interpreter needs ziglang.
"""

import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

FLAGS = ["-c", "-O2", "-Wall", "-Wextra", "-Werror", "-Icsrc"]

headers = sys.argv[1]
windows = [f"-I{headers}/Include", f"-I{headers}/PC"]
posix = [f"-I{sysconfig.get_path('include')}"]
TARGETS = [
    ("x86_64-windows-gnu", windows),
    ("x86_64-windows-gnu", [*windows, "-DPy_GIL_DISABLED=1"]),
    # On ARM64, the free-threaded build gets the thread id from an intrinsic of MSVC.
    ("aarch64-windows-gnu", windows),
    ("x86_64-macos", posix),
    ("aarch64-macos", posix),
]
with tempfile.TemporaryDirectory() as folder:
    for target, options in TARGETS:
        zig = [sys.executable, "-m", "ziglang", "cc", "-target", target, *FLAGS, *options]
        sources = sorted(Path("csrc").rglob("*.c"))
        for source in sources:
            subprocess.run([*zig, str(source), "-o", f"{folder}/object.o"], check=True)
        print(f"{target}: {len(sources)} files compiled with {' '.join(options)}", flush=True)

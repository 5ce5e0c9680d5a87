"""Shared code of the stress scripts: options, the time limit, threads, and the state of the GIL.

Run a script with `python tests/stress/NAME.py SECONDS`. It exits with 0 if it succeeds, with 77 if
it was skipped (the reason is on stdout), and with 1 and a traceback if an invariant is broken or
threads hang. If it ends by a signal, it crashed.

To see that a script can fail, run it on the code before the port, with the GIL forced off:
`python -X gil=0 tests/stress/NAME.py SECONDS --twin=legacy`.
"""

import argparse
import faulthandler
import importlib
import importlib.util
import sys
import time
from pathlib import Path

from ftdemo import threads
from ftdemo.interpreter import FREE_THREADED, is_gil_enabled

sys.path.append(str(Path(__file__).parents[1] / "extension"))  # for concepts.py

SKIPPED = 77
GRACE = 60  # seconds after the end of the time limit before it counts as a hang


class Going:
    """Return True when called, until the time is up or a thread has failed."""

    def __init__(self, seconds):
        self.end = time.monotonic() + seconds

    def __call__(self):
        return time.monotonic() < self.end

    def stop(self):
        self.end = 0


def skip(reason):
    print(f"skipped: {reason}")
    sys.exit(SKIPPED)


def in_threads(going, functions):
    """Call each function in its own thread, all released by one barrier; return their results.

    The first exception in a thread stops the others and is raised here.
    """

    def stopping(function):
        def call():
            try:
                return function()
            except BaseException:
                going.stop()
                raise

        return call

    return threads.in_threads(*map(stopping, functions))


def another_module(twin):
    """Create another module from the same source, with its own types and its own cache."""
    name = {"ftdemo": "ftdemo._ready", "ftdemo.legacy": "ftdemo._legacy"}[twin.__name__]
    spec = importlib.util.find_spec(name)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def main(stress):
    """Call stress(twin, going) under a watchdog; print the summary that it returns."""
    parser = argparse.ArgumentParser(description=sys.modules["__main__"].__doc__)
    parser.add_argument("seconds", type=float)
    parser.add_argument("--twin", choices=["ready", "legacy"], default="ready")
    options = parser.parse_args()
    if not __debug__:
        skip("python -O removes the assert statements")
    faulthandler.enable()
    # Not cancelled, because a hang during the exit of the interpreter counts too.
    faulthandler.dump_traceback_later(options.seconds + GRACE, exit=True)
    twin = importlib.import_module({"ready": "ftdemo", "legacy": "ftdemo.legacy"}[options.twin])
    summary = stress(twin, Going(options.seconds))
    assert not (FREE_THREADED and is_gil_enabled()), "the GIL is on, so the run proves nothing"
    print(summary)

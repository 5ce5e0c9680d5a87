"""What the stress scripts share: options, the time limit, threads, and the state of the GIL.

Run one as `python tests/stress/NAME.py SECONDS`. It exits with 0 when all went well, with 77 when
it was skipped (the reason is on stdout), and with 1 and a traceback when an invariant is broken or
threads hang. Death by a signal is a crash.

That a script can fail shows on the code as it was before the port, with the GIL forced off:
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
GRACE = 60  # seconds to finish in, after time is up, before it counts as a hang


class Going:
    """True when called until the time is up, or until a thread has failed."""

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
    """Call every function in a thread of its own, all from one barrier; give their results.

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
    """A new, independent module of the twin: with types and a cache of its own."""
    name = {"ftdemo": "ftdemo._ready", "ftdemo.legacy": "ftdemo._legacy"}[twin.__name__]
    spec = importlib.util.find_spec(name)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def main(stress):
    """Call stress(twin, going), with the watchdog on; print the summary that it gives."""
    parser = argparse.ArgumentParser(description=sys.modules["__main__"].__doc__)
    parser.add_argument("seconds", type=float)
    parser.add_argument("--twin", choices=["ready", "legacy"], default="ready")
    options = parser.parse_args()
    if not __debug__:
        skip("-O takes the asserts away")
    faulthandler.enable()
    # Not cancelled: a hang when the interpreter exits is a hang too.
    faulthandler.dump_traceback_later(options.seconds + GRACE, exit=True)
    twin = importlib.import_module({"ready": "ftdemo", "legacy": "ftdemo.legacy"}[options.twin])
    summary = stress(twin, Going(options.seconds))
    assert not (FREE_THREADED and is_gil_enabled()), "the GIL is on: this proves nothing"
    print(summary)

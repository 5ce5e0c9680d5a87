"""Importing one undeclared extension enables the GIL, and threads no longer run in parallel.

The same threads run before and after `import ftdemo.legacy`, and use nothing of it. Its extension
module declares nothing, so the interpreter enables the GIL to be safe. It warns about the first
such module only. The GIL stays on until the process ends: deleting the module does not help.

Source: PEP 703, "Py_mod_gil Slot"; https://docs.python.org/3/howto/free-threading-extensions.html.
"""

import warnings

from ftdemo.demo.finding import Finding, need_module, need_two_cores
from ftdemo.demo.gains import measure
from ftdemo.demos.scaling import in_python
from ftdemo.interpreter import FREE_THREADED, cores, is_gil_enabled


def demo(*, quick: bool) -> Finding:
    """Measure the speed-up before and after the import."""
    need_two_cores()
    need_module("ftdemo.legacy")
    threads = min(cores(), 4)

    def work() -> object:
        return in_python(500_000 if quick else 2_000_000)

    seconds = 5 if quick else 20
    before, clear_before = measure(work, threads, gains=FREE_THREADED, seconds=seconds)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        import ftdemo.legacy  # noqa: F401
    on = is_gil_enabled()
    after, clear_after = measure(work, threads, gains=False, seconds=seconds)
    warned = f"warned: {str(caught[0].message).partition(',')[0]}" if caught else "no warning"
    kind = "" if FREE_THREADED else " (as always on this build)"
    return Finding(
        clear_before and on and clear_after,
        f"{threads} threads were {before:.2f} times as fast as one, and after the import "
        f"{after:.2f} times; the GIL is {'on' if on else 'off'}{kind}; {warned}",
        {"threads": threads, "before": before, "after": after, "gil_enabled_after": on},
    )

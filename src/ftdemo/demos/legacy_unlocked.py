"""With PYTHON_GIL=0, an extension that relies on the GIL loses updates or crashes.

`ftdemo.legacy` is correct as long as the GIL lets no other thread run between its check and its
change. Forcing the GIL off does not make it ready: PYTHON_GIL=0 only suppresses the warning, then
threads deposit at the same time, and one deposit overwrites another. Without PYTHON_GIL=0 the
import enables the GIL, and the same program loses nothing. `ftdemo.Account` needs no GIL.

Source: https://docs.python.org/3/howto/free-threading-extensions.html;
diff -ru csrc/legacy csrc/ready.
"""

from ftdemo.demo.finding import Finding, attempts, call_in_child, need_module
from ftdemo.interpreter import FREE_THREADED
from ftdemo.threads import in_threads


def lost(module: str, count: int) -> int:
    """Deposit from two threads; return how many are lost. Runs in a separate process."""
    from importlib import import_module

    account = import_module(module).Account()

    def deposits() -> None:
        for _ in range(count):
            account.deposit(1)

    in_threads(deposits, deposits)
    return 2 * count - int(account.balance)


def demo(*, quick: bool) -> Finding:
    """Force the GIL off until deposits are lost; then run with the GIL, and run ftdemo.Account."""
    need_module("ftdemo.legacy")
    count = 100_000 if quick else 1_000_000
    forced: int | str = 0
    if FREE_THREADED:
        for _ in attempts():
            forced = call_in_child(lost, "ftdemo.legacy", count, options="-X gil=0")
            if forced:
                break
    back = call_in_child(lost, "ftdemo.legacy", count)
    ready = call_in_child(lost, "ftdemo", count)
    told = f"of {2 * count} deposits by two threads, ftdemo.legacy lost {back} with the GIL"
    if FREE_THREADED:
        told += f" and {forced} with the GIL forced off"
    else:
        told += " (this build always has it)"
    return Finding(
        bool(forced) is FREE_THREADED and back == ready == 0,
        f"{told}; ftdemo.Account lost {ready}",
        {"deposits": 2 * count, "forced": forced, "with_gil": back, "ready": ready},
    )

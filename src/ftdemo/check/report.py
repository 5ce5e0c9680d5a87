"""What people read: tables and the lines below them."""

from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from ftdemo.check import own


def console() -> Console:
    """Make a console on stdout: colour only on a terminal, NO_COLOR and FORCE_COLOR honoured."""
    made = Console(highlight=False)
    if not made.is_terminal:
        made.width = 200  # a log or a pipe has no edge to wrap at
    return made


def print_own(result: "own.Result") -> None:
    """Print the result of the import check of ftdemo itself."""
    out = console()
    version = result["interpreter"]["version"]
    modules = result["modules"]
    good = sum(module["as_expected"] for module in modules)
    if not result["interpreter"]["free_threaded"] and good == len(modules):
        out.print(
            f"CPython {version} is a build with the GIL: all {good} modules import, "
            "and there is no telling whether they would keep it off.",
            soft_wrap=True,
        )
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("module", "declares", "GIL after import", "as expected"):
        table.add_column(heading)
    for module in modules:
        state = {None: "import failed", False: "off", True: "on"}[module["gil_enabled"]]
        table.add_row(
            module["name"],
            module["declares"],
            state,
            Text("yes", "green") if module["as_expected"] else Text("NO", "bold red"),
        )
    kind = "free-threaded" if result["interpreter"]["free_threaded"] else "with the GIL"
    out.print(f"CPython {version}, {kind}\n")
    out.print(table)
    out.print(f"\n{good} of {len(modules)} as expected")

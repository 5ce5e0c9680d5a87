"""What people read: tables, progress, and what GitHub Actions shows."""

import os
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager

from ftdemo.check import api, interpreter, own
from ftdemo.terminal import Block, Styled, Table, show

ORDER: tuple[api.Verdict, ...] = ("fail", "error", "skip", "pass")
STYLES = {"fail": "bold red", "error": "bold yellow", "skip": "dim", "pass": "green"}
HINT = (
    "To blame is a module that does not declare that it can do without the GIL. Once its code is "
    "safe without it, it should say so: a Py_mod_gil slot in C, freethreading_compatible=True in "
    "Cython, mod_gil_not_used in pybind11, FREE_THREADED in nanobind, gil_used = false in PyO3."
)


def heading(this: interpreter.Interpreter) -> str:
    """Name the interpreter, as every report begins."""
    return (
        f"CPython {this['version']}, {'free-threaded' if this['free_threaded'] else 'with the GIL'}"
    )


def print_own(result: own.Result) -> None:
    """Print the result of the import check of ftdemo itself."""
    this = result["interpreter"]
    modules = result["modules"]
    good = sum(module["as_expected"] for module in modules)
    if not this["free_threaded"] and good == len(modules):
        show(
            f"CPython {this['version']} is a build with the GIL: {good} of {good} modules import, "
            "and there is no telling whether they would keep it off."
        )
        return
    table = Table("module", "declares", "GIL after import", "as expected")
    for module in modules:
        state = {None: "import failed", False: "off", True: "on"}[module["gil_enabled"]]
        table.add_row(
            module["name"],
            module["declares"],
            state,
            Styled("yes", "green") if module["as_expected"] else Styled("NO", "bold red"),
        )
    show(heading(this), table, f"{good} of {len(modules)} as expected")


def _rows(result: api.Result) -> list[tuple[api.TargetResult, api.ModuleResult]]:
    """Every module with its target, what is worst first."""
    rows = [(target, module) for target in result["targets"] for module in target["modules"]]
    return sorted(rows, key=lambda row: ORDER.index(row[1]["verdict"]))


def _explanation(module: api.ModuleResult) -> str:
    culprits = ", ".join(module["culprits"])
    return (
        f"{culprits} ({module['detail']})"
        if culprits and module["detail"]
        else (culprits or module["detail"])
    )


def _title(target: api.TargetResult) -> str:
    if target["distribution"]:
        return f"{target['distribution']} {target['version']}"
    return target["target"]


def _counts(modules: Sequence[api.ModuleResult]) -> str:
    if not modules:
        return "no extension module, nothing that could bring the GIL back"
    counts = Counter(module["verdict"] for module in modules)
    return ", ".join(f"{counts[verdict]} {verdict}" for verdict in ORDER if counts[verdict])


def _modules(count: int) -> str:
    return f"{count} module{'' if count == 1 else 's'}"


def blame(result: api.Result) -> list[tuple[str, int]]:
    """Each culprit, and how many modules fail because of it, the gravest first."""
    counts = Counter(culprit for _, module in _rows(result) for culprit in module["culprits"])
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))


def print_check(result: api.Result) -> None:
    """Print the verdicts: what is not a pass, one by one, then the count of each target."""
    blocks: list[Block] = [heading(result["interpreter"])]
    rows = [row for row in _rows(result) if row[1]["verdict"] != "pass"]
    if rows:
        table = Table("module", "verdict", "culprits and details")
        for _, module in rows:
            verdict = module["verdict"]
            table.add_row(module["name"], Styled(verdict, STYLES[verdict]), _explanation(module))
        blocks.append(table)
    table = Table("target", "modules")
    for target in result["targets"]:
        table.add_row(_title(target), _counts(target["modules"]))
    blocks.append(table)
    to_blame = blame(result)
    if to_blame:
        table = Table("to blame", "for modules")
        for culprit, count in to_blame:
            table.add_row(culprit, str(count))
        blocks += [table, HINT]
    if api.exit_code(result) == api.NOTHING_CHECKED:
        blocks.append("Nothing could be checked.")
        if not result["interpreter"]["free_threaded"]:
            blocks.append("Run this on a free-threaded build, such as 3.14t.")
    show(*blocks)


@contextmanager
def progress() -> Iterator[Callable[[api.Progress], None]]:
    """Show a bar on stderr from when it is known how much there is to do."""
    with ExitStack() as stack:
        bars: list[Callable[[api.Progress], None]] = []

        def show(state: api.Progress) -> None:
            if not bars:  # rich takes long to import; children are at work by now
                bars.append(_bar(stack))
            bars[0](state)

        yield show


def _bar(stack: ExitStack) -> Callable[[api.Progress], None]:
    from rich import progress
    from rich.console import Console

    console = Console(stderr=True)
    columns = (
        progress.BarColumn(),
        progress.MofNCompleteColumn(),
        progress.TimeElapsedColumn(),
        progress.TextColumn("{task.description}"),
    )
    disable = not console.is_terminal
    bar = progress.Progress(*columns, console=console, transient=True, disable=disable)
    task = stack.enter_context(bar).add_task("", total=None)

    def show(state: api.Progress) -> None:
        bar.update(task, completed=state["done"], total=state["total"], description=state["module"])

    return show


def report_to_github(result: api.Result) -> None:
    """Annotate a run of GitHub Actions, on stderr, and add a table to the job's summary."""
    for culprit, count in blame(result):
        _annotate("error", "The GIL is back", f"{culprit} brings it back ({_modules(count)})")
    for target, module in _rows(result):
        if module["verdict"] == "error":
            _annotate(
                "error", f"{_title(target)}: no verdict", f"{module['name']} {module['detail']}"
            )
    summary = os.environ.get("GITHUB_STEP_SUMMARY")
    if summary:
        with open(summary, "a", encoding="utf-8") as file:  # noqa: PTH123
            file.write(markdown(result))


def _annotate(kind: str, title: str, message: str) -> None:
    for character, escaped in (("%", "%25"), ("\r", "%0D"), ("\n", "%0A")):
        title, message = title.replace(character, escaped), message.replace(character, escaped)
    title = title.replace(":", "%3A").replace(",", "%2C")
    print(f"::{kind} title={title}::{message}", file=sys.stderr)


def markdown(result: api.Result) -> str:
    """Make a Markdown table of the targets and one of what is not a pass."""

    def cell(text: str) -> str:
        return text.replace("|", "\\|").replace("\n", " ")

    lines = [f"### Import check: {heading(result['interpreter'])}", ""]
    lines += ["| target | modules |", "|---|---|"]
    lines += [f"| {cell(_title(t))} | {_counts(t['modules'])} |" for t in result["targets"]]
    rows = [row for row in _rows(result) if row[1]["verdict"] != "pass"]
    if rows:
        lines += ["", "| module | verdict | culprits and details |", "|---|---|---|"]
        lines += [f"| {m['name']} | {m['verdict']} | {cell(_explanation(m))} |" for _, m in rows]
    return "\n".join(lines) + "\n\n"

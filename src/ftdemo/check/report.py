"""Reports for people: tables, progress, and GitHub Actions annotations."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from rich.table import Table
from rich.text import Text

from ftdemo import check, exit_codes, github
from ftdemo.interpreter import heading
from ftdemo.terminal import progress_bar, show, table

ORDER: tuple[check.Verdict, ...] = ("fail", "error", "skip", "pass")
STYLES = {"fail": "bold red", "error": "bold yellow", "skip": "dim", "pass": "green"}
HINT = """\
A module in this table does not declare that it needs no GIL. Make it safe, with `ftdemo lint` and
`ftdemo stress`, then declare it. C: a Py_mod_gil slot; Cython: freethreading_compatible=True;
pybind11: mod_gil_not_used; nanobind: FREE_THREADED; PyO3: gil_used = false."""


def _rows(result: check.Result) -> list[tuple[check.TargetResult, check.ModuleResult]]:
    """Return every module with its target, the worst verdicts first."""
    rows = [(target, module) for target in result["targets"] for module in target["modules"]]
    return sorted(rows, key=lambda row: ORDER.index(row[1]["verdict"]))


def _explanation(module: check.ModuleResult) -> str:
    culprits, detail = module["culprits"], module["detail"]
    if not culprits:
        return detail
    if culprits == [module["name"]]:
        enable = "enables the GIL itself"
    else:
        enable = f"{', '.join(culprits)} {'enables' if len(culprits) == 1 else 'enable'} the GIL"
    return f"{enable} ({detail})" if detail else enable


def _title(target: check.TargetResult) -> str:
    if target["distribution"]:
        return f"{target['distribution']} {target['version']}"
    return target["target"]


def _counts(modules: Sequence[check.ModuleResult]) -> str:
    if not modules:
        return "no extension modules, so nothing that could bring the GIL back"
    counts = Counter(module["verdict"] for module in modules)
    return ", ".join(f"{counts[verdict]} {verdict}" for verdict in ORDER if counts[verdict])


def blame(result: check.Result) -> list[tuple[str, int]]:
    """Return each module that enables the GIL, and how many fail because of it, largest first."""
    counts = Counter(culprit for _, module in _rows(result) for culprit in module["culprits"])
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))


def print_check(result: check.Result) -> None:
    """Print the modules that do not pass, the counts of each target, and what enables the GIL."""
    blocks: list[str | Table] = [heading(result["interpreter"])]
    rows = [row for row in _rows(result) if row[1]["verdict"] != "pass"]
    if rows:
        modules = table("module", "verdict", "reason")
        for _, module in rows:
            verdict = module["verdict"]
            modules.add_row(module["name"], Text(verdict, STYLES[verdict]), _explanation(module))
        blocks.append(modules)
    targets = table("target", "modules")
    for target in result["targets"]:
        targets.add_row(_title(target), _counts(target["modules"]))
    blocks.append(targets)
    to_blame = blame(result)
    if to_blame:
        culprits = table("enables the GIL", "modules that fail because of it")
        for culprit, count in to_blame:
            culprits.add_row(culprit, str(count))
        blocks += [culprits, HINT]
    if check.exit_code(result) == exit_codes.NOTHING_CHECKED:
        blocks.append("Nothing could be checked.")
        if not result["interpreter"]["free_threaded"]:
            blocks.append("Run this on a free-threaded build, such as 3.14t.")
    show(*blocks)


@contextmanager
def progress() -> Iterator[Callable[[check.Progress], None]]:
    """Show a progress bar on stderr, if stderr is a terminal."""
    with progress_bar() as update:
        yield lambda state: update(state["done"], state["total"], state["module"])


def report_to_github(result: check.Result) -> None:
    """Print annotations for GitHub Actions to stderr, and add a table to the job summary."""
    for culprit, count in blame(result):
        words = f"importing {culprit} enables the GIL; modules that fail because of it: {count}"
        github.annotate("error", "The import enables the GIL", words)
    for target, module in _rows(result):
        if module["verdict"] == "error":
            github.annotate(
                "error", f"{_title(target)}: no verdict", f"{module['name']} {module['detail']}"
            )
    github.add_to_summary(markdown(result))


def markdown(result: check.Result) -> str:
    """Make a Markdown table of the targets, and one of the modules that do not pass."""

    def cell(text: str) -> str:
        return text.replace("|", "\\|").replace("\n", " ")

    lines = [f"### Import check: {heading(result['interpreter'])}", ""]
    lines += ["| target | modules |", "|---|---|"]
    lines += [f"| {cell(_title(t))} | {_counts(t['modules'])} |" for t in result["targets"]]
    rows = [row for row in _rows(result) if row[1]["verdict"] != "pass"]
    if rows:
        lines += ["", "| module | verdict | reason |", "|---|---|---|"]
        lines += [f"| {m['name']} | {m['verdict']} | {cell(_explanation(m))} |" for _, m in rows]
    return "\n".join(lines) + "\n"

"""Reports for people: findings, tables, progress, and GitHub Actions annotations."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from ftdemo import exit_codes, github, terminal
from ftdemo.interpreter import heading
from ftdemo.stress.results import FEW, KINDS, Finding, Result
from ftdemo.stress.session import Progress

MOST_ORDERS = 4
MOST_SKIPPED = 12
LONGEST = 100  # characters of a result


def exit_code(result: Result) -> int:
    """Return FAILED for findings, NOTHING_CHECKED for too few calls to say anything, else OK."""
    if result["summary"]["findings"]:
        return exit_codes.FAILED
    driven = result["summary"]["meetings"] >= FEW
    return exit_codes.OK if driven else exit_codes.NOTHING_CHECKED


def print_stress(result: Result) -> None:
    """Print the findings, the worst first, then what was tested and what was not, and a summary."""
    blocks: list[Any] = [heading(result["interpreter"])]
    ordered = sorted(result["findings"], key=lambda f: (f["allowed"], KINDS.index(f["kind"])))
    blocks += ["\n".join(picture(finding)) for finding in ordered]
    driven = [each for each in result["types"] if each["meetings"]]
    if driven:
        table = terminal.table("type", "object", "operations", "pairs", "meetings")
        for each in driven:
            counts = (each["operations"], each["pairs"], each["meetings"])
            table.add_row(each["type"], each["constructor"], *(f"{count:,}" for count in counts))
        blocks.append(table)
    skipped = [
        (each["type"], skip["operation"], skip["why"])
        for each in result["types"]
        for skip in each["skipped"]
    ]
    skipped = list(dict.fromkeys(skipped))
    if skipped:
        table = terminal.table("not tested", "operation", "reason")
        for row in skipped[:MOST_SKIPPED]:
            table.add_row(*row)
        blocks.append(table)
        if len(skipped) > MOST_SKIPPED:
            blocks.append(f"and {len(skipped) - MOST_SKIPPED} more: see --json")
    blocks.append(sentence(result))
    terminal.show(*blocks)


def sentence(result: Result) -> str:
    """Sum up a run in one sentence."""
    summary = result["summary"]
    if not summary["meetings"]:
        return "Nothing was tested."
    pairs = f"{summary['pairs']:,} pair{'' if summary['pairs'] == 1 else 's'}"
    of = f"in {summary['meetings']:,} meetings of {pairs}"
    allowed = f" ({summary['allowed']} allowed)" if summary["allowed"] else ""
    if not summary["findings"]:
        few = "" if summary["meetings"] >= FEW else ": too few to say anything"
        return f"no race seen {of}{allowed}{few}"
    one = summary["findings"] == 1
    return f"{summary['findings']} finding{'' if one else 's'}{allowed} {of}"


def picture(finding: Finding) -> Iterator[str]:
    """Describe a finding: what each thread called, the results, and the results in any order."""
    outcome = finding["outcome"]
    seen = f"{finding['seen']:,} of {finding['meetings']:,} meetings"
    notes = "  (allowed)" if finding["allowed"] else ""
    notes += "  (not confirmed)" if outcome.get("unconfirmed") else ""
    yield f"{finding['type']}  {finding['kind']}  {seen}{notes}"
    yield f"  object     {outcome.get('object', '')}"
    if "results" in outcome:
        yield from _rows(outcome)
    else:
        for index, label in enumerate(finding["operations"][:8]):
            yield f"  {'' if index else 'calls':<9}  {label}"
        yield f"  threads    {finding['threads']}"
        yield from (f"  {line}" for line in str(outcome.get("error", "")).splitlines())
    if finding["declares_ready"]:
        yield "  the module declares that it does not need the GIL"
    yield f"  again: {finding['again']}"


def _rows(outcome: dict[str, Any]) -> Iterator[str]:
    results = iter(outcome["results"])
    rows = [
        (f"thread {number}" if not index else "", label, next(results))
        for number, calls in enumerate(outcome["threads"], 1)
        for index, label in enumerate(calls)
    ]
    state = list(zip(outcome["state"], outcome["after"], strict=True))
    rows += [("" if index else "after", *each) for index, each in enumerate(state)]
    wide = max(len(label) for _, label, _ in rows)
    for who, label, result in rows:
        yield f"  {who:<9}  {label:<{wide}}  ->  {_short(result)}"
    orders = outcome["in_any_order"]
    same = all(order["results"] == outcome["results"] for order in orders) and state
    for index, order in enumerate(orders[:MOST_ORDERS]):
        values = order["after"] if same else order["results"]
        words = ", ".join(map(_short, values))
        if state and not same and order["after"]:
            words += f"; after {', '.join(map(_short, order['after']))}"
        yield f"  {'' if index else 'in any order':<{wide + 15}}  {words}"
    if outcome.get("together"):
        yield "  each of these is possible, but no order gives them together"
    if len(orders) > MOST_ORDERS:
        yield f"  {'':<{wide + 15}}  and {len(orders) - MOST_ORDERS} more"


def _short(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 20]} ... {text[-15:]}"


@contextmanager
def progress() -> Iterator[Callable[[Progress], None]]:
    """Show a progress bar on stderr, if stderr is a terminal."""
    with terminal.progress_bar() as update:

        def show(state: Progress) -> None:
            words = f"{state['subject']}: {state['meetings']:,} meetings"
            if state["findings"]:
                words += f", {state['findings']} findings"
            update(state["done"], state["total"] or None, words)

        yield show


def report_to_github(result: Result) -> None:
    """Print annotations for GitHub Actions, and add the findings to the job summary."""
    for finding in result["findings"]:
        kind = "notice" if finding["allowed"] else "error"
        title = f"{finding['type']}: {finding['kind']}"
        github.annotate(kind, title, " | ".join(finding["operations"]))
    lines = [f"### Stress: {heading(result['interpreter'])}", "", sentence(result), ""]
    for finding in result["findings"]:
        lines += ["```", *picture(finding), "```", ""]
    github.add_to_summary("\n".join(lines))

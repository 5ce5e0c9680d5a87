"""Print or publish the figures that benchmarks/run.py measured.

    python benchmarks/report.py FILE              # print the table
    python benchmarks/report.py FILE --publish    # write the quotes in the documents and the plot

Documents quote a part between `<!-- benchmark: NAME -->` and `<!-- end of benchmark -->`.
"""

import argparse
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).resolve().parent.parent
RESULTS = PROJECT / "benchmarks/results.json"
PLOT = PROJECT / "docs/performance.svg"
DOCUMENTS = [PROJECT / path for path in ("docs/performance.md", "docs/import-check.md")]
QUOTED = re.compile(
    r"(?P<start><!-- benchmark: (?P<name>[\w-]+) -->\n).*?(?=<!-- end of benchmark -->)", re.S
)
FREE = "free-threaded"
DEPOSIT, TRANSFER = "`a.deposit(1)`", "`transfer(a, b, 1)`"
Result = dict[str, Any]


def where(result: Result) -> str:
    """Return the machine and the interpreters of the measurement."""
    this = result["interpreters"][FREE]
    builds = " and ".join(result["interpreters"])
    return (
        f"{result['machine']}; CPython {this['version']}, {builds}, {this['compiler']}, "
        f"`{this['flags']}`; ftdemo at {result['commit']}, {result['date']}.\n"
    )


def markdown(header: list[str], body: list[list[str]]) -> str:
    lines = [header, ["---"] * len(header), *body]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def cell(figure: list[float], unit: str) -> str:
    """Format a median, with its quartiles if they differ."""
    digits = {"/s": 0, "ns": 1}.get(unit, 2)
    low, median, high = (f"{value:,.{digits}f}" for value in figure)
    return median if low == high else f"{median} ({low} to {high})"


def table(result: Result) -> str:
    """Return the table of all medians with their quartiles."""
    builds = list(result["interpreters"])
    body = []
    group = ""
    for row in result["rows"]:
        if row["group"] != group:
            group = row["group"]
            body.append([f"**{group}**", *("" for _ in ["unit", *builds])])
        cells = [cell(row[build], row["unit"]) if build in row else "-" for build in builds]
        body.append([row["what"], row["unit"], *cells])
    return markdown(["", "", *builds], body)


def checks(result: Result) -> str:
    """Return the table of the import checks, in seconds."""
    by_package: dict[str, list[str]] = {}
    for row in result["rows"]:
        if row["group"].startswith("imports of ") and row["unit"] == "s":
            package = row["group"].removeprefix("imports of ")
            by_package.setdefault(package, []).append(f"{row[FREE][1]:.2f}")
    header = ["seconds", "the command", "one process for all", "one process per module"]
    return markdown(header, [[f"`ftdemo check {p}`", *each] for p, each in by_package.items()])


PARTS: dict[str, Callable[[Result], str]] = {
    "where": where,
    "table": table,
    "checks": checks,
}


def quoting(text: str, result: Result) -> str:
    """Return a document's text with up-to-date quotes."""
    return QUOTED.sub(lambda match: match["start"] + PARTS[match["name"]](result), text)


def draw(result: Result) -> None:
    """Draw the time of one call of each account, and the work that threads do."""
    import matplotlib as mpl

    mpl.use("svg")
    mpl.rcParams |= {"svg.hashsalt": "ftdemo", "svg.fonttype": "none"}
    from matplotlib import pyplot

    figure, (left, right) = pyplot.subplots(1, 2, figsize=(11, 4.5), layout="constrained")
    rows = [row for row in result["rows"] if row["group"] in {DEPOSIT, TRANSFER}]
    names = list(dict.fromkeys(row["what"] for row in rows))
    for offset, operation in ((-0.2, DEPOSIT), (0.2, TRANSFER)):
        mine = [row for row in rows if row["group"] == operation]
        places = [names.index(row["what"]) + offset for row in mine]
        medians = [row[FREE][1] for row in mine]
        drawn = left.barh(places, medians, 0.4, label=operation.strip("`"))
        left.bar_label(drawn, fmt=" %.0f")
    left.set(title="One call, without the GIL", xlabel="ns", xscale="log", xlim=(5, 2000))
    left.set_yticks(range(len(names)), [name.replace("`", "") for name in names])
    left.invert_yaxis()
    left.legend()

    rows = [row for row in result["rows"] if "threads, for what one" in row["group"]]
    most = max((int(row["group"].split()[0]) for row in rows), default=1)
    rows = [row for row in rows if row["group"].startswith(f"{most} threads")]
    for offset, build in zip((-0.2, 0.2), result["interpreters"], strict=False):
        places = [place + offset for place in range(len(rows))]
        right.barh(places, [row[build][1] for row in rows], 0.4, label=build)
    right.axvline(1, color="grey", linewidth=0.8)
    right.set(title=f"{most} threads, compared with one", xlabel="times")
    right.set_yticks(range(len(rows)), [row["what"].replace("`", "") for row in rows])
    right.invert_yaxis()
    right.legend()
    version = result["interpreters"][FREE]["version"]
    about = f"CPython {version}, {result['machine']}; nox -s bench"
    figure.supxlabel(about, size="small", color="grey")
    figure.savefig(PLOT, format="svg", metadata={"Date": None})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("file", type=Path)
    parser.add_argument("--publish", action="store_true")
    options = parser.parse_args()
    result = json.loads(options.file.read_text(encoding="utf-8"))
    if not options.publish:
        print(where(result), table(result), sep="\n")
        return
    if result["quick"]:
        parser.error("what --quick measured is not for publication")
    RESULTS.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    for document in DOCUMENTS:
        text = document.read_text(encoding="utf-8")
        document.write_text(quoting(text, result), encoding="utf-8")
    draw(result)


if __name__ == "__main__":
    main()

"""Make tables and pictures of what benchmarks/run.py measured.

    python benchmarks/report.py FILE              # print the tables
    python benchmarks/report.py FILE --publish    # write them where the documents quote them

A document quotes a table between `<!-- benchmark: NAME -->` and `<!-- end of benchmark -->`.
"""

import argparse
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).resolve().parent.parent
RESULTS = PROJECT / "benchmarks/results.json"
DOCUMENTS = [
    PROJECT / path for path in ("README.md", "docs/performance.md", "docs/import-check.md")
]
QUOTED = re.compile(
    r"(?P<start><!-- benchmark: (?P<name>[\w-]+) -->\n).*?(?=<!-- end of benchmark -->)", re.S
)
Result = dict[str, Any]

TITLES = {
    "ftdemo": "ftdemo",
    "unlocked": "its unlocked twin",
    "python_lock": "Python + `threading.Lock`",
    "cython_section": "Cython, `critical_section`",
    "nanobind_lock": "nanobind, `lock_self`, `lock`",
    "pybind11_mutex": "pybind11, `std::mutex`",
    "cereggii": "cereggii, `AtomicInt64.increment_and_get`",
}
KINDS = {
    "C": "plain C, detached",
    "sum_of_squares": "`sum_of_squares`",
    "own": "deposits, an account each",
    "side by side": "deposits, an account each, side by side in memory",
    "one": "deposits, one account",
    "pair": "transfers, one pair, in opposite directions",
}


def rows(*header: str, body: list[list[str]]) -> str:
    """Lay out a Markdown table."""
    lines = [list(header), ["---"] * len(header), *body]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def where(result: Result) -> str:
    """Say on what it was measured."""
    machine, free = result["machine"], result["interpreters"]["free-threaded"]
    return (
        f"{machine['processor']}, {machine['cores']} cores, {machine['system']}; CPython "
        f"{free['version']} of both builds, {free['compiler']}, `{free['flags']}`; ftdemo at "
        f"{result['commit']}, {result['date']}."
    )


def measures(result: Result) -> str:
    """Show every ratio with a goal."""
    body = []
    for each in result["measures"]:
        least, most = each["least"], each["most"]
        if least is not None and most is not None:
            goal = f"{least:g} to {most:g}"
        else:
            goal = f"at least {least:g}" if most is None else f"at most {most:g}"
        value = f"{each['median']:.2f} ({each['low']:.2f} to {each['high']:.2f})"
        body.append([each["measure"], goal, value, "yes" if each["reached"] else "**no**"])
    return rows("measure", "goal", "median (quartiles)", "reached", body=body)


def peers(result: Result) -> str:
    """Show the six accounts, and one increment, in nanoseconds."""
    columns = [
        (f"{operation}, {build}", times, operation)
        for build, times in result["nanoseconds"].items()
        for operation in ("deposit", "transfer")
    ]
    body = []
    for name, title in TITLES.items():
        found = [times.get(f"{name}.{operation}") for _, times, operation in columns]
        body.append([title, *(f"{each['median']:.1f}" if each else "-" for each in found)])
    return rows("ns", *(title for title, *_ in columns), body=body)


def parts(result: Result) -> str:
    """Show what an operation is made of, and what the parts cost in a loop without Python."""
    body = [
        [
            f"{operation}, {build}",
            *(f"{part[name]:.1f}" for name in ("call", "conversion", "work", "lock")),
            f"{part['share']:.0%}",
        ]
        for build, operations in result["parts"].items()
        for operation, part in operations.items()
    ]
    return rows("ns", "call", "conversion", "work", "lock", "the lock's share", body=body)


def limits(result: Result) -> str:
    """Show what nothing can be faster than."""
    names = {
        "method.nothing": "a call of an empty method with one argument (METH_O)",
        "function.nothing": "a call of an empty function with three (METH_FASTCALL)",
        "limits.atomic_add": "an atomic addition",
        "limits.mutex": "a PyMutex locked and unlocked, that nobody else wants",
        "limits.section": "a critical section, that nobody else wants",
        "limits.section2": "a critical section on two objects",
    }
    builds = result["nanoseconds"]
    body = [
        [title, *(f"{times[name]['median']:.1f}" for times in builds.values())]
        for name, title in names.items()
    ]
    return rows("ns", *builds, body=body)


def scaling(result: Result) -> str:
    """Show what threads gain."""
    builds = result["scaling"]
    threads = list(next(iter(builds["free-threaded"]["gains"].values())))
    body = [
        [f"{title}, {build}", *(f"{scaled['gains'][kind][n]['median']:.2f}" for n in threads)]
        for build, scaled in builds.items()
        for kind, title in KINDS.items()
    ]
    return rows("throughput, for that of one thread", *threads, body=body)


def fairness(result: Result) -> str:
    """Show what the thread that got least done did, for one that the busiest did."""
    builds = result["scaling"]
    body = [
        [KINDS[kind], *(f"{scaled['fairness'][kind]['median']:.2f}" for scaled in builds.values())]
        for kind in next(iter(builds.values()))["fairness"]
    ]
    return rows("least done, for most done", *builds, body=body)


def builds(result: Result) -> str:
    """Show what one thread pays for a build without the GIL."""
    pairs = result["builds"]
    operations = dict.fromkeys(operation for pair in pairs for operation in pair["ratios"])
    body = [
        [
            " : ".join(reversed(pair["versions"])),
            *(f"{pair['ratios'][operation]['median']:.2f}" for operation in operations),
        ]
        for pair in pairs
    ]
    return rows("free-threaded : with the GIL", *operations, body=body)


def absolute(result: Result) -> str:
    """Show each public operation by itself."""
    body = [
        [f"`{name}`", f"{each['mean']:,.1f}", f"{each['deviation']:,.1f}"]
        for name, each in result["absolute"].items()
    ]
    return rows("ns", "mean", "standard deviation", body=body)


def checks(result: Result) -> str:
    """Show what the import checks take."""
    columns = ("ours", "bare", "each", "once")
    body = [
        [
            f"`{check['command']}`",
            *(f"{check[name]:.2f}" if name in check else "-" for name in columns),
        ]
        for check in result["checks"]
    ]
    header = ("s", "the command", "five bare starts", "a process a module", "one that imports all")
    return rows(*header, body=body)


TABLES: dict[str, Callable[[Result], str]] = {
    "where": lambda result: f"{where(result)}\n",
    "measures": measures,
    "peers": peers,
    "parts": parts,
    "limits": limits,
    "scaling": scaling,
    "fairness": fairness,
    "builds": builds,
    "checks": checks,
    "absolute": absolute,
}


def quoting(text: str, result: Result) -> str:
    """Give a document's text with what it quotes as it should be."""
    return QUOTED.sub(lambda match: match["start"] + TABLES[match["name"]](result), text)


def pictures(result: Result) -> Iterator[tuple[Path, Any]]:
    """Draw the accounts side by side, and what threads gain."""
    import matplotlib as mpl

    mpl.use("svg")
    mpl.rcParams |= {"svg.hashsalt": "ftdemo", "svg.fonttype": "none"}
    from matplotlib import pyplot

    machine = result["machine"]
    free = result["interpreters"]["free-threaded"]["version"]
    about = f"CPython {free}, {machine['processor']}, {machine['cores']} cores; nox -s bench"

    figure, axes = pyplot.subplots(figsize=(7, 4), layout="constrained")
    times = result["nanoseconds"]["free-threaded"]
    present = [name for name in TITLES if f"{name}.deposit" in times]
    for index, operation in enumerate(("deposit", "transfer")):
        bars = {
            place + 0.4 * index - 0.2: times[f"{name}.{operation}"]["median"]
            for place, name in enumerate(present)
            if f"{name}.{operation}" in times
        }
        drawn = axes.barh(list(bars), list(bars.values()), 0.4, label=operation)
        axes.bar_label(drawn, fmt=" %.0f")
    titles = [TITLES[name].replace("`", "") for name in present]
    axes.set(title="One call, without the GIL", xlabel="ns", xscale="log", xlim=(1, 3000))
    axes.set_yticks(range(len(present)), titles)
    axes.invert_yaxis()
    axes.legend()
    figure.supxlabel(about, size="small", color="grey")
    yield PROJECT / "docs/performance-peers.svg", figure

    builds = result["scaling"]
    figure, grid = pyplot.subplots(
        1, len(builds), figsize=(9, 4), sharey=True, squeeze=False, layout="constrained"
    )
    panels = grid[0]
    for axes, (build, scaled) in zip(panels, builds.items(), strict=True):
        for kind, title in KINDS.items():
            gains = scaled["gains"][kind]
            counts = [int(threads) for threads in gains]
            axes.plot(counts, [g["median"] for g in gains.values()], "o-", label=title)
        axes.set(title=build, xlabel="threads", xticks=counts, ylim=(0, None))
    panels[0].set_ylabel("throughput, for that of one thread")
    panels[-1].legend([title.replace("`", "") for title in KINDS.values()], fontsize="small")
    figure.supxlabel(about, size="small", color="grey")
    yield PROJECT / "docs/performance-scaling.svg", figure


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("file", type=Path)
    parser.add_argument("--publish", action="store_true")
    options = parser.parse_args()
    result = json.loads(options.file.read_text(encoding="utf-8"))
    if not options.publish:
        print("\n".join(f"{name}\n\n{table(result)}" for name, table in TABLES.items()))
        return
    if result["quick"]:
        parser.error("what --quick measured is not for publication")
    RESULTS.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    for document in DOCUMENTS:
        text = document.read_text(encoding="utf-8")
        document.write_text(quoting(text, result), encoding="utf-8")
    for path, figure in pictures(result):
        figure.savefig(path, format="svg", metadata={"Date": None})


if __name__ == "__main__":
    main()

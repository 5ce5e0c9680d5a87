"""The plot of the demo scaling: throughput by threads, for both builds of this version."""

import platform
from pathlib import Path

import matplotlib as mpl

from ftdemo.demo.builds import ask, installed_builds
from ftdemo.interpreter import cores


def throughput(most: int) -> list[float]:
    """Measure the work per second of 1, 2 ... threads, best of 5; another interpreter runs this."""
    import threading
    import time

    def work() -> None:
        total = 0
        for number in range(1_000_000):
            total += number * number

    best = [0.0] * most
    for _ in range(5):  # in turn: a busy moment then affects one round, not one thread count
        for count in range(1, most + 1):
            threads = [threading.Thread(target=work) for _ in range(count)]
            start = time.perf_counter()
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            best[count - 1] = max(best[count - 1], count / (time.perf_counter() - start))
    return best


def _version() -> list[str]:
    import sys

    return [sys.version.split()[0]]


def draw(file: str) -> None:
    """Measure, and write the plot as SVG, with a description of the machine."""
    most = min(2 * cores(), 16)
    counts = range(1, most + 1)
    mpl.use("svg")
    mpl.rcParams |= {"svg.hashsalt": "ftdemo", "svg.fonttype": "none"}
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(7, 4), layout="constrained")
    for (build, python), style in zip(installed_builds().items(), ("o-", "s-"), strict=False):
        (version,) = ask(python, _version)
        found = ask(python, throughput, most)
        ratios = [each / found[0] for each in found]
        axes.plot(counts, ratios, style, label=f"CPython {version}, {build}")
    axes.axvline(cores(), color="grey", linestyle=":", label=f"{cores()} cores")
    axes.set(
        title="Throughput of CPU-bound Python threads",
        xlabel="threads",
        ylabel="times that of one thread",
        xticks=counts,
        ylim=(0, None),
    )
    axes.legend()
    machine = f"{platform.system()} {platform.machine()}, {cores()} cores"
    figure.supxlabel(f"{machine}; ftdemo demo scaling --plot", size="small", color="grey")
    figure.savefig(Path(file), format="svg", metadata={"Date": None})
    pyplot.close(figure)

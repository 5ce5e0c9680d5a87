"""The report for people: the wheel matrix."""

from rich.table import Table
from rich.text import Text

from ftdemo.terminal import show, table
from ftdemo.wheels import Release, Result
from ftdemo.wheels.cells import parse_interpreter
from ftdemo.wheels.wheel import abi_tag

WORDS = {"hole": "missing", "extra": "unexpected"}  # other kinds of problems are plain words


def print_matrix(result: Result) -> None:
    """Print the matrix of each release, its wheels and those that are missing, and all problems."""
    blocks: list[str | Table] = []
    for release in result["releases"]:
        blocks += _release(release)
    if not result["releases"]:
        blocks.append("The paths contain no wheels.")
    if result["problems"]:
        problems = table("problem", "wheel", "detail")
        for problem in result["problems"]:
            kind = Text(WORDS.get(problem["kind"], problem["kind"]), "bold red")
            problems.add_row(kind, problem["subject"], problem["detail"])
        blocks.append(problems)
    show(*blocks)


def _release(release: Release) -> list[str | Table]:
    cells = {(cell["interpreter"], cell["platform"]): cell["wheel"] for cell in release["cells"]}
    numbers: dict[str, int] = {}
    matrix = table("", *(platform.replace("_", "\n", 1) for platform in release["platforms"]))
    for interpreter in release["interpreters"]:
        row: list[str | Text] = [parse_interpreter(interpreter).version]
        for platform in release["platforms"]:
            wheel = cells[interpreter, platform]
            if wheel is None:
                row.append(Text("-", "bold yellow"))
            else:
                number = numbers.setdefault(wheel, len(numbers) + 1)
                row.append(Text(f"{abi_tag(wheel)} [{number}]", "green"))
        matrix.add_row(*row)
    files = [f"[{number}] {wheel}" for wheel, number in numbers.items()]
    holes = release["holes"]
    return [
        f"{release['distribution']} {release['version']}: the wheel that pip installs",
        matrix,
        "\n".join(files),
        f"no wheel for {', '.join(holes)}"
        if holes
        else "a wheel for every interpreter and platform",
    ]

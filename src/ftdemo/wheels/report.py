"""The wheel matrix as people read it."""

from ftdemo.terminal import Block, Cell, Styled, Table, show
from ftdemo.wheels.cells import parse_interpreter
from ftdemo.wheels.matrix import Release, Result
from ftdemo.wheels.wheel import abi_tag


def print_matrix(result: Result) -> None:
    """Print the matrix of each release, the wheels that it refers to, holes and problems."""
    blocks: list[Block] = []
    for release in result["releases"]:
        blocks += _release(release)
    if not result["releases"]:
        blocks.append("no wheels")
    if result["problems"]:
        table = Table("problem", "with", "detail")
        for problem in result["problems"]:
            kind = Styled(problem["kind"], "bold red")
            table.add_row(kind, problem["subject"], problem["detail"])
        blocks.append(table)
    show(*blocks)


def _release(release: Release) -> list[Block]:
    cells = {(cell["interpreter"], cell["platform"]): cell["wheel"] for cell in release["cells"]}
    numbers: dict[str, int] = {}
    table = Table("", *(platform.replace("_", "\n", 1) for platform in release["platforms"]))
    for interpreter in release["interpreters"]:
        row: list[Cell] = [parse_interpreter(interpreter).version]
        for platform in release["platforms"]:
            wheel = cells[interpreter, platform]
            if wheel is None:
                row.append(Styled("-", "bold yellow"))
            else:
                number = numbers.setdefault(wheel, len(numbers) + 1)
                row.append(Styled(f"{abi_tag(wheel)} [{number}]", "green"))
        table.add_row(*row)
    files = [f"[{number}] {wheel}" for wheel, number in numbers.items()]
    holes = release["holes"]
    return [
        f"{release['distribution']} {release['version']}: the wheel that pip takes",
        table,
        "\n".join(files),
        f"{len(holes)} holes: {', '.join(holes)}" if holes else "no holes",
    ]

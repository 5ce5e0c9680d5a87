"""The command line. Parses arguments; everything else is elsewhere."""

import argparse
import json
import math
import os
import sys

TYPE_CHECKING = False  # typing is one more import
if TYPE_CHECKING:
    from collections.abc import Sequence

EXIT_CODES = "exit codes: 0 as hoped, 1 a check failed, 2 error, 3 nothing could be checked"


class _Parser(argparse.ArgumentParser):
    """A parser that is not checked as it is put together.

    From 3.14 on, each argument is formatted when it is added, which imports what help is coloured
    with: that takes longer than all else here. A test formats all help instead.
    """

    @property
    def _get_validation_formatter(self) -> None:
        raise AttributeError  # so there is none, as in a group of arguments


def parser() -> argparse.ArgumentParser:
    """Make the parser of the command line."""
    main = _Parser(
        prog="ftdemo",
        description="Check which imports bring the GIL back. Without a command: ftdemo's own.",
        epilog=EXIT_CODES,
    )
    main.add_argument("--version", action="store_true", help="print the version of ftdemo")
    main.add_argument("--json", action="store_true", help="print one JSON object")
    main.set_defaults(run=_own)
    # Given its prog, argparse need not format a usage, for which it imports inspect and more.
    commands = main.add_subparsers(title="commands", metavar="COMMAND", prog=main.prog)
    check = commands.add_parser(
        "check",
        help="check distributions, packages, modules or wheels",
        description="Import every extension module of each target in fresh processes, and say "
        "whether the GIL came on and what turned it on. Importing runs the code of the target.",
        epilog=EXIT_CODES,
    )
    check.add_argument(
        "targets",
        nargs="*",
        metavar="TARGET",
        help="an installed distribution, an importable package or module, or a wheel file",
    )
    check.add_argument(
        "--schema",
        action="store_true",
        help="print the JSON Schema of that object, and nothing else",
    )
    check.add_argument(
        "--timeout",
        type=_seconds,
        default=60.0,
        metavar="S",
        help="seconds that one import may take (default: 60)",
    )
    check.add_argument(
        "--jobs",
        type=_count,
        metavar="N",
        help="processes that import at a time (default: as many as cores)",
    )
    check.set_defaults(run=_check, parser=check)
    wheels = commands.add_parser(
        "wheels",
        help="lay out a folder of wheels as a matrix",
        description="Show which wheel pip takes for each interpreter on each platform, and where "
        "there is none. Nothing of the wheels is run.",
        epilog=EXIT_CODES,
    )
    wheels.add_argument("paths", nargs="+", metavar="PATH", help="a wheel or a folder of wheels")
    wheels.add_argument(
        "--expect",
        metavar="FILE",
        help="a contract (TOML): fail unless its cells are filled, and nothing else is there",
    )
    wheels.set_defaults(run=_wheels)
    demo = commands.add_parser(
        "demo",
        help="see and measure what changes without the GIL",
        description="Run demos, each in a fresh interpreter. Each states a claim, measures it on "
        "this interpreter and says whether it was seen.",
        epilog="exit codes: 0 every claim was seen or had a reason to be skipped, 1 one was not "
        "seen, 2 error, 3 all were skipped",
    )
    demo.add_argument("names", nargs="*", metavar="NAME", help="a demo (default: all)")
    demo.add_argument("--list", action="store_true", help="print the demos and their claims")
    demo.add_argument("--quick", action="store_true", help="measure as little as will do")
    demo.add_argument(
        "--plot", metavar="FILE.svg", help="scaling only: draw it for both builds of this version"
    )
    demo.set_defaults(run=_demo, parser=demo)
    _add_lint(commands)
    for command in (check, wheels, demo):  # as well as before the command
        command.add_argument(
            "--json", action="store_true", default=argparse.SUPPRESS, help="print one JSON object"
        )
    return main


def _add_lint(commands: "argparse._SubParsersAction[_Parser]") -> None:
    """Add the command lint."""
    lint = commands.add_parser(
        "lint",
        help="find what relied on the GIL in C and C++ sources",
        description="Parse C and C++ sources and find what relied on the GIL. Nothing is compiled "
        "or run. [tool.ftdemo.lint] in pyproject.toml configures it.",
        epilog="exit codes: 0 no errors, 1 errors (with --strict: or warnings), 2 usage or "
        "internal error, 3 nothing was analysed",
    )
    lint.add_argument("paths", nargs="*", metavar="PATH", help="a source or a folder of sources")
    lint.add_argument(
        "--select",
        action="append",
        default=[],
        metavar="RULES",
        help="run these rules or groups (default, optional, conventions, all), and no others",
    )
    lint.add_argument(
        "--ignore", action="append", default=[], metavar="RULES", help="run all but these"
    )
    lint.add_argument("--strict", action="store_true", help="warnings fail too")
    lint.add_argument(
        "--baseline",
        metavar="FILE",
        help="leave out what is in FILE, an earlier output of --json",
    )
    lint.add_argument(
        "--output-format",
        choices=("full", "concise", "json", "github", "sarif"),
        default="full",
        help="how to print findings (default: full)",
    )
    lint.add_argument(
        "--json",
        dest="output_format",
        action="store_const",
        const="json",
        default=argparse.SUPPRESS,
        help="print one JSON object",
    )
    lint.add_argument("--schema", action="store_true", help="print the JSON Schema of that object")
    lint.add_argument(
        "--explain",
        metavar="RULE",
        help="print what a rule finds, with wrong and right code (all: of every rule)",
    )
    lint.add_argument(
        "--jobs", type=_count, metavar="N", help="processes (default: as many as cores)"
    )
    lint.set_defaults(run=_lint, parser=lint)


def _seconds(text: str) -> float:
    value = float(text)
    if not 0 < value < math.inf:
        raise ValueError
    return value


def _count(text: str) -> int:
    value = int(text)
    if value < 1:
        raise ValueError
    return value


def main(arguments: "Sequence[str] | None" = None) -> int:
    """Run the command; returns its exit code.

    0 as hoped, 1 a check failed, 2 usage or internal error, 3 nothing could be checked.
    """
    options = parser().parse_args(arguments)
    try:
        code: int = options.run(options)
        if sys.stdout is not None:
            sys.stdout.flush()
    except OSError as error:  # no one reads on, or there is no room
        print(f"ftdemo: error: {error}", file=sys.stderr)
        sys.stdout = None
        return 2
    except Exception:  # a bug of ours is no verdict: not exit code 1
        import traceback

        traceback.print_exc()
        return 2
    return code


def _own(options: argparse.Namespace) -> int:
    if options.version:
        from importlib.metadata import version

        print(f"ftdemo {version('ftdemo')}")
        return 0
    from ftdemo.check import own

    result = own.check_own_modules()
    if options.json:
        print(json.dumps(result, indent=2))
    else:
        from ftdemo.check import report

        report.print_own(result)
    return own.exit_code(result)


def _check(options: argparse.Namespace) -> int:
    import contextlib

    from ftdemo import check
    from ftdemo.check import api

    if options.schema:
        from pathlib import Path

        print(Path(api.__file__).with_name("schema.json").read_text(encoding="utf-8"), end="")
        return 0
    if not options.targets:
        options.parser.error("the following arguments are required: TARGET")
    interrupted = False
    try:
        with contextlib.ExitStack() as stack:
            progress = None
            if sys.stderr.isatty():
                from ftdemo.check import report

                progress = stack.enter_context(report.progress())
            result = api.check(
                options.targets, timeout=options.timeout, jobs=options.jobs, progress=progress
            )
    except check.TargetError as error:
        print(f"ftdemo check: error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt as interrupt:
        result = interrupt.result  # type: ignore[attr-defined]
        interrupted = True
    if options.json:
        print(json.dumps(result, indent=2))
    else:
        from ftdemo.check import report

        report.print_check(result)
    if interrupted:
        print("interrupted: these are the verdicts so far", file=sys.stderr)
        return 2
    if os.environ.get("GITHUB_ACTIONS"):
        from ftdemo.check import report

        report.report_to_github(result)
    return api.exit_code(result)


def _lint(options: argparse.Namespace) -> int:
    from ftdemo.lint import LintError, api, report
    from ftdemo.lint.rules import RULES

    if options.schema:
        from pathlib import Path

        print(Path(api.__file__).with_name("schema.json").read_text(encoding="utf-8"), end="")
        return 0
    if options.explain is not None:
        names = list(RULES) if options.explain == "all" else [options.explain]
        if names[0] not in RULES:
            options.parser.error(f"no rule {names[0]!r}; there are: {', '.join(RULES)}")
        report.explain(names)
        return 0
    if not options.paths:
        options.parser.error("the following arguments are required: PATH")
    try:
        result = api.lint(
            options.paths,
            select=[name for text in options.select for name in text.split(",")],
            ignore=[name for text in options.ignore for name in text.split(",")],
            baseline=options.baseline,
            jobs=options.jobs or os.cpu_count() or 1,
        )
    except LintError as error:
        print(f"ftdemo lint: error: {error}", file=sys.stderr)
        return 2
    form = "json" if getattr(options, "json", False) else options.output_format
    report.print_result(result, form)
    if os.environ.get("GITHUB_ACTIONS") and form != "github":
        report.report_to_github(result)
    return api.exit_code(result, strict=options.strict)


def _wheels(options: argparse.Namespace) -> int:
    from ftdemo.wheels import ContractError, WheelError, matrix

    try:
        result = matrix.survey(options.paths, options.expect)
    except (ContractError, WheelError) as error:
        print(f"ftdemo wheels: error: {error}", file=sys.stderr)
        return 2
    if options.json:
        print(json.dumps(result, indent=2))
    else:
        from ftdemo.wheels import report

        report.print_matrix(result)
    return matrix.exit_code(result)


def _demo(options: argparse.Namespace) -> int:
    from ftdemo import demos
    from ftdemo.demos import api

    unknown = [name for name in options.names if name not in demos.NAMES]
    if unknown:
        options.parser.error(f"no demo {unknown[0]!r}; there are: {', '.join(demos.NAMES)}")
    names = list(dict.fromkeys(options.names)) or demos.NAMES
    if options.plot is not None:
        if options.names != ["scaling"]:
            options.parser.error("--plot is for scaling alone: ftdemo demo scaling --plot FILE.svg")
        try:
            from ftdemo.demos import plot
        except ImportError:
            options.parser.error("--plot needs matplotlib: pip install 'ftdemo[plot]'")
    if options.list:
        return _demo_list(options, names)
    from ftdemo.demos import report

    done: list[api.Demo] = []
    running = api.run(names, quick=options.quick)
    interrupted = False
    try:
        for name in names:
            with report.progress(name):
                done.append(next(running))
            if not options.json:
                report.print_demo(done[-1], explain=bool(options.names))
        if options.plot is not None:
            with report.progress("drawing"):
                plot.draw(options.plot)
    except KeyboardInterrupt:
        interrupted = True
    result = api.collect(done)
    if options.json:
        print(json.dumps(result, indent=2))
    elif not options.names:
        report.print_table(result)
    if interrupted:
        print("interrupted: these are the demos so far", file=sys.stderr)
        return 2
    return api.exit_code(result)


def _demo_list(options: argparse.Namespace, names: "Sequence[str]") -> int:
    from ftdemo import demos

    if options.json:
        claims = [{"name": name, "claim": demos.claim(name)} for name in names]
        print(json.dumps({"version": 1, "demos": claims}, indent=2))
    else:
        from ftdemo.demos import report

        report.print_list(names)
    return 0

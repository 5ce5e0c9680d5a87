"""The command line: parse the arguments, then import and run the package of the command."""

import argparse
import importlib.metadata
import json
import math
import os
import pathlib
import shlex
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ftdemo import exit_codes

EPILOG = (
    "exit codes: 0 every check passed, 1 a check failed, 2 usage or internal error, "
    "3 nothing could be checked (for example, on a build with the GIL)"
)
Commands = Any  # what add_subparsers() returns: argparse has no public name for it


def parser() -> argparse.ArgumentParser:
    """Build the argument parser."""
    main = argparse.ArgumentParser(
        prog="ftdemo",
        description="Help authors of C extensions get ready for free-threaded Python. Without a "
        "command, check which of ftdemo's own extension modules enable the GIL.",
        epilog=EPILOG,
    )
    main.add_argument("--version", action="store_true", help="print the version of ftdemo")
    main.add_argument("--json", action="store_true", help="print one JSON object")
    main.set_defaults(run=_own)
    commands = main.add_subparsers(title="commands", metavar="COMMAND")
    _add_check(commands)
    _add_wheels(commands)
    _add_demo(commands)
    _add_lint(commands)
    _add_stress(commands)
    _add_new(commands)
    return main


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command that the arguments name, and return its exit code."""
    options = parser().parse_args(arguments)
    try:
        code: int = options.run(options)
        if sys.stdout is not None:
            sys.stdout.flush()
    except OSError as error:  # a closed pipe or a full disk
        print(f"ftdemo: error: {error}", file=sys.stderr)
        sys.stdout = None
        return exit_codes.ERROR
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return exit_codes.ERROR
    except Exception:  # a bug in ftdemo is not a verdict
        traceback.print_exc()
        return exit_codes.ERROR
    return code


def _add_command(
    commands: Commands,
    name: str,
    run: Callable[[argparse.Namespace], int],
    *,
    help: str,  # noqa: A002 - argparse's name
    description: str,
) -> argparse.ArgumentParser:
    """Add a command with the options that all commands have."""
    command: argparse.ArgumentParser = commands.add_parser(
        name, help=help, description=description, epilog=EPILOG
    )
    # SUPPRESS keeps the value of a --json that comes before the command.
    command.add_argument(
        "--json", action="store_true", default=argparse.SUPPRESS, help="print one JSON object"
    )
    command.set_defaults(run=run, parser=command)
    return command


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


def _print_json(result: Mapping[str, Any]) -> None:
    print(json.dumps(result, indent=2))


def _error(command: str, error: Exception) -> int:
    print(f"ftdemo {command}: error: {error}", file=sys.stderr)
    return exit_codes.ERROR


def _own(options: argparse.Namespace) -> int:
    if options.version:
        print(f"ftdemo {importlib.metadata.version('ftdemo')}")
        return exit_codes.OK
    from ftdemo import own

    result = own.check_own_modules()
    if options.json:
        _print_json(result)
    else:
        own.print_own(result)
    return own.exit_code(result)


def _add_check(commands: Commands) -> None:
    command = _add_command(
        commands,
        "check",
        _check,
        help="find the modules whose import enables the GIL",
        description="Import every extension module of each target in a fresh process, and report "
        "whether this enabled the GIL, and which modules did so. Importing runs the target's code.",
    )
    command.add_argument(
        "targets",
        nargs="*",
        metavar="TARGET",
        help="an installed distribution, an importable package or module, or a wheel file",
    )
    command.add_argument(
        "--schema",
        action="store_true",
        help="print the JSON Schema of the --json output, and exit",
    )
    command.add_argument(
        "--timeout",
        type=_seconds,
        default=60.0,
        metavar="S",
        help="seconds allowed for one import (default: 60)",
    )
    command.add_argument(
        "--jobs",
        type=_count,
        metavar="N",
        help="number of processes that import in parallel (default: number of cores)",
    )


def _check(options: argparse.Namespace) -> int:
    from ftdemo import check
    from ftdemo.check import report

    if options.schema:
        print(check.SCHEMA.read_text(encoding="utf-8"), end="")
        return exit_codes.OK
    if not options.targets:
        options.parser.error("the following arguments are required: TARGET")
    interrupted = False
    try:
        with report.progress() as progress:
            result = check.check(
                options.targets, timeout=options.timeout, jobs=options.jobs, progress=progress
            )
    except check.TargetError as error:
        return _error("check", error)
    except check.InterruptedCheck as interrupt:
        result = interrupt.result
        interrupted = True
    if options.json:
        _print_json(result)
    else:
        report.print_check(result)
    if interrupted:
        print("interrupted: the verdicts so far are printed", file=sys.stderr)
        return exit_codes.ERROR
    if os.environ.get("GITHUB_ACTIONS"):
        report.report_to_github(result)
    return check.exit_code(result)


def _add_wheels(commands: Commands) -> None:
    command = _add_command(
        commands,
        "wheels",
        _wheels,
        help="show which wheel pip installs for each interpreter and platform",
        description="Show which wheel pip installs for each interpreter on each platform, and "
        "which combinations have no wheel. No code from the wheels is run.",
    )
    command.add_argument("paths", nargs="+", metavar="PATH", help="a wheel or a folder of wheels")
    command.add_argument(
        "--expect",
        metavar="FILE",
        help="a TOML file with the wheels that a release must have: fail if one is missing, or if "
        "a wheel is not in the list",
    )


def _wheels(options: argparse.Namespace) -> int:
    from ftdemo import wheels
    from ftdemo.wheels import report

    try:
        result = wheels.survey(options.paths, options.expect)
    except (wheels.ContractError, wheels.WheelError) as error:
        return _error("wheels", error)
    if options.json:
        _print_json(result)
    else:
        report.print_matrix(result)
    return wheels.exit_code(result)


def _add_demo(commands: Commands) -> None:
    command = _add_command(
        commands,
        "demo",
        _demo,
        help="measure what changes without the GIL",
        description="Run demos, each in a fresh interpreter. Each demo states a claim about free "
        "threading, measures it on this interpreter and says whether what the claim says was seen. "
        "The exit code is 1 if a claim was not seen, and 3 if every demo was skipped.",
    )
    command.add_argument("names", nargs="*", metavar="NAME", help="a demo (default: all demos)")
    command.add_argument("--list", action="store_true", help="list the demos, and exit")
    command.add_argument("--quick", action="store_true", help="measure less, to save time")
    command.add_argument(
        "--plot", metavar="FILE.svg", help="scaling only: plot both builds of this version"
    )


def _demo(options: argparse.Namespace) -> int:
    from ftdemo import demo, demos
    from ftdemo.demo import report

    unknown = [name for name in options.names if name not in demos.NAMES]
    if unknown:
        options.parser.error(f"unknown demo {unknown[0]!r}; choose from {', '.join(demos.NAMES)}")
    names = list(dict.fromkeys(options.names)) or demos.NAMES
    if options.plot is not None:
        if options.names != ["scaling"]:
            options.parser.error("--plot needs scaling: ftdemo demo scaling --plot FILE.svg")
        try:
            from ftdemo.demo import plot
        except ImportError:
            options.parser.error("--plot needs matplotlib: pip install 'ftdemo[plot]'")
    if options.list:
        return _demo_list(options, names)
    done: list[demo.Demo] = []
    interrupted = False
    try:
        for name in names:
            with report.progress(name):
                done.append(demo.run(name, quick=options.quick))
            if not options.json:
                report.print_demo(done[-1], explain=bool(options.names))
        if options.plot is not None:
            with report.progress("plot"):
                plot.draw(options.plot)
    except KeyboardInterrupt:
        interrupted = True
    result = demo.collect(done)
    if options.json:
        _print_json(result)
    elif not options.names:
        report.print_table(result)
    if interrupted:
        print("interrupted: the demos so far are printed", file=sys.stderr)
        return exit_codes.ERROR
    return demo.exit_code(result)


def _demo_list(options: argparse.Namespace, names: Sequence[str]) -> int:
    from ftdemo import demos
    from ftdemo.demo import report

    if options.json:
        claims = [{"name": name, "claim": demos.claim(name)} for name in names]
        _print_json({"version": 1, "demos": claims})
    else:
        report.print_list(names)
    return exit_codes.OK


def _add_new(commands: Commands) -> None:
    command = commands.add_parser(
        "new",
        help="create a new C extension project that is ready for free threading",
        description="Create a small, complete project: an extension module, its stub, tests, lint, "
        "and workflows that build and publish wheels. This command needs no network.",
        epilog="exit codes: 0 created, 2 usage error or the files cannot be written",
    )
    command.add_argument("name", metavar="NAME", help="name of the project and its module")
    command.add_argument("folder", nargs="?", metavar="FOLDER", help="its folder (default: NAME)")
    command.set_defaults(run=_new)


def _new(options: argparse.Namespace) -> int:
    from ftdemo.new import NewError, new_project

    try:
        project = new_project(options.name, options.folder and pathlib.Path(options.folder))
    except NewError as error:
        return _error("new", error)
    if project.name != options.name:
        same = f"pip treats {options.name} as the same name"
        print(f"The project and its module are named {project.name}; {same}.")
    print(f"Created {project.files} files in {project.folder}. To build and test them:\n")
    print(f"cd {shlex.quote(str(project.folder))}")
    print("git init && git add .")
    print("nox  # or: uvx --with uv nox")
    return exit_codes.OK


def _add_lint(commands: Commands) -> None:
    command = commands.add_parser(
        "lint",
        help="find code in C and C++ sources that relies on the GIL",
        description="Parse C and C++ sources and report code that relies on the GIL. Nothing is "
        "compiled or run. The table [tool.ftdemo.lint] in pyproject.toml configures the rules.",
        epilog="exit codes: 0 no errors, 1 errors (with --strict also warnings), 2 usage or "
        "internal error, 3 no file was analysed",
    )
    command.add_argument("paths", nargs="*", metavar="PATH", help="a source file or a folder")
    command.add_argument(
        "--select",
        action="append",
        default=[],
        metavar="RULES",
        help="run only these rules or groups (default, optional, conventions, all)",
    )
    command.add_argument(
        "--ignore", action="append", default=[], metavar="RULES", help="do not run these rules"
    )
    command.add_argument("--strict", action="store_true", help="exit with 1 on warnings too")
    command.add_argument(
        "--baseline",
        metavar="FILE",
        help="do not report the findings in FILE, an earlier output of --json",
    )
    command.add_argument(
        "--output-format",
        choices=("full", "concise", "json", "github", "sarif"),
        default="full",
        help="format of the findings (default: full)",
    )
    command.add_argument(
        "--json",
        dest="output_format",
        action="store_const",
        const="json",
        default=argparse.SUPPRESS,
        help="print one JSON object",
    )
    command.add_argument(
        "--schema", action="store_true", help="print the JSON Schema of the --json output, and exit"
    )
    command.add_argument(
        "--explain",
        metavar="RULE",
        help="explain a rule with wrong and right code, and exit (all: every rule)",
    )
    command.add_argument(
        "--jobs", type=_count, metavar="N", help="number of processes (default: number of cores)"
    )
    command.set_defaults(run=_lint, parser=command)


def _lint(options: argparse.Namespace) -> int:
    from ftdemo import interpreter
    from ftdemo.lint import LintError, api, report
    from ftdemo.lint.rules import RULES

    if options.schema:
        print(api.SCHEMA.read_text(encoding="utf-8"), end="")
        return exit_codes.OK
    if options.explain is not None:
        names = list(RULES) if options.explain == "all" else [options.explain]
        if names[0] not in RULES:
            options.parser.error(f"unknown rule {names[0]!r}; choose from {', '.join(RULES)}")
        report.explain(names)
        return exit_codes.OK
    if not options.paths:
        options.parser.error("the following arguments are required: PATH")
    try:
        result = api.lint(
            options.paths,
            select=[name for text in options.select for name in text.split(",")],
            ignore=[name for text in options.ignore for name in text.split(",")],
            baseline=options.baseline,
            jobs=options.jobs or interpreter.cores(),
        )
    except LintError as error:
        return _error("lint", error)
    form = "json" if getattr(options, "json", False) else options.output_format
    report.print_result(result, form)
    if os.environ.get("GITHUB_ACTIONS") and form != "github":
        report.report_to_github(result)
    return api.exit_code(result, strict=options.strict)


def _add_stress(commands: Commands) -> None:
    command = _add_command(
        commands,
        "stress",
        _stress,
        help="find races in objects that threads share",
        description="Call methods of shared objects from several threads at once, with the GIL "
        "off. Report every outcome that no order of the calls explains, and every crash, hang and "
        "broken reference. The calls pass arbitrary arguments: do not run this where they can do "
        "harm.",
    )
    command.add_argument(
        "targets",
        nargs="*",
        metavar="TARGET",
        help="an installed distribution, a package, a module, a wheel file, module:Type, or "
        "'module:Type(...)', the call that makes the object",
    )
    command.add_argument(
        "--schema",
        action="store_true",
        help="print the JSON Schema of the --json output, and exit",
    )
    command.add_argument(
        "--seconds",
        type=_seconds,
        default=10.0,
        metavar="S",
        help="seconds for each type (default: 10)",
    )
    command.add_argument(
        "--threads",
        type=_count,
        metavar="N",
        help="largest number of threads per object (default: twice the number of cores)",
    )
    command.add_argument(
        "--seed", type=int, metavar="N", help="seed of the random choices (default: random)"
    )
    command.add_argument(
        "--pair",
        nargs="+",
        default=[],
        metavar="OPERATION",
        help="run only these operations, one per thread: 'add(1)', 'next(x)', 'x[0] = y'",
    )
    command.add_argument(
        "--jobs",
        type=_count,
        default=1,
        metavar="N",
        help="types to run in parallel (default: 1)",
    )
    command.add_argument(
        "--only", choices=["crash"], help="report only crashes, hangs and broken references"
    )


def _stress(options: argparse.Namespace) -> int:
    from ftdemo import stress
    from ftdemo.stress import report, settings

    if options.schema:
        print(stress.SCHEMA.read_text(encoding="utf-8"), end="")
        return exit_codes.OK
    if not options.targets:
        options.parser.error("the following arguments are required: TARGET")
    if options.pair and len(options.targets) > 1:
        options.parser.error("--pair needs exactly one TARGET")
    interrupted = False
    try:
        configured = settings.read(pathlib.Path.cwd())
        with report.progress() as progress:
            result = stress.stress(
                options.targets,
                seconds=options.seconds,
                threads=options.threads,
                seed=options.seed,
                pair=options.pair,
                jobs=options.jobs,
                only=options.only,
                factories=configured.factories,
                allow=configured.allow,
                progress=progress,
            )
    except (stress.TargetError, settings.SettingsError) as error:
        return _error("stress", error)
    except stress.InterruptedStress as interrupt:
        result = interrupt.result
        interrupted = True
    if options.json:
        _print_json(result)
    else:
        report.print_stress(result)
    if interrupted:
        print("interrupted: the findings so far are printed", file=sys.stderr)
        return exit_codes.ERROR
    if os.environ.get("GITHUB_ACTIONS"):
        report.report_to_github(result)
    return report.exit_code(result)

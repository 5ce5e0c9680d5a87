"""The command line: parse the arguments, then import and run the package of the command."""

import argparse
import importlib.metadata
import importlib.resources
import json
import math
import os
import pathlib
import shlex
import signal
import sys
import traceback
from collections.abc import Callable, Mapping
from typing import Any

from ftdemo import exit_codes

EPILOG = (
    "exit codes: 0 every check passed, 1 a check failed, 2 usage or internal error, "
    "3 nothing could be checked (for example, on a build with the GIL)"
)
JSON: dict[str, Any] = {"action": "store_true", "help": "print one JSON object"}
Options = argparse.Namespace
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
    main.add_argument("--json", **JSON)
    main.set_defaults(run=_own)
    commands = main.add_subparsers(title="commands", metavar="COMMAND")
    for add in (_add_check, _add_wheels, _add_demo, _add_lint, _add_stress, _add_new):
        add(commands)
    return main


def main(arguments: list[str] | None = None) -> int:
    """Run the command that the arguments name, and return its exit code."""
    try:
        options = parser().parse_args(arguments)
        code: int = options.run(options)
        if sys.stdout is not None:
            sys.stdout.flush()
    except exit_codes.CommandError as error:
        print(f"{options.parser.prog}: error: {error}", file=sys.stderr)
        return exit_codes.ERROR
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
    run: Callable[[Options], int],
    summary: str,
    description: str,
    epilog: str = EPILOG,
) -> argparse.ArgumentParser:
    """Add the command that this function runs, with the option that nearly all have: --json."""
    name = run.__name__.strip("_")
    command: argparse.ArgumentParser = commands.add_parser(
        name, help=summary, description=description, epilog=epilog
    )
    command.set_defaults(run=run, parser=command)
    if run is not _new:
        # SUPPRESS keeps the value of a --json that comes before the command.
        command.add_argument("--json", **JSON, default=argparse.SUPPRESS)
    return command


class _PrintSchema(argparse.Action):
    """The option --schema: print schema.json of the command's package, and exit."""

    def __init__(self, option_strings: list[str], dest: str) -> None:
        about = "print the JSON Schema of the --json output, and exit"
        super().__init__(option_strings, dest, nargs=0, help=about)

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        package = importlib.resources.files(parser.prog.replace(" ", "."))
        print(package.joinpath("schema.json").read_text(encoding="utf-8"), end="", flush=True)
        parser.exit()


def _positive(kind: Callable[[str], Any], words: str) -> Callable[[str], Any]:
    def convert(text: str) -> Any:
        try:
            value = kind(text)
        except ValueError:
            value = 0
        if not 0 < value < math.inf:
            raise argparse.ArgumentTypeError(f"{text!r} is not {words} above 0")
        return value

    return convert


_seconds = _positive(float, "a number")
_count = _positive(int, "a whole number")


def _print(
    options: Options, result: Mapping[str, Any], print_for_people: Callable[[Any], None]
) -> None:
    if options.json:
        print(json.dumps(result, indent=2))
    else:
        print_for_people(result)


def _interrupted(what: str) -> int:
    print(f"interrupted: the {what} so far are printed", file=sys.stderr)
    return exit_codes.ERROR


def _own(options: Options) -> int:
    if options.version:
        print(f"ftdemo {importlib.metadata.version('ftdemo')}")
        return exit_codes.OK
    from ftdemo import own

    result = own.check_own_modules()
    _print(options, result, own.print_own)
    return own.exit_code(result)


def _add_check(commands: Commands) -> None:
    add = _add_command(
        commands,
        _check,
        "find the modules whose import enables the GIL",
        "Import every extension module of each target in a fresh process, and report whether this "
        "enabled the GIL, and which modules did so. Importing runs the target's code.",
    ).add_argument
    about = "an installed distribution, an importable package or module, or a wheel file"
    add("targets", nargs="+", metavar="TARGET", help=about)
    add("--schema", action=_PrintSchema)
    about = "seconds allowed for one import (default: 60)"
    add("--timeout", type=_seconds, default=60.0, metavar="S", help=about)
    about = "number of processes that import in parallel (default: number of cores)"
    add("--jobs", type=_count, metavar="N", help=about)


def _check(options: Options) -> int:
    from ftdemo import check
    from ftdemo.check import report

    try:
        with report.progress() as progress:
            result = check.check(
                options.targets, timeout=options.timeout, jobs=options.jobs, progress=progress
            )
    except check.InterruptedCheck as interrupt:
        _print(options, interrupt.result, report.print_check)
        return _interrupted("verdicts")
    _print(options, result, report.print_check)
    if os.environ.get("GITHUB_ACTIONS"):
        report.report_to_github(result)
    return check.exit_code(result)


def _add_wheels(commands: Commands) -> None:
    add = _add_command(
        commands,
        _wheels,
        "show which wheel pip installs for each interpreter and platform",
        "Show which wheel pip installs for each interpreter on each platform, and which "
        "combinations have no wheel. No code from the wheels is run.",
    ).add_argument
    add("paths", nargs="+", metavar="PATH", help="a wheel or a folder of wheels")
    about = (
        "a TOML file with the wheels that a release must have: fail if one is missing, or if a "
        "wheel is not in the list"
    )
    add("--expect", metavar="FILE", help=about)


def _wheels(options: Options) -> int:
    from ftdemo import wheels
    from ftdemo.wheels import report

    result = wheels.survey(options.paths, options.expect)
    _print(options, result, report.print_matrix)
    return wheels.exit_code(result)


def _add_demo(commands: Commands) -> None:
    add = _add_command(
        commands,
        _demo,
        "measure what changes without the GIL",
        "Run demos, each in a fresh interpreter. Each demo states a claim about free threading, "
        "measures on this interpreter, and reports whether the claim was seen to be true. The exit "
        "code is 1 if a claim was not seen, and 3 if every demo was skipped.",
    ).add_argument
    add("names", nargs="*", metavar="NAME", help="a demo (default: all demos)")
    add("--list", action="store_true", help="list the demos, and exit")
    add("--quick", action="store_true", help="measure less, to save time")
    add("--plot", metavar="FILE.svg", help="scaling only: plot both builds of this version")


def _demo(options: Options) -> int:
    from ftdemo import demo, demos
    from ftdemo.demo import report

    unknown = [name for name in options.names if name not in demos.NAMES]
    if unknown:
        options.parser.error(f"unknown demo {unknown[0]!r}; choose from {', '.join(demos.NAMES)}")
    names = list(dict.fromkeys(options.names)) or demos.NAMES
    if options.list:
        claims = [{"name": name, "claim": demos.claim(name)} for name in names]
        _print(options, {"version": 1, "demos": claims}, report.print_list)
        return exit_codes.OK
    if options.plot is not None:
        if options.names != ["scaling"]:
            options.parser.error("--plot needs scaling: ftdemo demo scaling --plot FILE.svg")
        try:
            from ftdemo.demo import plot
        except ImportError:
            options.parser.error("--plot needs matplotlib: pip install 'ftdemo[plot]'")
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
    if options.json or not options.names:
        _print(options, result, report.print_table)
    return _interrupted("demos") if interrupted else demo.exit_code(result)


def _add_lint(commands: Commands) -> None:
    add = _add_command(
        commands,
        _lint,
        "find code in C and C++ sources that relies on the GIL",
        "Parse C and C++ sources and report code that relies on the GIL. Nothing is compiled or "
        "run. The table [tool.ftdemo.lint] in pyproject.toml configures the rules.",
        "exit codes: 0 no errors, 1 errors (with --strict also warnings), 2 usage or internal "
        "error, 3 no file was analysed",
    ).add_argument
    add("paths", nargs="*", metavar="PATH", help="a source file or a folder")
    repeated: dict[str, Any] = {"action": "append", "default": [], "metavar": "RULES"}
    about = "run only these rules or groups (default, optional, conventions, all)"
    add("--select", **repeated, help=about)
    add("--ignore", **repeated, help="do not run these rules")
    add("--strict", action="store_true", help="exit with 1 on warnings too")
    about = "do not report the findings in FILE, an earlier output of --json"
    add("--baseline", metavar="FILE", help=about)
    formats = ("full", "concise", "json", "github", "sarif")
    about = "format of the findings (default: full)"
    add("--output-format", choices=formats, default="full", help=about)
    add("--schema", action=_PrintSchema)
    about = "explain a rule with wrong and right code, and exit (all: every rule)"
    add("--explain", metavar="RULE", help=about)
    about = "number of processes (default: number of cores)"
    add("--jobs", type=_count, metavar="N", help=about)


def _lint(options: Options) -> int:
    from ftdemo import interpreter
    from ftdemo.lint import LintError, api, report
    from ftdemo.lint.rules import RULES

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
        raise exit_codes.CommandError(error) from error
    form = "json" if options.json else options.output_format
    report.print_result(result, form)
    if os.environ.get("GITHUB_ACTIONS") and form != "github":
        report.report_to_github(result)
    return api.exit_code(result, strict=options.strict)


def _add_stress(commands: Commands) -> None:
    add = _add_command(
        commands,
        _stress,
        "find races in objects that threads share",
        "Call methods of shared objects from several threads at once, with the GIL off. Report "
        "every outcome that no order of the calls explains, and every crash, hang and broken "
        "reference. The calls pass arbitrary arguments: do not run this where they can do harm.",
    ).add_argument
    about = (
        "an installed distribution, a package, a module, a wheel file, module:Type, or "
        "'module:Type(...)', the call that makes the object"
    )
    add("targets", nargs="+", metavar="TARGET", help=about)
    add("--schema", action=_PrintSchema)
    about = "seconds for each type (default: 10)"
    add("--seconds", type=_seconds, default=10.0, metavar="S", help=about)
    about = "largest number of threads per object (default: twice the number of cores)"
    add("--threads", type=_count, metavar="N", help=about)
    about = "seed of the random choices (default: random)"
    add("--seed", type=int, metavar="N", help=about)
    about = "run only these operations, one per thread: 'add(1)', 'next(x)', 'x[0] = y'"
    add("--pair", nargs="+", default=[], metavar="OPERATION", help=about)
    about = "types to run in parallel (default: 1)"
    add("--jobs", type=_count, default=1, metavar="N", help=about)
    add("--only", choices=["crash"], help="report only crashes, hangs and broken references")


def _stress(options: Options) -> int:
    from ftdemo import stress
    from ftdemo.stress import report, settings

    if options.pair and len(options.targets) > 1:
        options.parser.error("--pair needs exactly one TARGET")
    # The command `timeout` and CI systems end a process in this way: print the findings so far.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
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
    except settings.SettingsError as error:
        raise exit_codes.CommandError(error) from error
    except stress.InterruptedStress as interrupt:
        _print(options, interrupt.result, report.print_stress)
        return _interrupted("findings")
    _print(options, result, report.print_stress)
    if os.environ.get("GITHUB_ACTIONS"):
        report.report_to_github(result)
    return report.exit_code(result)


def _add_new(commands: Commands) -> None:
    add = _add_command(
        commands,
        _new,
        "create a new C extension project that is ready for free threading",
        "Create a small, complete project: an extension module, its stub, tests, lint, and "
        "workflows that build and publish wheels. This command needs no network.",
        "exit codes: 0 created, 2 usage error or the files cannot be written",
    ).add_argument
    add("name", metavar="NAME", help="name of the project and its module")
    add("folder", nargs="?", metavar="FOLDER", help="its folder (default: NAME)")


def _new(options: Options) -> int:
    from ftdemo.new import new_project

    project = new_project(options.name, options.folder and pathlib.Path(options.folder))
    if project.name != options.name:
        same = f"pip treats {options.name} as the same name"
        print(f"The project and its module are named {project.name}; {same}.")
    print(f"Created {project.files} files in {project.folder}. To build and test them:\n")
    print(f"cd {shlex.quote(str(project.folder))}")
    print("git init && git add .")
    print("nox  # or: uvx --with uv nox")
    return exit_codes.OK

"""Find hazards in files: read many files in parallel, and join the results."""

import gc
import os
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context, parent_process
from pathlib import Path
from threading import Thread
from typing import Literal, NamedTuple, TypedDict

from ftdemo import exit_codes
from ftdemo.lint import baseline as baselines
from ftdemo.lint import config as configs
from ftdemo.lint import files, suppression
from ftdemo.lint.baseline import BaselineError
from ftdemo.lint.config import Config, ConfigError
from ftdemo.lint.files import File, LeftOut, NoSuchPathError
from ftdemo.lint.preprocess import decode, preprocess
from ftdemo.lint.project import Project, Summary, apply, link, summarize
from ftdemo.lint.rules import RULES
from ftdemo.lint.rules.declaration import declares
from ftdemo.lint.source import Source
from ftdemo.lint.tree import ParserMissingError, parse, parser

SCHEMA = Path(__file__).with_name("schema.json")  # of the object that `ftdemo lint --json` prints
# For fewer bytes, starting processes costs more time than they save.
WORTH_PROCESSES = 500_000
MOST_ERRORS = 20  # listed one by one for each file


class LintError(Exception):
    """The lint cannot run: a path, a rule or the parser is missing, or a setting is wrong."""


class Finding(TypedDict):
    """One place in the code that relied on the GIL. Lines and columns count from 1."""

    rule: str
    severity: Literal["error", "warning"]
    path: str
    line: int
    column: int
    end_line: int
    function: str | None
    message: str
    help: str


class NotAnalysed(TypedDict):
    """Code that was not analysed; that it has no findings says nothing."""

    path: str
    line: int
    what: str


class Module(TypedDict):
    """A module in the sources: does it declare free-threading support, and has it findings?"""

    name: str
    path: str
    declares: bool
    errors: int
    warnings: int


class Totals(TypedDict):
    """The numbers of findings, shown and not shown."""

    errors: int
    warnings: int
    suppressed: int
    in_baseline: int
    lines: int


class Result(TypedDict):
    """The object that `ftdemo lint --json` prints."""

    version: int
    files: int
    functions: int
    not_analysed: list[NotAnalysed]
    findings: list[Finding]
    modules: list[Module]
    summary: Totals


class Report(NamedTuple):
    """The results for one file."""

    shown: str
    functions: int
    lines: int
    findings: list[Finding]
    suppressed: int
    not_analysed: list[NotAnalysed]
    modules: list[tuple[str, bool]]


def lint(
    paths: Sequence[str],
    *,
    select: Sequence[str] = (),
    ignore: Sequence[str] = (),
    baseline: str | None = None,
    jobs: int = 1,
) -> Result:
    """Find code that relied on the GIL in C and C++ sources; paths are files or folders.

    select and ignore name rules or groups of rules (default, optional, conventions, all). Without
    select, the configuration in pyproject.toml decides which rules run, by default the default
    group. baseline is the path of an earlier result as JSON, whose findings are left out. jobs is
    the number of processes. If there is more than one, they are started with multiprocessing's
    spawn method, so a program that calls this needs `if __name__ == "__main__"`.

    Raise LintError if the lint cannot run. Nothing is compiled, and no code of the sources is run.
    Thread safety: safe on shared objects, except that the parsers belong to the process: call it
    from one thread at a time.
    """
    try:
        parser(is_cpp=False)
        found, left_out = files.find(paths)
        config = configs.read(_folder(paths))
        config = config._replace(
            select=tuple(select) or config.select, ignore=(*config.ignore, *ignore)
        )
        names = config.rules()
        known = baselines.read(baseline) if baseline is not None else Counter()
    except ParserMissingError as error:
        raise LintError(
            f"the parser is missing ({error}). Run: pip install 'ftdemo[lint]'. The parser has no "
            "wheels for free-threaded builds. There, run the lint on a build with the GIL: "
            "uvx --python 3.14 --from 'ftdemo[lint]' ftdemo lint " + " ".join(paths)
        ) from error
    except (NoSuchPathError, ConfigError, BaselineError) as error:
        raise LintError(str(error)) from error
    reports, unread = _run(found, names, config, jobs)
    findings = [finding for report in reports for finding in report.findings]
    kept = baselines.leave_out(findings, known)
    left_out += unread
    unanalysed: list[NotAnalysed] = [
        {"path": out.shown, "line": 1, "what": f"left out: {out.why}"} for out in left_out
    ]
    unanalysed += [each for report in reports for each in report.not_analysed]
    return {
        "version": 1,
        "files": len(reports),
        "functions": sum(report.functions for report in reports),
        "not_analysed": unanalysed,
        "findings": kept,
        "modules": _modules(reports, kept),
        "summary": {
            "errors": sum(finding["severity"] == "error" for finding in kept),
            "warnings": sum(finding["severity"] == "warning" for finding in kept),
            "suppressed": sum(report.suppressed for report in reports),
            "in_baseline": len(findings) - len(kept),
            "lines": sum(report.lines for report in reports),
        },
    }


def exit_code(result: Result, *, strict: bool = False) -> int:
    """Return 0: no errors; 1: errors or, if strict, warnings; 3: no file was analysed."""
    if not result["files"]:
        return exit_codes.NOTHING_CHECKED
    wrong = result["summary"]["errors"] + (result["summary"]["warnings"] if strict else 0)
    return exit_codes.FAILED if wrong else exit_codes.OK


def _folder(paths: Sequence[str]) -> Path:
    first = Path(paths[0])
    return first if first.is_dir() else first.parent


# Each process reads its share of the files, returns summaries, and waits for those of all files.

_sources: list[Source] = []


class Loaded(NamedTuple):
    """What a process returns for its share: summaries for the others, and files it left out."""

    summaries: list[Summary]
    left_out: list[LeftOut]


@contextmanager
def _without_collector() -> Iterator[None]:
    """Disable the garbage collector: trees have millions of objects, and all of them stay alive."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


@_without_collector()
def load(share: list[File]) -> Loaded:
    """Read and parse files, and keep them."""
    _sources.clear()
    left_out = []
    summaries = []
    for file in share:
        try:
            data = file.path.read_bytes()
        except OSError as error:
            left_out.append(LeftOut(file.shown, f"cannot be read: {error.strerror or error}"))
            continue
        if b"\0" in data:
            left_out.append(LeftOut(file.shown, "no text: it has NUL bytes"))
            continue
        text = decode(data)
        why = files.why_left_out(text)
        if why:
            left_out.append(LeftOut(file.shown, why))
            continue
        is_cpp = files.is_cpp(file.path, text)
        try:
            prepared = preprocess(text, file.path, is_cpp=is_cpp)
            tree = parse(prepared.code, is_cpp=is_cpp)
            source = Source(file.path, file.shown, prepared, tree, is_cpp=is_cpp)
            summaries.append(summarize(source, declares=declares(source)))
        except RecursionError:
            left_out.append(LeftOut(file.shown, "nested too deeply"))
            continue
        source.supports_older = configs.supports_older(file.path.parent)
        _sources.append(source)
    return Loaded(summaries, left_out)


@_without_collector()
def check(project: Project, names: list[str], config: Config) -> list[Report]:
    """Run rules on the loaded files."""
    reports = []
    for source in _sources:
        apply(project, source)
        reports.append(_check(source, names, config))
    _sources.clear()
    return reports


def _check(source: Source, names: list[str], config: Config) -> Report:
    findings: dict[tuple[str, int, int], Finding] = {}
    not_here = config.ignores(source.path)
    chosen = [name for name in names if name not in not_here]
    if source.project.any_declares and not config.select and "gil-undeclared" not in not_here:
        if "gil-undeclared" not in config.ignore:
            chosen.append("gil-undeclared")
    for name in chosen:
        rule = RULES[name]
        for found in rule.check(source):
            line, column = source.place(found.node)
            function = source.function_at(line)
            finding: Finding = {
                "rule": name,
                "severity": found.severity or rule.severity,
                "path": source.shown,
                "line": line,
                "column": column,
                "end_line": source.line(found.node.end),
                "function": function.name if function is not None else None,
                "message": found.message,
                "help": found.help or rule.help,
            }
            findings.setdefault((name, line, column), finding)
    kept, suppressed = _suppress(source, list(findings.values()), chosen)
    kept.sort(key=lambda finding: (finding["line"], finding["column"], finding["rule"]))
    declared = declares(source) or (source.project.any_declares and not source.modules)
    return Report(
        source.shown,
        len(source.functions),
        len(source.starts),
        kept,
        suppressed,
        _unparsed(source),
        [(name, declared) for name, _ in dict(source.modules).items()],
    )


def _suppress(
    source: Source, findings: list[Finding], chosen: list[str]
) -> tuple[list[Finding], int]:
    ignores = suppression.ignores(source.text.comments)
    covering: dict[int, list[suppression.Ignore]] = defaultdict(list)
    for each in ignores:
        for line in range(each.first, each.last + 1):
            covering[line].append(each)
    used: set[suppression.Ignore] = set()
    kept = []
    for finding in findings:
        near = covering[finding["line"]] + covering[finding["end_line"]]
        those = [each for each in near if not each.rules or finding["rule"] in each.rules]
        used.update(those)
        if not those:
            kept.append(finding)
    suppressed = len(findings) - len(kept)
    for each in ignores:
        unknown = [rule for rule in each.rules if rule not in RULES]
        ran = not each.rules or any(rule in chosen for rule in each.rules)
        if unknown or (each not in used and ran):
            what = (
                f"there is no rule {unknown[0]}"
                if unknown
                else "this comment suppresses no finding"
            )
            kept.append(
                {
                    "rule": "unused-ignore",
                    "severity": "warning",
                    "path": source.shown,
                    "line": each.line,
                    "column": 1,
                    "end_line": each.line,
                    "function": None,
                    "message": what,
                    "help": "remove it",
                }
            )
    return kept, suppressed


def _unparsed(source: Source) -> list[NotAnalysed]:
    lines = dict.fromkeys((source.line(start), what) for start, what in source.tree.errors)
    found: list[NotAnalysed] = []
    seen = set()
    for line, what in lines:
        if line in seen:
            continue
        seen.add(line)
        if len(found) == MOST_ERRORS:
            rest = len({at for at, _ in lines}) - MOST_ERRORS
            found.append({"path": source.shown, "line": line, "what": f"{rest} more such places"})
            break
        found.append({"path": source.shown, "line": line, "what": f"does not parse: {what}"})
    return found


def _run(
    found: list[File], names: list[str], config: Config, jobs: int
) -> tuple[list[Report], list[LeftOut]]:
    jobs = min(jobs, len(found))
    if jobs <= 1 or sum(file.size for file in found) < WORTH_PROCESSES:
        loaded = load(found)
        project = link(loaded.summaries)
        project.frozen = config.frozen
        return check(project, names, config), loaded.left_out
    shares: list[list[File]] = [[] for _ in range(jobs)]
    weights = [0] * jobs
    for file in sorted(found, key=lambda file: -file.size):
        lightest = weights.index(min(weights))
        shares[lightest].append(file)
        weights[lightest] += file.size
    context = get_context("spawn")
    # One pool with one process per share, so that a share is checked where it was loaded.
    pools = [ProcessPoolExecutor(1, context, _end_with_parent) for _ in shares]
    try:
        loading: list[Future[Loaded]] = [
            pool.submit(load, share) for pool, share in zip(pools, shares, strict=True)
        ]
        all_loaded = [future.result() for future in loading]
        project = link([summary for loaded in all_loaded for summary in loaded.summaries])
        project.frozen = config.frozen
        checking = [pool.submit(check, project, names, config) for pool in pools]
        reports = [report for future in checking for report in future.result()]
    finally:
        for pool in pools:
            pool.shutdown(cancel_futures=True)
    order = {file.shown: number for number, file in enumerate(found)}
    reports.sort(key=lambda report: order[report.shown])
    return reports, [out for loaded in all_loaded for out in loaded.left_out]


def _end_with_parent() -> None:
    """End this process as soon as the one that started it has ended, even if that was killed."""

    def wait() -> None:
        parent = parent_process()
        if parent is not None:
            parent.join()
            os._exit(1)

    Thread(target=wait, daemon=True).start()


def _modules(reports: list[Report], findings: list[Finding]) -> list[Module]:
    """Attribute each finding to the modules whose file is nearest to it."""
    makers = [(report.shown, name, says) for report in reports for name, says in report.modules]
    modules: dict[tuple[str, str], Module] = {
        (path, name): {"name": name, "path": path, "declares": says, "errors": 0, "warnings": 0}
        for path, name, says in makers
    }
    for finding in findings:
        own = [m for m in makers if m[0] == finding["path"]]
        near = own or _nearest(finding["path"], makers)
        for path, name, _ in near:
            key: Literal["errors", "warnings"] = (
                "errors" if finding["severity"] == "error" else "warnings"
            )
            modules[path, name][key] += 1
    return list(modules.values())


def _nearest(path: str, makers: list[tuple[str, str, bool]]) -> list[tuple[str, str, bool]]:
    def shared(other: str) -> int:
        one, two = Path(path).parent.parts, Path(other).parent.parts
        return sum(1 for a, b in zip(one, two, strict=False) if a == b) * 100 - len(two)

    best = max((shared(maker[0]) for maker in makers), default=0)
    return [maker for maker in makers if shared(maker[0]) == best]

"""Print the findings of the lint in a format: full, concise, json, github or sarif."""

import json
import os
import sys
from collections import Counter
from io import TextIOWrapper
from typing import Any
from urllib.parse import quote

from rich.table import Table
from rich.text import Text

from ftdemo import exit_codes, github
from ftdemo.lint.api import Finding, Module, NotAnalysed, Result, exit_code
from ftdemo.lint.rules import RULES, Rule
from ftdemo.terminal import show, table

Block = str | Text | Table

FORMATS = ("full", "concise", "json", "github", "sarif")
STYLES = {"error": "bold red", "warning": "bold yellow"}
NOT_ANALYSED_SHOWN = 5


def print_result(result: Result, form: str) -> None:
    """Print a result in one of the formats."""
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a path may be no text
    if form == "json":
        print(json.dumps(result, indent=2))
    elif form == "sarif":
        print(json.dumps(sarif(result), indent=2))
    elif form == "github":
        for finding in result["findings"]:
            print(annotation(finding))
    else:
        blocks: list[Block] = [_finding(finding, form) for finding in result["findings"]]
        if form == "concise":
            for block in blocks:
                show(block)
            blocks = []
        show(*blocks, *_readiness(result))


def _finding(finding: Finding, form: str) -> Block:
    place = f"{finding['path']}:{finding['line']}:{finding['column']}: "
    rule = (finding["rule"], STYLES[finding["severity"]])
    text = Text.assemble(place, rule, f": {finding['message']}")
    if form == "full":
        text.append(f"\n  help: {finding['help']}")
    return text


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def verdict(module: Module) -> str:
    """Return one sentence about the readiness of a module."""
    errors, warnings = module["errors"], module["warnings"]
    found = [_count(n, what) for n, what in ((errors, "error"), (warnings, "warning")) if n]
    if module["declares"]:
        says = f"{module['name']} declares that it does not need the GIL"
        if found:
            return f"{says}, but has {' and '.join(found)}"
        return f"{says}, and has no findings"
    says = f"{module['name']} declares nothing, so its import turns the GIL on"
    if found:
        return f"{says}; it has {' and '.join(found)}"
    return f"{says}; it has no findings"


def _readiness(result: Result) -> list[Block]:
    blocks: list[Block] = []
    counts = Counter((f["rule"], f["severity"]) for f in result["findings"])
    if counts:
        rows = table("rule", "severity", "findings")
        for (rule, severity), count in sorted(
            counts.items(), key=lambda item: (item[0][1], -item[1])
        ):
            rows.add_row(rule, Text(severity, STYLES[severity]), str(count))
        blocks.append(rows)
    if result["modules"]:
        blocks.append("\n".join(verdict(module) for module in result["modules"]))
    if result["not_analysed"]:
        blocks.append(_not_analysed(result["not_analysed"]))
    summary = result["summary"]
    line = (
        f"{_count(result['files'], 'file')}, {_count(result['functions'], 'function')}, "
        f"{_count(summary['lines'], 'line')}: {_count(summary['errors'], 'error')}, "
        f"{_count(summary['warnings'], 'warning')}"
    )
    if summary["suppressed"]:
        line += f", {summary['suppressed']} suppressed"
    if summary["in_baseline"]:
        line += f", {summary['in_baseline']} in the baseline"
    if exit_code(result) == exit_codes.NOTHING_CHECKED:
        line = "Nothing was analysed: the paths contain no C or C++ source."
    return [*blocks, line]


def _not_analysed(places: list[NotAnalysed]) -> str:
    lines = [f"not analysed: {_count(len(places), 'place')}, which may contain hazards"]
    lines += [f"  {p['path']}:{p['line']}: {p['what']}" for p in places[:NOT_ANALYSED_SHOWN]]
    if len(places) > NOT_ANALYSED_SHOWN:
        lines.append(f"  and {len(places) - NOT_ANALYSED_SHOWN} more (--json has them all)")
    return "\n".join(lines)


def annotation(finding: Finding) -> str:
    """Turn a finding into a workflow command of GitHub Actions."""
    return github.annotation(
        finding["severity"],
        finding["rule"],
        f"{finding['message']}. {finding['help']}",
        file=finding["path"],
        line=finding["line"],
        col=finding["column"],
    )


def report_to_github(result: Result) -> None:
    """Print annotations for GitHub Actions on stderr, and add to the job summary."""
    for finding in result["findings"]:
        print(annotation(finding), file=sys.stderr)
    counts = Counter((f["severity"], f["rule"]) for f in result["findings"])
    lines = ["### ftdemo lint", "", *(f"- {verdict(module)}" for module in result["modules"])]
    if counts:
        lines += ["", "| rule | severity | findings |", "|---|---|---|"]
        lines += [
            f"| {rule} | {severity} | {n} |" for (severity, rule), n in sorted(counts.items())
        ]
    github.add_to_summary("\n".join(lines) + "\n")


def sarif(result: Result) -> dict[str, Any]:
    """Turn a result into a SARIF 2.1.0 log."""
    names = sorted({finding["rule"] for finding in result["findings"]})
    return {
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [
            {
                "tool": {
                    "driver": {"name": "ftdemo lint", "rules": [_sarif_rule(n) for n in names]}
                },
                "columnKind": "unicodeCodePoints",
                "results": [
                    {
                        "ruleId": finding["rule"],
                        "ruleIndex": names.index(finding["rule"]),
                        "level": finding["severity"],
                        "message": {"text": f"{finding['message']}. {finding['help']}"},
                        "locations": [
                            {
                                "physicalLocation": {
                                    "artifactLocation": {"uri": _uri(finding["path"])},
                                    "region": {
                                        "startLine": finding["line"],
                                        "startColumn": finding["column"],
                                        "endLine": finding["end_line"],
                                    },
                                }
                            }
                        ],
                    }
                    for finding in result["findings"]
                ],
            }
        ],
    }


def _uri(path: str) -> str:
    return quote(os.fsencode(path))


def _sarif_rule(name: str) -> dict[str, Any]:
    rule = RULES.get(name)
    text = rule.hazard if rule is not None else "A comment `ftdemo: ignore` suppresses no finding."
    level = rule.severity if rule is not None else "warning"
    return {
        "id": name,
        "shortDescription": {"text": text},
        "defaultConfiguration": {"level": level},
    }


def explain(names: list[str]) -> None:
    """Print the hazard of each rule, where it is documented, and wrong and right code."""
    blocks: list[Block] = []
    for name in names:
        rule = RULES[name]
        title = Text.assemble((rule.name, "bold"), f" ({_group(rule)}): {rule.hazard}")
        blocks.append(title)
        blocks += [f"help: {rule.help}", f"source: {rule.source}"]
        blocks += [f"wrong:\n{rule.wrong}", f"right:\n{rule.right}"]
        if rule.ignore:
            blocks.append(f"ignore it when {rule.ignore}")
    show(*blocks)


def _group(rule: Rule) -> str:
    return rule.severity if rule.group == "default" else f"{rule.severity}, only if selected"

#!/usr/bin/env python3
"""Make a project of your own out of this checkout.

    python .ci/new_project.py acme ../acme --concept account

Nothing is kept as a template. A file of the new project is a file of this one, which

1. loses the blocks and gets the words that new_project_rules.py has for it;
2. loses what belongs to other concepts, and then what nothing uses any more: functions, constants
   and imports in Python, functions, macros and declarations in C;
3. gets the new name.

Only README.md, CHANGELOG.md and __init__.py are written anew. The same call gives the same bytes.

Standard library only. Exits with 2, and says why, where there is nothing to be made.
"""

from __future__ import annotations

import argparse
import ast
import builtins
import json
import keyword
import os
import re
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import new_project_rules as rules

if TYPE_CHECKING:
    from collections.abc import Iterator

    from new_project_rules import Change

CHECKOUT = Path(__file__).resolve().parent.parent


class Unusable(Exception):  # noqa: N818 - not always an error of ours
    """There is nothing to be made of this; the message is the reason."""


class Choice(NamedTuple):
    """What is to be made."""

    name: str
    concept: str
    abi3t: bool
    legacy: bool
    author: str

    def means(self, when: str) -> bool:
        """Whether a rule for `when` applies: an option, "no" and an option, or "" for always."""
        option = when.removeprefix("no ")
        chosen = self.concept == option if option in rules.CONCEPTS else getattr(self, option, True)
        return chosen is (option == when)


# Text: rules, and what holds for all files.


def remove(lines: list[str], start: int, end: int) -> None:
    """Delete lines[start:end] and one of the gaps around them, the smaller one."""
    before = start
    while before and not lines[before - 1].strip():
        before -= 1
    after = end
    while after < len(lines) and not lines[after].strip():
        after += 1
    gap = max(start - before, after - end) if after < len(lines) else 0
    lines[before:after] = ["\n"] * gap


def indent(line: str) -> int:
    return len(line) - len(line.lstrip())


def comment_above(lines: list[str], start: int) -> int:
    """Find where the comment on a line begins, or else that line."""
    while start and lines[start - 1].startswith(" " * indent(lines[start]) + "# "):
        start -= 1
    return start


def block(lines: list[str], start: int) -> tuple[int, int]:
    """Find the end of the block that begins at a line, and the comment above."""
    end = start + 1
    for number in range(start + 1, len(lines)):
        line = lines[number]
        if lines[start].startswith("["):  # a table in TOML
            inside = not line.startswith(("[", "#"))
        else:
            closes = indent(line) == indent(lines[start]) and line.lstrip()[:1] in ")]}"
            inside = indent(line) > indent(lines[start]) or closes
        if line.strip():
            if not inside:
                break
            end = number + 1
    return comment_above(lines, start), end


def changed(path: str, text: str, change: Change) -> str:
    """Apply a rule to the text of a file."""
    first = text.find(change.after)
    head, text = text[:first], text[first:]
    lines = text.splitlines(keepends=True)
    if change.new is None:
        places = [(n, n) for n, line in enumerate(lines) if line.startswith(change.old)]
    else:
        pattern = ".*?".join(map(re.escape, change.old.split("[...]")))
        places = [match.span() for match in re.finditer(pattern, text, re.S)]
    if first < 0 or not places or (len(places) > 1 and not change.after):
        raise Unusable(f"{path}: {len(places)} places, not one, for the rule {change.old!r}")
    start, end = places[0]
    if change.new is None:
        remove(lines, *block(lines, start))
        return head + "".join(lines)
    return head + text[:start] + change.new + text[end:]


def sentences(text: str, unwanted: str) -> str:
    """Fill the comment that a C file begins with anew, without the sentences that begin so."""
    title, star, rest = text.partition("\n *\n * ")
    body, end, code = rest.partition(" */\n")
    if not (star and end and title.startswith("/* ")) or not re.search(unwanted, body):
        return text
    words = re.split(r"(?<=[.]) (?=[A-Z])", " ".join(body.replace("\n * ", "\n").split()))
    kept = " ".join(words for words in words if not re.match(unwanted, words))
    filled = textwrap.wrap(
        kept + " */", 79, initial_indent=" * ", subsequent_indent=" * ", break_on_hyphens=False
    )
    return f"{title}\n *\n" + "\n".join(filled) + "\n" + code


# Python: what nothing uses goes.


def defines(node: ast.stmt) -> list[str]:
    """Name what a statement defines, if that is all it does."""
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        return [node.name]
    if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
        return [node.targets[0].id]
    return []


def uses(node: ast.AST) -> set[str]:
    """Name what a statement refers to: names, attributes, modules, and fixtures by arguments."""
    found = set()
    for inner in ast.walk(node):
        if isinstance(inner, ast.Attribute):
            found |= {inner.attr, ast.unparse(inner)}
        elif isinstance(inner, ast.Name):
            found.add(inner.id)
        elif isinstance(inner, ast.arg):
            found.add(inner.arg)
    return found


def span(node: ast.stmt) -> int:
    """Find the line, from 0, that a statement begins in, decorators included."""
    decorators: list[ast.expr] = getattr(node, "decorator_list", [])
    return min([node.lineno, *(decorator.lineno for decorator in decorators)]) - 1


def replaced(text: str, name: str, code: str) -> str:
    """Replace a top-level function."""
    lines = text.splitlines(keepends=True)
    for node in ast.parse(text).body:
        if name in defines(node):
            lines[span(node) : node.end_lineno] = [code.strip("\n") + "\n"]
            return "".join(lines)
    raise Unusable(f"there is no function {name} any more")


def function(text: str, name: str) -> str:
    """Give the code of a top-level function."""
    for node in ast.parse(text).body:
        if name in defines(node):
            return "".join(text.splitlines(keepends=True)[span(node) : node.end_lineno])
    raise Unusable(f"there is no function {name} any more")


def imported(node: ast.Import | ast.ImportFrom, used: set[str]) -> str:
    """Write an import anew with what is used of it."""
    if isinstance(node, ast.Import):
        (alias,) = node.names
        return f"import {alias.name}\n" if alias.name in used else ""
    names = [ast.unparse(alias) for alias in node.names if (alias.asname or alias.name) in used]
    return f"from {node.module} import {', '.join(names)}\n" if names else ""


def needs_all_modules(node: ast.stmt) -> bool:
    """Whether it is a test of what only ftdemo has."""
    return any("all_modules" in uses(mark) for mark in getattr(node, "decorator_list", []))


def python(text: str, wanted: set[str]) -> str:
    """Leave out the definitions at top level that neither `wanted` nor what is kept needs."""
    body = ast.parse(text).body
    imports = [node for node in body if isinstance(node, ast.Import | ast.ImportFrom)]
    kept = [node for node in body if not defines(node) and node not in imports]
    kept += [
        node
        for node in body
        for name in defines(node)
        if (name in wanted or re.match("test_|pytest|__", name)) and not needs_all_modules(node)
    ]
    used = set().union(*map(uses, kept))
    for _ in body:
        more = [node for node in body if node not in kept and used & set(defines(node))]
        kept += more
        used = used.union(*map(uses, more))
    lines = text.splitlines(keepends=True)
    for node in reversed(body):
        start, end = span(node), node.end_lineno or 0
        if isinstance(node, ast.Import | ast.ImportFrom):
            if new := imported(node, used):
                lines[start:end] = [new]
            else:
                remove(lines, start, end)
        elif node not in kept:
            remove(lines, comment_above(lines, start), end)
    return "".join(lines)


# C: likewise, over all files of an extension.


def without_abi3t(text: str) -> str:
    """Take what is for one version of CPython, and write out the macros that hide which it is."""
    kept = []
    depth = 0  # of #if
    ours = 0  # the depth of that which goes
    hidden = False
    for line in text.splitlines(keepends=True):
        directive = line.split(maxsplit=1)[0] if line.startswith("#") else ""
        depth += directive in {"#if", "#ifdef", "#ifndef"}
        if line == "#ifdef Py_TARGET_ABI3T\n":
            ours, hidden = depth, True
        elif directive == "#else" and depth == ours:
            hidden = False
        elif directive == "#endif" and depth == ours:
            ours = 0
        elif not hidden:
            kept.append(line)
        depth -= directive == "#endif"
    text = "".join(kept).replace(" && !defined(Py_LIMITED_API)", "")
    text = re.sub(r"(\(\(\w+ \*\))object_data\(\(op\), &\w+\)\)", r"\1(op))", text)
    text = re.sub(r"(?<= )BASICSIZE\((\w+)\),", r"sizeof(\1),", text)
    text = re.sub(r"^    OBJECT_HEAD$", "    PyObject_HEAD", text, flags=re.M)
    text = re.sub(r"^    END_SLOTS,$", "    {0, NULL},", text, flags=re.M)
    text = re.sub(r"^extern PyType_Spec \w+;\n", "", text, flags=re.M)
    return re.sub(r"^PyType_Spec ", "static PyType_Spec ", text, flags=re.M)


def with_one_concept(folder: dict[str, str], concept: str) -> None:
    """Leave in module.h and module.c what one concept needs, of a folder with its file."""
    header, code, own = folder["module.h"], folder["module.c"], folder[f"{concept}.c"]
    declared = rf"^(int|extern PyType_Spec) (?!{concept}_)\w+_(exec\(.*|spec);\n"
    header = re.sub(declared, "", header, flags=re.M)
    call = rf"\1    return {concept}_exec(module);\n\2"
    code = re.sub(r"(^module_exec\(.*?\n\{\n).*?(^\}\n)", call, code, flags=re.M | re.S)
    (fields,) = re.findall(r"^typedef struct \{\n(.*?)^\} module_state;\n", header, re.M | re.S)
    for line in fields.splitlines(keepends=True):
        (name,) = re.findall(r"(\w+);", line)
        if f"->{name}" not in own:  # and what is empty, nothing uses
            header = header.replace(line, "")
            code = re.sub(rf"^    Py_(VISIT|CLEAR)\(state->{name}\);\n", "", code, flags=re.M)
            fields = fields.replace(line, "")
    if not fields:
        header = header.replace(
            ": the module's state, and one exec\n * function a concept, which",
            ", and one exec function a\n * concept, which",
        )
        code = re.sub(r"^    PySlot_\w+\(Py_mod_state_.*\n", "", code, flags=re.M)
        code = re.sub(
            r"(PyModuleDef_HEAD_INIT,) +(.m_name = \S+)\n    (.m_doc = \w+,).*?^\}",
            r"\1\n    \2\n    \3\n    .m_slots = module_slots,\n}",
            code,
            flags=re.M | re.S,
        )
        code = re.sub(r"^/\* The module: its state(,| and) ", "/* The module: ", code)
    code = code.replace("Read next: account.c.", f"Read next: {concept}.c.")
    folder |= {"module.h": header, "module.c": code}


def chunks(text: str) -> Iterator[str]:
    """Split a C file at the empty lines between what it defines."""
    chunk = ""
    depth = 0  # of #if, of braces, of a comment
    for line in text.splitlines(keepends=True):
        if not re.match(r"#ifndef \w+_H\n|#endif /\* !", line):  # of the whole file
            depth += line.startswith("#if") - line.startswith("#endif")
        depth += line[0] not in " #/" and line.endswith("{\n")
        depth -= line.startswith("}")
        chunk += line
        if not (line.strip() or depth or chunk.count("/*") > chunk.count("*/")):
            yield chunk
            chunk = ""
    yield chunk


def c_names(chunk: str) -> set[str]:
    """Name what a part of module.c or of a header defines or declares."""
    code = re.sub(r"/\*.*?\*/", "", chunk, flags=re.S)
    found = re.findall(r"^#define (\w+)", code, re.M)
    found += re.findall(r"^PyDoc_STRVAR\((\w+)|^\} (\w+);|^typedef .*?(\w+);", code, re.M)
    found += re.findall(r"^(?!PyDoc)(?:\w[\w *]*?[ *])?(\w+)(?:\(|\[\] =|;| =)", code, re.M)
    names = set(re.findall(r"\w+", str(found))) - {"PyMODINIT_FUNC"}
    return {name for name in names if not name.endswith("_H")}  # which guards a header


def c_words(code: str) -> set[str]:
    return set(re.findall(r"\w+", re.sub(r"/\*.*?\*/", "", code, flags=re.S)))


SHARED = r"/(module\.[ch]|args\.h|compat\.h)$"


def pruned(sources: dict[str, str]) -> dict[str, str]:
    """Leave out what no file of the extension uses."""
    shared = {path: text for path, text in sources.items() if re.search(SHARED, path)}
    parts = [(path, part, c_names(part)) for path, text in shared.items() for part in chunks(text)]
    entry = re.compile(r"PyInit_|PyModExport_")
    kept = [part for part in parts if not part[2] or any(map(entry.match, part[2]))]
    used = set().union(*(c_words(sources[path]) for path in sources.keys() - shared.keys()))
    used = used.union(*(c_words(text) for _, text, _ in kept))
    for _ in parts:
        more = [part for part in parts if part not in kept and part[2] & used]
        kept += more
        used = used.union(*(c_words(text) for _, text, _ in more))
    return sources | {
        path: "".join(part[1] for part in parts if part in kept and part[0] == path)
        for path in shared
    }


def extension(sources: dict[str, str], choice: Choice) -> dict[str, str]:
    """Make the C sources of the new project out of those of this one."""
    unwanted = rf"Read next: (?!{choice.concept}\.c)" + (
        "" if choice.legacy else "|The legacy twin "
    )
    twins = ["csrc/ready/", "csrc/legacy/"] if choice.legacy else ["csrc/ready/"]
    for twin in twins:
        folder = {p.removeprefix(twin): t for p, t in sources.items() if p.startswith(twin)}
        with_one_concept(folder, choice.concept)
        sources |= {twin + file: sentences(text, unwanted) for file, text in folder.items()}
    if not choice.abi3t:
        sources = {path: without_abi3t(text) for path, text in sources.items()}
    for twin in twins:
        own = {p: t for p, t in sources.items() if p.startswith(twin) or p.count("/") == 1}
        sources |= {path: text for path, text in pruned(own).items() if path.startswith(twin)}
    sources = pruned(sources)
    if not any(map(c_names, chunks(sources["csrc/args.h"]))):  # but for its guard
        del sources["csrc/args.h"]
        sources = {path: text.replace('"args.h"', '"compat.h"') for path, text in sources.items()}
    sources = {path: re.sub(r"\n{3,}", "\n\n", text) for path, text in sources.items()}
    words = " ".join(set().union(*map(c_words, sources.values())))
    for header, word in (("stdbool", r"\bbool\b"), ("stdint", r"\bu?int\d+_t\b")):
        if not re.search(word, words):
            line = f"#include <{header}.h>\n"
            sources["csrc/compat.h"] = sources["csrc/compat.h"].replace(line, "")
    return sources


def mutants(sources: dict[str, str], choice: Choice) -> Iterator[tuple[str, str]]:
    """Give the patches whose test is there, with the lines that they are about now."""
    for path in sorted(CHECKOUT.glob("tests/mutants/*.patch")):
        text = path.read_text(encoding="utf-8")
        (source,) = re.findall(r"^\+\+\+ b/(.*)$", text, re.M)
        (test,) = re.findall(r"^Caught by: ([^:\n]*)", text, re.M)
        tests = {f"tests/test_{choice.concept}.py", "tests/test_gil_state.py"}
        if source not in sources or test not in tests:
            continue
        shift = 0
        head, *hunks = re.split(r"^(@@ .*\n)", text, flags=re.M)
        for hunk in hunks[1::2]:
            lines = hunk.splitlines(keepends=True)
            old = "".join(line[1:] for line in lines if line[0] != "+")
            new = [line for line in lines if line[0] != "-"]
            if sources[source].count(old) != 1:
                raise Unusable(f"{path.name} does not fit the new {source}")
            first = sources[source].partition(old)[0].count("\n") + 1
            size = old.count("\n")
            head += f"@@ -{first},{size} +{first + shift},{len(new)} @@\n{hunk}"
            shift += len(new) - size
        yield f"tests/mutants/{path.name}", head


# All of it.


def read(path: str) -> str:
    try:
        return (CHECKOUT / path).read_text(encoding="utf-8")
    except FileNotFoundError:
        raise Unusable(f"this checkout has no {path}: it takes all of the sources") from None


def public_names(source: str) -> list[str]:
    """Give the names that a concept adds to the module."""
    types = re.findall(r'PACKAGE "\.(\w+)"', source)
    functions = re.findall(
        r"^static PyMethodDef \w+_functions\[\] = \{(.*?)^\};", source, re.M | re.S
    )
    return sorted(types + re.findall(r'^    \{"(\w+)"', "".join(functions), re.M))


def texts(choice: Choice, names: list[str]) -> Iterator[tuple[str, str]]:
    """Write the files that are not of this project."""
    for path, text, quote in (
        ("src/ftdemo/__init__.py", rules.INIT, ""),
        ("README.md", rules.README, ""),
        ("CHANGELOG.md", rules.CHANGELOG, "`"),
    ):
        new = text.replace("<names>", ", ".join(f"{quote}{name}{quote}" for name in names))
        new = new.replace("<quoted names>", ", ".join(f'"{name}"' for name in names))
        new = new.replace("<legacy>", rules.README_LEGACY if choice.legacy else "")
        yield path, new.replace("<abi3t>", rules.README_ABI3T if choice.abi3t else "")


def project(choice: Choice) -> dict[str, str]:
    """Make the files of the new project, by their paths."""
    files = {}
    for path in rules.FILES + (rules.LEGACY_FILES if choice.legacy else []):
        own = path.replace("CONCEPT", choice.concept)
        files[own] = read(own)
        for change in rules.CHANGES.get(own, []):
            if choice.means(change.when):
                files[own] = changed(own, files[own], change)
    for (path, name, when), source in rules.FUNCTIONS.items():
        if choice.means(when):
            code = source if "\n" in source else function(read(source), name)
            files[path] = replaced(files[path], name, code)
    names = public_names(files[f"csrc/ready/{choice.concept}.c"])
    sources = extension({p: t for p, t in files.items() if p.startswith("csrc/")}, choice)
    files = {path: text for path, text in files.items() if not path.startswith("csrc/")}
    files |= sources | dict(mutants(sources, choice)) | dict(texts(choice, names))
    own_tests = [path for path in files if path.startswith("tests/test_")]
    if not choice.legacy:
        for path in own_tests:
            files[path] = re.sub(r"\btwin\b", "module", files[path])
    fixtures = set().union(*(uses(ast.parse(files[path])) for path in own_tests))
    wanted = {
        "noxfile.py": {*rules.SESSIONS, *(["abi3t"] if choice.abi3t else [])},
        "src/ftdemo/_ready.pyi": set(names),
        "tests/conftest.py": fixtures,
    }
    for path, text in files.items():
        if path.endswith((".py", ".pyi")) and path != "src/ftdemo/__init__.py":
            files[path] = python(text, wanted.get(path, set()))
    return {path.replace("ftdemo", choice.name): named(files[path], choice) for path in files}


def named(text: str, choice: Choice) -> str:
    """Put in the names."""
    summary, example = rules.CONCEPTS[choice.concept]
    for old, new in {
        "<example>": example,
        "<summary>": summary,
        "<concept>": choice.concept,
        "ftdemo": choice.name,
        "FTDEMO": choice.name.upper(),
        "FTdemo": "ftdemo",
        "<author>": choice.author,
        "<quoted author>": json.dumps(choice.author, ensure_ascii=False),
    }.items():
        text = text.replace(old, new)
    return text


def modules(text: str) -> Iterator[str]:
    """Name the modules that a Python file imports, packages by their first name."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield (node.module or "").partition(".")[0]


def check_name(name: str) -> None:
    """Refuse what cannot be a package of one's own."""
    if not name.isidentifier() or keyword.iskeyword(name):
        raise Unusable(f"{name!r} is not a name that Python can import")
    if not re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", name):
        raise Unusable(f"{name!r} is not lower-case ASCII words with single underscores between")
    if name in rules.STDLIB or name in vars(builtins):
        raise Unusable(f"{name!r} would hide what Python itself calls so")


def write(files: dict[str, str], target: Path) -> None:
    """Write all files or none: beside the target, which they then become."""
    if os.path.lexists(target):
        raise Unusable(f"{target} exists already")
    if not target.parent.is_dir():
        raise Unusable(f"there is no folder {target.parent}")
    unfinished = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        for path, text in files.items():
            file = unfinished / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8", newline="\n")
            if os.access(CHECKOUT / path, os.X_OK):
                file.chmod(file.stat().st_mode | 0o111)
        unfinished.rename(target)
    except OSError as error:
        raise Unusable(str(error)) from error
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def git_user() -> str:
    try:
        asked = ["git", "config", "user.name"]
        return subprocess.run(asked, capture_output=True, text=True, check=False).stdout.strip()
    except OSError:
        return ""


def main() -> int:
    """Make the project, or say why not."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("name", help="of the package, and of the project")
    parser.add_argument("folder", type=Path, help="which must not exist yet")
    parser.add_argument(
        "--concept",
        choices=rules.CONCEPTS,
        default=rules.DEFAULT,
        help=f"what to start from; {rules.DEFAULT} by default",
    )
    parser.add_argument(
        "--abi3t",
        action="store_true",
        help="also build one wheel for 3.15 and all later Pythons, of both builds (PEP 803)",
    )
    parser.add_argument(
        "--no-legacy",
        dest="legacy",
        action="store_false",
        help="leave out the twin that tests of races must fail on",
    )
    parser.add_argument("--author", help="for the licence; by default what git has for user.name")
    options = vars(parser.parse_args())
    folder = options.pop("folder")
    options["author"] = options["author"] or git_user() or f"The {options['name']} authors"
    choice = Choice(**options)
    try:
        if not choice.author.isprintable():
            raise Unusable(f"{choice.author!r} is no name of an author")
        check_name(choice.name)
        unnamed = project(choice._replace(name="ftdemo"))
        if any(choice.name in modules(unnamed[path]) for path in unnamed if path.endswith(".py")):
            raise Unusable(f"{choice.name!r} would hide a module that the project itself needs")
        files = project(choice)
        write(files, folder.absolute())
    except Unusable as error:
        print(f"{parser.prog}: {error}", file=sys.stderr)
        return 2
    print(f"{folder}: {len(files)} files; next: cd {folder} && nox")
    return 0


if __name__ == "__main__":
    sys.exit(main())

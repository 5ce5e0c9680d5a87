"""Turn a file into C that the parser understands, with each line in its place.

This removes comments (and lists them), evaluates conditions, expands macros of the file and of the
headers in the same folder, and adds missing semicolons. No line moves. If an expansion moves the
rest of its line, `Text.column` returns the original column.
"""

import re
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from ftdemo.lint.conditions import ELSEWHERE, Macro, value

LARGEST_EXPANSION = 6_000
DEEPEST = 100  # conditions in conditions
TOKENS = re.compile(
    r"""//(?:[^\n\\]|\\.|\\\n)*|/\*.*?(?:\*/|\Z)|R"(\w*)\(.*?(?:\)\1"|\Z)|"(?:[^"\\\n]|\\.|\\\n)*"|'(?:[^'\\\n]|\\.)*'""",
    re.DOTALL,
)
DIRECTIVE = re.compile(r"^[ \t]*#[ \t]*(\w*)((?:[^\n\\]|\\\n|\\.)*)", re.MULTILINE)
DEFINE = re.compile(r"\s*([A-Za-z_]\w*)(\([^()]*\))?(.*)", re.DOTALL)
WORD = re.compile(r"[A-Za-z_]\w*")
LONG_WORD = re.compile(r"\w{500,}")  # for which regular expressions would take too long
NOT_NEWLINE = re.compile(r"[^\n]")

# Names that rules know. They are never expanded, even if a file defines them as macros.
STANDS = re.compile(
    r"Py_(BEGIN|END)_|Py_(X?INCREF|X?DECREF|CLEAR|X?SETREF|X?NewRef|REFCNT|RETURN_\w+|VISIT|UNUSED"
    r"|TYPE|SIZE|MOD_GIL\w*|mod_\w+|IS_TYPE|MIN|MAX)$|Py_(UN)?BLOCK_THREADS|PyMutex_|PyCriticalSection"
    r"|PyDict_|PyList_|PyTuple_|PyWeakref_|PyUnicode_|PyBytes_|PyObject_|PyVarObject_|PyModule_"
    r"|PyDoc_|FT_ATOMIC_|_Py_atomic|PyThread_|Py_ATOMIC|Py_T_|T_OBJECT|METH_|PyAPI_|NULL$|assert$"
    r"|offsetof$|EXPORT|PyMODINIT_FUNC|\w*_HEAD_INIT$|\w*(un|re)?likely$|\w*ATOMIC\w*$|PySequence_"
)
MATTERS = re.compile(
    r"\b_?Py[A-Z_]|\b(return|goto|break|continue|static|do|if|while)\b|->|(?<![=!<>])=(?!=)|[{}]"
    r"|lock|LOCK|SECTION|THREADS|\+\+|--"
)
ATTRIBUTES = re.compile(
    r"\b(?:Py_NO_INLINE|Py_ALWAYS_INLINE|_?Py_NO_RETURN|Py_GCC_ATTRIBUTE\s*\(\(.*?\)\)\)?|_Py_NO_SANITIZE\w+"
    r"|__inline__|__inline|__forceinline|__restrict__|__restrict|__extension__|NOEXCEPT|WINAPI|__cdecl|__stdcall"
    r"|__attribute__\s*\(\((?:[^()]|\([^()]*\))*\)\)|__declspec\s*\([^()]*\)|alignas\s*\([^()]*\)"
    r"|Py_DEPRECATED\s*\([^()]*\)|(?<=\bstatic )[A-Z][A-Z0-9_]{3,}(?=\s+\w+[\s*]+\w)"
    r"|(?<=\binline )[A-Z][A-Z0-9_]{3,}(?=\s+\w+[\s*]+\w)|Py_LOCAL_SYMBOL|Py_EXPORTED_SYMBOL)"
    r"|^[A-Z][A-Z0-9_]{3,}(?:\([\w\", ]*\))?(?=[ \t\n]+(?!static|const|PyObject\s+\w+\s*[;=])\w+[\s*]+\w+\s*\()",
    re.MULTILINE,
)
WRAPPED_TYPE = re.compile(
    r"\b(Py_LOCAL_INLINE|Py_LOCAL|PyAPI_FUNC|PyAPI_DATA|[A-Z_]*EXPORT\w*|[A-Z_]*API\w*|STATIC)\(([\w *]+)\)(?=\s*\**\w)"
)
UNUSED = re.compile(r"\b(?:Py_UNUSED|NPY_UNUSED|CYTHON_UNUSED_VAR|UNUSED)\s*\(\s*(\w+)\s*\)")
BARE = re.compile(
    r"\b((?:PyObject|PyObject_VAR|PyVarObject|\w*OBJECT|\w*Object)_HEAD|_PyObject_HEAD_EXTRA|_PyTZINFO_HEAD|_PyDateTime_\w*HEAD"
    r"|OBJECT_HEAD|Py_TRASHCAN_\w+(?:\([^()]*\))?|Py_(?:BEGIN|END)_ALLOW_THREADS|Py_(?:UN)?BLOCK_THREADS|Py_RETURN_(?:NONE|TRUE|FALSE)"
    r"|\w*(?:BEGIN|END|ENTER|LEAVE|RELEASE|RESTORE|ACQUIRE)_\w*(?:THREADS|CRITICAL_SECTION\w*|LOCK\w*|GIL|SUPPRESS_IPH|HASHLIB|MUTEX\w*)"
    r"(?:\s*\((?:[^();{}]|\((?:[^();{}]|\([^();{}]*\))*\))*\))?)(?!\w)(?=\s*\n|\s*\w|\s*\})(?!\s*[;,.)({=*?+-])"
)
HEAD_INIT = re.compile(r"\b_?Py\w*_HEAD_INIT\b\s*(?:\([^()]*(?:\([^()]*\))?[^()]*\))?\s*,?")
# A long table of numbers, which contains no hazards.
NUMBERS = re.compile(r"\{[\s0-9a-fA-FxXuUlL,.+-]{500,}\}")
CALL_LIKE = re.compile(r"\(|\)|,|\"(?:[^\"\\\n]|\\.)*\"|'(?:[^'\\\n]|\\.)*'")


class Comment(NamedTuple):
    """A comment: where it begins and ends, whether code precedes it in its line, its text."""

    line: int
    end_line: int
    alone: bool
    text: str


class Condition(NamedTuple):
    """The condition that an #if, #elif or #else sets for the lines up to the next one."""

    first: int
    last: int
    text: str


class Text(NamedTuple):
    """The text to parse, and the parts that were removed from it."""

    code: str
    comments: list[Comment]
    conditions: list[Condition]
    macros: dict[str, Macro]
    defines: list[tuple[str, int]]  # the names of macros and the lines of their bodies
    moved: dict[int, list[tuple[int, int, int]]]  # by line: from, to in the parsed one; was

    def guards(self, line: int) -> list[str]:
        """Return the conditions that hold in a line, the outermost first."""
        return [c.text for c in self.conditions if c.first <= line <= c.last]

    def column(self, line: int, column: int) -> int:
        """Return the column in the file for a column in the parsed text; both count from 1."""
        shift = 0
        for start, end, was in self.moved.get(line, ()):
            if column > end:
                shift = end - start - was
            elif column > start:
                return start + 1 - shift
        return column - shift


def decode(data: bytes) -> str:
    """Decode a source file as UTF-8, or else as Latin-1; make every line end with one newline."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = data.decode("latin-1")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def preprocess(text: str, path: Path | None = None, *, is_cpp: bool = False) -> Text:
    """Return the text of a file to parse.

    Quoted headers are searched for in the folder of path. Thread safety: distinct files may be read
    at the same time.
    """
    plain, comments = _strip(text)
    macros: dict[str, Macro] = {}
    if path is not None:
        for header in _includes(plain, path):
            for name, macro in _macros_of(header).items():
                macros.setdefault(name, macro)
    reader = _Reader(plain, macros, is_cpp)
    code = reader.read()
    moved: dict[int, list[tuple[int, int, int]]] = {}
    code = NUMBERS.sub(lambda match: "{" + _blank(match[0][1:-1]) + "}", code)
    code = _tidy(code)
    code = _expand(code, macros, moved)
    code = _tidy(code)
    code = BARE.sub(_with_semicolon, code)
    return Text(code, comments, reader.conditions, macros, reader.defines, moved)


def _with_semicolon(match: re.Match[str]) -> str:
    name = match[1]
    if name.endswith(("ALLOW_THREADS", "BLOCK_THREADS")):
        return name + "();"
    return name + ";"


def _blank(text: str) -> str:
    return NOT_NEWLINE.sub(" ", text)


def _strip(text: str) -> tuple[str, list[Comment]]:
    """Replace comments and non-ASCII characters by spaces; also return the comments."""
    comments: list[Comment] = []
    line = 1
    last = 0

    def replace(match: re.Match[str]) -> str:
        nonlocal line, last
        token = match[0]
        if token[0] in "\"'R":
            return token if token.isascii() else re.sub(r"[^\x00-\x7f]", "?", token)
        line += text.count("\n", last, match.start())
        last = match.start()
        before = text[text.rfind("\n", 0, last) + 1 : last]
        comments.append(Comment(line, line + token.count("\n"), not before.strip(), token))
        return _blank(token)

    plain = LONG_WORD.sub(lambda match: "x" * len(match[0]), TOKENS.sub(replace, text))
    if not plain.isascii():
        plain = re.sub(r"[^\x00-\x7f]", "?", plain)
    return plain, comments


def _includes(plain: str, path: Path) -> list[Path]:
    found = []
    for match in re.finditer(r'^[ \t]*#[ \t]*include[ \t]*"([^"\n]+)"', plain, re.MULTILINE):
        for folder in (path.parent, path.parent.parent, path.parent.parent / "include"):
            header = folder / match[1]
            if header.is_file():
                found.append(header.resolve())
                break
    return found


@lru_cache(maxsize=512)
def _macros_of(header: Path) -> dict[str, Macro]:
    """Return the macros of a header and of the headers that it includes."""
    return _collect(header, set())


def _collect(header: Path, seen: set[Path]) -> dict[str, Macro]:
    if header in seen or len(seen) > 200:
        return {}
    seen.add(header)
    try:
        data = header.read_bytes()
    except OSError:
        return {}
    if len(data) > 1_000_000 or b"\0" in data:
        return {}
    plain, _ = _strip(decode(data))
    macros: dict[str, Macro] = {}
    for other in _includes(plain, header):
        macros.update(_collect(other, seen))
    _Reader(plain, macros, is_cpp=False).read()
    return macros


class _Reader:
    """Reads directives from the top, evaluates conditions, and collects macros."""

    def __init__(self, text: str, macros: dict[str, Macro], is_cpp: bool) -> None:
        self.text = text
        self.macros = macros
        self.is_cpp = is_cpp
        self.conditions: list[Condition] = []
        self.defines: list[tuple[str, int]] = []
        self.directives = list(DIRECTIVE.finditer(text))
        self.next = 0
        self.depth = 0
        self.inside: list[str] = []  # the conditions around the directive that is read
        self.starts = [0]
        for match in re.finditer("\n", text):
            self.starts.append(match.end())

    def read(self) -> str:
        pieces = []
        position = 0
        while True:
            piece, position, closing = self.block(position, live=True)
            pieces.append(piece)
            if closing is None:
                return "".join(pieces)
            pieces.append(_blank(closing[0]))  # a surplus #else or #endif
            position = closing.end()

    def line_of(self, position: int) -> int:
        from bisect import bisect_right

        return bisect_right(self.starts, position)

    def block(self, position: int, *, live: bool) -> tuple[str, int, re.Match[str] | None]:
        """Read up to the #elif, #else or #endif that ends it; return the text and that directive."""
        pieces: list[str] = []
        while self.next < len(self.directives):
            directive = self.directives[self.next]
            self.next += 1
            if directive.start() < position:
                continue
            plain = self.text[position : directive.start()]
            pieces.append(plain if live else _blank(plain))
            position = directive.end()
            kind = directive[1]
            if kind in {"elif", "else", "endif", "elifdef", "elifndef"}:
                return "".join(pieces), directive.start(), directive
            if kind in {"if", "ifdef", "ifndef"} and self.depth < DEEPEST:
                self.depth += 1
                piece, position = self.conditional(directive, live=live)
                self.depth -= 1
                pieces.append(piece)
                continue
            if live:
                self.define(directive)
            pieces.append(_blank(directive[0]))
        rest = self.text[position:]
        pieces.append(rest if live else _blank(rest))
        return "".join(pieces), len(self.text), None

    def define(self, directive: re.Match[str]) -> None:
        if directive[1] != "define":
            return
        match = DEFINE.match(directive[2])
        if match is None:
            return
        name, parameters, body = match.groups()
        body = body.replace("\\\n", " ").strip()
        self.defines.append((name, self.line_of(directive.start())))
        names = None
        if parameters is not None:
            names = tuple(p.strip() for p in parameters[1:-1].split(",") if p.strip())
        if name in self.macros and len(self.macros[name].body) > len(body) and not body:
            return  # the other branch of an unknown condition
        self.macros[name] = Macro(names, body, " && ".join(self.inside))

    def conditional(self, directive: re.Match[str], *, live: bool) -> tuple[str, int]:
        """Read an #if up to its #endif."""
        branches: list[tuple[str, str, bool | None]] = []
        pieces = [_blank(directive[0])]
        taken: bool | None = False  # whether an earlier branch was taken; None: unknown
        said: list[str] = []
        opening: re.Match[str] | None = directive
        position = directive.end()
        while opening is not None and opening[1] != "endif":
            text, now = self.condition(opening)
            if taken is True:
                now = False
            elif taken is None and now is True:
                now = None
            if now is True:
                taken = True
            elif now is None:
                taken = None
            whole = " && ".join([*(f"!({other})" for other in said), *([text] if text else [])])
            said.append(text)
            first = self.line_of(opening.start())
            self.inside.append(whole)
            piece, position, closing = self.block(opening.end(), live=live and now is not False)
            self.inside.pop()
            last = self.line_of(position)
            self.conditions.append(Condition(first, last, whole))
            branches.append((whole, piece, now))
            if closing is None:
                break
            position = closing.end()
            opening = closing
            branches.append(("", _blank(closing[0]), True))
        open_ones = [b for b in branches if b[2] is None]
        if open_ones and not all(_is_whole(b[1]) for b in open_ones):
            keep = open_ones[0]
            if ELSEWHERE.search(keep[0]) and len(open_ones) > 1:
                keep = open_ones[-1]
            branches = [
                b if b[2] is not None or b is keep else (b[0], _blank(b[1]), b[2]) for b in branches
            ]
        pieces += [b[1] for b in branches]
        return "".join(pieces), position

    def condition(self, directive: re.Match[str]) -> tuple[str, bool | None]:
        kind, text = directive[1], " ".join(directive[2].replace("\\\n", " ").split())
        if kind == "else":
            return "", True
        if kind in {"ifdef", "elifdef"}:
            text = f"defined({text})"
        elif kind in {"ifndef", "elifndef"}:
            text = f"!defined({text})"
        return text, value(text, self.macros, is_cpp=self.is_cpp)


def _is_whole(piece: str) -> bool:
    """Tell whether a branch consists of whole statements, or of rows of an initializer."""
    stripped = piece.strip()
    if not stripped:
        return True
    for opening, closing in ("{}", "()"):
        if stripped.count(opening) != stripped.count(closing):
            return False
    return stripped.endswith((";", "}", ",")) and not stripped.startswith(
        (",", ")", "}", "else", "|", "&", "+", "-", "?", ":", "=")
    )


def _tidy(code: str) -> str:
    """Remove constructs that the grammar does not know, and keep every character in its place."""
    code = UNUSED.sub(lambda m: m[1].rjust(len(m[0])) if "\n" not in m[0] else m[0], code)
    code = WRAPPED_TYPE.sub(
        lambda m: (" " * (len(m[1]) + 1) + m[2] + " ") if not m[1].startswith("STATIC") else m[0],
        code,
    )
    code = HEAD_INIT.sub(lambda m: "0," + _blank(m[0])[2:], code)
    return ATTRIBUTES.sub(lambda m: _blank(m[0]), code)


def _arguments(code: str, position: int) -> tuple[list[str], int] | None:
    """Read the arguments of a macro, whose "(" is at position."""
    depth = 0
    start = position + 1
    arguments: list[str] = []
    for match in CALL_LIKE.finditer(code, position):
        if match.start() - position > 4 * LARGEST_EXPANSION:
            return None
        token = match[0]
        if token == "(":
            depth += 1
        elif token == ")":
            depth -= 1
            if not depth:
                arguments.append(code[start : match.start()])
                return arguments, match.end()
        elif token == "," and depth == 1:
            arguments.append(code[start : match.start()])
            start = match.end()
    return None


def _expand(
    code: str, macros: dict[str, Macro], moved: dict[int, list[tuple[int, int, int]]]
) -> str:
    """Replace each use of a relevant macro by its body, on the line where the use begins."""
    blanks = {""}
    for _ in range(3):  # consists of attributes, or of another such macro
        blanks |= {
            name
            for name, macro in macros.items()
            if macro.parameters is None
            and (
                macro.body in blanks
                or macro.body.startswith(("__attribute", "__declspec", "__inline"))
            )
        }
    code = _without(code, blanks - {""})
    chosen = {
        name: macro
        for name, macro in macros.items()
        if macro.body
        and len(macro.body) < LARGEST_EXPANSION
        and not STANDS.match(name)
        and ((macro.parameters is not None and len(macro.body) < 300) or MATTERS.search(macro.body))
        and not _defines_functions(macro)
    }
    if not chosen:
        return code
    pieces: list[str] = []
    position = 0
    line = 1
    line_start = 0  # in the output
    length = 0  # of the output
    budget = 2 * len(code) + 100_000
    for match in re.finditer(r"\"(?:[^\"\\\n]|\\.)*\"|\b[A-Za-z_]\w*", code):
        name = match[0]
        if match.start() < position or name not in chosen:
            continue
        use = _use(code, match, chosen[name])
        if use is None or budget < 0:
            continue
        arguments, end = use
        body = _substitute(chosen[name], arguments)
        body = _again(body, chosen, {name})
        if len(body) > LARGEST_EXPANSION:
            continue
        budget -= len(body)
        before = code[position : match.start()]
        pieces.append(before)
        newline = before.rfind("\n")
        line += before.count("\n")
        if newline >= 0:
            line_start = length + newline + 1
        length += len(before)
        swallowed = code.count("\n", match.start(), end)
        start = length - line_start
        moved.setdefault(line, []).append((start, start + len(body), end - match.start()))
        pieces.append(body + "\n" * swallowed)
        length += len(body) + swallowed
        line += swallowed
        if swallowed:
            line_start = length
        position = end
    pieces.append(code[position:])
    return "".join(pieces)


def _without(code: str, names: set[str]) -> str:
    """Replace names of empty macros by spaces."""
    names = {name for name in names if not STANDS.match(name)}
    if not names:
        return code

    def replace(match: re.Match[str]) -> str:
        return " " * len(match[0]) if match[0] in names else match[0]

    return re.sub(r"\"(?:[^\"\\\n]|\\.)*\"|\b[A-Za-z_]\w*", replace, code)


def _defines_functions(macro: Macro) -> bool:
    """Tell whether a macro defines whole functions: it is not expanded."""
    return (
        bool(re.search(r"\)\s*\{.*\breturn\b", macro.body))
        and "do" not in macro.body.split()[:1]
        and not re.match(r"\s*(\{|if|for|while|switch)", macro.body)
    )


def _use(code: str, match: re.Match[str], macro: Macro) -> tuple[list[str], int] | None:
    if macro.parameters is None:
        return [], match.end()
    opening = re.compile(r"\s*\(").match(code, match.end())
    return _arguments(code, opening.end() - 1) if opening else None


def _substitute(macro: Macro, arguments: list[str]) -> str:
    parameters = macro.parameters or ()
    values = {p: " ".join(a.split()) for p, a in zip(parameters, arguments, strict=False)}
    if parameters and parameters[-1].endswith("..."):
        name = parameters[-1].removesuffix("...") or "__VA_ARGS__"
        rest = [" ".join(a.split()) for a in arguments[len(parameters) - 1 :]]
        values[name] = ", ".join(rest)
    body = macro.body
    if "#" in body:
        body = re.sub(r"\s*##\s*", "\0", body)
        body = re.sub(r"#\s*([A-Za-z_]\w*)", lambda m: '"' + m[1] + '"', body)

    def replace(match: re.Match[str]) -> str:
        return values.get(match[0], match[0])

    return re.sub(r"\"(?:[^\"\\\n]|\\.)*\"|[A-Za-z_]\w*", replace, body).replace("\0", "")


def _again(body: str, chosen: dict[str, Macro], used: set[str], depth: int = 0) -> str:
    if depth > 6 or len(body) > LARGEST_EXPANSION:
        return body

    pieces: list[str] = []
    position = 0
    for match in WORD.finditer(body):
        name = match[0]
        if match.start() < position or name not in chosen or name in used:
            continue
        use = _use(body, match, chosen[name])
        if use is None:
            continue
        arguments, end = use
        inner = _substitute(chosen[name], arguments)
        pieces += [body[position : match.start()], _again(inner, chosen, used | {name}, depth + 1)]
        position = end
    return "".join([*pieces, body[position:]])

"""The documents: run examples, compare excerpts, and check that everything they name exists."""

import ast
import re
import shlex
from pathlib import Path

import pytest
from wheel_files import make

from ftdemo.cli import parser

PROJECT = Path(__file__).parent.parent
DOCS = {path.name: path for path in [*PROJECT.glob("*.md"), *PROJECT.glob("docs/*.md")]}
if "porting.md" not in DOCS:
    pytest.skip("the documentation is not beside the tests", allow_module_level=True)
TEXT = {name: path.read_text(encoding="utf-8") for name, path in DOCS.items()}

BLOCK = re.compile(r"^```(?P<language>\w+)\n(?P<code>.*?)^```$", re.M | re.S)
LINK = re.compile(r"\]\((?!https?:)(?P<path>[^)#\s]*)(?:#(?P<anchor>[^)\s]+))?\)")
NAMED_TEST = re.compile(r"`(test_\w+\.py)::(?:(\w+)::)?(\w+)(?:\[.+?\])?`")

pytestmark = pytest.mark.thread_unsafe(reason="starts processes, and tmp_path is shared")


def blocks(language):
    """Return each block of code in this language, with its document as the id."""
    return [
        pytest.param(match["code"], id=f"{name}:{text[: match.start()].count(chr(10)) + 1}")
        for name, text in TEXT.items()
        for match in BLOCK.finditer(text)
        if match["language"] == language
    ]


def found(*patterns):
    """Return all matches of the patterns in all documents, without duplicates."""
    return sorted({m for text in TEXT.values() for p in patterns for m in re.findall(p, text)})


@pytest.mark.all_modules
@pytest.mark.parametrize("code", blocks("python"))
def test_every_python_block_runs(fresh_python, code):
    """The value of an expression must be the number at the beginning of its comment."""
    code = code.replace('"numpy"', '"ftdemo._ready"')  # which is installed
    code = re.sub(r"^(\w\S*\(.*\))  # (\d+)\b.*$", r"assert \1 == \2", code, flags=re.M)
    done = fresh_python("-W", "ignore", "-c", code)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


# Text that differs from run to run: the version of Python, and the counts of ftdemo stress.
MASKS = {
    r"^CPython 3\.\d+\.\w+, ": "CPython VERSION, ",
    r"\b\d[\d,]* (of \d[\d,]* )?(meetings|pairs?)": r"N \2",
    r"(?m) +\d+ +\d[\d,]*$": " N N",  # the last columns of its table
}
# Pages whose console blocks are all run. Other pages show the output of one run on one day.
RUN = ("README.md", "import-check.md", "lint.md", "porting.md", "wheels.md")


def masked(text):
    for pattern, mask in MASKS.items():
        text = re.sub(pattern, mask, text)
    return text


def shown():
    """Yield each command with the output that a page shows."""
    for block in blocks("console"):
        (code,) = block.values
        command, _, output = code.removeprefix("$ ").partition("\n")
        if str(block.id).split(":")[0] in RUN and output:
            marks = []
            if command == "ftdemo" or command.startswith(("ftdemo check", "ftdemo stress")):
                marks += [pytest.mark.all_modules, pytest.mark.free_threaded]
            if command.startswith("ftdemo stress"):
                marks.append(pytest.mark.two_cores)
            yield pytest.param(command, output, id=block.id, marks=marks)


@pytest.mark.parametrize(("command", "output"), list(shown()))
def test_a_command_prints_what_the_page_shows(fresh_python, tmp_path, monkeypatch, command, output):
    monkeypatch.chdir(tmp_path)
    words = shlex.split(command)
    if words[1:2] == ["lint"]:
        pytest.importorskip("tree_sitter", reason="it has no wheels for free-threaded builds")
        monkeypatch.chdir(PROJECT)
    if words[1:2] == ["wheels"]:
        for wheel in re.findall(r"\S+\.whl", output):
            _, version, *tags = wheel.removesuffix(".whl").split("-")
            about = {"name": wheel, "version": version, "requires": ">=3.14"}
            make(tmp_path / "wheelhouse", *tags, "acme.py", **about)
        (contract,) = next(b.values for b in blocks("toml") if str(b.id).startswith("wheels.md"))
        Path("contract.toml").write_text(contract)
    done = fresh_python("-m", *words)
    assert masked(done.stdout) == masked(output), done.stderr


@pytest.mark.parametrize("diff", blocks("diff"))
def test_every_diff_matches_the_sources(diff):
    """Each hunk matches the old file without its + lines, and the new one without its - lines."""
    old, new, *hunks = re.split(r"^(?:--- |\+\+\+ |@@.*\n)", diff, flags=re.M)[1:]
    assert (old.split("/")[1], new.split("/")[1]) == ("legacy", "ready")
    for name, added in ((old, "+"), (new, "-")):
        source = (PROJECT / name.strip()).read_text(encoding="utf-8")
        for hunk in hunks:
            lines = hunk.splitlines(keepends=True)
            assert "".join(line[1:] for line in lines if line[0] != added) in source


@pytest.mark.parametrize(("file", "group", "name"), found(NAMED_TEST))
def test_every_test_exists(file, group, name):
    (path,) = (PROJECT / "tests").rglob(file)
    tree = ast.parse(path.read_text(encoding="utf-8"))
    (scope,) = [n for n in tree.body if getattr(n, "name", "") == group] if group else [tree]
    assert name in {getattr(node, "name", None) for node in scope.body}


@pytest.mark.parametrize("name", found(r"\bnox -s\s+([\w.-]+)"))
def test_every_nox_session_exists(name):
    sources = (PROJECT / "noxfile.py").read_text(encoding="utf-8")
    name = re.sub(r"-3\.\d+t?$", "", name)
    assert f"\ndef {name}(session: nox.Session)" in sources or f'(name="{name}")' in sources


@pytest.mark.parametrize(
    "command",
    found(r"`(ftdemo(?:\s[^`]+)?)`", r"(?m)^(?:\$ |- run: |.*--with \S+ )(ftdemo\b.*)$"),
)
def test_every_ftdemo_command_parses(command):
    words = shlex.split(command)[1:]
    if len(words) == 1 or "--schema" in words:  # without the target that the command needs
        with pytest.raises(SystemExit, match="0"):
            parser().parse_args([*words, "--help"])
        return
    options = parser().parse_args(words)
    if names := getattr(options, "names", None):
        from ftdemo.demos import NAMES

        assert set(names) <= {*NAMES, "NAME"}


PATH = r"`(?!\S*NAME)((?:csrc|docs|src|tests|tools|\.ci|\.github)/[\w./-]+)`"
MUTANTS = found(r"mutants? `(\w+)`", r"mutants `\w+` and `(\w+)`")


@pytest.mark.parametrize("name", [*found(PATH), *(f"tests/mutants/{m}.patch" for m in MUTANTS)])
def test_every_path_exists(name):
    assert (PROJECT / name).exists()


def anchors(text):
    """Return the anchors that GitHub gives to the headings of a document."""
    headings = re.findall(r"^#+ (.+)$", BLOCK.sub("", text), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("name", TEXT)
def test_every_link_has_a_target(name):
    text = BLOCK.sub("", TEXT[name])
    for link in LINK.finditer(text):
        target = DOCS[name].parent / link["path"] if link["path"] else DOCS[name]
        assert target.exists(), link[0]
        if link["anchor"]:
            assert link["anchor"] in anchors(target.read_text(encoding="utf-8")), link[0]
    for definition in re.findall(r"^(\[.+?\]): ", text, re.M):
        assert text.replace("\n", " ").count(definition) > 1, definition

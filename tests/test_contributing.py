"""CONTRIBUTING.md's list of files that a concept takes, walked against those of every concept."""

import re
import shutil
from pathlib import Path

import pytest

PROJECT = Path(__file__).parent.parent
if not (PROJECT / "CONTRIBUTING.md").exists():
    pytest.skip("the documentation is not beside the tests", allow_module_level=True)
TEXT = (PROJECT / "CONTRIBUTING.md").read_text(encoding="utf-8")
FOLDERS = ["csrc", "src", "tests", "docs", "benchmarks", ".ci"]
SUFFIXES = {".c", ".h", ".md", ".patch", ".py", ".pyi"}
PATH = re.compile(r"`([\w.*/]+\.\w+)`")
OWN = [Path(__file__).name, "CONTRIBUTING.md"]

pytestmark = pytest.mark.thread_unsafe(reason="tmp_path is shared")


def steps(text):
    """The steps of the list: number, whether it is for races alone, and the paths it names."""
    section = text.partition("## Adding a concept\n")[2]
    for number, step in re.findall(r"^(\d+)\. (.*(?:\n   .*)*)", section, re.M):
        yield int(number), step.startswith("Where threads meet"), PATH.findall(step)


class Tree:
    """The files of a project, and the concepts in it."""

    def __init__(self, root):
        paths = [*root.glob("*.md"), *(p for folder in FOLDERS for p in (root / folder).rglob("*"))]
        self.texts = {
            path.relative_to(root).as_posix(): path.read_text(encoding="utf-8")
            for path in paths
            if path.suffix in SUFFIXES and path.name not in OWN and path.is_file()
        }
        self.concepts = [
            Path(path).stem
            for path in self.texts
            if Path(path).match("csrc/ready/*.c") and Path(path).stem != "module"
        ]
        races = "@pytest.mark.race\n"
        self.racing = [
            c for c in self.concepts if races in self.texts.get(f"tests/test_{c}.py", "")
        ]

    def names(self, path, concept):
        """Whether a file has to do with a concept, by its file or by what it makes public."""
        source = self.texts[f"csrc/ready/{concept}.c"]
        found = re.findall(
            r'PACKAGE "\.(\w+)"|^    \{"(\w+)", .*FASTCALL|module_(\w+)\(', source, re.M
        )
        public = {name for names in found for name in names if name}
        public |= {f"{concept}_exec", f"{concept}.c", f"test_{concept}.py", f'"{concept}"'}
        return any(re.search(rf"(?<!\w){re.escape(n)}(?!\w)", self.texts[path]) for n in public)


def problems(text, tree):
    """What the list and the tree do not agree on."""
    listed = list(steps(text))
    if [number for number, *_ in listed] != list(range(1, len(listed) + 1)):
        yield "the steps are not numbered one by one"
    patterns = []
    for number, for_races, paths in listed:
        for path in paths:
            patterns.append(path)
            for concept in tree.racing if for_races else tree.concepts:
                if "NAME" in path:
                    if not any(Path(p).match(path.replace("NAME", concept)) for p in tree.texts):
                        yield f"{number}: there is no {path} for {concept}"
                elif path not in tree.texts or not tree.names(path, concept):
                    yield f"{number}: {path} does not name {concept}"
    for path in tree.texts:
        for concept in tree.concepts:
            named = re.match(rf"(test_)?{concept}(?!\w*\.md)", Path(path).name)
            own = [pattern.replace("NAME", concept) for pattern in patterns if "NAME" in pattern]
            if named and not any(Path(path).match(pattern) for pattern in own):
                yield f"no step leads to {path}"
        if all(tree.names(path, concept) for concept in tree.racing) and path not in patterns:
            yield f"no step leads to {path}, which names all concepts"


@pytest.fixture(scope="module")
def tree():
    return Tree(PROJECT)


def test_the_list_is_what_each_concept_took(tree):
    assert list(problems(TEXT, tree)) == []
    assert len(tree.concepts) > len(tree.racing) > 3


@pytest.mark.parametrize("path", sorted({path for *_, paths in steps(TEXT) for path in paths}))
def test_no_step_can_be_left_out(tree, path):
    assert list(problems(TEXT.replace(f"`{path}`", "it"), tree)) != []


def test_a_concept_without_the_rest_is_noticed(tmp_path):
    """A file in csrc/ready alone: each step has something to say about it."""
    for folder in FOLDERS:
        ignored = shutil.ignore_patterns("__pycache__", "build", "*.so")
        shutil.copytree(PROJECT / folder, tmp_path / folder, ignore=ignored)
    for path in PROJECT.glob("*.md"):
        shutil.copy2(path, tmp_path)
    assert list(problems(TEXT, Tree(tmp_path))) == []
    (tmp_path / "csrc/ready/sketch.c").write_text("static int sketch;\n")
    (tmp_path / "tests/test_sketch.py").write_text("@pytest.mark.race\ndef test(): ...\n")
    found = "\n".join(problems(TEXT, Tree(tmp_path)))
    assert {int(number) for number in re.findall(r"^(\d+): .*sketch", found, re.M)} == {
        number for number, *_ in steps(TEXT)
    }

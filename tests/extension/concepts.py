"""The concepts, and what the general tests use of each: three functions in its test file.

    make(ftdemo)         an object that threads may share; None where there are functions alone
    step(ftdemo, thing)  a use of it that succeeds whatever other threads do with thing
    use(ftdemo)          all that the concept offers, on objects of its own, errors included

Here ftdemo is either twin, or another module of it. The functions import what they need: they are
taken out of the file as source, since they also run in other interpreters, and without pytest.
"""

import ast
import re
from pathlib import Path
from types import SimpleNamespace

HERE = Path(__file__).parent
CSRC = HERE.parents[1] / "csrc"
NAMES = re.findall(r"^    X\((\w+)\)", (CSRC / "concepts.h").read_text(encoding="utf-8"), re.M)
FUNCTIONS = {"make", "step", "use"}


def source(name):
    """The source of the three functions of a concept."""
    tree = ast.parse((HERE / f"test_{name}.py").read_text(encoding="utf-8"))
    tree.body = [node for node in tree.body if getattr(node, "name", None) in FUNCTIONS]
    assert {node.name for node in tree.body} == FUNCTIONS, name
    return ast.unparse(tree)


def load(code):
    """The three functions, by their source."""
    scope = {}
    exec(code, scope)
    return SimpleNamespace(**{name: scope[name] for name in FUNCTIONS})


SOURCES = {name: source(name) for name in NAMES}
CONCEPTS = {name: load(code) for name, code in SOURCES.items()}

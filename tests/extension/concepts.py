"""The concepts, and for general tests, three functions from the test file of each concept.

    make(ftdemo)         create an object that threads may share; None if there are only functions
    step(ftdemo, thing)  use it in a way that succeeds whatever other threads do with it
    use(ftdemo)          use everything that the concept offers, on new objects, errors included

ftdemo is ftdemo, ftdemo.legacy, or another module created from one of them. The functions import
what they need, because they are extracted as source, and also run in other interpreters and without
pytest.
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
    """Return the source of the three functions of a concept."""
    tree = ast.parse((HERE / f"test_{name}.py").read_text(encoding="utf-8"))
    tree.body = [node for node in tree.body if getattr(node, "name", None) in FUNCTIONS]
    assert {node.name for node in tree.body} == FUNCTIONS, name
    return ast.unparse(tree)


def load(code):
    """Return the three functions, given their source."""
    scope = {}
    exec(code, scope)
    return SimpleNamespace(**{name: scope[name] for name in FUNCTIONS})


SOURCES = {name: source(name) for name in NAMES}
CONCEPTS = {name: load(code) for name, code in SOURCES.items()}

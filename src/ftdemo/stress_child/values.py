"""Choose arguments to try: from a signature or a stub if there is one, then from a small pool."""

import ast
import importlib.util
import inspect
import itertools
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

# Expressions, so that each call gets new values. y is another object of the type.
POOL = (
    "1",
    "'a'",
    "[1, 2, 3]",
    "b'abc'",
    "y",
    "{'a': 1}",
    "lambda *args: None",
    "object()",
    "0",
    "None",
    "1.5",
    "int",
    "(1, 2)",
    "bytearray(b'abc')",
    "slice(0, 1)",
    "('a', 1)",
    "__import__('io').BytesIO(b'abc')",
    "iter('ab')",
    "'i'",  # a format or a type code
    "'1'",
)
_FEW = (
    *("1", "'a'", "[1, 2, 3]", "b'abc'", "y", "{'a': 1}", "lambda *args: None", "0", "object()"),
    "'i'",
)
_FEWER = ("1", "'a'", "[1, 2, 3]", "y", "None")
# If a parameter accepts all of these, it accepts any object. Then threads also pass NEW: a value
# that is equal in all threads and that no earlier meeting had, and an object that is not shared.
ANYTHING = ("1", "'a'", "(1, 2)")
NEW = ("(n, 'a')", "object()")
# For functions of a module, whose state outlives a meeting: new values of the same kind.
NEW_OF = {"'a'": ("f'a{n}'",), "b'abc'": ("b'%d' % n",)}
# Other values of the same kind: if two threads passed equal values, a mix of both would not be
# noticed. The last one takes longer to process.
ANOTHER = {
    "1": ("3", "1000"),
    "0": ("3", "1000"),
    "7": ("8",),
    "'a'": ("'b'", "'b' * 1000"),
    "'b'": ("'c'",),
    "b'abc'": ("b'b'", "b'b' * 1000"),
    "b'b'": ("b'c'",),
    "1.5": ("2.5",),
    "2.5": ("3.5",),
    "[1, 2, 3]": ("[4]", "[4] * 1000"),
    "lambda *args: None": ("Exception",),  # the same object in all threads
}
# Values that depend on i, from 0 to 3, to fill an object with different ones.
EACH = {
    "1": "i",
    "0": "i",
    "'a'": "f'a{i}'",
    "b'abc'": "b'%d' % i",
    "1.5": "i / 2",
    "[1, 2, 3]": "[i]",
    "lambda *args: None": "(Exception, ValueError, KeyError, OSError)[i]",
}
LARGE = "2**63 - 2"  # adding 1 is fine, adding 2 overflows

_BY_NAME = {
    r"^(iter(able)?|seq(uence)?|items?|values|objs?|args)$": ("[1, 2, 3]", "'a'", "(1, 2)"),
    r"^(key|name|text|s|string|prefix|sep|encoding)$": ("'a'", "1"),
    r"^(fmt|format|typecode|dtype)$": ("'i'",),
    r"^(data|buf(fer)?|bytes|b)$": ("b'abc'", "bytearray(b'abc')"),
    r"^(func(tion)?|callback|callable|f|pred(icate)?|default_factory|key_func)$": (
        "lambda *args: None",
        "int",
    ),
    r"^(n|i|count|size|num(ber)?|index|amount|maxlen|start|stop|step|times|length|k)$": ("1", "0"),
    r"^(other|that)$": ("y",),
    r"^(mapping|dict|kwargs)$": ("{'a': 1}",),
}
_BY_ANNOTATION = {
    "int": ("1", "0"),
    "SupportsIndex": ("1", "0"),
    "SupportsInt": ("1", "0"),
    "SupportsFloat": ("1.5", "1"),
    "float": ("1.5",),
    "str": ("'a'",),
    "bytes": ("b'abc'",),
    "Buffer": ("b'abc'", "bytearray(b'abc')"),
    "ReadableBuffer": ("b'abc'",),
    "bytearray": ("bytearray(b'abc')",),
    "bool": ("True",),
    "Iterable": ("[1, 2, 3]", "'a'"),
    "Sequence": ("[1, 2, 3]",),
    "list": ("[1, 2, 3]",),
    "tuple": ("(1, 2)",),
    "dict": ("{'a': 1}",),
    "Mapping": ("{'a': 1}",),
    "set": ("{1, 2}",),
    "Callable": ("lambda *args: None", "int"),
    "Hashable": ("'a'", "(1, 2)"),
    "object": ("'a'", "object()"),
    "Any": ("'a'", "object()"),
    "Self": ("y",),
    "slice": ("slice(0, 1)",),
    "type": ("int",),
    "None": ("None",),
}


def arguments(
    function: Any, name: str, own: str = "", objects: Sequence[str] = ("y",)
) -> Iterator[tuple[str, ...]]:
    """Yield tuples of expressions to call function with, likely ones first, each once.

    name is its name in a stub: `Type.method`, `Type` or `function`. own is the name of a type;
    objects are expressions for objects of that type.
    """
    given = set()
    for guess in itertools.chain(_from_signature(function, name, own, objects), _from_pool()):
        if guess not in given:
            given.add(guess)
            yield guess


def _from_pool() -> Iterator[tuple[str, ...]]:
    yield ()
    yield from ((value,) for value in POOL)
    yield from itertools.product(_FEW, repeat=2)
    yield from itertools.product(_FEWER, repeat=3)


# What goes before an argument (a keyword and "=", or nothing), the name of the parameter, its
# annotation, and whether it is required.
_Parameter = tuple[str, str, str, bool]


def _from_signature(
    function: Any, name: str, own: str, objects: Sequence[str]
) -> Iterator[tuple[str, ...]]:
    parameters = _stubbed(function, name) or _signature(function) or _documented(function)
    if parameters is None:
        return
    values = [
        [before + value for value in _values(name, annotation, own, objects)]
        for before, name, annotation, _ in parameters
    ]
    needed = [likely for likely, (*_, must) in zip(values, parameters, strict=True) if must]
    yield from itertools.islice(itertools.product(*needed), 24)
    if len(needed) < len(values) <= 4:
        yield from itertools.islice(itertools.product(*values), 24)


def _signature(function: Any) -> list[_Parameter] | None:
    """Return the positional and the required parameters, from the text signature."""
    try:
        signature = inspect.signature(function)
    except (ValueError, TypeError):
        return None
    found: list[_Parameter] = []
    for name, parameter in signature.parameters.items():
        kind, must = parameter.kind, parameter.default is parameter.empty
        optional = kind == parameter.VAR_KEYWORD or (kind == parameter.KEYWORD_ONLY and not must)
        if optional or name == "self":
            continue
        before = f"{name}=" if kind == parameter.KEYWORD_ONLY else ""
        annotation = "" if parameter.annotation is parameter.empty else str(parameter.annotation)
        found.append((before, name, annotation, must and kind != parameter.VAR_POSITIONAL))
    return found


def _documented(function: Any) -> list[_Parameter] | None:
    """Return the parameters from a docstring that begins with a call: "Stack(items, *, size=1)".

    pybind11 and Cython write them so, for a type into the docstring of its __init__.
    """
    doc = getattr(function, "__doc__", None)
    name = getattr(function, "__name__", "")
    if not isinstance(doc, str) or not isinstance(name, str):
        doc = ""
    match = re.match(rf"\s*(?:\w+\.)*{re.escape(name)}(\([^()]*(?:\([^()]*\)[^()]*)*\))", doc)
    try:
        node = ast.parse(f"def f{match[1]}: pass").body[0] if match else None
    except (SyntaxError, ValueError):
        return None
    if isinstance(node, ast.FunctionDef):
        return [p for p in _stub_parameters(node, method=False) if p[1] != "self"]
    return _documented(getattr(function, "__init__", None)) if isinstance(function, type) else None


def keywords(names: Sequence[str]) -> Iterator[tuple[str, ...]]:
    """Yield values for keyword arguments, the first ones likely for their names."""
    values = [[f"{name}={value}" for value in _values(name, "", "", ())] for name in names]
    yield from itertools.product(*values)


def _values(name: str, annotation: str, own: str, objects: Sequence[str]) -> Sequence[str]:
    """Return likely values of a parameter, then those of the pool."""
    words = re.findall(r"\w+", annotation)
    likely = list(objects) if own and own in words else []
    likely += [value for word in words for value in _BY_ANNOTATION.get(word, ())]
    for pattern, values in _BY_NAME.items():
        if re.match(pattern, name, re.IGNORECASE):
            likely += values
    return list(dict.fromkeys([*likely, *POOL]))[: max(6, len(likely))]


_STUBS: dict[str, dict[str, list[_Parameter]]] = {}


def _stubbed(function: Any, name: str) -> list[_Parameter] | None:
    """Return the positional parameters, from the stub beside the module."""
    module = getattr(function, "__module__", None) or getattr(
        getattr(function, "__objclass__", None), "__module__", None
    )
    if not isinstance(module, str):
        return None
    if module not in _STUBS:
        _STUBS[module] = _read_stub(module)
    return _STUBS[module].get(name)


def _read_stub(module: str) -> dict[str, list[_Parameter]]:
    try:
        spec = importlib.util.find_spec(module)
    except (ImportError, ValueError, AttributeError):
        return {}
    if spec is None or not spec.origin:
        return {}
    origin = Path(spec.origin)
    stub = origin.with_name(origin.name.partition(".")[0] + ".pyi")
    try:
        tree = ast.parse(stub.read_text(encoding="utf-8"))
    except (OSError, SyntaxError, ValueError):
        return {}
    found: dict[str, list[_Parameter]] = {}

    def visit(body: list[ast.stmt], prefix: str) -> None:
        for node in body:
            if isinstance(node, ast.ClassDef):
                visit(node.body, f"{node.name}.")
            elif isinstance(node, ast.FunctionDef):
                parameters = _stub_parameters(node, bool(prefix))
                if node.name in {"__new__", "__init__"}:
                    found.setdefault(prefix.rstrip("."), parameters)
                else:
                    found.setdefault(prefix + node.name, parameters)

    visit(tree.body, "")
    return found


def _stub_parameters(node: ast.FunctionDef, method: bool) -> list[_Parameter]:
    every = [*node.args.posonlyargs, *node.args.args]
    static = any(isinstance(d, ast.Name) and d.id == "staticmethod" for d in node.decorator_list)
    optional = len(node.args.defaults)
    skipped = 1 if method and not static else 0
    found = [("", arg, index < len(every) - optional) for index, arg in enumerate(every)][skipped:]
    keywords = zip(node.args.kwonlyargs, node.args.kw_defaults, strict=True)
    found += [(f"{arg.arg}=", arg, True) for arg, default in keywords if default is None]
    return [
        (before, arg.arg, ast.unparse(arg.annotation) if arg.annotation else "", must)
        for before, arg, must in found
    ]

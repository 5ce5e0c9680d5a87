"""Copy the syntax tree of tree-sitter into plain Python objects.

Rules read each node many times, and each read of a tree-sitter node costs a call into C.
"""

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import tree_sitter

DEEPEST = 150
SPACES = re.compile(r"\s+")


class ParserMissingError(Exception):
    """tree-sitter or its grammars of C and C++ are not installed."""


class Node:
    """A node: its kind in the grammar, its place in the text, and its named children."""

    __slots__ = ("_text", "children", "code", "end", "fields", "kind", "op", "parent", "start")

    def __init__(self, kind: str, start: int, end: int, code: str, parent: "Node | None") -> None:
        self.kind = kind
        self.start = start
        self.end = end
        self.code = code
        self.parent = parent
        self.children: list[Node] = []
        self.fields: dict[str, Node] = {}
        self.op = ""
        self._text: str | None = None

    def get(self, field: str) -> "Node | None":
        """Return the child in a field of the grammar."""
        return self.fields.get(field)

    @property
    def text(self) -> str:
        """The text, with each run of white space replaced by one space."""
        if self._text is None:
            text = self.code[self.start : self.end]
            self._text = SPACES.sub(" ", text) if "\n" in text or "  " in text else text
        return self._text

    def walk(self) -> "Iterator[Node]":
        """Yield this node and all its descendants, in the order of the text."""
        stack = [self]
        while stack:
            node = stack.pop()
            yield node
            stack.extend(reversed(node.children))

    def up(self, *kinds: str) -> "Node | None":
        """Return the nearest ancestor of one of these kinds."""
        node = self.parent
        while node is not None and node.kind not in kinds:
            node = node.parent
        return node

    def used_in(self, *through: str) -> "Node | None":
        """Return the node that uses the value: no cast, no parentheses, and not of these kinds."""
        node = self.parent
        while node is not None and (
            node.kind in {"cast_expression", "parenthesized_expression"} or node.kind in through
        ):
            node = node.parent
        return node

    def contains(self, other: "Node") -> bool:
        """Tell whether a node is this one, or inside it."""
        return self.start <= other.start and other.end <= self.end

    def __repr__(self) -> str:
        return f"<{self.kind} {self.text[:40]!r}>"


class Tree:
    """A parsed file: the root, the nodes of some kinds, and the parts that did not parse."""

    def __init__(
        self, root: Node, errors: list[tuple[int, str]], by_kind: dict[str, list[Node]]
    ) -> None:
        self.root = root
        self.errors = errors
        self.by_kind = by_kind


_parsers: dict[bool, "tree_sitter.Parser"] = {}


def parser(is_cpp: bool) -> "tree_sitter.Parser":
    """Return this process's parser of C or C++. Raise ParserMissingError if it is not installed."""
    if is_cpp not in _parsers:
        try:
            import tree_sitter
            import tree_sitter_c
            import tree_sitter_cpp
        except ImportError as error:
            raise ParserMissingError(str(error)) from error
        grammar = tree_sitter_cpp if is_cpp else tree_sitter_c
        _parsers[is_cpp] = tree_sitter.Parser(tree_sitter.Language(grammar.language()))
    return _parsers[is_cpp]


def parse(code: str, *, is_cpp: bool) -> Tree:
    """Parse text, which must be ASCII, so that each byte is one character."""
    tree = parser(is_cpp).parse(code.encode("ascii", "replace"))
    cursor = tree.walk()
    first = cursor.node
    assert first is not None
    root = Node(first.type, first.start_byte, first.end_byte, code, None)
    errors: list[tuple[int, str]] = []
    by_kind: dict[str, list[Node]] = {}
    node = root
    depth = 0
    if not cursor.goto_first_child():
        return Tree(root, errors, by_kind)
    while True:
        seen = cursor.node
        assert seen is not None
        if seen.is_named:
            kind = seen.type
            new = Node(kind, seen.start_byte, seen.end_byte, code, node)
            node.children.append(new)
            field = cursor.field_name
            if field is not None and field not in node.fields:
                node.fields[field] = new
            by_kind.setdefault(kind, []).append(new)
            if kind == "ERROR":
                errors.append((new.start, new.text[:60]))
            if depth < DEEPEST:
                if cursor.goto_first_child():
                    node = new
                    depth += 1
                    continue
            else:
                errors.append((new.start, "nested too deeply"))
        else:
            if cursor.field_name == "operator":
                node.op = seen.type
            if seen.is_missing:
                errors.append((seen.start_byte, f"missing {seen.type}"))
        while not cursor.goto_next_sibling():
            if not cursor.goto_parent():
                return Tree(root, errors, by_kind)
            depth -= 1
            if node.parent is None:
                return Tree(root, errors, by_kind)
            node = node.parent

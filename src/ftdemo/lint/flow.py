"""List the events of a function in order: calls, writes, reads and exits, with the locks held.

The walk follows the structure of the code: both branches of an if, and the body of a loop once. A
lock is `sure` where every path to that place took it.
"""

import re
from collections.abc import Iterable
from typing import NamedTuple

from ftdemo.lint.names import (
    ATTACH,
    DETACH,
    MUTEX,
    OWN_LOCK,
    OWN_UNLOCK,
    SCOPED_LOCK,
    SECTION_BEGIN,
    SECTION_END,
    UNLOCK,
)
from ftdemo.lint.tree import Node

CASTS = {"parenthesized_expression", "cast_expression", "pointer_expression", "condition_clause"}
CASTING = re.compile(
    r"\w*(CAST|_cast|_Cast)(<.*>)?|PyObject_GetTypeData|object_data|static_cast<.*|reinterpret_cast<.*"
    r"|std::move|_PyObject_CAST|\w*_self|Py_NewRef|Py_XNewRef"
)
RETURNING = re.compile(r"Py_RETURN_\w+|Py_UNREACHABLE|\w*RETURN_NULL\w*")


MOST_LOCKS = 50  # that may be held at one place


class Lock(NamedTuple):
    """A lock that is held: its kind, the locked object, and where it was taken.

    kind: section, mutex (a known function), own (a function of the project), scoped (C++).
    """

    kind: str
    name: str
    objects: tuple[str, ...]
    node: Node
    block: Node | None
    sure: bool


class Test(NamedTuple):
    """A condition and whether it is true at this place."""

    condition: Node
    truth: bool


class State(NamedTuple):
    """The state at one place: locks, tests, and whether the thread is detached.

    detached: 0: no, 1: perhaps, 2: yes, 3: yes, up to the end of the block (C++).
    """

    locks: tuple[Lock, ...] = ()
    detached: int = 0
    tests: tuple[Test, ...] = ()


class Event:
    """One action of a function.

    kind: call, write, read, return, jump, label, lock, unlock, end.
    name: the called function, the label, or the function that takes the lock.
    """

    __slots__ = ("arguments", "kind", "name", "node", "op", "state", "target", "value")

    def __init__(
        self,
        kind: str,
        node: Node,
        state: State,
        name: str = "",
        *,
        target: Node | None = None,
        value: Node | None = None,
        op: str = "",
        arguments: tuple[Node, ...] = (),
    ) -> None:
        self.kind = kind
        self.node = node
        self.state = state
        self.name = name
        self.target = target
        self.value = value
        self.op = op
        self.arguments = arguments

    def __repr__(self) -> str:
        return f"<{self.kind} {self.name or self.node.text[:30]!r}>"


def strip(node: Node) -> Node:
    """Remove parentheses, casts, & and *."""
    while True:
        if node.kind in CASTS and node.children:
            node = node.get("value") or node.get("argument") or node.children[-1]
        else:
            return node


def called_name(node: Node) -> str:
    """Return the name of the called function or method."""
    function = node.get("function")
    if function is None:
        return ""
    function = strip(function)
    if function.kind == "field_expression":
        field = function.get("field")
        return field.text if field is not None else ""
    if function.kind == "template_function":
        return function.text
    if function.kind == "qualified_identifier":
        return function.text
    return function.text


def merge(first: State | None, second: State | None) -> State | None:
    """Merge the states of two paths that meet; None stands for a path that does not get here."""
    if first is None or second is None:
        return first if second is None else second
    if first is second:
        return first
    locks = first.locks
    if first.locks != second.locks:
        others = {(lock.node, lock.name): lock for lock in second.locks}
        merged = []
        for lock in first.locks:
            same = others.pop((lock.node, lock.name), None)
            if same is None:
                twin = next(
                    (
                        o
                        for o in others.values()
                        if o.objects == lock.objects and o.kind == lock.kind
                    ),
                    None,
                )
                if twin is not None:
                    del others[twin.node, twin.name]
                    same = twin
            merged.append(lock._replace(sure=lock.sure and same is not None and same.sure))
        merged += [lock._replace(sure=False) for lock in others.values()]
        if len(merged) > MOST_LOCKS:
            merged = [lock for lock in merged[:-MOST_LOCKS] if lock.sure] + merged[-MOST_LOCKS:]
        locks = tuple(merged)
    tests = first.tests
    if first.tests != second.tests:
        common = 0
        for one, other in zip(first.tests, second.tests, strict=False):
            if one != other:
                break
            common += 1
        tests = first.tests[:common]
    detached = first.detached
    if first.detached != second.detached:
        detached = 1
    return State(locks, detached, tests)


def merge_all(states: Iterable[State | None]) -> State | None:
    """Merge the states of any number of paths that meet."""
    result = None
    for state in states:
        result = merge(result, state)
    return result


class Flow:
    """The events of one function, its variables, and the expression that each is an alias of."""

    def __init__(self, body: Node, takers: dict[str, str], parameters: dict[str, str]) -> None:
        self.events: list[Event] = []
        self.takers = takers
        self.aliases: dict[str, Node] = {}
        self.writes_to: dict[str, int] = {}
        self.types = dict(parameters)
        self.statics: dict[str, Node] = {}
        self.labels: dict[str, list[State]] = {}
        self.label_states: dict[str, State] = {}
        self.breaks: list[list[State]] = []
        self._collect(body)
        end = self.statement(body, State())
        if end is not None:
            self.events.append(Event("end", body, end))

    # Names.

    def _collect(self, body: Node) -> None:
        """Find the expression that a local variable is an alias of, if it is assigned only once."""
        for node in body.walk():
            if node.kind == "init_declarator":
                name = declared_name(node)
                value = node.get("value")
                if name and value is not None:
                    self._alias(name, value)
            elif node.kind == "assignment_expression":
                left = node.get("left")
                right = node.get("right")
                if left is not None and right is not None and left.kind == "identifier":
                    self._alias(left.text, right)
            elif node.kind == "declaration":
                of = node.get("type")
                kind = of.text if of is not None else ""
                for child in node.children:
                    if "declarator" in child.kind or child.kind == "identifier":
                        name = declared_name(child)
                        if name:
                            stars = "*" * child.text.split("=")[0].count("*")
                            self.types.setdefault(name, f"{kind} {stars}".strip())
                if any(
                    c.kind == "storage_class_specifier" and c.text == "static"
                    for c in node.children
                ):
                    for child in node.children:
                        name = (
                            declared_name(child)
                            if "declarator" in child.kind or child.kind == "identifier"
                            else ""
                        )
                        if name:
                            self.statics[name] = node

    def _alias(self, name: str, value: Node) -> None:
        value = strip(value)
        if value.kind in {"null", "number_literal"} or value.text in {"NULL", "nullptr", "0"}:
            return  # only the beginning
        self.writes_to[name] = self.writes_to.get(name, 0) + 1
        if self.writes_to[name] == 1:
            self.aliases[name] = value
        elif self.aliases.get(name) is not None and self.aliases[name].text != value.text:
            del self.aliases[name]

    def root(self, node: Node, depth: int = 0) -> str:
        """Return one text for all spellings of an object: casts removed, aliases resolved."""
        node = strip(node)
        if node.kind == "identifier":
            name = node.text
            value = self.aliases.get(name)
            if value is not None and depth < 8:
                inner = strip(value)
                if inner.kind == "identifier" and inner.text != name:
                    return self.root(inner, depth + 1)
                if inner.kind == "call_expression":
                    arguments = call_arguments(inner)
                    if arguments and CASTING.fullmatch(called_name(inner)):
                        return self.root(arguments[0], depth + 1)
                if inner.kind == "field_expression":
                    return self.root(inner, depth + 1)
            return name
        if node.kind == "field_expression":
            argument, field = node.get("argument"), node.get("field")
            if argument is not None and field is not None:
                return f"{self.root(argument, depth + 1)}->{field.text}"
        if node.kind == "call_expression":
            arguments = call_arguments(node)
            if arguments and CASTING.fullmatch(called_name(node)):
                return self.root(arguments[0], depth + 1)
        if node.kind == "subscript_expression":
            argument = node.get("argument")
            if argument is not None:
                return f"{self.root(argument, depth + 1)}[]"
        return node.text

    # Statements. Each method returns the state after it, or None if control does not get past it.

    def statement(self, node: Node, state: State | None) -> State | None:
        if state is None:
            if node.kind not in {"labeled_statement", "case_statement", "compound_statement"}:
                if not any(n.kind in {"labeled_statement", "case_statement"} for n in node.walk()):
                    return None
            state_or_none: State | None = None
        else:
            state_or_none = state
        method = getattr(self, node.kind, None)
        if method is not None:
            result: State | None = method(node, state_or_none)
            return result
        if state_or_none is None:
            for child in node.children:
                state_or_none = self.statement(child, state_or_none)
            return state_or_none
        if node.kind.endswith("_statement") or node.kind in {
            "ERROR",
            "translation_unit",
            "declaration_list",
        }:
            for child in node.children:
                state_or_none = self.statement(child, state_or_none)
            return state_or_none
        return self.expression(node, state_or_none)

    def compound_statement(self, node: Node, state: State | None) -> State | None:
        before = state
        for child in node.children:
            state = self.statement(child, state)
        if state is None:
            return None
        if before is not None and any(_scoped_gil(child) for child in node.children):
            state = state._replace(detached=before.detached)
        ended = [lock for lock in state.locks if lock.kind == "scoped" and lock.block is node]
        return state._replace(locks=tuple(lock for lock in state.locks if lock not in ended))

    def if_statement(self, node: Node, state: State | None) -> State | None:
        condition = node.get("condition")
        consequence, alternative = node.get("consequence"), node.get("alternative")
        if state is None:
            first = self.statement(consequence, None) if consequence else None
            return merge(first, self.statement(alternative, None) if alternative else None)
        constant = condition.text.strip("()! ") if condition is not None else ""
        if constant in {"0", "1", "true", "false"} and condition is not None:
            # A condition about the build, after macro expansion.
            truth = (constant in {"1", "true"}) != (condition.text.count("!") % 2 == 1)
            taken = consequence if truth else alternative
            return self.statement(taken, state) if taken is not None else state
        if condition is not None:
            state = self.expression(condition, state)
        yes = no = state
        if condition is not None:
            yes = state._replace(tests=(*state.tests, Test(condition, True)))
            no = state._replace(tests=(*state.tests, Test(condition, False)))
        after_yes = self.statement(consequence, yes) if consequence is not None else yes
        after_no = self.statement(alternative, no) if alternative is not None else no
        if after_yes is None or after_no is None:
            return after_no if after_yes is None else after_yes
        merged = merge(after_yes, after_no)
        assert merged is not None
        return merged._replace(tests=state.tests)

    def else_clause(self, node: Node, state: State | None) -> State | None:
        for child in node.children:
            state = self.statement(child, state)
        return state

    def _loop(self, node: Node, state: State | None, *, once: bool = False) -> State | None:
        if state is None:
            return None
        condition, body = node.get("condition"), node.get("body")
        initializer, update = node.get("initializer"), node.get("update")
        if initializer is not None:
            state = self.statement(initializer, state) or state
        if condition is not None and not once:
            state = self.expression(condition, state)
        for child in node.children:  # a range-based for
            if (
                child not in {condition, body, initializer, update}
                and node.kind == "for_range_loop"
            ):
                state = self.expression(child, state)
        inside = state
        if condition is not None and not once:
            inside = state._replace(tests=(*state.tests, Test(condition, True)))
        self.breaks.append([])
        after = self.statement(body, inside) if body is not None else inside
        breaks = self.breaks.pop()
        if after is not None:
            if update is not None:
                after = self.expression(update, after)
            if once and condition is not None:
                after = self.expression(condition, after)
            after = after._replace(tests=state.tests)
        endless = condition is not None and condition.text.strip("()") in {"1", "true"}
        endless = endless or (condition is None and node.kind == "for_statement")
        breaks = [s._replace(tests=state.tests) for s in breaks]
        ways: list[State | None] = [*breaks]
        if once or (not endless):
            ways.append(after)
        if not once and not endless:
            ways.append(state)
        return merge_all(ways)

    def for_statement(self, node: Node, state: State | None) -> State | None:
        return self._loop(node, state)

    def while_statement(self, node: Node, state: State | None) -> State | None:
        return self._loop(node, state)

    def for_range_loop(self, node: Node, state: State | None) -> State | None:
        return self._loop(node, state)

    def do_statement(self, node: Node, state: State | None) -> State | None:
        return self._loop(node, state, once=True)

    def switch_statement(self, node: Node, state: State | None) -> State | None:
        if state is None:
            return None
        condition, body = node.get("condition"), node.get("body")
        if condition is not None:
            state = self.expression(condition, state)
        self.breaks.append([])
        current: State | None = None
        has_default = False
        for child in body.children if body is not None else ():
            if child.kind == "case_statement":
                has_default = has_default or child.get("value") is None
                current = merge(state, current)
                for part in child.children:
                    if part is not child.get("value"):
                        current = self.statement(part, current)
            else:
                current = self.statement(child, current)
        ways: list[State | None] = [*self.breaks.pop(), current]
        if not has_default:
            ways.append(state)
        result = merge_all(ways)
        return None if result is None else result._replace(tests=state.tests)

    def case_statement(self, node: Node, state: State | None) -> State | None:
        state = state or State()
        current: State | None = state
        for part in node.children:
            if part is not node.get("value"):
                current = self.statement(part, current)
        return current

    def labeled_statement(self, node: Node, state: State | None) -> State | None:
        label = node.get("label")
        name = label.text if label is not None else ""
        state = merge_all([state, *self.labels.get(name, ())])
        if state is None:
            state = State()
        self.label_states[name] = state
        self.events.append(Event("label", node, state, name))
        current: State | None = state
        for child in node.children:
            if child is not label:
                current = self.statement(child, current)
        return current

    def goto_statement(self, node: Node, state: State | None) -> State | None:
        if state is not None:
            label = node.get("label")
            name = label.text if label is not None else ""
            self.events.append(Event("jump", node, state, name))
            self.labels.setdefault(name, []).append(state)
        return None

    def break_statement(self, node: Node, state: State | None) -> State | None:
        if state is not None:
            self.events.append(Event("jump", node, state, "break"))
            if self.breaks:
                self.breaks[-1].append(state)
        return None

    def continue_statement(self, node: Node, state: State | None) -> State | None:
        if state is not None:
            self.events.append(Event("jump", node, state, "continue"))
        return None

    def return_statement(self, node: Node, state: State | None) -> State | None:
        if state is not None:
            value = node.children[0] if node.children else None
            if value is not None:
                state = self.expression(value, state)
            self.events.append(Event("return", node, state, value=value))
        return None

    co_return_statement = return_statement
    throw_statement = return_statement

    def try_statement(self, node: Node, state: State | None) -> State | None:
        body = node.get("body")
        after = self.statement(body, state) if body is not None else state
        ways = [after]
        for child in node.children:
            if child.kind == "catch_clause":
                handler = child.get("body")
                ways.append(self.statement(handler, state) if handler is not None else state)
        return merge_all(ways)

    def declaration(self, node: Node, state: State | None) -> State | None:
        if state is None:
            return None
        of = node.get("type")
        gil = _scoped_gil(node)
        if gil:
            state = state._replace(detached=3 if gil == "release" else 0)
        scoped = of is not None and SCOPED_LOCK.search(of.text)
        for child in node.children:
            if child.kind == "init_declarator":
                value = child.get("value")
                declarator = child.get("declarator")
                if value is not None:
                    state = self.expression(value, state)
                    if declarator is not None:
                        self.events.append(
                            Event(
                                "write",
                                child,
                                state,
                                target=_inner(declarator),
                                value=value,
                                op="=",
                            )
                        )
            elif (
                child.kind not in {"type_qualifier", "storage_class_specifier"}
                and child is not of
                and child.kind != "identifier"
            ):
                state = self.expression(child, state)
        if scoped and of is not None:
            targets = tuple(
                self.root(argument)
                for child in node.walk()
                if child.kind in {"argument_list", "parameter_list", "initializer_list"}
                for argument in child.children
            )
            lock = Lock("scoped", of.text, targets, node, node.up("compound_statement"), True)
            self.events.append(Event("lock", node, state, of.text))
            state = state._replace(locks=(*state.locks, lock))
        return state

    def function_definition(self, node: Node, state: State | None) -> State | None:
        return state

    def lambda_expression(self, node: Node, state: State | None) -> State | None:
        body = node.get("body")
        if body is not None:
            breaks, self.breaks = self.breaks, []
            self.statement(body, State())
            self.breaks = breaks
        return state

    # Expressions.

    def expression(self, node: Node, state: State) -> State:
        kind = node.kind
        if kind == "call_expression":
            return self.call(node, state)
        if kind == "assignment_expression":
            left, right = node.get("left"), node.get("right")
            if left is None or right is None:
                return state
            state = self.expression(right, state)
            state = self.inside_target(left, state)
            self.events.append(
                Event("write", node, state, target=left, value=right, op=node.op or "=")
            )
            return state
        if kind == "update_expression":
            argument = node.get("argument")
            if argument is not None:
                state = self.inside_target(argument, state)
                self.events.append(Event("write", node, state, target=argument, op="++"))
            return state
        if kind == "field_expression":
            argument = node.get("argument")
            if argument is not None:
                state = self.expression(argument, state)
            self.events.append(Event("read", node, state, target=node))
            return state
        if kind == "binary_expression" and node.op in {"&&", "||"}:
            left, right = node.get("left"), node.get("right")
            if left is None or right is None:
                return state
            state = self.expression(left, state)
            inner = state._replace(tests=(*state.tests, Test(left, node.op == "&&")))
            inner = self.expression(right, inner)
            return inner._replace(tests=state.tests)
        if kind == "conditional_expression":
            condition = node.get("condition")
            if condition is None:
                return state
            state = self.expression(condition, state)
            for name, truth in (("consequence", True), ("alternative", False)):
                branch = node.get(name)
                if branch is not None:
                    self.expression(
                        branch, state._replace(tests=(*state.tests, Test(condition, truth)))
                    )
            return state
        if kind in {"identifier", "number_literal", "string_literal", "sizeof_expression"}:
            if kind == "identifier" and RETURNING.fullmatch(node.text):
                self.events.append(Event("return", node, state, node.text))
            return state
        if kind == "lambda_expression":
            self.lambda_expression(node, state)
            return state
        if kind == "compound_statement":  # a statement expression of GNU C
            return self.statement(node, state) or state
        for child in node.children:
            if child.kind.endswith("_statement") or child.kind == "declaration":
                state = self.statement(child, state) or state
            else:
                state = self.expression(child, state)
        return state

    def inside_target(self, target: Node, state: State) -> State:
        """Walk the expressions that locate the target of a write: those are read."""
        inner = strip(target)
        if inner.kind == "field_expression":
            argument = inner.get("argument")
            return self.expression(argument, state) if argument is not None else state
        if inner.kind == "identifier":
            return state
        for child in inner.children:
            state = self.expression(child, state)
        return state

    def call(self, node: Node, state: State) -> State:
        name = called_name(node)
        arguments = call_arguments(node)
        function = node.get("function")
        if function is not None and function.kind != "identifier":
            state = self.expression(function, state)
        for argument in arguments:
            if argument.kind == "lambda_expression" and "once" in name.lower():
                continue  # std::call_once runs it once, and other threads wait
            state = self.expression(argument, state)
        return self.effect(node, name, arguments, state)

    def effect(self, node: Node, name: str, arguments: list[Node], state: State) -> State:
        kind = self.lock_kind(node, name, arguments)
        if kind == "":
            self.events.append(Event("call", node, state, name, arguments=tuple(arguments)))
            if DETACH.fullmatch(name):
                return state._replace(detached=2)
            if ATTACH.fullmatch(name):
                return state._replace(detached=0)
            if name == "PyGILState_Release" and self._was_detached(node):
                return state._replace(detached=1)
            return state
        if kind in {"unlock", "end"}:
            self.events.append(Event("unlock", node, state, name, arguments=tuple(arguments)))
            return self.unlock(node, name, arguments, state, section=kind == "end")
        self.events.append(Event("lock", node, state, name, arguments=tuple(arguments)))
        objects = tuple(
            self.root(argument) for argument in arguments if not argument.text.isdigit()
        )
        if name.startswith(("PyCriticalSection", "_PyCriticalSection")):
            objects = objects[1:]
        elif kind != "section":
            objects = objects[:1]
        if kind == "method":
            function = node.get("function")
            owner = strip(function).get("argument") if function is not None else None
            objects = (self.root(owner),) if owner is not None else ()
            kind = "mutex"
        sure = not (
            "try" in name.lower()
            or (
                name.startswith("PyThread_acquire_lock")
                and len(arguments) > 1
                and arguments[1].text in {"0", "NOWAIT_LOCK"}
            )
        )
        lock = Lock(kind, name, objects, node, node.up("compound_statement"), sure)
        kept = tuple(
            lock
            for lock in state.locks
            if not (lock.kind == kind and lock.objects == objects and kind != "section")
        )
        return state._replace(locks=(*kept, lock))

    def lock_kind(self, node: Node, name: str, arguments: list[Node]) -> str:
        """Return section, end, mutex, method, own or unlock; "" for any other call."""
        if SECTION_BEGIN.fullmatch(name):
            return "section"
        if SECTION_END.fullmatch(name):
            return "end"
        if name in MUTEX:
            return "mutex"
        if name in UNLOCK:
            return "unlock"
        if name in self.takers:
            return self.takers[name]
        function = node.get("function")
        if function is not None and function.kind == "field_expression":
            used = node.parent is not None and node.parent.kind != "expression_statement"
            if not arguments and name in {"lock", "try_lock", "lock_shared"}:
                return "method" if name == "try_lock" or not used else ""  # weak_ptr::lock()
            if not arguments and name in {"unlock", "unlock_shared"}:
                return "unlock"
            return ""
        if DETACH.fullmatch(name) or ATTACH.fullmatch(name) or name.startswith(("Py", "_Py")):
            return ""
        if OWN_UNLOCK.fullmatch(name) and not name.lower().endswith("exit"):
            return "unlock" if re.search(r"(?i)lock|mutex|leave|section", name) else ""
        if OWN_LOCK.fullmatch(name) and len(arguments) <= 2:
            return "own" if re.search(r"(?i)lock|mutex|enter|section", name) else ""
        return ""

    def unlock(
        self, node: Node, name: str, arguments: list[Node], state: State, *, section: bool
    ) -> State:
        objects = tuple(self.root(argument) for argument in arguments[:1])
        function = node.get("function")
        if function is not None and function.kind == "field_expression":
            owner = strip(function).get("argument")
            objects = (self.root(owner),) if owner is not None else ()
        candidates = [lock for lock in state.locks if (lock.kind == "section") == section]
        same = [lock for lock in candidates if lock.objects == objects] or candidates
        if not same:
            return state
        last = same[-1]
        if last.kind == "scoped":
            return state._replace(
                locks=tuple(
                    lock._replace(sure=False) if lock is last else lock for lock in state.locks
                )
            )
        return state._replace(locks=tuple(lock for lock in state.locks if lock is not last))

    def _was_detached(self, node: Node) -> bool:
        for event in reversed(self.events):
            if event.kind == "call" and event.name == "PyGILState_Ensure":
                return event.state.detached > 0
        return False


def _scoped_gil(node: Node) -> str:
    """Return release or acquire for a declaration of pybind11's or nanobind's guards, or ""."""
    of = node.get("type") if node.kind == "declaration" else None
    match = re.search(r"\bgil_scoped_(release|acquire)$", of.text) if of is not None else None
    return match[1] if match else ""


def call_arguments(node: Node) -> list[Node]:
    """Return the arguments of a call."""
    arguments = node.get("arguments")
    return [] if arguments is None else [a for a in arguments.children if a.kind != "comment"]


def _inner(declarator: Node) -> Node:
    while True:
        inner = declarator.get("declarator")
        if inner is None:
            if (
                declarator.kind in {"parenthesized_declarator", "reference_declarator"}
                and declarator.children
            ):
                declarator = declarator.children[-1]
                continue
            return declarator
        declarator = inner


def declared_name(node: Node) -> str:
    """Return the name that a declarator declares."""
    inner = _inner(node)
    if inner.kind in {"identifier", "field_identifier", "type_identifier"}:
        return inner.text
    if inner.kind == "qualified_identifier":
        return inner.text
    return ""

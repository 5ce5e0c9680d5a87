"""A file as the rules see it: functions with their events, variables, structs, tables of slots."""

import re
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path

from ftdemo.lint.flow import Event, Flow, State, call_arguments, called_name, declared_name, strip
from ftdemo.lint.names import (
    A_TYPE,
    CALLS,
    FRESH,
    MAKES,
    MUTEX,
    SAFE_TYPES,
    SECTION_BEGIN,
    SECTION_END,
    STORED_FROM,
    STORES,
    UNLOCK,
)
from ftdemo.lint.preprocess import Text
from ftdemo.lint.project import Project
from ftdemo.lint.tree import Node, Tree

HEADERS = {".h", ".hh", ".hpp", ".hxx", ".h++", ".inc", ".ipp", ".tpp"}
# The slots of a static PyTypeObject by position; the first is the head.
TYPE_SLOTS = (
    "head", "tp_name", "tp_basicsize", "tp_itemsize", "tp_dealloc", "tp_vectorcall_offset",
    "tp_getattr", "tp_setattr", "tp_as_async", "tp_repr", "tp_as_number", "tp_as_sequence",
    "tp_as_mapping", "tp_hash", "tp_call", "tp_str", "tp_getattro", "tp_setattro", "tp_as_buffer",
    "tp_flags", "tp_doc", "tp_traverse", "tp_clear", "tp_richcompare", "tp_weaklistoffset",
    "tp_iter", "tp_iternext", "tp_methods", "tp_members", "tp_getset", "tp_base", "tp_dict",
    "tp_descr_get", "tp_descr_set", "tp_dictoffset", "tp_init", "tp_alloc", "tp_new", "tp_free",
)  # fmt: skip
MODULE_SLOTS = (
    "head",
    "m_name",
    "m_doc",
    "m_size",
    "m_methods",
    "m_slots",
    "m_traverse",
    "m_clear",
    "m_free",
)
TABLES_OF_SLOTS = {
    "PyNumberMethods", "PySequenceMethods", "PyMappingMethods", "PyAsyncMethods", "PyBufferProcs",
}  # fmt: skip
ROLES = {
    "tp_new": "new", "tp_init": "init", "tp_dealloc": "dealloc", "tp_clear": "clear",
    "tp_traverse": "traverse", "tp_finalize": "finalize", "tp_del": "finalize",
    "tp_alloc": "alloc", "tp_free": "free", "m_traverse": "traverse", "m_clear": "clear",
    "m_free": "free", "mod_exec": "exec", "mod_create": "exec", "mod_state_traverse": "traverse",
    "mod_state_clear": "clear", "mod_state_free": "free",
}  # fmt: skip
# The role that a function's name suggests if its table is in another file.
BY_NAME = (
    (re.compile(r"\w*_(tp_)?[dD]ealloc|\w*_destructor|\w*_finali[sz]e|\w*_del"), "dealloc"),
    (re.compile(r"\w*_(tp_)?[tT]raverse"), "traverse"),
    (re.compile(r"\w*_clear|clear_\w*state"), "clear"),
    (re.compile(r"\w*_(tp_)?new(_impl)?|\w*_alloc"), "new"),
    (re.compile(r"\w*_(tp_)?init(_impl)?|\w*___init__(_impl)?"), "init"),
    (re.compile(r"\w*_exec|\w*(module|mod)_?exec\w*|\w*module_init|init_?module\w*"), "exec"),
    (re.compile(r"\w*_free|free_\w+|\w*_destroy|destroy_\w+"), "free"),
)
CLINIC = re.compile(r"/\*\[clinic input\](.*?)\[clinic start generated code\]\*/", re.DOTALL)
HEAD = re.compile(r"\w*(PyObject|OBJECT|Object)\w*_HEAD|(struct )?(PyObject|PyVarObject|_object)")
BINDINGS = re.compile(
    r"^[ \t]*(?:PYBIND11_MODULE|NB_MODULE|BOOST_PYTHON_MODULE)\s*\(\s*(\w+)", re.MULTILINE
)
# A function that fills a module: the block after such a macro, or one with such a parameter.
BINDING = re.compile(r"(PYBIND11|NB|BOOST_PYTHON)_MODULE$|\b(py|pybind11|nb|nanobind)::module_?\b")
NOT_OBJECTS = {"PyObject", "void", "auto", "char", "int", ""}
LOCKED_NAME = re.compile(r"(?i)\w*(_lock_?held|_locked|_unlocked|_nolock|_no_lock|_withlock)")


class Function:
    """A function: its parameters, its roles, and its events, which are computed on demand."""

    def __init__(self, source: "Source", node: Node, body: Node, name: str, owner: str) -> None:
        self.source = source
        self.node = node
        self.body = body
        self.name = name
        self.class_name = owner
        self.roles: set[str] = set()
        self.clinic_locks: tuple[str, ...] = ()
        self.held = False  # called only under a lock
        self.fresh_parameters: set[str] = set()  # every caller passes an object that it created
        self.alone = False  # called only where no other thread can have the object
        self.during_init = False  # called only while the module is initialized
        self.escaped: dict[str, list[int]] = {}  # by variable: where others begin to see its object
        self.is_static = "static" in _words(node)
        self.line = source.line(node.start)
        self.end_line = source.line(node.end)
        self.parameters = dict(_parameters(node))

    @property
    def key(self) -> str:
        """The name under which its calls are listed; with its file, if it is static."""
        private = self.is_static and self.source.path.suffix not in HEADERS
        return f"{self.source.path}:{self.name}" if private else self.name

    @property
    def first(self) -> str:
        """The first parameter, which is self in a method."""
        return next(iter(self.parameters), "")

    @cached_property
    def flow(self) -> Flow:
        """Its events in order, and its aliases."""
        return Flow(self.body, self.source.takers | self.source.project.takers, self.parameters)

    @property
    def events(self) -> list[Event]:
        """Its events in order."""
        return self.flow.events

    @property
    def later_events(self) -> list[Event]:
        """Its events without those that only happen while the module is initialized."""
        if not (self.during_init or "module_init" in self.roles):
            return self.events
        return [event for event in self.events if self.source.in_lambda(event.node)]

    @cached_property
    def values(self) -> dict[str, list[Node]]:
        """The values that each local variable is assigned, except NULL and 0."""
        found: dict[str, list[Node]] = defaultdict(list)
        for event in self.events:
            target = event.target
            if event.kind == "write" and event.value is not None and target is not None:
                if target.kind == "identifier" and not is_null(event.value):
                    found[target.text].append(strip(event.value))
        for values in found.values():
            values.sort(key=_start)
        return found

    @cached_property
    def addressed(self) -> dict[str, str]:
        """The pointers that only ever point to one variable, and that variable."""
        found: dict[str, set[str]] = defaultdict(set)
        for event in self.events:
            if event.kind == "write" and event.target is not None and event.value is not None:
                if event.target.kind == "identifier":
                    value = event.value
                    to = value.text[1:] if value.text.startswith("&") else ""
                    found[event.target.text].add(to.strip("() "))
        return {name: to.pop() for name, to in found.items() if len(to) == 1}

    @cached_property
    def names(self) -> dict[str, list[Node]]:
        """Each identifier, with all nodes where it occurs."""
        found: dict[str, list[Node]] = defaultdict(list)
        for node in self.body.walk():
            if node.kind == "identifier":
                found[node.text].append(node)
        return found

    def is_locked(self, state: State) -> bool:
        """Tell whether any lock may be held here."""
        return bool(state.locks) or self.always_locked

    @property
    def always_locked(self) -> bool:
        """Whether all of it runs under a lock that its caller holds."""
        return self.held or bool(self.clinic_locks) or bool(LOCKED_NAME.fullmatch(self.name))

    def locks_object(self, state: State, root: str) -> bool:
        """Tell whether a lock on this object is held, or a lock that may be on this object."""
        if self.held or LOCKED_NAME.fullmatch(self.name):
            return True
        held = [(lock, each) for lock in state.locks for each in lock.objects]
        if any(lock.kind != "section" or "MUTEX" in lock.name for lock in state.locks):
            return True  # only its owner knows what a mutex guards
        for _, each in held:
            if each == root or root.startswith((f"{each}->", f"{each}[")):
                return True
        return any(root == each or root.startswith(f"{each}->") for each in self.clinic_locks)

    def is_fresh(self, name: str, before: Node | None = None, depth: int = 0) -> bool:
        """Tell whether a variable is an object created here that no other thread has seen yet."""
        values = self.values.get(name)
        if name in self.parameters:
            given = is_keywords(name) or name in self.fresh_parameters
            if given or not values or before is None or _replacing(values, before) is None:
                return given and not values
        if values and before is not None:
            values = _reaching(values, before)
        if not values or depth > 6 or name in self.flow.statics:
            return False
        if name in self.source.globals and name not in self.flow.types:
            return False
        if not all(self._makes(value, name, before, depth) for value in values):
            return False
        limit = before.start if before is not None else self.body.end
        escapes = self._escapes(name)
        return bisect_left(escapes, values[0].start) == bisect_left(escapes, limit)

    def _makes(self, value: Node, name: str, before: Node | None, depth: int) -> bool:
        if value.kind == "identifier":
            return value.text != name and self.is_fresh(value.text, before, depth + 1)
        if value.kind == "new_expression":
            return True
        if value.kind == "subscript_expression" and "--" in value.text:
            return True  # taken from a list of free objects
        if value.kind == "conditional_expression":
            branches = (value.get("consequence"), value.get("alternative"))
            return all(
                b is not None and (is_null(b) or self._makes(strip(b), name, before, depth + 1))
                for b in branches
            )
        if value.kind != "call_expression":
            return False
        if self.source.makes(value):
            return True
        arguments = call_arguments(value)
        if arguments and called_name(value).upper().endswith("CAST"):
            return self._makes(strip(arguments[0]), name, before, depth + 1)
        return False

    @cached_property
    def _put(self) -> dict[str, list[tuple[Event, Node]]]:
        """The places that store each variable's object: the event, and where it stores the object."""
        found: dict[str, list[tuple[Event, Node]]] = defaultdict(list)
        for event in self.events:
            if event.kind == "write" and event.value is not None and event.target is not None:
                value = strip(event.value)
                if value.kind == "call_expression" and called_name(value) in NEW_REFERENCE:
                    value = strip((call_arguments(value) or [value])[0])
                if value.kind == "identifier":
                    found[value.text].append((event, event.target))
            elif event.kind == "call" and STORES.fullmatch(event.name):
                for argument in event.arguments[STORED_FROM.get(event.name, 1) :]:
                    found[strip(argument).text].append((event, event.arguments[0]))
        return found

    def _escapes(self, name: str) -> list[int]:
        """Return where a variable's object is stored so that others see it."""
        if name not in self.escaped:
            self.escaped[name] = []  # for a cycle of variables
            put = self._put.get(name, ())
            self.escaped[name] = sorted(
                e.node.start for e, into in put if self._shares(name, e, into)
            )
        return self.escaped[name]

    def _shares(self, name: str, event: Event, into: Node) -> bool:
        """Tell whether others can see what an event stores."""
        target = strip(into)
        if event.kind == "call":
            return target.text != name and not self.is_fresh(target.text, event.node, 5)
        if target.kind == "identifier":
            return target.text in self.source.globals or target.text in self.flow.statics
        if self._is_helper(target):
            return False
        base = root_name(self.flow.root(into))
        return base != name and not self.is_fresh(base, event.node, 5)

    def _is_helper(self, target: Node) -> bool:
        """Tell whether a field belongs to a plain struct that a caller passed as working memory."""
        base = target.get("argument") if target.kind == "field_expression" else None
        if base is None or base.text not in self.parameters:
            return False
        struct = self.struct_of(base)
        project = self.source.project
        own = self.source.structs.get(struct)
        plain = struct in project.fields and struct not in project.objects
        return (plain or (own is not None and not own.is_object)) and not SHARED.search(struct)

    def struct_of(self, base: Node) -> str:
        """Return the name of the struct that an expression points to, or ""."""
        node = base
        while node.kind == "parenthesized_expression" and node.children:
            node = node.children[-1]
        if node.kind == "cast_expression":
            of = node.get("type")
            return struct_name(of.text) if of is not None else ""
        if node.kind == "identifier":
            kind = self.flow.types.get(node.text) or self.parameters.get(node.text, "")
            name = struct_name(kind)
            return "" if name in NOT_OBJECTS else name
        return self.class_name if node.kind == "this" else ""


BRANCHES = (
    "compound_statement", "case_statement", "if_statement", "else_clause", "for_statement",
    "while_statement", "do_statement", "conditional_expression", "function_definition",
)  # fmt: skip
LOOPS = ("for_statement", "while_statement", "do_statement", "for_range_loop")


def _replacing(values: list[Node], before: Node) -> int | None:
    """Return the number of the last of a variable's values that replaces those before it."""
    for number in range(bisect_left(values, before.start, key=_start) - 1, -1, -1):
        if _branch(values[number]).contains(before):
            return number
    return None


def _start(node: Node) -> int:
    return node.start


def _reaching(values: list[Node], before: Node) -> list[Node]:
    """Return those of a variable's values, in the order of the text, that it may have at a node."""
    first = _replacing(values, before) or 0
    last = bisect_left(values, before.start, key=_start)
    loop = before.up(*LOOPS)
    while loop is not None and not loop.contains(values[first]):
        last = max(last, bisect_left(values, loop.end, key=_start))  # of an earlier round
        loop = loop.up(*LOOPS)
    return values[first:last]


def _branch(node: Node) -> Node:
    """Return the nearest part of a function that may not be executed, around a node."""
    inner, outer = node, node.up(*BRANCHES)
    while outer is not None and outer.kind in {"if_statement", "while_statement"}:
        condition = outer.get("condition")
        if condition is None or not condition.contains(inner):
            return outer
        inner, outer = outer, outer.up(*BRANCHES)
    return outer if outer is not None else node


NEW_REFERENCE = {"Py_NewRef", "Py_XNewRef"}
# A plain struct with such a name is one that other threads see.
SHARED = re.compile(r"(?i)state|cache|table|pool|list|queue|registry|global")


class Variable:
    """A variable that outlives a call: at file scope, or static in a function."""

    def __init__(self, name: str, node: Node, declarator: Node, function: Function | None) -> None:
        self.name = name
        self.node = node
        self.declarator = declarator
        self.function = function
        of = node.get("type")
        self.type = of.text if of is not None else ""
        shape = declarator.text.split("=")[0]
        before = node.code[node.start : declarator.start]
        self.words = set(before.replace("*", " * ").split()) | _words(node)
        self.is_array = "[" in shape
        self.is_pointer = "*" in shape
        self.is_static = "static" in self.words
        # const of the variable itself: int const a; char *const b; not const char *c. What follows
        # the name of a pointer to a function is its parameters.
        ahead = re.split(rf"\b{re.escape(name)}\b", shape)[0]
        itself = ahead.rpartition("*")[2] if "*" in ahead else " ".join(self.words)
        self.is_const = "const" in itself.split() or "constexpr" in self.words
        self.is_safe = bool(SAFE_TYPES.search(f"{before} {shape}"))
        self.is_object = self.is_pointer and bool(OBJECT_TYPE.search(self.type))


OBJECT_TYPE = re.compile(r"\bPy\w*(Object|Type)\b")


class Field:
    """A field of a struct."""

    def __init__(self, name: str, kind: str, node: Node, declarator: Node) -> None:
        self.name = name
        self.type = kind
        self.node = node
        self.is_pointer = "*" in declarator.text
        self.is_object = self.is_pointer and bool(OBJECT_TYPE.search(kind))
        self.is_safe = bool(SAFE_TYPES.search(node.text))

    @property
    def sort(self) -> str:
        """Its kind: safe (atomic, or a lock), object, pointer, inline or value."""
        if self.is_safe:
            return "safe"
        if self.is_pointer:
            return "object" if self.is_object else "pointer"
        return "value" if VALUE.fullmatch(self.type) else "inline"


VALUE = re.compile(
    r"(un)?signed( \w+)*|(const |volatile )?(int|long|short|char|bool|_Bool|double|float|size_t|\w*ssize_t|u?int\d+_t)( \w+)*"
)


class Struct:
    """A struct: its fields, and whether it is the struct of a Python object."""

    def __init__(self, body: Node) -> None:
        self.fields: dict[str, Field] = {}
        self.is_object = False
        self.first = ""
        declarations = [c for c in body.children if c.kind == "field_declaration"]
        for number, child in enumerate(declarations):
            of = child.get("type")
            kind = of.text if of is not None else ""
            if number == 0:
                self.is_object = bool(HEAD.fullmatch(kind)) and "*" not in child.text
                self.first = "" if "*" in child.text else struct_name(kind)
            for declarator in child.children:
                name = declared_name(declarator) if declarator is not of else ""
                if name:
                    self.fields[name] = Field(name, kind, child, declarator)


class Source:
    """A parsed file."""

    def __init__(self, path: Path, shown: str, text: Text, tree: Tree, *, is_cpp: bool) -> None:
        self.path = path
        self.shown = shown
        self.text = text
        self.tree = tree
        self.is_cpp = is_cpp
        self.code = text.code
        self.project = Project()
        self.supports_older = False
        self.cache: dict[str, object] = {}
        self.starts = [0, *(match.end() for match in re.finditer("\n", self.code))]
        self.takers: dict[str, str] = {}
        self.functions: list[Function] = []
        self.by_name: dict[str, Function] = {}
        self.globals: dict[str, Variable] = {}
        self.externs: set[str] = set()  # variables of other files
        self.structs: dict[str, Struct] = {}
        self.typedefs: dict[str, str] = {}
        self.modules: list[
            tuple[str, int]
        ] = []  # the names of the modules that the file defines, with lines
        self.tables: list[tuple[str, Node, list[Node]]] = []  # type, declarator, rows
        self.slots: list[tuple[str, str, Node]] = []  # slot, function, the value
        self.elsewhere: dict[str, set[str]] = {}  # roles of functions that another file defines
        self._find_functions()
        self._find_globals()
        self._find_structs()
        self._find_tables()
        self._find_roles()
        self._find_clinic()
        self._find_takers()

    def line(self, offset: int) -> int:
        """Return the line of an offset; lines count from 1."""
        return bisect_right(self.starts, offset)

    def function_at(self, line: int) -> Function | None:
        """Return the innermost function around a line."""
        number = bisect_right(self.functions, line, key=lambda function: function.line)
        near = self.functions[max(number - 20, 0) : number]
        return next((f for f in reversed(near) if line <= f.end_line), None)

    def place(self, node: Node) -> tuple[int, int]:
        """Return the line and the column of a node in the file."""
        line = self.line(node.start)
        return line, self.text.column(line, node.start - self.starts[line - 1] + 1)

    def nodes(self, *kinds: str) -> Iterator[Node]:
        """Yield all nodes of these kinds."""
        for kind in kinds:
            yield from self.tree.by_kind.get(kind, ())

    def in_lambda(self, node: Node) -> bool:
        """Tell whether a node is in a lambda, which runs later than the function around it."""
        return self.is_cpp and node.up("lambda_expression") is not None

    def makes(self, call: Node) -> bool:
        """Tell whether a call returns an object that it just created."""
        name = called_name(call)
        whole = call.get("function")
        spelled = whole.text if whole is not None else name
        if CALLS.fullmatch(name):
            arguments = call_arguments(call)
            return bool(arguments and A_TYPE.search(strip(arguments[0]).text))
        return bool(
            FRESH.fullmatch(name)
            or FRESH.fullmatch(spelled)
            or self.project.makes(str(self.path), name.rpartition("::")[2])
            or (MAKES.fullmatch(name.rpartition("::")[2]) and not name.startswith(("Py", "_Py")))
        )

    def cmake_declares(self) -> bool:
        """Tell whether a CMakeLists.txt in this folder or above has FREE_THREADED, for nanobind."""
        for folder in list(self.path.resolve().parents)[:3]:
            listing = folder / "CMakeLists.txt"
            if listing.is_file():
                return "FREE_THREADED" in listing.read_text(encoding="utf-8", errors="replace")
        return False

    def _find_functions(self) -> None:
        for node in self.nodes("function_definition"):
            declarator, body = node.get("declarator"), node.get("body")
            if declarator is None or body is None or body.kind != "compound_statement":
                continue
            named = _function_name(declarator)
            if named is None:
                continue
            owner, _, name = named.text.rpartition("::")
            inside = node.up("class_specifier", "struct_specifier")
            if inside is not None and not owner:
                of = inside.get("name")
                owner = of.text if of is not None else ""
            if name in {"if", "for", "while", "switch", ""}:
                continue
            function = Function(self, node, body, name, owner)
            self.functions.append(function)
            self.by_name.setdefault(name, function)

    def _find_globals(self) -> None:
        around = {"linkage_specification", "declaration_list", "namespace_definition", "ERROR"}
        for node in self.nodes("declaration"):
            owner = node.parent
            while owner is not None and owner.kind in around:
                if owner.kind == "ERROR" and self.is_cpp and "static" not in _words(node):
                    break  # this may be a field of a class that does not parse
                owner = owner.parent
            if owner is None or owner.kind != "translation_unit":
                continue
            if "extern" in _words(node) and "init_declarator" not in {
                c.kind for c in node.children
            }:
                self.externs |= {v.name for v in _variables(node, None)}
                continue
            self.globals.update((v.name, v) for v in _variables(node, None))

    def _find_structs(self) -> None:
        for node in self.nodes("struct_specifier", "class_specifier"):
            body, of, owner = node.get("body"), node.get("name"), node.parent
            if body is None:
                continue
            names = [of.text] if of is not None else []
            if owner is not None and owner.kind == "type_definition":
                names += [declared_name(c) for c in owner.children if c is not node]
            struct = Struct(body)
            self.structs.update((name, struct) for name in names if name)
        for _ in range(2):  # a struct that begins with an object's struct is one
            for struct in self.structs.values():
                first = self.structs.get(struct.first)
                struct.is_object = struct.is_object or (first is not None and first.is_object)
        for node in self.nodes("type_definition"):
            of = node.get("type")
            inner = of.get("name") if of is not None and of.get("body") is None else None
            if inner is not None:
                for child in node.children:
                    if child.kind == "type_identifier" and child.text != inner.text:
                        self.typedefs[child.text] = inner.text

    def _find_tables(self) -> None:
        for node in self.nodes("initializer_list"):
            owner = node.parent
            if owner is None or owner.kind != "init_declarator" or owner.parent is None:
                continue
            of = owner.parent.get("type")
            if of is not None:
                self.tables.append((of.text.removeprefix("struct ").strip(), owner, node.children))

    def _find_roles(self) -> None:
        for kind, _, rows in self.tables:
            if kind == "PyMethodDef":
                for row in rows:
                    self._role(row, 1, "method", "ml_meth")
            elif kind == "PyGetSetDef":
                for row in rows:
                    self._role(row, 1, "getter", "get")
                    self._role(row, 2, "setter", "set")
            elif kind in {"PyType_Slot", "PyModuleDef_Slot", "PySlot"}:
                for row in rows:
                    parts = row.children if row.kind == "initializer_list" else call_arguments(row)
                    if len(parts) >= 2:
                        slot = parts[0].text.split("=")[-1].strip()
                        self._slot(slot.removeprefix("Py_"), parts[1])
            elif kind in {"PyTypeObject", "PyModuleDef"} or kind in TABLES_OF_SLOTS:
                self._static_table(kind, rows)
        for node in self.nodes("assignment_expression"):
            left, right = node.get("left"), node.get("right")
            if left is not None and right is not None and left.kind == "field_expression":
                field = left.get("field")
                if field is not None and field.text.startswith(("tp_", "nb_", "sq_", "mp_")):
                    self._slot(field.text, right)
        for function in self.functions:
            self._role_by_name(function)
        for match in BINDINGS.finditer(self.code):
            self.modules.append((match[1], self.line(match.start())))

    def _static_table(self, kind: str, rows: list[Node]) -> None:
        for position, row in enumerate(rows):
            if row.kind == "initializer_pair":
                self._slot(row.children[0].text.lstrip("."), row.children[-1])
            elif kind == "PyModuleDef" and position < len(MODULE_SLOTS):
                self._slot(MODULE_SLOTS[position], row)
            elif kind == "PyTypeObject" and position < len(TYPE_SLOTS):
                self._slot(TYPE_SLOTS[position], row)
            elif kind in TABLES_OF_SLOTS:
                self._slot("slot", row)

    def _role_by_name(self, function: Function) -> None:
        match = re.fullmatch(r"(?:PyInit_|PyModExport_|PyInitU_)(\w+)", function.name)
        if match:
            function.roles.add("module_init")
            self.modules.append((match[1], function.line))
        elif any(BINDING.search(kind) for kind in (function.name, *function.parameters.values())):
            function.roles.add("module_init")
        elif not function.roles:
            role = next((role for pattern, role in BY_NAME if pattern.fullmatch(function.name)), "")
            if role:
                function.roles |= {role, "by name"}
        if function.class_name and function.name == function.class_name.rpartition("::")[2]:
            function.roles.add("new")
        if function.name.startswith("~"):
            function.roles.add("dealloc")

    def _role(self, row: Node, position: int, role: str, field: str) -> None:
        for item in row.children:
            if item.kind == "initializer_pair":
                if item.children[0].text.lstrip(".") == field:
                    self._give(item.children[-1], role)
        if position < len(row.children) and row.children[position].kind != "initializer_pair":
            self._give(row.children[position], role)

    def _slot(self, slot: str, value: Node) -> None:
        for name in self._give(value, ROLES.get(slot, f"slot {slot}")):
            self.slots.append((slot, name, value))

    def _give(self, value: Node, role: str) -> list[str]:
        given = []
        for node in value.walk():
            if node.kind == "identifier" and node.text in self.by_name:
                self.by_name[node.text].roles.add(role)
                given.append(node.text)
            elif node.kind == "identifier":
                self.elsewhere.setdefault(node.text, set()).add(role)
        return given

    def _find_clinic(self) -> None:
        for comment in self.text.comments:
            match = CLINIC.match(comment.text) if "[clinic input]" in comment.text else None
            if match is None:
                continue
            number = bisect_left(self.functions, comment.end_line, key=lambda f: f.line)
            function = self.functions[number] if number < len(self.functions) else None
            if function is None or function.line > comment.end_line + 6:
                continue
            if not function.name.endswith("_impl"):
                continue
            lines = [line.strip() for line in match[1].strip().splitlines()]
            name = next((line for line in lines if line and not line.startswith("@")), "")
            special = {"__new__": "new", "__init__": "init"}
            role = special.get(name.split(" as ")[0].split(".")[-1].strip())
            if role is None:
                role = "getter" if "@getter" in lines else "setter" if "@setter" in lines else ""
            function.roles = {role or "method"}
            for line in lines:
                if line.startswith("@critical_section"):
                    function.clinic_locks = tuple(line.split()[1:]) or (function.first,)

    def _find_takers(self) -> None:
        """Find functions of the file that take a lock and leave it held, or that release one."""
        for function in self.functions:
            if function.body.end - function.body.start > 1500:
                continue
            takes = gives = ""
            text = self.code[function.body.start : function.body.end]
            for word in re.findall(r"\w+(?=\s*\()", text):
                if word in MUTEX:
                    takes = "own"
                elif SECTION_BEGIN.fullmatch(word):
                    takes = takes or "section"
                elif word in UNLOCK:
                    gives = "unlock"
                elif SECTION_END.fullmatch(word):
                    gives = gives or "end"
            if takes == "own" and not gives:
                self.takers[function.name] = "own"
            elif gives == "unlock" and not takes:
                self.takers[function.name] = gives

    def structs_of_variables(self) -> tuple[set[str], set[str]]:
        """Return the structs of local variables, and those that are allocated or outlive a call."""
        local, lasting = set(), set()
        for node in self.nodes("sizeof_expression"):  # sizeof(Name) parses as one of a variable
            lasting.add(struct_name(node.text.removeprefix("sizeof").strip("() ")))
        for node in self.nodes("declaration", "field_declaration"):
            of = node.get("type")
            inside = node.up("function_definition") is not None and "static" not in _words(node)
            if of is None:
                continue
            if not inside:
                lasting.add(struct_name(of.text))
            elif any("*" not in c.text.split("=")[0] for c in node.children if c is not of):
                local.add(struct_name(of.text))
        return local, lasting

    @cached_property
    def variables(self) -> list[Variable]:
        """All variables that outlive a call."""
        found = list(self.globals.values())
        for function in self.functions:
            for node in dict.fromkeys(function.flow.statics.values()):
                found += _variables(node, function)
        return found


def _words(node: Node) -> set[str]:
    return {
        c.text for c in node.children if c.kind in {"storage_class_specifier", "type_qualifier"}
    }


def _variables(node: Node, function: Function | None) -> Iterator[Variable]:
    for child in node.children:
        if child is node.get("type") or child.kind in {"storage_class_specifier", "type_qualifier"}:
            continue
        declarator = child.get("declarator") if child.kind == "init_declarator" else child
        if declarator is not None and not _is_prototype(declarator):
            name = declared_name(declarator)
            if name:
                yield Variable(name, node, declarator, function)


def _parameters(node: Node) -> Iterator[tuple[str, str]]:
    declarator = node.get("declarator")
    while declarator is not None and declarator.kind != "function_declarator":
        last = declarator.children[-1] if declarator.children else None
        declarator = declarator.get("declarator") or last
    parameters = declarator.get("parameters") if declarator is not None else None
    for parameter in parameters.children if parameters is not None else ():
        of, inner = parameter.get("type"), parameter.get("declarator")
        if parameter.kind.endswith("parameter_declaration") and inner is not None:
            name = declared_name(inner)
            if name:
                yield (
                    name,
                    f"{of.text if of is not None else ''} {'*' * inner.text.count('*')}".strip(),
                )


def _function_name(declarator: Node) -> Node | None:
    node: Node | None = declarator
    while node is not None and node.kind != "function_declarator":
        last = node.children[-1] if node.children else None
        node = node.get("declarator") or (last if node.kind == "reference_declarator" else None)
    inner = node.get("declarator") if node is not None else None
    while inner is not None and inner.kind == "parenthesized_declarator" and inner.children:
        inner = inner.children[-1]
    if inner is not None and inner.kind == "function_declarator":
        return _function_name(inner)
    return inner


def _is_prototype(declarator: Node) -> bool:
    node: Node | None = declarator
    while node is not None:
        inner = node.get("declarator")
        if node.kind == "function_declarator":
            return inner is not None and inner.kind.endswith("identifier")
        node = inner
    return False


def is_null(node: Node) -> bool:
    """Tell whether an expression is NULL, 0 or nullptr."""
    return strip(node).text in {"NULL", "0", "nullptr"}


def is_keywords(name: str) -> bool:
    """Tell whether a parameter is the dict of keyword arguments, which is new in each call."""
    return bool(re.fullmatch(r"(?i)_?kw(arg|d)?s?|keywords|keywds|kwdict|kw_?args?", name))


def struct_name(kind: str) -> str:
    """Return the name of a struct in the text of a type."""
    words = [
        word
        for word in kind.replace("*", " ").replace("&", " ").split()
        if word not in {"struct", "const", "volatile", "class"}
    ]
    return words[-1].rpartition("::")[2] if words else ""


def root_name(root: str) -> str:
    """Return the variable that the text of an object begins with."""
    match = re.match(r"\W*(\w+)", root)
    return match[1] if match else root

"""Find expressions that make objects of a type, and the operations on these.

Runs in a child, because an attempt may crash, hang or end the process. Each attempt is announced
before it is made. The attempt that ended a child is not made again; aside has the reason.
"""

import ast
import contextlib
import re
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import chain, islice
from types import BuiltinFunctionType, ModuleType
from typing import Any, TypedDict

from ftdemo.stress_child import values
from ftdemo.stress_child.extension_types import find_types, full_name, is_extension_type, module_of
from ftdemo.stress_child.meetings import Subject, observe, observe_one
from ftdemo.stress_child.operations import Operation, OperationError, as_expression, parse
from ftdemo.stress_child.outcomes import Form, Labels, described, form, raised
from ftdemo.stress_child.surroundings import surroundings, what_changed
from ftdemo.threadsafety import level_of

SLOW = 0.25  # seconds; slower calls are not driven
LONG_SEARCH = 0.3  # seconds to look for the arguments of one function
SLOW_OBSERVER = 300e-6  # seconds; slower operations are not used as observers
OBSERVERS = 24
LOOKUPS = 6
FEW_ATTEMPTS = 30  # to call a method that may make an object
MORE = 4  # items, besides the first one, in an object with several
MOST_TRIED = 8  # operations that may fill an object, and that do nothing on an empty one
_RAISES = ("raises",)
_EMPTY = {bool, int, str, bytes, list, tuple, set, dict}  # their empty values are nothing
_READS = re.compile(r"(x\.)?\w+(\(x?\))?")  # len(x), size(), x.size
# What CPython and Cython say: missing 1 required keyword-only argument: 'size'
_MISSING = re.compile(r"(?:required|keyword-only|positional) arguments?:? '?(\w+)")
# Methods that, by their names, show state although they take arguments.
_LOOKUP = re.compile(r"^(__getitem__|__contains__|get|find|r?index|count|contains|has|peek|look)")

# Special methods and the syntax that calls them. K is a key, V a value.
_SYNTAX = {
    "__len__": ("len(x)",),
    "__getitem__": ("x[K]",),
    "__setitem__": ("x[K] = V",),
    "__delitem__": ("del x[K]",),
    "__contains__": ("V in x",),
    "__iter__": ("iter(x)",),
    "__next__": ("next(x)",),
    "__reversed__": ("reversed(x)",),
    "__enter__": ("with x: pass",),
    "__bool__": ("bool(x)",),
    "__int__": ("int(x)",),
    "__float__": ("float(x)",),
    "__index__": ("x.__index__()",),
    "__hash__": ("hash(x)",),
    "__repr__": ("repr(x)",),
    "__str__": ("str(x)",),
    "__eq__": ("x == y",),
    "__lt__": ("x < y",),
    "__neg__": ("-x",),
    "__pos__": ("+x",),
    "__abs__": ("abs(x)",),
    "__invert__": ("~x",),
    "__copy__": ("x.__copy__()",),
    "__reduce__": ("x.__reduce__()",),
    "__getstate__": ("x.__getstate__()",),
    "__bytes__": ("bytes(x)",),
    "__buffer__": ("memoryview(x)",),
}
for _name, _sign in {
    "add": "+",
    "sub": "-",
    "mul": "*",
    "matmul": "@",
    "truediv": "/",
    "floordiv": "//",
    "mod": "%",
    "lshift": "<<",
    "rshift": ">>",
    "and": "&",
    "or": "|",
    "xor": "^",
}.items():
    _SYNTAX[f"__{_name}__"] = (f"x {_sign} V",)
    _SYNTAX[f"__i{_name}__"] = (f"x {_sign}= V",)
_KEYS = ("'a'", "0", "(1, 2)", "b'abc'", "slice(0, 1)", "None")
_OPERANDS = ("y", "1", "'a'", "[1, 2, 3]", "b'abc'", "{'a': 1}", "(1, 2)", "1.5", "object()", "0")

# Words in names of functions that may end, delete or send something: these are not called.
_DANGEROUS = (
    *("abort", "chroot", "delete", "exec", "exit", "fork", "halt", "kill", "quit", "reboot"),
    *("remove", "rename", "rmdir", "rmtree", "send", "shutdown", "signal", "spawn", "system"),
    *("terminate", "truncate", "unlink", "write"),
)


class Found(TypedDict):
    """An operation that works, and its properties.

    variant_of is the operation that differs only in a value, if there is one.
    """

    label: str
    names: list[str]
    variant_of: str
    writes: bool
    fails: bool
    level: str | None


class Survey:
    """Finds the operations on one subject.

    say reports each attempt before it is made. aside maps attempts that are not made again to the
    reason. With given operations, operations() and module_functions() find no others, except what
    shows the state.
    """

    def __init__(
        self,
        module: ModuleType,
        own: Callable[[str], bool],
        say: Callable[..., None],
        aside: dict[str, str],
        given: Sequence[str] = (),
    ) -> None:
        self.namespace: dict[str, Any] = {**_tops(), **vars(module)}
        self.module = module
        self.aside = aside
        self.derived: dict[str, str] = {}
        self.state = ""  # what the observers show of a new object
        self._missing: re.Match[str] | None = None  # what an error says about a missing argument
        self._type_names = {each.expression for each in find_types([module], own)}
        self._makers: dict[str, list[str]] = {}  # for objects of other types
        self._variants: dict[str, str] = {}
        self._nothing: dict[str, Form] = {}  # calls on a new object that fail, or return nothing
        self._given = given
        self._say = say
        self._own = own

    def constructor_of(self, expression: str) -> Callable[[], Any]:
        """Compile an expression that makes an object."""
        code = compile(expression, f"<{expression}>", "eval")
        namespace = self.namespace
        return lambda: eval(code, namespace)

    def siblings_of(self, expression: str) -> Callable[[], tuple[Any, Any]] | None:
        """Compile an expression for two objects with the same parent; return None without one.

        For `Type().method()`, both come from one `Type()`: two iterators of one container share
        more than their type. The parent must be an object of the target.
        """
        tree = ast.parse(expression, mode="eval")
        made: ast.expr = tree.body
        while isinstance(made, ast.Subscript):
            made = made.value
        match made:
            case ast.Call(ast.Attribute(ast.Call() as parent)):
                pass
            case ast.Call(ast.Name("iter" | "reversed"), [ast.Call() as parent]):
                pass
            case _:
                return None
        source = ast.unparse(parent)
        kind = type(self.constructor_of(source)())
        if not (is_extension_type(kind) and self._own(module_of(kind))):
            return None

        class Replace(ast.NodeTransformer):
            def visit(self, node: ast.AST) -> Any:
                return ast.Name("parent") if node is parent else self.generic_visit(node)

        each = ast.unparse(Replace().visit(tree))
        return self.constructor_of(f"(lambda parent: ({each}, {each}))({source})")

    def constructors(self, kind: type, expression: str) -> list[str]:
        """Find expressions that make objects of kind: up to four, with different arguments."""
        works: list[str] = []
        more: list[str] = []
        named: list[tuple[str, tuple[str, ...]]] = []  # with objects of types that errors name
        deadline = time.perf_counter() + LONG_SEARCH
        reason = ""
        for call, arguments in chain(self._ways_to_make(kind, works), named):
            text = f"{expression}{call}({', '.join(arguments)})"
            if "y" in arguments or {text, f"{expression}{call}(...)"}.intersection(self.aside):
                continue
            self._say("try", text)
            try:
                made = self.constructor_of(text)()
            except BaseException as error:
                reason = reason or described(error)
                if not arguments or "=" in arguments[-1]:
                    self._missing = _MISSING.search(described(error))
                for needed in () if works else self._objects_named(error, expression):
                    for place in range(len(arguments)):
                        other = (call, (*arguments[:place], needed, *arguments[place + 1 :]))
                        named += [other] if other not in named else []
            else:
                if isinstance(made, kind):
                    works.append(text)
                    if (larger := _larger(arguments)) != arguments:
                        more.append(f"{expression}{call}({', '.join(larger)})")
            if len(works) >= 8 or time.perf_counter() > deadline:
                break
        for text in more[:1]:
            if text not in self.aside:
                self._say("try", text)
                with contextlib.suppress(BaseException):
                    if isinstance(self.constructor_of(text)(), kind):
                        works.insert(1, text)
        large = f"{expression}({values.LARGE})"
        if f"{expression}(1)" in works and large not in self.aside:
            self._say("try", large)
            with contextlib.suppress(BaseException):
                if isinstance(self.constructor_of(large)(), kind):
                    works.append(large)
        if not works:
            self.aside[f"{expression}(...)"] = (
                f"no fitting arguments found ({reason}): pass 'module:Type(...)' or set a factory"
            )
        return _different(works)

    def _ways_to_make(
        self, kind: type, works: Sequence[str]
    ) -> Iterator[tuple[str, tuple[str, ...]]]:
        """Yield ("", arguments), and if none of these works, (".method", arguments).

        For example, the method is a class method, such as now(). Arguments are also keywords that
        the error of an earlier call names.
        """
        for arguments in values.arguments(kind, kind.__name__, kind.__name__):
            yield "", arguments
        names: list[str] = []
        while not works and self._missing and self._missing[1] not in names:
            names.append(self._missing[1])
            yield from (("", arguments) for arguments in values.keywords(names))
        for name in sorted(vars(kind)):
            method = getattr(kind, name, None)
            if works or name.startswith("_") or not isinstance(method, BuiltinFunctionType):
                continue
            tried = values.arguments(method, f"{kind.__name__}.{name}", kind.__name__)
            yield from ((f".{name}", arguments) for arguments in islice(tried, FEW_ATTEMPTS))

    def _objects_named(self, error: BaseException, own: str) -> list[str]:
        """Return expressions for objects of the types that the text of an error names.

        For example: "argument 1 must be acme.Connection, not int". own is the type that is known.
        """
        if not isinstance(error, TypeError):
            return []
        words = {*re.findall(r"\w+", described(error))} - {own}
        found = []
        for name in sorted(words & self._type_names):
            if name not in self._makers:
                self._makers[name] = []  # for objects that need each other
                aside = dict(self.aside)
                self._makers[name] = self.constructors(vars(self.module)[name], name)[:1]
                self.aside.clear()
                self.aside.update(aside)  # the reasons concern a type that is not driven here
            found += self._makers[name]
        return found

    def objects_for(self, functions: Sequence[str]) -> list[str]:
        """Find expressions that make objects of the module's types that these functions accept."""
        found = []
        for each in find_types([self.module], self._own):
            kind = vars(self.module)[each.expression]
            for constructor in self.constructors(kind, each.expression)[:1]:
                make = self.constructor_of(constructor)
                example = make()
                if any(list(self._try_function(f, kind, make, example)) for f in functions):
                    found.append(constructor)
        self.aside.clear()  # the reasons concern types that are not driven here
        return found

    def operations(
        self, kind: type, constructor: str, functions: Sequence[str]
    ) -> tuple[list[Found], list[str]]:
        """Find the operations on an object; return them, and the labels of its observers."""
        make = self.constructor_of(constructor)
        example = make()
        labels: dict[str, Found] = {}
        for name in sorted(set(dir(kind))):
            if not self._is_of(kind, name):
                continue
            for label in self._try_member(kind, name, make, example):
                labels.setdefault(label, self._found(label, name, kind, example))
        for name in functions:
            for label in self._try_function(name, kind, make, example):
                labels.setdefault(label, self._found(label, name, self.module, example))
        if vars(self.module).get(kind.__name__) is kind:
            # Constructors may share something: a count of objects, or a free list.
            for label in self._try_constructor(kind, make, example):
                labels.setdefault(label, self._found(label, kind.__name__, self.module, example))
        return self._classify(list(labels.values()), make, example)

    def module_functions(
        self, names: Sequence[str], constructor: str
    ) -> tuple[list[Found], list[str]]:
        """Find functions that accept the shared object; for object(), with unshared arguments."""
        make = self.constructor_of(constructor)
        example = make()
        found: list[Found] = []
        for name in names:
            labels = self._try_function(name, None, make, example, constructor != "object()")
            found += [self._found(label, name, self.module, example) for label in labels]
        found, observers = self._classify(found, make, example)
        if (found or self._given) and hasattr(example, "copy"):
            observers.append("copy()")  # shows the contents of a list, a dict or a bytearray
        return found, observers

    def _is_of(self, kind: type, name: str) -> bool:
        """Tell whether the type, or a base class outside the standard modules, defines a member."""
        if name.startswith("_") and name not in _SYNTAX and name != "__call__":
            return False
        definer = next((base for base in kind.__mro__ if name in vars(base)), None)
        if definer is None:
            return True
        return definer is kind or module_of(definer) not in {"builtins", "typing", "abc"}

    def _found(self, label: str, name: str, owner: Any, example: Any) -> Found:
        member = getattr(owner, name, None)
        operation = parse(label, self.namespace, example)
        level = level_of(getattr(member, "__doc__", None))
        return {
            "label": label,
            "names": list(operation.names),
            "variant_of": self._variants.get(label, ""),
            "writes": False,
            "fails": False,
            "level": level,
        }

    def _try_member(
        self, kind: type, name: str, make: Callable[[], Any], example: Any
    ) -> Iterator[str]:
        member = getattr(kind, name, None)
        if name in _SYNTAX:
            for template in _SYNTAX[name]:
                guesses = dict(_filled(template))
                yield from self._first(guesses, make, example, template)
        elif name == "__call__" or (callable(member) and not isinstance(member, type)):
            written = "x" if name == "__call__" else name
            guesses = {
                f"{written}({', '.join(each)})": each[-1] if each else ""
                for each in values.arguments(member, f"{kind.__name__}.{name}", kind.__name__)
            }
            yield from self._first(guesses, make, example, f"{written}(...)")
        elif not isinstance(member, type):
            yield from self._first({f"x.{name}": ""}, make, example, f"x.{name}")
            settings = {f"x.{name} = {value}": value for value in _setting(example, name)}
            if hasattr(type(_raw(kind, name)), "__set__"):
                yield from self._first(settings, make, example, f"x.{name} = ...", quiet=True)

    def _try_constructor(self, kind: type, make: Callable[[], Any], example: Any) -> list[str]:
        name = kind.__name__
        guesses = {
            f"{name}({', '.join(each)})": each[-1] if each else ""
            for each in values.arguments(kind, name, name)
            if "y" not in each
        }
        return self._first(guesses, make, example, f"{name}(...)", quiet=True)

    def _try_function(
        self,
        name: str,
        kind: type | None,
        make: Callable[[], Any],
        example: Any,
        shared: bool = True,
    ) -> Iterator[str]:
        """Find calls of a function of the module that pass the shared object."""
        if any(word in name.lower() for word in _DANGEROUS):
            self.aside[f"{name}(...)"] = (
                "its name suggests that it ends, deletes or sends something"
            )
            return
        function = getattr(self.module, name)
        objects = ("x", "y") if shared else ()
        own = kind.__name__ if kind else ""
        guesses: dict[str, str] = {}
        for each in values.arguments(function, name, own, objects):
            if not shared:
                if "y" not in each:
                    guesses[f"{name}({', '.join(each)})"] = each[-1] if each else ""
            elif each.count("x") == 1:
                guesses[f"{name}({', '.join(each)})"] = each[-1]
            elif "x" not in each:
                for place in range(len(each)):
                    changed = ["x" if index == place else v for index, v in enumerate(each)]
                    guesses[f"{name}({', '.join(changed)})"] = changed[-1]
        what = f"{name}(...)"
        found = self._first(guesses, make, example, what, quiet=True, new=not shared)
        for label in found:
            # A function that accepts any object does not belong to this type.
            anything = re.sub(r"\bx\b", "object()", label)
            if not kind or self._attempt(anything, make, example) is not None:
                yield label

    def _first(
        self,
        guesses: dict[str, str],
        make: Callable[[], Any],
        example: Any,
        what: str,
        *,
        quiet: bool = False,
        new: bool = False,
    ) -> list[str]:
        """Try guesses until one works; guesses maps each one to its last argument.

        Also returns a guess with y, and some with other values of the same kind; and, if any object
        is accepted, or with new=True, some with new values.
        If none works, returns one whose exception does not mean a wrong call.
        """
        if self._given and not (what in {"x[K]", "V in x"} or _LOOKUP.search(what)):
            guesses = {
                guess: value
                for guess, value in guesses.items()
                if guess in self._given or _READS.fullmatch(guess)
            }
        if what in self.aside or not guesses:
            return []
        deadline = time.perf_counter() + LONG_SEARCH
        works: dict[str, str] = {}
        raises: list[str] = []
        reason = ""
        tried = list(guesses.items())
        for guess, value in tried:
            if works and not ("y" in _names(guess) or value in values.ANYTHING):
                continue
            if time.perf_counter() > deadline or len(raises) > 200:
                break
            if guess in self.aside:
                reason = self.aside[guess]
                continue
            outcome = self._attempt(guess, make, example)
            if outcome is None:
                works[guess] = value
            elif isinstance(outcome, str):
                self.aside[guess] = outcome
                reason = outcome
            elif isinstance(outcome, (TypeError, AttributeError, NotImplementedError)):
                reason = reason or described(outcome)
                for made in () if works else self._objects_named(outcome, type(example).__name__):
                    before, found, after = guess.rpartition(value)
                    label = f"{before}{made}{after}"
                    if value and found and label not in guesses:
                        guesses[label] = made
                        tried.append((label, made))
            else:
                raises.append(guess)
        if not works and not raises:
            if not quiet and what not in self.aside and not any(g in self.aside for g in guesses):
                self.aside[what] = f"could not be called ({reason})"
            return []
        chosen = [guess for guess in works if "y" not in _names(guess)][:1]
        chosen += [guess for guess in works if "y" in _names(guess)][:1]
        chosen = chosen or raises[:1]
        chosen += self._with_other_values(chosen[0], guesses[chosen[0]], works, new, make, example)
        return list(dict.fromkeys(chosen))

    def _with_other_values(
        self,
        guess: str,
        value: str,
        works: Mapping[str, str],
        new: bool,
        make: Callable[[], Any],
        example: Any,
    ) -> Iterator[str]:
        """Yield a guess with other values instead of its last one, as far as they work.

        And with other values instead of all: a mix of two calls shows in each argument.
        """
        differs = _with_all_other_values(guess)
        more: tuple[str, ...] = values.NEW_OF.get(value, ()) if new else ()
        anything = set(works.values()).issuperset(values.ANYTHING)
        if anything or (value and works and self._fits(guess, value, make, example)):
            more = values.NEW
        others = values.ANOTHER.get(value, ())
        if anything and not value:  # the first that worked has no argument
            guess, value = next((g, v) for g, v in works.items() if v in values.ANYTHING)
        for another in (*more, *others):
            before, found, after = guess.rpartition(value)
            label = f"{before}{another}{after}"
            if not found or label in self.aside:
                continue
            outcome = self._attempt(label, make, example)
            # A value that is too large for this object may fail halfway, which tests more code; a
            # key that is missing here may be there later.
            fails = (another in others and isinstance(outcome, (ArithmeticError, ValueError))) or (
                another in others[:1] and isinstance(outcome, LookupError)
            )
            if outcome is None or fails:
                if another in others:
                    self._variants[label] = guess
                yield label
        if differs and differs not in self.aside and not self._attempt(differs, make, example):
            self._variants[differs] = guess
            yield differs

    def _fits(self, label: str, value: str, make: Callable[[], Any], example: Any) -> bool:
        """Tell whether an operation accepts any object instead of value, its last argument."""
        before, found, after = label.rpartition(value)
        others = [f"{before}{another}{after}" for another in values.ANYTHING if another != value]
        return bool(found) and all(
            other not in self.aside and self._attempt(other, make, example) is None
            for other in others
        )

    def _attempt(
        self, label: str, make: Callable[[], Any], example: Any
    ) -> BaseException | str | None:
        """Try an operation; return its exception, or the reason not to drive it, or None."""
        try:
            operation = parse(label, self.namespace, example)
        except OperationError as error:
            return TypeError(str(error))
        self._say("try", label)
        before = surroundings()
        result: Any = None
        start = time.perf_counter()
        try:
            for function, *arguments in operation.build(make(), make(), 1):
                result = function(*arguments)
        except SystemExit:
            return "ends the process (raises SystemExit)"
        except BaseException as error:
            if surroundings() != before:
                return what_changed(before)
            return error
        seconds = time.perf_counter() - start
        if surroundings() != before:
            return what_changed(before)
        if seconds > SLOW:
            return f"takes {seconds:.1f} s"
        self._note_derived(result, label)
        return None

    def _note_derived(self, result: Any, label: str) -> None:
        """Remember types of the target that an operation returned."""
        pieces = [(result, "")]
        if isinstance(result, (tuple, list)):
            pieces += [(item, f"[{index}]") for index, item in enumerate(result[:4])]
        for value, place in pieces:
            if is_extension_type(type(value)) and self._own(module_of(type(value))):
                self.derived.setdefault(full_name(type(value)), label + place)

    def _classify(
        self, found: list[Found], make: Callable[[], Any], example: Any
    ) -> tuple[list[Found], list[str]]:
        """Find out which operations change the observed state; return them, and the observers."""
        operations = {
            each["label"]: parse(each["label"], self.namespace, example) for each in found
        }
        plain = [
            operation
            for operation in operations.values()
            if operation.takes_nothing
            and not isinstance(self.namespace.get(operation.names[0]), type)
        ]
        readers: list[Operation] = []
        changers: list[Operation] = []
        mute = []  # they return None or raise, and may destroy what others would show
        for operation in plain:
            self._say("try", operation.label)
            x = make()
            start = time.perf_counter()
            once = observe_one(operation, x, Labels(x=x))
            seconds = time.perf_counter() - start
            again = observe_one(operation, x, Labels(x=x))
            if seconds < SLOW_OBSERVER:
                (readers if once == again else changers).append(operation)
                if once[0] in {"NoneType", "raises"}:
                    mute.append(operation)
        readers.sort(key=mute.__contains__)
        subject = Subject(make, lambda: (make(), make()), tuple(readers[:OBSERVERS]))
        silent = []
        for reader in readers:  # one that returns the same twice may still change what others show
            x = make()
            before = observe(subject, x, Labels(x=x))
            observe_one(reader, x, Labels(x=x))
            if observe(subject, x, Labels(x=x)) != before:
                changers.append(reader)
            else:
                silent.append(reader)
        lookups, asked = self._with_arguments(list(operations.values()), make, example)
        telling = [operation for operation in silent if operation not in mute]
        last = [operation for operation in silent + changers if operation not in telling]
        observers = [*telling, *lookups, *last][: OBSERVERS + LOOKUPS] + asked
        x = make()
        subject = self._observed = Subject(make, lambda: (make(), make()), tuple(observers))
        self.state = repr(observe(subject, x, Labels(x=x)))
        subject = subject._replace(observers=(*telling[:OBSERVERS], *lookups, *asked))
        for each in found:
            operation = operations[each["label"]]
            x, y = make(), make()
            before = observe(subject, x, Labels(x=x))
            with contextlib.suppress(BaseException):
                each["fails"] = True
                self._nothing[operation.label] = _RAISES
                result = self._result(operation, x, y)
                each["fails"] = False
                del self._nothing[operation.label]
                nothing = result is None or (type(result) in _EMPTY and not result)
                if nothing and operation.names[0] not in _SYNTAX:
                    self._nothing[operation.label] = form(result, Labels(x=x, y=y))
            changed = observe(subject, x, Labels(x=x)) != before
            each["writes"] = changed or operation in changers
        return found, [operation.label for operation in observers]

    def _with_arguments(
        self, operations: Sequence[Operation], make: Callable[[], Any], example: Any
    ) -> tuple[list[Operation], list[Operation]]:
        """Return operations with arguments that show state: lookups, and others that answer."""
        every = [
            operation
            for operation in operations
            if not operation.takes_nothing and _names(operation.label).isdisjoint({"y", "n"})
        ]
        lookups = [each for each in every if _LOOKUP.search(each.names[0])][:LOOKUPS]
        others = (
            each
            for each in every
            if each not in lookups
            and hasattr(example, each.names[0])
            and each.names[0] not in _SYNTAX
            and each.label not in self._variants
            and self._answers(each, make)
        )
        return lookups, list(islice(others, LOOKUPS))

    def filled(self, found: Sequence[Found], constructor: str, example: Any) -> list[str]:
        """Return expressions for objects on which calls work that do not on a new one.

        For example, a stack after push(1), if pop() raises on an empty one, or returns None. Best
        is an object on which they work once: a single item shows whether two threads can take it.
        Then one with several items, if the object seems to hold items. Marks the calls that fill an
        object as writing.
        """
        make = self.constructor_of(constructor)
        operations = {
            each["label"]: parse(each["label"], self.namespace, example) for each in found
        }
        fills = [
            each
            for each in found
            if not (each["fails"] or each["variant_of"] or operations[each["label"]].takes_nothing)
            and hasattr(example, each["names"][0])
            and _names(each["label"]).isdisjoint({"y", "n"})
        ][:MOST_TRIED]
        tried = [operations[label] for label in self._nothing if label not in self._variants]
        tried.sort(key=lambda operation: self._nothing[operation.label] != _RAISES)
        best, most, holds = None, 0, None
        for each in fills if tried else ():
            call = as_expression(each["label"], self.namespace, example)
            one = f"(lambda x: ({call}, x)[-1])({constructor})"
            make_filled = self.constructor_of(one)
            points = 0
            for operation in tried[: 2 * MOST_TRIED]:
                x = make_filled()
                once, again = (self._outcome(operation, x, make()) for _ in range(2))
                points += _points(self._nothing[operation.label], once, again)
                each["writes"] |= once[0] != "raises" and once != self._nothing[operation.label]
            if points > most:
                best, most = one, points
            varied, _ = _replaced(call, values.EACH)
            several = f"(lambda x: ({call}, [{varied} for i in range({MORE})], x)[-1])"
            several += f"({constructor})"
            if each["writes"] and not holds and self._extent(several) > self._extent(one):
                holds = several
        return [each for each in (best, holds) if each]

    def _extent(self, expression: str) -> int:
        """Return how many things an object seems to hold; 0 if it cannot be made."""
        if expression in self.aside:
            return 0
        self._say("try", expression)
        try:
            x = self.constructor_of(expression)()
            state = observe(self._observed, x, Labels(x=x))
            return _count(state) + (len(x) if hasattr(x, "__len__") else 0)
        except BaseException:
            return 0

    def _answers(self, operation: Operation, make: Callable[[], Any]) -> bool:
        """Tell whether a call quickly returns something, and the same when it is called again."""
        self._say("try", operation.label)
        x = make()
        start = time.perf_counter()
        once, again = (observe_one(operation, x, Labels(x=x)) for _ in range(2))
        fast = time.perf_counter() - start < 2 * SLOW_OBSERVER
        return fast and once == again and once[0] not in {"NoneType", "raises", "same"}

    def _outcome(self, operation: Operation, x: Any, y: Any) -> Form:
        try:
            return form(self._result(operation, x, y), Labels(x=x, y=y))
        except BaseException as error:
            return raised(error)

    def _result(self, operation: Operation, x: Any, y: Any) -> Any:
        self._say("try", operation.label)
        result: Any = None
        for function, *arguments in operation.build(x, y, 2):
            result = function(*arguments)
        return result


def _points(empty: Form, once: Form, again: Form) -> int:
    """Return how much better a call works on a filled object than on an empty one."""
    if once == ("raises", "TypeError"):  # an empty object may accept arguments that do not fit
        return int(empty == ("NoneType", None))
    if once[0] == "raises" or once == empty:
        return 0
    if once == again and empty not in {_RAISES, ("NoneType", None)}:
        return 0  # it reads something: is_full(), size()
    return 1 + int(once != again)


def _replaced(code: str, others: Mapping[str, str]) -> tuple[str, int]:
    """Replace expressions in code by others; return the code, and the number of replacements."""
    count = 0

    class Replace(ast.NodeTransformer):
        def visit(self, node: ast.AST) -> Any:
            nonlocal count
            other = others.get(ast.unparse(node)) if isinstance(node, ast.expr) else None
            if other is None:
                return self.generic_visit(node)
            count += 1
            return ast.parse(other, mode="eval").body

    return ast.unparse(Replace().visit(ast.parse(code))), count


def _count(form: Form) -> int:
    return sum(map(_count, form)) if isinstance(form, tuple) else 1


def _tops() -> dict[str, Any]:
    """Return the imported top-level modules, for expressions such as `acme.connect()`."""
    return {name: module for name, module in list(sys.modules.items()) if "." not in name}


def _filled(template: str) -> Iterator[tuple[str, str]]:
    """Yield the template with keys and values filled in, and the last of these."""
    for key in _KEYS if "K" in template else ("",):
        for value in _OPERANDS if "V" in template else ("",):
            yield template.replace("K", key).replace("V", value), value or key


def _raw(kind: type, name: str) -> Any:
    for base in kind.__mro__:
        if name in vars(base):
            return vars(base)[name]
    return None


def _setting(example: Any, name: str) -> list[str]:
    """Return values for an attribute: first one of the type of its current value."""
    with contextlib.suppress(BaseException):
        now = getattr(example, name)
        if type(now) in {int, float, str, bytes, bool}:
            other = {int: "7", float: "2.5", str: "'b'", bytes: "b'b'", bool: repr(not now)}
            return [other[type(now)], *values.POOL]
    return ["object()", *values.POOL]


def _with_all_other_values(label: str) -> str:
    """Return a call with another value for each of its arguments; "" if it has less than two."""
    changed, count = _replaced(
        label, {value: others[0] for value, others in values.ANOTHER.items()}
    )
    return changed if count > 1 else ""


def _names(label: str) -> set[str]:
    word = "".join(c if c.isalnum() or c == "_" else " " for c in label)
    return set(word.split())


def _larger(arguments: Sequence[str]) -> tuple[str, ...]:
    """Return arguments with 8 for 1, 2 and 8 for two of them, and a number for a text.

    And for a function that returns None, one that returns a new object.
    """
    ones = [index for index, each in enumerate(arguments) if re.fullmatch(r"(\w+=)?1", each)]
    larger = [re.sub(r"^(\w+=)?'a'$", r"\g<1>'1.5'", each) for each in arguments]
    larger = [re.sub(r"^(\w+=)?lambda \*args: None$", r"\g<1>Exception", each) for each in larger]
    for index, number in zip(ones, ("8",) if len(ones) == 1 else ("2", "8", "32"), strict=False):
        larger[index] = larger[index][:-1] + number
    return tuple(larger)


def _different(constructors: Sequence[str]) -> list[str]:
    """Choose the first constructor, and some with other arguments: larger ones, other kinds."""
    chosen = list(constructors[:1])
    larger = re.compile(r"[( =](8|'1\.5'|Exception)[,)]")
    chosen += [text for text in constructors if larger.search(text)][:1]
    for shape in ("[1, 2, 3]", "'a'", "1"):
        chosen += [text for text in constructors if shape in text][:1]
    chosen = list(dict.fromkeys(chosen))[:4]
    return chosen + [text for text in constructors if values.LARGE in text and text not in chosen]

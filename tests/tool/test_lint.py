"""`ftdemo lint`: each rule reports the hazards and nothing else; options and formats work."""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytest.importorskip("tree_sitter", reason="it has no wheels for free-threaded builds")
pytest.importorskip("tree_sitter_c")
pytest.importorskip("tree_sitter_cpp")

from ftdemo.cli import main
from ftdemo.lint import LintError, api, lint
from ftdemo.lint.rules import RULES

pytestmark = pytest.mark.thread_unsafe(
    reason="the parsers belong to the process, and tmp_path is shared"
)

PROJECT = Path(__file__).parent.parent.parent
CSRC = PROJECT / "csrc"
needs_csrc = pytest.mark.skipif(not CSRC.is_dir(), reason="the C sources are not beside the tests")

LAZY = """\
static PyObject *
f(PyObject *self, PyObject *arg)
{
    static PyObject *cache;
    if (cache == NULL) {
        cache = PyDict_New();
    }
    return Py_NewRef(cache);
}
"""


@pytest.fixture
def source(tmp_path):
    """Write a file into a new project; return its path."""
    (tmp_path / "pyproject.toml").write_text("[project]\nrequires-python = '>=3.9'\n")

    def write(code, name="module.c"):
        path = tmp_path / name
        path.write_bytes(code if isinstance(code, bytes) else code.encode())
        return str(path)

    return write


def rules_of(result):
    return {finding["rule"] for finding in result["findings"]}


@pytest.mark.parametrize("name", RULES)
class TestEachRule:
    def test_reports_exactly_the_marked_lines(self, name, source):
        result = lint([source(RULES[name].wrong)], select=[name])
        marked = [n for n, line in enumerate(RULES[name].wrong.splitlines(), 1) if "// !" in line]
        assert marked
        assert [finding["line"] for finding in result["findings"]] == marked
        assert result["not_analysed"] == []

    def test_no_finding_in_right_code(self, name, source):
        result = lint([source(RULES[name].right)], select=[name, "default"])
        assert result["findings"] == []
        assert result["not_analysed"] == []

    def test_explain_prints_the_examples(self, name, capsys):
        assert main(["lint", "--explain", name]) == 0
        printed = capsys.readouterr().out
        assert all(part in printed for part in (RULES[name].wrong, RULES[name].right))
        assert RULES[name].hazard.endswith(".")


FONT = "typedef struct { PyObject_HEAD Face *face; } Font;\n"
REPLACED = (
    "typedef struct { PyObject_HEAD PyObject *o; } Thing;\n"
    "PyObject *set(Thing *self, PyObject *v) { Py_BEGIN_CRITICAL_SECTION(self);"
    " Py_XSETREF(self->o, Py_NewRef(v)); Py_END_CRITICAL_SECTION(); return v; }\n"
)
BOX = "typedef struct { PyObject_HEAD PyObject *names; } Box;\n"
STATE = (
    "typedef struct { PyObject *items; } State;\n"
    "void fill(State *s) { s->items = PyList_New(0); PyList_Append(s->items, g()); }\n"
    "void get(State *s) { use(PyList_GET_ITEM(s->items, 0)); }\n"
)
GET = "\nvoid get(Box *self, PyObject *key) { use(PyDict_GetItem(self->names, key)); }"

# Typical real code: the rule, whether it must report the code, and the code.
SPELLINGS = [
    ("lazy-static", True, "PyObject *f(void) { static PyObject *a = NULL; if (!a) a = g(); return a; }"),
    ("lazy-static", True, "int f(void) { static PyObject *a; if (a != NULL) return 0; a = g(); return 1; }"),
    ("lazy-static", True, "#define ENSURE(x) if (x == NULL) x = g()\nint f(void) { static PyObject *a; ENSURE(a); }"),
    ("field-unlocked", True, "typedef struct { PyObject_HEAD PyObject *a; } T;\nint T_drop(T *self) { Py_CLEAR(self->a); return 0; }"),
    ("field-unlocked", False, "typedef struct { PyObject_HEAD PyObject *a; } T;\nint T_clear(T *self) { Py_CLEAR(self->a); return 0; }"),
    ("lazy-static", False, "int f(void) { static const char *const names[] = {0}; return names[0] == 0; }"),
    ("mutable-static", True, "int count;\nvoid f(PyObject *op) { ++count; }"),
    ("mutable-static", True, "static PyObject *last;\nvoid f(PyObject *op) { Py_CLEAR(last); }"),
    ("mutable-static", False, "static int count;\nPyMODINIT_FUNC PyInit_a(void) { count = 1; return 0; }"),
    ("mutable-static", False, "static int count;\nstatic void g(void) { count = 1; }\nPyMODINIT_FUNC PyInit_a(void) { g(); return 0; }"),
    ("mutable-static", False, "static __thread int count;\nvoid f(void) { count++; }"),
    ("borrowed-reference", True, "#define GET(d, k) PyDict_GetItem(d, k)\nvoid f(PyObject *d, PyObject *k) { use(GET(d, k)); }"),
    ("borrowed-reference", False, "void f(PyObject *d, PyObject *k) { if (PyDict_GetItem(d, k) == NULL) g(); }"),
    ("borrowed-reference", False, "#if PY_VERSION_HEX < 0x030D0000\nvoid f(PyObject *d) { use(PyList_GetItem(d, 0)); }\n#endif\n"),
    ("borrowed-reference", False, "#ifndef Py_GIL_DISABLED\nvoid f(PyObject *d) { use(PyList_GetItem(d, 0)); }\n#endif\n"),
    ("unique-reference", True, "int f(PyObject *a) { return 1 == Py_REFCNT(a) && g(); }"),
    ("unique-reference", True, "int f(PyObject *a) { if (a->ob_refcnt == 1) g(); }"),
    ("jump-out-of-section", True, "#define CHECK(x) if (x) return NULL\nPyObject *f(PyObject *a) { Py_BEGIN_CRITICAL_SECTION(a); CHECK(a); Py_END_CRITICAL_SECTION(); return a; }"),
    ("jump-out-of-section", True, "PyObject *f(PyObject *a) { Py_BEGIN_CRITICAL_SECTION(a); Py_RETURN_NONE; Py_END_CRITICAL_SECTION(); }"),
    ("jump-out-of-section", False, "void f(PyObject *a) { Py_BEGIN_CRITICAL_SECTION(a); while (g()) { break; } Py_END_CRITICAL_SECTION(); }"),
    ("python-while-detached", True, "void f(void) {\n    Py_BEGIN_ALLOW_THREADS\n    PyErr_Clear();\n    Py_END_ALLOW_THREADS\n}"),
    ("python-while-detached", True, "void f(void) { PyThreadState *s = PyEval_SaveThread(); PyErr_Clear(); PyEval_RestoreThread(s); }"),
    ("python-while-detached", False, "void f(void) { PyThreadState *s = PyEval_SaveThread(); PyEval_RestoreThread(s); PyErr_Clear(); }"),
    ("lock-unpaired", True, "int f(void) { PyMutex_Lock(&m); if (a) return 1; PyMutex_Unlock(&m); return 0; }"),
    ("lock-unpaired", False, "int f(void) { PyMutex_Lock(&m); if (a) { PyMutex_Unlock(&m); return 1; } PyMutex_Unlock(&m); return 0; }"),
    ("python-under-mutex", True, "void f(PyObject *a) { pthread_mutex_lock(&m); Py_DECREF(a); pthread_mutex_unlock(&m); }"),
    ("mt-unsafe-libc", True, "void f(char *a) { g(strtok(a, b)); }"),
    ("mt-unsafe-libc", False, "char *strtok(char *a, char *b) { return a; }\nvoid f(char *a) { g(strtok(a, b)); }"),
    ("check-then-act", True, "void f(PyObject *d, PyObject *k) { if (PyDict_GetItemWithError(d, k) == NULL) PyDict_SetItem(d, k, k); }"),
    ("check-then-act", False, "void f(PyObject *d, PyObject *k) { if (PyDict_Contains(d, k)) return; PyMutex_Lock(&m); if (!PyDict_Contains(d, k)) PyDict_SetItem(d, k, k); PyMutex_Unlock(&m); }"),
    ("check-then-act", True, "static int add(PyObject *o, PyObject *k) { if (!PyDict_Contains(all, k)) PyDict_SetItem(all, k, o); }\nvoid f(PyObject *k) { PyObject *o = PyList_New(0); add(o, k); }"),
    # A field that points to an object of a C library, or a struct, which other functions change.
    ("field-unlocked", True, FONT + "int size(Font *self) { return FT_Set_Size(self->face, 1); }"),
    ("field-unlocked", True, FONT + "int load(Face *face) { return FT_Load(face, 1); }\nint size(Font *self) { return load(self->face); }"),
    ("field-unlocked", True, FONT + "int load(Face *face) { face->size = 1; }\nint size(Font *self) { return load(self->face); }"),
    ("field-unlocked", False, FONT + "int size(Font *self) { return FT_Get_Size(self->face, 1); }"),
    ("field-unlocked", False, FONT + "int size(Font *self) { PyMutex_Lock(&m); int r = FT_Set_Size(self->face, 1); PyMutex_Unlock(&m); return r; }"),
    ("field-unlocked", False, FONT + "Font *make(int a, Font *b) { Font *f = font_new(); if (!f) return NULL; f->face = g(); f = b; return f; }"),
    ("field-unlocked", False, "typedef struct { PyObject_HEAD Turn turn; } Thing;\nint wait(Turn *t) { return __atomic_load_n(t, 0); }\nint f(Thing *self) { return wait(&self->turn); }"),
    # An object that a method reads without the lock that another one holds to replace it.
    ("field-unlocked", True, REPLACED + "PyObject *get(Thing *self, PyObject *v) { return Py_NewRef(self->o); }"),
    ("field-unlocked", False, REPLACED + "PyObject *get(Thing *self, PyObject *v) { if (self->o == NULL) return NULL; return v; }"),
    ("field-unlocked", False, REPLACED + "PyObject *get(Thing *self, PyObject *v) { return take(self, &self->o); }"),
    ("field-unlocked", False, REPLACED + "int Thing_clear(Thing *self) { return Py_NewRef(self->o) == NULL; }"),
    ("mutable-static", True, "static struct Arena arena;\nvoid f(PyObject *self) { struct Arena *a = &arena; a->blocks++; }"),
    ("mutable-static", False, "static struct Arena *arena;\nvoid f(PyObject *self) { struct Arena *a = arena; a->blocks++; }"),
    ("mutable-static", True, "static struct Arena arena;\nvoid put(struct Arena *a) { a->blocks++; }\nvoid f(PyObject *self) { put(&arena); }"),
    ("field-unlocked", False, FONT + "static Font *pool[9];\nFont *make(int n) { Font *f = pool[--n]; f->face = g(); return f; }"),
    # What an object is at this place: a parameter that was replaced, a list of a local struct.
    ("borrowed-reference", False, "void f(PyObject *self, PyObject *a) { a = PySequence_List(a); use(PyList_GET_ITEM(a, 0)); }"),
    ("borrowed-reference", False, "void f(PyObject *self, PyObject *a) { if (!(a = PySequence_List(a))) return; use(PyList_GET_ITEM(a, 0)); }"),
    ("borrowed-reference", True, "void f(PyObject *self, PyObject *a) { if (g()) a = PySequence_List(a); use(PyList_GET_ITEM(a, 0)); }"),
    ("borrowed-reference", True, "void f(PyObject *self, PyObject *a) { use(PyList_GET_ITEM(a, 0)); a = PySequence_List(a); }"),
    ("borrowed-reference", False, STATE + "void f(PyObject *self) { State s = {0}; fill(&s); get(&s); }"),
    ("borrowed-reference", True, STATE + "State *kept;\nvoid f(PyObject *self) { kept = malloc(sizeof(State)); fill(kept); get(kept); }"),
    ("borrowed-reference", False, "PyObject *f(PyObject *self, PyObject *args) { return g(PySequence_Fast_GET_ITEM(args, 0)); }"),
    ("declaration-unguarded", False, "#ifdef Py_GIL_DISABLED\n#define SAY(m) PyUnstable_Module_SetGIL(m, Py_MOD_GIL_NOT_USED)\n#else\n#define SAY(m)\n#endif\nPyMODINIT_FUNC PyInit_a(void) { SAY(m); return m; }"),
    # A container that is complete when it is stored in a field.
    ("borrowed-reference", False, BOX + "int fill(Box *self) { PyObject *d = PyDict_New(); add(d); self->names = d; }" + GET),
    ("borrowed-reference", False, BOX + "int fill(Box *self) { self->names = PyDict_New(); }\nvoid add(Box *self) { PyDict_SetDefault(self->names, a, b); }" + GET),
    ("borrowed-reference", True, BOX + "int fill(Box *self) { self->names = PyDict_New(); }\nvoid drop(Box *self) { PyDict_Clear(self->names); }" + GET),
    ("borrowed-reference", True, BOX + "int fill(Box *self) { self->names = PyDict_New(); }\nPyObject *names(Box *self) { return Py_NewRef(self->names); }" + GET),
    ("borrowed-reference", True, BOX + "int fill(Box *self, PyObject *given) { self->names = given; }" + GET),
    ("dict-next-unlocked", False, "void f(PyObject *self, PyObject *a, PyObject *kwds) { while (PyDict_Next(kwds, p, k, v)) g(); }"),
]  # fmt: skip


@pytest.mark.parametrize(("rule", "expected", "code"), SPELLINGS)
def test_rule_on_other_spellings(rule, expected, code, source):
    assert (rule in rules_of(lint([source(code)], select=[rule]))) == expected


CPP = """\
#include <mutex>
static std::mutex m;
static std::atomic<int> calls;
static int guarded;
static int bare;
static int made;
class Thing {
 public:
    PyObject *call(PyObject *callback) {
        calls++;
        bare++;
        std::lock_guard<std::mutex> lock(m);
        std::call_once(flag, [] { made = 1; });
        guarded++;
        return PyObject_CallNoArgs(callback);
    }
};
"""


def test_cpp_classes_and_lock_guards_are_understood(source):
    result = lint([source(CPP, "module.cpp")])
    found = {(finding["rule"], finding["line"]) for finding in result["findings"]}
    assert found == {("mutable-static", 5), ("python-under-mutex", 15)}
    assert result["not_analysed"] == []


CPP_SPELLINGS = [
    ("mutable-static", True, "static int n;\nclass A { void f() { n++; } };"),
    ("mutable-static", False, "static std::mutex m;\nstatic int n;\nclass A { void f() { std::unique_lock<std::mutex> lock(m); n++; } };"),
    ("mutable-static", False, "static std::mutex m;\nstatic int n;\nvoid A::f() { std::lock_guard lock{m}; n++; }"),
    ("mutable-static", False, "static std::mutex m;\nstatic int n;\nvoid A::f() { m.lock(); n++; m.unlock(); }"),
    ("mutable-static", True, "static std::mutex m;\nstatic int n;\nvoid f() { { std::scoped_lock lock(m); } n++; }"),
    ("mutable-static", False, "static std::atomic<int> n{0};\nvoid f() { n++; n.store(1); }"),
    ("mutable-static", False, "static thread_local int n;\nvoid f() { n++; }"),
    ("mutable-static", False, "static std::once_flag once;\nstatic int n;\nvoid f() { std::call_once(once, [] { n = 1; }); }"),
    ("mutable-static", True, "namespace a { namespace { int n; }\ntemplate <typename T> T f(T t) { n++; return t; } }"),
    ("mutable-static", False, "static int n;\nPYBIND11_MODULE(acme, m, py::mod_gil_not_used()) { n = 1; }"),
    ("mutable-static", True, 'static int n;\nPYBIND11_MODULE(acme, m, py::mod_gil_not_used()) { m.def("f", [] { n++; }); }'),
    ("mutable-static", False, "static int n;\nvoid add(py::module_ &m) { n = 1; }"),
    ("mutable-static", True, 'static int n;\nvoid g() { n++; }\nNB_MODULE(acme, m) { m.def("f", [] { g(); }); }'),
    ("mutable-static", False, "static int n;\nvoid g() { n++; }\nNB_MODULE(acme, m) { g(); }"),
    ("lock-unpaired", False, "bool f(W *w) { if (auto p = w->weak.lock()) { return true; } return false; }"),
    ("lock-unpaired", True, "bool f(W *w) { w->m.lock(); if (g()) { return true; } w->m.unlock(); return false; }"),
    ("python-while-detached", False, "void f() { { py::gil_scoped_release release; work(); } PyErr_Clear(); }"),
    ("python-while-detached", True, "void f() { py::gil_scoped_release release; PyErr_Clear(); }"),
    ("python-while-detached", True, "void f() { nb::gil_scoped_release release; Py_DECREF(a); }"),
    ("python-while-detached", False, "void f() { py::gil_scoped_release release; { py::gil_scoped_acquire acquire; PyErr_Clear(); } work(); }"),
    ("python-under-mutex", True, "void f() { std::lock_guard<std::mutex> lock(m); PyObject_Str(a); }"),
    ("field-unlocked", True, "struct T { PyObject_HEAD std::vector<int> *v; };\nPyObject *push(T *self, PyObject *a) { self->v->push_back(1); return a; }"),
    ("field-unlocked", False, "struct T { PyObject_HEAD std::vector<int> *v; };\nPyObject *size(T *self, PyObject *a) { self->v->size(); return a; }"),
    ("gil-undeclared", True, "PYBIND11_MODULE(acme, m) { }"),
    ("gil-undeclared", False, "PYBIND11_MODULE(acme, m, py::mod_gil_not_used()) { }"),
]  # fmt: skip


@pytest.mark.parametrize(("rule", "expected", "code"), CPP_SPELLINGS)
def test_rule_on_cpp(rule, expected, code, source):
    result = lint([source(code, "module.cpp")], select=[rule])
    assert (rule in rules_of(result)) == expected
    assert result["not_analysed"] == []


def test_nanobind_declares_in_cmake(source):
    path = source("NB_MODULE(acme, m) { }", "module.cpp")
    assert rules_of(lint([path], select=["gil-undeclared"])) == {"gil-undeclared"}
    source("nanobind_add_module(acme FREE_THREADED module.cpp)\n", "CMakeLists.txt")
    assert rules_of(lint([path], select=["gil-undeclared"])) == set()


CLINIC = """\
typedef struct { PyObject_HEAD long count; } Counter;
/*[clinic input]
%s
counter.add
[clinic start generated code]*/

static PyObject *
counter_add_impl(Counter *self)
/*[clinic end generated code: output=0 input=0]*/
{
    self->count++;
    Py_RETURN_NONE;
}
"""


def test_argument_clinic_critical_section_counts_as_a_lock(source):
    assert rules_of(lint([source(CLINIC % "@critical_section")])) == set()
    assert rules_of(lint([source(CLINIC % "")])) == {"field-unlocked"}


def test_no_finding_in_a_helper_when_callers_in_other_files_lock(source, tmp_path):
    header = "typedef struct { PyObject_HEAD long n; } Thing;\nvoid step(Thing *self);\n"
    source(header, "thing.h")
    source('#include "thing.h"\nvoid step(Thing *self) { self->n++; }\n', "step.c")
    caller = (
        '#include "thing.h"\nvoid f(Thing *self) {\n    Py_BEGIN_CRITICAL_SECTION(self);\n'
        "    step(self);\n    Py_END_CRITICAL_SECTION();\n}\n"
    )
    source(caller, "caller.c")
    assert rules_of(lint([str(tmp_path)])) == set()
    source(caller.replace("Py_BEGIN_CRITICAL_SECTION(self)", "if (1) {").replace("Py_END_CRITICAL_SECTION()", "}"), "caller.c")  # fmt: skip
    assert rules_of(lint([str(tmp_path)])) == {"field-unlocked"}


def test_a_global_that_another_file_writes(source, tmp_path):
    source("extern struct Arena { int blocks; } arena;\n", "arena.h")
    source("struct Arena arena = {0};\n", "arena.c")
    source("void set(PyObject *self) { arena.blocks = 1; }\n", "set.c")
    assert rules_of(lint([str(tmp_path)])) == {"mutable-static"}
    source("void set(PyObject *self) { struct Arena arena; arena.blocks = 1; }\n", "set.c")
    assert rules_of(lint([str(tmp_path)])) == set()


def test_no_finding_in_what_only_exec_calls_by_a_qualified_name(source, tmp_path):
    source(
        "static int n;\nnamespace a { bool Start(PyObject *m) { n = 1; return true; } }\n", "a.cc"
    )
    source("PyMODINIT_FUNC PyInit_a() { return a::Start(m) ? m : nullptr; }\n", "module.cc")
    assert rules_of(lint([str(tmp_path)])) == set()


def test_no_finding_in_an_exec_function_named_by_a_table_in_another_file(source, tmp_path):
    source("static int loaded;\nint load(PyObject *module) { loaded = 1; return 0; }\n", "load.c")
    table = "int load(PyObject *);\nstatic PyModuleDef_Slot slots[] = {{%s, load}, {0, NULL}};\n"
    source(table % "Py_mod_exec", "module.c")
    assert rules_of(lint([str(tmp_path)])) == set()
    source("\n", "module.c")
    assert rules_of(lint([str(tmp_path)])) == {"mutable-static"}


def test_no_finding_when_an_int_is_released_under_a_mutex(source):
    code = (
        "void f(Thing *self) {\n    PyMutex_Lock(&self->mutex);\n    PyObject *v = %s;\n"
        "    use(v);\n    Py_DECREF(v);\n    PyMutex_Unlock(&self->mutex);\n}\n"
    )
    assert rules_of(lint([source(code % "PyLong_FromLong(1)")])) == set()
    assert rules_of(lint([source(code % "take(self)")])) == {"python-under-mutex"}


@needs_csrc
class TestThisProject:
    def test_no_finding_in_csrc_ready(self):
        result = lint([str(CSRC / "ready")], select=["all"])
        assert [f"{f['path']}:{f['line']}: {f['message']}" for f in result["findings"]] == []
        assert result["not_analysed"] == []
        assert [module["declares"] for module in result["modules"]] == [True]

    @pytest.mark.parametrize(
        ("file", "rule"),
        [
            ("account.c", "field-unlocked"),
            ("tickets.c", "iterator-unlocked"),
            ("intern.c", "lazy-static"),
            ("intern.c", "mutable-static"),
            ("intern.c", "borrowed-reference"),
            ("intern.c", "check-then-act"),
            ("signal.c", "field-unlocked"),
            ("signal.c", "borrowed-reference"),
            ("module.c", "gil-undeclared"),
        ],
    )
    def test_csrc_legacy_has_the_hazard_that_the_port_removed(self, file, rule):
        result = lint([str(CSRC / "legacy")], select=["default", "optional"])
        found = {
            finding["rule"] for finding in result["findings"] if Path(finding["path"]).match(file)
        }
        assert rule in found


class TestCommandLine:
    def test_exit_codes(self, source, capsys):
        static = "static int n;\nvoid f(void) { n++; }\n"
        assert main(["lint", source("int f(void) { return 0; }\n")]) == 0
        assert main(["lint", source(static)]) == 0
        assert main(["lint", "--strict", source(static)]) == 1
        assert main(["lint", source(LAZY)]) == 1
        assert main(["lint", source(LAZY) + "/no"]) == 2
        assert "no such file" in capsys.readouterr().err

    def test_exit_code_3_when_no_file_is_a_source(self, tmp_path, source, capsys):
        folder = tmp_path / "empty"
        folder.mkdir()
        assert main(["lint", str(folder)]) == 3
        assert main(["lint", source(b"\x7fELF\0\0", "a.c")]) == 3
        assert "Nothing was analysed" in capsys.readouterr().out

    def test_json_output_matches_the_schema(self, source, capsys):
        validate = pytest.importorskip("fastjsonschema").compile
        with pytest.raises(SystemExit, match="0"):
            main(["lint", "--schema"])
        schema = json.loads(capsys.readouterr().out)
        main(["lint", "--json", "--select", "all", source(LAZY)])
        result = json.loads(capsys.readouterr().out)
        validate(schema)(result)
        assert set(result) == set(api.Result.__annotations__)
        (finding,) = (f for f in result["findings"] if f["rule"] == "lazy-static")
        assert (finding["line"], finding["column"], finding["function"]) == (6, 9, "f")

    def test_sarif_output_is_valid(self, source, capsys):
        sarif = pytest.importorskip("sarif_pydantic")
        main(["lint", "--output-format", "sarif", source(LAZY)])
        log = sarif.Sarif.model_validate_json(capsys.readouterr().out)
        assert [result.rule_id for result in log.runs[0].results] == ["lazy-static"]

    def test_full_concise_and_github_formats(self, source, capsys):
        path = source(LAZY)
        main(["lint", path])
        full = capsys.readouterr().out
        assert f"{path}:6:9: lazy-static: static 'cache' is filled on first use" in full
        assert "\n  help: " in full
        main(["lint", "--output-format", "concise", path])
        assert "help:" not in capsys.readouterr().out
        main(["lint", "--output-format", "github", path])
        out = capsys.readouterr().out
        assert re.match(r"::error file=.*module\.c,line=6,col=9,title=lazy-static::", out)

    def test_annotations_and_summary_in_github_actions(self, source, tmp_path, capsys, monkeypatch):
        monkeypatch.setenv("GITHUB_ACTIONS", "true")
        monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "summary.md"))
        main(["lint", source(LAZY)])
        assert "::error file=" in capsys.readouterr().err
        assert "| lazy-static | error | 1 |" in (tmp_path / "summary.md").read_text()

    def test_output_says_whether_the_module_is_ready(self, source, capsys):
        init = "PyMODINIT_FUNC PyInit_acme(void) { return PyModuleDef_Init(&def); }\n"
        declared = "static PyModuleDef_Slot s[] = {\n#ifdef Py_mod_gil\n{Py_mod_gil, Py_MOD_GIL_NOT_USED},\n#endif\n{0}};\n"
        main(["lint", source(LAZY + declared + init)])
        declares = "acme declares that it does not need the GIL, but has 1 error"
        assert declares in capsys.readouterr().out
        main(["lint", source(LAZY + init)])
        undeclared = "acme declares nothing, so its import turns the GIL on; it has 1 error"
        assert undeclared in capsys.readouterr().out

    def test_exit_code_2_when_a_rule_is_unknown(self, source, capsys):
        assert main(["lint", "--select", "no-such", source(LAZY)]) == 2
        assert "unknown rule or group 'no-such'" in capsys.readouterr().err
        with pytest.raises(SystemExit):
            main(["lint", "--explain", "no-such"])

    def test_exit_code_2_and_advice_when_the_parser_is_missing(self, source):
        code = (
            "import sys; sys.modules['tree_sitter'] = None; from ftdemo.cli import main;"
            f"sys.exit(main(['lint', {source(LAZY)!r}]))"
        )
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=False
        )
        assert done.returncode == 2
        assert "uvx --python 3.14 --from 'ftdemo[lint]' ftdemo lint" in done.stderr
        assert "Traceback" not in done.stderr


class TestChoice:
    def test_select_and_ignore_choose_rules(self, source):
        path = source(LAZY)
        assert rules_of(lint([path], select=["conventions"])) == {"static-not-const"}
        assert rules_of(lint([path], ignore=["lazy-static"])) == set()

    def test_gil_undeclared_is_on_when_another_module_declares(self, source, tmp_path):
        source("PyMODINIT_FUNC PyInit_a(void) { return PyModuleDef_Init(&def); }\n", "a.c")
        assert rules_of(lint([str(tmp_path)])) == set()
        source("static PyModuleDef_Slot s[] = {\n#ifdef Py_mod_gil\n{Py_mod_gil, Py_MOD_GIL_NOT_USED},\n#endif\n};\n", "b.c")  # fmt: skip
        assert rules_of(lint([str(tmp_path)])) == {"gil-undeclared"}

    @pytest.mark.parametrize(
        ("table", "remain"),
        [
            ("ignore = ['lazy-static']", set()),
            ("select = ['mutable-static']", set()),
            ("per-file-ignores = {'module.c' = ['lazy-static']}", set()),
            ("per-file-ignores = {'other.c' = ['lazy-static']}", {"lazy-static"}),
        ],
    )
    def test_configuration_chooses_rules(self, table, remain, source, tmp_path):
        path = source(LAZY)
        (tmp_path / "pyproject.toml").write_text(f"[tool.ftdemo.lint]\n{table}\n")
        assert rules_of(lint([path])) == remain

    def test_no_finding_in_frozen_fields(self, source, tmp_path):
        code = "void f(Thing *self) { use(PyList_GetItem(self->names, 0)); }\n"
        assert rules_of(lint([source(code)])) == {"borrowed-reference"}
        (tmp_path / "pyproject.toml").write_text("[tool.ftdemo.lint]\nfrozen = ['names']\n")
        assert rules_of(lint([source(code)])) == set()

    def test_lint_error_when_a_rule_of_any_file_is_unknown(self, source, tmp_path):
        path = source(LAZY)
        table = "[tool.ftdemo.lint]\nper-file-ignores = {'other.c' = ['no-such']}\n"
        (tmp_path / "pyproject.toml").write_text(table)
        with pytest.raises(LintError, match="no-such"):
            lint([path])

    @pytest.mark.parametrize(
        "table", ["selekt = []", "select = 'a'", "select = [", "per-file-ignores = []"]
    )
    def test_lint_error_when_a_setting_is_invalid(self, table, source, tmp_path):
        path = source(LAZY)
        (tmp_path / "pyproject.toml").write_text(f"[tool.ftdemo.lint]\n{table}\n")
        with pytest.raises(LintError, match=r"pyproject\.toml"):
            lint([path])

    @pytest.mark.parametrize("text", ["tool = 3", "[tool]\nftdemo = 1", "tool.ftdemo.lint = 1"])
    def test_lint_error_when_the_configuration_is_not_a_table(self, text, source, tmp_path):
        path = source(LAZY)
        (tmp_path / "pyproject.toml").write_text(text)
        with pytest.raises(LintError, match=r"pyproject\.toml.*must be a table"):
            lint([path])


class TestSuppression:
    @pytest.mark.parametrize("comment", ["ftdemo: ignore[lazy-static] once", "ftdemo: ignore"])
    def test_an_ignore_covers_its_line_and_the_next(self, comment, source):
        line = "        cache = PyDict_New();"
        beside = LAZY.replace(line, f"{line} /* {comment} */")
        above = LAZY.replace(line, f"        // {comment}\n{line}")
        for code in (beside, above):
            result = lint([source(code)])
            assert (rules_of(result), result["summary"]["suppressed"]) == (set(), 1)

    def test_an_ignore_that_suppresses_nothing_is_reported(self, source):
        result = lint([source("int a; /* ftdemo: ignore[lazy-static] */\n")])
        assert rules_of(result) == {"unused-ignore"}
        (finding,) = lint([source("int a; /* ftdemo: ignore[no-such] */\n")])["findings"]
        assert finding["message"] == "there is no rule no-such"

    def test_baseline_findings_are_hidden_when_lines_move(self, source, tmp_path, capsys):
        main(["lint", "--json", source(LAZY)])
        baseline = tmp_path / "baseline.json"
        baseline.write_text(capsys.readouterr().out)
        result = lint([source("\n\n" + LAZY)], baseline=str(baseline))
        assert (rules_of(result), result["summary"]["in_baseline"]) == (set(), 1)
        twice = LAZY + LAZY.replace("f(", "g(")
        assert len(lint([source(twice)], baseline=str(baseline))["findings"]) == 1

    @pytest.mark.parametrize("content", [None, "", "[]", "{}", "[" * 100_000], ids=range(5))
    def test_lint_error_when_the_baseline_is_invalid(self, content, source, tmp_path):
        baseline = tmp_path / "baseline.json"
        if content is not None:
            baseline.write_text(content)
        with pytest.raises(LintError, match="baseline"):
            lint([source(LAZY)], baseline=str(baseline))


class TestBadInput:
    """Each of these gives a result or an error message, never a traceback."""

    @pytest.mark.parametrize(
        "code",
        [
            b"",
            b"\n",
            "/* \xe9\xe8 */\n".encode("latin-1") + LAZY.encode(),
            LAZY.replace("\n", "\r\n").encode(),
            LAZY.replace("\n", "\r").encode(),
            b"\xef\xbb\xbf" + LAZY.encode(),
            LAZY.replace("\n", "\n#if 1\n#endif\n").encode(),
            b"#if X\n#else\n#else\n#endif\n#endif\n" + LAZY.encode(),
            b"#if X\n" + LAZY.encode(),
            b"#define A A B\n#define B B A\nint a = A;\n",
            b"#define A(x) A(x\nint a = A(1);\n",
            b"int f(void) { return " + b"(" * 5000 + b"1" + b")" * 5000 + b"; }\n",
            b"int f(void) { return 1" + b" + 1" * 5000 + b"; }\n",
            b"int f(void) { " + b"if (a) { " * 2000 + b"}" * 2000 + b" }\n",
            b"#if A\n" * 2000 + b"#endif\n" * 2000,
            b"/* never ends",
            b'char *a = "never ends\n',
            b"}}}}{{{{((((",
            b"Py_BEGIN_CRITICAL_SECTION(",
            b"#define",
            b"#if",
            b"\\\n\\\n",
        ],
        ids=range(22),
    )
    def test_odd_sources_are_analysed(self, code, source):
        result = lint([source(code)])
        assert result["files"] == 1
        if LAZY.encode().split()[0] in code:
            assert "lazy-static" in rules_of(result)

    def test_line_and_column_with_crlf_and_a_bom(self, source):
        (plain,) = lint([source(LAZY)])["findings"]
        for code in (LAZY.replace("\n", "\r\n").encode(), b"\xef\xbb\xbf" + LAZY.encode()):
            (finding,) = lint([source(code)])["findings"]
            assert (finding["line"], finding["column"]) == (plain["line"], plain["column"])

    def test_column_after_a_macro_is_the_column_in_the_file(self, source):
        code = "#define LONG(x) (((((x)->next))))\nvoid f(PyObject *a) { use(LONG(a)); g(strtok(a, b)); }\n"
        (finding,) = lint([source(code)], select=["mt-unsafe-libc"])["findings"]
        assert code.splitlines()[1][finding["column"] - 1 :].startswith("strtok")

    def test_large_and_generated_files_are_listed_as_not_analysed(self, source, tmp_path):
        source("/* Generated by Cython 3.1 */\n" + LAZY, "cython.c")
        source(LAZY * 30_000, "large.c")
        source(LAZY, "pythoncapi_compat.h")
        result = lint([str(tmp_path)])
        assert result["files"] == 0
        assert [Path(out["path"]).name for out in result["not_analysed"]] == [
            "large.c", "pythoncapi_compat.h", "cython.c",
        ]  # fmt: skip

    @pytest.mark.skipif(sys.platform != "linux", reason="others refuse such a name")
    @pytest.mark.parametrize("form", ["full", "json", "github", "sarif"])
    def test_a_path_that_is_not_utf8_is_printed(self, form, source, tmp_path, capsysbinary):
        source(LAZY)
        (tmp_path / "module.c").rename(tmp_path / os.fsdecode(b"\xff.c"))
        assert main(["lint", "--output-format", form, str(tmp_path)]) == 1

    @pytest.mark.skipif(os.name == "nt", reason="links need a privilege there")
    def test_links_in_a_loop_are_skipped(self, source, tmp_path):
        source(LAZY)
        (tmp_path / "loop").symlink_to(tmp_path, target_is_directory=True)
        (tmp_path / "self.c").symlink_to(tmp_path / "self.c")
        (tmp_path / "dead.c").symlink_to(tmp_path / "nowhere.c")
        assert lint([str(tmp_path)])["files"] == 1

    @pytest.mark.skipif(os.name == "nt", reason="there are no FIFOs there")
    def test_lint_error_when_a_path_is_a_fifo_or_empty(self, source, tmp_path):
        source(LAZY)
        os.mkfifo(tmp_path / "fifo.c")
        assert lint([str(tmp_path)])["files"] == 1
        for path in (str(tmp_path / "fifo.c"), ""):
            with pytest.raises(LintError, match="folder: "):
                lint([path])

    def test_a_function_with_a_thousand_sections_is_analysed(self, source):
        begin, end = "Py_BEGIN_CRITICAL_SECTION(a);\n", "Py_END_CRITICAL_SECTION();\n"
        code = f"void f(PyObject *a) {{\n{begin * 1000}{end * 1000}}}\n"
        assert len(lint([source(code)])["findings"]) == 999

    def test_a_program_with_main_is_skipped(self, source):
        program = LAZY + "int main(void) { return 0; }\n"
        assert lint([source(program)])["files"] == 0
        assert lint([source("#include <Python.h>\n" + program)])["files"] == 1

    def test_code_that_does_not_parse_is_listed(self, source):
        result = lint([source(LAZY + "int a[] = {1 2};\n")])
        assert rules_of(result) == {"lazy-static"}
        assert [(p["line"], p["what"][:14]) for p in result["not_analysed"]] == [
            (10, "does not parse")
        ]

    def test_two_processes_find_the_same_as_one(self, source, tmp_path, monkeypatch):
        for number in range(6):
            source(LAZY.replace("cache", f"cache{number}"), f"{number}.c")
        alone = lint([str(tmp_path)], jobs=1)
        monkeypatch.setattr(api, "WORTH_PROCESSES", 0)
        assert lint([str(tmp_path)], jobs=2) == alone
        assert len(alone["findings"]) == 6

    @pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
    def test_processes_end_when_the_one_that_started_them_is_killed(self, source, tmp_path):
        for number in range(2):
            source(LAZY * 6_000, f"{number}.c")
        run = [sys.executable, "-m", "ftdemo", "lint", "--jobs", "2", "--json", str(tmp_path)]
        with subprocess.Popen(run, stdout=subprocess.DEVNULL, start_new_session=True) as process:
            wait_until(lambda: len(processes_of(process.pid)) >= 3)
            process.kill()
        try:
            wait_until(lambda: not processes_of(process.pid))
        finally:
            for pid in processes_of(process.pid):
                os.kill(pid, signal.SIGKILL)


def processes_of(group):
    """Return the processes of a group that have not ended."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            state, _, pgid = path.read_text("utf-8", "replace").rpartition(")")[2].split()[:3]
            if int(pgid) == group and state != "Z":
                found.append(int(path.parent.name))
    return found


def wait_until(condition):
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.skipif(not (PROJECT / "docs").is_dir(), reason="no documentation beside the tests")
def test_docs_list_each_rule_with_its_severity():
    text = (PROJECT / "docs" / "lint.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| `([a-z-]+)` \| (\w+)", text, re.MULTILINE))
    assert rows == {rule.name: rule.severity for rule in RULES.values()}

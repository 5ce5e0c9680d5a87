"""Check whether a module declares free-threading support, and in a place where it has effect."""

import re
from collections.abc import Iterator

from ftdemo.lint.flow import call_arguments, called_name
from ftdemo.lint.rules.rule import Found, rule
from ftdemo.lint.source import Source

DECLARES = re.compile(
    r"\bPy_MOD_GIL_NOT_USED\b|\bmod_gil_not_used\b|\bnb::mod_gil_not_used\b|\bFREE_THREADED\b"
)
HOWTO = "https://docs.python.org/3/howto/free-threading-extensions.html"
GUARD = re.compile(r"Py_GIL_DISABLED")


def declares(source: Source) -> bool:
    """Tell whether a file declares free-threading support for its module, in any known way."""
    if DECLARES.search(source.code):
        return True
    if any(DECLARES.search(macro.body) for macro in source.text.macros.values()):
        return "Py_mod_gil" in source.code
    return bool(source.modules) and "NB_MODULE" in source.code and source.cmake_declares()


@rule(
    "warning",
    group="optional",
    source=f"{HOWTO}#module-initialization",
    help="add {Py_mod_gil, Py_MOD_GIL_NOT_USED} to the module's slots once the findings of lint and "
    "stress are fixed (pybind11 and Boost.Python: mod_gil_not_used(); nanobind: FREE_THREADED in CMake)",
    ignore="the module needs the GIL, and this is intended",
    wrong="""
static PyModuleDef_Slot slots[] = {{Py_mod_exec, exec}, {0, NULL}};
PyMODINIT_FUNC
PyInit_a(void) // !
{
    return PyModuleDef_Init(&def);
}
""",
    right="""
static PyModuleDef_Slot slots[] = {
    {Py_mod_exec, exec},
#ifdef Py_mod_gil
    {Py_mod_gil, Py_MOD_GIL_NOT_USED},
#endif
    {0, NULL},
};
PyMODINIT_FUNC
PyInit_a(void)
{
    return PyModuleDef_Init(&def);
}
""",
)
def gil_undeclared(source: Source) -> Iterator[Found]:
    """Importing a module that declares nothing turns the GIL on for the whole process."""
    if declares(source) or not source.modules:
        return
    for name, line in source.modules:
        function = source.function_at(line)
        named = function.node.get("declarator") if function is not None else None
        yield Found(
            named if named is not None else source.tree.root,
            f"module {name} does not declare free-threading support: its import turns the GIL on",
        )


@rule(
    "error",
    source=f"{HOWTO}#single-phase-initialization; tried on 3.14.7t and 3.15.0rc1t",
    help="use the slot {Py_mod_gil, Py_MOD_GIL_NOT_USED}, which is read before exec runs",
    wrong="""
static int
module_exec(PyObject *module)
{
#ifdef Py_GIL_DISABLED
    PyUnstable_Module_SetGIL(module, Py_MOD_GIL_NOT_USED); // !
#endif
    return 0;
}
static PyModuleDef_Slot slots[] = {{Py_mod_exec, module_exec}, {0, NULL}};
""",
    right="""
PyMODINIT_FUNC
PyInit_a(void)
{
    PyObject *module = PyModule_Create(&def);
#ifdef Py_GIL_DISABLED
    PyUnstable_Module_SetGIL(module, Py_MOD_GIL_NOT_USED);
#endif
    return module;
}
""",
)
def declared_in_exec(source: Source) -> Iterator[Found]:
    """A declaration in an exec function comes too late: the GIL is already on, and stays on."""
    execs = {f.name for f in source.functions if "exec" in f.roles}
    slots = bool(execs) or any(kind == "PyModuleDef_Slot" for kind, _, _ in source.tables)
    calls = {
        e.name for f in source.functions if f.name in execs for e in f.events if e.kind == "call"
    }
    for function in source.functions:
        in_exec = function.name in execs or (
            function.name in calls and "module_init" not in function.roles
        )
        multi = (
            "module_init" in function.roles
            and slots
            and any(e.name == "PyModuleDef_Init" for e in function.events)
        )
        for event in function.events:
            if event.name == "PyUnstable_Module_SetGIL" and (in_exec or multi):
                yield Found(
                    event.node,
                    f"{function.name}() declares too late: in a module with slots the GIL is on "
                    "before it runs, and stays on",
                )


@rule(
    "error",
    source="https://docs.python.org/3/c-api/module.html#c.PyUnstable_Module_SetGIL",
    help="put it under #ifdef Py_GIL_DISABLED (a slot: under #ifdef Py_mod_gil)",
    wrong="""
PyMODINIT_FUNC
PyInit_a(void)
{
    PyObject *module = PyModule_Create(&def);
    PyUnstable_Module_SetGIL(module, Py_MOD_GIL_NOT_USED); // !
    return module;
}
""",
    right="""
PyMODINIT_FUNC
PyInit_a(void)
{
    PyObject *module = PyModule_Create(&def);
#ifdef Py_GIL_DISABLED
    PyUnstable_Module_SetGIL(module, Py_MOD_GIL_NOT_USED);
#endif
    return module;
}
""",
)
def declaration_unguarded(source: Source) -> Iterator[Found]:
    """The declaration does not exist in every build and version: the module does not compile there."""
    in_macros = [m.guard for m in source.text.macros.values() if "Module_SetGIL" in m.body]
    for call in source.nodes("call_expression"):
        if called_name(call) == "PyUnstable_Module_SetGIL":
            line = source.line(call.start)
            guards = source.text.guards(line) + (in_macros if line in source.text.moved else [])
            if not any(GUARD.search(guard) for guard in guards):
                yield Found(
                    call, "PyUnstable_Module_SetGIL() exists only where Py_GIL_DISABLED is defined"
                )
    if not source.supports_older:
        return
    for _, _, rows in source.tables:
        for row in rows:
            parts = row.children if row.kind == "initializer_list" else call_arguments(row)
            if parts and parts[0].text.split("=")[-1].strip() == "Py_mod_gil":
                guards = source.text.guards(source.line(row.start))
                if not any(
                    re.search(r"PY_VERSION|Py_mod_gil|GIL|3_?13|030[dD]", guard) for guard in guards
                ):
                    yield Found(
                        row, "Py_mod_gil came with 3.13, and the project supports older versions"
                    )

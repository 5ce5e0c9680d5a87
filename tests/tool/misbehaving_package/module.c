/* A module of the package that tests/tool/test_check.py checks. Macros:
 * NAME; SINGLE_PHASE; DECLARES, if it declares free-threading support; and
 * BEHAVES, the Python module that it imports during its initialization. */

#include <Python.h>

#define STRING_(x) #x
#define STRING(x) STRING_(x)
#define JOIN_(a, b) a##b
#define JOIN(a, b) JOIN_(a, b)

static int
module_exec(PyObject *Py_UNUSED(module))
{
#ifdef BEHAVES
    PyObject *code = PyImport_ImportModule(STRING(BEHAVES));
    Py_XDECREF(code);
    return code == NULL ? -1 : 0;
#else
    return 0;
#endif
}

#ifndef SINGLE_PHASE
static PyModuleDef_Slot module_slots[] = {
    {Py_mod_exec, module_exec},
#if defined(DECLARES) && PY_VERSION_HEX >= 0x030D0000
    {Py_mod_gil, Py_MOD_GIL_NOT_USED},
#endif
    {0, NULL},
};
#endif

static struct PyModuleDef module_def = {
    PyModuleDef_HEAD_INIT,
    .m_name = STRING(NAME),
#ifndef SINGLE_PHASE
    .m_slots = module_slots,
#endif
};

PyMODINIT_FUNC
JOIN(PyInit_, NAME)(void)
{
#ifdef SINGLE_PHASE
    PyObject *module = PyModule_Create(&module_def);
#if defined(DECLARES) && defined(Py_GIL_DISABLED)
    PyUnstable_Module_SetGIL(module, Py_MOD_GIL_NOT_USED);
#endif
    if (module_exec(module) < 0) {
        Py_CLEAR(module);
    }
    return module;
#else
    return PyModuleDef_Init(&module_def);
#endif
}

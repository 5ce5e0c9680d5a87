/* The module: its state, its declarations, its initialization.
 *
 * Without Py_mod_gil, a free-threaded Python turns the GIL on for the whole
 * process when it imports the module.
 * The slot promises that the module needs no GIL; the other files keep that
 * promise. csrc/legacy/module.c declares nothing. Read next: account.c. */

#include "module.h"

int
add_type(PyObject *module, PyType_Spec *spec, PyTypeObject **type)
{
    PyObject *new_type = PyType_FromModuleAndSpec(module, spec, NULL);
    if (new_type == NULL) {
        return -1;
    }
    int result = PyModule_AddType(module, (PyTypeObject *)new_type);
    if (type != NULL && result == 0) {
        *type = (PyTypeObject *)Py_NewRef(new_type);
    }
    Py_DECREF(new_type);
    return result;
}

int
object_traverse(PyObject *op, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(op));
    return 0;
}

void
object_dealloc(PyObject *op)
{
    PyTypeObject *type = Py_TYPE(op);
    PyObject_GC_UnTrack(op);
    object_free(op);
    Py_DECREF(type);
}

#define EXEC(name) name##_exec,
static int (*const exec_functions[])(PyObject *) = {CONCEPTS(EXEC)};

static int
module_exec(PyObject *module)
{
    for (size_t i = 0; i < Py_ARRAY_LENGTH(exec_functions); i++) {
        if (exec_functions[i](module) < 0) {
            return -1;
        }
    }
    return 0;
}

static int
module_traverse(PyObject *module, visitproc visit, void *arg)
{
    module_state *state = PyModule_GetState_DuringGC(module);
    Py_VISIT(state->account_type);
    Py_VISIT(state->interned);
    return 0;
}

static int
module_clear(PyObject *module)
{
    module_state *state = get_state(module);
    Py_CLEAR(state->account_type);
    Py_CLEAR(state->interned);
    return 0;
}

static void
module_free(void *module)
{
    (void)module_clear(module);
}

PyDoc_STRVAR(module_doc,
"Native types that many threads may share, ready for free threading.");

static PyModuleDef_Slot module_slots[] = {
    {Py_mod_exec, module_exec},
#if PY_VERSION_HEX >= 0x030C0000
    {Py_mod_multiple_interpreters, Py_MOD_PER_INTERPRETER_GIL_SUPPORTED},
#endif
#if PY_VERSION_HEX >= 0x030D0000
    {Py_mod_gil, Py_MOD_GIL_NOT_USED},
#endif
    {0, NULL},
};

/* The stable ABI for both builds lacks PyModuleDef; it uses an array of slots
 * (PEP 793). */
#ifdef Py_TARGET_ABI3T
PyABIInfo_VAR(abi_info);

static PySlot module_export[] = {
    PySlot_DATA(Py_mod_abi, &abi_info),
    PySlot_STATIC_DATA(Py_mod_name, "_ready"),
    PySlot_STATIC_DATA(Py_mod_doc, (void *)module_doc),
    PySlot_SIZE(Py_mod_state_size, sizeof(module_state)),
    PySlot_STATIC_DATA(Py_mod_slots, module_slots),
    PySlot_FUNC(Py_mod_state_traverse, module_traverse),
    PySlot_FUNC(Py_mod_state_clear, module_clear),
    PySlot_FUNC(Py_mod_state_free, module_free),
    PySlot_END,
};

PyMODEXPORT_FUNC
PyModExport__ready(void)
{
    return module_export;
}
#else
static struct PyModuleDef module_def = {
    .m_base = PyModuleDef_HEAD_INIT,
    .m_name = "_ready",
    .m_doc = module_doc,
    .m_size = sizeof(module_state),
    .m_slots = module_slots,
    .m_traverse = module_traverse,
    .m_clear = module_clear,
    .m_free = module_free,
};

PyMODINIT_FUNC
PyInit__ready(void)
{
    return PyModuleDef_Init(&module_def);
}
#endif

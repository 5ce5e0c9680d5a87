/* Single-phase initialization: the declaration for a module that has no slots.
 *
 * Such a module calls PyUnstable_Module_SetGIL(), which exists only on
 * free-threaded builds, so it is in an #ifdef. New code should use slots, like
 * csrc/ready/module.c: a single-phase module has one state for the whole
 * process, and an interpreter with its own GIL cannot import it. */

#include "compat.h"

static PyObject *
identity(PyObject *Py_UNUSED(module), PyObject *arg)
{
    return Py_NewRef(arg);
}

PyDoc_STRVAR(identity_doc,
"identity($module, obj, /)\n--\n\n"
"Return obj. Thread safety: atomic.");

static PyMethodDef module_functions[] = {
    {"identity", identity, METH_O, identity_doc},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef module_def = {
    PyModuleDef_HEAD_INIT,
    .m_name = "_single_phase",
    .m_doc = PyDoc_STR("Single-phase initialization that keeps the GIL off."),
    .m_size = -1,
    .m_methods = module_functions,
};

PyMODINIT_FUNC
PyInit__single_phase(void)
{
    PyObject *module = PyModule_Create(&module_def);
#ifdef Py_GIL_DISABLED
    if (module != NULL
        && PyUnstable_Module_SetGIL(module, Py_MOD_GIL_NOT_USED) < 0) {
        Py_CLEAR(module);
    }
#endif
    return module;
}

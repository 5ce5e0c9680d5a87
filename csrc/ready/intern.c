/* A module-wide cache.
 *
 * Racing first calls all get the same object.
 * No lock of ours: PyDict_SetDefaultRef() is one step, under the dict's own.
 * The legacy twin borrows, and from a static dict. Read next: checksum.c. */

#include "module.h"

static PyObject *
module_intern(PyObject *module, PyObject *key)
{
    PyObject *canonical;
    PyObject *interned = get_state(module)->interned;
    if (PyDict_SetDefaultRef(interned, key, key, &canonical) < 0) {
        return NULL;
    }
    return canonical;
}

PyDoc_STRVAR(intern_doc,
"intern($module, key, /)\n--\n\n"
"The one object that stands for all keys equal to key: the first one seen.\n\n"
"It is kept. A key that cannot be hashed is a TypeError.\n"
"Thread safety: atomic.");

static PyMethodDef intern_functions[] = {
    {"intern", module_intern, METH_O, intern_doc},
    {NULL, NULL, 0, NULL},
};

int
intern_exec(PyObject *module)
{
    module_state *state = get_state(module);
    state->interned = PyDict_New();
    if (state->interned == NULL) {
        return -1;
    }
    return PyModule_AddFunctions(module, intern_functions);
}

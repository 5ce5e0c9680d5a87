/* A module-wide cache.
 *
 * Concurrent first calls all return the same object.
 * It needs no lock: PyDict_SetDefaultRef() is atomic under the dict's lock and
 * returns a strong reference. csrc/legacy/intern.c creates a static dict on
 * first use, and borrows references from it. Read next: checksum.c. */

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
"Return the first key seen that is equal to key, and keep it.\n\n"
"The keys live as long as the module; each interpreter has its own. Raises\n"
"TypeError if key is not hashable. Thread safety: atomic.");

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

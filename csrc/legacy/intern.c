/* A module-wide cache.
 *
 * Concurrent first calls all return the same object.
 * The GIL lets no other thread run between the lookup, which borrows a
 * reference, and the insertion. Read next: checksum.c. */

#include "module.h"

static PyObject *interned = NULL; /* dict: key -> key */

static PyObject *
module_intern(PyObject *Py_UNUSED(module), PyObject *key)
{
    if (interned == NULL) {
        interned = PyDict_New();
        if (interned == NULL) {
            return NULL;
        }
    }
    PyObject *canonical = PyDict_GetItemWithError(interned, key);
    if (canonical == NULL && !PyErr_Occurred()
        && PyDict_SetItem(interned, key, key) == 0) {
        canonical = key;
    }
    return Py_XNewRef(canonical);
}

PyDoc_STRVAR(intern_doc,
"intern($module, key, /)\n--\n\n"
"Return the first key seen that is equal to key, and keep it.\n\n"
"The keys live as long as the process.\n"
"Raises TypeError if key is not hashable. Thread safety: atomic.");

static PyMethodDef intern_functions[] = {
    {"intern", module_intern, METH_O, intern_doc},
    {NULL, NULL, 0, NULL},
};

int
intern_exec(PyObject *module)
{
    return PyModule_AddFunctions(module, intern_functions);
}

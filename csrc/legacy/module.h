/* What the files of ftdemo._legacy share: the module's state, and one exec
 * function a concept, which adds its types and functions to the module. */
#ifndef FTDEMO_LEGACY_MODULE_H
#define FTDEMO_LEGACY_MODULE_H

#include "args.h"

/* Where the public names are imported from; pickle looks for types there. */
#define PACKAGE "ftdemo.legacy"

typedef struct {
    PyTypeObject *account_type;
} module_state;

static inline module_state *
get_state(PyObject *module)
{
    return PyModule_GetState(module);
}

/* Makes the type of spec and adds it to the module; type may be NULL. */
int add_type(PyObject *module, PyType_Spec *spec, PyTypeObject **type);

/* For instances that refer to no object but their type. */
int object_traverse(PyObject *op, visitproc visit, void *arg);
void object_dealloc(PyObject *op);

extern PyType_Spec account_spec;
extern PyType_Spec tickets_spec;
extern PyType_Spec checksum_spec;

int account_exec(PyObject *module);
int tickets_exec(PyObject *module);
int intern_exec(PyObject *module);
int checksum_exec(PyObject *module);
int work_exec(PyObject *module);

#endif /* !FTDEMO_LEGACY_MODULE_H */

/* Declarations for all files of the module: its state, and the exec function
 * of each concept. */
#ifndef FTDEMO_MODULE_H
#define FTDEMO_MODULE_H

#include "args.h"
#include "concepts.h"

/* The module of the public names, where pickle looks for types. */
#define PACKAGE "ftdemo"

/* Written by module_exec() only, before other threads see the module: the
 * fields need no lock, but an object that they refer to may need one. */
typedef struct {
    PyTypeObject *account_type;
    PyObject *interned; /* dict: key -> key */
} module_state;

static inline module_state *
get_state(PyObject *module)
{
    return PyModule_GetState(module);
}

/* Creates the type of spec and adds it to the module; type may be NULL. */
int add_type(PyObject *module, PyType_Spec *spec, PyTypeObject **type);

/* For instances that refer to no object except their type. */
int object_traverse(PyObject *op, visitproc visit, void *arg);
void object_dealloc(PyObject *op);

#define DECLARE_EXEC(name) int name##_exec(PyObject *module);
CONCEPTS(DECLARE_EXEC);

#endif /* !FTDEMO_MODULE_H */

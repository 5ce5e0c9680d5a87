/* Calls Python code inside critical sections, and reads the lock of an object.
 * No extension should do this; the tests show how sections behave. */

#include <Python.h>

static PyObject *
section(PyObject *Py_UNUSED(module), PyObject *const *args, Py_ssize_t nargs)
{
    PyObject *result;
    if (nargs != 2) {
        PyErr_SetString(PyExc_TypeError, "section(object, callback)");
        return NULL;
    }
    Py_BEGIN_CRITICAL_SECTION(args[0]);
    result = PyObject_CallNoArgs(args[1]);
    Py_END_CRITICAL_SECTION();
    return result;
}

static PyObject *
section2(PyObject *Py_UNUSED(module), PyObject *const *args, Py_ssize_t nargs)
{
    PyObject *result;
    if (nargs != 3) {
        PyErr_SetString(PyExc_TypeError, "section2(a, b, callback)");
        return NULL;
    }
    Py_BEGIN_CRITICAL_SECTION2(args[0], args[1]);
    result = PyObject_CallNoArgs(args[2]);
    Py_END_CRITICAL_SECTION2();
    return result;
}

/* Compiles without a warning, and never releases the lock. */
static PyObject *
leave(PyObject *Py_UNUSED(module), PyObject *op)
{
    Py_BEGIN_CRITICAL_SECTION(op);
    Py_RETURN_NONE;
    Py_END_CRITICAL_SECTION();
}

/* Is any thread in a critical section on op that is not suspended? */
static PyObject *
held(PyObject *Py_UNUSED(module), PyObject *op)
{
#ifdef Py_GIL_DISABLED
    return PyBool_FromLong(_Py_atomic_load_uint8(&op->ob_mutex._bits) & 1);
#else
    (void)op;
    Py_RETURN_FALSE;
#endif
}

static PyMethodDef methods[] = {
    {"section", (PyCFunction)(void (*)(void))section, METH_FASTCALL, NULL},
    {"section2", (PyCFunction)(void (*)(void))section2, METH_FASTCALL, NULL},
    {"leave", leave, METH_O, NULL},
    {"held", held, METH_O, NULL},
    {NULL, NULL, 0, NULL},
};

#define MODULE critical_sections
#include "module_end.h"

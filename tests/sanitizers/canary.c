/* Known faults. If a sanitizer does not report these, then its silence proves
 * nothing. It must not report locked(). Variables are volatile, or the compiler
 * would remove the faults. */

#include "compat.h"

#include <limits.h>
#include <stdlib.h>

#define STEPS 5000000

static volatile long shared;

static PyObject *
race(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(ignored))
{
    for (int i = 0; i < STEPS; i++) {
        shared++;
    }
    Py_RETURN_NONE;
}

static PyObject *
locked(PyObject *module, PyObject *Py_UNUSED(ignored))
{
    for (int i = 0; i < STEPS; i++) {
        Py_BEGIN_CRITICAL_SECTION(module);
        shared++;
        Py_END_CRITICAL_SECTION();
    }
    (void)module; /* with the GIL */
    Py_RETURN_NONE;
}

static PyObject *
use_after_free(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(ignored))
{
    char *volatile block = malloc(8);
    free(block);
    return PyLong_FromLong(block[0]);
}

/* With Python's allocator; only if that is malloc() is this reported. */
static PyObject *
past_the_end(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(ignored))
{
    char *volatile block = PyMem_Malloc(8);
    char past = block[8];
    PyMem_Free(block);
    return PyLong_FromLong(past);
}

static PyObject *
leak(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(ignored))
{
    char *volatile block = malloc(8);
    block = NULL;
    return PyLong_FromLong(block == NULL);
}

static PyObject *
leaked_object(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(ignored))
{
    PyObject *volatile object = PyBytes_FromStringAndSize(NULL, 1000);
    object = NULL;
    return PyLong_FromLong(object == NULL);
}

static PyObject *
overflow(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(ignored))
{
    volatile int most = INT_MAX;
    return PyLong_FromLong(most + 1);
}

static PyMethodDef methods[] = {
    {"race", race, METH_NOARGS, NULL},
    {"locked", locked, METH_NOARGS, NULL},
    {"use_after_free", use_after_free, METH_NOARGS, NULL},
    {"past_the_end", past_the_end, METH_NOARGS, NULL},
    {"leak", leak, METH_NOARGS, NULL},
    {"leaked_object", leaked_object, METH_NOARGS, NULL},
    {"overflow", overflow, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};

#define MODULE canary
#include "module_end.h"

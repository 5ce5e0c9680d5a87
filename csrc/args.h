/* Checks of arguments, for csrc/ready and csrc/legacy. A check that succeeds
 * runs no Python code, so what the caller knew before it is still true. */
#ifndef FTDEMO_ARGS_H
#define FTDEMO_ARGS_H

#include "compat.h"

static inline int
check_nargs(const char *function, Py_ssize_t nargs, Py_ssize_t expected)
{
    if (nargs == expected) {
        return 0;
    }
    PyErr_Format(PyExc_TypeError,
                 "%s() takes exactly %zd arguments (%zd given)", function,
                 expected, nargs);
    return -1;
}

static inline int
check_no_keywords(const char *function, PyObject *kwnames)
{
    if (kwnames == NULL || PyTuple_Size(kwnames) == 0) {
        return 0;
    }
    PyErr_Format(PyExc_TypeError, "%s() takes no keyword arguments", function);
    return -1;
}

static inline int
check_type(const char *function, PyObject *arg, PyTypeObject *type)
{
    if (PyObject_TypeCheck(arg, type)) {
        return 0;
    }
    PyErr_Format(PyExc_TypeError, "%s() expected %R, got %R", function,
                 (PyObject *)type, (PyObject *)Py_TYPE(arg));
    return -1;
}

/* Gets the value of an exact int. Raises TypeError for a bool, a float or an
 * object with __index__, and OverflowError for more than 64 bits. */
static inline int
exact_int64(PyObject *arg, int64_t *value)
{
    if (!PyLong_CheckExact(arg)) {
        PyErr_Format(PyExc_TypeError, "expected an int, got %R",
                     (PyObject *)Py_TYPE(arg));
        return -1;
    }
    if (compact_value(arg, value)) {
        return 0;
    }
    *value = PyLong_AsLongLong(arg);
    return *value == -1 && PyErr_Occurred() ? -1 : 0;
}

/* The same, but raises ValueError if the value is less than minimum. */
static inline int
exact_count(PyObject *arg, int64_t minimum, int64_t *count)
{
    if (exact_int64(arg, count) < 0) {
        return -1;
    }
    if (*count < minimum) {
        PyErr_Format(PyExc_ValueError, "expected at least %lld, got %R",
                     (long long)minimum, arg);
        return -1;
    }
    return 0;
}

#endif /* !FTDEMO_ARGS_H */

/* Code for unsafe.c and safe.c. They define MODULE, the name of the module,
 * before they include this file. */
#ifndef RACING_H
#define RACING_H

#include "compat.h"
#include <string.h>
#ifdef _WIN32
#include <windows.h>
#else
#include <time.h>
#endif

#define STRING_(x) #x
#define STRING(x) STRING_(x)
#define JOIN_(a, b) a##b
#define JOIN(a, b) JOIN_(a, b)

/* The spec of a type, from the struct with its name and an array of slots. */
#define TYPE_WITH_FLAGS(NAME, FLAGS, DOC, ...)                                \
    static PyType_Slot NAME##_slots[] = {                                     \
        {Py_tp_doc, (void *)(DOC)},                                           \
        __VA_ARGS__,                                                          \
        {0, NULL},                                                            \
    };                                                                        \
    static PyType_Spec NAME##_spec = {                                        \
        .name = "racing." STRING(MODULE) "." #NAME,                           \
        .basicsize = sizeof(NAME),                                            \
        .flags = Py_TPFLAGS_DEFAULT | (FLAGS),                                \
        .slots = NAME##_slots,                                                \
    }
#define TYPE(NAME, DOC, ...) TYPE_WITH_FLAGS(NAME, 0, DOC, __VA_ARGS__)

#define METHODS(NAME, ...)                                                    \
    static PyMethodDef NAME##_methods[] = {                                   \
        __VA_ARGS__,                                                          \
        {NULL, NULL, 0, NULL},                                                \
    }

#define GETSET(NAME, ...)                                                     \
    static PyGetSetDef NAME##_getset[] = {                                    \
        __VA_ARGS__,                                                          \
        {NULL, NULL, NULL, NULL, NULL},                                       \
    }

/* Waits for about 50 ns, to make a race more likely. */
static inline void
linger(void)
{
    for (volatile int i = 0; i < 40; i++) {
    }
}

/* Waits detached, as code that reads a file or a socket does. */
static inline void
wait_detached(int microseconds)
{
    Py_BEGIN_ALLOW_THREADS
#ifdef _WIN32
    Sleep((DWORD)((microseconds + 999) / 1000));
#else
    struct timespec time = {microseconds / 1000000,
                            microseconds % 1000000 * 1000L};
    nanosleep(&time, NULL);
#endif
    Py_END_ALLOW_THREADS
}

/* Gets an int from 0 to limit; for others, returns false with an exception. */
static inline bool
as_number(PyObject *arg, long limit, long *number)
{
    *number = PyLong_AsLong(arg);
    if (*number >= 0 && *number <= limit) {
        return true;
    }
    if (!PyErr_Occurred()) {
        PyErr_Format(PyExc_ValueError, "not from 0 to %ld", limit);
    }
    return false;
}

static inline void
free_object(PyObject *op)
{
    PyTypeObject *type = Py_TYPE(op);
    type->tp_free(op);
    Py_DECREF(type);
}

#endif /* !RACING_H */

/* A container of callbacks: Python code runs while others change it.
 *
 * An emission calls what was connected when it began. The GIL lets no other
 * thread run before a callback is called, and a change replaces the tuple.
 * The ready twin takes references of its own. Read next: work.c. */

#include "module.h"

typedef struct {
    PyObject_HEAD
    PyObject *callbacks; /* a tuple of weak references */
} Signal;

#define Signal_CAST(op) ((Signal *)(op))

/* A new tuple: callbacks without those that have died and without callback,
 * and with ref at its end unless that is NULL. */
static PyObject *
changed_copy(PyObject *callbacks, PyObject *callback, PyObject *ref,
             bool *found)
{
    PyObject *copy = NULL;
    PyObject *list = PyList_New(0);
    if (list == NULL) {
        return NULL;
    }
    *found = false;
    for (Py_ssize_t i = 0; i < PyTuple_Size(callbacks); i++) {
        PyObject *other = PyTuple_GetItem(callbacks, i);
        PyObject *live = PyWeakref_GetObject(other);
        if (live == callback) {
            *found = true;
        }
        else if (live != Py_None && PyList_Append(list, other) < 0) {
            goto done;
        }
    }
    if (ref == NULL || PyList_Append(list, ref) == 0) {
        copy = PyList_AsTuple(list);
    }
done:
    Py_DECREF(list);
    return copy;
}

/* Removes callback, and adds ref unless it is NULL; gives whether callback
 * was there, or -1. */
static int
change(PyObject *op, PyObject *callback, PyObject *ref)
{
    Signal *self = Signal_CAST(op);
    bool found;
    PyObject *changed = changed_copy(self->callbacks, callback, ref, &found);
    if (changed == NULL) {
        return -1;
    }
    Py_SETREF(self->callbacks, changed);
    return found;
}

static PyObject *
signal_connect(PyObject *op, PyObject *callback)
{
    if (!PyCallable_Check(callback)) {
        PyErr_Format(PyExc_TypeError, "expected a callable, got %R",
                     (PyObject *)Py_TYPE(callback));
        return NULL;
    }
    PyObject *ref = PyWeakref_NewRef(callback, NULL);
    if (ref == NULL) {
        return NULL;
    }
    int found = change(op, callback, ref);
    Py_DECREF(ref);
    if (found < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

static PyObject *
signal_disconnect(PyObject *op, PyObject *callback)
{
    int found = change(op, callback, NULL);
    if (found < 0) {
        return NULL;
    }
    if (!found) {
        PyErr_Format(PyExc_ValueError, "not connected: %R", callback);
        return NULL;
    }
    Py_RETURN_NONE;
}

/* Gives whether what ref refers to was there to be called, or -1. */
static int
call(PyObject *ref, PyObject *const *args, Py_ssize_t nargs)
{
    PyObject *callback = PyWeakref_GetObject(ref);
    if (callback == Py_None) {
        return 0;
    }
    PyObject *result = PyObject_Vectorcall(callback, args, nargs, NULL);
    Py_XDECREF(result);
    return result == NULL ? -1 : 1;
}

static PyObject *
signal_emit(PyObject *op, PyObject *const *args, Py_ssize_t nargs)
{
    Py_ssize_t called = 0;
    PyObject *callbacks = Py_NewRef(Signal_CAST(op)->callbacks);
    for (Py_ssize_t i = 0; i < PyTuple_Size(callbacks); i++) {
        int result = call(PyTuple_GetItem(callbacks, i), args, nargs);
        if (result < 0) {
            Py_DECREF(callbacks);
            return NULL;
        }
        called += result;
    }
    Py_DECREF(callbacks);
    return PyLong_FromSsize_t(called);
}

static PyObject *
signal_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    char *keywords[] = {NULL};
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, ":Signal", keywords)) {
        return NULL;
    }
    PyObject *callbacks = PyTuple_New(0);
    if (callbacks == NULL) {
        return NULL;
    }
    PyObject *op = PyType_GenericAlloc(type, 0);
    if (op == NULL) {
        Py_DECREF(callbacks);
        return NULL;
    }
    Signal_CAST(op)->callbacks = callbacks; /* not shared yet */
    return op;
}

/* There is nothing to visit or clear: weak references make no cycle. */
static void
signal_dealloc(PyObject *op)
{
    Py_DECREF(Signal_CAST(op)->callbacks);
    object_dealloc(op);
}

PyDoc_STRVAR(signal_doc,
"Signal()\n--\n\n"
"Callbacks that are called together; cannot be subclassed or pickled.\n\n"
"Thread safety: safe on shared objects.");

PyDoc_STRVAR(connect_doc,
"connect($self, callback, /)\n--\n\n"
"Have callback called from now on, after all others.\n\n"
"It is held weakly: the caller keeps it, a bound method as well. One that is\n"
"connected already becomes the last. Thread safety: atomic.");

PyDoc_STRVAR(disconnect_doc,
"disconnect($self, callback, /)\n--\n\n"
"Have callback not called any more; ValueError if it is not connected.\n\n"
"An emission that has begun may still call it. Thread safety: atomic.");

PyDoc_STRVAR(emit_doc,
"emit($self, /, *args)\n--\n\n"
"Call what is connected now, in that order; give how many were called.\n\n"
"What a callback raises ends it. Callbacks may use the signal themselves.\n"
"Thread safety: safe on shared objects; each call is by itself.");

static PyMethodDef signal_methods[] = {
    {"connect", signal_connect, METH_O, connect_doc},
    {"disconnect", signal_disconnect, METH_O, disconnect_doc},
    {"emit", CFUNCTION(signal_emit), METH_FASTCALL, emit_doc},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot signal_slots[] = {
    {Py_tp_doc, (void *)signal_doc}, {Py_tp_new, signal_new},
    {Py_tp_methods, signal_methods}, {Py_tp_traverse, object_traverse},
    {Py_tp_dealloc, signal_dealloc}, {0, NULL},
};

static PyType_Spec signal_spec = {
    .name = PACKAGE ".Signal",
    .basicsize = sizeof(Signal),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC
             | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = signal_slots,
};

int
signal_exec(PyObject *module)
{
    return add_type(module, &signal_spec, NULL);
}

/* A container of callbacks, which run while other threads change it.
 *
 * An emission calls the callbacks that were connected when it began.
 * It borrows references to them: the GIL lets no other thread free one before
 * its call. Read next: work.c. */

#include "module.h"

typedef struct {
    PyObject_HEAD
    /* A tuple of weak references, which never changes. */
    PyObject *callbacks;
} Signal;

#define Signal_CAST(op) OBJECT_CAST(Signal, op)

static PyObject *
get_callbacks(PyObject *op)
{
    Signal *self = Signal_CAST(op);
    PyObject *callbacks;
    callbacks = Py_NewRef(self->callbacks);
    return callbacks;
}

/* Returns a borrowed reference to the callback, or NULL if it was freed. */
static PyObject *
get_referent(PyObject *ref)
{
    PyObject *referent = PyWeakref_GetObject(ref);
    return referent != Py_None ? referent : NULL;
}

/* Returns a new tuple: callbacks without the freed ones and without callback,
 * and with ref at the end unless ref is NULL. */
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
        PyObject *referent = get_referent(other);
        bool same = referent == callback;
        bool kept = referent != NULL && !same;
        *found |= same;
        if (kept && PyList_Append(list, other) < 0) {
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

/* Removes callback, and adds ref unless it is NULL. Returns 1 if callback was
 * connected, 0 if not, -1 on error. Starts again if callbacks changed. */
static int
change(PyObject *op, PyObject *callback, PyObject *ref)
{
    Signal *self = Signal_CAST(op);
    bool found, replaced;
    do {
        PyObject *callbacks = get_callbacks(op);
        PyObject *changed = changed_copy(callbacks, callback, ref, &found);
        if (changed == NULL) {
            Py_DECREF(callbacks);
            return -1;
        }
        replaced = self->callbacks == callbacks;
        if (replaced) {
            self->callbacks = changed;
        }
        Py_DECREF(replaced ? callbacks : changed);
        Py_DECREF(callbacks);
    } while (!replaced);
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

static PyObject *
signal_emit(PyObject *op, PyObject *const *args, Py_ssize_t nargs)
{
    Py_ssize_t called = 0;
    PyObject *callbacks = get_callbacks(op);
    for (Py_ssize_t i = 0; i < PyTuple_Size(callbacks); i++) {
        PyObject *callback = get_referent(PyTuple_GetItem(callbacks, i));
        if (callback == NULL) {
            continue;
        }
        Py_INCREF(callback); /* its call may drop all other references */
        PyObject *result = PyObject_Vectorcall(callback, args, nargs, NULL);
        Py_DECREF(callback);
        if (result == NULL) {
            Py_DECREF(callbacks);
            return NULL;
        }
        Py_DECREF(result);
        called++;
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

/* Nothing to visit or clear: weak references cannot form cycles. */
static void
signal_dealloc(PyObject *op)
{
    PyObject_GC_UnTrack(op);
    Py_DECREF(Signal_CAST(op)->callbacks);
    object_dealloc(op);
}

PyDoc_STRVAR(signal_doc,
"Signal()\n--\n\n"
"Callbacks that are called together; cannot be subclassed or pickled.\n\n"
"Thread safety: safe on shared objects.");

PyDoc_STRVAR(connect_doc,
"connect($self, callback, /)\n--\n\n"
"Add callback, to be called after all others.\n\n"
"The reference is weak: the caller must keep callback, even a bound method,\n"
"alive. If connected already, it becomes the last. Thread safety: atomic.");

PyDoc_STRVAR(disconnect_doc,
"disconnect($self, callback, /)\n--\n\n"
"Remove callback; raises ValueError if it is not connected.\n\n"
"An emission that is in progress may still call it. Thread safety: atomic.");

PyDoc_STRVAR(emit_doc,
"emit($self, /, *args)\n--\n\n"
"Call the connected callbacks in order; return the number of calls.\n\n"
"An exception in a callback ends the emission. Callbacks may use the signal.\n"
"Thread safety: safe on shared objects; other threads run between calls.");

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

/* Native data and long work.
 *
 * Each update is atomic.
 * The lock is a mutex: a critical section would be suspended when the thread
 * detaches, which is when it is needed. No Python code runs under the mutex.
 * csrc/legacy/checksum.c relies on the GIL. Read next: signal.c. */

#include "module.h"

typedef struct {
    PyObject_HEAD
    mutex_t mutex;
    uint32_t a; /* guarded by: mutex */
    uint32_t b; /* guarded by: mutex */
} Checksum;

#define Checksum_CAST(op) OBJECT_CAST(Checksum, op)
#define DETACH_MINSIZE 2048 /* bytes; less is not worth it; as in hashlib */

/* Adler-32 (RFC 1950), block by block: the sums of up to 5552 bytes fit into
 * 32 bits without reduction. */
static void
update_lock_held(Checksum *self, const unsigned char *data, Py_ssize_t size)
{
    while (size > 0) {
        Py_ssize_t block = Py_MIN(size, 512);
        uint32_t a = self->a;
        uint32_t b = self->b;
        for (Py_ssize_t i = 0; i < block; i++) {
            a += data[i];
            b += a;
        }
        self->a = a % 65521;
        self->b = b % 65521;
        data += block;
        size -= block;
    }
}

static PyObject *
checksum_update(PyObject *op, PyObject *arg)
{
    Checksum *self = Checksum_CAST(op);
    Py_buffer view;
    if (PyObject_GetBuffer(arg, &view, PyBUF_SIMPLE) < 0) {
        return NULL;
    }
    mutex_lock(&self->mutex);
    if (view.len >= DETACH_MINSIZE) {
        Py_BEGIN_ALLOW_THREADS
        update_lock_held(self, view.buf, view.len);
        /* Unlock before attaching: at exit, a daemon thread never attaches. */
        mutex_unlock(&self->mutex);
        Py_END_ALLOW_THREADS
    }
    else {
        update_lock_held(self, view.buf, view.len);
        mutex_unlock(&self->mutex);
    }
    PyBuffer_Release(&view); /* may run Python code */
    Py_RETURN_NONE;
}

static uint32_t
get_value(PyObject *op)
{
    Checksum *self = Checksum_CAST(op);
    uint32_t value;
    mutex_lock(&self->mutex);
    value = self->b << 16 | self->a;
    mutex_unlock(&self->mutex);
    return value;
}

static PyObject *
checksum_value(PyObject *op, void *Py_UNUSED(closure))
{
    return PyLong_FromUnsignedLong(get_value(op));
}

static PyObject *
checksum_alloc(PyTypeObject *type, uint32_t value)
{
    PyObject *op = PyType_GenericAlloc(type, 0);
    if (op != NULL) {
        Checksum *self = Checksum_CAST(op); /* not shared yet */
        self->a = value & 0xffff;
        self->b = value >> 16;
        if (mutex_init(&self->mutex) < 0) {
            Py_CLEAR(op);
        }
    }
    return op;
}

static void
checksum_dealloc(PyObject *op)
{
    mutex_fini(&Checksum_CAST(op)->mutex);
    object_dealloc(op);
}

static PyObject *
checksum_copy(PyObject *op, PyObject *Py_UNUSED(ignored))
{
    return checksum_alloc(Py_TYPE(op), get_value(op));
}

static PyObject *
checksum_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    char *keywords[] = {NULL};
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, ":Checksum", keywords)) {
        return NULL;
    }
    return checksum_alloc(type, 1);
}

PyDoc_STRVAR(checksum_doc,
"Checksum()\n--\n\n"
"A running Adler-32 checksum (RFC 1950); cannot be subclassed or pickled.\n\n"
"Thread safety: safe on shared objects.");

PyDoc_STRVAR(update_doc,
"update($self, data, /)\n--\n\n"
"Add the bytes of data, a contiguous bytes-like object.\n\n"
"Raises TypeError for an object without a buffer. Other threads must not\n"
"change data during the call; if data has 2048 bytes or more, they can run\n"
"even with the GIL. Thread safety: atomic.");

PyDoc_STRVAR(copy_doc,
"copy($self, /)\n--\n\n"
"Return a new Checksum with the same state. Thread safety: atomic.");

static PyMethodDef checksum_methods[] = {
    {"update", checksum_update, METH_O, update_doc},
    {"copy", checksum_copy, METH_NOARGS, copy_doc},
    {NULL, NULL, 0, NULL},
};

PyDoc_STRVAR(value_doc,
"The checksum so far, an int of 32 bits. Thread safety: atomic.");

static PyGetSetDef checksum_getset[] = {
    {"value", checksum_value, NULL, value_doc, NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot checksum_slots[] = {
    {Py_tp_doc, (void *)checksum_doc},
    {Py_tp_new, checksum_new},
    {Py_tp_methods, checksum_methods},
    {Py_tp_getset, checksum_getset},
    {Py_tp_traverse, object_traverse},
    {Py_tp_dealloc, checksum_dealloc},
    {0, NULL},
};

static PyType_Spec checksum_spec = {
    .name = PACKAGE ".Checksum",
    .basicsize = sizeof(Checksum),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC
             | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = checksum_slots,
};

int
checksum_exec(PyObject *module)
{
    return add_type(module, &checksum_spec, NULL);
}

/* One iterator shared by many threads.
 *
 * Each number is returned exactly once, and none is lost.
 * A critical section makes reading and advancing the number one step; for
 * this, csrc/legacy/tickets.c relies on the GIL. Read next: intern.c. */

#include "module.h"

typedef struct {
    PyObject_HEAD
    int64_t next;  /* guarded by: critical section on self */
    int64_t stop;  /* constant after tickets_new() */
    bool has_stop; /* constant after tickets_new() */
} Tickets;

#define Tickets_CAST(op) OBJECT_CAST(Tickets, op)

/* Returns a new int, or NULL: with an exception, or without one at the end.
 * It advances after the int exists, so that a MemoryError loses no number;
 * creating an int runs no Python code. */
static PyObject *
take_lock_held(Tickets *self)
{
    if (self->next >= self->stop) {
        return NULL;
    }
    PyObject *ticket = PyLong_FromLongLong(self->next);
    if (ticket != NULL) {
        self->next++;
    }
    return ticket;
}

static PyObject *
tickets_next(PyObject *op)
{
    Tickets *self = Tickets_CAST(op);
    PyObject *ticket;
    Py_BEGIN_CRITICAL_SECTION(op);
    ticket = take_lock_held(self);
    Py_END_CRITICAL_SECTION();
    if (ticket == NULL && !self->has_stop && !PyErr_Occurred()) {
        PyErr_SetString(PyExc_OverflowError,
                        "no ticket left in a signed 64-bit integer");
    }
    return ticket;
}

static PyObject *
tickets_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    char *keywords[] = {"start", "stop", NULL};
    PyObject *start_arg = NULL;
    PyObject *stop_arg = Py_None;
    int64_t start = 0;
    int64_t stop = INT64_MAX;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|OO:Tickets", keywords,
                                     &start_arg, &stop_arg)
        || (start_arg != NULL && exact_int64(start_arg, &start) < 0)
        || (stop_arg != Py_None && exact_int64(stop_arg, &stop) < 0)) {
        return NULL;
    }
    PyObject *op = PyType_GenericAlloc(type, 0);
    if (op != NULL) {
        Tickets *self = Tickets_CAST(op); /* not shared yet */
        self->next = start;
        self->stop = stop;
        self->has_stop = stop_arg != Py_None;
    }
    return op;
}

PyDoc_STRVAR(tickets_doc,
"Tickets(start=0, stop=None)\n--\n\n"
"An iterator over the ints from start up to stop, which threads may share.\n\n"
"Numbers have 64 bits; without stop, raises OverflowError after 2**63 - 2.\n"
"It cannot be copied or pickled, which would return a number twice.\n"
"Thread safety: safe on shared objects; each step is atomic.");

static PyType_Slot tickets_slots[] = {
    {Py_tp_doc, (void *)tickets_doc},
    {Py_tp_new, tickets_new},
    {Py_tp_iter, PyObject_SelfIter},
    {Py_tp_iternext, tickets_next},
    {Py_tp_traverse, object_traverse},
    {Py_tp_dealloc, object_dealloc},
    {0, NULL},
};

static PyType_Spec tickets_spec = {
    .name = PACKAGE ".Tickets",
    .basicsize = sizeof(Tickets),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC
             | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = tickets_slots,
};

int
tickets_exec(PyObject *module)
{
    return add_type(module, &tickets_spec, NULL);
}

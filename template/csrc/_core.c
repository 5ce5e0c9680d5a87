/* acme._core: a counter that threads may share.
 *
 * Every method that reads or writes a counter's value does so in a critical
 * section of that counter, and a method of two counters in one of both. On a
 * build with the GIL a section is a plain block: the GIL is the lock. */

#include <Python.h>

/* Critical sections came with 3.13, as did builds without the GIL. */
#if PY_VERSION_HEX < 0x030D0000
#define Py_BEGIN_CRITICAL_SECTION(op) {
#define Py_END_CRITICAL_SECTION() }
#define Py_BEGIN_CRITICAL_SECTION2(a, b) {
#define Py_END_CRITICAL_SECTION2() }
#endif

typedef struct {
    PyObject_HEAD
    long long value; /* guarded by: critical section on self */
} Counter;

/* The caller raises the error, after it has given up the lock. */
static int
add_lock_held(Counter *self, long long amount, long long *result)
{
    if (amount > 0 ? self->value > LLONG_MAX - amount
                   : self->value < LLONG_MIN - amount) {
        return -1;
    }
    self->value += amount;
    *result = self->value;
    return 0;
}

static void
swap_lock_held(Counter *a, Counter *b)
{
    long long value = a->value;
    a->value = b->value;
    b->value = value;
}

static PyObject *
counter_add(PyObject *op, PyObject *arg)
{
    Counter *self = (Counter *)op;
    long long amount = PyLong_AsLongLong(arg); /* may run Python code */
    long long value = 0;
    int result;
    if (amount == -1 && PyErr_Occurred()) {
        return NULL;
    }
    Py_BEGIN_CRITICAL_SECTION(op);
    result = add_lock_held(self, amount, &value);
    Py_END_CRITICAL_SECTION();
    if (result < 0) {
        PyErr_SetString(PyExc_OverflowError,
                        "result exceeds a signed 64-bit integer");
        return NULL;
    }
    return PyLong_FromLongLong(value);
}

static PyObject *
counter_swap(PyObject *op, PyObject *arg)
{
    /* Counter has no subclasses, so the type of op is Counter itself. */
    if (!Py_IS_TYPE(arg, Py_TYPE(op))) {
        PyErr_Format(PyExc_TypeError, "swap() expected a Counter, got %R",
                     (PyObject *)Py_TYPE(arg));
        return NULL;
    }
    Py_BEGIN_CRITICAL_SECTION2(op, arg);
    swap_lock_held((Counter *)op, (Counter *)arg);
    Py_END_CRITICAL_SECTION2();
    Py_RETURN_NONE;
}

static PyObject *
counter_value(PyObject *op, void *Py_UNUSED(closure))
{
    Counter *self = (Counter *)op;
    long long value;
    Py_BEGIN_CRITICAL_SECTION(op);
    value = self->value;
    Py_END_CRITICAL_SECTION();
    return PyLong_FromLongLong(value);
}

/* Not tp_init: Python code could call that again on a shared counter. */
static PyObject *
counter_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    static char *keywords[] = {"value", NULL};
    long long value = 0;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|L:Counter", keywords,
                                     &value)) {
        return NULL;
    }
    PyObject *op = type->tp_alloc(type, 0);
    if (op != NULL) {
        ((Counter *)op)->value = value; /* not shared yet */
    }
    return op;
}

static int
counter_traverse(PyObject *op, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(op));
    return 0;
}

static void
counter_dealloc(PyObject *op)
{
    PyTypeObject *type = Py_TYPE(op);
    PyObject_GC_UnTrack(op);
    type->tp_free(op);
    Py_DECREF(type);
}

PyDoc_STRVAR(counter_doc,
"Counter(value=0)\n--\n\n"
"A signed 64-bit count. Thread safety: safe on shared objects.");

PyDoc_STRVAR(add_doc,
"add($self, amount, /)\n--\n\n"
"Add amount and return the new value. Past 64 bits: OverflowError.\n\n"
"Thread safety: atomic.");

PyDoc_STRVAR(swap_doc,
"swap($self, other, /)\n--\n\n"
"Exchange the values of two counters. Thread safety: atomic.");

static PyMethodDef counter_methods[] = {
    {"add", counter_add, METH_O, add_doc},
    {"swap", counter_swap, METH_O, swap_doc},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef counter_getset[] = {
    {"value", counter_value, NULL, "The value. Thread safety: atomic.", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot counter_slots[] = {
    {Py_tp_doc, (void *)counter_doc},
    {Py_tp_new, counter_new},
    {Py_tp_methods, counter_methods},
    {Py_tp_getset, counter_getset},
    {Py_tp_traverse, counter_traverse},
    {Py_tp_dealloc, counter_dealloc},
    {0, NULL},
};

static PyType_Spec counter_spec = {
    .name = "acme.Counter",
    .basicsize = sizeof(Counter),
    .flags =
        Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = counter_slots,
};

static int
core_exec(PyObject *module)
{
    PyObject *type = PyType_FromModuleAndSpec(module, &counter_spec, NULL);
    if (type == NULL) {
        return -1;
    }
    int result = PyModule_AddType(module, (PyTypeObject *)type);
    Py_DECREF(type);
    return result;
}

/* Without Py_mod_gil, a free-threaded Python that imports this module turns
 * the GIL on for the whole process. It is a promise that the locks keep. */
static PyModuleDef_Slot core_slots[] = {
    {Py_mod_exec, core_exec},
#ifdef Py_mod_gil /* since 3.13 */
    {Py_mod_gil, Py_MOD_GIL_NOT_USED},
#endif
    {0, NULL},
};

static struct PyModuleDef core_module = {
    PyModuleDef_HEAD_INIT,
    .m_name = "_core",
    .m_slots = core_slots,
};

PyMODINIT_FUNC
PyInit__core(void)
{
    return PyModuleDef_Init(&core_module);
}

/* acme._core: a counter that threads may share.
 *
 * Every access to a counter's value is in a critical section of that counter,
 * and an operation on two counters is in one of both. On a build with the GIL
 * a critical section is a plain block: there, the GIL is the lock. */

#include <Python.h>

#if PY_VERSION_HEX < 0x030D0000 /* critical sections are new in 3.13 */
#define Py_BEGIN_CRITICAL_SECTION(op) {
#define Py_END_CRITICAL_SECTION() }
#define Py_BEGIN_CRITICAL_SECTION2(a, b) {
#define Py_END_CRITICAL_SECTION2() }
#endif

typedef struct {
    PyObject_HEAD
    long long value; /* guarded by: critical section on self */
} Counter;

static PyObject *
counter_add(PyObject *op, PyObject *arg)
{
    Counter *self = (Counter *)op;
    long long amount = PyLong_AsLongLong(arg); /* may run Python code */
    long long value;
    int overflow;
    if (amount == -1 && PyErr_Occurred()) {
        return NULL;
    }
    Py_BEGIN_CRITICAL_SECTION(op);
    overflow = amount > 0 ? self->value > LLONG_MAX - amount
                          : self->value < LLONG_MIN - amount;
    if (!overflow) {
        self->value += amount;
    }
    value = self->value;
    Py_END_CRITICAL_SECTION();
    if (overflow) { /* not in the section: a return would keep the lock */
        PyErr_SetString(PyExc_OverflowError, "result exceeds 64 bits");
        return NULL;
    }
    return PyLong_FromLongLong(value);
}

static PyObject *
counter_swap(PyObject *op, PyObject *arg)
{
    Counter *self = (Counter *)op;
    Counter *other = (Counter *)arg;
    if (!Py_IS_TYPE(arg, Py_TYPE(op))) { /* Counter has no subclasses */
        PyErr_SetString(PyExc_TypeError, "swap() expected a Counter");
        return NULL;
    }
    Py_BEGIN_CRITICAL_SECTION2(op, arg);
    long long value = self->value;
    self->value = other->value;
    other->value = value;
    Py_END_CRITICAL_SECTION2();
    Py_RETURN_NONE;
}

static PyObject *
counter_value(PyObject *op, void *Py_UNUSED(closure))
{
    long long value;
    Py_BEGIN_CRITICAL_SECTION(op);
    value = ((Counter *)op)->value;
    Py_END_CRITICAL_SECTION();
    return PyLong_FromLongLong(value);
}

static int
counter_traverse(PyObject *op, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(op));
    return 0;
}

PyDoc_STRVAR(counter_doc,
"Counter()\n--\n\n"
"A signed 64-bit count from 0. Thread safety: safe on shared objects.");

PyDoc_STRVAR(add_doc,
"add($self, amount, /)\n--\n\n"
"Add amount and return the new value. Thread safety: atomic.");

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

/* For arguments of Counter(), add Py_tp_new rather than Py_tp_init: Python
 * code can call __init__() again, on a counter that other threads use. */
static PyType_Slot counter_slots[] = {
    {Py_tp_doc, (void *)counter_doc},
    {Py_tp_methods, counter_methods},
    {Py_tp_getset, counter_getset},
    {Py_tp_traverse, counter_traverse},
    {0, NULL},
};

static PyType_Spec counter_spec = {
    .name = "acme.Counter",
    .basicsize = sizeof(Counter),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC
             | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = counter_slots,
};

static int
core_exec(PyObject *module)
{
    PyObject *type = PyType_FromModuleAndSpec(module, &counter_spec, NULL);
    int result = PyModule_AddObjectRef(module, "Counter", type);
    Py_XDECREF(type);
    return result;
}

/* Py_mod_gil promises that the module needs no GIL. Without it, importing the
 * module turns the GIL on for the whole process. */
static PyModuleDef_Slot core_slots[] = {
    {Py_mod_exec, core_exec},
#ifdef Py_mod_gil /* new in 3.13 */
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

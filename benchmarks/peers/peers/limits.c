/* Lower bounds of the time of any extension: calls that do only part of what
 * ftdemo's calls do, each lock in a loop without Python, and work without
 * memory access. Loops take a number of steps; compare them with empty(). */

#include "args.h"

/* Keeps the compiler from removing the loop. */
#define KEEP() __asm__ volatile("" ::: "memory")

#define LOOP(name, ...)                                                       \
    static PyObject *loop_##name(PyObject *module, PyObject *arg)             \
    {                                                                         \
        uint64_t steps;                                                       \
        if (exact_count(arg, 0, &steps) < 0) {                                \
            return NULL;                                                      \
        }                                                                     \
        state *self = PyModule_GetState(module);                              \
        for (uint64_t i = 0; i < steps; i++) {                                \
            __VA_ARGS__                                                       \
            KEEP();                                                           \
        }                                                                     \
        (void)self;                                                           \
        Py_RETURN_NONE;                                                       \
    }

typedef struct {
    PyTypeObject *account_type;
    PyObject *a; /* two objects to lock */
    PyObject *b;
    PyMutex mutex;
    int64_t count;
} state;

LOOP(empty, )
LOOP(add, self->count++;)
LOOP(atomic_add, __atomic_fetch_add(&self->count, 1, __ATOMIC_SEQ_CST);)
LOOP(mutex, PyMutex_Lock(&self->mutex); KEEP(); PyMutex_Unlock(&self->mutex);)
LOOP(section, Py_BEGIN_CRITICAL_SECTION(self->a); KEEP();
     Py_END_CRITICAL_SECTION();)
LOOP(section2, Py_BEGIN_CRITICAL_SECTION2(self->a, self->b); KEEP();
     Py_END_CRITICAL_SECTION2();)

/* Uses only registers, detached: two threads are as fast as one if two cores
 * are free. */
static PyObject *
loop_detached(PyObject *Py_UNUSED(module), PyObject *arg)
{
    uint64_t steps;
    if (exact_count(arg, 0, &steps) < 0) {
        return NULL;
    }
    Py_BEGIN_ALLOW_THREADS
    for (uint64_t i = 0; i < steps; i++) {
        KEEP();
    }
    Py_END_ALLOW_THREADS
    Py_RETURN_NONE;
}

static PyObject *
account_nothing(PyObject *Py_UNUSED(op), PyObject *Py_UNUSED(arg))
{
    Py_RETURN_NONE;
}

static PyObject *
account_convert(PyObject *Py_UNUSED(op), PyObject *arg)
{
    uint64_t amount;
    if (exact_count(arg, 1, &amount) < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

static PyObject *
module_nothing(PyObject *Py_UNUSED(module), PyObject *const *Py_UNUSED(args),
               Py_ssize_t Py_UNUSED(nargs))
{
    Py_RETURN_NONE;
}

static PyObject *
module_convert(PyObject *module, PyObject *const *args, Py_ssize_t nargs)
{
    PyTypeObject *type = ((state *)PyModule_GetState(module))->account_type;
    uint64_t amount;
    if (check_nargs("convert", nargs, 3) < 0
        || check_type("convert", args[0], type) < 0
        || check_type("convert", args[1], type) < 0
        || exact_count(args[2], 1, &amount) < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

PyDoc_STRVAR(account_doc,
"Takes a call, and converts its argument as ftdemo's Account does.");

static PyMethodDef account_methods[] = {
    {"nothing", account_nothing, METH_O, NULL},
    {"convert", account_convert, METH_O, NULL},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot account_slots[] = {
    {Py_tp_doc, (void *)account_doc},
    {Py_tp_methods, account_methods},
    {0, NULL},
};

static PyType_Spec account_spec = {
    .name = "peers.limits.Account",
    .basicsize = sizeof(PyObject) + sizeof(int64_t),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = account_slots,
};

static PyMethodDef module_methods[] = {
    {"empty", loop_empty, METH_O, NULL},
    {"add", loop_add, METH_O, NULL},
    {"atomic_add", loop_atomic_add, METH_O, NULL},
    {"mutex", loop_mutex, METH_O, NULL},
    {"section", loop_section, METH_O, NULL},
    {"section2", loop_section2, METH_O, NULL},
    {"detached", loop_detached, METH_O, NULL},
    {"nothing", CFUNCTION(module_nothing), METH_FASTCALL, NULL},
    {"convert", CFUNCTION(module_convert), METH_FASTCALL, NULL},
    {NULL, NULL, 0, NULL},
};

static int
module_exec(PyObject *module)
{
    state *self = PyModule_GetState(module);
    self->account_type = (PyTypeObject *)PyType_FromModuleAndSpec(
        module, &account_spec, NULL);
    self->a = PyList_New(0);
    self->b = PyList_New(0);
    if (self->account_type == NULL || self->a == NULL || self->b == NULL) {
        return -1;
    }
    return PyModule_AddType(module, self->account_type);
}

static int
module_traverse(PyObject *module, visitproc visit, void *arg)
{
    state *self = PyModule_GetState_DuringGC(module);
    Py_VISIT(self->account_type);
    Py_VISIT(self->a);
    Py_VISIT(self->b);
    return 0;
}

static int
module_clear(PyObject *module)
{
    state *self = PyModule_GetState(module);
    Py_CLEAR(self->account_type);
    Py_CLEAR(self->a);
    Py_CLEAR(self->b);
    return 0;
}

static PyModuleDef_Slot module_slots[] = {
    {Py_mod_exec, module_exec},
    {Py_mod_gil, Py_MOD_GIL_NOT_USED},
    {0, NULL},
};

static struct PyModuleDef module_def = {
    PyModuleDef_HEAD_INIT,
    .m_name = "limits",
    .m_size = sizeof(state),
    .m_methods = module_methods,
    .m_slots = module_slots,
    .m_traverse = module_traverse,
    .m_clear = module_clear,
};

PyMODINIT_FUNC
PyInit_limits(void)
{
    return PyModuleDef_Init(&module_def);
}

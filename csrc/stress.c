/* Let threads make calls at the same moment, or one after the other.
 *
 * A race shows when calls overlap, and a call may take 10 ns. So threads meet
 * at a barrier that spins, then wait for a random time, then call.
 * No locks: the counters are atomic, and each Script belongs to one thread. A
 * thread that spins detaches now and then, so others can stop the world. */

#include "compat.h"

#ifdef MS_WINDOWS
#include <windows.h>
#else
#include <sched.h>
#endif

#ifdef _MSC_VER
#include <intrin.h>
typedef volatile __int64 counter_t;
#define counter_load(counter) _InterlockedOr64((counter), 0)
#define counter_add(counter, n) ((void)_InterlockedExchangeAdd64((counter), n))
#else
typedef int64_t counter_t;
#define counter_load(counter) __atomic_load_n((counter), __ATOMIC_ACQUIRE)
#define counter_add(counter, n)                                               \
    ((void)__atomic_fetch_add((counter), (n), __ATOMIC_ACQ_REL))
#endif

/* The number of reads of a counter before a thread yields: about 10 us. */
#define SPINS 2000

typedef struct {
    PyObject_HEAD
    int64_t threads;   /* constant after meetings_new() */
    counter_t arrived; /* atomic: arrivals at all barriers so far */
    counter_t turn;    /* atomic: calls of take_turns() that are over */
} Meetings;

/* The calls of one thread, and their outcomes. Only that thread uses it. */
typedef struct {
    PyObject *calls;    /* a tuple of tuples: a callable and its arguments */
    Py_ssize_t size;    /* the number of calls */
    Py_ssize_t each;    /* the number of calls after each barrier */
    PyObject *outcomes; /* a list: what each call returned or raised */
    PyObject *raised;   /* bytes: 1 for each call that raised */
    int keep;           /* false: keep no outcome except a SystemError */
} Script;

static void
give_way(void)
{
    Py_BEGIN_ALLOW_THREADS
#ifdef MS_WINDOWS
    SwitchToThread();
#else
    sched_yield();
#endif
    Py_END_ALLOW_THREADS
}

static inline void
wait_for(counter_t *counter, int64_t value)
{
    int spins = 0;
    while (counter_load(counter) < value) {
        if (++spins == SPINS) {
            spins = 0;
            give_way();
        }
    }
}

/* xorshift64: G. Marsaglia, Xorshift RNGs, 2003. */
static inline uint64_t
next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

static inline void
spin(uint64_t steps)
{
    for (volatile uint64_t step = 0; step < steps; step++) {
    }
}

/* Tells whether a call returned a freed object: PYTHONMALLOC=debug fills freed
 * memory with this byte. Using such an object may crash much later. */
static inline int
is_freed(PyObject *outcome)
{
    return (uintptr_t)Py_TYPE(outcome) == UINTPTR_MAX / 0xFF * 0xDD;
}

static void
call_one(Script *script, Py_ssize_t index)
{
    PyObject *call = PyTuple_GET_ITEM(script->calls, index);
    PyObject *const *items = &PyTuple_GET_ITEM(call, 0);
    PyObject *outcome = PyObject_Vectorcall(
        items[0], items + 1, (size_t)(PyTuple_GET_SIZE(call) - 1), NULL);
    int keep = script->keep;
    if (outcome == NULL) {
        keep = keep || PyErr_ExceptionMatches(PyExc_SystemError);
        outcome = PyErr_GetRaisedException();
        PyBytes_AS_STRING(script->raised)[index] = 1;
    }
    else if (is_freed(outcome)) {
        Py_FatalError("a call returned an object that has been freed");
    }
    if (keep) {
        (void)PyList_SetItem(script->outcomes, index, outcome);
    }
    else {
        Py_DECREF(outcome);
    }
}

static int
script_init(Script *script)
{
    script->size = PyTuple_GET_SIZE(script->calls);
    if (script->each < 1 || script->size % script->each != 0) {
        PyErr_SetString(PyExc_ValueError,
                        "the number of calls must be a multiple of each");
        return -1;
    }
    for (Py_ssize_t i = 0; i < script->size; i++) {
        PyObject *call = PyTuple_GET_ITEM(script->calls, i);
        if (!PyTuple_CheckExact(call) || PyTuple_GET_SIZE(call) < 1) {
            PyErr_SetString(PyExc_TypeError,
                            "a call must be a tuple: callable, arguments...");
            return -1;
        }
    }
    script->raised = PyBytes_FromStringAndSize(NULL, script->size);
    script->outcomes = PyList_New(script->size);
    if (script->raised == NULL || script->outcomes == NULL) {
        Py_XDECREF(script->raised);
        Py_XDECREF(script->outcomes);
        return -1;
    }
    memset(PyBytes_AS_STRING(script->raised), 0, (size_t)script->size);
    for (Py_ssize_t i = 0; i < script->size; i++) {
        (void)PyList_SetItem(script->outcomes, i, Py_NewRef(Py_None));
    }
    return 0;
}

PyDoc_STRVAR(meetings_collide_doc,
"collide($self, calls, each, phase=0, seed=1, keep=True, /)\n--\n\n"
"Call at the same time as the other threads; return (outcomes, raised).\n\n"
"Each thread calls this method once, and all reach the same number of\n"
"barriers. calls is a tuple of tuples: a callable and its arguments. After a\n"
"barrier, the thread waits for a random time of up to phase steps, and makes\n"
"the next `each` calls. outcomes is a list of what each call returned, or\n"
"raised if raised[i] is 1; with keep=False, it has None instead, except for\n"
"a SystemError. Raises TypeError or ValueError before the first barrier.\n"
"Thread safety: safe on shared objects.");

static PyObject *
meetings_collide(PyObject *op, PyObject *args)
{
    Meetings *self = (Meetings *)op;
    Script script = {.keep = 1};
    unsigned long long phase = 0;
    unsigned long long seed = 1;
    if (!PyArg_ParseTuple(args, "O!n|KKp:collide", &PyTuple_Type,
                          &script.calls, &script.each, &phase, &seed,
                          &script.keep)
        || script_init(&script) < 0) {
        return NULL;
    }
    uint64_t random = seed * 2 + 1; /* never 0, where xorshift stays */
    int64_t arrivals = 0;
    for (Py_ssize_t i = 0; i < script.size; i += script.each) {
        uint64_t steps = phase ? next_random(&random) % phase : 0;
        arrivals += self->threads;
        counter_add(&self->arrived, 1);
        wait_for(&self->arrived, arrivals);
        spin(steps);
        for (Py_ssize_t j = i; j < i + script.each; j++) {
            call_one(&script, j);
        }
    }
    return Py_BuildValue("(NN)", script.outcomes, script.raised);
}

PyDoc_STRVAR(meetings_take_turns_doc,
"take_turns($self, calls, turns, total, keep=True, /)\n--\n\n"
"Call in turn with the other threads; return (outcomes, raised).\n\n"
"The same as collide(), but only one thread calls at a time. All threads\n"
"together make total calls on one object; turns has the numbers, from 0 on,\n"
"of those that this thread makes. Blocks until it is the thread's turn.\n"
"Thread safety: safe on shared objects.");

static PyObject *
meetings_take_turns(PyObject *op, PyObject *args)
{
    Meetings *self = (Meetings *)op;
    Script script = {.keep = 1};
    PyObject *turns;
    long long total;
    if (!PyArg_ParseTuple(args, "O!O!L|p:take_turns", &PyTuple_Type,
                          &script.calls, &PyTuple_Type, &turns, &total,
                          &script.keep)) {
        return NULL;
    }
    script.each = PyTuple_GET_SIZE(turns);
    for (Py_ssize_t j = 0; j < script.each; j++) {
        long long turn = PyLong_AsLongLong(PyTuple_GET_ITEM(turns, j));
        if (turn < 0 || turn >= total) {
            if (!PyErr_Occurred()) {
                PyErr_SetString(PyExc_ValueError, "no such turn");
            }
            return NULL;
        }
    }
    if (script_init(&script) < 0) {
        return NULL;
    }
    int64_t before = 0; /* turns on the objects before this one */
    for (Py_ssize_t i = 0; i < script.size; i += script.each) {
        for (Py_ssize_t j = 0; j < script.each; j++) {
            int64_t turn = PyLong_AsLongLong(PyTuple_GET_ITEM(turns, j));
            wait_for(&self->turn, before + turn);
            call_one(&script, i + j);
            counter_add(&self->turn, 1);
        }
        before += total;
    }
    return Py_BuildValue("(NN)", script.outcomes, script.raised);
}

static PyObject *
meetings_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    char *keywords[] = {"threads", NULL};
    long long threads;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "L:Meetings", keywords,
                                     &threads)) {
        return NULL;
    }
    if (threads < 1) {
        PyErr_SetString(PyExc_ValueError, "threads must be at least 1");
        return NULL;
    }
    PyObject *op = type->tp_alloc(type, 0);
    if (op != NULL) {
        ((Meetings *)op)->threads = threads; /* not shared yet */
    }
    return op;
}

static void
meetings_dealloc(PyObject *op)
{
    PyTypeObject *type = Py_TYPE(op);
    type->tp_free(op);
    Py_DECREF(type);
}

PyDoc_STRVAR(meetings_doc,
"Meetings(threads)\n--\n\n"
"Barriers for this number of threads, and calls at the same time.\n\n"
"Thread safety: safe on shared objects.");

static PyMethodDef meetings_methods[] = {
    {"collide", meetings_collide, METH_VARARGS, meetings_collide_doc},
    {"take_turns", meetings_take_turns, METH_VARARGS, meetings_take_turns_doc},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot meetings_slots[] = {
    {Py_tp_doc, (void *)meetings_doc},
    {Py_tp_new, meetings_new},
    {Py_tp_dealloc, meetings_dealloc},
    {Py_tp_methods, meetings_methods},
    {0, NULL},
};

static PyType_Spec meetings_spec = {
    .name = "ftdemo._stress.Meetings",
    .basicsize = sizeof(Meetings),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = meetings_slots,
};

PyDoc_STRVAR(spin_doc,
"spin($module, steps, /)\n--\n\n"
"Wait for this number of steps, to measure how long a step takes.\n\n"
"Thread safety: atomic.");

static PyObject *
stress_spin(PyObject *Py_UNUSED(module), PyObject *arg)
{
    unsigned long long steps = PyLong_AsUnsignedLongLong(arg);
    if (PyErr_Occurred()) {
        return NULL;
    }
    spin(steps);
    Py_RETURN_NONE;
}

static PyMethodDef module_functions[] = {
    {"spin", stress_spin, METH_O, spin_doc},
    {NULL, NULL, 0, NULL},
};

static int
module_exec(PyObject *module)
{
    PyObject *type = PyType_FromModuleAndSpec(module, &meetings_spec, NULL);
    if (type == NULL) {
        return -1;
    }
    int result = PyModule_AddType(module, (PyTypeObject *)type);
    Py_DECREF(type);
    return result;
}

static PyModuleDef_Slot module_slots[] = {
    {Py_mod_exec, module_exec},
#if PY_VERSION_HEX >= 0x030C0000
    {Py_mod_multiple_interpreters, Py_MOD_PER_INTERPRETER_GIL_SUPPORTED},
#endif
#if PY_VERSION_HEX >= 0x030D0000
    {Py_mod_gil, Py_MOD_GIL_NOT_USED},
#endif
    {0, NULL},
};

static struct PyModuleDef module_def = {
    PyModuleDef_HEAD_INIT,
    .m_name = "_stress",
    .m_doc = PyDoc_STR("Threads that call at the same moment."),
    .m_methods = module_functions,
    .m_slots = module_slots,
};

PyMODINIT_FUNC
PyInit__stress(void)
{
    return PyModuleDef_Init(&module_def);
}

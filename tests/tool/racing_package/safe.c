/* Types that are safe to share, but hard to judge: `ftdemo stress` must report
 * no finding, and must list operations that it cannot test. __init__.py says
 * why each is hard. */

#define MODULE safe
#include "racing.h"
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#ifdef _WIN32
#include <io.h>
#include <process.h>
#define close _close
#else
#include <unistd.h>
#endif

#ifdef _MSC_VER
#define THREAD_LOCAL __declspec(thread)
#else
#define THREAD_LOCAL _Thread_local
#endif

/* A type with no more than one locked or atomic number. */
typedef struct {
    PyObject_HEAD
    PyMutex mutex;
    long n; /* guarded by: mutex */
} Number;

static long
number_add(PyObject *op, long added)
{
    Number *self = (Number *)op;
    PyMutex_Lock(&self->mutex);
    self->n += added;
    long n = self->n;
    PyMutex_Unlock(&self->mutex);
    return n;
}

/* === Results that vary === */

/* Each caller gets another number, which depends on the order of calls. */
typedef Number LockedTickets;

static PyObject *
locked_tickets_take(PyObject *op, PyObject *Py_UNUSED(ignored))
{
    return PyLong_FromLong(number_add(op, 1));
}

METHODS(LockedTickets,
    {"take", locked_tickets_take, METH_NOARGS, "take($self, /)\n--\n\n"});
TYPE(LockedTickets, "LockedTickets()\n--\n\n",
    {Py_tp_methods, LockedTickets_methods});

/* The same without a lock. */
typedef struct {
    PyObject_HEAD
    int64_t n; /* atomic */
} AtomicTickets;

static PyObject *
atomic_tickets_take(PyObject *op, PyObject *Py_UNUSED(ignored))
{
    AtomicTickets *self = (AtomicTickets *)op;
    return PyLong_FromLongLong(_Py_atomic_add_int64(&self->n, 1) + 1);
}

METHODS(AtomicTickets,
    {"take", atomic_tickets_take, METH_NOARGS, "take($self, /)\n--\n\n"});
TYPE(AtomicTickets, "AtomicTickets()\n--\n\n",
    {Py_tp_methods, AtomicTickets_methods});

/* random() differs each time; rare() is True once in 500 times. */
static uint64_t random_state = 88172645463325252u; /* atomic */

static uint64_t
next_random(void)
{
    uint64_t x =
        _Py_atomic_add_uint64(&random_state, 0x9E3779B97F4A7C15u);
    x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9u;
    x = (x ^ (x >> 27)) * 0x94D049BB133111EBu;
    return x ^ (x >> 31);
}

typedef struct {
    PyObject_HEAD
} RandomValues;

static PyObject *
random_values_random(PyObject *Py_UNUSED(op), PyObject *Py_UNUSED(ignored))
{
    return PyFloat_FromDouble((double)(next_random() >> 11) / (1ull << 53));
}

METHODS(RandomValues,
    {"random", random_values_random, METH_NOARGS, "random($self, /)\n--\n\n"});
TYPE(RandomValues, "RandomValues()\n--\n\n",
    {Py_tp_methods, RandomValues_methods});

typedef struct {
    PyObject_HEAD
} RareValues;

static PyObject *
rare_values_rare(PyObject *Py_UNUSED(op), PyObject *Py_UNUSED(ignored))
{
    return PyBool_FromLong(next_random() % 500 == 0);
}

METHODS(RareValues,
    {"rare", rare_values_rare, METH_NOARGS, "rare($self, /)\n--\n\n"});
TYPE(RareValues, "RareValues()\n--\n\n", {Py_tp_methods, RareValues_methods});

/* Fails now and then, also in one thread, and each time in another way. */
typedef struct {
    PyObject_HEAD
} FailsAtRandom;

static PyObject *
fails_at_random_attempt(PyObject *Py_UNUSED(op), PyObject *Py_UNUSED(ignored))
{
    PyObject *const exceptions[] = {PyExc_ValueError, PyExc_KeyError,
                                    PyExc_OSError, PyExc_RuntimeError};
    uint64_t n = next_random() % 8;
    if (n >= Py_ARRAY_LENGTH(exceptions)) {
        Py_RETURN_NONE;
    }
    PyErr_SetString(exceptions[n], "bad luck");
    return NULL;
}

METHODS(FailsAtRandom, {"attempt", fails_at_random_attempt, METH_NOARGS,
                        "attempt($self, /)\n--\n\n"});
TYPE(FailsAtRandom, "FailsAtRandom()\n--\n\n",
    {Py_tp_methods, FailsAtRandom_methods});

/* The time in nanoseconds; the age of the object in milliseconds. */
typedef struct {
    PyObject_HEAD
    PyTime_t made; /* constant after time_stamps_new() */
} TimeStamps;

static PyTime_t
now(void)
{
    PyTime_t time = 0;
    (void)PyTime_MonotonicRaw(&time);
    return time;
}

static PyObject *
time_stamps_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    char *keywords[] = {NULL};
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "", keywords)) {
        return NULL;
    }
    PyObject *op = PyType_GenericAlloc(type, 0);
    if (op != NULL) {
        ((TimeStamps *)op)->made = now();
    }
    return op;
}

static PyObject *
time_stamps_now(PyObject *Py_UNUSED(op), PyObject *Py_UNUSED(ignored))
{
    return PyLong_FromLongLong(now());
}

static PyObject *
time_stamps_age(PyObject *op, PyObject *Py_UNUSED(ignored))
{
    return PyLong_FromLongLong((now() - ((TimeStamps *)op)->made) / 1000000);
}

METHODS(TimeStamps,
    {"now", time_stamps_now, METH_NOARGS, "now($self, /)\n--\n\n"},
    {"age", time_stamps_age, METH_NOARGS, "age($self, /)\n--\n\n"});
TYPE(TimeStamps, "TimeStamps()\n--\n\n",
    {Py_tp_new, time_stamps_new},
    {Py_tp_methods, TimeStamps_methods});

/* repr() contains the address, as object's repr() does; so does address(). */
typedef struct {
    PyObject_HEAD
} AddressInRepr;

static PyObject *
address_in_repr_repr(PyObject *op)
{
    return PyUnicode_FromFormat("<racing.safe.AddressInRepr at %p>", op);
}

static PyObject *
address_in_repr_address(PyObject *op, PyObject *Py_UNUSED(ignored))
{
    return PyLong_FromVoidPtr(op);
}

METHODS(AddressInRepr, {"address", address_in_repr_address, METH_NOARGS,
                        "address($self, /)\n--\n\n"});
TYPE(AddressInRepr, "AddressInRepr()\n--\n\n",
    {Py_tp_repr, address_in_repr_repr},
    {Py_tp_methods, AddressInRepr_methods});

/* A new object each time: of type object, or of this type. */
typedef struct {
    PyObject_HEAD
} FreshObjects;

static PyObject *
fresh_objects_make(PyObject *Py_UNUSED(op), PyObject *Py_UNUSED(ignored))
{
    return PyObject_CallNoArgs((PyObject *)&PyBaseObject_Type);
}

static PyObject *
fresh_objects_copy(PyObject *op, PyObject *Py_UNUSED(ignored))
{
    return PyType_GenericAlloc(Py_TYPE(op), 0);
}

METHODS(FreshObjects,
    {"make", fresh_objects_make, METH_NOARGS, "make($self, /)\n--\n\n"},
    {"copy", fresh_objects_copy, METH_NOARGS, "copy($self, /)\n--\n\n"});
TYPE(FreshObjects, "FreshObjects()\n--\n\n",
    {Py_tp_methods, FreshObjects_methods});

/* The calling thread's identifier. */
typedef struct {
    PyObject_HEAD
} ThreadIdentity;

static PyObject *
thread_identity_ident(PyObject *Py_UNUSED(op), PyObject *Py_UNUSED(ignored))
{
    return PyLong_FromUnsignedLong(PyThread_get_thread_ident());
}

METHODS(ThreadIdentity, {"ident", thread_identity_ident, METH_NOARGS,
                         "ident($self, /)\n--\n\n"});
TYPE(ThreadIdentity, "ThreadIdentity()\n--\n\n",
    {Py_tp_methods, ThreadIdentity_methods});

/* The last error is per thread, like errno. */
static THREAD_LOCAL long last_error;

typedef struct {
    PyObject_HEAD
} LastError;

static PyObject *
last_error_fail(PyObject *Py_UNUSED(op), PyObject *arg)
{
    long n;
    if (!as_number(arg, 1000, &n)) {
        return NULL;
    }
    last_error = n;
    Py_RETURN_NONE;
}

static PyObject *
last_error_last(PyObject *Py_UNUSED(op), PyObject *Py_UNUSED(ignored))
{
    return PyLong_FromLong(last_error);
}

METHODS(LastError,
    {"fail", last_error_fail, METH_O, "fail($self, n, /)\n--\n\n"},
    {"last", last_error_last, METH_NOARGS, "last($self, /)\n--\n\n"});
TYPE(LastError, "LastError()\n--\n\n", {Py_tp_methods, LastError_methods});

/* One counter for all objects: results are the number of calls so far. Each
 * object gets a number, too, and every 1000th result has another type. */
static int64_t all_calls; /* atomic */

typedef struct {
    PyObject_HEAD
    int64_t serial; /* constant after counts_all_calls_new() */
} CountsAllCalls;

static PyObject *
counts_all_calls_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    char *keywords[] = {NULL};
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "", keywords)) {
        return NULL;
    }
    PyObject *op = PyType_GenericAlloc(type, 0);
    if (op != NULL) {
        ((CountsAllCalls *)op)->serial = _Py_atomic_add_int64(&all_calls, 1);
    }
    return op;
}

static PyObject *
counts_all_calls_call(PyObject *Py_UNUSED(op), PyObject *Py_UNUSED(ignored))
{
    int64_t n = _Py_atomic_add_int64(&all_calls, 1);
    if (n % 1000 == 0) {
        return PyUnicode_FromFormat("call %lld", (long long)n);
    }
    return PyLong_FromLongLong(n);
}

static PyObject *
counts_all_calls_serial(PyObject *op, void *Py_UNUSED(closure))
{
    return PyLong_FromLongLong(((CountsAllCalls *)op)->serial);
}

METHODS(CountsAllCalls, {"call", counts_all_calls_call, METH_NOARGS,
                         "call($self, /)\n--\n\n"});
GETSET(CountsAllCalls,
    {"serial", counts_all_calls_serial, NULL, NULL, NULL});
TYPE(CountsAllCalls, "CountsAllCalls()\n--\n\n",
    {Py_tp_new, counts_all_calls_new},
    {Py_tp_methods, CountsAllCalls_methods},
    {Py_tp_getset, CountsAllCalls_getset});

/* Sets, and lists of their items in the order of hashes, here of addresses. */
typedef struct {
    PyObject_HEAD
} HashOrder;

static PyObject *
hash_order_names(PyObject *Py_UNUSED(op), PyObject *Py_UNUSED(ignored))
{
    PyObject *names = Py_BuildValue("sssss", "a", "b", "c", "d", "e");
    PyObject *result = names == NULL ? NULL : PySet_New(names);
    Py_XDECREF(names);
    return result;
}

static PyObject *
hash_order_listed(PyObject *Py_UNUSED(op), PyObject *Py_UNUSED(ignored))
{
    PyObject *items[8] = {NULL};
    PyObject *result = PyList_New(0);
    PyObject *set = PySet_New(NULL);
    if (result == NULL || set == NULL) {
        goto error;
    }
    for (int i = 0; i < 8; i++) {
        items[i] = PyType_GenericAlloc(&PyBaseObject_Type, 0);
        if (items[i] == NULL || PySet_Add(set, items[i]) < 0) {
            goto error;
        }
    }
    while (PySet_GET_SIZE(set) > 0) {
        PyObject *item = PySet_Pop(set);
        for (long i = 0; i < 8; i++) {
            PyObject *number = item == items[i] ? PyLong_FromLong(i) : NULL;
            if (number != NULL) {
                (void)PyList_Append(result, number);
                Py_DECREF(number);
            }
        }
        Py_DECREF(item);
    }
    goto done;
error:
    Py_CLEAR(result);
done:
    for (int i = 0; i < 8; i++) {
        Py_XDECREF(items[i]);
    }
    Py_XDECREF(set);
    return result;
}

METHODS(HashOrder,
    {"names", hash_order_names, METH_NOARGS, "names($self, /)\n--\n\n"},
    {"listed", hash_order_listed, METH_NOARGS, "listed($self, /)\n--\n\n"});
TYPE(HashOrder, "HashOrder()\n--\n\n", {Py_tp_methods, HashOrder_methods});

/* The number of references, including those of the driver. */
typedef struct {
    PyObject_HEAD
} ReferenceCount;

static PyObject *
reference_count_references(PyObject *op, PyObject *Py_UNUSED(ignored))
{
    return PyLong_FromSsize_t(Py_REFCNT(op));
}

METHODS(ReferenceCount, {"references", reference_count_references,
                         METH_NOARGS, "references($self, /)\n--\n\n"});
TYPE(ReferenceCount, "ReferenceCount()\n--\n\n",
    {Py_tp_methods, ReferenceCount_methods});

/* nan and some objects here are not equal to themselves; for some others,
 * comparing raises an exception. */
typedef struct {
    PyObject_HEAD
} UnequalToItself;

static PyObject *
unequal_to_itself_compare(PyObject *Py_UNUSED(op), PyObject *Py_UNUSED(other),
                          int Py_UNUSED(how))
{
    Py_RETURN_FALSE;
}

static PyObject *
unequal_to_itself_nan(PyObject *Py_UNUSED(op), PyObject *Py_UNUSED(ignored))
{
    return PyFloat_FromDouble(Py_NAN);
}

static PyObject *
unequal_to_itself_self(PyObject *op, PyObject *Py_UNUSED(ignored))
{
    return Py_NewRef(op);
}

METHODS(UnequalToItself,
    {"nan", unequal_to_itself_nan, METH_NOARGS, "nan($self, /)\n--\n\n"},
    {"self", unequal_to_itself_self, METH_NOARGS, "self($self, /)\n--\n\n"});
TYPE(UnequalToItself, "UnequalToItself()\n--\n\n",
    {Py_tp_hash, PyObject_HashNotImplemented},
    {Py_tp_richcompare, unequal_to_itself_compare},
    {Py_tp_methods, UnequalToItself_methods});

typedef struct {
    PyObject_HEAD
} NotToBeLookedAt;

static PyObject *
not_to_be_looked_at_repr(PyObject *Py_UNUSED(op))
{
    PyErr_SetString(PyExc_RuntimeError, "no repr");
    return NULL;
}

static PyObject *
not_to_be_looked_at_compare(PyObject *Py_UNUSED(op),
                            PyObject *Py_UNUSED(other), int Py_UNUSED(how))
{
    PyErr_SetString(PyExc_RuntimeError, "no comparison");
    return NULL;
}

static Py_hash_t
not_to_be_looked_at_hash(PyObject *Py_UNUSED(op))
{
    PyErr_SetString(PyExc_RuntimeError, "no hash");
    return -1;
}

static PyObject *
not_to_be_looked_at_another(PyObject *op, PyObject *Py_UNUSED(ignored))
{
    return PyType_GenericAlloc(Py_TYPE(op), 0);
}

METHODS(NotToBeLookedAt, {"another", not_to_be_looked_at_another, METH_NOARGS,
                          "another($self, /)\n--\n\n"});
TYPE(NotToBeLookedAt, "NotToBeLookedAt()\n--\n\n",
    {Py_tp_repr, not_to_be_looked_at_repr},
    {Py_tp_hash, not_to_be_looked_at_hash},
    {Py_tp_richcompare, not_to_be_looked_at_compare},
    {Py_tp_methods, NotToBeLookedAt_methods});

/* A list that contains itself, one of 100,000 numbers, and an iterator of
 * iterators of iterators. */
typedef struct {
    PyObject_HEAD
} BoundlessResults;

static PyObject *
boundless_results_itself(PyObject *Py_UNUSED(op), PyObject *Py_UNUSED(ignored))
{
    PyObject *list = PyList_New(0);
    if (list != NULL && PyList_Append(list, list) < 0) {
        Py_CLEAR(list);
    }
    return list;
}

static PyObject *
boundless_results_long(PyObject *Py_UNUSED(op), PyObject *Py_UNUSED(ignored))
{
    PyObject *list = PyList_New(100000);
    for (Py_ssize_t i = 0; list != NULL && i < 100000; i++) {
        PyObject *number = PyLong_FromSsize_t(i);
        if (number == NULL) {
            Py_CLEAR(list);
            break;
        }
        PyList_SET_ITEM(list, i, number);
    }
    return list;
}

static PyObject *
boundless_results_next(PyObject *op)
{
    return PyType_GenericAlloc(Py_TYPE(op), 0);
}

METHODS(BoundlessResults,
    {"itself", boundless_results_itself, METH_NOARGS,
     "itself($self, /)\n--\n\n"},
    {"long", boundless_results_long, METH_NOARGS, "long($self, /)\n--\n\n"});
TYPE(BoundlessResults, "BoundlessResults()\n--\n\n",
    {Py_tp_iter, PyObject_SelfIter},
    {Py_tp_iternext, boundless_results_next},
    {Py_tp_methods, BoundlessResults_methods});

/* 0, 1, 2 ... for ever */
typedef Number NeverEnds;

static PyObject *
never_ends_next(PyObject *op)
{
    return PyLong_FromLong(number_add(op, 1) - 1);
}

TYPE(NeverEnds, "NeverEnds()\n--\n\n",
    {Py_tp_iter, PyObject_SelfIter},
    {Py_tp_iternext, never_ends_next});

/* === Containers, locks, references === */

/* One operation changes the ints of two objects. */
typedef Number SwapsLocked;

static PyObject *
swaps_locked_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    char *keywords[] = {"n", NULL};
    long n = 1;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|l", keywords, &n)) {
        return NULL;
    }
    PyObject *op = PyType_GenericAlloc(type, 0);
    if (op != NULL) {
        ((Number *)op)->n = n;
    }
    return op;
}

static PyObject *
swaps_locked_swap(PyObject *op, PyObject *other_op)
{
    if (Py_TYPE(op) != Py_TYPE(other_op)) {
        PyErr_SetString(PyExc_TypeError, "not an object of this type");
        return NULL;
    }
    Number *self = (Number *)op;
    Number *other = (Number *)other_op;
    Py_BEGIN_CRITICAL_SECTION2(op, other_op);
    long n = self->n;
    linger();
    self->n = other->n;
    other->n = n;
    Py_END_CRITICAL_SECTION2();
    Py_RETURN_NONE;
}

static PyObject *
swaps_locked_take(PyObject *op, PyObject *other_op)
{
    if (Py_TYPE(op) != Py_TYPE(other_op)) {
        PyErr_SetString(PyExc_TypeError, "not an object of this type");
        return NULL;
    }
    Number *self = (Number *)op;
    Number *other = (Number *)other_op;
    Py_BEGIN_CRITICAL_SECTION2(op, other_op);
    long n = other->n;
    other->n = 0;
    linger();
    self->n += n;
    Py_END_CRITICAL_SECTION2();
    Py_RETURN_NONE;
}

static PyObject *
swaps_locked_n(PyObject *op, void *Py_UNUSED(closure))
{
    long n;
    Py_BEGIN_CRITICAL_SECTION(op);
    n = ((Number *)op)->n;
    Py_END_CRITICAL_SECTION();
    return PyLong_FromLong(n);
}

METHODS(SwapsLocked,
    {"swap", swaps_locked_swap, METH_O, "swap($self, other, /)\n--\n\n"},
    {"take", swaps_locked_take, METH_O, "take($self, other, /)\n--\n\n"});
GETSET(SwapsLocked, {"n", swaps_locked_n, NULL, NULL, NULL});
TYPE(SwapsLocked, "SwapsLocked(n=1)\n--\n\n",
    {Py_tp_new, swaps_locked_new},
    {Py_tp_methods, SwapsLocked_methods},
    {Py_tp_getset, SwapsLocked_getset});

/* A type that keeps its items in a list, which is safe. */
typedef struct {
    PyObject_HEAD
    PyObject *items; /* constant after holder_new() */
    long changes;    /* guarded by: critical section on self */
    PyObject *weakrefs;
} Holder;

static PyObject *
holder_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    char *keywords[] = {NULL};
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "", keywords)) {
        return NULL;
    }
    PyObject *op = PyType_GenericAlloc(type, 0);
    if (op != NULL) {
        ((Holder *)op)->items = PyList_New(0);
        if (((Holder *)op)->items == NULL) {
            Py_CLEAR(op);
        }
    }
    return op;
}

static int
holder_traverse(PyObject *op, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(op));
    Py_VISIT(((Holder *)op)->items);
    return 0;
}

static int
holder_clear(PyObject *op)
{
    Py_CLEAR(((Holder *)op)->items);
    return 0;
}

static void
holder_dealloc(PyObject *op)
{
    PyObject_GC_UnTrack(op);
    if (((Holder *)op)->weakrefs != NULL) {
        PyObject_ClearWeakRefs(op);
    }
    (void)holder_clear(op);
    free_object(op);
}

static PyObject *
holder_append(PyObject *op, PyObject *item)
{
    Holder *self = (Holder *)op;
    int result;
    Py_BEGIN_CRITICAL_SECTION(op);
    result = PyList_Append(self->items, item);
    self->changes++;
    Py_END_CRITICAL_SECTION();
    if (result < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

static Py_ssize_t
holder_length(PyObject *op)
{
    return PyList_Size(((Holder *)op)->items);
}

#define HOLDER_SLOTS                                                          \
    {Py_tp_new, holder_new},                                                  \
    {Py_tp_traverse, holder_traverse},                                        \
    {Py_tp_clear, holder_clear},                                              \
    {Py_tp_dealloc, holder_dealloc},                                          \
    {Py_sq_length, holder_length}
#define APPEND                                                                \
    {"append", holder_append, METH_O, "append($self, item, /)\n--\n\n"}

/* RuntimeError if the list has changed since the iteration began. */
typedef Holder RaisesWhenChanged;

typedef struct {
    PyObject_HEAD
    PyObject *list;  /* a RaisesWhenChanged, constant */
    long changes;    /* constant */
    Py_ssize_t next; /* guarded by: critical section on list */
} RaisesWhenChangedIterator;

static PyObject *
raises_when_changed_iter(PyObject *op);

static PyObject *
raises_when_changed_next(PyObject *op)
{
    RaisesWhenChangedIterator *self = (RaisesWhenChangedIterator *)op;
    Holder *list = (Holder *)self->list;
    PyObject *item = NULL;
    bool changed;
    Py_BEGIN_CRITICAL_SECTION(self->list);
    changed = self->changes != list->changes;
    if (!changed && self->next < PyList_GET_SIZE(list->items)) {
        item = Py_NewRef(PyList_GET_ITEM(list->items, self->next++));
    }
    Py_END_CRITICAL_SECTION();
    if (changed) {
        PyErr_SetString(PyExc_RuntimeError, "changed during iteration");
    }
    return item;
}

static int
raises_when_changed_traverse(PyObject *op, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(op));
    Py_VISIT(((RaisesWhenChangedIterator *)op)->list);
    return 0;
}

static void
raises_when_changed_dealloc(PyObject *op)
{
    PyObject_GC_UnTrack(op);
    Py_XDECREF(((RaisesWhenChangedIterator *)op)->list);
    free_object(op);
}

METHODS(RaisesWhenChanged, APPEND);
TYPE_WITH_FLAGS(RaisesWhenChanged, Py_TPFLAGS_HAVE_GC,
    "RaisesWhenChanged()\n--\n\n",
    HOLDER_SLOTS,
    {Py_tp_iter, raises_when_changed_iter},
    {Py_tp_methods, RaisesWhenChanged_methods});
TYPE_WITH_FLAGS(RaisesWhenChangedIterator,
    Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_DISALLOW_INSTANTIATION, "",
    {Py_tp_iter, PyObject_SelfIter},
    {Py_tp_iternext, raises_when_changed_next},
    {Py_tp_traverse, raises_when_changed_traverse},
    {Py_tp_dealloc, raises_when_changed_dealloc});

static struct PyModuleDef module_def;

static PyObject *
raises_when_changed_iter(PyObject *op)
{
    PyObject *module = PyType_GetModuleByDef(Py_TYPE(op), &module_def);
    if (module == NULL) {
        return NULL;
    }
    PyTypeObject **types = PyModule_GetState(module);
    RaisesWhenChangedIterator *iterator =
        (RaisesWhenChangedIterator *)PyType_GenericAlloc(types[0], 0);
    if (iterator != NULL) {
        iterator->list = Py_NewRef(op);
        Py_BEGIN_CRITICAL_SECTION(op);
        iterator->changes = ((Holder *)op)->changes;
        Py_END_CRITICAL_SECTION();
    }
    return (PyObject *)iterator;
}

/* Keeps all arguments: it grows without end, on purpose. */
typedef Holder GrowsByDesign;

METHODS(GrowsByDesign, APPEND);
TYPE_WITH_FLAGS(GrowsByDesign, Py_TPFLAGS_HAVE_GC, "GrowsByDesign()\n--\n\n",
    HOLDER_SLOTS,
    {Py_tp_methods, GrowsByDesign_methods});

/* Calls f without a lock: f may do anything, also with self. */
typedef Holder CallsBack;

static PyObject *
calls_back_apply(PyObject *op, PyObject *f)
{
    PyObject *items = PySequence_List(((Holder *)op)->items);
    if (items == NULL) {
        return NULL;
    }
    Py_ssize_t n = PyList_GET_SIZE(items);
    for (Py_ssize_t i = 0; i < n; i++) {
        PyObject *result =
            PyObject_CallOneArg(f, PyList_GET_ITEM(items, i));
        if (result == NULL) {
            Py_DECREF(items);
            return NULL;
        }
        Py_DECREF(result);
    }
    Py_DECREF(items);
    return PyLong_FromSsize_t(n);
}

METHODS(CallsBack, APPEND,
    {"apply", calls_back_apply, METH_O, "apply($self, f, /)\n--\n\n"});
TYPE_WITH_FLAGS(CallsBack, Py_TPFLAGS_HAVE_GC, "CallsBack()\n--\n\n",
    HOLDER_SLOTS,
    {Py_tp_methods, CallsBack_methods});

/* Supports weak references, and returns some. */
typedef Holder WeaklyReferenced;

static PyObject *
weakly_referenced_ref(PyObject *op, PyObject *Py_UNUSED(ignored))
{
    return PyWeakref_NewRef(op, NULL);
}

static PyMemberDef WeaklyReferenced_members[] = {
    {"__weaklistoffset__", Py_T_PYSSIZET, offsetof(Holder, weakrefs),
     Py_READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};
METHODS(WeaklyReferenced,
    {"ref", weakly_referenced_ref, METH_NOARGS, "ref($self, /)\n--\n\n"});
TYPE_WITH_FLAGS(WeaklyReferenced, Py_TPFLAGS_HAVE_GC,
    "WeaklyReferenced()\n--\n\n",
    HOLDER_SLOTS,
    {Py_tp_members, WeaklyReferenced_members},
    {Py_tp_methods, WeaklyReferenced_methods});

/* put() never waits; get() waits until there is an item. */
typedef Holder BlockingQueue;

static PyObject *
blocking_queue_get(PyObject *op, PyObject *Py_UNUSED(ignored))
{
    Holder *self = (Holder *)op;
    PyObject *item = NULL;
    int failed = 0;
    while (item == NULL && failed == 0) {
        Py_BEGIN_CRITICAL_SECTION(op);
        if (PyList_GET_SIZE(self->items) > 0) {
            item = Py_NewRef(PyList_GET_ITEM(self->items, 0));
            failed = PyList_SetSlice(self->items, 0, 1, NULL);
        }
        Py_END_CRITICAL_SECTION();
        if (item == NULL) {
            wait_detached(100);
            failed = PyErr_CheckSignals();
        }
    }
    if (failed < 0) {
        Py_CLEAR(item);
    }
    return item;
}

METHODS(BlockingQueue,
    {"put", holder_append, METH_O, "put($self, item, /)\n--\n\n"},
    {"get", blocking_queue_get, METH_NOARGS, "get($self, /)\n--\n\n"});
TYPE_WITH_FLAGS(BlockingQueue, Py_TPFLAGS_HAVE_GC, "BlockingQueue()\n--\n\n",
    HOLDER_SLOTS,
    {Py_tp_methods, BlockingQueue_methods});

/* BufferError from resize() while its bytes are exported. */
typedef struct {
    PyObject_HEAD
    char *bytes;        /* all guarded by: critical section on self */
    Py_ssize_t size;
    Py_ssize_t exports;
} ExportsLocked;

static int
exports_locked_getbuffer(PyObject *op, Py_buffer *view, int flags)
{
    ExportsLocked *self = (ExportsLocked *)op;
    static char nothing[1];
    int result;
    Py_BEGIN_CRITICAL_SECTION(op);
    result = PyBuffer_FillInfo(view, op,
                               self->bytes == NULL ? nothing : self->bytes,
                               self->size, 1, flags);
    self->exports += result == 0;
    Py_END_CRITICAL_SECTION();
    return result;
}

static void
exports_locked_releasebuffer(PyObject *op, Py_buffer *Py_UNUSED(view))
{
    Py_BEGIN_CRITICAL_SECTION(op);
    ((ExportsLocked *)op)->exports--;
    Py_END_CRITICAL_SECTION();
}

static PyObject *
exports_locked_resize(PyObject *op, PyObject *arg)
{
    ExportsLocked *self = (ExportsLocked *)op;
    long size;
    char *bytes = NULL;
    bool exported;
    if (!as_number(arg, 100000, &size)) {
        return NULL;
    }
    Py_BEGIN_CRITICAL_SECTION(op);
    exported = self->exports > 0;
    if (!exported) {
        bytes = PyMem_Realloc(self->bytes, (size_t)size + 1);
        if (bytes != NULL) {
            memset(bytes, 'x', (size_t)size + 1);
            self->bytes = bytes;
            self->size = size;
        }
    }
    Py_END_CRITICAL_SECTION();
    if (exported) {
        PyErr_SetString(PyExc_BufferError, "exported");
        return NULL;
    }
    if (bytes == NULL) {
        return PyErr_NoMemory();
    }
    Py_RETURN_NONE;
}

static PyObject *
exports_locked_view(PyObject *op, PyObject *Py_UNUSED(ignored))
{
    return PyMemoryView_FromObject(op);
}

static void
exports_locked_dealloc(PyObject *op)
{
    PyMem_Free(((ExportsLocked *)op)->bytes);
    free_object(op);
}

METHODS(ExportsLocked,
    {"resize", exports_locked_resize, METH_O,
     "resize($self, size, /)\n--\n\n"},
    {"view", exports_locked_view, METH_NOARGS, "view($self, /)\n--\n\n"});
TYPE(ExportsLocked, "ExportsLocked()\n--\n\n",
    {Py_bf_getbuffer, exports_locked_getbuffer},
    {Py_bf_releasebuffer, exports_locked_releasebuffer},
    {Py_tp_dealloc, exports_locked_dealloc},
    {Py_tp_methods, ExportsLocked_methods});

/* Has no lock: raises RuntimeError if another thread is inside. */
typedef struct {
    PyObject_HEAD
    int busy; /* atomic */
    long n;   /* guarded by: busy */
} RefusesWhenBusy;

static PyObject *
refuses_when_busy_use(PyObject *op, PyObject *Py_UNUSED(ignored))
{
    RefusesWhenBusy *self = (RefusesWhenBusy *)op;
    if (_Py_atomic_exchange_int(&self->busy, 1)) {
        PyErr_SetString(PyExc_RuntimeError, "another thread uses it");
        return NULL;
    }
    linger();
    long n = ++self->n;
    _Py_atomic_store_int(&self->busy, 0);
    return PyLong_FromLong(n);
}

METHODS(RefusesWhenBusy,
    {"use", refuses_when_busy_use, METH_NOARGS, "use($self, /)\n--\n\n"});
TYPE(RefusesWhenBusy, "RefusesWhenBusy()\n--\n\n",
    {Py_tp_methods, RefusesWhenBusy_methods});

/* The number of each object, counted in an atomic static variable. */
typedef struct {
    PyObject_HEAD
    long number; /* constant after numbers_safely_new() */
} NumbersSafely;

static PyObject *
numbers_safely_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    static int made;
    char *keywords[] = {NULL};
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "", keywords)) {
        return NULL;
    }
    PyObject *op = PyType_GenericAlloc(type, 0);
    if (op != NULL) {
        ((NumbersSafely *)op)->number = _Py_atomic_add_int(&made, 1);
    }
    return op;
}

static PyObject *
numbers_safely_number(PyObject *op, void *Py_UNUSED(closure))
{
    return PyLong_FromLong(((NumbersSafely *)op)->number);
}

GETSET(NumbersSafely, {"number", numbers_safely_number, NULL, NULL, NULL});
TYPE(NumbersSafely, "NumbersSafely()\n--\n\n",
    {Py_tp_new, numbers_safely_new},
    {Py_tp_getset, NumbersSafely_getset});

/* acquire() returns whether it got the lock; release() raises if no thread
 * holds it. */
typedef Number TryLock;

static PyObject *
try_lock_acquire(PyObject *op, PyObject *Py_UNUSED(ignored))
{
    Number *self = (Number *)op;
    PyMutex_Lock(&self->mutex);
    bool acquired = self->n == 0;
    self->n = 1;
    PyMutex_Unlock(&self->mutex);
    return PyBool_FromLong(acquired);
}

static PyObject *
try_lock_release(PyObject *op, PyObject *Py_UNUSED(ignored))
{
    Number *self = (Number *)op;
    PyMutex_Lock(&self->mutex);
    bool held = self->n == 1;
    self->n = 0;
    PyMutex_Unlock(&self->mutex);
    if (!held) {
        PyErr_SetString(PyExc_RuntimeError, "not held");
        return NULL;
    }
    Py_RETURN_NONE;
}

METHODS(TryLock,
    {"acquire", try_lock_acquire, METH_NOARGS, "acquire($self, /)\n--\n\n"},
    {"release", try_lock_release, METH_NOARGS, "release($self, /)\n--\n\n"});
TYPE(TryLock, "TryLock()\n--\n\n", {Py_tp_methods, TryLock_methods});

/* Here the second acquire() waits. */
typedef Number BlockingLock;

static PyObject *
blocking_lock_acquire(PyObject *op, PyObject *Py_UNUSED(ignored))
{
    for (;;) {
        PyObject *acquired = try_lock_acquire(op, NULL);
        if (acquired == Py_True) {
            Py_DECREF(acquired);
            Py_RETURN_NONE;
        }
        Py_DECREF(acquired);
        wait_detached(100);
        if (PyErr_CheckSignals() < 0) {
            return NULL;
        }
    }
}

METHODS(BlockingLock,
    {"acquire", blocking_lock_acquire, METH_NOARGS,
     "acquire($self, /)\n--\n\n"},
    {"release", try_lock_release, METH_NOARGS, "release($self, /)\n--\n\n"});
TYPE(BlockingLock, "BlockingLock()\n--\n\n",
    {Py_tp_methods, BlockingLock_methods});

/* Each thread waits for another one: a single thread waits for ever. */
typedef struct {
    PyObject_HEAD
    int64_t arrived; /* atomic */
} Rendezvous;

static PyObject *
rendezvous_meet(PyObject *op, PyObject *Py_UNUSED(ignored))
{
    Rendezvous *self = (Rendezvous *)op;
    int64_t number = _Py_atomic_add_int64(&self->arrived, 1);
    while (_Py_atomic_load_int64(&self->arrived) < (number | 1) + 1) {
        wait_detached(10);
        if (PyErr_CheckSignals() < 0) {
            return NULL;
        }
    }
    Py_RETURN_NONE;
}

METHODS(Rendezvous,
    {"meet", rendezvous_meet, METH_NOARGS, "meet($self, /)\n--\n\n"});
TYPE(Rendezvous, "Rendezvous()\n--\n\n", {Py_tp_methods, Rendezvous_methods});

/* === Calls that take long, wait, or end the process === */

/* A millisecond of work, attached; ten milliseconds of waiting, detached. */
typedef Number TakesLong;

static PyObject *
takes_long_work(PyObject *op, PyObject *Py_UNUSED(ignored))
{
    PyTime_t end = now() + 1000000;
    while (now() < end) {
    }
    return PyLong_FromLong(number_add(op, 1));
}

static PyObject *
takes_long_sleep(PyObject *op, PyObject *Py_UNUSED(ignored))
{
    wait_detached(10000);
    return PyLong_FromLong(number_add(op, 1));
}

METHODS(TakesLong,
    {"work", takes_long_work, METH_NOARGS, "work($self, /)\n--\n\n"},
    {"sleep", takes_long_sleep, METH_NOARGS, "sleep($self, /)\n--\n\n"});
TYPE(TakesLong, "TakesLong()\n--\n\n", {Py_tp_methods, TakesLong_methods});

/* wait() waits for a lock that is never released. count() can be tested. */
typedef Number WaitsForEver;

static PyObject *
waits_for_ever_wait(PyObject *Py_UNUSED(op), PyObject *Py_UNUSED(ignored))
{
    PyMutex mutex = {0};
    PyMutex_Lock(&mutex);
    PyMutex_Lock(&mutex);
    Py_RETURN_NONE;
}

METHODS(WaitsForEver,
    {"wait", waits_for_ever_wait, METH_NOARGS, "wait($self, /)\n--\n\n"},
    {"count", locked_tickets_take, METH_NOARGS, "count($self, /)\n--\n\n"});
TYPE(WaitsForEver, "WaitsForEver()\n--\n\n",
    {Py_tp_methods, WaitsForEver_methods});

/* The same, but attached: even a garbage collection has to wait. */
typedef Number WaitsAttached;

static PyObject *
waits_attached_wait(PyObject *Py_UNUSED(op), PyObject *Py_UNUSED(ignored))
{
    for (volatile int i = 1; i != 0;) {
    }
    Py_RETURN_NONE;
}

METHODS(WaitsAttached,
    {"wait", waits_attached_wait, METH_NOARGS, "wait($self, /)\n--\n\n"},
    {"count", locked_tickets_take, METH_NOARGS, "count($self, /)\n--\n\n"});
TYPE(WaitsAttached, "WaitsAttached()\n--\n\n",
    {Py_tp_methods, WaitsAttached_methods});

/* Ends the process: at once, or with SystemExit or KeyboardInterrupt. */
typedef Number EndsProcess;

static PyObject *
ends_process_at_once(PyObject *Py_UNUSED(op), PyObject *Py_UNUSED(ignored))
{
    _exit(0);
}

static PyObject *
ends_process_abort(PyObject *Py_UNUSED(op), PyObject *Py_UNUSED(ignored))
{
    abort();
}

static PyObject *
ends_process_quit(PyObject *Py_UNUSED(op), PyObject *Py_UNUSED(ignored))
{
    PyErr_SetString(PyExc_SystemExit, "quit");
    return NULL;
}

static PyObject *
ends_process_interrupt(PyObject *Py_UNUSED(op), PyObject *Py_UNUSED(ignored))
{
    PyErr_SetInterrupt();
    Py_RETURN_NONE;
}

METHODS(EndsProcess,
    {"at_once", ends_process_at_once, METH_NOARGS,
     "at_once($self, /)\n--\n\n"},
    {"abort", ends_process_abort, METH_NOARGS, "abort($self, /)\n--\n\n"},
    {"quit", ends_process_quit, METH_NOARGS, "quit($self, /)\n--\n\n"},
    {"interrupt", ends_process_interrupt, METH_NOARGS,
     "interrupt($self, /)\n--\n\n"},
    {"count", locked_tickets_take, METH_NOARGS, "count($self, /)\n--\n\n"});
TYPE(EndsProcess, "EndsProcess()\n--\n\n",
    {Py_tp_methods, EndsProcess_methods});

/* Crashes without a race. */
typedef Number CrashesAlone;

static PyObject *
crashes_alone_crash(PyObject *Py_UNUSED(op), PyObject *Py_UNUSED(ignored))
{
    volatile int *volatile nothing = NULL;
    *nothing = 1;
    Py_RETURN_NONE;
}

METHODS(CrashesAlone,
    {"crash", crashes_alone_crash, METH_NOARGS, "crash($self, /)\n--\n\n"},
    {"count", locked_tickets_take, METH_NOARGS, "count($self, /)\n--\n\n"});
TYPE(CrashesAlone, "CrashesAlone()\n--\n\n",
    {Py_tp_methods, CrashesAlone_methods});

/* The second call on an object crashes, in any thread. */
typedef Number CrashesSecondTime;

static PyObject *
crashes_second_time_use(PyObject *op, PyObject *Py_UNUSED(ignored))
{
    return number_add(op, 1) > 1 ? crashes_alone_crash(op, NULL)
                                 : Py_NewRef(Py_None);
}

METHODS(CrashesSecondTime,
    {"use", crashes_second_time_use, METH_NOARGS, "use($self, /)\n--\n\n"});
TYPE(CrashesSecondTime, "CrashesSecondTime()\n--\n\n",
    {Py_tp_methods, CrashesSecondTime_methods});

/* Crashes in any thread except the one that created it. */
typedef struct {
    PyObject_HEAD
    unsigned long owner; /* constant after crashes_elsewhere_new() */
} CrashesElsewhere;

static PyObject *
crashes_elsewhere_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    char *keywords[] = {NULL};
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "", keywords)) {
        return NULL;
    }
    PyObject *op = PyType_GenericAlloc(type, 0);
    if (op != NULL) {
        ((CrashesElsewhere *)op)->owner = PyThread_get_thread_ident();
    }
    return op;
}

static PyObject *
crashes_elsewhere_use(PyObject *op, PyObject *Py_UNUSED(ignored))
{
    if (((CrashesElsewhere *)op)->owner != PyThread_get_thread_ident()) {
        return crashes_alone_crash(op, NULL);
    }
    Py_RETURN_NONE;
}

METHODS(CrashesElsewhere,
    {"use", crashes_elsewhere_use, METH_NOARGS, "use($self, /)\n--\n\n"});
TYPE(CrashesElsewhere, "CrashesElsewhere()\n--\n\n",
    {Py_tp_new, crashes_elsewhere_new},
    {Py_tp_methods, CrashesElsewhere_methods});

/* A SystemError, and leaked memory, even in one thread. */
typedef Number BrokenAlone;

static PyObject *
broken_alone_use(PyObject *Py_UNUSED(op), PyObject *Py_UNUSED(ignored))
{
    return NULL;
}

static PyObject *
broken_alone_leak(PyObject *Py_UNUSED(op), PyObject *Py_UNUSED(ignored))
{
    void *lost = PyMem_Malloc(1024);
    if (lost == NULL) {
        return PyErr_NoMemory();
    }
    memset(lost, 1, 1024);
    Py_RETURN_NONE;
}

METHODS(BrokenAlone,
    {"use", broken_alone_use, METH_NOARGS, "use($self, /)\n--\n\n"},
    {"leak", broken_alone_leak, METH_NOARGS, "leak($self, /)\n--\n\n"});
TYPE(BrokenAlone, "BrokenAlone()\n--\n\n",
    {Py_tp_methods, BrokenAlone_methods});

/* === Effects outside the object === */

/* Closes the standard streams, and the next file descriptors. */
typedef Number ClosesDescriptors;

static PyObject *
closes_descriptors_output(PyObject *Py_UNUSED(op),
                          PyObject *Py_UNUSED(ignored))
{
    close(1);
    close(2);
    Py_RETURN_NONE;
}

static PyObject *
closes_descriptors_all(PyObject *Py_UNUSED(op), PyObject *Py_UNUSED(ignored))
{
    for (int descriptor = 0; descriptor < 64; descriptor++) {
        close(descriptor);
    }
    Py_RETURN_NONE;
}

METHODS(ClosesDescriptors,
    {"output", closes_descriptors_output, METH_NOARGS,
     "output($self, /)\n--\n\n"},
    {"all", closes_descriptors_all, METH_NOARGS, "all($self, /)\n--\n\n"},
    {"count", locked_tickets_take, METH_NOARGS, "count($self, /)\n--\n\n"});
TYPE(ClosesDescriptors, "ClosesDescriptors()\n--\n\n",
    {Py_tp_methods, ClosesDescriptors_methods});

/* Prints, through Python and with printf(). */
typedef Number Prints;

static PyObject *
prints_print(PyObject *op, PyObject *Py_UNUSED(ignored))
{
    PySys_WriteStdout("{\"version\": 1}\n");
    return PyLong_FromLong(number_add(op, 1));
}

static PyObject *
prints_printf(PyObject *op, PyObject *Py_UNUSED(ignored))
{
    printf("{\"version\": 1}\n");
    fprintf(stderr, "Fatal Python error: not really\n");
    fflush(stdout);
    return PyLong_FromLong(number_add(op, 1));
}

METHODS(Prints,
    {"print", prints_print, METH_NOARGS, "print($self, /)\n--\n\n"},
    {"printf", prints_printf, METH_NOARGS, "printf($self, /)\n--\n\n"});
TYPE(Prints, "Prints()\n--\n\n", {Py_tp_methods, Prints_methods});

/* Forks, and both processes continue. It refuses if there are too many
 * processes, like a system, and no child lives longer than 20 seconds. */
typedef Number Forks;

static PyObject *
forks_fork(PyObject *op, PyObject *Py_UNUSED(ignored))
{
#ifndef _WIN32
    static int64_t forks; /* atomic; a child continues to count */
    if (_Py_atomic_add_int64(&forks, 1) >= 3) {
        errno = EAGAIN;
        return PyErr_SetFromErrno(PyExc_OSError);
    }
    PyOS_BeforeFork();
    pid_t pid = fork();
    if (pid == 0) {
        PyOS_AfterFork_Child();
        alarm(20);
    }
    else {
        PyOS_AfterFork_Parent();
    }
    if (pid == -1) {
        return PyErr_SetFromErrno(PyExc_OSError);
    }
#endif
    return PyLong_FromLong(number_add(op, 1));
}

/* Leaves an ended child process behind, of which Python does not know. */
static PyObject *
forks_spawn(PyObject *op, PyObject *Py_UNUSED(ignored))
{
#ifndef _WIN32
    static int64_t spawned; /* atomic */
    if (_Py_atomic_add_int64(&spawned, 1) >= 100) {
        errno = EAGAIN;
        return PyErr_SetFromErrno(PyExc_OSError);
    }
    pid_t pid = fork();
    if (pid == 0) {
        _exit(0);
    }
    if (pid == -1) {
        return PyErr_SetFromErrno(PyExc_OSError);
    }
#endif
    return PyLong_FromLong(number_add(op, 1));
}

METHODS(Forks,
    {"spawn", forks_spawn, METH_NOARGS, "spawn($self, /)\n--\n\n"},
    {"fork", forks_fork, METH_NOARGS, "fork($self, /)\n--\n\n"},
    {"count", locked_tickets_take, METH_NOARGS, "count($self, /)\n--\n\n"});
TYPE(Forks, "Forks()\n--\n\n", {Py_tp_methods, Forks_methods});

/* Starts a thread, which lives for a hundredth of a second; 20 at a time. */
typedef Number StartsThreads;

static int64_t alive; /* atomic */

static void
starts_threads_run(void *Py_UNUSED(arg))
{
    PyGILState_STATE state = PyGILState_Ensure();
    wait_detached(10000);
    PyGILState_Release(state);
    _Py_atomic_add_int64(&alive, -1);
}

static PyObject *
starts_threads_start(PyObject *op, PyObject *Py_UNUSED(ignored))
{
    if (_Py_atomic_add_int64(&alive, 1) >= 20) {
        _Py_atomic_add_int64(&alive, -1);
    }
    else if (PyThread_start_new_thread(starts_threads_run, NULL)
             == PYTHREAD_INVALID_THREAD_ID) {
        PyErr_SetString(PyExc_RuntimeError, "no thread");
        return NULL;
    }
    return PyLong_FromLong(number_add(op, 1));
}

METHODS(StartsThreads,
    {"start", starts_threads_start, METH_NOARGS, "start($self, /)\n--\n\n"});
TYPE(StartsThreads, "StartsThreads()\n--\n\n",
    {Py_tp_methods, StartsThreads_methods});

/* === Objects that are hard to create === */

/* Needs a key, which only make_key("open sesame") returns. */
typedef struct {
    PyObject_HEAD
} Key;

typedef Number NeedsKey;

TYPE_WITH_FLAGS(Key, Py_TPFLAGS_DISALLOW_INSTANTIATION, "",
    {Py_tp_dealloc, free_object});

static PyObject *
needs_key_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    char *keywords[] = {"key", NULL};
    PyObject *key;
    PyTypeObject **types = PyType_GetModuleState(type);
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O!", keywords, types[1],
                                     &key)) {
        return NULL;
    }
    return PyType_GenericAlloc(type, 0);
}

static PyObject *
make_key(PyObject *module, PyObject *arg)
{
    PyTypeObject **types = PyModule_GetState(module);
    if (!PyUnicode_Check(arg)
        || !PyUnicode_EqualToUTF8(arg, "open sesame")) {
        PyErr_SetString(PyExc_PermissionError, "not the password");
        return NULL;
    }
    return PyType_GenericAlloc(types[1], 0);
}

METHODS(NeedsKey,
    {"count", locked_tickets_take, METH_NOARGS, "count($self, /)\n--\n\n"});
TYPE(NeedsKey, "NeedsKey(key)\n--\n\n",
    {Py_tp_new, needs_key_new},
    {Py_tp_methods, NeedsKey_methods});

/* Cannot be created at all. */
typedef Number NeverMade;

static PyObject *
never_made_new(PyTypeObject *Py_UNUSED(type), PyObject *Py_UNUSED(args),
               PyObject *Py_UNUSED(kwargs))
{
    PyErr_SetString(PyExc_NotImplementedError, "not on this system");
    return NULL;
}

METHODS(NeverMade,
    {"count", locked_tickets_take, METH_NOARGS, "count($self, /)\n--\n\n"});
TYPE(NeverMade, "NeverMade()\n--\n\n",
    {Py_tp_new, never_made_new},
    {Py_tp_methods, NeverMade_methods});

/* Whether a thread has signed in is a state of that thread alone. */
static PyObject *
sign_in(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(ignored))
{
    PyObject *state = PyThreadState_GetDict();
    if (state == NULL || PyDict_SetItemString(state, "signed in", Py_True)) {
        return NULL;
    }
    Py_RETURN_NONE;
}

static PyObject *
sign_out(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(ignored))
{
    PyObject *state = PyThreadState_GetDict();
    int was_in = state == NULL ? -1 : PyDict_PopString(state, "signed in", NULL);
    return was_in < 0 ? NULL : PyBool_FromLong(was_in);
}

static PyMethodDef functions[] = {
    {"make_key", make_key, METH_O, "make_key($module, password, /)\n--\n\n"},
    {"sign_in", sign_in, METH_NOARGS, "sign_in($module, /)\n--\n\n"},
    {"sign_out", sign_out, METH_NOARGS, "sign_out($module, /)\n--\n\n"},
    {NULL, NULL, 0, NULL},
};

static PyType_Spec *specs[] = {
    &AddressInRepr_spec,
    &AtomicTickets_spec,
    &BlockingLock_spec,
    &BlockingQueue_spec,
    &BoundlessResults_spec,
    &BrokenAlone_spec,
    &CallsBack_spec,
    &ClosesDescriptors_spec,
    &CountsAllCalls_spec,
    &CrashesAlone_spec,
    &CrashesElsewhere_spec,
    &CrashesSecondTime_spec,
    &EndsProcess_spec,
    &ExportsLocked_spec,
    &FailsAtRandom_spec,
    &Forks_spec,
    &FreshObjects_spec,
    &GrowsByDesign_spec,
    &HashOrder_spec,
    &LastError_spec,
    &LockedTickets_spec,
    &NeedsKey_spec,
    &NeverEnds_spec,
    &NeverMade_spec,
    &NotToBeLookedAt_spec,
    &NumbersSafely_spec,
    &Prints_spec,
    &RaisesWhenChanged_spec,
    &RandomValues_spec,
    &RareValues_spec,
    &ReferenceCount_spec,
    &RefusesWhenBusy_spec,
    &Rendezvous_spec,
    &StartsThreads_spec,
    &SwapsLocked_spec,
    &TakesLong_spec,
    &ThreadIdentity_spec,
    &TimeStamps_spec,
    &TryLock_spec,
    &UnequalToItself_spec,
    &WaitsAttached_spec,
    &WaitsForEver_spec,
    &WeaklyReferenced_spec,
};

/* Module state: two types that are not public names. */
static int
module_exec(PyObject *module)
{
    PyTypeObject **types = PyModule_GetState(module);
    PyType_Spec *hidden[] = {&RaisesWhenChangedIterator_spec, &Key_spec};
    for (size_t i = 0; i < Py_ARRAY_LENGTH(hidden); i++) {
        PyObject *type = PyType_FromModuleAndSpec(module, hidden[i], NULL);
        if (type == NULL) {
            return -1;
        }
        types[i] = (PyTypeObject *)type;
    }
    for (size_t i = 0; i < Py_ARRAY_LENGTH(specs); i++) {
        PyObject *type = PyType_FromModuleAndSpec(module, specs[i], NULL);
        if (type == NULL || PyModule_AddType(module, (PyTypeObject *)type)) {
            Py_XDECREF(type);
            return -1;
        }
        Py_DECREF(type);
    }
    return 0;
}

static PyModuleDef_Slot module_slots[] = {
    {Py_mod_exec, module_exec},
    {Py_mod_gil, Py_MOD_GIL_NOT_USED},
    {0, NULL},
};

static struct PyModuleDef module_def = {
    PyModuleDef_HEAD_INIT,
    .m_name = STRING(MODULE),
    .m_size = 2 * sizeof(PyTypeObject *),
    .m_methods = functions,
    .m_slots = module_slots,
};

PyMODINIT_FUNC
JOIN(PyInit_, MODULE)(void)
{
    return PyModuleDef_Init(&module_def);
}

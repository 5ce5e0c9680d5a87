/* Types and functions that race when threads share an object, each in another
 * way: `ftdemo stress` must find them. __init__.py says how each fails.
 *
 * Most of this code is typical of extensions that relied on the GIL; calls of
 * linger() make the races more likely, to keep the tests short. Do not copy
 * any of it. */

#define MODULE unsafe
#include "racing.h"

#define MANY 1000000000L

/* === Numbers === */

/* The compiler may use one instruction or three. */
typedef struct {
    PyObject_HEAD
    long n;
} PlainIncrement;

static PyObject *
plain_increment_add(PyObject *op, PyObject *arg)
{
    long n;
    if (!as_number(arg, MANY, &n)) {
        return NULL;
    }
    ((PlainIncrement *)op)->n += n;
    Py_RETURN_NONE;
}

static PyObject *
plain_increment_value(PyObject *op, PyObject *Py_UNUSED(ignored))
{
    return PyLong_FromLong(((PlainIncrement *)op)->n);
}

METHODS(PlainIncrement,
    {"add", plain_increment_add, METH_O, "add($self, n, /)\n--\n\n"},
    {"value", plain_increment_value, METH_NOARGS, "value($self, /)\n--\n\n"});
TYPE(PlainIncrement, "PlainIncrement()\n--\n\n",
    {Py_tp_methods, PlainIncrement_methods});

/* The same, but only a class method makes an object, and the type does not
 * name its module. */
typedef PlainIncrement MadeByMethod;

static PyObject *
made_by_method_now(PyObject *type, PyObject *Py_UNUSED(ignored))
{
    return PyType_GenericAlloc((PyTypeObject *)type, 0);
}

METHODS(MadeByMethod,
    {"now", made_by_method_now, METH_NOARGS | METH_CLASS,
     "now($type, /)\n--\n\n"},
    {"add", plain_increment_add, METH_O, "add($self, n, /)\n--\n\n"},
    {"value", plain_increment_value, METH_NOARGS, "value($self, /)\n--\n\n"});
static PyType_Slot MadeByMethod_slots[] = {
    {Py_tp_methods, MadeByMethod_methods},
    {0, NULL},
};
static PyType_Spec MadeByMethod_spec = {
    .name = "MadeByMethod",
    .basicsize = sizeof(MadeByMethod),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = MadeByMethod_slots,
};

/* Counts its calls; each call returns its number. */
typedef struct {
    PyObject_HEAD
    volatile long n;
} NumbersCalls;

static PyObject *
numbers_calls_call(PyObject *op, PyObject *args, PyObject *kwargs)
{
    NumbersCalls *self = (NumbersCalls *)op;
    if (PyTuple_GET_SIZE(args) != 0 || kwargs != NULL) {
        PyErr_SetString(PyExc_TypeError, "takes no arguments");
        return NULL;
    }
    long n = self->n;
    linger();
    self->n = n + 1;
    return PyLong_FromLong(n + 1);
}

TYPE(NumbersCalls, "NumbersCalls()\n--\n\n", {Py_tp_call, numbers_calls_call});

typedef struct {
    PyObject_HEAD
    volatile long n;
} InplaceAdd;

static PyObject *
inplace_add_iadd(PyObject *op, PyObject *arg)
{
    InplaceAdd *self = (InplaceAdd *)op;
    long added;
    if (!PyLong_Check(arg)) {
        Py_RETURN_NOTIMPLEMENTED;
    }
    if (!as_number(arg, MANY, &added)) {
        return NULL;
    }
    long n = self->n;
    linger();
    self->n = n + added;
    return Py_NewRef(op);
}

static PyObject *
inplace_add_int(PyObject *op)
{
    return PyLong_FromLong(((InplaceAdd *)op)->n);
}

TYPE(InplaceAdd, "InplaceAdd()\n--\n\n",
    {Py_nb_inplace_add, inplace_add_iadd},
    {Py_nb_int, inplace_add_int});

/* The subtraction is atomic, but not together with the check before it. */
typedef struct {
    PyObject_HEAD
    int64_t balance;
} ChecksThenActs;

static PyObject *
checks_then_acts_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    char *keywords[] = {"balance", NULL};
    long balance = 1;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|l", keywords, &balance)) {
        return NULL;
    }
    PyObject *op = PyType_GenericAlloc(type, 0);
    if (op != NULL) {
        ((ChecksThenActs *)op)->balance = balance;
    }
    return op;
}

static PyObject *
checks_then_acts_withdraw(PyObject *op, PyObject *arg)
{
    ChecksThenActs *self = (ChecksThenActs *)op;
    long n;
    if (!as_number(arg, MANY, &n)) {
        return NULL;
    }
    if (_Py_atomic_load_int64(&self->balance) < n) {
        PyErr_SetString(PyExc_ValueError, "not enough");
        return NULL;
    }
    linger();
    _Py_atomic_add_int64(&self->balance, -(int64_t)n);
    Py_RETURN_NONE;
}

static PyObject *
checks_then_acts_balance(PyObject *op, void *Py_UNUSED(closure))
{
    ChecksThenActs *self = (ChecksThenActs *)op;
    return PyLong_FromLongLong(_Py_atomic_load_int64(&self->balance));
}

METHODS(ChecksThenActs, {"withdraw", checks_then_acts_withdraw, METH_O,
                         "withdraw($self, n, /)\n--\n\n"});
GETSET(ChecksThenActs,
    {"balance", checks_then_acts_balance, NULL, NULL, NULL});
TYPE(ChecksThenActs, "ChecksThenActs(balance=1)\n--\n\n",
    {Py_tp_new, checks_then_acts_new},
    {Py_tp_methods, ChecksThenActs_methods},
    {Py_tp_getset, ChecksThenActs_getset});

/* pop() looks for an item before it takes the lock. A new stack has none: a
 * call of push() must come first. */
typedef struct {
    PyObject_HEAD
    PyMutex mutex;
    int64_t n;
} LastItem;

static PyObject *
last_item_push(PyObject *op, PyObject *Py_UNUSED(item))
{
    LastItem *self = (LastItem *)op;
    PyMutex_Lock(&self->mutex);
    _Py_atomic_store_int64(&self->n, self->n + 1);
    PyMutex_Unlock(&self->mutex);
    Py_RETURN_NONE;
}

static PyObject *
last_item_pop(PyObject *op, PyObject *Py_UNUSED(ignored))
{
    LastItem *self = (LastItem *)op;
    if (_Py_atomic_load_int64(&self->n) == 0) {
        PyErr_SetString(PyExc_IndexError, "empty");
        return NULL;
    }
    linger();
    PyMutex_Lock(&self->mutex);
    int64_t n = self->n - 1;
    _Py_atomic_store_int64(&self->n, n);
    PyMutex_Unlock(&self->mutex);
    return PyLong_FromLongLong(n);
}

METHODS(LastItem,
    {"push", last_item_push, METH_O, "push($self, item, /)\n--\n\n"},
    {"pop", last_item_pop, METH_NOARGS, "pop($self, /)\n--\n\n"});
TYPE(LastItem, "LastItem()\n--\n\n", {Py_tp_methods, LastItem_methods});

/* Sets of numbers below n that can be united: with n = 1, nothing races. */
typedef struct {
    PyObject_HEAD
    long n; /* constant after united_sets_new() */
    volatile long parents[32];
} UnitedSets;

static PyObject *
united_sets_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    char *keywords[] = {"n", NULL};
    PyObject *arg;
    long n;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O", keywords, &arg)
        || !as_number(arg, 32, &n)) {
        return NULL;
    }
    PyObject *op = PyType_GenericAlloc(type, 0);
    if (op != NULL) {
        ((UnitedSets *)op)->n = n;
        for (long i = 0; i < n; i++) {
            ((UnitedSets *)op)->parents[i] = i;
        }
    }
    return op;
}

static PyObject *
united_sets_unite(PyObject *op, PyObject *args)
{
    UnitedSets *self = (UnitedSets *)op;
    long a, b;
    if (!PyArg_ParseTuple(args, "ll", &a, &b)) {
        return NULL;
    }
    if (a < 0 || b < 0 || a >= self->n || b >= self->n) {
        PyErr_SetString(PyExc_IndexError, "not below n");
        return NULL;
    }
    for (; self->parents[a] != a; a = self->parents[a]) {
    }
    for (; self->parents[b] != b; b = self->parents[b]) {
    }
    linger();
    self->parents[a] = b;
    return PyBool_FromLong(a != b);
}

METHODS(UnitedSets,
    {"unite", united_sets_unite, METH_VARARGS,
     "unite($self, a, b, /)\n--\n\n"});
TYPE(UnitedSets, "UnitedSets(n)\n--\n\n",
    {Py_tp_new, united_sets_new},
    {Py_tp_methods, UnitedSets_methods});

/* Connects each callback once, unless two threads pass the same one. */
typedef struct {
    PyObject_HEAD
    PyObject *callbacks; /* constant after listeners_new() */
} Listeners;

static PyObject *
listeners_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    char *keywords[] = {"size", NULL};
    int size;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "$i", keywords, &size)) {
        return NULL;
    }
    PyObject *op = PyType_GenericAlloc(type, 0);
    if (op != NULL) {
        ((Listeners *)op)->callbacks = PyList_New(0);
        if (((Listeners *)op)->callbacks == NULL) {
            Py_CLEAR(op);
        }
    }
    return op;
}

static void
listeners_dealloc(PyObject *op)
{
    Py_XDECREF(((Listeners *)op)->callbacks);
    free_object(op);
}

static PyObject *
listeners_connect(PyObject *op, PyObject *callback)
{
    PyObject *callbacks = ((Listeners *)op)->callbacks;
    if (!PyCallable_Check(callback)) {
        PyErr_SetString(PyExc_TypeError, "not callable");
        return NULL;
    }
    int known = PySequence_Contains(callbacks, callback);
    linger();
    if (known < 0 || (!known && PyList_Append(callbacks, callback) < 0)) {
        return NULL;
    }
    return PyBool_FromLong(!known);
}

METHODS(Listeners,
    {"connect", listeners_connect, METH_O,
     "connect($self, callback, /)\n--\n\n"});
TYPE(Listeners, "Listeners(*, size): only the docstring names the keyword.",
    {Py_tp_new, listeners_new},
    {Py_tp_dealloc, listeners_dealloc},
    {Py_tp_methods, Listeners_methods});

/* Jobs, each for one call of run(), which works on its bytes without a lock.
 * No text names the keyword that its constructor needs. */
typedef struct {
    PyObject_HEAD
    int limit; /* constant after jobs_new() */
    int jobs; /* guarded by: critical section on self */
} Jobs;

static PyObject *
jobs_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    char *keywords[] = {"limit", NULL};
    int limit;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "$i", keywords, &limit)) {
        return NULL;
    }
    PyObject *op = PyType_GenericAlloc(type, 0);
    if (op != NULL) {
        ((Jobs *)op)->limit = limit;
    }
    return op;
}

static PyObject *
jobs_submit(PyObject *op, PyObject *Py_UNUSED(job))
{
    Jobs *self = (Jobs *)op;
    Py_BEGIN_CRITICAL_SECTION(op);
    self->jobs += self->jobs < self->limit;
    Py_END_CRITICAL_SECTION();
    Py_RETURN_NONE;
}

static PyObject *
jobs_run(PyObject *op, PyObject *how)
{
    Jobs *self = (Jobs *)op;
    int jobs;
    Py_BEGIN_CRITICAL_SECTION(op);
    jobs = self->jobs;
    Py_END_CRITICAL_SECTION();
    if (jobs == 0) {
        Py_RETURN_NONE;
    }
    if (!PyBytes_Check(how)) {
        PyErr_SetString(PyExc_TypeError, "not bytes");
        return NULL;
    }
    linger();
    Py_BEGIN_CRITICAL_SECTION(op);
    self->jobs--;
    Py_END_CRITICAL_SECTION();
    return Py_NewRef(how);
}

METHODS(Jobs,
    {"submit", jobs_submit, METH_O, "submit($self, job, /)\n--\n\n"},
    {"run", jobs_run, METH_O, "run($self, how, /)\n--\n\n"});
TYPE(Jobs, "Jobs, each for one call.",
    {Py_tp_new, jobs_new},
    {Py_tp_methods, Jobs_methods});

/* What a factory returns when it is first asked. */
typedef struct {
    PyObject_HEAD
    PyObject *factory; /* constant after lazy_new() */
    PyObject *value;
} Lazy;

static PyObject *
lazy_new(PyTypeObject *type, PyObject *args, PyObject *Py_UNUSED(kwargs))
{
    PyObject *factory;
    if (!PyArg_ParseTuple(args, "O", &factory)) {
        return NULL;
    }
    if (!PyCallable_Check(factory)) {
        PyErr_SetString(PyExc_TypeError, "not callable");
        return NULL;
    }
    PyObject *op = PyType_GenericAlloc(type, 0);
    if (op != NULL) {
        ((Lazy *)op)->factory = Py_NewRef(factory);
    }
    return op;
}

static void
lazy_dealloc(PyObject *op)
{
    Py_XDECREF(((Lazy *)op)->factory);
    Py_XDECREF(((Lazy *)op)->value);
    free_object(op);
}

static PyObject *
lazy_get(PyObject *op, PyObject *Py_UNUSED(ignored))
{
    Lazy *self = (Lazy *)op;
    if (self->value == NULL) {
        PyObject *value = PyObject_CallNoArgs(self->factory);
        if (value == NULL) {
            return NULL;
        }
        linger();
        self->value = value; /* the value of another thread leaks */
    }
    return Py_NewRef(self->value);
}

METHODS(Lazy, {"get", lazy_get, METH_NOARGS, "get($self, /)\n--\n\n"});
TYPE(Lazy, "Lazy(factory, /)\n--\n\n",
    {Py_tp_new, lazy_new},
    {Py_tp_dealloc, lazy_dealloc},
    {Py_tp_methods, Lazy_methods});

/* Values by name. line() borrows a reference to one. */
typedef struct {
    PyObject_HEAD
    PyObject *values; /* a dict */
} Named;

static PyObject *
named_new(PyTypeObject *type, PyObject *Py_UNUSED(args),
          PyObject *Py_UNUSED(kwargs))
{
    PyObject *op = PyType_GenericAlloc(type, 0);
    if (op != NULL) {
        ((Named *)op)->values = PyDict_New();
        if (((Named *)op)->values == NULL) {
            Py_CLEAR(op);
        }
    }
    return op;
}

static void
named_dealloc(PyObject *op)
{
    Py_XDECREF(((Named *)op)->values);
    free_object(op);
}

static PyObject *
named_set(PyObject *op, PyObject *args)
{
    PyObject *name, *value;
    if (!PyArg_ParseTuple(args, "UO", &name, &value) ||
        PyDict_SetItem(((Named *)op)->values, name, value) < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

static PyObject *
named_line(PyObject *op, PyObject *name)
{
    PyObject *value = PyDict_GetItemWithError(((Named *)op)->values, name);
    if (value == NULL) {
        if (!PyErr_Occurred()) {
            PyErr_SetObject(PyExc_KeyError, name);
        }
        return NULL;
    }
    linger();
    return PyUnicode_FromFormat("%S = %S", name, value);
}

METHODS(Named,
    {"set", named_set, METH_VARARGS, "set($self, name, value, /)\n--\n\n"},
    {"line", named_line, METH_O, "line($self, name, /)\n--\n\n"});
TYPE(Named, "Named()\n--\n\n",
    {Py_tp_new, named_new},
    {Py_tp_dealloc, named_dealloc},
    {Py_tp_methods, Named_methods});

/* Conditions of a query: their fields and their values are in two lists. */
typedef struct {
    PyObject_HEAD
    PyObject *fields; /* a list */
    PyObject *values; /* a list */
} Query;

static PyObject *
query_new(PyTypeObject *type, PyObject *Py_UNUSED(args),
          PyObject *Py_UNUSED(kwargs))
{
    PyObject *op = PyType_GenericAlloc(type, 0);
    if (op != NULL) {
        Query *self = (Query *)op;
        self->fields = PyList_New(0);
        self->values = PyList_New(0);
        if (self->fields == NULL || self->values == NULL) {
            Py_CLEAR(op);
        }
    }
    return op;
}

static void
query_dealloc(PyObject *op)
{
    Py_XDECREF(((Query *)op)->fields);
    Py_XDECREF(((Query *)op)->values);
    free_object(op);
}

static PyObject *
query_where(PyObject *op, PyObject *args)
{
    Query *self = (Query *)op;
    PyObject *field, *value;
    if (!PyArg_ParseTuple(args, "UO", &field, &value) ||
        PyList_Append(self->fields, field) < 0) {
        return NULL;
    }
    linger();
    if (PyList_Append(self->values, value) < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

static PyObject *
query_terms(PyObject *op, PyObject *Py_UNUSED(ignored))
{
    Query *self = (Query *)op;
    Py_ssize_t complete = PyList_Size(self->values);
    return Py_BuildValue("NN", PyList_GetSlice(self->fields, 0, complete),
                         PyList_GetSlice(self->values, 0, complete));
}

METHODS(Query,
    {"where", query_where, METH_VARARGS,
     "where($self, field, value, /)\n--\n\n"},
    {"terms", query_terms, METH_NOARGS, "terms($self, /)\n--\n\n"});
TYPE(Query, "Query()\n--\n\n",
    {Py_tp_new, query_new},
    {Py_tp_dealloc, query_dealloc},
    {Py_tp_methods, Query_methods});

/* The number of rows that a Cursor counts. */
typedef struct {
    PyObject_HEAD
    long rows; /* constant after table_new() */
} Table;

static PyObject *
table_new(PyTypeObject *type, PyObject *args, PyObject *Py_UNUSED(kwargs))
{
    long rows;
    if (!PyArg_ParseTuple(args, "l", &rows)) {
        return NULL;
    }
    PyObject *op = PyType_GenericAlloc(type, 0);
    if (op != NULL) {
        ((Table *)op)->rows = rows;
    }
    return op;
}

TYPE(Table, "Some rows.", {Py_tp_new, table_new});

/* Its constructor needs a Table, as only an error says. */
typedef struct {
    PyObject_HEAD
    long rows; /* constant after cursor_new() */
    volatile long next;
} Cursor;

static PyObject *
cursor_new(PyTypeObject *type, PyObject *args, PyObject *Py_UNUSED(kwargs))
{
    PyObject *table;
    if (!PyArg_ParseTuple(args, "O", &table)) {
        return NULL;
    }
    if (strcmp(Py_TYPE(table)->tp_name, "racing.unsafe.Table") != 0) {
        PyErr_SetString(PyExc_TypeError, "argument 1 must be a Table");
        return NULL;
    }
    PyObject *op = PyType_GenericAlloc(type, 0);
    if (op != NULL) {
        ((Cursor *)op)->rows = ((Table *)table)->rows;
    }
    return op;
}

static PyObject *
cursor_fetch(PyObject *op, PyObject *Py_UNUSED(ignored))
{
    Cursor *self = (Cursor *)op;
    long row = self->next;
    if (row >= self->rows) {
        Py_RETURN_NONE;
    }
    linger();
    self->next = row + 1;
    return PyLong_FromLong(row);
}

METHODS(Cursor, {"fetch", cursor_fetch, METH_NOARGS, "fetch($self, /)\n--\n\n"});
TYPE(Cursor, "The next row.",
    {Py_tp_new, cursor_new},
    {Py_tp_methods, Cursor_methods});

/* A table that the first call makes, with malloc(). */
#define SQUARES 4096
typedef struct {
    PyObject_HEAD
    long *table;
} Squares;

static PyObject *
squares_new(PyTypeObject *type, PyObject *Py_UNUSED(args),
            PyObject *Py_UNUSED(kwargs))
{
    return PyType_GenericAlloc(type, 0);
}

static void
squares_dealloc(PyObject *op)
{
    free(((Squares *)op)->table);
    free_object(op);
}

static PyObject *
squares_of(PyObject *op, PyObject *arg)
{
    Squares *self = (Squares *)op;
    long number;
    if (!as_number(arg, SQUARES - 1, &number)) {
        return NULL;
    }
    if (self->table == NULL) {
        long *table = malloc(SQUARES * sizeof(long));
        if (table == NULL) {
            return PyErr_NoMemory();
        }
        for (long i = 0; i < SQUARES; i++) {
            table[i] = i * i;
        }
        self->table = table; /* the table of another thread leaks */
    }
    return PyLong_FromLong(self->table[number]);
}

METHODS(Squares, {"of", squares_of, METH_O, "of($self, number, /)\n--\n\n"});
TYPE(Squares, "Squares()\n--\n\n",
    {Py_tp_new, squares_new},
    {Py_tp_dealloc, squares_dealloc},
    {Py_tp_methods, Squares_methods});

/* Callbacks. tell() skips one if another thread removes one before it. */
typedef struct {
    PyObject_HEAD
    PyObject *callbacks; /* a list */
} Watchers;

static PyObject *
watchers_new(PyTypeObject *type, PyObject *Py_UNUSED(args),
             PyObject *Py_UNUSED(kwargs))
{
    PyObject *op = PyType_GenericAlloc(type, 0);
    if (op != NULL) {
        ((Watchers *)op)->callbacks = PyList_New(0);
        if (((Watchers *)op)->callbacks == NULL) {
            Py_CLEAR(op);
        }
    }
    return op;
}

static void
watchers_dealloc(PyObject *op)
{
    Py_XDECREF(((Watchers *)op)->callbacks);
    free_object(op);
}

static PyObject *
watchers_add(PyObject *op, PyObject *callback)
{
    if (!PyCallable_Check(callback)) {
        PyErr_SetString(PyExc_TypeError, "not callable");
        return NULL;
    }
    if (PyList_Append(((Watchers *)op)->callbacks, callback) < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

static PyObject *
watchers_remove(PyObject *op, PyObject *callback)
{
    PyObject *callbacks = ((Watchers *)op)->callbacks;
    Py_ssize_t place;
    int result = -1;
    Py_BEGIN_CRITICAL_SECTION(callbacks);
    place = PySequence_Index(callbacks, callback);
    if (place >= 0) {
        result = PySequence_DelItem(callbacks, place);
    }
    Py_END_CRITICAL_SECTION();
    if (result < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

static PyObject *
watchers_tell(PyObject *op, PyObject *value)
{
    PyObject *callbacks = ((Watchers *)op)->callbacks;
    PyObject *results = PyList_New(0);
    for (Py_ssize_t i = 0; results && i < PyList_GET_SIZE(callbacks); i++) {
        PyObject *callback = PyList_GetItemRef(callbacks, i);
        if (callback == NULL) {
            PyErr_Clear();
            break;
        }
        PyObject *result = PyObject_CallOneArg(callback, value);
        Py_DECREF(callback);
        if (result == NULL || PyList_Append(results, result) < 0) {
            Py_CLEAR(results);
        }
        Py_XDECREF(result);
    }
    return results;
}

METHODS(Watchers,
    {"add", watchers_add, METH_O, "add($self, callback, /)\n--\n\n"},
    {"remove", watchers_remove, METH_O, "remove($self, callback, /)\n--\n\n"},
    {"tell", watchers_tell, METH_O, "tell($self, value, /)\n--\n\n"});
TYPE(Watchers, "Watchers()\n--\n\n",
    {Py_tp_new, watchers_new},
    {Py_tp_dealloc, watchers_dealloc},
    {Py_tp_methods, Watchers_methods});

/* The sum of the digits in a text, which it looks for when first asked. */
typedef struct {
    PyObject_HEAD
    char text[16]; /* constant after digits_new() */
    volatile bool ready;
    volatile long sum;
} Digits;

static PyObject *
digits_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    char *keywords[] = {"text", NULL};
    const char *text;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "s", keywords, &text)) {
        return NULL;
    }
    PyObject *op = PyType_GenericAlloc(type, 0);
    if (op != NULL) {
        strncpy(((Digits *)op)->text, text, 15);
    }
    return op;
}

static PyObject *
digits_sum(PyObject *op, PyObject *Py_UNUSED(ignored))
{
    Digits *self = (Digits *)op;
    if (!self->ready) {
        self->ready = true;
        for (const char *at = self->text; *at != '\0'; at++) {
            linger();
            self->sum += '0' <= *at && *at <= '9' ? *at - '0' : 0;
        }
    }
    return PyLong_FromLong(self->sum);
}

METHODS(Digits, {"sum", digits_sum, METH_NOARGS, "sum($self, /)\n--\n\n"});
TYPE(Digits, "Digits(text)\n--\n\n",
    {Py_tp_new, digits_new},
    {Py_tp_methods, Digits_methods});

/* One method sets both numbers and one reads both; neither takes a lock. */
typedef struct {
    PyObject_HEAD
    volatile long first;
    volatile long second;
} TornPair;

static PyObject *
torn_pair_fill(PyObject *op, PyObject *arg)
{
    TornPair *self = (TornPair *)op;
    long n;
    if (!as_number(arg, MANY, &n)) {
        return NULL;
    }
    self->first = n;
    linger();
    self->second = n;
    Py_RETURN_NONE;
}

static PyObject *
torn_pair_read(PyObject *op, PyObject *Py_UNUSED(ignored))
{
    TornPair *self = (TornPair *)op;
    return Py_BuildValue("ll", self->first, self->second);
}

METHODS(TornPair,
    {"fill", torn_pair_fill, METH_O, "fill($self, n, /)\n--\n\n"},
    {"read", torn_pair_read, METH_NOARGS, "read($self, /)\n--\n\n"});
TYPE(TornPair, "TornPair()\n--\n\n", {Py_tp_methods, TornPair_methods});

/* The same with an attribute, and only if two threads set it. */
typedef struct {
    PyObject_HEAD
    volatile long first;
    volatile long second;
} TornAttribute;

static PyObject *
torn_attribute_get(PyObject *op, void *Py_UNUSED(closure))
{
    TornAttribute *self = (TornAttribute *)op;
    return Py_BuildValue("ll", self->first, self->second);
}

static int
torn_attribute_set(PyObject *op, PyObject *arg, void *Py_UNUSED(closure))
{
    TornAttribute *self = (TornAttribute *)op;
    long n;
    if (arg == NULL) {
        PyErr_SetString(PyExc_TypeError, "both cannot be deleted");
        return -1;
    }
    if (!as_number(arg, MANY, &n)) {
        return -1;
    }
    self->first = n;
    linger();
    self->second = n;
    return 0;
}

GETSET(TornAttribute,
    {"both", torn_attribute_get, torn_attribute_set, NULL, NULL});
TYPE(TornAttribute, "TornAttribute()\n--\n\n",
    {Py_tp_getset, TornAttribute_getset});

/* add() and clear() each hold a lock, but not the same one. */
typedef struct {
    PyObject_HEAD
    PyMutex add_mutex;
    PyMutex clear_mutex;
    volatile long n;
} TwoLocks;

static PyObject *
two_locks_add(PyObject *op, PyObject *Py_UNUSED(ignored))
{
    TwoLocks *self = (TwoLocks *)op;
    PyMutex_Lock(&self->add_mutex);
    long n = self->n;
    linger();
    self->n = n + 1;
    PyMutex_Unlock(&self->add_mutex);
    return PyLong_FromLong(n + 1);
}

static PyObject *
two_locks_clear(PyObject *op, PyObject *Py_UNUSED(ignored))
{
    TwoLocks *self = (TwoLocks *)op;
    PyMutex_Lock(&self->clear_mutex);
    long n = self->n;
    linger();
    self->n = 0;
    PyMutex_Unlock(&self->clear_mutex);
    return PyLong_FromLong(n);
}

METHODS(TwoLocks,
    {"add", two_locks_add, METH_NOARGS, "add($self, /)\n--\n\n"},
    {"clear", two_locks_clear, METH_NOARGS, "clear($self, /)\n--\n\n"});
TYPE(TwoLocks, "TwoLocks()\n--\n\n", {Py_tp_methods, TwoLocks_methods});

/* Only results can be wrong: the field is working memory. */
typedef struct {
    PyObject_HEAD
    volatile long scratch;
} WrongSum;

static PyObject *
wrong_sum_up_to(PyObject *op, PyObject *arg)
{
    WrongSum *self = (WrongSum *)op;
    long n;
    if (!as_number(arg, 1000, &n)) {
        return NULL;
    }
    self->scratch = 0;
    for (long i = 0; i <= n; i++) {
        self->scratch += i;
        linger();
    }
    return PyLong_FromLong(self->scratch);
}

METHODS(WrongSum,
    {"up_to", wrong_sum_up_to, METH_O, "up_to($self, n, /)\n--\n\n"});
TYPE(WrongSum, "WrongSum()\n--\n\n", {Py_tp_methods, WrongSum_methods});

/* The hash is computed in the field that stores it. */
typedef struct {
    PyObject_HEAD
    volatile Py_hash_t hash;
} LazyHash;

static Py_hash_t
lazy_hash_hash(PyObject *op)
{
    LazyHash *self = (LazyHash *)op;
    if (self->hash == 0) {
        for (const char *c = "what is hashed"; *c != '\0'; c++) {
            self->hash = (self->hash * 31 + *c) & 0xFFFFFF;
        }
    }
    return self->hash;
}

TYPE(LazyHash, "LazyHash()\n--\n\n", {Py_tp_hash, lazy_hash_hash});

/* A context manager that counts how often it was entered. */
typedef struct {
    PyObject_HEAD
    volatile long depth;
} ContextDepth;

static PyObject *
context_depth_enter(PyObject *op, PyObject *Py_UNUSED(ignored))
{
    ContextDepth *self = (ContextDepth *)op;
    long depth = self->depth;
    linger();
    self->depth = depth + 1;
    return Py_NewRef(op);
}

static PyObject *
context_depth_exit(PyObject *op, PyObject *Py_UNUSED(args))
{
    ContextDepth *self = (ContextDepth *)op;
    long depth = self->depth;
    linger();
    self->depth = depth - 1;
    Py_RETURN_FALSE;
}

static PyObject *
context_depth_depth(PyObject *op, void *Py_UNUSED(closure))
{
    return PyLong_FromLong(((ContextDepth *)op)->depth);
}

METHODS(ContextDepth,
    {"__enter__", context_depth_enter, METH_NOARGS, NULL},
    {"__exit__", context_depth_exit, METH_VARARGS, NULL});
GETSET(ContextDepth, {"depth", context_depth_depth, NULL, NULL, NULL});
TYPE(ContextDepth, "ContextDepth()\n--\n\n",
    {Py_tp_methods, ContextDepth_methods},
    {Py_tp_getset, ContextDepth_getset});

/* reserve() is atomic. commit() races only with commit(), after two calls of
 * reserve(): no pair of single calls on a new object shows it. */
typedef struct {
    PyObject_HEAD
    PyMutex mutex;
    long reserved;           /* guarded by: mutex */
    volatile long committed; /* guarded by nothing */
} ReservesThenCommits;

static PyObject *
reserves_then_commits_reserve(PyObject *op, PyObject *Py_UNUSED(ignored))
{
    ReservesThenCommits *self = (ReservesThenCommits *)op;
    PyMutex_Lock(&self->mutex);
    self->reserved++;
    PyMutex_Unlock(&self->mutex);
    Py_RETURN_NONE;
}

static PyObject *
reserves_then_commits_commit(PyObject *op, PyObject *Py_UNUSED(ignored))
{
    ReservesThenCommits *self = (ReservesThenCommits *)op;
    PyMutex_Lock(&self->mutex);
    bool reserved = self->reserved > 0;
    if (reserved) {
        self->reserved--;
    }
    PyMutex_Unlock(&self->mutex);
    if (!reserved) {
        PyErr_SetString(PyExc_ValueError, "nothing reserved");
        return NULL;
    }
    long committed = self->committed;
    linger();
    self->committed = committed + 1;
    Py_RETURN_NONE;
}

static PyObject *
reserves_then_commits_committed(PyObject *op, void *Py_UNUSED(closure))
{
    return PyLong_FromLong(((ReservesThenCommits *)op)->committed);
}

METHODS(ReservesThenCommits,
    {"reserve", reserves_then_commits_reserve, METH_NOARGS,
     "reserve($self, /)\n--\n\n"},
    {"commit", reserves_then_commits_commit, METH_NOARGS,
     "commit($self, /)\n--\n\n"});
GETSET(ReservesThenCommits,
    {"committed", reserves_then_commits_committed, NULL, NULL, NULL});
TYPE(ReservesThenCommits, "ReservesThenCommits()\n--\n\n",
    {Py_tp_methods, ReservesThenCommits_methods},
    {Py_tp_getset, ReservesThenCommits_getset});

/* Two threads may be in visit() at once; a third one gets False. Calls one
 * after the other never return False. */
typedef struct {
    PyObject_HEAD
    int64_t inside; /* atomic */
} RoomForTwo;

static PyObject *
room_for_two_visit(PyObject *op, PyObject *Py_UNUSED(ignored))
{
    RoomForTwo *self = (RoomForTwo *)op;
    bool room = _Py_atomic_add_int64(&self->inside, 1) < 2;
    wait_detached(20);
    _Py_atomic_add_int64(&self->inside, -1);
    return PyBool_FromLong(room);
}

METHODS(RoomForTwo,
    {"visit", room_for_two_visit, METH_NOARGS, "visit($self, /)\n--\n\n"});
TYPE(RoomForTwo, "RoomForTwo()\n--\n\n", {Py_tp_methods, RoomForTwo_methods});

/* The same, but the third thread writes past the end of an array. */
typedef struct {
    PyObject_HEAD
    int64_t inside; /* atomic */
    volatile int *volatile seats[3];
} SeatsForTwo;

static PyObject *
seats_for_two_sit(PyObject *op, PyObject *Py_UNUSED(ignored))
{
    SeatsForTwo *self = (SeatsForTwo *)op;
    volatile int here;
    int64_t seat = _Py_atomic_add_int64(&self->inside, 1);
    if (seat < 2) {
        self->seats[seat] = &here;
    }
    *self->seats[seat < 2 ? seat : 2] = 1;
    wait_detached(20);
    _Py_atomic_add_int64(&self->inside, -1);
    Py_RETURN_NONE;
}

METHODS(SeatsForTwo,
    {"sit", seats_for_two_sit, METH_NOARGS, "sit($self, /)\n--\n\n"});
TYPE(SeatsForTwo, "SeatsForTwo()\n--\n\n",
    {Py_tp_methods, SeatsForTwo_methods});

/* A data race by C's rules, without effect: all threads write the same. */
typedef struct {
    PyObject_HEAD
    long touched;
} OnlyDataRace;

static PyObject *
only_data_race_touch(PyObject *op, PyObject *Py_UNUSED(ignored))
{
    ((OnlyDataRace *)op)->touched = 1;
    Py_RETURN_NONE;
}

METHODS(OnlyDataRace,
    {"touch", only_data_race_touch, METH_NOARGS, "touch($self, /)\n--\n\n"});
TYPE(OnlyDataRace, "OnlyDataRace()\n--\n\n",
    {Py_tp_methods, OnlyDataRace_methods});

/* === Text === */

/* repr() writes to a buffer that all objects share. */
typedef struct {
    PyObject_HEAD
} StaticRepr;

static PyObject *
static_repr_repr(PyObject *Py_UNUSED(op))
{
    static char buffer[32];
    char *volatile end = buffer;
    *end = '\0';
    linger();
    for (const char *c = "<StaticRepr>"; *c != '\0'; c++) {
        *end++ = *c;
        *end = '\0';
    }
    return PyUnicode_FromString(buffer);
}

TYPE(StaticRepr, "StaticRepr()\n--\n\n", {Py_tp_repr, static_repr_repr});

/* The list is created on first use. append() may use a list that another
 * thread has replaced. */
typedef struct {
    PyObject_HEAD
    PyObject *volatile items;
} LazyList;

static PyObject *
lazy_list_append(PyObject *op, PyObject *arg)
{
    LazyList *self = (LazyList *)op;
    PyObject *items = self->items;
    if (items == NULL) {
        items = PyList_New(0);
        if (items == NULL) {
            return NULL;
        }
        linger();
        self->items = items;
    }
    if (PyList_Append(items, arg) < 0) {
        return NULL;
    }
    Py_RETURN_NONE;
}

static Py_ssize_t
lazy_list_length(PyObject *op)
{
    LazyList *self = (LazyList *)op;
    return self->items == NULL ? 0 : PyList_GET_SIZE(self->items);
}

static void
lazy_list_dealloc(PyObject *op)
{
    Py_XDECREF(((LazyList *)op)->items);
    free_object(op);
}

METHODS(LazyList,
    {"append", lazy_list_append, METH_O, "append($self, item, /)\n--\n\n"});
TYPE(LazyList, "LazyList()\n--\n\n",
    {Py_sq_length, lazy_list_length},
    {Py_tp_dealloc, lazy_list_dealloc},
    {Py_tp_methods, LazyList_methods});

/* Two callers may get two objects, which differ only in their identity. */
typedef struct {
    PyObject_HEAD
    PyObject *volatile part;
} LazyPart;

static PyObject *
lazy_part_part(PyObject *op, PyObject *Py_UNUSED(ignored))
{
    LazyPart *self = (LazyPart *)op;
    PyObject *part = self->part;
    if (part == NULL) {
        part = PyObject_CallNoArgs((PyObject *)&PyBaseObject_Type);
        if (part == NULL) {
            return NULL;
        }
        linger();
        self->part = part;
    }
    return Py_NewRef(part);
}

static void
lazy_part_dealloc(PyObject *op)
{
    Py_XDECREF(((LazyPart *)op)->part);
    free_object(op);
}

METHODS(LazyPart,
    {"part", lazy_part_part, METH_NOARGS, "part($self, /)\n--\n\n"});
TYPE(LazyPart, "LazyPart()\n--\n\n",
    {Py_tp_dealloc, lazy_part_dealloc},
    {Py_tp_methods, LazyPart_methods});

/* The text is created on first use and can be freed again: it may be freed
 * twice, or freed before it is returned. */
typedef struct {
    PyObject_HEAD
    PyObject *volatile text;
} ForgetsText;

static PyObject *
forgets_text_text(PyObject *op, PyObject *Py_UNUSED(ignored))
{
    ForgetsText *self = (ForgetsText *)op;
    if (self->text == NULL) {
        self->text = PyUnicode_FromFormat("a text of %d", 1);
        if (self->text == NULL) {
            return NULL;
        }
    }
    linger();
    return Py_NewRef(self->text);
}

static PyObject *
forgets_text_forget(PyObject *op, PyObject *Py_UNUSED(ignored))
{
    ForgetsText *self = (ForgetsText *)op;
    PyObject *text = self->text;
    linger();
    self->text = NULL;
    Py_XDECREF(text);
    Py_RETURN_NONE;
}

static void
forgets_text_dealloc(PyObject *op)
{
    Py_XDECREF(((ForgetsText *)op)->text);
    free_object(op);
}

METHODS(ForgetsText,
    {"text", forgets_text_text, METH_NOARGS, "text($self, /)\n--\n\n"},
    {"forget", forgets_text_forget, METH_NOARGS, "forget($self, /)\n--\n\n"});
TYPE(ForgetsText, "ForgetsText()\n--\n\n",
    {Py_tp_dealloc, forgets_text_dealloc},
    {Py_tp_methods, ForgetsText_methods});

/* === Memory === */

/* An array of numbers, which each append() makes longer. */
typedef struct {
    PyObject_HEAD
    long *volatile items;
    volatile Py_ssize_t size;
} GrowingArray;

static PyObject *
growing_array_append(PyObject *op, PyObject *arg)
{
    GrowingArray *self = (GrowingArray *)op;
    long n;
    if (!as_number(arg, MANY, &n)) {
        return NULL;
    }
    Py_ssize_t size = self->size;
    long *items = PyMem_RawRealloc(self->items,
                                   ((size_t)size + 1) * sizeof(long));
    if (items == NULL) {
        return PyErr_NoMemory();
    }
    linger();
    items[size] = n;
    self->items = items;
    self->size = size + 1;
    Py_RETURN_NONE;
}

static Py_ssize_t
growing_array_length(PyObject *op)
{
    return ((GrowingArray *)op)->size;
}

static PyObject *
growing_array_item(PyObject *op, Py_ssize_t i)
{
    GrowingArray *self = (GrowingArray *)op;
    if (i < 0 || i >= self->size) {
        PyErr_SetString(PyExc_IndexError, "no such item");
        return NULL;
    }
    return PyLong_FromLong(self->items[i]);
}

static void
growing_array_dealloc(PyObject *op)
{
    PyMem_RawFree(((GrowingArray *)op)->items);
    free_object(op);
}

METHODS(GrowingArray,
    {"append", growing_array_append, METH_O, "append($self, n, /)\n--\n\n"});
TYPE(GrowingArray, "GrowingArray()\n--\n\n",
    {Py_sq_length, growing_array_length},
    {Py_sq_item, growing_array_item},
    {Py_tp_dealloc, growing_array_dealloc},
    {Py_tp_methods, GrowingArray_methods});

/* sum() reads memory that replace() frees. */
#define ONES 100

typedef struct {
    PyObject_HEAD
    unsigned char *volatile ones;
} FreedWhileRead;

static PyObject *
freed_while_read_replace(PyObject *op, PyObject *Py_UNUSED(ignored))
{
    FreedWhileRead *self = (FreedWhileRead *)op;
    unsigned char *old = self->ones;
    unsigned char *ones = PyMem_Malloc(ONES);
    if (ones == NULL) {
        return PyErr_NoMemory();
    }
    memset(ones, 1, ONES);
    self->ones = ones;
    PyMem_Free(old);
    Py_RETURN_NONE;
}

static PyObject *
freed_while_read_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    char *keywords[] = {NULL};
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "", keywords)) {
        return NULL;
    }
    PyObject *op = PyType_GenericAlloc(type, 0);
    if (op != NULL) {
        PyObject *result = freed_while_read_replace(op, NULL);
        if (result == NULL) {
            Py_CLEAR(op);
        }
        Py_XDECREF(result);
    }
    return op;
}

static PyObject *
freed_while_read_sum(PyObject *op, PyObject *Py_UNUSED(ignored))
{
    const unsigned char *ones = ((FreedWhileRead *)op)->ones;
    long sum = 0;
    for (int i = 0; i < ONES; i++) {
        if (i % 10 == 0) {
            linger();
        }
        sum += ones[ONES - 1 - i];
    }
    return PyLong_FromLong(sum);
}

static void
freed_while_read_dealloc(PyObject *op)
{
    PyMem_Free(((FreedWhileRead *)op)->ones);
    free_object(op);
}

METHODS(FreedWhileRead,
    {"replace", freed_while_read_replace, METH_NOARGS,
     "replace($self, /)\n--\n\n"},
    {"sum", freed_while_read_sum, METH_NOARGS, "sum($self, /)\n--\n\n"});
TYPE(FreedWhileRead, "FreedWhileRead()\n--\n\n",
    {Py_tp_new, freed_while_read_new},
    {Py_tp_dealloc, freed_while_read_dealloc},
    {Py_tp_methods, FreedWhileRead_methods});

/* Exports its bytes; meanwhile, resize() should raise BufferError. */
typedef struct {
    PyObject_HEAD
    char *bytes;
    Py_ssize_t size;
    volatile long exports;
} ResizesExported;

static PyObject *
resizes_exported_resize(PyObject *op, PyObject *arg)
{
    ResizesExported *self = (ResizesExported *)op;
    long size;
    if (!as_number(arg, 100000, &size)) {
        return NULL;
    }
    if (self->exports > 0) {
        PyErr_SetString(PyExc_BufferError, "exported");
        return NULL;
    }
    linger();
    char *bytes = PyMem_Realloc(self->bytes, (size_t)size + 1);
    if (bytes == NULL) {
        return PyErr_NoMemory();
    }
    memset(bytes, 'x', (size_t)size + 1);
    self->bytes = bytes;
    self->size = size;
    Py_RETURN_NONE;
}

static int
resizes_exported_getbuffer(PyObject *op, Py_buffer *view, int flags)
{
    ResizesExported *self = (ResizesExported *)op;
    static char nothing[1];
    if (PyBuffer_FillInfo(view, op, self->bytes ? self->bytes : nothing,
                          self->size, 1, flags) < 0) {
        return -1;
    }
    long exports = self->exports;
    linger();
    self->exports = exports + 1;
    return 0;
}

static void
resizes_exported_releasebuffer(PyObject *op, Py_buffer *Py_UNUSED(view))
{
    ResizesExported *self = (ResizesExported *)op;
    long exports = self->exports;
    linger();
    self->exports = exports - 1;
}

static PyObject *
resizes_exported_view(PyObject *op, PyObject *Py_UNUSED(ignored))
{
    return PyMemoryView_FromObject(op);
}

static PyObject *
resizes_exported_exports(PyObject *op, void *Py_UNUSED(closure))
{
    return PyLong_FromLong(((ResizesExported *)op)->exports);
}

static void
resizes_exported_dealloc(PyObject *op)
{
    PyMem_Free(((ResizesExported *)op)->bytes);
    free_object(op);
}

METHODS(ResizesExported,
    {"resize", resizes_exported_resize, METH_O,
     "resize($self, size, /)\n--\n\n"},
    {"view", resizes_exported_view, METH_NOARGS, "view($self, /)\n--\n\n"});
GETSET(ResizesExported,
    {"exports", resizes_exported_exports, NULL, NULL, NULL});
TYPE(ResizesExported, "ResizesExported()\n--\n\n",
    {Py_bf_getbuffer, resizes_exported_getbuffer},
    {Py_bf_releasebuffer, resizes_exported_releasebuffer},
    {Py_tp_dealloc, resizes_exported_dealloc},
    {Py_tp_methods, ResizesExported_methods},
    {Py_tp_getset, ResizesExported_getset});

/* === References === */

#define ROOM 1000

/* An item that is popped twice is also released twice. */
typedef struct {
    PyObject_HEAD
    PyObject *items[ROOM];
    volatile Py_ssize_t size;
} UnlockedStack;

static PyObject *
unlocked_stack_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    char *keywords[] = {"size", NULL};
    Py_ssize_t size = 3;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|n", keywords, &size)) {
        return NULL;
    }
    if (size < 0 || size > ROOM) {
        PyErr_SetString(PyExc_ValueError, "size");
        return NULL;
    }
    UnlockedStack *self = (UnlockedStack *)PyType_GenericAlloc(type, 0);
    if (self == NULL) {
        return NULL;
    }
    while (self->size < size) {
        PyObject *item = PyBytes_FromFormat("item %zd", self->size);
        if (item == NULL) {
            Py_DECREF(self);
            return NULL;
        }
        self->items[self->size++] = item;
    }
    return (PyObject *)self;
}

static PyObject *
unlocked_stack_push(PyObject *op, PyObject *arg)
{
    UnlockedStack *self = (UnlockedStack *)op;
    Py_ssize_t size = self->size;
    if (size == ROOM) {
        PyErr_SetString(PyExc_ValueError, "full");
        return NULL;
    }
    self->items[size] = Py_NewRef(arg);
    linger();
    self->size = size + 1;
    Py_RETURN_NONE;
}

static PyObject *
unlocked_stack_pop(PyObject *op, PyObject *Py_UNUSED(ignored))
{
    UnlockedStack *self = (UnlockedStack *)op;
    Py_ssize_t size = self->size;
    if (size == 0) {
        PyErr_SetString(PyExc_IndexError, "empty");
        return NULL;
    }
    linger();
    self->size = size - 1;
    return self->items[size - 1];
}

static Py_ssize_t
unlocked_stack_length(PyObject *op)
{
    return ((UnlockedStack *)op)->size;
}

static void
unlocked_stack_dealloc(PyObject *op)
{
    UnlockedStack *self = (UnlockedStack *)op;
    while (self->size > 0) {
        Py_DECREF(self->items[--self->size]);
    }
    free_object(op);
}

METHODS(UnlockedStack,
    {"push", unlocked_stack_push, METH_O, "push($self, item, /)\n--\n\n"},
    {"pop", unlocked_stack_pop, METH_NOARGS, "pop($self, /)\n--\n\n"});
TYPE(UnlockedStack, "UnlockedStack(size=3)\n--\n\n",
    {Py_sq_length, unlocked_stack_length},
    {Py_tp_new, unlocked_stack_new},
    {Py_tp_dealloc, unlocked_stack_dealloc},
    {Py_tp_methods, UnlockedStack_methods});

/* A setter frees the object that a getter is about to return. It stores a new
 * str each time. */
typedef struct {
    PyObject_HEAD
    PyObject *volatile value;
} ObjectField;

static PyObject *
object_field_get(PyObject *op, void *Py_UNUSED(closure))
{
    PyObject *value = ((ObjectField *)op)->value;
    linger();
    return Py_NewRef(value == NULL ? Py_None : value);
}

static int
object_field_set(PyObject *op, PyObject *arg, void *Py_UNUSED(closure))
{
    ObjectField *self = (ObjectField *)op;
    PyObject *value = arg == NULL ? NULL : PyUnicode_FromFormat("<%R>", arg);
    if (arg != NULL && value == NULL) {
        return -1;
    }
    PyObject *old = self->value;
    linger();
    self->value = value;
    Py_XDECREF(old);
    return 0;
}

static void
object_field_dealloc(PyObject *op)
{
    Py_XDECREF(((ObjectField *)op)->value);
    free_object(op);
}

GETSET(ObjectField, {"value", object_field_get, object_field_set, NULL, NULL});
TYPE(ObjectField, "ObjectField()\n--\n\n",
    {Py_tp_dealloc, object_field_dealloc},
    {Py_tp_getset, ObjectField_getset});

/* x[i] and x[i] = v, with i from 0 to 3: the same with the sequence protocol.
 * It stores v, and fails only if v is not immortal. */
typedef struct {
    PyObject_HEAD
    PyObject *volatile items[4];
} ItemSlots;

static Py_ssize_t
item_slots_length(PyObject *Py_UNUSED(op))
{
    return 4;
}

static PyObject *
item_slots_get(PyObject *op, Py_ssize_t i)
{
    if (i < 0 || i >= 4) {
        PyErr_SetString(PyExc_IndexError, "from 0 to 3");
        return NULL;
    }
    PyObject *item = ((ItemSlots *)op)->items[i];
    linger();
    return Py_NewRef(item == NULL ? Py_None : item);
}

static int
item_slots_set(PyObject *op, Py_ssize_t i, PyObject *item)
{
    ItemSlots *self = (ItemSlots *)op;
    if (i < 0 || i >= 4) {
        PyErr_SetString(PyExc_IndexError, "from 0 to 3");
        return -1;
    }
    PyObject *old = self->items[i];
    linger();
    self->items[i] = Py_XNewRef(item);
    Py_XDECREF(old);
    return 0;
}

static void
item_slots_dealloc(PyObject *op)
{
    for (int i = 0; i < 4; i++) {
        Py_XDECREF(((ItemSlots *)op)->items[i]);
    }
    free_object(op);
}

TYPE(ItemSlots, "ItemSlots()\n--\n\n",
    {Py_sq_length, item_slots_length},
    {Py_sq_item, item_slots_get},
    {Py_sq_ass_item, item_slots_set},
    {Py_tp_dealloc, item_slots_dealloc});

/* The dict is safe; the references borrowed from it are not. */
typedef struct {
    PyObject_HEAD
    PyObject *dict; /* constant after borrowing_cache_new() */
} BorrowingCache;

static PyObject *
borrowing_cache_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    char *keywords[] = {NULL};
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "", keywords)) {
        return NULL;
    }
    PyObject *op = PyType_GenericAlloc(type, 0);
    if (op != NULL) {
        ((BorrowingCache *)op)->dict = PyDict_New();
        if (((BorrowingCache *)op)->dict == NULL) {
            Py_CLEAR(op);
        }
    }
    return op;
}

static PyObject *
borrowing_cache_put(PyObject *op, PyObject *key)
{
    PyObject *value = PyUnicode_FromFormat("value of %R", key);
    if (value == NULL
        || PyDict_SetItem(((BorrowingCache *)op)->dict, key, value) < 0) {
        Py_XDECREF(value);
        return NULL;
    }
    Py_DECREF(value);
    Py_RETURN_NONE;
}

static PyObject *
borrowing_cache_get(PyObject *op, PyObject *key)
{
    PyObject *value =
        PyDict_GetItemWithError(((BorrowingCache *)op)->dict, key);
    if (value == NULL) {
        if (!PyErr_Occurred()) {
            PyErr_SetObject(PyExc_KeyError, key);
        }
        return NULL;
    }
    linger();
    linger();
    return Py_NewRef(value);
}

static PyObject *
borrowing_cache_clear(PyObject *op, PyObject *Py_UNUSED(ignored))
{
    PyDict_Clear(((BorrowingCache *)op)->dict);
    Py_RETURN_NONE;
}

static void
borrowing_cache_dealloc(PyObject *op)
{
    Py_XDECREF(((BorrowingCache *)op)->dict);
    free_object(op);
}

METHODS(BorrowingCache,
    {"put", borrowing_cache_put, METH_O, "put($self, key, /)\n--\n\n"},
    {"get", borrowing_cache_get, METH_O, "get($self, key, /)\n--\n\n"},
    {"clear", borrowing_cache_clear, METH_NOARGS, "clear($self, /)\n--\n\n"});
TYPE(BorrowingCache, "BorrowingCache()\n--\n\n",
    {Py_tp_new, borrowing_cache_new},
    {Py_tp_dealloc, borrowing_cache_dealloc},
    {Py_tp_methods, BorrowingCache_methods});

/* If two threads refresh at once, a kilobyte leaks; all else is right. */
typedef struct {
    PyObject_HEAD
    void *page;
} LeaksMemory;

static PyObject *
leaks_memory_refresh(PyObject *op, PyObject *Py_UNUSED(ignored))
{
    LeaksMemory *self = (LeaksMemory *)op;
    PyMem_Free(_Py_atomic_exchange_ptr(&self->page, NULL));
    linger();
    void *page = PyMem_Malloc(1024);
    if (page == NULL) {
        return PyErr_NoMemory();
    }
    memset(page, 1, 1024);
    _Py_atomic_store_ptr(&self->page, page);
    Py_RETURN_NONE;
}

static void
leaks_memory_dealloc(PyObject *op)
{
    PyMem_Free(((LeaksMemory *)op)->page);
    free_object(op);
}

METHODS(LeaksMemory,
    {"refresh", leaks_memory_refresh, METH_NOARGS,
     "refresh($self, /)\n--\n\n"});
TYPE(LeaksMemory, "LeaksMemory()\n--\n\n",
    {Py_tp_dealloc, leaks_memory_dealloc},
    {Py_tp_methods, LeaksMemory_methods});

/* The same, but a reference to the argument leaks. */
typedef struct {
    PyObject_HEAD
    PyObject *held;
} LeaksReference;

static PyObject *
leaks_reference_hold(PyObject *op, PyObject *arg)
{
    LeaksReference *self = (LeaksReference *)op;
    PyObject *old = _Py_atomic_exchange_ptr(&self->held, NULL);
    Py_XDECREF(old);
    linger();
    _Py_atomic_store_ptr(&self->held, Py_NewRef(arg));
    Py_RETURN_NONE;
}

static void
leaks_reference_dealloc(PyObject *op)
{
    Py_XDECREF(((LeaksReference *)op)->held);
    free_object(op);
}

METHODS(LeaksReference,
    {"hold", leaks_reference_hold, METH_O, "hold($self, obj, /)\n--\n\n"});
TYPE(LeaksReference, "LeaksReference()\n--\n\n",
    {Py_tp_dealloc, leaks_reference_dealloc},
    {Py_tp_methods, LeaksReference_methods});

/* === Containers and iterators === */

typedef struct {
    PyObject_HEAD
    volatile long next;
    long stop;
} HandsOutTwice;

static PyObject *
hands_out_twice_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    char *keywords[] = {"stop", NULL};
    long stop = 10;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|l", keywords, &stop)) {
        return NULL;
    }
    PyObject *op = PyType_GenericAlloc(type, 0);
    if (op != NULL) {
        ((HandsOutTwice *)op)->stop = stop;
    }
    return op;
}

static PyObject *
hands_out_twice_next(PyObject *op)
{
    HandsOutTwice *self = (HandsOutTwice *)op;
    long next = self->next;
    if (next >= self->stop) {
        return NULL;
    }
    linger();
    self->next = next + 1;
    return PyLong_FromLong(next);
}

TYPE(HandsOutTwice, "HandsOutTwice(stop=10)\n--\n\n",
    {Py_tp_new, hands_out_twice_new},
    {Py_tp_iter, PyObject_SelfIter},
    {Py_tp_iternext, hands_out_twice_next});

/* A Shelf is immutable, so it is safe. Its iterator is not; only a Shelf can
 * create one. */
typedef struct {
    PyObject_HEAD
    PyObject *books; /* a tuple, constant after shelf_new() */
} Shelf;

typedef struct {
    PyObject_HEAD
    PyObject *books; /* constant after shelf_reader() */
    volatile Py_ssize_t next;
} ShelfReader;

static PyObject *
shelf_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    char *keywords[] = {NULL};
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "", keywords)) {
        return NULL;
    }
    PyObject *op = PyType_GenericAlloc(type, 0);
    if (op != NULL) {
        ((Shelf *)op)->books = Py_BuildValue("ssss", "a", "b", "c", "d");
        if (((Shelf *)op)->books == NULL) {
            Py_CLEAR(op);
        }
    }
    return op;
}

static PyObject *
shelf_reader(PyObject *op, PyTypeObject *defining_class,
             PyObject *const *Py_UNUSED(args), Py_ssize_t nargs,
             PyObject *Py_UNUSED(kwnames))
{
    if (nargs != 0) {
        PyErr_SetString(PyExc_TypeError, "takes no arguments");
        return NULL;
    }
    PyTypeObject **types = PyType_GetModuleState(defining_class);
    ShelfReader *reader = (ShelfReader *)PyType_GenericAlloc(types[0], 0);
    if (reader != NULL) {
        reader->books = Py_NewRef(((Shelf *)op)->books);
    }
    return (PyObject *)reader;
}

static PyObject *
shelf_reader_next(PyObject *op)
{
    ShelfReader *self = (ShelfReader *)op;
    Py_ssize_t next = self->next;
    if (next >= PyTuple_GET_SIZE(self->books)) {
        return NULL;
    }
    linger();
    self->next = next + 1;
    return Py_NewRef(PyTuple_GET_ITEM(self->books, next));
}

static void
shelf_dealloc(PyObject *op)
{
    Py_XDECREF(((Shelf *)op)->books);
    free_object(op);
}

static void
shelf_reader_dealloc(PyObject *op)
{
    Py_XDECREF(((ShelfReader *)op)->books);
    free_object(op);
}

METHODS(Shelf, {"reader", CFUNCTION(shelf_reader),
                METH_METHOD | METH_FASTCALL | METH_KEYWORDS,
                "reader($self, /)\n--\n\n"});
TYPE(Shelf, "Shelf()\n--\n\n",
    {Py_tp_new, shelf_new},
    {Py_tp_dealloc, shelf_dealloc},
    {Py_tp_methods, Shelf_methods});
TYPE_WITH_FLAGS(ShelfReader, Py_TPFLAGS_DISALLOW_INSTANTIATION, "",
    {Py_tp_iter, PyObject_SelfIter},
    {Py_tp_iternext, shelf_reader_next},
    {Py_tp_dealloc, shelf_reader_dealloc});

/* x[k] = v and len(x): a dict, and a separate count of its items. */
typedef struct {
    PyObject_HEAD
    PyObject *dict; /* constant after counted_mapping_new() */
    volatile Py_ssize_t count;
} CountedMapping;

static PyObject *
counted_mapping_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    char *keywords[] = {NULL};
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "", keywords)) {
        return NULL;
    }
    PyObject *op = PyType_GenericAlloc(type, 0);
    if (op != NULL) {
        ((CountedMapping *)op)->dict = PyDict_New();
        if (((CountedMapping *)op)->dict == NULL) {
            Py_CLEAR(op);
        }
    }
    return op;
}

static PyObject *
counted_mapping_get(PyObject *op, PyObject *key)
{
    return PyObject_GetItem(((CountedMapping *)op)->dict, key);
}

static int
counted_mapping_set(PyObject *op, PyObject *key, PyObject *value)
{
    CountedMapping *self = (CountedMapping *)op;
    int present = PyDict_Contains(self->dict, key);
    if (present < 0) {
        return -1;
    }
    if (value == NULL) {
        if (PyDict_DelItem(self->dict, key) < 0) {
            return -1;
        }
        self->count--;
        return 0;
    }
    if (PyDict_SetItem(self->dict, key, value) < 0) {
        return -1;
    }
    if (!present) {
        self->count++;
    }
    return 0;
}

static Py_ssize_t
counted_mapping_length(PyObject *op)
{
    Py_ssize_t count = ((CountedMapping *)op)->count;
    return count < 0 ? 0 : count;
}

static void
counted_mapping_dealloc(PyObject *op)
{
    Py_XDECREF(((CountedMapping *)op)->dict);
    free_object(op);
}

TYPE(CountedMapping, "CountedMapping()\n--\n\n",
    {Py_mp_length, counted_mapping_length},
    {Py_mp_subscript, counted_mapping_get},
    {Py_mp_ass_subscript, counted_mapping_set},
    {Py_tp_new, counted_mapping_new},
    {Py_tp_dealloc, counted_mapping_dealloc});

/* k in x, which looks like a read, moves k to the front. */
typedef struct {
    PyObject_HEAD
    volatile signed char items[8];
} MovesToFront;

static PyObject *
moves_to_front_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    char *keywords[] = {NULL};
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "", keywords)) {
        return NULL;
    }
    PyObject *op = PyType_GenericAlloc(type, 0);
    for (signed char i = 0; op != NULL && i < 8; i++) {
        ((MovesToFront *)op)->items[i] = (signed char)(7 - i);
    }
    return op;
}

static int
moves_to_front_contains(PyObject *op, PyObject *arg)
{
    MovesToFront *self = (MovesToFront *)op;
    long n;
    if (!as_number(arg, MANY, &n)) {
        return -1;
    }
    for (int i = 0; i < 8; i++) {
        if (self->items[i] == n) {
            for (; i > 0; i--) {
                self->items[i] = self->items[i - 1];
                linger();
            }
            self->items[0] = (signed char)n;
            return 1;
        }
    }
    return 0;
}

static PyObject *
moves_to_front_items(PyObject *op, PyObject *Py_UNUSED(ignored))
{
    MovesToFront *self = (MovesToFront *)op;
    PyObject *items = PyList_New(8);
    for (int i = 0; items != NULL && i < 8; i++) {
        PyList_SET_ITEM(items, i, PyLong_FromLong(self->items[i]));
    }
    return items;
}

METHODS(MovesToFront,
    {"items", moves_to_front_items, METH_NOARGS, "items($self, /)\n--\n\n"});
TYPE(MovesToFront, "MovesToFront()\n--\n\n",
    {Py_tp_new, moves_to_front_new},
    {Py_sq_contains, moves_to_front_contains},
    {Py_tp_methods, MovesToFront_methods});

/* === Two objects === */

typedef struct {
    PyObject_HEAD
    volatile long n;
    PyMutex mutex;
} NestedSections, OppositeOrder, OppositeEquality, Box;

static PyObject *
two_objects_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    char *keywords[] = {"n", NULL};
    long n = 1;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|l", keywords, &n)) {
        return NULL;
    }
    PyObject *op = PyType_GenericAlloc(type, 0);
    if (op != NULL) {
        ((NestedSections *)op)->n = n;
    }
    return op;
}

static bool
another(PyObject *op, PyObject *other)
{
    if (Py_TYPE(op) != Py_TYPE(other) || op == other) {
        PyErr_SetString(PyExc_TypeError, "not another object of this type");
        return false;
    }
    return true;
}

static PyObject *
two_objects_n(PyObject *op, void *Py_UNUSED(closure))
{
    return PyLong_FromLong(((NestedSections *)op)->n);
}

/* The second section suspends the first while it waits. */
static PyObject *
nested_sections_swap(PyObject *op, PyObject *other_op)
{
    NestedSections *self = (NestedSections *)op;
    NestedSections *other = (NestedSections *)other_op;
    if (!another(op, other_op)) {
        return NULL;
    }
    Py_BEGIN_CRITICAL_SECTION(op);
    long n = self->n;
    linger();
    Py_BEGIN_CRITICAL_SECTION(other_op);
    self->n = other->n;
    other->n = n;
    Py_END_CRITICAL_SECTION();
    Py_END_CRITICAL_SECTION();
    Py_RETURN_NONE;
}

static PyObject *
nested_sections_take(PyObject *op, PyObject *other_op)
{
    NestedSections *self = (NestedSections *)op;
    NestedSections *other = (NestedSections *)other_op;
    if (!another(op, other_op)) {
        return NULL;
    }
    Py_BEGIN_CRITICAL_SECTION(op);
    long n = self->n;
    linger();
    Py_BEGIN_CRITICAL_SECTION(other_op);
    self->n = n + other->n;
    other->n = 0;
    Py_END_CRITICAL_SECTION();
    Py_END_CRITICAL_SECTION();
    Py_RETURN_NONE;
}

METHODS(NestedSections,
    {"swap", nested_sections_swap, METH_O, "swap($self, other, /)\n--\n\n"},
    {"take", nested_sections_take, METH_O, "take($self, other, /)\n--\n\n"});
GETSET(NestedSections, {"n", two_objects_n, NULL, NULL, NULL});
TYPE(NestedSections, "NestedSections(n=1)\n--\n\n",
    {Py_tp_new, two_objects_new},
    {Py_tp_methods, NestedSections_methods},
    {Py_tp_getset, NestedSections_getset});

/* a.give(b) and b.give(a) each wait for the lock that the other holds. */
static PyObject *
give(PyObject *op, PyObject *other_op)
{
    OppositeOrder *self = (OppositeOrder *)op;
    OppositeOrder *other = (OppositeOrder *)other_op;
    PyMutex_Lock(&self->mutex);
    linger();
    PyMutex_Lock(&other->mutex);
    other->n += self->n;
    self->n = 0;
    PyMutex_Unlock(&other->mutex);
    PyMutex_Unlock(&self->mutex);
    Py_RETURN_NONE;
}

static PyObject *
opposite_order_give(PyObject *op, PyObject *other_op)
{
    return another(op, other_op) ? give(op, other_op) : NULL;
}

METHODS(OppositeOrder,
    {"give", opposite_order_give, METH_O, "give($self, other, /)\n--\n\n"});
GETSET(OppositeOrder, {"n", two_objects_n, NULL, NULL, NULL});
TYPE(OppositeOrder, "OppositeOrder(n=1)\n--\n\n",
    {Py_tp_new, two_objects_new},
    {Py_tp_methods, OppositeOrder_methods},
    {Py_tp_getset, OppositeOrder_getset});

/* The same with a == b and b == a. */
static PyObject *
opposite_equality_compare(PyObject *op, PyObject *other_op, int how)
{
    if (Py_TYPE(op) != Py_TYPE(other_op) || (how != Py_EQ && how != Py_NE)) {
        Py_RETURN_NOTIMPLEMENTED;
    }
    if (op == other_op) {
        return PyBool_FromLong(how == Py_EQ);
    }
    OppositeEquality *self = (OppositeEquality *)op;
    OppositeEquality *other = (OppositeEquality *)other_op;
    PyMutex_Lock(&self->mutex);
    linger();
    PyMutex_Lock(&other->mutex);
    bool equal = self->n == other->n;
    PyMutex_Unlock(&other->mutex);
    PyMutex_Unlock(&self->mutex);
    return PyBool_FromLong(equal == (how == Py_EQ));
}

TYPE(OppositeEquality, "OppositeEquality(n=1)\n--\n\n",
    {Py_tp_new, two_objects_new},
    {Py_tp_richcompare, opposite_equality_compare});

/* === Other failures === */

/* A flag used as a lock. A waiting thread marks it; the thread that leaves
 * then forgets to clear it, so all threads wait for ever, detached. */
typedef struct {
    PyObject_HEAD
    int flag; /* 0 free, 1 taken, 2 taken and waited for; atomic */
} LostWakeup;

static PyObject *
lost_wakeup_use(PyObject *op, PyObject *Py_UNUSED(ignored))
{
    LostWakeup *self = (LostWakeup *)op;
    int expected = 0;
    while (!_Py_atomic_compare_exchange_int(&self->flag, &expected, 1)) {
        expected = 1;
        _Py_atomic_compare_exchange_int(&self->flag, &expected, 2);
        expected = 0;
        wait_detached(100);
    }
    linger();
    expected = 1;
    _Py_atomic_compare_exchange_int(&self->flag, &expected, 0);
    Py_RETURN_NONE;
}

METHODS(LostWakeup,
    {"use", lost_wakeup_use, METH_NOARGS, "use($self, /)\n--\n\n"});
TYPE(LostWakeup, "LostWakeup()\n--\n\n", {Py_tp_methods, LostWakeup_methods});

/* Returns NULL without an exception if another thread is inside. */
typedef struct {
    PyObject_HEAD
    int busy; /* atomic */
} NullWithoutException;

static PyObject *
null_without_exception_use(PyObject *op, PyObject *Py_UNUSED(ignored))
{
    NullWithoutException *self = (NullWithoutException *)op;
    if (_Py_atomic_exchange_int(&self->busy, 1)) {
        return NULL;
    }
    linger();
    _Py_atomic_store_int(&self->busy, 0);
    Py_RETURN_NONE;
}

METHODS(NullWithoutException,
    {"use", null_without_exception_use, METH_NOARGS,
     "use($self, /)\n--\n\n"});
TYPE(NullWithoutException, "NullWithoutException()\n--\n\n",
    {Py_tp_methods, NullWithoutException_methods});

/* Returns inside the section if another thread waits for it. */
typedef struct {
    PyObject_HEAD
    int64_t users; /* atomic */
} ReturnsInSection;

static PyObject *
returns_in_section_use(PyObject *op, PyObject *Py_UNUSED(ignored))
{
    ReturnsInSection *self = (ReturnsInSection *)op;
    _Py_atomic_add_int64(&self->users, 1);
    Py_BEGIN_CRITICAL_SECTION(op);
    linger();
    if (_Py_atomic_add_int64(&self->users, -1) > 1) {
        Py_RETURN_NONE;
    }
    Py_END_CRITICAL_SECTION();
    Py_RETURN_NONE;
}

METHODS(ReturnsInSection,
    {"use", returns_in_section_use, METH_NOARGS, "use($self, /)\n--\n\n"});
TYPE(ReturnsInSection, "ReturnsInSection()\n--\n\n",
    {Py_tp_methods, ReturnsInSection_methods});

/* The docstring says that it is not atomic, so that is allowed. */
typedef struct {
    PyObject_HEAD
    volatile long n;
} DocumentedCompatible;

static PyObject *
documented_compatible_add(PyObject *op, PyObject *Py_UNUSED(ignored))
{
    DocumentedCompatible *self = (DocumentedCompatible *)op;
    long n = self->n;
    linger();
    self->n = n + 1;
    return PyLong_FromLong(n + 1);
}

METHODS(DocumentedCompatible,
    {"add", documented_compatible_add, METH_NOARGS,
     "add($self, /)\n--\n\n"});
TYPE(DocumentedCompatible, "DocumentedCompatible()\n--\n\n"
    "A counter. Thread safety: compatible.",
    {Py_tp_methods, DocumentedCompatible_methods});

/* One docstring says that too; the other promises more than is true. */
typedef struct {
    PyObject_HEAD
    volatile long rough;
    volatile long exact;
} DocumentedMethods;

static PyObject *
documented_methods_rough(PyObject *op, PyObject *Py_UNUSED(ignored))
{
    DocumentedMethods *self = (DocumentedMethods *)op;
    long n = self->rough;
    linger();
    self->rough = n + 1;
    return PyLong_FromLong(n + 1);
}

static PyObject *
documented_methods_exact(PyObject *op, PyObject *Py_UNUSED(ignored))
{
    DocumentedMethods *self = (DocumentedMethods *)op;
    long n = self->exact;
    linger();
    self->exact = n + 1;
    return PyLong_FromLong(n + 1);
}

METHODS(DocumentedMethods,
    {"rough", documented_methods_rough, METH_NOARGS,
     "rough($self, /)\n--\n\nCount. Thread safety: safe on distinct objects."},
    {"exact", documented_methods_exact, METH_NOARGS,
     "exact($self, /)\n--\n\nCount. Thread safety: atomic."});
TYPE(DocumentedMethods, "DocumentedMethods()\n--\n\n",
    {Py_tp_methods, DocumentedMethods_methods});

/* A race that is documented, but crashes: it counts. */
typedef struct {
    PyObject_HEAD
    PyObject *volatile value;
} DocumentedCrash;

static PyObject *
documented_crash_renew(PyObject *op, PyObject *Py_UNUSED(ignored))
{
    DocumentedCrash *self = (DocumentedCrash *)op;
    Py_XDECREF(self->value);
    self->value = NULL;
    linger();
    self->value = PyBytes_FromFormat("%d", 12345);
    linger();
    return Py_NewRef(self->value);
}

static void
documented_crash_dealloc(PyObject *op)
{
    Py_XDECREF(((DocumentedCrash *)op)->value);
    free_object(op);
}

METHODS(DocumentedCrash,
    {"renew", documented_crash_renew, METH_NOARGS, "renew($self, /)\n--\n\n"});
TYPE(DocumentedCrash, "DocumentedCrash()\n--\n\n"
    "One value. Thread safety: compatible.",
    {Py_tp_dealloc, documented_crash_dealloc},
    {Py_tp_methods, DocumentedCrash_methods});

/* Documented as incompatible: must not be called at all; it crashes. */
typedef struct {
    PyObject_HEAD
} DocumentedIncompatible;

static PyObject *
documented_incompatible_die(PyObject *Py_UNUSED(op),
                            PyObject *Py_UNUSED(ignored))
{
    Py_FatalError("a method of an incompatible type was called");
}

METHODS(DocumentedIncompatible,
    {"die", documented_incompatible_die, METH_NOARGS,
     "die($self, /)\n--\n\n"});
TYPE(DocumentedIncompatible, "DocumentedIncompatible()\n--\n\n"
    "For one thread. Thread safety: incompatible.",
    {Py_tp_methods, DocumentedIncompatible_methods});

/* === State that objects share === */

/* The number of each object, counted in a static variable. */
typedef struct {
    PyObject_HEAD
    long number; /* constant after numbers_objects_new() */
} NumbersObjects;

static PyObject *
numbers_objects_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    static volatile long made;
    char *keywords[] = {NULL};
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "", keywords)) {
        return NULL;
    }
    PyObject *op = PyType_GenericAlloc(type, 0);
    if (op != NULL) {
        long number = made + 1;
        linger();
        made = number;
        ((NumbersObjects *)op)->number = number;
    }
    return op;
}

static PyObject *
numbers_objects_number(PyObject *op, void *Py_UNUSED(closure))
{
    return PyLong_FromLong(((NumbersObjects *)op)->number);
}

GETSET(NumbersObjects, {"number", numbers_objects_number, NULL, NULL, NULL});
TYPE(NumbersObjects, "NumbersObjects()\n--\n\n",
    {Py_tp_new, numbers_objects_new},
    {Py_tp_getset, NumbersObjects_getset});

/* One object per key: the constructor returns an existing one. */
typedef struct {
    PyObject_HEAD
    PyObject *key; /* constant after one_for_each_new() */
} OneForEach;

static PyObject *
one_for_each_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    static PyObject *objects;
    char *keywords[] = {"key", NULL};
    PyObject *key;
    PyObject *op;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O", keywords, &key)) {
        return NULL;
    }
    if (objects == NULL && (objects = PyDict_New()) == NULL) {
        return NULL;
    }
    if (PyDict_GetItemRef(objects, key, &op) != 0) {
        return op;
    }
    op = PyType_GenericAlloc(type, 0);
    if (op != NULL) {
        ((OneForEach *)op)->key = Py_NewRef(key);
        if (PyDict_SetItem(objects, key, op) < 0) {
            Py_CLEAR(op);
        }
    }
    return op;
}

static void
one_for_each_dealloc(PyObject *op)
{
    Py_XDECREF(((OneForEach *)op)->key);
    free_object(op);
}

TYPE(OneForEach, "OneForEach(key)\n--\n\n",
    {Py_tp_new, one_for_each_new},
    {Py_tp_dealloc, one_for_each_dealloc});

/* The height is always twice the width, but each is read separately. */
typedef struct {
    PyObject_HEAD
    volatile long width;
    volatile long height;
} TornSides;

static PyObject *
torn_sides_set(PyObject *op, PyObject *arg)
{
    TornSides *self = (TornSides *)op;
    long n;
    if (!as_number(arg, MANY, &n)) {
        return NULL;
    }
    self->width = n;
    linger();
    self->height = 2 * n;
    Py_RETURN_NONE;
}

static PyObject *
torn_sides_width(PyObject *op, void *Py_UNUSED(closure))
{
    return PyLong_FromLong(((TornSides *)op)->width);
}

static PyObject *
torn_sides_height(PyObject *op, void *Py_UNUSED(closure))
{
    return PyLong_FromLong(((TornSides *)op)->height);
}

METHODS(TornSides,
    {"set", torn_sides_set, METH_O, "set($self, width, /)\n--\n\n"});
GETSET(TornSides,
    {"width", torn_sides_width, NULL, NULL, NULL},
    {"height", torn_sides_height, NULL, NULL, NULL});
TYPE(TornSides, "TornSides()\n--\n\n",
    {Py_tp_methods, TornSides_methods},
    {Py_tp_getset, TornSides_getset});

/* Each tap locks itself, but not the barrel that it shares with others. */
typedef struct {
    PyObject_HEAD
    volatile long next;
} Barrel;

typedef struct {
    PyObject_HEAD
    PyObject *barrel; /* constant after barrel_tap() */
} Tap;

static PyObject *
barrel_tap(PyObject *op, PyTypeObject *defining_class,
           PyObject *const *Py_UNUSED(args), Py_ssize_t nargs,
           PyObject *Py_UNUSED(kwnames))
{
    if (nargs != 0) {
        PyErr_SetString(PyExc_TypeError, "takes no arguments");
        return NULL;
    }
    PyTypeObject **types = PyType_GetModuleState(defining_class);
    Tap *tap = (Tap *)PyType_GenericAlloc(types[2], 0);
    if (tap != NULL) {
        tap->barrel = Py_NewRef(op);
    }
    return (PyObject *)tap;
}

static PyObject *
tap_next(PyObject *op)
{
    Barrel *barrel = (Barrel *)((Tap *)op)->barrel;
    long next;
    Py_BEGIN_CRITICAL_SECTION(op);
    next = barrel->next;
    linger();
    barrel->next = next + 1;
    Py_END_CRITICAL_SECTION();
    return PyLong_FromLong(next);
}

static void
tap_dealloc(PyObject *op)
{
    Py_XDECREF(((Tap *)op)->barrel);
    free_object(op);
}

METHODS(Barrel, {"tap", CFUNCTION(barrel_tap),
                 METH_METHOD | METH_FASTCALL | METH_KEYWORDS,
                 "tap($self, /)\n--\n\n"});
TYPE(Barrel, "Barrel()\n--\n\n", {Py_tp_methods, Barrel_methods});
TYPE_WITH_FLAGS(Tap, Py_TPFLAGS_DISALLOW_INSTANTIATION, "",
    {Py_tp_iter, PyObject_SelfIter},
    {Py_tp_iternext, tap_next},
    {Py_tp_dealloc, tap_dealloc});

/* === Functions of the module === */

/* A Box is safe; the functions bump() and transfer() are not. */
static long
box_load(Box *box)
{
    PyMutex_Lock(&box->mutex);
    long n = box->n;
    PyMutex_Unlock(&box->mutex);
    return n;
}

static PyObject *
box_get(PyObject *op, PyObject *Py_UNUSED(ignored))
{
    return PyLong_FromLong(box_load((Box *)op));
}

METHODS(Box, {"get", box_get, METH_NOARGS, "get($self, /)\n--\n\n"});
TYPE(Box, "Box(n=1)\n--\n\n",
    {Py_tp_new, two_objects_new},
    {Py_tp_methods, Box_methods});

static bool
is_box(PyObject *module, PyObject *op)
{
    PyTypeObject **types = PyModule_GetState(module);
    if (!Py_IS_TYPE(op, types[1])) {
        PyErr_SetString(PyExc_TypeError, "not a Box");
        return false;
    }
    return true;
}

static PyObject *
bump(PyObject *module, PyObject *op)
{
    if (!is_box(module, op)) {
        return NULL;
    }
    Box *box = (Box *)op;
    long n = box_load(box);
    linger();
    PyMutex_Lock(&box->mutex);
    box->n = n + 1;
    PyMutex_Unlock(&box->mutex);
    Py_RETURN_NONE;
}

static PyObject *
transfer(PyObject *module, PyObject *const *args, Py_ssize_t nargs)
{
    if (nargs != 2) {
        PyErr_SetString(PyExc_TypeError, "transfer(source, target)");
        return NULL;
    }
    if (!is_box(module, args[0]) || !another(args[0], args[1])) {
        return NULL;
    }
    return give(args[0], args[1]);
}

/* counts[key] += 1 in a dict that the caller passes. */
static PyObject *
count_in(PyObject *Py_UNUSED(module), PyObject *counts)
{
    if (!PyDict_Check(counts)) {
        PyErr_SetString(PyExc_TypeError, "not a dict");
        return NULL;
    }
    PyObject *old;
    long n = 0;
    if (PyDict_GetItemStringRef(counts, "count", &old) < 0) {
        return NULL;
    }
    if (old != NULL) {
        n = PyLong_AsLong(old);
        Py_DECREF(old);
        if (n == -1 && PyErr_Occurred()) {
            return NULL;
        }
    }
    PyObject *new = PyLong_FromLong(n + 1);
    if (new == NULL || PyDict_SetItemString(counts, "count", new) < 0) {
        Py_XDECREF(new);
        return NULL;
    }
    Py_DECREF(new);
    Py_RETURN_NONE;
}

/* Only a static buffer is shared; the arguments must differ. */
static PyObject *
in_words(PyObject *Py_UNUSED(module), PyObject *arg)
{
    static const char *words[] = {"zero", "one", "two", "three", "four"};
    static char buffer[16];
    long n;
    if (!as_number(arg, 4, &n)) {
        return NULL;
    }
    strcpy(buffer, words[n]);
    linger();
    return PyUnicode_FromString(buffer);
}

/* A static table, filled on first use; the flag is set too early. */
static volatile long squares[16];
static volatile bool squares_ready;

static PyObject *
square(PyObject *Py_UNUSED(module), PyObject *arg)
{
    long n;
    if (!as_number(arg, 15, &n)) {
        return NULL;
    }
    if (!squares_ready) {
        squares_ready = true;
        for (long i = 0; i < 16; i++) {
            linger();
            squares[i] = i * i;
        }
    }
    return PyLong_FromLong(squares[n]);
}

static PyObject *
forget_squares(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(ignored))
{
    for (int i = 0; i < 16; i++) {
        squares[i] = 0;
    }
    linger();
    squares_ready = false;
    Py_RETURN_NONE;
}

/* The number of threads inside: 1, if calls do not overlap. After a race has
 * lost an update, single calls return another number for ever. */
static PyObject *
inside(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(ignored))
{
    static volatile long count;
    long result = ++count;
    linger();
    --count;
    return PyLong_FromLong(result);
}

/* Returns each number once. Results depend on all earlier calls, so they
 * differ between runs; the only fault is that two results may be equal. */
static PyObject *
serial_number(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(ignored))
{
    static volatile long last;
    long number = last + 1;
    linger();
    last = number;
    return PyLong_FromLong(number);
}

/* Numbers names, from 0; the same name gets the same number. */
static PyObject *numbers; /* constant after module_exec() */

static PyObject *
name_number(PyObject *Py_UNUSED(module), PyObject *name)
{
    if (!PyUnicode_Check(name)) {
        PyErr_SetString(PyExc_TypeError, "not a str");
        return NULL;
    }
    PyObject *number;
    if (PyDict_GetItemRef(numbers, name, &number) == 0) {
        linger();
        number = PyLong_FromSsize_t(PyDict_Size(numbers));
        if (number != NULL && PyDict_SetItem(numbers, name, number) < 0) {
            Py_CLEAR(number);
        }
    }
    return number;
}

static PyMethodDef functions[] = {
    {"bump", bump, METH_O, "bump($module, box, /)\n--\n\n"},
    {"transfer", CFUNCTION(transfer), METH_FASTCALL,
     "transfer($module, source, target, /)\n--\n\n"},
    {"count_in", count_in, METH_O, "count_in($module, counts, /)\n--\n\n"},
    {"in_words", in_words, METH_O, "in_words($module, n, /)\n--\n\n"},
    {"square", square, METH_O, "square($module, n, /)\n--\n\n"},
    {"forget_squares", forget_squares, METH_NOARGS,
     "forget_squares($module, /)\n--\n\n"},
    {"inside", inside, METH_NOARGS, "inside($module, /)\n--\n\n"},
    {"name_number", name_number, METH_O,
     "name_number($module, name, /)\n--\n\n"},
    {"serial_number", serial_number, METH_NOARGS,
     "serial_number($module, /)\n--\n\n"},
    {NULL, NULL, 0, NULL},
};

static PyType_Spec *specs[] = {
    &Barrel_spec,
    &Box_spec,
    &BorrowingCache_spec,
    &ChecksThenActs_spec,
    &ContextDepth_spec,
    &CountedMapping_spec,
    &Digits_spec,
    &DocumentedCompatible_spec,
    &DocumentedCrash_spec,
    &DocumentedIncompatible_spec,
    &DocumentedMethods_spec,
    &ForgetsText_spec,
    &FreedWhileRead_spec,
    &GrowingArray_spec,
    &HandsOutTwice_spec,
    &InplaceAdd_spec,
    &ItemSlots_spec,
    &LastItem_spec,
    &LazyHash_spec,
    &LazyList_spec,
    &LazyPart_spec,
    &MadeByMethod_spec,
    &LeaksMemory_spec,
    &LeaksReference_spec,
    &Jobs_spec,
    &Query_spec,
    &Table_spec,
    &Cursor_spec,
    &Squares_spec,
    &Watchers_spec,
    &Lazy_spec,
    &Listeners_spec,
    &LostWakeup_spec,
    &MovesToFront_spec,
    &Named_spec,
    &NestedSections_spec,
    &NullWithoutException_spec,
    &NumbersCalls_spec,
    &ObjectField_spec,
    &NumbersObjects_spec,
    &OneForEach_spec,
    &OnlyDataRace_spec,
    &OppositeEquality_spec,
    &OppositeOrder_spec,
    &PlainIncrement_spec,
    &ReservesThenCommits_spec,
    &ResizesExported_spec,
    &ReturnsInSection_spec,
    &RoomForTwo_spec,
    &SeatsForTwo_spec,
    &Shelf_spec,
    &StaticRepr_spec,
    &TornAttribute_spec,
    &TornPair_spec,
    &TornSides_spec,
    &TwoLocks_spec,
    &UnitedSets_spec,
    &UnlockedStack_spec,
    &WrongSum_spec,
};

/* Module state: Box, and ShelfReader and Tap, which are not public names. */
static int
module_exec(PyObject *module)
{
    PyTypeObject **types = PyModule_GetState(module);
    types[0] = (PyTypeObject *)PyType_FromModuleAndSpec(
        module, &ShelfReader_spec, NULL);
    types[2] =
        (PyTypeObject *)PyType_FromModuleAndSpec(module, &Tap_spec, NULL);
    numbers = PyDict_New();
    if (types[0] == NULL || types[2] == NULL || numbers == NULL) {
        return -1;
    }
    for (size_t i = 0; i < Py_ARRAY_LENGTH(specs); i++) {
        PyObject *type = PyType_FromModuleAndSpec(module, specs[i], NULL);
        if (type == NULL || PyModule_AddType(module, (PyTypeObject *)type)) {
            Py_XDECREF(type);
            return -1;
        }
        if (specs[i] == &Box_spec) {
            types[1] = (PyTypeObject *)Py_NewRef(type);
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
    .m_size = 3 * sizeof(PyTypeObject *),
    .m_methods = functions,
    .m_slots = module_slots,
};

PyMODINIT_FUNC
JOIN(PyInit_, MODULE)(void)
{
    return PyModuleDef_Init(&module_def);
}

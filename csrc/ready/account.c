/* A transfer: one operation on two objects, under the locks of both.
 *
 * No money is lost, and no thread sees a transfer half done. The macro
 * Py_BEGIN_CRITICAL_SECTION2 chooses the order of the locks, so opposite
 * transfers cannot deadlock. csrc/legacy/account.c takes no locks: it is
 * correct only with the GIL. Read next: tickets.c. */

#include "module.h"

typedef struct {
    PyObject_HEAD
    int64_t balance; /* guarded by: critical section on self; never negative */
} Account;

#define Account_CAST(op) OBJECT_CAST(Account, op)

/* The outcome of an operation; none_or_raise() raises after the section. */
typedef enum { DONE, OVERDRAWN, TOO_LARGE } outcome;

/* Deposits amount, or if it is negative, withdraws -amount. */
static outcome
add_lock_held(Account *self, int64_t amount)
{
    if (amount > INT64_MAX - self->balance) {
        return TOO_LARGE;
    }
    if (amount < -self->balance) {
        return OVERDRAWN;
    }
    self->balance += amount;
    return DONE;
}

/* A transfer to the same account: checks the amount and changes nothing. */
static outcome
transfer_lock_held(Account *src, Account *dst, int64_t amount)
{
    outcome result = add_lock_held(src, -amount);
    if (result == DONE) {
        result = add_lock_held(dst, amount);
        if (result != DONE) {
            src->balance += amount;
        }
    }
    return result;
}

static PyObject *
none_or_raise(outcome result)
{
    if (result == OVERDRAWN) {
        PyErr_SetString(PyExc_ValueError, "amount exceeds the balance");
        return NULL;
    }
    if (result == TOO_LARGE) {
        PyErr_SetString(PyExc_OverflowError,
                        "result exceeds a signed 64-bit integer");
        return NULL;
    }
    Py_RETURN_NONE;
}

static PyObject *
account_add(PyObject *op, PyObject *arg, int sign)
{
    int64_t amount;
    outcome result;
    if (exact_count(arg, 1, &amount) < 0) {
        return NULL;
    }
    Py_BEGIN_CRITICAL_SECTION(op);
    result = add_lock_held(Account_CAST(op), sign * amount);
    Py_END_CRITICAL_SECTION();
    return none_or_raise(result);
}

static PyObject *
account_deposit(PyObject *op, PyObject *arg)
{
    return account_add(op, arg, 1);
}

static PyObject *
account_withdraw(PyObject *op, PyObject *arg)
{
    return account_add(op, arg, -1);
}

static PyObject *
transfer(PyObject *src_op, PyObject *dst_op, PyObject *arg)
{
    Account *src = Account_CAST(src_op);
    Account *dst = Account_CAST(dst_op);
    int64_t amount;
    outcome result;
    if (exact_count(arg, 1, &amount) < 0) {
        return NULL;
    }
    Py_BEGIN_CRITICAL_SECTION2(src_op, dst_op);
    result = transfer_lock_held(src, dst, amount);
    Py_END_CRITICAL_SECTION2();
    return none_or_raise(result);
}

static PyObject *
account_transfer_to(PyObject *op, PyTypeObject *defining_class,
                    PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
{
    if (check_no_keywords("transfer_to", kwnames) < 0
        || check_nargs("transfer_to", nargs, 2) < 0
        || check_type("transfer_to", args[0], defining_class) < 0) {
        return NULL;
    }
    return transfer(op, args[0], args[1]);
}

static PyObject *
module_transfer(PyObject *module, PyObject *const *args, Py_ssize_t nargs)
{
    PyTypeObject *type = get_state(module)->account_type;
    if (check_nargs("transfer", nargs, 3) < 0
        || check_type("transfer", args[0], type) < 0
        || check_type("transfer", args[1], type) < 0) {
        return NULL;
    }
    return transfer(args[0], args[1], args[2]);
}

static PyObject *
module_total(PyObject *module, PyObject *const *args, Py_ssize_t nargs)
{
    PyTypeObject *type = get_state(module)->account_type;
    uint64_t sum;
    if (check_nargs("total", nargs, 2) < 0
        || check_type("total", args[0], type) < 0
        || check_type("total", args[1], type) < 0) {
        return NULL;
    }
    Account *a = Account_CAST(args[0]);
    Account *b = Account_CAST(args[1]);
    Py_BEGIN_CRITICAL_SECTION2(args[0], args[1]);
    sum = (uint64_t)a->balance + (uint64_t)b->balance;
    Py_END_CRITICAL_SECTION2();
    if (sum > INT64_MAX) {
        return none_or_raise(TOO_LARGE);
    }
    return PyLong_FromUnsignedLongLong(sum);
}

static PyObject *
account_balance(PyObject *op, void *Py_UNUSED(closure))
{
    Account *self = Account_CAST(op);
    int64_t balance;
    Py_BEGIN_CRITICAL_SECTION(op);
    balance = self->balance;
    Py_END_CRITICAL_SECTION();
    return PyLong_FromLongLong(balance);
}

/* For copy and pickle, which handle a subclass's __dict__ and __slots__. */
static PyObject *
account_getnewargs(PyObject *op, PyObject *Py_UNUSED(ignored))
{
    return Py_BuildValue("(N)", account_balance(op, NULL));
}

/* Initializes everything, so that no account is ever uninitialized and there
 * is no __init__ to call again while other threads use the account. */
static PyObject *
account_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    char *keywords[] = {"balance", NULL};
    PyObject *arg = NULL;
    int64_t balance = 0;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|O:Account", keywords,
                                     &arg)
        || (arg != NULL && exact_count(arg, 0, &balance) < 0)) {
        return NULL;
    }
    PyObject *op = PyType_GenericAlloc(type, 0);
    if (op != NULL) {
        Account_CAST(op)->balance = balance; /* not shared yet */
    }
    return op;
}

PyDoc_STRVAR(account_doc,
"Account(balance=0)\n--\n\n"
"An exact count of minor units (cents), from 0 to 2**63 - 1.\n\n"
"Raises TypeError unless balance is an exact int, ValueError if negative,\n"
"OverflowError past 2**63 - 1. Thread safety: safe on shared objects.");

PyDoc_STRVAR(deposit_doc,
"deposit($self, amount, /)\n--\n\n"
"Add amount, a positive int of minor units.\n\n"
"Raises OverflowError past 2**63 - 1. Thread safety: atomic.");

PyDoc_STRVAR(withdraw_doc,
"withdraw($self, amount, /)\n--\n\n"
"Take out amount, a positive int of minor units.\n\n"
"Raises ValueError if amount exceeds the balance. Thread safety: atomic.");

PyDoc_STRVAR(transfer_to_doc,
"transfer_to($self, other, amount, /)\n--\n\n"
"Move amount, a positive int of minor units, to another Account.\n\n"
"If withdraw or deposit would raise, raises that and changes nothing.\n"
"Thread safety: atomic.");

PyDoc_STRVAR(getnewargs_doc,
"__getnewargs__($self, /)\n--\n\n"
"For copy and pickle (protocol 2 on). Thread safety: atomic.");

static PyMethodDef account_methods[] = {
    {"deposit", account_deposit, METH_O, deposit_doc},
    {"withdraw", account_withdraw, METH_O, withdraw_doc},
    {"transfer_to", CFUNCTION(account_transfer_to),
     METH_METHOD | METH_FASTCALL | METH_KEYWORDS, transfer_to_doc},
    {"__getnewargs__", account_getnewargs, METH_NOARGS, getnewargs_doc},
    {NULL, NULL, 0, NULL},
};

PyDoc_STRVAR(balance_doc,
"The balance in minor units. Thread safety: atomic.");

static PyGetSetDef account_getset[] = {
    {"balance", account_balance, NULL, balance_doc, NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot account_slots[] = {
    {Py_tp_doc, (void *)account_doc},
    {Py_tp_new, account_new},
    {Py_tp_methods, account_methods},
    {Py_tp_getset, account_getset},
    {Py_tp_traverse, object_traverse},
    {Py_tp_dealloc, object_dealloc},
    {0, NULL},
};

static PyType_Spec account_spec = {
    .name = PACKAGE ".Account",
    .basicsize = sizeof(Account),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC
             | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = account_slots,
};

PyDoc_STRVAR(transfer_doc,
"transfer($module, src, dst, amount, /)\n--\n\n"
"Move amount, a positive int of minor units, from src to dst.\n\n"
"If withdraw or deposit would raise, raises that and changes nothing.\n"
"Thread safety: atomic.");

PyDoc_STRVAR(total_doc,
"total($module, a, b, /)\n--\n\n"
"Return the sum of two balances in minor units, both at one moment.\n\n"
"Raises OverflowError past 2**63 - 1. Thread safety: atomic.");

static PyMethodDef account_functions[] = {
    {"transfer", CFUNCTION(module_transfer), METH_FASTCALL, transfer_doc},
    {"total", CFUNCTION(module_total), METH_FASTCALL, total_doc},
    {NULL, NULL, 0, NULL},
};

int
account_exec(PyObject *module)
{
    module_state *state = get_state(module);
    if (add_type(module, &account_spec, &state->account_type) < 0) {
        return -1;
    }
    return PyModule_AddFunctions(module, account_functions);
}

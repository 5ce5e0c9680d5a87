/* Native work that touches no Python object: nothing to lock.
 *
 * It uses only arguments and local variables. All of it runs detached: a
 * thread that wants the GIL, or must stop all threads to collect garbage,
 * waits for every attached thread; a short pause would not let it run.
 * Same file: csrc/legacy/work.c. Read next: module.c, docs/porting.md. */

#include "module.h"

/* About 10 ms of work; then it checks for signals, such as Ctrl-C. */
#define BLOCK 0x2000000

/* Returns sum plus the squares of the integers from i up to end. */
static uint64_t
add_squares(uint64_t sum, uint64_t i, uint64_t end)
{
    volatile uint64_t zero = 0; /* volatile: no formula for the loop */
    for (; i < end; i++) {
        sum += i * i + zero;
    }
    return sum;
}

static PyObject *
module_sum_of_squares(PyObject *Py_UNUSED(module), PyObject *arg)
{
    int64_t n;
    uint64_t sum = 0;
    if (exact_count(arg, 0, &n) < 0) {
        return NULL;
    }
    if (n > INT64_C(0x100000000)) {
        PyErr_SetString(PyExc_OverflowError, "n must not exceed 2**32");
        return NULL;
    }
    for (int64_t i = 0; i < n; i += BLOCK) {
        Py_BEGIN_ALLOW_THREADS
        sum = add_squares(sum, i, Py_MIN(i + BLOCK, n));
        Py_END_ALLOW_THREADS
        if (PyErr_CheckSignals() < 0) {
            return NULL;
        }
    }
    return PyLong_FromUnsignedLongLong(sum);
}

PyDoc_STRVAR(sum_of_squares_doc,
"sum_of_squares($module, n, /)\n--\n\n"
"Return the sum of i * i for i in range(n), modulo 2**64.\n\n"
"Raises ValueError if n is negative, OverflowError if it exceeds 2**32.\n"
"Thread safety: atomic.");

static PyMethodDef work_functions[] = {
    {"sum_of_squares", module_sum_of_squares, METH_O, sum_of_squares_doc},
    {NULL, NULL, 0, NULL},
};

int
work_exec(PyObject *module)
{
    return PyModule_AddFunctions(module, work_functions);
}

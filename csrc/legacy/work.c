/* Native work that touches no Python object: nothing to lock.
 *
 * All it uses is its own: arguments and locals. Without the GIL, it detaches
 * all the same: whoever must stop all threads, such as a garbage collection,
 * waits for each that is attached. With the GIL, it holds on to that. The
 * legacy twin is the same file. Read next: module.c, docs/porting.md. */

#include "module.h"

/* With the GIL, whoever waits for it asks for it after 5 ms: a pause before that
 * gives it to nobody. */
#define BLOCK 0x2000000u

/* Adds the squares of the integers from i up to end to *high * 2**64 + *low.
 * 128 bits by hand, since not every compiler has them. */
static void
add_squares(uint64_t i, uint64_t end, uint64_t *high, uint64_t *low)
{
    uint64_t h = *high;
    uint64_t l = *low;
    for (; i < end; i++) {
        l += i * i;
        h += l < i * i;
    }
    *high = h;
    *low = l;
}

/* A thread that detaches for a moment only is not found detached by whoever
 * waits for that, so it is the work that is done detached. */
static void
add_block(uint64_t i, uint64_t end, uint64_t *high, uint64_t *low)
{
#ifdef Py_GIL_DISABLED
    Py_BEGIN_ALLOW_THREADS
    add_squares(i, end, high, low);
    Py_END_ALLOW_THREADS
#else
    add_squares(i, end, high, low);
    Py_BEGIN_ALLOW_THREADS /* the others' turn */
    Py_END_ALLOW_THREADS
#endif
}

static PyObject *
module_sum_of_squares(PyObject *Py_UNUSED(module), PyObject *arg)
{
    uint64_t n;
    uint64_t high = 0;
    uint64_t low = 0;
    if (exact_count(arg, 0, &n) < 0) {
        return NULL;
    }
    if (n > UINT64_C(0x100000000)) {
        PyErr_SetString(PyExc_OverflowError, "n must not exceed 2**32");
        return NULL;
    }
    for (uint64_t i = 0; i < n; i += BLOCK) {
        add_block(i, Py_MIN(i + BLOCK, n), &high, &low);
        if (PyErr_CheckSignals() < 0) { /* Ctrl-C */
            return NULL;
        }
    }
    if (high == 0) {
        return PyLong_FromUnsignedLongLong(low);
    }
    unsigned char bytes[16];
    for (int i = 0; i < 8; i++) {
        bytes[i] = (unsigned char)(low >> 8 * i);
        bytes[i + 8] = (unsigned char)(high >> 8 * i);
    }
    return PyObject_CallMethod((PyObject *)&PyLong_Type, "from_bytes", "y#s",
                               bytes, (Py_ssize_t)sizeof(bytes), "little");
}

PyDoc_STRVAR(sum_of_squares_doc,
"sum_of_squares($module, n, /)\n--\n\n"
"The sum of i * i for i in range(n), for an int n up to 2**32.\n\n"
"A negative n is a ValueError, a larger one an OverflowError.\n"
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

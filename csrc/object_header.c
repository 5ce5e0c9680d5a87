/* The object header of the free-threaded build, which this file only reads.
 *
 * Biased reference counting (PEP 703) splits the count in two: the thread that
 * created the object counts in ob_ref_local without atomics, all others in
 * ob_ref_shared. Any field may change while it is read, so each is read by a
 * relaxed atomic load. For demonstration only: these fields are not public. */

#include "compat.h"

static int
is_immortal(PyObject *op)
{
#if PY_VERSION_HEX >= 0x030E0000
    return PyUnstable_IsImmortal(op);
#elif PY_VERSION_HEX >= 0x030C0000
    return _Py_IsImmortal(op);
#else
    (void)op; /* before 3.12, no object is */
    return 0;
#endif
}

static PyObject *
object_header(PyObject *Py_UNUSED(module), PyObject *op)
{
    Py_ssize_t refcount = Py_REFCNT(op);
    PyObject *immortal = PyBool_FromLong(is_immortal(op));
#ifdef Py_GIL_DISABLED
    uintptr_t owner = _Py_atomic_load_uintptr_relaxed(&op->ob_tid);
    uint32_t local = _Py_atomic_load_uint32_relaxed(&op->ob_ref_local);
    Py_ssize_t shared = _Py_atomic_load_ssize_relaxed(&op->ob_ref_shared);
    /* ftdemo: ignore[object-mutex] read, and never taken */
    uint8_t mutex = _Py_atomic_load_uint8_relaxed(&op->ob_mutex._bits);
    /* clang-format off */
    return Py_BuildValue("{s:n,s:N,s:N,s:I,s:n,s:N}",
                         "refcount", refcount,
                         "immortal", immortal,
                         "owner_thread", PyLong_FromSize_t(owner),
                         "local_refcount", local,
                         "shared_refcount", shared >> _Py_REF_SHARED_SHIFT,
                         "locked", PyBool_FromLong(mutex & 1));
#else
    return Py_BuildValue("{s:n,s:N,s:O,s:O,s:O,s:O}",
                         "refcount", refcount,
                         "immortal", immortal,
                         "owner_thread", Py_None,
                         "local_refcount", Py_None,
                         "shared_refcount", Py_None,
                         "locked", Py_None);
#endif
    /* clang-format on */
}

static PyObject *
current_thread(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(ignored))
{
#ifdef Py_GIL_DISABLED
    return PyLong_FromSize_t(_Py_ThreadId());
#else
    Py_RETURN_NONE;
#endif
}

PyDoc_STRVAR(object_header_doc,
"object_header($module, obj, /)\n--\n\n"
"Return the header of obj as a dict; the call adds some references.\n\n"
"Keys: refcount (the sum), immortal; None on a build with the GIL:\n"
"owner_thread (0: none), local_refcount, shared_refcount, locked (whether\n"
"the per-object lock is held). Source: PEP 703.\n"
"Thread safety: safe on shared objects; each value is read separately.");

PyDoc_STRVAR(current_thread_doc,
"current_thread($module, /)\n--\n\n"
"Return the owner_thread of this thread's objects; None with the GIL.\n\n"
"Thread safety: atomic.");

static PyMethodDef module_functions[] = {
    {"object_header", object_header, METH_O, object_header_doc},
    {"current_thread", current_thread, METH_NOARGS, current_thread_doc},
    {NULL, NULL, 0, NULL},
};

static PyModuleDef_Slot module_slots[] = {
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
    .m_name = "_object_header",
    .m_doc = PyDoc_STR("A look at the object header (PEP 703)."),
    .m_methods = module_functions,
    .m_slots = module_slots,
};

PyMODINIT_FUNC
PyInit__object_header(void)
{
    return PyModuleDef_Init(&module_def);
}

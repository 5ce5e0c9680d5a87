/* Replacements for API that older Pythons, or the stable ABI for both builds
 * (PEP 803), lack.
 *
 * This file contains every #if on a version or an ABI, except those for a
 * module's declarations, so the other files read as if there were one Python.
 * For more replacements, see https://github.com/python/pythoncapi-compat */
#ifndef FTDEMO_COMPAT_H
#define FTDEMO_COMPAT_H

#include <Python.h>
#include <stdbool.h>
#include <stdint.h>

/* Critical sections are new in 3.13. On a build with the GIL they are plain
 * blocks, and so are these; the braces must pair in the same way. */
#if PY_VERSION_HEX < 0x030D0000
#define Py_BEGIN_CRITICAL_SECTION(op) {
#define Py_END_CRITICAL_SECTION() }
#define Py_BEGIN_CRITICAL_SECTION2(a, b) {
#define Py_END_CRITICAL_SECTION2() }
#endif

/* New in 3.13. Under the GIL, no other thread runs between the two steps,
 * unless the key's __eq__ lets one run, and then setdefault is still right. */
#if PY_VERSION_HEX < 0x030D0000
static inline int
PyDict_SetDefaultRef(PyObject *dict, PyObject *key, PyObject *value,
                     PyObject **result)
{
    *result = Py_XNewRef(PyDict_SetDefault(dict, key, value));
    return *result == NULL ? -1 : *result != value;
}
#endif

/* New in 3.13. csrc/legacy uses the older PyWeakref_GetObject(), which borrows
 * a reference; newer versions deprecate it. */
#if PY_VERSION_HEX < 0x030D0000
static inline int
PyWeakref_GetRef(PyObject *ref, PyObject **result)
{
    PyObject *op = PyWeakref_GetObject(ref);
    *result = op == NULL || op == Py_None ? NULL : Py_NewRef(op);
    return op == NULL ? -1 : *result != NULL;
}
#else /* PyWeakref_GetObject() is removed in 3.15 */
#define PyWeakref_GetObject weakref_get_object

static inline PyObject *
weakref_get_object(PyObject *ref)
{
    PyObject *op;
    int alive = PyWeakref_GetRef(ref, &op);
    Py_XDECREF(op);
    return alive > 0 ? op : alive == 0 ? Py_None : NULL;
}
#endif

/* New in 3.12: a raised exception is one object instead of three. */
#if PY_VERSION_HEX < 0x030C0000
static inline PyObject *
PyErr_GetRaisedException(void)
{
    PyObject *type, *value, *traceback;
    PyErr_Fetch(&type, &value, &traceback);
    PyErr_NormalizeException(&type, &value, &traceback);
    Py_XDECREF(type);
    Py_XDECREF(traceback);
    return value;
}
#endif

/* Gets the value of an int of one digit, like most ints, without a call (new
 * in 3.12); false if that is not possible. It saves 0.9 of the 7.3 ns of a
 * deposit() on 3.14 with the GIL, 12 % (no visible effect without the GIL). */
static inline bool
compact_value(PyObject *op, int64_t *value)
{
#if PY_VERSION_HEX >= 0x030C0000 && !defined(Py_LIMITED_API)
    if (PyUnstable_Long_IsCompact((PyLongObject *)op)) {
        *value = PyUnstable_Long_CompactValue((PyLongObject *)op);
        return true;
    }
#else
    (void)op;
    (void)value;
#endif
    return false;
}

/* For PyMethodDef: a method that takes more arguments than (self, arg). */
#define CFUNCTION(function) ((PyCFunction)(void (*)(void))(function))

/* New in 3.15: accessors without side effects for tp_traverse, m_traverse. */
#if PY_VERSION_HEX < 0x030F0000
#define PyModule_GetState_DuringGC PyModule_GetState
#endif

/* Instances. abi3t hides PyObject, so there a struct contains only the data,
 * which is stored after the object, at an offset that the type knows; a spec
 * requests this with a negative basicsize. OBJECT_CAST(Account, op) is
 * ((Account *)(op)) for a type that derives from object directly, and
 * object_free() calls tp_free, a field that abi3t also hides. */
#ifdef Py_TARGET_ABI3T
#undef PyObject_HEAD
#define PyObject_HEAD
#define OBJECT_CAST(type, op) ((type *)object_data(op))

static inline void *
object_data(PyObject *op)
{
    PyTypeObject *type = Py_TYPE(op); /* or any subclass */
    PyTypeObject *base = PyType_GetSlot(type, Py_tp_base);
    while (base != &PyBaseObject_Type) {
        type = base;
        base = PyType_GetSlot(type, Py_tp_base);
    }
    return PyObject_GetTypeData(op, type);
}

static inline PyObject *
type_from_module_and_spec(PyObject *module, PyType_Spec *spec, PyObject *bases)
{
    PyType_Spec adapted = *spec;
    adapted.basicsize = -spec->basicsize;
    return PyType_FromModuleAndSpec(module, &adapted, bases);
}

#define PyType_FromModuleAndSpec type_from_module_and_spec

static inline void
object_free(PyObject *op)
{
    freefunc tp_free = PyType_GetSlot(Py_TYPE(op), Py_tp_free);
    tp_free(op);
}
#else
#define OBJECT_CAST(type, op) ((type *)(op))
#define object_free(op) (Py_TYPE(op)->tp_free(op))
#endif

/* A lock in a struct: since 3.13 a PyMutex, one byte that needs no cleanup;
 * before 3.13, and in the stable ABI, which lacks PyMutex, an allocated lock.
 * Call mutex_lock() with an attached thread state. While it waits, it
 * detaches, so neither the GIL nor a stop-the-world pause can deadlock with
 * the thread that holds the lock. */
#if PY_VERSION_HEX >= 0x030D0000 && !defined(Py_LIMITED_API)
typedef PyMutex mutex_t;

static inline int
mutex_init(mutex_t *mutex)
{
    *mutex = (mutex_t){0};
    return 0;
}

static inline void
mutex_fini(mutex_t *Py_UNUSED(mutex))
{
}

#define mutex_lock PyMutex_Lock
#define mutex_unlock PyMutex_Unlock
#else
typedef PyThread_type_lock mutex_t;

static inline int
mutex_init(mutex_t *mutex)
{
    *mutex = PyThread_allocate_lock();
    if (*mutex == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    return 0;
}

static inline void
mutex_fini(mutex_t *mutex)
{
    if (*mutex != NULL) {
        PyThread_free_lock(*mutex);
    }
}

static inline void
mutex_lock(mutex_t *mutex)
{
    if (!PyThread_acquire_lock(*mutex, NOWAIT_LOCK)) {
        Py_BEGIN_ALLOW_THREADS
        PyThread_acquire_lock(*mutex, WAIT_LOCK);
        Py_END_ALLOW_THREADS
    }
}

static inline void
mutex_unlock(mutex_t *mutex)
{
    PyThread_release_lock(*mutex);
}
#endif

#endif /* !FTDEMO_COMPAT_H */

"""Names of functions and types of CPython's C API, grouped by their behaviour.

Most come from CPython's machine-readable tables at 3.15.0rc1. `Doc/data/refcounts.dat` shows which
functions return a borrowed reference (effect 0 on the result). `Doc/data/threadsafety.dat` shows
which are only `compatible`: safe if the caller makes sure that no other thread uses the object.
"""

import re

# refcounts.dat: a borrowed reference to an object that its owner can drop: not a tuple's item
# (immutable), nor a module's dict or a type (which the caller's own reference keeps alive).
# Those listed in threadsafety.dat are `compatible` there. The value is the function to call instead.
BORROWING = {
    "PyList_GetItem": "PyList_GetItemRef()",
    "PyList_GET_ITEM": "PyList_GetItemRef()",
    "PyDict_GetItem": "PyDict_GetItemRef()",
    "PyDict_GetItemWithError": "PyDict_GetItemRef()",
    "PyDict_GetItemString": "PyDict_GetItemStringRef()",
    "PyDict_SetDefault": "PyDict_SetDefaultRef()",
    "PySequence_Fast_GET_ITEM": "PySequence_GetItem(), or a critical section on the sequence",
    "PyImport_AddModule": "PyImport_AddModuleRef()",
    "PyImport_AddModuleObject": "PyImport_AddModuleRef()",
    "PyCell_GET": "PyCell_Get()",
    "PyFunction_GetDefaults": "PyObject_GetAttrString()",
    "PyFunction_GetKwDefaults": "PyObject_GetAttrString()",
    "PyFunction_GetAnnotations": "PyObject_GetAttrString()",
    "PyFunction_GET_DEFAULTS": "PyObject_GetAttrString()",
    "PyFunction_GET_KW_DEFAULTS": "PyObject_GetAttrString()",
    "PyFunction_GET_ANNOTATIONS": "PyObject_GetAttrString()",
    "PySys_GetObject": "PySys_GetAttr() (3.15)",
    # No longer in refcounts.dat, or private.
    "PyWeakref_GetObject": "PyWeakref_GetRef()",
    "PyWeakref_GET_OBJECT": "PyWeakref_GetRef()",
    "_PyDict_GetItemStringWithError": "PyDict_GetItemStringRef()",
    "_PyDict_GetItemWithError": "PyDict_GetItemRef()",
    "_PyDict_GetItemIdWithError": "PyDict_GetItemRef()",
    "_PyDict_GetItemId": "PyDict_GetItemRef()",
    "_PyDict_GetItem_KnownHash": "PyDict_GetItemRef()",
    "_PyDict_GetItem_KnownHash_LockHeld": "PyDict_GetItemRef()",
    "_PyList_GET_ITEM": "PyList_GetItemRef()",
    "PyModule_GetDict_GetItem": "PyDict_GetItemRef()",
}
# These borrow from the interpreter, not from an argument.
BORROWS_FROM_INTERPRETER = {"PyImport_AddModule", "PyImport_AddModuleObject", "PySys_GetObject"}

# Functions that return a new object to which no other reference exists (refcounts.dat: effect +1;
# the documentation of each says that the object is new, and not only the reference).
FRESH = re.compile(
    r"PyDict_(New|Copy|Keys|Values|Items)|PyList_(New|AsTuple|GetSlice)|PyTuple_(New|Pack|GetSlice)"
    r"|PySequence_(List|Tuple)|PyMapping_(Keys|Values|Items)|PySet_New|PyFrozenSet_New|Py_BuildValue"
    r"|_?PyObject_(GC_)?(New(Var)?|NEW(_VAR)?)|PyType_GenericAlloc|PyType_GenericNew|PyObject_Dir|PyEval_GetFrameLocals"
    r"|PyObject_Init(Var)?|PyModule_(New|Create2?|FromDefAndSpec2?)|PyType_From\w+|PyBytes_From\w+"
    r"|PyUnicode_(From\w+|Split|RSplit|Splitlines|Partition|RPartition)|PyByteArray_From\w+|PyCapsule_New"
    r"|_PyDict_NewPresized|PyVectorcall_Dict|_PyStack_AsDict|PyObject_GC_Resize|PyWeakref_New(Ref|Proxy)"
    r"|_PyObject_GC_Calloc|_PyType_AllocNoTrack|PyStructSequence_New|PyMethod_New|PyCell_New|PyErr_NewException\w*"
    r"|malloc|calloc|PyMem_(Raw)?(Malloc|Calloc|New)|PyObject_(Malloc|Calloc)|(PyMem|PyObject)_Realloc"
    r"|\w*->tp_alloc|\w*\btp_alloc|\w*->tp_new|PyList_FromArraySteal|_PyList_FromArraySteal"
)

# Functions that return a strong reference, or store one through their last argument.
REFERENCE_OUT = {
    "PyDict_GetItemRef": 2,
    "PyDict_GetItemStringRef": 2,
    "PyDict_SetDefaultRef": 3,
    "PyDict_Pop": 2,
    "PyDict_PopString": 2,
    "PyWeakref_GetRef": 1,
    "PyMapping_GetOptionalItem": 2,
    "PyMapping_GetOptionalItemString": 2,
    "PyObject_GetOptionalAttr": 2,
    "PyObject_GetOptionalAttrString": 2,
    "PyIter_NextItem": 1,
    "PyUnstable_TryIncRef": -1,
}
REFERENCE_RETURNED = {"PyList_GetItemRef", "PyImport_AddModuleRef", "PyCell_Get"}

# Functions that may run arbitrary Python code: methods of an argument's type, a callback, an import.
RUNS_PYTHON = re.compile(
    r"_?PyObject_(Call\w*|Vectorcall\w*|Str|Repr|ASCII|Bytes|Hash|RichCompare\w*|GetAttr\w*|GetOptionalAttr\w*"
    r"|SetAttr\w*|HasAttr\w*|DelAttr\w*|GenericSetAttr|GetItem|SetItem|DelItem\w*|IsTrue|Not|Size|Length\w*|GetIter"
    r"|SelfIter|IsInstance|IsSubclass|Dir|Format|Print|GetBuffer|LookupAttr\w*)"
    r"|PyNumber_(?!Check)\w+|PySequence_(?!Fast_|Check)\w+|PyMapping_(?!Check)\w+|PyIter_(Next\w*|Send)"
    r"|PyErr_Warn\w*|PyErr_CheckSignals|PyErr_WriteUnraisable|PyErr_FormatUnraisable|PyRun_\w+"
    r"|PyImport_Import\w*|PyEval_(Eval\w*|Call\w*)"
    r"|PyDict_(SetItem|DelItem|Pop|Merge|Update"
    r"|MergeFromSeq2|Clear)|PySet_(Add|Contains|Discard|Pop|Clear)|PyList_(Sort|SetSlice)"
    r"|PyContextVar_\w+|PyGILState_Ensure|PyObject_ClearWeakRefs|PyBuffer_Release|PyCallable_\w+"
    r"|PyUnicode_FromObject|PyUnicode_Format|PyFile_\w+|PyWeakref_NewRef"
)
DECREF = re.compile(r"_?Py_(X?DECREF|CLEAR|X?SETREF)(_\w+)?|Py_DecRef")
# Functions that raise exceptions, or only inspect objects, run no Python code.
SETS_REFERENCE = {"Py_CLEAR", "Py_XSETREF", "Py_SETREF", "Py_ATOMIC_CLEAR"}

# POSIX.1-2024 XSH 2.9.1 and attributes(7) of glibc ("MT-Unsafe"), with the function to call instead.
UNSAFE_LIBC = {
    "getpwuid": "getpwuid_r()",
    "getpwnam": "getpwnam_r()",
    "getpwent": "a lock around the whole sequence",
    "setpwent": "a lock around the whole sequence",
    "endpwent": "a lock around the whole sequence",
    "getgrgid": "getgrgid_r()",
    "getgrnam": "getgrnam_r()",
    "getgrent": "a lock around the whole sequence",
    "setgrent": "a lock around the whole sequence",
    "endgrent": "a lock around the whole sequence",
    "getspnam": "getspnam_r()",
    "getspent": "a lock around the whole sequence",
    "setspent": "a lock around the whole sequence",
    "endspent": "a lock around the whole sequence",
    "gethostbyname": "getaddrinfo()",
    "gethostbyname2": "getaddrinfo()",
    "gethostbyaddr": "getnameinfo()",
    "gethostent": "getaddrinfo()",
    "getservbyname": "getaddrinfo()",
    "getservbyport": "getnameinfo()",
    "getprotobyname": "getprotobyname_r()",
    "getprotobynumber": "getprotobynumber_r()",
    "getnetbyname": "getnetbyname_r()",
    "getlogin": "getlogin_r()",
    "getmntent": "getmntent_r()",
    "getutent": "getutent_r()",
    "strtok": "strtok_r()",
    "strerror": "strerror_r()",
    "localtime": "localtime_r()",
    "gmtime": "gmtime_r()",
    "ctime": "ctime_r()",
    "asctime": "asctime_r()",
    "setlocale": "uselocale()",
    "localeconv": "nl_langinfo_l(), or one lock for the process",
    "setlogmask": "a lock around syslog()",
    "openlog": "a lock around syslog()",
    "closelog": "a lock around syslog()",
    "rand": "rand_r(), or one generator per object",
    "srand": "one generator per object",
    "random": "random_r()",
    "srandom": "srandom_r()",
    "drand48": "drand48_r()",
    "lrand48": "lrand48_r()",
    "mrand48": "mrand48_r()",
    "ttyname": "ttyname_r()",
    "ctermid": "ctermid() with a buffer that the caller provides",
    "tmpnam": "mkstemp()",
    "ptsname": "ptsname_r()",
    "crypt": "crypt_r()",
    "readdir": "a lock, if the DIR is shared",
    "dlerror": "a lock around dlopen() and dlerror()",
    "inet_ntoa": "inet_ntop()",
    "basename": "a copy of the path",
    "dirname": "a copy of the path",
    "hcreate": "hcreate_r()",
    "hsearch": "hsearch_r()",
    "lgamma": "lgamma_r()",
    "putenv": "a lock around the environment",
    "setenv": "a lock around the environment",
    "unsetenv": "a lock around the environment",
    "l64a": "a lock",
    "ecvt": "snprintf()",
    "fcvt": "snprintf()",
    "gcvt": "snprintf()",
    "nl_langinfo": "nl_langinfo_l()",
    "mblen": "mbrlen()",
    "mbtowc": "mbrtowc()",
    "wctomb": "wcrtomb()",
}
# Safe in the common C libraries (attributes(7)), or on objects that are not shared.
FINE_LIBC = {"readdir", "lgamma", "dlerror", "basename", "dirname", "nl_langinfo", "mblen"}
for _name in FINE_LIBC:
    UNSAFE_LIBC.pop(_name, None)

SECTION_BEGIN = re.compile(
    r"\w*BEGIN_CRITICAL_SECTION\w*|_?PyCriticalSection2?_Begin\w*|\w*critical_section_begin\w*"
)
SECTION_END = re.compile(
    r"\w*END_CRITICAL_SECTION\w*|_?PyCriticalSection2?_End\w*|\w*critical_section_end\w*"
)
# Functions of widely used libraries that take a lock, with those that release it.
MUTEX = {
    "PyMutex_Lock": "PyMutex_Unlock",
    "_PyMutex_Lock": "_PyMutex_Unlock",
    "PyMutex_LockFlags": "PyMutex_Unlock",
    "_PyRecursiveMutex_Lock": "_PyRecursiveMutex_Unlock",
    "PyThread_acquire_lock": "PyThread_release_lock",
    "PyThread_acquire_lock_timed": "PyThread_release_lock",
    "pthread_mutex_lock": "pthread_mutex_unlock",
    "pthread_mutex_trylock": "pthread_mutex_unlock",
    "pthread_rwlock_rdlock": "pthread_rwlock_unlock",
    "pthread_rwlock_wrlock": "pthread_rwlock_unlock",
    "pthread_spin_lock": "pthread_spin_unlock",
    "mtx_lock": "mtx_unlock",
    "EnterCriticalSection": "LeaveCriticalSection",
    "AcquireSRWLockExclusive": "ReleaseSRWLockExclusive",
    "AcquireSRWLockShared": "ReleaseSRWLockShared",
}
UNLOCK = set(MUTEX.values())
# A project's functions with such names count as taking a lock, but their use is not reported.
OWN_LOCK = re.compile(
    r"(?i)(?!\w*(?:with_lock|lock_held|_locked|under_lock|without))\w*(?:^|_)(?:mutex_)?(?:lock|acquire|enter|begin_lock\w*|write_?lock|read_?lock|lock_acquire|lock_enter)(?:_(?!held|free|new|init|alloc|type)\w+)?"
)
OWN_UNLOCK = re.compile(
    r"(?i)\w*(?:^|_)(?:unlock|release|leave|lock_release|end_lock\w*|exit)(?:_\w+)?"
)
SCOPED_LOCK = re.compile(
    r"(?i)(lock_guard|scoped_lock|unique_lock|shared_lock|critical_?\w*section|mutexlock\w*|lock_?holder"
    r"|ft_lock_guard|ft_object2?_guard|autolock|locker|lockguard)\b"
)
DETACH = re.compile(
    r"\w*BEGIN_ALLOW_THREADS\w*|Py_UNBLOCK_THREADS|PyEval_SaveThread|NPY_BEGIN_THREADS(_DESCR|_THRESHOLDED)?"
    r"|NPY_END_THREADS_ALLOW|NPY_DISABLE_C_API|Py_BEGIN_ALLOW"
)
ATTACH = re.compile(
    r"\w*END_ALLOW_THREADS\w*|Py_BLOCK_THREADS|PyEval_RestoreThread|NPY_END_THREADS(_DESCR)?|NPY_ALLOW_C_API"
    r"|PyGILState_Ensure"
)
NO_RETURN = {
    "abort",
    "exit",
    "_exit",
    "Py_FatalError",
    "Py_Exit",
    "longjmp",
    "Py_UNREACHABLE",
    "_Py_FatalErrorFunc",
}

ATOMIC = re.compile(
    r"FT_ATOMIC_\w+|_?Py_atomic_\w+|__atomic_\w+|__sync_\w+|atomic_\w+|\w*_ATOMIC_\w+|Interlocked\w+|_Interlocked\w+"
    r"|\w*FT_MUTEX\w*|npy_atomic_\w+|PyUnstable_\w+|std::atomic_\w+|\w*atomic_\w+|\w*Atomic\w*"
)

# Types of variables and fields that need no lock or that are a lock.
SAFE_TYPES = re.compile(
    r"_Atomic|\batomic|thread_local|_Thread_local|__thread|PyMutex|once_flag|OnceFlag|_once_t\b|mutex|Mutex"
    r"|pthread_(once|key|rwlock|cond)_t|Py_tss_t|PyThread_type_lock|std::atomic|THREAD_LOCAL|ThreadLocal"
    r"|SRWLOCK|CRITICAL_SECTION|_tls\b|TLS\b|call_once|PyEvent|LIBCOMPAT_LOCK|\bLock\b|_lock_t\b"
)
# Functions that store an object where other threads can see it, and the first stored argument.
STORES = re.compile(
    r"PyDict_SetItem\w*|PyList_(Append|Insert|SetItem|SET_ITEM)|PySet_Add|PyModule_Add\w*|PyObject_SetAttr\w*"
    r"|PyObject_SetItem|PyTuple_(SET_ITEM|SetItem)|_?PyObject_(Call|Vectorcall)\w*|PyCell_Set|PySys_SetObject"
    r"|PyDict_SetDefault\w*|Py_X?SETREF|PyThread_start_new_thread|PyWeakref_New\w+|PyState_AddModule|PyType_\w+Watch"
)
STORED_FROM = {"PyObject_CallOneArg": 1}
# Definitions that CPython does not take as const, and that only module init passes on.
DEFINITIONS = re.compile(
    r"(struct )?(PyModuleDef(_Slot|_Base)?|PyMethodDef|PyGetSetDef|PyMemberDef|PyType_Spec|PyType_Slot|PySlot"
    r"|PyTypeObject|Py\w+Methods|PyBufferProcs|PyStructSequence_(Desc|Field)|PyABIInfo|_PyArg_Parser|wrapperbase)"
)

# Calling a type creates an object; so does a project's function with such a name.
CALLS = re.compile(r"_?PyObject_(Call\w*|Vectorcall\w*)")
A_TYPE = re.compile(r"\w*[Tt]ype\b|\w*_TYPE\b|cls")
MAKES = re.compile(
    r"(?i)(?:\w*_)?(?:new|create|alloc|make|copy|clone|dup|build)(?:_\w+)?|_?(?:new|create|alloc|make)[A-Z]\w*"
)
# Verbs in the names of C library functions that change their argument.
_VERBS = (
    "update|reset|push|pop|append|insert|remove|seek|advance|feed|flush|consume|write|set|load|select"
    "|parse|process|step|compress|decompress|inflate|deflate|encode|decode|next|finish|final|clear"
)
CHANGES = re.compile(
    rf"(?:\w*_)?(?i:{_VERBS})(?:_\w+|\d\w*)?|[A-Za-z]\w*(?:{_VERBS.title()})(?:[A-Z]\w*)?"
)

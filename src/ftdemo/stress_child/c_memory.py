"""Measure the memory that C code has allocated, of which Python knows nothing."""

import ctypes
import re
from functools import cache


def allocated() -> int:
    """Return the bytes that malloc() gave to all threads; 0 if the C library is not glibc.

    Source: malloc_info(3).
    """
    if (library := _glibc()) is None:
        return 0
    text, size = ctypes.c_char_p(), ctypes.c_size_t()
    stream = library.open_memstream(ctypes.byref(text), ctypes.byref(size))
    library.malloc_info(0, ctypes.c_void_p(stream))
    library.fclose(ctypes.c_void_p(stream))
    totals = (text.value or b"").rpartition(b"</heap>")[2]
    library.free(text)
    sizes = {kind: int(n) for kind, n in re.findall(rb'type="(\w+)".* size="(\d+)"', totals)}
    return sizes[b"current"] + sizes[b"mmap"] - sizes[b"fast"] - sizes[b"rest"]


@cache
def _glibc() -> ctypes.CDLL | None:
    try:
        library = ctypes.CDLL(None)
        library.malloc_info, library.open_memstream  # noqa: B018
    except (AttributeError, OSError, TypeError):
        return None
    library.open_memstream.restype = ctypes.c_void_p
    return library

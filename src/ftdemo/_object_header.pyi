from typing import TypedDict, type_check_only

@type_check_only
class _ObjectHeader(TypedDict):
    refcount: int
    immortal: bool
    owner_thread: int | None
    local_refcount: int | None
    shared_refcount: int | None
    locked: bool | None

def object_header(obj: object, /) -> _ObjectHeader: ...
def current_thread() -> int | None: ...

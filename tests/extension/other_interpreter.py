"""Run code in a subinterpreter with its own GIL, which ends with it."""

try:
    from concurrent import interpreters  # 3.14
except ImportError:
    interpreters = None
    try:
        import _interpreters  # 3.13
    except ImportError:
        _interpreters = None

AVAILABLE = bool(interpreters or _interpreters)


def run_in_another_interpreter(program):
    """Run program in a new interpreter; return its exception as text, or ""."""
    if interpreters:
        interpreter = interpreters.create()
        try:
            interpreter.exec(program)
        except interpreters.ExecutionFailed as error:
            return str(error)
        finally:
            interpreter.close()
        return ""
    interpreter = _interpreters.create("isolated")
    try:
        failed = _interpreters.exec(interpreter, program)
    finally:
        _interpreters.destroy(interpreter)
    return failed.formatted if failed else ""

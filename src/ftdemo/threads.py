"""Threads that start together."""

import threading
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def in_threads(*functions: Callable[[], T]) -> list[T]:
    """Call each function in its own thread, all released by one barrier; return their results.

    Re-raises the first exception that a thread raised.
    """
    barrier = threading.Barrier(len(functions))
    results: dict[int, T] = {}
    errors: list[BaseException] = []

    def call(index: int, function: Callable[[], T]) -> None:
        barrier.wait()
        try:
            results[index] = function()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=call, args=pair) for pair in enumerate(functions)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
    return [results[index] for index in range(len(functions))]

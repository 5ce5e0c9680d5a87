"""signal.c: a container of callbacks."""

import copy
import gc
import pickle
import weakref

import pytest
from hypothesis import given
from hypothesis import strategies as st


def make(ftdemo):
    return ftdemo.Signal()


def step(ftdemo, signal):
    called = []

    def callback(*arguments):
        called.append(arguments)

    signal.connect(callback)
    assert signal.emit(1, 2) >= 1
    assert (1, 2) in called
    signal.disconnect(callback)


def use(ftdemo):
    signal = make(ftdemo)
    step(ftdemo, signal)
    signal.connect(lambda: None)  # freed at once
    assert signal.emit() == 0

    def fails():
        raise ValueError

    signal.connect(fails)
    for operation, *arguments in (
        (signal.emit,),
        (signal.connect, "not callable"),
        (signal.disconnect, print),
    ):
        try:
            operation(*arguments)
        except (TypeError, ValueError):
            continue
        raise AssertionError(operation)


@given(steps=st.lists(st.tuples(st.integers(0, 3), st.sampled_from(["connect", "disconnect"]))))
def test_signal_agrees_with_a_list(extension, steps):
    called = []
    callbacks = [lambda value, n=n: called.append((n, value)) for n in range(4)]
    signal, model = extension.Signal(), []
    for n, operation in steps:
        if operation == "connect" or n in model:
            getattr(signal, operation)(callbacks[n])
        else:
            with pytest.raises(ValueError, match="not connected"):
                signal.disconnect(callbacks[n])
        model = [other for other in model if other != n] + [n] * (operation == "connect")
        called.clear()
        assert signal.emit("value") == len(model)
        assert called == [(other, "value") for other in model]


def test_connect_requires_a_callable_that_supports_weak_references(extension):
    class Slotted:
        __slots__ = ()

        def __call__(self):
            raise AssertionError("not to be called")

    for wrong in (None, "callback", Slotted()):
        with pytest.raises(TypeError):
            extension.Signal().connect(wrong)


def test_errors_on_wrong_arguments(extension):
    for operation in (extension.Signal().connect, extension.Signal().disconnect):
        with pytest.raises(TypeError):
            operation()
    with pytest.raises(TypeError):
        extension.Signal(1)
    with pytest.raises(TypeError):
        extension.Signal().emit(a=1)


def test_callbacks_are_held_weakly(extension):
    class Owner:
        def method(self):
            called.append(self)

    signal, called, owner = extension.Signal(), [], Owner()
    signal.connect(owner.method)  # a bound method without another reference
    kept = owner.method
    signal.connect(kept)
    assert signal.emit() == 1
    assert called == [owner]
    gone = weakref.ref(owner)
    del owner, kept
    called.clear()
    gc.collect()
    assert gone() is None
    assert signal.emit() == 0


def test_an_exception_ends_the_emission(extension):
    signal, called = extension.Signal(), []

    def fails():
        raise ZeroDivisionError

    def works():
        called.append(1)

    signal.connect(fails)
    signal.connect(works)
    with pytest.raises(ZeroDivisionError):
        signal.emit()
    assert called == []


def test_a_callback_may_change_its_signal(extension):
    """Each emission calls the callbacks that were connected when it began."""
    signal, called = extension.Signal(), []

    def once():
        called.append("once")
        signal.disconnect(once)
        signal.connect(late)

    def twice():
        called.append("twice")
        if len(called) == 2:
            assert signal.emit() == 2

    def late():
        called.append("late")

    signal.connect(once)
    signal.connect(twice)
    assert signal.emit() == 2
    assert called == ["once", "twice", "twice", "late"]


def test_a_callback_may_drop_its_last_reference_while_it_runs(extension):
    """Its last reference is dropped during its call."""
    signal, called = extension.Signal(), []

    class Callback:
        def __call__(self):
            callbacks.clear()
            gc.collect()
            called.append(self.__class__.__name__)

    callbacks = [Callback()]
    signal.connect(callbacks[0])
    assert signal.emit() == 1
    assert called == ["Callback"]
    assert signal.emit() == 0


@pytest.mark.slow
@pytest.mark.thread_unsafe(reason="changes the thresholds of the collector")
def test_a_finalizer_may_change_the_signal_during_a_change(extension):
    """Up to 3.11, any allocation may collect garbage, and so run a finalizer."""
    threshold = gc.get_threshold()

    def connected(count):
        class Garbage:
            def __init__(self):
                self.itself = self

            def __del__(self):
                kept.append(lambda: None)
                signal.connect(kept[-1])

        signal, last = extension.Signal(), lambda: None
        kept = [lambda: None for _ in range(25)]
        for callback in kept:
            signal.connect(callback)
        gc.collect()
        gc.set_threshold(10**9)
        Garbage()
        gc.set_threshold(count)
        signal.connect(last)
        gc.set_threshold(*threshold)
        gc.collect()
        return signal.emit() - len(kept)

    try:
        assert {connected(count) for count in range(1, 20)} == {1}
    finally:
        gc.set_threshold(*threshold)


def test_subclassing_and_pickling_are_type_errors(extension):
    with pytest.raises(TypeError, match="not an acceptable base type"):
        type("Sub", (extension.Signal,), {})
    for operation in (copy.copy, copy.deepcopy, pickle.dumps):
        with pytest.raises(TypeError, match="cannot pickle"):
            operation(extension.Signal())


def test_init_again_changes_nothing(extension):
    signal = extension.Signal()
    signal.connect(print)
    signal.__init__()
    signal.disconnect(print)


@pytest.mark.free_threaded
@pytest.mark.two_cores
@pytest.mark.thread_unsafe(reason="starts threads")
def test_a_callback_runs_outside_the_section(extension, in_threads):
    """Another thread can change the signal while a callback runs that does not detach."""

    def overtaken():
        signal = extension.Signal()
        inside, changed = [], []

        def callback():
            inside.append(1)
            for _ in range(5_000_000):  # attached, and longer than a time slice
                if changed:
                    return
            changed.append("too late")

        def change():
            while not inside:
                pass
            signal.connect(print)
            changed.append("meanwhile")

        signal.connect(callback)
        in_threads(signal.emit, change)
        return changed[0] == "meanwhile"

    gc.disable()  # a collection stops all threads, which suspends a section
    try:
        assert [overtaken() for _ in range(5)] == [True] * 5
    finally:
        gc.enable()


@pytest.mark.race
def test_no_connection_is_lost_when_threads_connect(extension, together):
    signals = [extension.Signal() for _ in range(1_000)]
    kept = []

    def connect(n):
        callbacks = [lambda: None for _ in range(10)]
        kept.append(callbacks)
        for callback in callbacks:
            signals[n].connect(callback)

    together(connect, connect, times=len(signals))
    assert {signal.emit() for signal in signals} == {20}


def test_emit_keeps_a_callback_alive_during_its_call(extension):
    """Even if the call drops all other references, as another thread might."""
    signal, events, kept = extension.Signal(), [], []

    class Callback:
        def __call__(self):
            kept.clear()
            del self
            events.append("returns")

        def __del__(self):
            events.append("dies")

    kept.append(Callback())
    signal.connect(kept[0])
    assert signal.emit() == 1
    assert events == ["returns", "dies"]


@pytest.mark.race
def test_callbacks_connect_and_disconnect_during_emit(extension, together):
    """A callback is alive when it is called, even if another thread is dropping it."""
    signal, called_dead = extension.Signal(), []

    class Callback:
        alive = True

        def __call__(self):
            if not self.alive:
                called_dead.append(self)

        def __del__(self):
            self.alive = False

    def come_and_go(_):
        for _ in range(100):
            callback = Callback()
            signal.connect(callback)

    def emit(_):
        for _ in range(100):
            signal.emit()

    def error(function):
        def run(n):  # after an error it must still meet the other thread
            try:
                return function(n)
            except Exception as error:
                return error

        return run

    errors = together(error(come_and_go), error(emit), times=400)
    assert {str(error) for each in errors for error in each} == {"None"}
    assert called_dead == []
    assert signal.emit() == 0

"""Ctrl-C during a compilation comes when the compilation has ended, and is never lost."""

import contextlib
import signal
import sys
import threading

import numpy as np
import pytest
from numba.core.errors import TypingError

from rnn_engine.kernels import notice
from rnn_engine.kernels.options import kernel

pytestmark = pytest.mark.jit


def make_kernel():
    """Return a kernel that nothing has compiled yet, nor will find in the cache."""

    @kernel
    def double(x):
        for i in range(x.size):
            x[i] *= 2

    double._cache.disable()
    return double


@contextlib.contextmanager
def interrupted_in(name, seen):
    """Send this process SIGINT at the first call of a function of that name."""

    def profile(frame, event, argument):
        if event == "call" and frame.f_code.co_name == name and not seen:
            seen.append(name)
            signal.raise_signal(signal.SIGINT)

    sys.setprofile(profile)
    try:
        yield
    finally:
        sys.setprofile(None)


@pytest.fixture
def handler():
    """Whatever a test does to the handler of SIGINT, it is Python's own before and after."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


# The first is called by LLVM itself, through ctypes; the others by Numba.
PLACES = ["_object_compiled_hook", "type_inference_stage", "save_overload"]


@pytest.mark.usefixtures("handler")
class TestInterrupt:
    @pytest.mark.parametrize("place", PLACES)
    def test_it_comes_at_the_end(self, place):
        double, x, seen = make_kernel(), np.ones(3), []
        with pytest.raises(KeyboardInterrupt), interrupted_in(place, seen):
            double(x)
        assert seen == [place]
        assert x.tolist() == [1, 1, 1]
        assert len(double.overloads) == 1  # it was compiled to the end
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
        assert notice._depth == 0
        double(x)
        assert x.tolist() == [2, 2, 2]

    def test_a_handler_of_the_users_is_called_once(self):
        calls, seen = [], []

        def own(number, frame):
            calls.append((number, sorted(double.overloads)))

        signal.signal(signal.SIGINT, own)
        double, x = make_kernel(), np.ones(3)
        with interrupted_in(PLACES[0], seen):
            double(x)
        assert x.tolist() == [2, 2, 2]
        assert calls == [(signal.SIGINT, list(double.overloads))]
        assert signal.getsignal(signal.SIGINT) is own

    def test_an_ignored_signal_stays_ignored(self):
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        double, x = make_kernel(), np.ones(3)
        with interrupted_in(PLACES[0], []):
            double(x)
        assert x.tolist() == [2, 2, 2]
        assert signal.getsignal(signal.SIGINT) == signal.SIG_IGN

    def test_a_compilation_on_another_thread_holds_nothing(self):
        found = []
        double, x = make_kernel(), np.ones(3)

        def work():
            def profile(frame, event, argument):
                if frame.f_code.co_name == PLACES[0]:
                    found.append(signal.getsignal(signal.SIGINT))

            sys.setprofile(profile)
            double(x)
            sys.setprofile(None)

        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        assert x.tolist() == [2, 2, 2]
        assert set(found) == {signal.default_int_handler}


def test_a_failed_compilation_is_no_longer_counted():
    with pytest.raises(TypingError):
        make_kernel()(np.array(["no number"]))
    assert notice._depth == 0

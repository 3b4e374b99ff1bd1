"""Compiling a kernel leaves Numba's settings and Python's collector as they were."""

import gc

import pytest
from numba import njit
from numba.core import codegen, config
from numba.core.compiler_lock import global_compiler_lock
from numba.core.errors import TypingError

from rnn_engine.kernels import options
from tests.kernels.process import run

pytestmark = pytest.mark.jit


@pytest.fixture
def levels(monkeypatch):
    """The levels of optimization that LLVM is asked for."""
    seen, original = [], codegen.CPUCodegen._pass_builder

    def recorded(self, **settings):
        seen.append(int(settings.get("opt", config.OPT)))
        return original(self, **settings)

    monkeypatch.setattr(codegen.CPUCodegen, "_pass_builder", recorded)
    return seen


def double(x):
    return x + x


@pytest.mark.parametrize("collects", [True, False])
def test_a_kernel_and_what_is_compiled_after_it(levels, collects):
    level = config.OPT
    kernel = options.kernel(double)
    kernel._cache.disable()
    gc.enable() if collects else gc.disable()
    try:
        assert kernel(1.5) == 3.0
        assert gc.isenabled() is collects
    finally:
        gc.enable()
    assert max(levels) == 2
    assert config.OPT is level
    levels.clear()
    assert njit(double)(1.5) == 3.0
    assert max(levels) == int(level)


def test_a_kernel_that_cannot_be_compiled():
    level = config.OPT
    with pytest.raises(TypingError):
        options.kernel(lambda x: x.nothing)(1.5)
    assert config.OPT is level
    assert gc.isenabled()


@pytest.mark.parametrize("level", [1, "max"])
def test_a_level_that_the_user_chose_stays(levels, monkeypatch, level):
    monkeypatch.setattr(config, "OPT", type(config.OPT)(level))
    kernel = options.kernel(double)
    kernel._cache.disable()
    assert kernel(2.5) == 5.0
    assert max(levels) == int(config.OPT)


def test_garbage_goes_before_the_lock_does():
    """A fork waits for the lock only, and a child forked meanwhile would never collect."""
    locked = []

    def watch(phase, _):
        locked.append(global_compiler_lock.is_locked())

    kernel = options.kernel(double)
    kernel._cache.disable()
    gc.callbacks.append(watch)
    try:
        assert kernel(3.5) == 7.0
    finally:
        gc.callbacks.remove(watch)
    assert locked[-2:] == [True, True]  # start and end of the last one


PLAIN = """
import numpy as np
from numba import njit
from rnn_engine.kernels.gemm import gemm
from rnn_engine.kernels.pointers import address

@njit
def multiply(a, b, c):
    gemm(2, 2, 2, address(a), 2, 1, address(b), address(c), 2, address(c), 2, 0, 0, address(c), 0)

c = np.zeros((2, 2), np.float32)
multiply(np.ones((2, 2), np.float32), np.ones((2, 16), np.float32), c)
print(c.tolist())
"""


def test_a_linked_function_may_be_called_from_what_is_no_kernel():
    """LLVM ended the process: of the linked functions one referred to another, not yet there."""
    assert run(PLAIN) == "[[2.0, 2.0], [2.0, 2.0]]\n"

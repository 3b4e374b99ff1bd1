"""The update kernels: vectorized where that is the point, and exact sums."""

import math
import platform
import re

import numpy as np
import pytest
from numba import njit

from rnn_engine.kernels import optimizers as kernels
from rnn_engine.kernels import options, threads
from rnn_engine.optimizers.table import registry
from rnn_engine.variable import Variable


@pytest.mark.jit
@pytest.mark.skipif(
    platform.machine() not in ("x86_64", "AMD64"), reason="reads the names of x86 instructions"
)
def test_adam_is_vectorized() -> None:
    # Compiled afresh: what comes from Numba's cache cannot be inspected.
    adam = njit(**options._OPTIONS)(kernels.adam.py_func)
    adam(*(np.ones(64, "f") for _ in range(6)))
    (assembly,) = adam.inspect_asm().values()
    for operation in ("sqrt", "div", "mul", "sub"):
        assert re.search(rf"\bv?{operation}ps\b", assembly), operation


@pytest.mark.parametrize("size", [0, 1, 7, 8, 9, 1000])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_sum_of_squares(size: int, dtype: str) -> None:
    x = np.random.default_rng(size).normal(size=size).astype(dtype)
    expected = math.fsum(float(value) ** 2 for value in x)
    assert kernels.sum_of_squares(x) == pytest.approx(expected, rel=1e-14)


@pytest.mark.parametrize("absolute", [False, True])
def test_merge_rows(absolute: bool) -> None:
    values = np.array([[1.0, -9.0], [2.0, 0.5], [-4.0, 1.0]])
    g, q = np.zeros((2, 2)), np.zeros((2, 2))
    hyper = np.array([0.5, 2.0])
    kernels.merge_rows(np.array([1, 0, 1]), values, g, q, absolute, hyper)
    # Halved, then clipped to [-2, 2]: (0.5, -2), (1, 0.25), (-2, 0.5).
    np.testing.assert_array_equal(g, [[1.0, 0.25], [-1.5, -1.5]])
    expected = [[1.0, 0.25], [2.5, 2.5]] if absolute else [[1.0, 0.0625], [4.25, 4.25]]
    np.testing.assert_array_equal(q, expected)


@pytest.mark.parametrize("cls", registry.unique())
def test_large_variables_on_any_number_of_threads(cls, monkeypatch):
    """Cut in parts and shared out, a variable gets the bits it gets in one piece."""
    results = []
    for part, count in ((10**9, 1), (100, 1), (100, 2), (100, 3)):
        monkeypatch.setattr(kernels, "PART_NUMBERS", part)
        monkeypatch.setattr(threads, "SERIAL_WORK", 0)
        before = threads.get_num_threads()
        threads.set_num_threads(count)
        try:
            rng = np.random.default_rng(3)
            variables = [Variable(rng.normal(size=s), dtype="float32") for s in ((37, 29), (29,))]
            optimizer = cls()
            for step in range(4):
                for variable in variables:
                    variable.grad[...] = rng.normal(size=variable.shape)
                # The variables' own buffers go through a table, other arrays do not.
                gradients = [v.gradient if step % 2 else v.grad.copy() for v in variables]
                optimizer.apply(gradients, variables)
        finally:
            threads.set_num_threads(before)
        results.append(b"".join(v.value.tobytes() for v in variables))
    assert len(set(results)) == 1

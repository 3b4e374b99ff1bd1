"""The loops that measure the machine do the work that they are counted for."""

import numpy as np
import pytest

from benchmarks import machine, peak


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("count", [1, 2, 7])
def test_every_lane_of_every_chain_is_computed(dtype, count):
    multiply_add, _ = peak._kernels()
    scalar = np.dtype(dtype).type
    lanes = machine.vector_bits() // (8 * scalar().itemsize)
    chains = np.arange(1.0, peak.CHAINS + 1)
    for _ in range(count):
        chains = chains * 0.5 + 1.0
    found = multiply_add(count, scalar(0.5), scalar(1.0))
    assert found == pytest.approx(lanes * chains.sum(), rel=1e-6)


def test_every_byte_is_read():
    _, read = peak._kernels()
    group = peak.LOADS * machine.vector_bits() // 8
    data = peak._aligned(3 * group)
    assert data.ctypes.data % 64 == 0
    data[:] = np.arange(len(data))
    assert read(data, 3, 2) == 2 * data.sum()
    assert read(data, 2, 1) == data[: 2 * len(data) // 3].sum()


def test_together_runs_every_call():
    seen = []
    assert peak.together([lambda: seen.append(1), lambda: seen.append(2)]) >= 0.0
    assert sorted(seen) == [1, 2]

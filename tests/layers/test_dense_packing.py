"""Packing the weights of a large Dense by several threads."""

import numpy as np
import pytest

from rnn_engine.kernels import dense


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("features", "units"), [(5, 203), (130, 64), (65, 97)])
def test_threads_pack_the_same(features, units, dtype):
    rng = np.random.default_rng(0)
    w, b = rng.standard_normal((features, units)), rng.standard_normal(units)
    w, b = w.astype(dtype), b.astype(dtype)
    one = np.zeros(dense.weights_size(features, units, w.dtype), w.dtype)
    two = one.copy()
    dense.pack_weights(w, b, one)
    dense.pack_weights_tasks(w, b, two, 3)
    np.testing.assert_array_equal(one, two)

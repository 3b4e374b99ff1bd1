"""The factors of dropout."""

from typing import Any

import numpy as np

from rnn_engine.kernels.noise import dropout_factors


def dropout_mask(generator: Any, rate: float, shape: Any, dtype: Any) -> np.ndarray:
    """Return zeros with probability `rate`, else 1/(1 - rate), so that the mean stays.

    The generator gives the 64 bits that all factors follow from.
    """
    dtype = np.dtype(dtype)
    if rate >= 1:
        return np.zeros(shape, dtype)
    out = np.empty(shape, dtype)
    key = generator.bit_generator.random_raw()
    threshold = np.uint32(min(round(rate * 2**32), 2**32 - 1))
    low, high = np.uint32(key & 0xFFFFFFFF), np.uint32(key >> 32)
    dropout_factors(low, high, threshold, dtype.type(1 / (1 - rate)), out.reshape(-1))
    return out

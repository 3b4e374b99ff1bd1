"""The factors of dropout."""

from typing import Any

import numpy as np


def dropout_mask(generator: Any, rate: float, shape: Any, dtype: Any) -> np.ndarray:
    """Return zeros with probability `rate`, else 1/(1 - rate), so that the mean stays."""
    if rate >= 1:
        return np.zeros(shape, dtype)
    kept = generator.random(shape, np.float32) >= rate
    return kept * np.dtype(dtype).type(1 / (1 - rate))

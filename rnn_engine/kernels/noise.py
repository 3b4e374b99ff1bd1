"""Random factors of dropout: a hash of a key and of the element's place.

Each factor is a function of its place alone, so the loop vectorizes; a generator,
which goes on from number to number, takes some ten times as long.
"""

from typing import Any

import numpy as np

from rnn_engine.kernels.options import kernel

# Multipliers of a 32-bit integer hash with low bias: each input bit flips each
# output bit with a probability within 0.1% of one half (C. Wellons, hash-prospector).
_FIRST = np.uint32(0x21F0AAAD)
_SECOND = np.uint32(0xD35A2D97)
_STEP = np.uint32(0x9E3779B9)
_SHIFT_16 = np.uint32(16)
_SHIFT_15 = np.uint32(15)


@kernel
def _mix(h: Any) -> Any:
    """Return a hash of 32 bits."""
    h = np.uint32(h ^ (h >> _SHIFT_16))
    h = np.uint32(h * _FIRST)
    h = np.uint32(h ^ (h >> _SHIFT_15))
    h = np.uint32(h * _SECOND)
    return np.uint32(h ^ (h >> _SHIFT_15))


@kernel
def dropout_factors(low: Any, high: Any, threshold: Any, scale: Any, out: Any) -> None:
    """Fill the flat `out` with 0 or scale.

    Parameters
    ----------
    low, high : uint32
        The key: 64 random bits.
    threshold : uint32
        A factor is 0 where its hash, uniform in 0..2^32-1, is below.
    scale : of the dtype of `out`
    out : flat, overwritten
    """
    zero = out.dtype.type(0)
    for i in range(out.size):
        h = _mix(np.uint32(np.uint32(i) * _STEP + low))
        h = _mix(np.uint32(h + high))
        out[i] = zero if h < threshold else scale

"""`Orthogonal`: a uniformly distributed orthogonal matrix, without LAPACK.

LAPACK's threads sum in an order that depends on their number, so its QR would
make the first weights, and all training after them, differ from machine to
machine. Here every element is summed in one order.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from rnn_engine.config import standardize_dtype
from rnn_engine.initializers.initializer import RandomInitializer, check_shape, registry

# Columns worked on at a time, so that a panel stays in L2: at 1024 x 1024 0.6 s
# against 0.9 s in one piece; 32 costs 0.8 s in calls, 256 gains nothing.
PANEL = 128


def haar_columns(generator: np.random.Generator, rows: int, columns: int) -> np.ndarray:
    """Return `columns` orthonormal columns of `rows` >= `columns` entries, in float64.

    The distribution is that of Q from the QR decomposition of a normal matrix
    with R's diagonal made positive, but the reflections are drawn directly:
    for normal ``x_k`` of ``rows - k`` entries, with ``s_k = sign(x_k[0])`` and
    ``v_k = x_k + s_k |x_k| e_1``, Q is ``H_0 H_1 ... diag(-s_k)``, where
    ``H_k = I - 2 v_k v_k' / |v_k|^2`` acts on the entries from k on.

    References
    ----------
    Stewart, The efficient generation of random orthogonal matrices, 1980,
    https://doi.org/10.1137/0717034
    """
    reflectors = np.triu(generator.standard_normal((columns, rows)))
    diagonal = np.arange(columns)
    first = reflectors[diagonal, diagonal]
    # cumsum, not sum: its order does not depend on NumPy's vector width.
    squared = np.cumsum(reflectors * reflectors, axis=1)[:, -1]
    length = np.sqrt(squared)
    reflectors[diagonal, diagonal] += np.copysign(length, first)
    beta = 1.0 / (squared + np.abs(first) * length)  # 2 / |v|^2

    q = np.zeros((rows, columns))
    q[diagonal, diagonal] = -np.copysign(1.0, first)
    for start in range(0, columns, PANEL):
        end = min(start + PANEL, columns)
        panel = q[:, start:end].copy()
        scratch = np.empty_like(panel)
        for k in range(end - 1, -1, -1):
            v = reflectors[k, k:, None]
            part, work = panel[k:], scratch[k:]
            np.multiply(v, part, out=work)
            projection = np.add.reduce(work, axis=0)
            projection *= beta[k]
            np.multiply(v, projection, out=work)
            part -= work
        q[:, start:end] = panel
    return q


@registry.register("Orthogonal", "orthogonal", "OrthogonalInitializer")
class Orthogonal(RandomInitializer):
    """An orthogonal matrix times `gain`. Mirrors `keras.initializers.Orthogonal`.

    Axes before the last are taken together as rows. With fewer rows than
    columns the rows are orthonormal, else the columns. Computed in float64 and
    rounded once; the bits are not Keras's, the distribution is.

    Parameters
    ----------
    gain : float
        Factor on the matrix.
    seed : int, SeedGenerator or None
        See `RandomInitializer`.

    Raises
    ------
    ValueError
        When called with a shape of rank below 2.

    References
    ----------
    Saxe et al., 2014, https://openreview.net/forum?id=_wzZwKpTDF_9C

    Examples
    --------
    >>> q = Orthogonal(seed=0)((4, 4), dtype="float64")
    >>> bool(abs(q.T @ q - np.eye(4)).max() < 1e-14)
    True
    """

    def __init__(self, gain: float = 1.0, seed: Any = None) -> None:
        self.gain = gain
        super().__init__(seed)

    def __call__(self, shape: Sequence[int], dtype: Any = None) -> np.ndarray:
        """Draw an array of `shape`."""
        sizes, name = check_shape(shape), standardize_dtype(dtype)
        if len(sizes) < 2:
            raise ValueError(
                "The tensor to initialize must be at least two-dimensional. Received: "
                f"shape={sizes} of rank {len(sizes)}."
            )
        rows, columns = math.prod(sizes[:-1]), sizes[-1]
        if min(rows, columns) == 0:
            return np.zeros(sizes, name)
        q = haar_columns(self._generator(), max(rows, columns), min(rows, columns))
        q = q.T if rows < columns else q
        return np.ascontiguousarray(self.gain * q).reshape(sizes).astype(name)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {**super().get_config(), "gain": self.gain}

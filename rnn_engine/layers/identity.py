"""`Identity`."""

from typing import Any

import numpy as np

from rnn_engine.layers.base import Layer, registry


@registry.register("Identity")
class Identity(Layer):
    """Returns its input (`keras.layers.Identity`).

    Examples
    --------
    >>> Identity()(np.array([[1.0, 2.0]]))
    array([[1., 2.]], dtype=float32)
    """

    def forward(self, x: np.ndarray, training: bool = False, mask: Any = None) -> Any:
        """Return x."""
        return x, x.shape

    def returns_input(self, training: bool) -> bool:
        """Whether `forward` returns its input: it does."""
        return True

    def backward(self, dy: np.ndarray, saved: Any, need_dx: bool = True) -> Any:
        """Return dy."""
        return self.gradient_like(dy, saved) if need_dx else None

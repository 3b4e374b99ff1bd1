"""`ActivityRegularization`."""

from typing import Any

import numpy as np

from rnn_engine import regularizers
from rnn_engine.layers.base import Layer, registry


@registry.register()
class ActivityRegularization(Layer):
    """Passes its input on and adds a penalty on it (`keras.layers.ActivityRegularization`).

    The penalty, (l1 Σ|x| + l2 Σx²) / batch size, is part of the loss of the model that
    the layer stands in.

    Parameters
    ----------
    l1, l2 : float

    Output shape = input shape.

    Examples
    --------
    >>> layer = ActivityRegularization(l1=0.5)
    >>> y, _, saved = layer.forward_with_mask(np.array([[1.0], [-2.0]], np.float32))
    >>> layer.penalties(saved)
    0.75
    """

    def __init__(self, l1: float = 0.0, l2: float = 0.0, **kwargs: Any) -> None:
        super().__init__(activity_regularizer=regularizers.L1L2(l1=l1, l2=l2), **kwargs)
        self.l1 = l1
        self.l2 = l2

    def returns_input(self, training: bool) -> bool:
        """Return True: the penalty changes no number."""
        return True

    def forward(self, x: np.ndarray, training: bool = False, mask: Any = None) -> Any:
        """Return x."""
        return x, None

    def backward(self, dy: np.ndarray, saved: Any, need_dx: bool = True) -> Any:
        """Return dy; the penalty's gradient comes from `backward_with_penalty`."""
        return dy

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments, ready for JSON."""
        config = super().get_config()
        config.pop("activity_regularizer", None)
        return {**config, "l1": self.l1, "l2": self.l2}

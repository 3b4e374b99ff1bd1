"""An activation that remembers what its derivative is taken at."""

import numpy as np

from rnn_engine.activations import Activation


class Activated:
    """An activation applied to z.

    Attributes
    ----------
    value : array
        activation(z).
    """

    __slots__ = ("_activation", "_seen", "value")

    def __init__(self, activation: Activation, z: np.ndarray) -> None:
        self._activation = activation
        self.value = activation(z)
        self._seen = z if activation.from_input else self.value

    def back(self, dy: np.ndarray) -> np.ndarray:
        """Return the gradient by z."""
        return self._activation.backward(dy, self._seen)

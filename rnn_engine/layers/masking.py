"""`Masking`."""

import importlib
import math
from typing import Any

import numpy as np

from rnn_engine.checks import compact
from rnn_engine.graph import KerasTensor
from rnn_engine.kernels.masking import clear_closed, find_open
from rnn_engine.layers.base import Layer, registry


@registry.register()
class Masking(Layer):
    """Masks the steps whose features all equal a value (`keras.layers.Masking`).

    A mask that arrives from below is replaced, as in Keras.

    Parameters
    ----------
    mask_value : float
        Compared in the dtype of the layer.

    Input and output shape (batch, timesteps, ..., features); masked steps of the
    output are zero.

    Examples
    --------
    >>> layer = Masking(mask_value=9.0)
    >>> layer(np.array([[[1.0, 9.0], [9.0, 9.0]]], np.float32))
    array([[[1., 9.],
            [0., 0.]]], dtype=float32)
    """

    makes_masks = True

    def __init__(self, mask_value: float = 0.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.mask_value = mask_value

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        """Return where any feature of a step is not the value."""
        if isinstance(inputs, KerasTensor):
            ops: Any = importlib.import_module("rnn_engine.ops")
            return ops.any(ops.not_equal(inputs, self.mask_value), axis=-1)
        value = np.asarray(self.mask_value, inputs.dtype)
        return np.not_equal(inputs, value).any(axis=-1)

    def forward(self, x: np.ndarray, training: bool = False, mask: Any = None) -> Any:
        """Return x with masked steps zero; saves the mask and the shape."""
        rows = compact(x).reshape(math.prod(x.shape[:-1]), x.shape[-1])
        found = np.empty(len(rows), bool)
        count = find_open(rows, self._np_dtype.type(self.mask_value), found)
        is_open = found.reshape(x.shape[:-1])
        if count == len(rows):
            return x, (is_open, x.shape)
        out = np.empty_like(rows)
        clear_closed(rows, found, out)
        return out.reshape(x.shape), (is_open, x.shape)

    def forward_with_mask(
        self,
        x: np.ndarray,
        training: bool = False,
        mask: Any = None,
        keep: bool = False,
        **options: Any,
    ) -> Any:
        """Return ``(y, mask of y, saved)``, the mask computed once."""
        if self.activity_regularizer is not None:
            return super().forward_with_mask(x, training, mask, keep)
        y, saved = self.forward(x)
        return y, saved[0], saved

    def backward(self, dy: np.ndarray, saved: Any, need_dx: bool = True) -> Any:
        """Return dy where the step is open."""
        if not need_dx:
            return None
        is_open, shape = saved
        dy = self.gradient_like(dy, shape)
        return np.where(is_open[..., None], dy, dy.dtype.type(0))

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments, ready for JSON."""
        return {**super().get_config(), "mask_value": self.mask_value}

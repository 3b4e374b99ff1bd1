"""`Rescaling`."""

from typing import Any

import numpy as np

from rnn_engine.layers.base import Layer, registry


@registry.register()
class Rescaling(Layer):
    """y = x·scale + offset (`keras.layers.Rescaling`).

    Parameters
    ----------
    scale, offset : float or array-like
        Arrays broadcast against the input, its last axes first.

    Output shape = input shape.

    Raises
    ------
    ValueError
        At a call, if an array does not broadcast to the input.

    Examples
    --------
    >>> Rescaling(1 / 127.5, offset=-1)(np.array([[0, 255]], np.uint8))
    array([[-1.,  1.]], dtype=float32)
    """

    def __init__(self, scale: Any, offset: Any = 0.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.scale = scale
        self.offset = offset
        self._scale = np.asarray(scale, self._np_dtype)
        self._offset = np.asarray(offset, self._np_dtype)

    def forward(self, x: np.ndarray, training: bool = False, mask: Any = None) -> Any:
        """Return x·scale + offset."""
        y = x * self._scale + self._offset
        if y.shape != x.shape:
            raise ValueError(
                f"scale of shape {self._scale.shape} and offset of shape {self._offset.shape} of "
                f"layer {self.name!r} do not fit an input of shape {x.shape}."
            )
        return y, x.shape

    def backward(self, dy: np.ndarray, saved: Any, need_dx: bool = True) -> Any:
        """Return dy·scale."""
        return self.gradient_like(dy, saved) * self._scale if need_dx else None

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments, ready for JSON."""
        return {
            **super().get_config(),
            "scale": _plain(self.scale),
            "offset": _plain(self.offset),
        }


def _plain(value: Any) -> Any:
    """Return arrays as lists, which a config can hold."""
    return value.tolist() if isinstance(value, np.ndarray | np.generic) else value

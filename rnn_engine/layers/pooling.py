"""Layers that make one vector of a sequence, an image or a video: `GlobalAveragePooling1D`..."""

import math
from typing import Any

import numpy as np

from rnn_engine.checks import as_mask, compact, unfit, wrong_rank
from rnn_engine.kernels.pooling import mean_over_time
from rnn_engine.layers.base import Layer, registry
from rnn_engine.layers.reshaping import check_data_format


class GlobalPooling(Layer):
    """Base of them: arguments, shapes, and the order of the axes.

    Parameters
    ----------
    data_format : str, optional
        ``"channels_last"`` (the default): (batch, timesteps, features);
        ``"channels_first"``: (batch, features, timesteps). Over two or three axes there are
        these in place of the time steps.
    keepdims : bool
        Keep the axes that are pooled over, of size 1.
    """

    # Axes that are pooled over.
    rank = 1

    def __init__(
        self, data_format: str | None = None, keepdims: bool = False, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.data_format = check_data_format(data_format)
        self.keepdims = bool(keepdims)

    @property
    def _axes(self) -> tuple[int, ...]:
        """The axes that are pooled over."""
        first = 1 if self.data_format == "channels_last" else 2
        return tuple(range(first, first + self.rank))

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return (batch, features), with axes of size 1 under `keepdims`."""
        shape, axes = list(input_shape), self._axes
        shape[axes[0] : axes[-1] + 1] = [1] * self.rank if self.keepdims else []
        return tuple(shape)

    def steps_of(self, x: np.ndarray) -> np.ndarray:
        """Return the input as (batch, timesteps, features).

        Raises
        ------
        ValueError
            If it has the wrong number of axes, or one of size zero.
        """
        if x.ndim != self.rank + 2:
            raise wrong_rank(self.name, f"ndim={self.rank + 2}", x.shape)
        if 0 in x.shape:
            raise unfit(self.name, f"no empty axis, but received input with shape {x.shape}")
        if self.data_format == "channels_first":
            x = np.moveaxis(x, 1, -1)
        return x if self.rank == 1 else x.reshape(len(x), math.prod(x.shape[1:-1]), x.shape[-1])

    def outward(self, y: np.ndarray) -> np.ndarray:
        """Return (batch, features) with the axes that `keepdims` wants."""
        return np.expand_dims(y, self._axes) if self.keepdims else y

    def inward(self, dy: np.ndarray, batch: int, features: int) -> np.ndarray:
        """Return the gradient, proved, as (batch, features)."""
        shape = self.outward(np.empty((batch, features), bool)).shape
        dy = self.gradient_like(dy, shape)
        return dy.squeeze(self._axes) if self.keepdims else dy

    def unfolded(self, dx: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
        """Return (batch, timesteps, features) in the shape of the input."""
        if self.data_format == "channels_last":
            return dx if self.rank == 1 else dx.reshape(shape)
        return np.moveaxis(dx.reshape(shape[0], *shape[2:], shape[1]), -1, 1)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments, ready for JSON."""
        return {
            **super().get_config(),
            "data_format": self.data_format,
            "keepdims": self.keepdims,
        }


@registry.register("GlobalAveragePooling1D", "GlobalAvgPool1D")
class GlobalAveragePooling1D(GlobalPooling):
    """Mean over the time steps that are not masked (`keras.layers.GlobalAveragePooling1D`).

    A row without any such step gives NaN, as in Keras.

    Parameters
    ----------
    data_format, keepdims
        See `GlobalPooling`.

    Examples
    --------
    >>> x = np.array([[[1.0], [3.0], [8.0]]], np.float32)
    >>> GlobalAveragePooling1D()(x, mask=[[True, True, False]])
    array([[2.]], dtype=float32)
    """

    def compute_mask(self, inputs: Any, mask: Any = None) -> None:
        """Return None: the output has no time steps."""

    def forward(self, x: np.ndarray, training: bool = False, mask: Any = None) -> Any:
        """Return the means; saves the mask and the shape."""
        given, x = x.shape, self.steps_of(x)
        batch, steps, features = x.shape
        is_open = np.empty((0, steps), bool) if mask is None else as_mask(mask, (batch, steps))
        swapped = x.transpose(1, 0, 2)
        if swapped.flags.c_contiguous and swapped.flags.writeable:
            flat, row, step = swapped.reshape(-1), features, batch * features
        else:
            flat, row, step = compact(x).reshape(-1), steps * features, features
        y = np.empty((batch, features), self._np_dtype)
        mean_over_time(flat, row, step, is_open, np.empty(features), y)
        return self.outward(y), (is_open, x.shape, given)

    def backward(self, dy: np.ndarray, saved: Any, need_dx: bool = True) -> Any:
        """Return dy / count at the open steps, zero at the others."""
        if not need_dx:
            return None
        is_open, (batch, steps, features), given = saved
        dy = self.inward(dy, batch, features)
        dx = np.empty((steps, batch, features), self._np_dtype)
        if len(is_open):
            count = np.maximum(is_open.sum(axis=1), 1).astype(self._np_dtype)
            np.multiply(is_open.T[..., None], dy / count[:, None], out=dx)
        else:
            dx[...] = dy / self._np_dtype.type(steps)
        return self.unfolded(dx.transpose(1, 0, 2), given)


@registry.register("GlobalMaxPooling1D", "GlobalMaxPool1D")
class GlobalMaxPooling1D(GlobalPooling):
    """Largest value over the time steps (`keras.layers.GlobalMaxPooling1D`).

    As in Keras masked steps count like the others, and a mask ends here with a
    warning. Equal largest values share the gradient.

    Parameters
    ----------
    data_format, keepdims
        See `GlobalPooling`.

    Examples
    --------
    >>> GlobalMaxPooling1D()(np.array([[[1.0], [3.0], [2.0]]], np.float32))
    array([[3.]], dtype=float32)
    """

    supports_masking = False

    def forward(self, x: np.ndarray, training: bool = False, mask: Any = None) -> Any:
        """Return the largest values; saves the input and these."""
        given, x = x.shape, self.steps_of(x)
        y = x.max(axis=1)
        return self.outward(y), (x, y, given)

    def backward(self, dy: np.ndarray, saved: Any, need_dx: bool = True) -> Any:
        """Return dy where the largest value stood."""
        if not need_dx:
            return None
        x, y, given = saved
        here = x == y[:, None]
        with np.errstate(divide="ignore", invalid="ignore"):  # a NaN equals nothing
            share = self.inward(dy, *y.shape) / here.sum(axis=1, dtype=self._np_dtype)
            dx = here * share[:, None]
        return self.unfolded(dx, given)

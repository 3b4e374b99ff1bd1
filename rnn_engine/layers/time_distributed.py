"""`TimeDistributed`."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from rnn_engine.checks import as_gradient
from rnn_engine.layers.base import Layer, Penalized, registry
from rnn_engine.layers.calls import penalty_scale, scaled_penalties
from rnn_engine.layers.recurrent import Recurrent
from rnn_engine.layers.wrapper import Wrapper, build_inside


@dataclass(slots=True)
class SavedSteps:
    """What backward of a `TimeDistributed` needs.

    Attributes
    ----------
    steps : what the inner layer saved, at each step or once for all
    shape : that of the output
    swapped : whether steps and batch were folded in that order; None step by step
    """

    steps: list[Any]
    shape: tuple[int, ...]
    swapped: bool | None


@registry.register()
class TimeDistributed(Wrapper):
    """A layer applied to every time step by itself (`keras.layers.TimeDistributed`).

    The steps are folded into the batch and go through the layer at once. Keras calls the
    layer once a step, which is done here too where it makes a difference: a stateful
    layer, and in training one that says ``mixes_rows = True`` because a row's output
    depends on the rest of the batch, as that of `BatchNormalization` does.

    As in Keras, an activity regularizer of the inner layer has no effect here.

    Parameters
    ----------
    layer : Layer

    Input shape (batch, timesteps, ...), with at least three axes; a mask has shape
    (batch, timesteps) or more axes. The inner layer gets its part for each step, if it
    has axes behind the steps, and it goes on to the next layer as it is.

    Raises
    ------
    ValueError
        If `layer` is no layer, or the input has fewer than three axes.

    Examples
    --------
    >>> from rnn_engine.layers import Dense
    >>> layer = TimeDistributed(Dense(2, kernel_initializer="ones"))
    >>> layer(np.ones((1, 2, 3)))
    array([[[3., 3.],
            [3., 3.]]], dtype=float32)
    """

    @property
    def passes_penalties(self) -> bool:  # type: ignore[override]  # the inner layer decides
        """Whether the inner layer is a model: its own penalty does not count, as in Keras."""
        return bool(self.layer.passes_penalties)

    def _refusal(self, layer: Any) -> str:
        return (
            "Please initialize `TimeDistributed` layer with a `rnn_engine.layers.Layer` instance."
        )

    @property
    def takes_integers(self) -> bool:  # type: ignore[override]  # the inner layer decides
        """Whether integer inputs stay integers."""
        return self.layer.takes_integers

    @property
    def output_dtype(self) -> str:
        """That of the inner layer, as in Keras."""
        return self.layer.output_dtype

    def _inner_shape(self, input_shape: Any) -> tuple[Any, ...]:
        if not isinstance(input_shape, tuple | list) or len(input_shape) < 3:
            raise ValueError(
                "`TimeDistributed` Layer should be passed an `input_shape` with at least 3 "
                f"dimensions, received: {input_shape}"
            )
        return (input_shape[0], *input_shape[2:])

    def create_weights(self, input_shape: Any) -> None:
        """Build the inner layer for one step."""
        build_inside(self, self.layer, self._inner_shape(input_shape))

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return (batch, timesteps, ...)."""
        batch, *rest = self.layer.compute_output_shape(self._inner_shape(input_shape))
        return (batch, input_shape[1], *rest)

    # --- the way of the data --------------------------------------------------

    def check_input(self, x: np.ndarray) -> None:
        """Check a step of the input, the first, as the inner layer does."""
        self._inner_shape(x.shape)
        self.layer.check_input(x[:, 0])

    def forward(
        self, x: np.ndarray, training: bool = False, mask: Any = None, keep: bool = False
    ) -> Any:
        """Return y (batch, timesteps, ...) and what backward needs."""
        self._inner_shape(x.shape)
        inner_mask = self._inner_mask(mask, x)
        if _step_by_step(self.layer, training):
            steps = [
                _run(
                    self.layer,
                    x[:, t],
                    training,
                    None if inner_mask is None else inner_mask[:, t],
                    keep,
                )
                for t in range(x.shape[1])
            ]
            y = np.stack([y for y, _ in steps], axis=1)
            return y, SavedSteps([kept for _, kept in steps], y.shape, None)
        if inner_mask is not None and inner_mask.ndim == 2:
            inner_mask = None  # only a layer that mixes rows would look at it
        # A time-major sequence stays one: its rows are taken as they lie in memory.
        swapped = not x.flags.c_contiguous and x.strides[1] > x.strides[0]
        y, kept = _run(self.layer, _fold(x, swapped), training, _fold(inner_mask, swapped), keep)
        y = _unfold(y, x.shape[:2], swapped)
        return y, SavedSteps([kept], y.shape, swapped)

    def _inner_mask(self, mask: Any, x: np.ndarray) -> np.ndarray | None:
        """Return the mask as an array."""
        if mask is None:
            return None
        mask = np.asarray(mask)
        if mask.ndim < 2 or mask.shape[:2] != x.shape[:2]:
            raise ValueError(
                f"The `mask` passed to the `TimeDistributed` layer has shape {mask.shape}; it must "
                f"be at least 2D and begin with the batch and time steps of the input, "
                f"{x.shape[:2]}."
            )
        if mask.ndim == 2 and isinstance(self.layer, Recurrent):
            raise ValueError(
                f"A mask of shape {mask.shape} has no steps for the recurrent layer inside "
                f"TimeDistributed: expected (batch, timesteps, inner timesteps)."
            )
        return mask

    def backward(self, dy: Any, saved: "SavedSteps", need_dx: bool = True) -> Any:
        """Add the weight gradients of all steps; return dx, or None.

        Raises
        ------
        ValueError
            If `dy` is not of the shape of the output.
        """
        dtype, what = np.dtype(self.layer.output_dtype), f"The gradient for layer {self.name!r}"
        if dy is None:  # for the penalties inside
            dy = np.zeros(saved.shape, dtype)
        dy = as_gradient(dy, saved.shape, dtype, what)
        if saved.swapped is None:
            parts = [
                self.layer.backward(dy[:, t], saved.steps[t], need_dx)
                for t in range(len(saved.steps) - 1, -1, -1)
            ]
            return self._own(np.stack(parts[::-1], axis=1)) if need_dx else None
        with scaled_penalties(penalty_scale() * saved.shape[1]):
            dx = self.layer.backward(_fold(dy, saved.swapped), saved.steps[0], need_dx)
        return self._own(_unfold(dx, saved.shape, saved.swapped)) if need_dx else None

    def _own(self, dx: np.ndarray) -> np.ndarray:
        """Return the gradient in this layer's type, in which the input came."""
        return dx.astype(self._np_dtype, copy=False)

    def penalties(self, saved: Any) -> float:
        """Return the penalties on activities: this layer's, and those inside a model.

        These are over the size of the batch, step by step, also where all steps are one batch.
        """
        kept = saved.saved if type(saved) is Penalized else saved
        steps = 1 if kept.swapped is None else kept.shape[1]
        return super().penalties(saved) + steps * sum(map(self.layer.penalties, kept.steps))


def _step_by_step(layer: Any, training: bool) -> bool:
    """Whether the steps have to go through a layer one after the other."""
    shared_noise = (getattr(layer, "noise_shape", None) or [None])[0] is not None
    if getattr(layer, "stateful", False) or (training and (layer.mixes_rows or shared_noise)):
        return True
    return any(_step_by_step(inner, training) for inner in layer.sublayers)


def _run(layer: Layer, x: np.ndarray, training: bool, mask: Any, keep: bool) -> Any:
    """Return (y, saved) of a layer, without the penalty on its own activity."""
    y, _, saved = layer.forward_with_mask(layer.convert(x), training, mask, keep)
    if type(saved) is Penalized:
        saved = saved.saved
    if isinstance(y, tuple):
        raise ValueError(
            f"TimeDistributed needs a layer of one output; {layer.name!r} has {len(y)}."
        )
    return y, saved


def _fold(x: Any, swapped: bool) -> Any:
    """Fold the first two axes into one."""
    if x is None:
        return None
    x = np.swapaxes(x, 0, 1) if swapped else x
    return x.reshape(-1, *x.shape[2:])


def _unfold(y: np.ndarray, axes: tuple[int, ...], swapped: bool) -> np.ndarray:
    """Undo `_fold` for an array of other axes behind the first two of `axes`."""
    batch, steps = axes[:2]
    if swapped:
        return np.swapaxes(y.reshape(steps, batch, *y.shape[1:]), 0, 1)
    return y.reshape(batch, steps, *y.shape[1:])

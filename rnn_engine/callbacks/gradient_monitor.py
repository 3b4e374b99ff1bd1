"""`GradientMonitor`: whether gradients reach the first steps, epoch by epoch."""

import math
import warnings
from typing import Any

import numpy as np

from rnn_engine.callbacks.callback import Callback, Logs
from rnn_engine.checks import positive_int

_RATIO = "at its first step is {:.2g} times that at its last, so on its way back it"
_NOT_FINITE = "it explodes, or the batch or the weights hold NaN; "
_VANISHING = (
    "what the first steps saw hardly teaches it. What helps: LSTM or GRU instead of SimpleRNN, "
    "recurrent_initializer='orthogonal', shorter sequences or fit(window=...), inputs of the "
    "scale of 1 so that units are not saturated (rnn_engine.inspect.saturation)."
)
_EXPLODING = (
    "an update is a jump. What helps: clipnorm=1.0 or clipvalue in the optimizer, a lower learning "
    "rate, recurrent weights of a spectral radius of 1 or below "
    "(rnn_engine.inspect.spectral_radius), LSTM or GRU instead of SimpleRNN."
)


class GradientMonitor(Callback):
    """Records how gradients flow through time, and warns if they vanish or explode.

    At the end of an epoch it computes `rnn_engine.inspect.gradient_flow` on one batch. The ratio
    of a layer, of the norm of dL/dh_t at the first step that it reads to that at the last, tells
    what becomes of a gradient on its way back. Keras has no such callback.

    Parameters
    ----------
    x, y : array-like
        The batch to look at; a few sequences are enough.
    sample_weight : array-like, optional
    every : int
        Epochs from look to look.
    vanishing, exploding : float
        Ratios from which on it warns, once a layer.

    Attributes
    ----------
    epochs : list of int
        When it looked.
    norms : dict of lists of (T,) arrays
        For each layer and look ‖dL/dh_t‖, first step first.
    ratios : dict of lists of float

    Raises
    ------
    ValueError
        If `every` is not a positive integer, or not 0 <= vanishing < exploding.

    Examples
    --------
    >>> import rnn_engine
    >>> from rnn_engine.layers import Dense, LSTM
    >>> rnn_engine.utils.set_random_seed(0)
    >>> model = rnn_engine.Sequential([LSTM(4, input_shape=(10, 1), name="lstm"), Dense(1)])
    >>> model.compile("sgd", "mse")
    >>> x, y = np.ones((8, 10, 1)), np.ones((8, 1))
    >>> monitor = GradientMonitor(x, y)
    >>> history = model.fit(x, y, epochs=2, verbose=0, callbacks=[monitor])
    >>> len(monitor.ratios["lstm"])
    2
    """

    def __init__(
        self,
        x: Any,
        y: Any,
        sample_weight: Any = None,
        every: int = 1,
        vanishing: float = 1e-4,
        exploding: float = 1e4,
    ) -> None:
        super().__init__()
        every = positive_int(every, "every")
        if not 0 <= vanishing < exploding:
            raise ValueError(
                "vanishing must be at least 0 and below exploding, got "
                f"{vanishing} and {exploding}."
            )
        self.x, self.y, self.sample_weight = x, y, sample_weight
        self.every, self.vanishing, self.exploding = every, vanishing, exploding
        self._begin()

    def _begin(self) -> None:
        self.epochs: list[int] = []
        self.norms: dict[str, list[np.ndarray]] = {}
        self.ratios: dict[str, list[float]] = {}
        self._warned: set[str] = set()

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Forget an earlier training."""
        self._begin()

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Look, and warn."""
        if epoch % self.every:
            return
        from rnn_engine.inspect import gradient_flow  # it knows layers, which callbacks do not

        flow = gradient_flow(self.model, self.x, self.y, self.sample_weight)
        self.epochs.append(epoch)
        for name, ratio in flow.ratios.items():
            self.norms.setdefault(name, []).append(flow.norms[name])
            self.ratios.setdefault(name, []).append(ratio)
            finite = bool(np.isfinite(flow.norms[name]).all())
            if not finite:
                self._warn(name, epoch, f"is not finite: {_NOT_FINITE}{_EXPLODING}")
            elif ratio > self.exploding:
                self._warn(name, epoch, f"{_RATIO.format(ratio)} explodes: {_EXPLODING}")
            elif ratio < self.vanishing or (math.isnan(ratio) and not flow.norms[name].any()):
                self._warn(name, epoch, f"{_RATIO.format(ratio)} vanishes: {_VANISHING}")

    def _warn(self, name: str, epoch: int, what: str) -> None:
        if name not in self._warned:
            self._warned.add(name)
            warnings.warn(f"Epoch {epoch + 1}: the gradient of layer {name!r} {what}", stacklevel=2)

    def plot(self, path: Any = None) -> Any:
        """Draw the ratios over the epochs; return the matplotlib figure, written if `path`.

        Raises
        ------
        ImportError
            If matplotlib is not installed (``pip install "rnn_engine[plot]"``).
        """
        from rnn_engine.inspect.plotting import draw_norms, new_axes, saved

        figure, (axes,) = new_axes(1)
        for name, ratios in self.ratios.items():
            draw_norms(axes, self.epochs, ratios, ".-", label=name)
        axes.axhspan(0, self.vanishing, color="0.9")
        axes.set(xlabel="epoch", ylabel="‖dL/dh_1‖ / ‖dL/dh_T‖", title="Gradient flow")
        axes.legend()
        return saved(figure, path)

"""How far back gradients and inputs reach: `gradient_flow`, `memory_length`."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from rnn_engine.checks import fraction
from rnn_engine.inspect.plotting import draw_norms, new_axes, saved
from rnn_engine.inspect.watching import watched


@dataclass(frozen=True)
class GradientFlow:
    """What `gradient_flow` found.

    Attributes
    ----------
    loss : float
    norms : dict of (T,) arrays
        For each recurrent layer the norm of dL/dh_t, over the rows of the batch and the units,
        first step first. L is the loss of the batch.
    backwards : frozenset of str
        The layers that read from the last step to the first.
    """

    loss: float
    norms: dict[str, np.ndarray]
    backwards: frozenset[str] = frozenset()

    @property
    def ratios(self) -> dict[str, float]:
        """For each layer the norm at the first step that it reads over that at the last one.

        The last one that has any gradient: padding behind it teaches nothing. NaN where none has.
        """
        found = {}
        for name, norm in self.norms.items():
            read = norm[::-1] if name in self.backwards else norm
            taught = np.flatnonzero(read)
            found[name] = float(read[0] / read[taught[-1]]) if len(taught) else float("nan")
        return found

    def plot(self, path: Any = None) -> Any:
        """Draw the norms over the steps; return the matplotlib figure, written to `path` if any."""
        figure, (axes,) = new_axes(1)
        for name, norm in self.norms.items():
            draw_norms(axes, np.arange(len(norm)), norm, label=name)
        axes.set(xlabel="step t", ylabel="‖dL/dh_t‖", title="Gradient flow")
        axes.legend()
        return saved(figure, path)


def gradient_flow(model: Any, x: Any, y: Any, sample_weight: Any = None) -> GradientFlow:
    """Return the norm of dL/dh_t for every step and recurrent layer.

    dL/dh_t is the gradient of the loss by a layer's output at step t, by all ways that lead from
    it through later steps. Where it dies out towards the first steps, what happened there
    does not teach the layer (it vanishes); where it grows, an update is a jump (it explodes).

    Parameters
    ----------
    model : Model
        Compiled; built here if it is not. Layers of cells of one's own are left out.
    x, y, sample_weight : array-like
        One batch.

    Raises
    ------
    ValueError
        If the model is not compiled or has no recurrent layer of the engine's cells.

    Examples
    --------
    >>> import rnn_engine
    >>> from rnn_engine.layers import Dense, SimpleRNN
    >>> rnn_engine.utils.set_random_seed(0)
    >>> model = rnn_engine.Sequential([SimpleRNN(4, input_shape=(20, 1), name="rnn"), Dense(1)])
    >>> model.compile("sgd", "mse")
    >>> flow = gradient_flow(model, np.ones((2, 20, 1)), np.zeros((2, 1)))
    >>> flow.norms["rnn"].shape
    (20,)
    """
    inputs, _, _ = model.data_form().convert(x, None, None)
    model.build_from_data(inputs)
    with watched(model) as records:
        found = model.gradients(x, y, sample_weight, training=False)
    norms = {}
    for record in records:
        if record.dh is not None:
            squares = np.square(record.dh, dtype=np.float64).sum(axis=(1, 2))
            norms[record.name] = record.in_time(np.sqrt(squares))
    backwards = frozenset(record.name for record in records if record.turned)
    return GradientFlow(float(found.loss), norms, backwards)


@dataclass(frozen=True)
class MemoryLength:
    """What `memory_length` found.

    Attributes
    ----------
    influence : (T,) array
        ‖dy_T/dx_t‖ at each step t, first step first: over rows, outputs and features.
    share : float
        Of the greatest influence, below which a step counts as forgotten.
    """

    influence: np.ndarray
    share: float

    @property
    def length(self) -> int:
        """How many steps back the last one is that is not forgotten; 0 is the last step.

        Where influences are not finite, those steps alone are felt.
        """
        influence = np.nan_to_num(self.influence, nan=np.inf, posinf=np.inf)
        felt = np.flatnonzero(influence >= self.share * influence.max(initial=0.0))
        return len(influence) - 1 - int(felt[0]) if influence.any() else 0

    def plot(self, path: Any = None) -> Any:
        """Draw the influence by its distance; return the figure, written to `path` if any."""
        figure, (axes,) = new_axes(1)
        back = np.arange(len(self.influence))[::-1]
        draw_norms(axes, back, self.influence)
        axes.axvline(self.length, color="k", linestyle=":", label=f"{self.length} steps")
        axes.set(xlabel="steps back", ylabel="‖dy_T/dx_t‖", title="Memory")
        axes.legend()
        return saved(figure, path)


def memory_length(model: Any, x: Any, share: float = 0.01) -> MemoryLength:
    """Return how far back an input still moves the last output.

    The influence of a step is the norm of the derivative of the last output by the inputs of that
    step, from one pass back for each number of the output. Of a model of indices it is that by
    the inputs of its first recurrent layer.

    Parameters
    ----------
    model : Model
        Built, of one input (B, T, ...) and one output (B, K) or (B, T, K).
    x : array-like
        Some sequences.
    share : float
        Of the greatest influence: with less, a step counts as forgotten.

    Raises
    ------
    ValueError
        If the model has several inputs or outputs, or no recurrent layer of the engine's cells.

    Examples
    --------
    >>> import rnn_engine
    >>> model = rnn_engine.Sequential([rnn_engine.layers.LSTM(4, input_shape=(30, 2))])
    >>> memory_length(model, np.zeros((1, 30, 2))).influence.shape
    (30,)
    """
    share = fraction(share, "share")
    form = model.data_form()
    x, _, _ = form.convert(x, None, None)
    if type(x) is list or form.several_outputs:
        raise ValueError("memory_length needs a model of one input and one output.")
    model.build_from_data(x)
    variables = model.trainable_variables
    total: Any = 0.0
    with watched(model) as records:
        k, count = 0, 1
        while k < count:
            records.clear()
            y, _, kept = model.forward_with_mask(x, False, None, True)
            if isinstance(y, tuple | list) or y.ndim not in (2, 3):
                raise ValueError("memory_length needs an output (batch, units) with or without "
                                 "time steps.")  # fmt: skip
            count = y.shape[-1]
            dy = np.zeros(y.shape, y.dtype)
            (dy if y.ndim == 2 else dy[:, -1])[:, k] = 1
            dx = model.backward(dy, kept, need_dx=True)
            if dx is None or x.dtype.kind in "iu":
                record = records[0]
                dx = None if record.dx is None else record.in_time(record.dx).transpose(1, 0, 2)
                assert dx is not None
            axes = tuple(a for a in range(dx.ndim) if a != 1)
            total = total + np.square(dx, dtype=np.float64).sum(axis=axes)
            k += 1
    for variable in variables:  # they hold sums of these passes
        variable.clear_gradient()
    return MemoryLength(np.sqrt(total), share)

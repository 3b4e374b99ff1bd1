"""What units and gates do on some data: `saturation`, `unit_activity`."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from rnn_engine.checks import fraction
from rnn_engine.inspect.plotting import new_axes, saved
from rnn_engine.inspect.watching import Record, watched
from rnn_engine.layers.dropout_cell import Factors


@dataclass(frozen=True)
class Saturation:
    """What `saturation` found.

    Attributes
    ----------
    shares : dict of dict of (U,) arrays
        By layer and gate: for each unit, the share of the steps at which it is saturated.
    threshold : float
    """

    shares: dict[str, dict[str, np.ndarray]]
    threshold: float

    @property
    def means(self) -> dict[str, dict[str, float]]:
        """The shares, averaged over the units."""
        return {
            layer: {gate: float(share.mean()) for gate, share in gates.items()}
            for layer, gates in self.shares.items()
        }

    def plot(self, path: Any = None) -> Any:
        """Draw the shares of each layer's gates; return the figure, written to `path` if any."""
        figure, grid = new_axes(len(self.shares))
        for axes, (layer, gates) in zip(grid, self.shares.items(), strict=True):
            axes.boxplot(list(gates.values()), whis=(0, 100))
            axes.set_xticks(range(1, len(gates) + 1), list(gates))
            axes.set(title=f"{layer}: saturated steps", ylabel="share", ylim=(-0.05, 1.05))
        return saved(figure, path)


def saturation(model: Any, x: Any, threshold: float = 0.05) -> Saturation:
    """Return how often the gates and states of recurrent layers are saturated.

    A value is saturated where the slope of its activation is below `threshold` times the slope at
    zero (for activations without one there, 1): a tanh beyond ±0.975, a sigmoid below 0.013 or
    above 0.987, a relu at zero, and NaN. Little gradient comes through it.

    Parameters
    ----------
    model : Model
        Built, or built here.
    x : array-like
        Some sequences. Steps that a mask closes do not count.
    threshold : float

    Raises
    ------
    ValueError
        If the model has no recurrent layer of the engine's cells.

    Examples
    --------
    >>> import rnn_engine
    >>> model = rnn_engine.Sequential([rnn_engine.layers.LSTM(4, input_shape=(6, 2), name="lstm")])
    >>> list(saturation(model, np.zeros((1, 6, 2))).shares["lstm"])
    ['input', 'forget', 'candidate', 'output', 'cell']
    """
    threshold = fraction(threshold, "threshold")
    shares = {}
    for record in _records(model, x):
        counts: dict[str, Any] = {}
        states = record.start
        for x_t, open_t in zip(record.x, record.open, strict=True):
            new: list[np.ndarray]
            _, new, kept = record.cell.step(x_t, states, Factors())
            for name, activated in _gates(record, kept).items():
                # Not "<": a NaN lets no gradient through, either.
                flat = ~(_slopes(activated) >= threshold * _slope_at_zero(activated))
                counts[name] = counts.get(name, 0) + flat[open_t].sum(axis=0)
            states = [
                np.where(open_t.reshape(-1, 1), after, before)
                for after, before in zip(new, states, strict=True)
            ]
        seen = max(1, int(record.open.sum()))
        shares[record.name] = {name: count / seen for name, count in counts.items()}
    return Saturation(shares, threshold)


def _gates(record: Record, kept: Any) -> dict[str, Any]:
    """Return the activated values of a cell's step by name."""
    name = record.cell.kernel_name
    if name == "simple_rnn":
        return {"state": kept[2]}
    if name == "lstm":
        return dict(zip(("input", "forget", "candidate", "output", "cell"), kept[3], strict=True))
    return dict(zip(("update", "reset", "candidate"), kept[2][:3], strict=True))


def _slopes(activated: Any) -> np.ndarray:
    return np.abs(activated.back(np.ones_like(activated.value)))


def _slope_at_zero(activated: Any) -> float:
    """Return the slope of a value's activation at zero, or 1."""
    act, zero = activated._activation, np.zeros(1, activated.value.dtype)
    slope = float(abs(act.backward(np.ones_like(zero), zero if act.from_input else act(zero))[0]))
    return slope or 1.0


@dataclass(frozen=True)
class UnitActivity:
    """What `unit_activity` found: by layer, arrays (U,) over rows and open steps.

    Attributes
    ----------
    mean, std, low, high : dict of (U,) arrays
        Average, standard deviation, least and greatest output of each unit.
    """

    mean: dict[str, np.ndarray]
    std: dict[str, np.ndarray]
    low: dict[str, np.ndarray]
    high: dict[str, np.ndarray]

    @property
    def dead(self) -> dict[str, np.ndarray]:
        """The units of each layer that never moved: least and greatest output are one."""
        return {name: np.flatnonzero(self.high[name] == low) for name, low in self.low.items()}

    def plot(self, path: Any = None) -> Any:
        """Draw range, deviation and mean of the units; return the figure, written if `path`."""
        figure, grid = new_axes(len(self.mean))
        for axes, name in zip(grid, self.mean, strict=True):
            mean, std, units = self.mean[name], self.std[name], np.arange(len(self.mean[name]))
            axes.vlines(units, self.low[name], self.high[name], color="0.8")
            axes.errorbar(units, mean, std, fmt=".", capsize=2)
            axes.set(title=f"{name}: outputs", xlabel="unit", ylabel="h")
        return saved(figure, path)


def unit_activity(model: Any, x: Any) -> UnitActivity:
    """Return mean, spread and range of every unit of the recurrent layers.

    Parameters
    ----------
    model : Model
        Built, or built here.
    x : array-like
        Some sequences. Steps that a mask closes do not count.

    Raises
    ------
    ValueError
        If the model has no recurrent layer of the engine's cells.

    Examples
    --------
    >>> import rnn_engine
    >>> model = rnn_engine.Sequential([rnn_engine.layers.GRU(3, input_shape=(6, 2), name="gru")])
    >>> unit_activity(model, np.zeros((1, 6, 2))).dead["gru"]  # without input nothing moves
    array([0, 1, 2])
    """
    found = UnitActivity({}, {}, {}, {})
    for record in _records(model, x):
        h: Any = record.h[record.open].astype(np.float64)
        if len(h) == 0:
            h = np.full((1, record.h.shape[-1]), np.nan)
        found.mean[record.name], found.std[record.name] = h.mean(axis=0), h.std(axis=0)
        found.low[record.name], found.high[record.name] = h.min(axis=0), h.max(axis=0)
    return found


def _records(model: Any, x: Any) -> list[Record]:
    """Return what the recurrent layers do on some data."""
    x, _, _ = model.data_form().convert(x, None, None)
    model.build_from_data(x)
    with watched(model) as records:
        model.forward_with_mask(x, False, None, True)
    return records

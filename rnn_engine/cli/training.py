"""What `rnn-engine train` does between reading the data and writing the report."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

import rnn_engine
from rnn_engine.cli.plan import COVERAGES, Plan
from rnn_engine.forecasting import Windows, conformal_widths, held_out, scores
from rnn_engine.tables import Table

CELLS = {"simple_rnn": "SimpleRNN", "lstm": "LSTM", "gru": "GRU"}


@dataclass(frozen=True)
class Settings:
    """How a forecasting model is trained."""

    window: int
    horizon: int
    units: int
    cell: str
    epochs: int
    batch_size: int
    learning_rate: float
    hold_out: float
    seed: int


@dataclass(frozen=True)
class Result:
    """A trained model and how it does on the rows that it was not trained on.

    `forecasts` and `actual` are (windows, horizon), of the test; `origins` are the rows behind
    which those windows end.
    """

    model: Any
    plan: Plan
    figures: dict[str, Any]
    forecasts: np.ndarray
    actual: np.ndarray
    origins: np.ndarray


def train(
    table: Table, target: Any, exog: list[Any], settings: Settings, on_epoch: Callable[[Any], Any]
) -> Result:
    """Train on the first rows; take intervals and figures from the last ones.

    The first half of the rows that are held out calibrates the intervals, the second half
    tests: errors beside those of the last value, and the share of values in their intervals.

    Raises
    ------
    ValueError
        If there are too few rows, or the loss does not stay finite.
    """
    rows, lags, horizon = table.values, settings.window, settings.horizon
    earlier, later, cut = held_out(len(rows), settings.hold_out, lags, horizon)
    windows = Windows.of(rows[:cut], lags, horizon)
    x, y, actual = windows.inputs(rows), windows.targets(rows), windows.actual(rows)
    rnn_engine.utils.set_random_seed(settings.seed)
    layers = rnn_engine.layers
    cell = getattr(layers, CELLS[settings.cell])(settings.units)
    inputs = layers.Input((lags, windows.features))
    model = rnn_engine.Sequential([inputs, cell, layers.Dense(horizon)])
    model.compile(rnn_engine.optimizers.Adam(settings.learning_rate), "mse")

    def watch(epoch: int, logs: dict[str, float]) -> None:
        on_epoch((epoch, logs))
        model.stop_training = not np.isfinite(logs["loss"])

    callbacks = [rnn_engine.callbacks.LambdaCallback(on_epoch_end=watch)]
    with np.errstate(over="ignore", invalid="ignore"):
        history = model.fit(
            x[earlier], y[earlier], settings.batch_size, settings.epochs, verbose=0,
            callbacks=callbacks,
        )  # fmt: skip
    first = later.start
    last = windows.last(rows)[first : len(y)]
    with np.errstate(over="ignore", invalid="ignore"):
        held = windows.forecasts(model.predict(x[first : len(y)], verbose=0), last)
    found: list[Any] = [history.history["loss"], held]
    if not all(np.isfinite(array).all() for array in found):
        raise ValueError(
            f"The training diverged in epoch {len(history.history['loss'])}: its loss or its "
            f"forecasts are not finite. A learning rate below {settings.learning_rate:g} may help."
        )
    # The test's windows tell rows that no window of the calibration tells.
    middle = len(held) // 2
    calibrates = actual[first : first + max(0, middle - horizon + 1)]
    widths = _widths(calibrates - held[: len(calibrates)])
    tested = slice(middle, None)
    told = actual[first:][tested]
    figures = scores(held[tested], told, last[tested])
    figures["train_windows"] = len(y[earlier])
    figures["coverage"] = {
        name: float((np.abs(told - held[tested]) <= np.asarray(of)).mean())
        for name, of in widths.items()
    }
    origins = np.arange(first + middle, len(y)) + lags - 1
    plan = Plan(target, exog, windows, widths)
    return Result(model, plan, figures, held[tested], told, origins)


def _widths(residuals: np.ndarray) -> dict[str, list[float]]:
    """Return the widths for those coverages that there are residuals enough for."""
    found = {}
    for coverage in COVERAGES:
        try:
            found[str(coverage)] = conformal_widths(residuals, coverage).tolist()
        except ValueError:
            break
    return found

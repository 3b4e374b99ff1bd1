"""Windows of series, and forecasts with intervals: what `Forecaster` and the command line share."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Windows:
    """How a table of series becomes windows for a network, and its outputs forecasts.

    Tables are float64 of shape (rows, columns) in the order of time: the target is the first
    column, those of `known` are the last ones.

    Parameters
    ----------
    lags, horizon : int
        Rows that a forecast sees, and rows that it is of.
    level, scale : sequence of float
        Of each column: subtracted, and divided by.
    relative : bool
        Whether the target is taken relative to the last row of its window.
    known : int
        Columns whose future is known: the network also sees each `horizon` rows ahead.
    """

    lags: int
    horizon: int
    level: Sequence[float]
    scale: Sequence[float]
    relative: bool = True
    known: int = 0

    @classmethod
    def of(cls, table: np.ndarray, lags: int, horizon: int, **options: Any) -> "Windows":
        """Return windows scaled by the mean and the standard deviation of a table's columns.

        Raises
        ------
        ValueError
            If values are so large that their squares are none.
        """
        with np.errstate(over="ignore", invalid="ignore"):
            scale = table.std(axis=0)
        if not np.isfinite(scale).all():
            column = int(np.argmin(np.isfinite(scale)))
            largest = np.abs(table[:, column]).max()
            raise ValueError(f"Values as large as {largest:.3g} have no variance in float64.")
        scale[scale == 0.0] = 1.0  # a constant column
        return cls(lags, horizon, table.mean(axis=0).tolist(), scale.tolist(), **options)

    @property
    def features(self) -> int:
        """Columns of a window."""
        return len(self.level) + self.known

    def pairs(self, rows: int) -> int:
        """Return how many windows with their targets so many rows give."""
        return max(0, rows - self.lags - self.horizon + 1)

    def _scaled(self, table: np.ndarray) -> np.ndarray:
        return (table - np.asarray(self.level)) / np.asarray(self.scale)

    def inputs(self, table: np.ndarray) -> np.ndarray:
        """Return the windows of a table, (windows, lags, features), float32.

        With `known` columns there is none for the last `horizon` rows, whose other columns are
        not looked at.

        Raises
        ------
        ValueError
            If float32 cannot hold what is scaled: the table is not of the kind that told the scale.
        """
        scaled = self._scaled(table)
        x = _slid(scaled, self.lags)
        if self.known:
            ahead = _slid(scaled[self.horizon :, -self.known :], self.lags)
            x = np.concatenate([x[: len(ahead)], ahead], axis=2)
        x = x.copy()
        if self.relative:
            x[:, :, 0] -= x[:, -1:, 0]
        with np.errstate(over="ignore"):
            narrow = x.astype(np.float32)
        if not np.isfinite(narrow).all():
            raise ValueError(
                f"Values as large as {np.abs(table).max():.3g} overflow once they are scaled: the "
                f"scales are {', '.join(f'{s:.3g}' for s in self.scale)}."
            )
        return narrow

    def targets(self, table: np.ndarray) -> np.ndarray:
        """Return what the network is to say of each window, (windows, horizon), float32."""
        scaled = self._scaled(table)[:, 0]
        y = _slid(scaled[self.lags :, None], self.horizon)[:, :, 0]
        if self.relative:
            y = y - scaled[self.lags - 1 : self.lags - 1 + len(y), None]
        return y.astype(np.float32)

    def actual(self, table: np.ndarray) -> np.ndarray:
        """Return the rows that follow each window, (windows, horizon), in the target's unit."""
        return _slid(table[self.lags :, :1], self.horizon)[:, :, 0]

    def last(self, table: np.ndarray) -> np.ndarray:
        """Return the last value that each window sees, (windows, 1): the naive forecast."""
        return table[self.lags - 1 :, :1]

    def forecasts(self, outputs: Any, last: np.ndarray) -> np.ndarray:
        """Return outputs of the network, (windows, horizon), in the target's unit."""
        outputs = np.asarray(outputs, np.float64).reshape(-1, self.horizon)
        return outputs * self.scale[0] + (last if self.relative else self.level[0])


def _slid(table: np.ndarray, length: int) -> np.ndarray:
    """Return all runs of so many rows, (runs, length, columns), as a view."""
    if len(table) < length:
        return np.empty((0, length, table.shape[1]))
    return np.lib.stride_tricks.sliding_window_view(table, length, axis=0).transpose(0, 2, 1)


def held_out(rows: int, share: float, lags: int, horizon: int) -> tuple[slice, slice, int]:
    """Cut windows in two: no row that the later ones are to tell is a target of the earlier ones.

    Returns
    -------
    earlier, later : slice
        Of the windows.
    cut : int
        The first row that the later ones are to tell.

    Raises
    ------
    ValueError
        If either side is empty, though `share` is above zero.
    """
    cut = rows - (max(1, round(share * rows)) if share else 0)
    earlier = cut - lags - horizon + 1
    later = rows - lags - horizon + 1 - (cut - lags)
    if earlier < 1 or (share and later < 1):
        raise ValueError(
            f"{rows} rows are too few for windows of {lags} rows that tell {horizon}"
            + (f", {rows - cut} rows of which are held out." if share else ".")
        )
    return slice(0, earlier), slice(cut - lags, None) if share else slice(0, 0), cut


def conformal_widths(residuals: np.ndarray, coverage: Any) -> np.ndarray:
    """Return half the width of each step's interval, by split conformal prediction.

    The k-th smallest of n absolute residuals, k = ceil((n + 1) coverage): an interval of that
    half-width holds the next value with at least that probability, where residuals are
    exchangeable (Vovk, Gammerman and Shafer, Algorithmic Learning in a Random World, 2005).

    Parameters
    ----------
    residuals : numpy.ndarray, (n, horizon)
        Of data that the network was not trained on.
    coverage : float

    Raises
    ------
    ValueError
        If `coverage` is not between 0 and 1, or there are too few residuals for it.

    Examples
    --------
    >>> conformal_widths(np.arange(-10.0, 10.0)[:, None], 0.5)
    array([5.])
    """
    number = isinstance(coverage, Real) and not isinstance(coverage, bool)
    if not number or not 0.0 < coverage < 1.0:
        raise ValueError(f"coverage must be between 0 and 1, got {coverage!r}.")
    count = len(residuals)
    place = math.ceil((count + 1) * coverage - 1e-9)
    if place > count:
        least = math.ceil(coverage / (1.0 - coverage) - 1e-9)
        raise ValueError(
            f"coverage={coverage} needs at least {least} windows that were held out, got {count}."
        )
    return np.sort(np.abs(residuals), axis=0)[place - 1]


def scores(forecasts: np.ndarray, actual: np.ndarray, last: np.ndarray) -> dict[str, Any]:
    """Return mean absolute and root mean square error, beside those of the last value.

    Each also by step, under ``by_step``.
    """
    found: dict[str, Any] = {"windows": len(actual)}
    steps: dict[str, Any] = {}
    for name, values in (("", forecasts), ("naive_", np.broadcast_to(last, actual.shape))):
        error = values - actual
        found[f"{name}mae"] = float(np.abs(error).mean())
        found[f"{name}rmse"] = float(np.sqrt(np.square(error).mean()))
        steps[f"{name}mae"] = np.abs(error).mean(axis=0).tolist()
    return {**found, "by_step": steps}

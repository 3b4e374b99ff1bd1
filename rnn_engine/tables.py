"""Series in tables of pandas, polars and xarray or in arrays, and results in the same kind."""

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np

from rnn_engine.checks import as_numbers


@dataclass(frozen=True)
class Table:
    """Some columns of a table, the target first.

    Attributes
    ----------
    values : numpy.ndarray, (rows, columns), float64
    name : str or int or None
        Of the target.
    kind : {"pandas", "polars", "numpy"}
    index : pandas.Index or None
    """

    values: np.ndarray
    name: Any
    kind: str
    index: Any = None

    def tail(self, rows: int) -> "Table":
        """Return the last rows, with the whole index, which tells how it goes on."""
        return Table(self.values[-rows:].copy(), self.name, self.kind, self.index)

    def ahead(self, columns: dict[str, np.ndarray]) -> Any:
        """Return columns for the rows behind this table: a series if it is one column."""
        first = next(iter(columns.values()))
        if self.kind == "pandas":
            import pandas

            index = _next_index(self.index, len(first))
            if len(columns) == 1:
                return pandas.Series(first, index=index, name=self.name)
            return pandas.DataFrame(columns, index=index)
        if self.kind == "polars":
            import polars

            name = "forecast" if self.name is None else str(self.name)
            return polars.Series(name, first) if len(columns) == 1 else polars.DataFrame(columns)
        return first if len(columns) == 1 else np.column_stack(list(columns.values()))

    def at_origins(self, forecasts: np.ndarray, first: int) -> Any:
        """Return rows of forecasts, whose origins are the rows of this table from `first` on."""
        steps = range(1, forecasts.shape[1] + 1)
        if self.kind == "pandas":
            import pandas

            index = self.index[first : first + len(forecasts)]
            return pandas.DataFrame(forecasts, index=index, columns=list(steps))
        if self.kind == "polars":
            import polars

            return polars.DataFrame({str(k): forecasts[:, k - 1] for k in steps})
        return forecasts


def read_table(data: Any, target: Any, others: list[Any], argument: str = "data") -> Table:
    """Return the target and other columns of a table.

    Raises
    ------
    ValueError
        If a column is not there, is named twice or holds what is no finite number, or the
        rows are not in the order of their index.
    """
    module = type(data).__module__.partition(".")[0]
    if module == "xarray":  # one-dimensional: with its coordinate as index
        data, module = data.to_pandas(), "pandas"
    kind = module if module in ("pandas", "polars") else "numpy"
    if kind == "numpy":
        data = as_numbers(data, argument)
        if data.ndim not in (1, 2):
            raise ValueError(f"{argument} must have one or two axes, got {data.ndim}.")
    index = data.index if kind == "pandas" else None
    if index is not None and not index.is_monotonic_increasing:
        raise ValueError(f"The rows of {argument} {_out_of_order(index)}")
    if data.ndim == 1 if kind != "polars" else not hasattr(data, "columns"):
        return _of_series(data, target, others, argument, kind, index)
    names = list(range(data.shape[1])) if kind == "numpy" else list(data.columns)
    if target is None:
        if len(names) != 1:
            raise ValueError(f"target must name one of the columns of {argument}: {names}.")
        target = names[0]
    wanted = [target, *others]
    for name in wanted:
        if name not in names:
            raise ValueError(f"{argument} has no column {name!r}; it has {names}.")
        if wanted.count(name) > 1 or names.count(name) > 1:
            raise ValueError(f"The column {name!r} of {argument} is there, or asked for, twice.")
    columns = [data[:, name] if kind == "numpy" else data[name] for name in wanted]
    pairs = zip(columns, wanted, strict=True)
    values = [_finite(column, f"column {name!r} of {argument}") for column, name in pairs]
    return Table(np.column_stack(values), target, kind, index)


def _out_of_order(index: Any) -> str:
    """Say where an index goes back, and why it may seem to."""
    name = "index" if index.name is None else f"index {index.name!r}"
    text = f"must be in the order of their {name}"
    for row in range(1, len(index)):
        if not _follows(index[row - 1], index[row]):
            text += f", but row {row} is of {index[row]}, the one before of {index[row - 1]}"
            break
    words = isinstance(index[0], str)
    return f"{text}.{' It is text; dates are read as 2024-01-31.' if words else ''}"


def _follows(before: Any, after: Any) -> bool:
    try:
        return bool(before <= after)  # False of a missing date
    except TypeError:
        return False


def gap(index: Any) -> tuple[Any, Any] | None:
    """Return the two dates that are furthest apart, where dates are not evenly spaced."""
    import pandas

    if not isinstance(index, pandas.DatetimeIndex) or len(index) < 3:
        return None
    if index.freq is not None or _frequency(index) is not None:
        return None
    widest = int(np.argmax(np.diff(index.to_numpy())))
    return index[widest], index[widest + 1]


def _of_series(
    data: Any, target: Any, others: list[Any], argument: str, kind: str, index: Any
) -> Table:
    name = getattr(data, "name", None) if kind != "numpy" else None
    if others or (target is not None and target not in (name, 0)):
        asked = others or [target]
        raise ValueError(f"{argument} is one series and has no columns {asked}.")
    return Table(_finite(data, argument)[:, None], name, kind, index)


def _finite(column: Any, what: str) -> np.ndarray:
    values = as_numbers(column, what).astype(np.float64)
    bad = np.flatnonzero(~np.isfinite(values))
    if len(bad):
        raise ValueError(f"{what} must be finite, got {values[bad[0]]} in row {bad[0]}.")
    return values


def _next_index(index: Any, count: int) -> Any:
    """Return the index of the rows behind an index, if that is known."""
    import pandas

    unknown = pandas.RangeIndex(1, count + 1, name="step")
    if isinstance(index, pandas.PeriodIndex):
        return pandas.period_range(index[-1] + 1, periods=count, name=index.name)
    if isinstance(index, pandas.DatetimeIndex):
        frequency = index.freq or _frequency(index)
        if frequency is None:
            return unknown
        later = pandas.date_range(index[-1], periods=count + 1, freq=frequency, name=index.name)
        return later[1:]
    if not pandas.api.types.is_numeric_dtype(index.dtype) or len(index) < 2:
        return unknown
    step = index[-1] - index[-2]
    if not np.allclose(np.diff(index.to_numpy()), step):
        return unknown
    values = index[-1] + step * np.arange(1, count + 1)
    return pandas.Index(values, name=index.name)


def _frequency(index: Any) -> Any:
    """Return the frequency that dates show, None if they show none."""
    import pandas

    if len(index) < 3:
        return None
    with warnings.catch_warnings():  # that later versions return another type, which does as well
        warnings.simplefilter("ignore", FutureWarning)
        warnings.simplefilter("ignore", DeprecationWarning)
        return pandas.infer_freq(index)

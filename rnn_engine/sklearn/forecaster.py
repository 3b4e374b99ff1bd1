"""`Forecaster`: the next values of a series, with intervals."""

from numbers import Real
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, clone
from sklearn.utils.validation import check_is_fitted

from rnn_engine.forecasting import Windows, conformal_widths, held_out, scores
from rnn_engine.sklearn.base import require_counts
from rnn_engine.sklearn.regressors import GRURegressor
from rnn_engine.tables import Table, read_table


class Forecaster(BaseEstimator):
    """Forecast the next `horizon` values of a series from its last `lags`.

    A regressor tells all steps ahead at once. Columns are scaled by mean and standard deviation
    of what it is trained on.

    Intervals are conformal (split conformal prediction): the last `calibration` share of the rows
    is held out of the training, and an interval is the forecast plus and minus a quantile of the
    absolute residuals there, step by step. They hold their coverage where later residuals are
    like those; windows overlap and series change, so look at `evaluate` on later data. The
    network is not trained again on the held-out rows, which would void that; forecasts start
    from them all the same.

    Parameters
    ----------
    regressor : estimator, optional
        What fits (windows, lags, features) to (windows, horizon); ``GRURegressor()`` if None.
        It is cloned.
    lags, horizon : int
    target : str or int, optional
        The column to forecast; may be left out where there is one column only.
    exog : list of str or int
        Other columns that the forecast sees, up to the last row.
    known : list of str or int
        Columns whose future is known too, such as those of a calendar or of a plan; `lags` must
        not be less than `horizon` then.
    calibration : float
        Share of the rows, the last ones, that intervals come from; 0 for none.
    relative : bool
        Forecast the difference from the last value, as suits a series without a fixed level.

    Attributes
    ----------
    regressor_ : estimator
    residuals_ : numpy.ndarray, (windows, horizon)
        Of the held-out rows.
    windows_ : Windows
        Scales and sizes.

    Examples
    --------
    >>> import numpy as np
    >>> from rnn_engine.sklearn import Forecaster, GRURegressor
    >>> series = np.sin(np.arange(300) / 5)
    >>> model = Forecaster(GRURegressor(8, epochs=30, random_state=0), lags=20, horizon=3)
    >>> bool(np.abs(model.fit(series).predict() - np.sin(np.arange(300, 303) / 5)).max() < 0.1)
    True
    >>> model.predict(coverage=0.9).shape  # forecast, lower, upper
    (3, 3)
    """

    def __init__(
        self,
        regressor: Any = None,
        *,
        lags: int = 24,
        horizon: int = 1,
        target: Any = None,
        exog: Any = (),
        known: Any = (),
        calibration: float = 0.2,
        relative: bool = True,
    ) -> None:
        self.regressor = regressor
        self.lags = lags
        self.horizon = horizon
        self.target = target
        self.exog = exog
        self.known = known
        self.calibration = calibration
        self.relative = relative

    def fit(self, data: Any, y: Any = None) -> "Forecaster":
        """Train on a series.

        Parameters
        ----------
        data : Series, DataFrame (pandas or polars), DataArray or array
            Its rows are in the order of time, evenly spaced; an array is (rows,) or (rows,
            columns).
        y : None
            For scikit-learn: the target is a column of `data`.

        Returns
        -------
        self

        Raises
        ------
        ValueError, TypeError
            If an argument is out of range, a column is not there or no finite numbers, or there
            are too few rows.
        """
        if y is not None:
            raise ValueError("y must be None: the target is a column of data.")
        self._check_arguments()
        table = self._read(data)
        rows = table.values
        earlier, later, cut = held_out(len(rows), self.calibration, self.lags, self.horizon)
        windows = Windows.of(
            rows[:cut], self.lags, self.horizon, relative=self.relative, known=len(self.known)
        )
        x, y, actual = windows.inputs(rows), windows.targets(rows), windows.actual(rows)
        regressor = GRURegressor() if self.regressor is None else clone(self.regressor)
        regressor.fit(x[earlier], y[earlier][:, 0] if self.horizon == 1 else y[earlier])
        self.windows_, self.regressor_ = windows, regressor
        self.residuals_ = np.empty((0, self.horizon))
        if self.calibration:
            last = windows.last(rows)[: len(y)][later]
            held = windows.forecasts(regressor.predict(x[: len(y)][later]), last)
            self.residuals_ = actual[later] - held
        self.table_ = table.tail(self.lags + self.horizon)
        return self

    def predict(self, data: Any = None, *, future: Any = None, coverage: Any = None) -> Any:
        """Return the forecast of the rows that follow `data`.

        Parameters
        ----------
        data : as that of `fit`, optional
            At least `lags` rows; those of `fit` if None.
        future : table of `horizon` rows, optional
            The `known` columns of the rows to forecast.
        coverage : float, optional
            Of the intervals, such as 0.9.

        Returns
        -------
        Series, or DataFrame with columns forecast, lower, upper
            Of the library of `data`, an array (horizon,) or (horizon, 3) where that is one. The
            index of pandas goes on: by its frequency, or its step; where it has neither, such as
            dates with holidays left out, it counts from 1.

        Raises
        ------
        sklearn.exceptions.NotFittedError
            If `fit` has not been called.
        ValueError
            If there are too few rows, or `future` or `coverage` do not fit.
        """
        check_is_fitted(self, "regressor_")
        table = self.table_ if data is None else self._read(data)
        rows = self._with_future(table.values, future)
        widths = None if coverage is None else conformal_widths(self.residuals_, coverage)
        extra = self.horizon if self.known else 0
        x = self.windows_.inputs(rows[-self.lags - extra :])
        last = rows[-1 - extra, 0]
        forecast = self.windows_.forecasts(self.regressor_.predict(x), last)[0]
        columns = {"forecast": forecast}
        if widths is not None:
            columns.update(lower=forecast - widths, upper=forecast + widths)
        return table.ahead(columns)

    def backtest(self, data: Any) -> Any:
        """Return the forecasts from every row on that has enough rows before and behind it.

        Returns
        -------
        DataFrame or array, (windows, horizon)
            pandas' index is that of the last row which each forecast has seen, the columns are
            the steps ahead, from 1.
        """
        check_is_fitted(self, "regressor_")
        table = self._read(data)
        forecasts, _, _ = self._backtest(table)
        return table.at_origins(forecasts, self.lags - 1)

    def evaluate(self, data: Any, coverage: Any = None) -> dict[str, Any]:
        """Return the errors of `backtest`, beside those of repeating the last value.

        Returns
        -------
        dict
            ``mae``, ``rmse``, ``naive_mae``, ``naive_rmse`` and, for a `coverage`, the share of
            the values that lay in their intervals; ``by_step`` holds lists.
        """
        check_is_fitted(self, "regressor_")
        forecasts, actual, last = self._backtest(self._read(data))
        found = scores(forecasts, actual, last)
        if coverage is not None:
            inside = np.abs(actual - forecasts) <= conformal_widths(self.residuals_, coverage)
            found["coverage"] = float(inside.mean())
        return found

    def score(self, data: Any, y: Any = None) -> float:
        """Return the mean absolute error of `backtest`, negative: higher is better."""
        return -float(self.evaluate(data)["mae"])

    # --- inner ----------------------------------------------------------------------

    def _backtest(self, table: Table) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        rows = table.values
        count = self.windows_.pairs(len(rows))
        if not count:
            raise ValueError(f"data must have {self.lags + self.horizon} rows, got {len(rows)}.")
        x, last = self.windows_.inputs(rows)[:count], self.windows_.last(rows)[:count]
        forecasts = self.windows_.forecasts(self.regressor_.predict(x), last)
        return forecasts, self.windows_.actual(rows), last

    def _read(self, data: Any) -> Table:
        table = read_table(data, self.target, list(self.exog) + list(self.known))
        if len(table.values) < self.lags:
            raise ValueError(f"data must have at least {self.lags} rows, got {len(table.values)}.")
        return table

    def _with_future(self, rows: np.ndarray, future: Any) -> np.ndarray:
        """Return the rows with those to forecast behind them, as far as they are known."""
        known = list(self.known)
        if not known:
            if future is not None:
                raise ValueError("future is for known columns, and there are none.")
            return rows
        if future is None:
            raise ValueError(f"future must hold the {self.horizon} next rows of {known}.")
        values = read_table(future, known[0], known[1:], "future").values
        if len(values) != self.horizon:
            raise ValueError(f"future must have {self.horizon} rows, got {len(values)}.")
        behind = np.zeros((self.horizon, rows.shape[1]))
        behind[:, -len(known) :] = values
        return np.concatenate([rows, behind])

    def _check_arguments(self) -> None:
        require_counts(self, "lags", "horizon")
        for name in ("exog", "known"):
            if not isinstance(value := getattr(self, name), list | tuple):
                raise ValueError(f"{name} must be a list of columns, got {value!r}.")
        share: Any = self.calibration
        if not isinstance(share, Real) or not 0.0 <= float(share) < 1.0:
            raise ValueError(f"calibration must be from 0 to below 1, got {self.calibration!r}.")
        if self.known and self.lags < self.horizon:
            raise ValueError(
                f"lags must not be less than horizon where columns are known, got "
                f"{self.lags} and {self.horizon}."
            )

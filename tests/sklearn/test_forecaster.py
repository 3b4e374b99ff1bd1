"""`Forecaster`: windows without leaks, intervals, and tables that keep their index."""

from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
import xarray as xr
from sklearn.base import BaseEstimator, RegressorMixin, clone
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import GridSearchCV, TimeSeriesSplit

from rnn_engine.forecasting import Windows, conformal_widths, held_out, scores
from rnn_engine.sklearn import Forecaster, GRURegressor

RNG = np.random.default_rng(11)
DAYS = pd.date_range("2021-01-01", periods=120, freq="D", name="day")
FRAME = pd.DataFrame(
    {
        "y": np.sin(np.arange(120) / 4) + 5 + 0.05 * RNG.normal(size=120),
        "w": RNG.normal(size=120),
        "holiday": (np.arange(120) % 7 == 0).astype(float),
    },
    index=DAYS,
)
SERIES = FRAME["y"].to_numpy()


class Linear(RegressorMixin, BaseEstimator):
    """Least squares on the flat window: its forecasts can be computed by hand."""

    def fit(self, X: Any, y: Any) -> Any:
        self.seen_ = X, y
        self.model_ = LinearRegression().fit(X.reshape(len(X), -1).astype(float), y)
        return self

    def predict(self, X: Any) -> Any:
        return self.model_.predict(X.reshape(len(X), -1).astype(float))


def linear(**options: Any) -> Forecaster:
    return Forecaster(Linear(), **{"lags": 6, "horizon": 3, **options})


def test_windows_by_hand() -> None:
    table = np.column_stack([np.arange(10.0), np.arange(10.0) ** 2, 100 + np.arange(10.0)])
    windows = Windows(3, 2, [1.0, 0.0, 100.0], [2.0, 1.0, 1.0], relative=True, known=1)
    x, y = windows.inputs(table), windows.targets(table)
    assert x.shape == (6, 3, windows.features) == (6, 3, 4)
    assert y.shape == (6, 2) == (windows.pairs(10), 2)
    for i in range(6):
        last = (table[i + 2, 0] - 1) / 2
        assert x[i, :, 0].tolist() == [(table[i + t, 0] - 1) / 2 - last for t in range(3)]
        assert x[i, :, 1].tolist() == [table[i + t, 1] for t in range(3)]
        assert x[i, :, 2].tolist() == [i + t for t in range(3)]
        assert x[i, :, 3].tolist() == [i + t + 2 for t in range(3)]
        assert y[i].tolist() == [(table[i + 3 + t, 0] - 1) / 2 - last for t in range(2)]
    assert np.array_equal(windows.forecasts(y, windows.last(table)[:6]), windows.actual(table))
    level = Windows(3, 2, [1.0], [2.0], relative=False)
    assert level.inputs(table[:, :1])[4, :, 0].tolist() == [1.5, 2.0, 2.5]
    assert np.array_equal(
        level.forecasts(level.targets(table[:, :1]), level.last(table)), level.actual(table[:, :1])
    )


@pytest.mark.parametrize(
    ("rows", "share", "lags", "horizon"),
    [(50, 0.2, 6, 3), (30, 0.1, 2, 7), (30, 0.1, 2, 3), (30, 0.1, 2, 4)],
)
def test_what_is_held_out_is_not_trained_on(rows: int, share: float, lags: int, horizon: int):
    if round(rows * share) < horizon:
        with pytest.raises(ValueError, match="rows of which are held out"):
            held_out(rows, share, lags, horizon)
        return
    earlier, later, cut = held_out(rows, share, lags, horizon)
    windows = Windows(lags, horizon, [0.0], [1.0], relative=False)
    told = windows.targets(np.arange(float(rows))[:, None])
    assert told[earlier].max() == cut - 1
    assert told[later].min() == cut
    assert told[later].max() == rows - 1
    assert cut == rows - round(share * rows)


def test_forecast_and_interval_by_hand() -> None:
    model = linear(calibration=0.25, relative=False).fit(SERIES)
    x, y = model.regressor_.seen_
    cut = 90
    assert len(x) == cut - 6 - 3 + 1
    mean, std = SERIES[:cut].mean(), SERIES[:cut].std()
    np.testing.assert_allclose(x[5, :, 0], (SERIES[5:11] - mean) / std, rtol=1e-6)
    np.testing.assert_allclose(y[5], (SERIES[11:14] - mean) / std, rtol=1e-6)

    def forecast(origin: int) -> np.ndarray:
        window = ((SERIES[origin - 6 : origin] - mean) / std).astype("float32")
        return model.regressor_.predict(window[None, :, None])[0] * std + mean

    residuals = np.array([SERIES[i : i + 3] - forecast(i) for i in range(cut, 118)])
    np.testing.assert_allclose(model.residuals_, residuals, atol=1e-12)
    place = int(np.ceil(29 * 0.8))
    widths = np.sort(abs(residuals), axis=0)[place - 1]
    wanted = forecast(120)
    table = model.predict(coverage=0.8)
    np.testing.assert_allclose(table, np.column_stack([wanted, wanted - widths, wanted + widths]))
    np.testing.assert_allclose(model.predict(), wanted)
    np.testing.assert_allclose(model.predict(SERIES[:50]), forecast(50))


def test_conformal_intervals_hold_their_coverage() -> None:
    rng = np.random.default_rng(1)
    inside = []
    for _ in range(400):
        residuals = rng.standard_t(3, size=(20, 1))
        inside.append(abs(rng.standard_t(3)) <= conformal_widths(residuals[:19], 0.8)[0])
    assert abs(np.mean(inside) - 0.8) < 0.05
    with pytest.raises(ValueError, match="at least 19 windows that were held out, got 18"):
        conformal_widths(np.ones((18, 1)), 0.95)
    assert conformal_widths(np.ones((19, 1)), 0.95) == 1
    for bad in (0, 1.0, 90, True):
        with pytest.raises(ValueError, match="coverage must be between 0 and 1"):
            conformal_widths(np.ones((5, 1)), bad)


def test_scores_by_hand() -> None:
    found = scores(np.array([[1.0, 2.0]]), np.array([[2.0, 4.0]]), np.array([[2.0]]))
    assert (found["mae"], found["naive_mae"]) == (1.5, 1.0)
    assert found["rmse"] == np.sqrt(2.5)
    assert found["by_step"] == {"mae": [1.0, 2.0], "naive_mae": [0.0, 2.0]}


def test_learns_a_season_and_beats_the_last_value() -> None:
    model = Forecaster(GRURegressor(8, epochs=80, random_state=0), lags=12, horizon=4, target="y")
    model.fit(FRAME[:100])
    found = model.evaluate(FRAME, coverage=0.8)
    assert found["mae"] < 0.5 * found["naive_mae"]
    assert 0.6 < found["coverage"] <= 1
    assert model.score(FRAME) == -found["mae"]
    back = model.backtest(FRAME)
    assert back.index.equals(DAYS[11 : 120 - 4])
    assert back.columns.tolist() == [1, 2, 3, 4]
    np.testing.assert_allclose(back.iloc[30], model.predict(FRAME[:42]), atol=1e-6)


def test_known_columns_tell_of_the_days_to_come() -> None:
    plan = FRAME.assign(y=FRAME["holiday"].to_numpy() * 3 + 0.01 * FRAME["w"])
    options: dict[str, Any] = {"target": "y", "relative": False}
    knows = linear(known=["holiday"], **options).fit(plan[:100])
    ahead = plan["holiday"][100:103]
    forecast = knows.predict(future=pd.DataFrame({"holiday": ahead}))
    np.testing.assert_allclose(forecast, ahead * 3, atol=0.1)
    other = knows.predict(future=pd.DataFrame({"holiday": 1 - ahead}))
    assert not np.allclose(forecast, other, atol=1.0)
    with pytest.raises(ValueError, match="future must hold the 3 next rows"):
        knows.predict()
    with pytest.raises(ValueError, match="future must have 3 rows, got 2"):
        knows.predict(future=ahead[:2])
    with pytest.raises(ValueError, match="there are none"):
        linear(**options).fit(plan).predict(future=ahead)
    with pytest.raises(ValueError, match="lags must not be less than horizon"):
        linear(known=["holiday"], lags=2, **options).fit(plan)


def test_exogenous_columns_are_seen() -> None:
    follows = FRAME.assign(y=FRAME["w"].shift(1, fill_value=0.0))
    options: dict[str, Any] = {"target": "y", "horizon": 1, "calibration": 0.0}
    sees = linear(exog=["w"], **options).fit(follows[:100])
    assert sees.evaluate(follows)["mae"] < 1e-4
    assert linear(**options).fit(follows[:100]).evaluate(follows)["mae"] > 0.1
    with pytest.raises(ValueError, match="needs at least 1 windows that were held out, got 0"):
        sees.predict(coverage=0.5)


INDEXES = [
    (DAYS, pd.date_range("2021-05-01", periods=3, freq="D", name="day")),
    (pd.DatetimeIndex(DAYS.to_numpy()), pd.date_range("2021-05-01", periods=3, freq="D")),
    (pd.bdate_range("2021-01-01", periods=120), pd.bdate_range("2021-06-18", periods=3)),
    (pd.period_range("2000-01", periods=120, freq="M"),
     pd.period_range("2010-01", periods=3, freq="M")),
    (pd.RangeIndex(0, 240, 2, name="n"), pd.Index([240, 242, 244], name="n")),
    (pd.Index(np.arange(120) / 4), pd.Index([30.0, 30.25, 30.5])),
    (pd.Index(np.arange(120) ** 2), pd.RangeIndex(1, 4, name="step")),
    (DAYS.delete(50).append(pd.DatetimeIndex(["2021-06-01"])), pd.RangeIndex(1, 4, name="step")),
    (pd.Index([f"{i:03}" for i in range(120)]), pd.RangeIndex(1, 4, name="step")),
]  # fmt: skip


@pytest.mark.parametrize(("index", "wanted"), INDEXES, ids=range(len(INDEXES)))
def test_the_index_goes_on(index: Any, wanted: Any) -> None:
    model = linear().fit(pd.Series(SERIES, index=index, name="y"))
    forecast = model.predict()
    assert forecast.name == "y"
    pd.testing.assert_index_equal(forecast.index, wanted, exact="equiv")
    table = model.predict(coverage=0.5)
    assert table.columns.tolist() == ["forecast", "lower", "upper"]
    pd.testing.assert_index_equal(table.index, wanted, exact="equiv")


def test_other_tables() -> None:
    wanted = linear().fit(SERIES).predict()
    columns: dict[str, Any] = {"target": "y", "exog": ["w"]}
    frame = linear(**columns).fit(FRAME).predict(coverage=0.5).to_numpy()
    polars = pl.DataFrame(FRAME.to_dict("list"))
    found = linear(**columns).fit(polars).predict(coverage=0.5)
    assert found.columns == ["forecast", "lower", "upper"]
    assert np.array_equal(found.to_numpy(), frame)
    assert linear(**columns).fit(polars).backtest(polars).shape == (112, 3)
    assert np.array_equal(linear().fit(polars["y"]).predict(), wanted)
    array = linear(target=0, exog=[1]).fit(FRAME.to_numpy()).predict(coverage=0.5)
    assert np.array_equal(array, frame)
    labelled = linear().fit(xr.DataArray(FRAME["y"])).predict()
    assert np.array_equal(labelled, wanted)
    assert labelled.index[0] == pd.Timestamp("2021-05-01")
    assert np.array_equal(linear().fit(SERIES[:, None]).predict(), wanted)


@pytest.mark.parametrize(
    ("options", "data", "message"),
    [
        ({}, FRAME, "target must name one of the columns"),
        ({"target": "z"}, FRAME, "no column 'z'"),
        ({"target": "y", "exog": ["y"]}, FRAME, "twice"),
        ({"target": "y", "exog": "w"}, FRAME, "exog must be a list"),
        ({"exog": ["w"]}, FRAME["y"], "has no columns"),
        ({"lags": 0}, SERIES, "lags must be a positive integer"),
        ({"horizon": 2.0}, SERIES, "horizon must be a positive integer"),
        ({"calibration": 1.0}, SERIES, "calibration must be"),
        ({}, SERIES[:5], "at least 6 rows, got 5"),
        ({}, SERIES[:10], "10 rows are too few"),
        ({}, np.where(np.arange(120) == 7, np.nan, SERIES), "got nan in row 7"),
        ({}, FRAME["y"][::-1], "in the order of their index"),
        ({"target": "y"}, FRAME.assign(y="a"), "column 'y' of data must hold real numbers"),
        ({}, np.ones((3, 3, 3)), "one or two axes"),
    ],
)
def test_what_cannot_be_forecast(options: Any, data: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        linear(**options).fit(data)


def test_clone_and_grid_search() -> None:
    model = linear(target="y", exog=["w"])
    assert clone(model).get_params(deep=False)["exog"] == ["w"]
    search = GridSearchCV(model, {"lags": [2, 8]}, cv=TimeSeriesSplit(3)).fit(FRAME)
    assert search.best_params_ == {"lags": 8}


@pytest.mark.parametrize("wrong", ["a", None, [0.5]])
def test_shares_that_are_no_numbers_are_named(wrong: Any) -> None:
    from rnn_engine.forecasting import conformal_widths

    with pytest.raises(ValueError, match="coverage must be"):
        conformal_widths(np.ones((9, 1)), wrong)
    with pytest.raises(ValueError, match="calibration must be"):
        Forecaster(calibration=wrong).fit(np.arange(99.0))

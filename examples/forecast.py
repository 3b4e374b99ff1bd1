"""Forecast a price and the temperature of the sea several steps ahead, with quantiles.

Both series are real (see data/SOURCE.md): the daily price of oil (WTI) from 2007 to 2018, five
trading days ahead from the last twenty, and the hourly temperature of the Gulf of Maine, 2016
to 2017, twelve hours ahead from the last forty-eight. The end of each is forecast in three
folds, each by models that were trained on everything before it (walk-forward). The network
reads changes (of the logarithm, for the price) and gives the quantiles 0.1, 0.5 and 0.9 of the
change from now to each step ahead; it is trained on their pinball loss, which also scores it.

The simple methods give one value; the quantiles of their errors in training make the band:

- random walk: it stays as it is; seasonal naive: as a day (five trading days) before;
- linear: least squares from the same changes, straight to each step ahead;
- AR: statsmodels' autoregression of the same order, step after step; ETS: its exponential
  smoothing, with a season of a day for the sea;
- "recent band": the band is as wide as the recent changes are large (weights 0.94^k), which is
  what banks do (RiskMetrics), as the size of changes can be foreseen where their sign cannot.

Whether the LSTM differs from the random walk and from the best of them is asked with the test
of Diebold and Mariano: of the medians by their absolute error, of the bands by the pinball loss.

Diebold, F. X. and Mariano, R. S. 1995. Comparing predictive accuracy. Journal of Business and
Economic Statistics 13 (3), 253-263.
"""

import argparse
import csv
from itertools import pairwise
from pathlib import Path
from statistics import NormalDist
from typing import NamedTuple

import numpy as np
from statsmodels.tsa.ar_model import AutoReg
from statsmodels.tsa.exponential_smoothing.ets import ETSModel

import rnn_engine
from rnn_engine import layers

DATA = Path(__file__).parent / "data"
LEVELS = np.array([0.1, 0.5, 0.9], dtype=np.float32)
FOLDS = 3
CELLS = {"LSTM": layers.LSTM, "GRU": layers.GRU, "SimpleRNN": layers.SimpleRNN}


class Series(NamedTuple):
    """A series, how far back and ahead to look, and which part of it to forecast."""

    name: str
    values: np.ndarray
    lags: int
    ahead: int
    season: int
    held_out: int  # values at the end
    stride: int  # a forecast is made every so many values


def load() -> list[Series]:
    """Return the two series: 100 log dollars, and degrees Celsius."""
    with (DATA / "oil_price_daily.csv").open(newline="") as file:
        oil = np.array([float(row["dollars"]) for row in csv.DictReader(file)])
    sea = np.loadtxt(DATA / "sea_temperature_hourly.csv", delimiter=",", skiprows=1,
                     usecols=range(1, 25)).ravel()  # fmt: skip
    return [
        Series("oil price (%)", 100 * np.log(oil), 20, 5, 5, 750, 1),
        Series("sea temperature (°C)", sea, 48, 12, 24, 6000, 3),
    ]


def windows(series: Series, origins: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return changes up to each origin (N, lags), and from it to each step ahead (N, ahead)."""
    back = np.diff(series.values)[origins[:, None] + np.arange(-series.lags, 0)]
    ahead = series.values[origins[:, None] + np.arange(1, series.ahead + 1)]
    return back, ahead - series.values[origins][:, None]


def pinball(y_true: np.ndarray, y_pred: np.ndarray) -> np.ndarray:
    """Return the pinball loss of quantiles (..., 3) for the values (..., 1)."""
    error = y_true - y_pred
    return np.mean(np.maximum(LEVELS * error, (LEVELS - 1) * error), axis=-1)


def network(
    cell: str, series: Series, x: np.ndarray, y: np.ndarray, x_test: np.ndarray, epochs: int
) -> np.ndarray:
    """Train on x and y, and return the quantiles for x_test, (N, ahead, 3)."""
    model = rnn_engine.Sequential(
        [
            CELLS[cell](24, input_shape=(series.lags, 1)),
            layers.Dense(series.ahead * 3),
            layers.Reshape((series.ahead, 3)),
        ]
    )
    model.compile(optimizer=rnn_engine.optimizers.Adam(learning_rate=0.003), loss=pinball)
    scale = x.std()
    model.fit(x[..., None] / scale, y[..., None] / scale, epochs=epochs, batch_size=32, verbose=0)
    return scale * np.asarray(model.predict(x_test[..., None] / scale, verbose=0))


def ets(series: Series, end: int) -> np.ndarray:
    """Return the changes that ETS, fitted up to `end`, expects from each value, (N, ahead)."""
    day = series.season == 24
    seasonal = {"seasonal": "add", "seasonal_periods": 24} if day else {}
    parameters = ETSModel(series.values[:end], **seasonal).fit(disp=0).params
    states = ETSModel(series.values, **seasonal).smooth(parameters)
    forecast = np.repeat(states.level[:, None], series.ahead, axis=1)
    if day:  # the season of the same hour a day before; the first day has none yet
        hours = np.arange(len(forecast))[:, None] + np.arange(1, series.ahead + 1) - 24
        forecast += states.season[np.maximum(hours, 0)]
    return forecast - series.values[:, None]


def simple_methods(series: Series, end: int, origins: np.ndarray) -> dict[str, np.ndarray]:
    """Return the change that each simple method, fitted up to `end`, expects at the origins."""
    x, y = windows(series, np.arange(series.lags, end - series.ahead))
    x_new, _ = windows(series, origins)
    steps = np.arange(1, series.ahead + 1)
    before = origins[:, None] + steps - series.season * -(-steps // series.season)

    def design(a: np.ndarray) -> np.ndarray:
        return np.column_stack([a, np.ones(len(a))])

    linear = design(x_new) @ np.linalg.lstsq(design(x), y, rcond=None)[0]
    constant, *weights = AutoReg(np.diff(series.values[:end]), series.lags).fit().params
    changes = x_new
    for _ in steps:
        following = constant + changes[:, : -series.lags - 1 : -1] @ weights
        changes = np.column_stack([changes, following])
    return {
        "random walk": np.zeros_like(linear),
        "seasonal naive": series.values[before] - series.values[origins][:, None],
        "linear, same lags": linear,
        "AR (statsmodels)": changes[:, series.lags :].cumsum(axis=1),
        "ETS (statsmodels)": ets(series, end)[origins],
    }


def recent(changes: np.ndarray) -> np.ndarray:
    """Return how large the last changes (N, lags) were, the latest counting most, (N,)."""
    weights = 0.94 ** np.arange(changes.shape[1])[::-1]
    return np.sqrt(changes**2 @ weights / weights.sum()) + 1e-3


def score(y: np.ndarray, quantiles: np.ndarray) -> np.ndarray:
    """Return the pinball loss of each forecast (N, ahead, 3), over all its steps, (N,)."""
    return np.asarray(pinball(y[..., None], quantiles)).mean(axis=1)


def diebold_mariano(loss: np.ndarray, other: np.ndarray, overlap: int) -> tuple[float, float]:
    """Return the statistic (below 0: the first is better) and its p-value.

    Forecasts that overlap have errors that go together: their covariances up to `overlap`
    forecasts apart join the variance, with the weights of Newey and West.
    """
    difference = loss - other
    centred, count = difference - difference.mean(), len(difference)
    variance = np.mean(centred**2) + 2 * sum(
        (1 - lag / (overlap + 1)) * np.sum(centred[lag:] * centred[:-lag]) / count
        for lag in range(1, overlap + 1)
    )
    statistic = float(difference.mean() / np.sqrt(variance / count))
    return statistic, 2 * NormalDist().cdf(-abs(statistic))


def walk_forward(
    series: Series, seeds: int, epochs: int
) -> tuple[np.ndarray, np.ndarray, dict[str, np.ndarray]]:
    """Return the origins, the true changes (N, ahead), and quantiles (seeds, N, ahead, 3)."""
    last = len(series.values) - series.ahead
    edges = np.linspace(last - series.held_out, last, FOLDS + 1).astype(int)
    found: dict[str, list] = {}
    all_origins, truths = [], []
    for end, until in pairwise(edges):
        learn = np.arange(series.lags, end - series.ahead)
        test = np.arange(end, until, series.stride)
        x, y = windows(series, learn)
        x_test, y_test = windows(series, test)
        all_origins.append(test)
        truths.append(y_test)
        for cell in CELLS:
            runs = []
            for seed in range(1, seeds + 1):
                rnn_engine.utils.set_random_seed(seed)
                runs.append(network(cell, series, x, y, x_test, epochs))
            found.setdefault(cell, []).append(np.array(runs))
        guesses = simple_methods(series, end, np.concatenate([learn[learn >= 24], test]))
        for name, guess in guesses.items():
            errors = windows(series, learn[learn >= 24])[1] - guess[: -len(test)]
            point = guess[-len(test) :, :, None]
            band = np.quantile(errors, LEVELS, axis=0).T  # (ahead, 3)
            found.setdefault(name, []).append((point + band)[None])
            if name.startswith(("random walk", "linear")):
                size, size_test = recent(x[learn >= 24]), recent(x_test)
                band = np.quantile(errors / size[:, None], LEVELS, axis=0).T
                name = f"{name.split(',')[0]}, recent band"
                found.setdefault(name, []).append((point + size_test[:, None, None] * band)[None])
    joined = {name: np.concatenate(parts, axis=1) for name, parts in found.items()}
    return np.concatenate(all_origins), np.concatenate(truths), joined


def report(series: Series, truth: np.ndarray, found: dict[str, np.ndarray]) -> None:
    """Print every method's error and calibration, and whether the LSTM wins."""
    losses = {name: np.array([score(truth, q) for q in runs]) for name, runs in found.items()}
    print(f"\n{series.name}, 1 to {series.ahead} steps ahead, {len(truth)} forecasts")
    print(f"{'':26}pinball loss   (least-most)    error of     truth below the")
    print(f"{'':57}the median   0.1   0.5   0.9")
    for name, loss in losses.items():
        mean = loss.mean(axis=1)
        spread = f"({mean.min():.4f}-{mean.max():.4f})" if len(mean) > 1 else ""
        error = np.abs(truth - found[name][..., 1]).mean()
        below = (truth[..., None] < found[name]).mean(axis=(0, 1, 2))
        print(f"  {name:<24} {mean.mean():9.4f}   {spread:<17} {error:8.4f}      "
              + "  ".join(f"{share:.2f}" for share in below))  # fmt: skip
    errors = {name: np.abs(truth - runs[..., 1]).mean(axis=2) for name, runs in found.items()}
    overlap = -(-series.ahead // series.stride) - 1
    for what, by_name in (("median", errors), ("quantiles", losses)):
        simple = {name: loss[0] for name, loss in by_name.items() if name not in CELLS}
        best = min(simple, key=lambda name: simple[name].mean())
        for name in dict.fromkeys(("random walk", best)):
            # The loss of the LSTM is the mean over its seeds.
            statistic, p = diebold_mariano(by_name["LSTM"].mean(axis=0), simple[name], overlap)
            if p > 0.05:
                verdict = f"{name} is not beaten"
            else:
                verdict = f"{'the LSTM' if statistic < 0 else name} is better"
            print(f"  {what}, LSTM against {name}: Diebold-Mariano {statistic:+.2f}, "
                  f"p = {p:.3f}: {verdict}")  # fmt: skip


def plot(path: Path, drawn: list[tuple]) -> None:
    """Draw what the LSTM expected for each series, and the calibration of all methods."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(2, 2, figsize=(12, 8), width_ratios=(2, 1), layout="constrained")
    for (left, right), (series, origins, truth, found) in zip(axes, drawn, strict=True):
        span = 14 * series.ahead
        first = origins[len(origins) // 2]
        left.plot(np.arange(span), series.values[first : first + span], "k.-", label="measured")
        for i in np.flatnonzero((origins >= first) & (origins < first + span - series.ahead)):
            if (origins[i] - first) % series.ahead == 0:
                steps = origins[i] - first + np.arange(series.ahead + 1)
                q = series.values[origins[i]] + np.pad(found["LSTM"][0, i], ((1, 0), (0, 0)))
                left.fill_between(steps, q[:, 0], q[:, 2], color="tab:red", alpha=0.25, lw=0)
                left.plot(steps, q[:, 1], color="tab:red", linewidth=1)
        left.plot([], [], color="tab:red", label="LSTM: median, and 0.1 to 0.9")
        left.set_title(f"{series.name}: {series.ahead} steps ahead")
        price = "%" in series.name
        left.set_ylabel("100 log(dollars)" if price else "°C")
        left.set_xlabel("trading days" if price else "hours")
        left.legend()
        right.plot([0, 1], [0, 1], color="0.8")
        for name in ("LSTM", "GRU", "SimpleRNN", "random walk", "random walk, recent band"):
            below = (truth[..., None] < found[name]).mean(axis=(0, 1, 2))
            right.plot(LEVELS, below, "o-", markersize=4, label=name)
        right.set_xlabel("quantile")
        right.set_ylabel("share of the truth below it")
        right.legend(fontsize=8)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def main() -> None:
    """Walk forward through both series with every method; print and draw how it went."""
    parser = argparse.ArgumentParser(description="Forecast a price and a temperature.")
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="a few seconds: less of everything")
    parser.add_argument("--out", type=Path, default=Path("out"), help="folder for the picture")
    options = parser.parse_args()
    every = load()
    if options.quick:
        options.epochs, options.seeds = 3, 1
        every = [s._replace(values=s.values[-n:], held_out=n // 3)
                 for s, n in zip(every, (900, 2400), strict=True)]  # fmt: skip
    drawn = []
    for series in every:
        origins, truth, found = walk_forward(series, options.seeds, options.epochs)
        report(series, truth, found)
        drawn.append((series, origins, truth, found))
    path = options.out / "forecast.png"
    plot(path, drawn)
    print(f"\npicture written to {path}")


if __name__ == "__main__":
    main()

"""Forecast next month's CO2 at Mauna Loa, on years the network has never seen.

The series is real: monthly means from 1964 to 2001 (see data/SOURCE.md). The last
ten years are held out. The network reads the month-to-month changes of the last two
years and predicts the next change; it is trained from several seeds and compared with

- persistence: next month is as this month;
- seasonal naive: next month is as the same month a year ago;
- seasonal change: next month changes as it changed a year ago;
- least squares: a linear function of the same 24 changes, fitted to the same months. This is
  what the field would try first, and on this series it is as good as the network.
"""

import argparse
import csv
from pathlib import Path

import numpy as np

import rnn_engine

DATA = Path(__file__).parent / "data" / "co2_mauna_loa_monthly.csv"
WINDOW = 24
HELD_OUT = 120
# Where the loss on 1987 to 1991 is lowest when trained on the years before; the held-out
# years had no say in it.
EPOCHS = 50


def load() -> tuple[list[str], np.ndarray]:
    """Return the months ("1964-05", ...) and the values in ppm, float64."""
    with DATA.open(newline="") as file:
        rows = list(csv.DictReader(file))
    return [row["month"] for row in rows], np.array([float(row["co2_ppm"]) for row in rows])


def windows(changes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return every stretch of WINDOW changes (N, WINDOW, 1) and the change after it (N, 1)."""
    stretches = np.lib.stride_tricks.sliding_window_view(changes, WINDOW + 1)
    return stretches[:, :-1, None].astype(np.float32), stretches[:, -1:].astype(np.float32)


def least_squares(x: np.ndarray, y: np.ndarray, x_new: np.ndarray) -> np.ndarray:
    """Return the forecasts of the linear function of a window that fits x to y best."""
    design, new = (np.column_stack([a[..., 0], np.ones(len(a))]) for a in (x, x_new))
    return new @ np.linalg.lstsq(design, y[:, 0], rcond=None)[0]


def rmse(forecast: np.ndarray, truth: np.ndarray) -> float:
    """Return the root of the mean squared error, in ppm."""
    return float(np.sqrt(np.mean((forecast - truth) ** 2)))


def plot(
    path: Path, months: list[str], truth: np.ndarray, forecasts: dict[str, np.ndarray]
) -> None:
    """Draw the held-out years: the values above, the errors below."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    years = np.array([int(month[:4]) + (int(month[5:]) - 0.5) / 12 for month in months])
    colours = {"SimpleRNN": "tab:red", "persistence": "0.6", "seasonal change": "tab:blue"}
    figure, (above, below) = plt.subplots(2, 1, sharex=True, figsize=(10, 7), layout="constrained")
    above.plot(years, truth, "k.-", linewidth=0.8, markersize=4, label="measured")
    above.plot(years, forecasts["SimpleRNN"], color="tab:red", label="SimpleRNN, one month ahead")
    above.set_ylabel("CO2 (ppm)")
    above.set_title("Mauna Loa, held-out years")
    above.legend()
    for name, colour in colours.items():
        label = f"{name} (RMSE {rmse(forecasts[name], truth):.2f} ppm)"
        below.plot(years, forecasts[name] - truth, color=colour, linewidth=1.2, label=label)
    below.axhline(0, color="k", linewidth=0.6)
    below.set_ylabel("forecast - measured (ppm)")
    below.set_xlabel("year")
    below.set_ylim(-2.5, 3.5)
    below.legend(loc="upper center", ncols=3)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120)
    plt.close(figure)


def main() -> None:
    """Train, forecast the held-out years, print the errors, write the plot."""
    parser = argparse.ArgumentParser(description="Forecast CO2 at Mauna Loa.")
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seeds", type=int, default=5, help="how many, from --seed on")
    parser.add_argument("--out", type=Path, default=Path("out"), help="folder for the plot")
    options = parser.parse_args()

    months, ppm = load()
    changes = np.diff(ppm)
    # Scaled by what was known before the held-out years, and by nothing later.
    scale = changes[:-HELD_OUT].std()
    x, y = windows(changes / scale)
    x_train, y_train = x[:-HELD_OUT], y[:-HELD_OUT]
    x_test, y_test = x[-HELD_OUT:], y[-HELD_OUT:]
    print(
        f"{len(ppm)} months, {months[0]} to {months[-1]}; trained on {len(x_train)} windows, "
        f"held out {months[-HELD_OUT]} to {months[-1]}"
    )

    changed = [train(seed, options.epochs, x_train, y_train, x_test, y_test)
               for seed in range(options.seed, options.seed + options.seeds)]  # fmt: skip

    truth = ppm[-HELD_OUT:]
    before = ppm[-HELD_OUT - 1 : -1]
    forecasts = {
        "SimpleRNN": before + scale * changed[0],
        "persistence": before,
        "seasonal naive": ppm[-HELD_OUT - 12 : -12],
        "seasonal change": before + changes[-HELD_OUT - 12 : -12],
        "least squares": before + scale * least_squares(x_train, y_train, x_test),
    }
    print("\none month ahead, held-out years      RMSE (ppm)")
    for name, forecast in forecasts.items():
        print(f"  {name:<34} {rmse(forecast, truth):.3f}")
    errors = [rmse(before + scale * change, truth) for change in changed]
    mean, linear = float(np.mean(errors)), rmse(forecasts["least squares"], truth)
    print(f"\nSimpleRNN over {len(errors)} seeds: mean {mean:.3f}, {min(errors):.3f} to "
          f"{max(errors):.3f}; least squares {linear:.3f}")  # fmt: skip
    if min(errors) <= linear <= max(errors):
        print("No difference between them that the seeds do not make as well.")
    else:
        print(f"{'SimpleRNN' if mean < linear else 'Least squares'} wins with every seed.")

    path = options.out / "co2_forecast.png"
    plot(path, months[-HELD_OUT:], truth, forecasts)
    print(f"\nplot written to {path}")


def train(
    seed: int, epochs: int, x: np.ndarray, y: np.ndarray, x_test: np.ndarray, y_test: np.ndarray
) -> np.ndarray:
    """Train from a seed, print how it goes, and return the changes that it forecasts."""
    rnn_engine.utils.set_random_seed(seed)
    model = rnn_engine.Sequential(
        [rnn_engine.layers.SimpleRNN(24, input_shape=(WINDOW, 1)), rnn_engine.layers.Dense(1)]
    )
    model.compile(optimizer=rnn_engine.optimizers.Adam(learning_rate=0.002), loss="mse")
    history = model.fit(x, y, epochs=epochs, batch_size=32, verbose=0)
    losses = history.history["loss"]
    print(f"seed {seed}: training loss {losses[0]:.4f} to {losses[-1]:.4f}, "
          f"held-out loss {model.evaluate(x_test, y_test, verbose=0):.4f}")  # fmt: skip
    return np.asarray(model.predict(x_test, verbose=0)[:, 0])


if __name__ == "__main__":
    main()

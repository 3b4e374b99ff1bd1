"""One training over ranks, that goes on where it was interrupted.

    mpirun -n 4 python -m mpi4py examples/cluster/train.py [--data FOLDER] [--backup FOLDER]

The folder has ``x.npy`` (samples, steps, features) and ``y.npy`` (samples, 1), which are read
row by row where they lie; without one, noisy waves are made.
"""

import argparse
from pathlib import Path

import numpy as np

import rnn_engine
from rnn_engine import callbacks, layers
from rnn_engine.distributed import DataParallel, rank, size


def waves(samples: int = 1024, steps: int = 24) -> tuple[np.ndarray, np.ndarray]:
    """Return windows of noisy waves, and what comes after each."""
    rng = np.random.default_rng(0)
    phase, pace = rng.uniform(0, 6.28, (samples, 1)), rng.uniform(0.2, 0.6, (samples, 1))
    series = np.sin(phase + pace * np.arange(steps + 1)).astype(np.float32)
    noise = rng.normal(0, 0.1, (samples, steps)).astype(np.float32)
    return (series[:, :-1] + noise)[..., None], series[:, -1:]


def main() -> None:
    """Train, and save the model on the first rank."""
    parser = argparse.ArgumentParser(description="One training over ranks.")
    parser.add_argument("--data", type=Path, help="folder with x.npy and y.npy")
    parser.add_argument("--backup", type=Path, default=Path("backup"))
    parser.add_argument("--model", type=Path, default=Path("model.npz"))
    parser.add_argument("--epochs", type=int, default=4)
    options = parser.parse_args()
    if options.data is None:
        x, y = waves()
    else:
        x, y = (np.load(options.data / name, mmap_mode="r") for name in ("x.npy", "y.npy"))

    rnn_engine.utils.set_random_seed(1)
    model = rnn_engine.Sequential(
        [layers.Input(x.shape[1:]), layers.LSTM(16, dropout=0.1), layers.Dense(1)]
    )
    model.compile("adam", "mse")
    history = model.fit(
        x, y, batch_size=128, epochs=options.epochs, verbose=0, parallel=DataParallel(groups=8),
        callbacks=[callbacks.BackupAndRestore(options.backup, save_freq=50)],
    )  # fmt: skip
    if rank() == 0:
        model.save(options.model)
        losses = history.history["loss"]
        print(f"loss {losses[0]:.4f} to {losses[-1]:.4f} on {size()} ranks")


if __name__ == "__main__":
    main()

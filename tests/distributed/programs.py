"""What runs under mpirun in the tests: ``programs.py NAME ...``."""

import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

import rnn_engine
from rnn_engine import callbacks, layers
from rnn_engine.distributed import DataParallel, RankError, rank, size
from tests.distributed.trainings import TRAININGS, bits, train


def print_bits() -> None:
    """Print the bits of every training, which the ranks compare with each other first."""
    found = {name: bits(*train(name, DataParallel(groups=7))) for name in TRAININGS}
    all_of_them = DataParallel().comm.allgather(json.dumps(found))
    assert len(set(all_of_them)) == 1
    if rank() == 0:
        print(json.dumps(found))


class At(callbacks.Callback):
    """Do something after a number of batches, on one rank."""

    def __init__(self, where: int, action: Any, after: int = 5) -> None:
        super().__init__()
        self.where, self.action, self.after = where, action, after

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self.after -= 1
        if self.after == 0 and rank() == self.where:
            self.action(self)


def fit(*given: Any, change: float = 0.0, groups: int = 4, epochs: int = 4) -> Any:
    """Train a small model with dropout; return it and its history."""
    rnn_engine.utils.set_random_seed(1)
    model = rnn_engine.Sequential(
        [layers.Input((6, 3)), layers.LSTM(6, dropout=0.2), layers.Dense(1)]
    )
    model.compile("adam", "mse", metrics=["mae"])
    rng = np.random.default_rng(0)
    x = rng.normal(size=(40, 6, 3)).astype("float32") + np.float32(change)
    y = rng.normal(size=(40, 1)).astype("float32")

    def batches() -> Any:
        for _ in range(epochs):
            for i in range(0, 40, 10):
                yield x[i : i + 10], y[i : i + 10]

    data = {"x": batches(), "steps_per_epoch": 4} if change else {"x": x, "y": y, "batch_size": 10}
    history = model.fit(
        **data, epochs=epochs, verbose=0, callbacks=list(given), parallel=DataParallel(groups)
    )
    return model, history


def fail() -> None:
    """Let one rank fail in several ways: all end, and can train again."""

    def raising(callback: Any) -> None:
        raise OSError("disk full")

    def interrupting(callback: Any) -> None:
        os.kill(os.getpid(), signal.SIGINT)

    def stopping(callback: Any) -> None:
        callback.model.stop_training = True

    def writing(callback: Any) -> None:
        kernel = callback.model.layers[-1].kernel
        kernel.assign(kernel.value + 1)

    said: list[str] = []
    for action in (raising, interrupting, writing):
        try:
            fit(At(1, action))
        except (OSError, KeyboardInterrupt, RankError) as error:
            said.append(f"{type(error).__name__}: {error}")
    try:
        fit(change=1.0 + rank())
    except RankError as error:
        said.append(str(error))
    _, history = fit(At(1, stopping))
    said.append(str(len(history.history["loss"])))
    again = fit()
    said.append(str(bits(again[0], again[1].history)[0]))
    told = DataParallel().comm.allgather(said)
    if rank() == 0:
        print(json.dumps(told))


def go_on(folder: str, where: str) -> None:
    """Train with a backup after every other batch; kill a rank on the way, if told which."""

    def die(callback: Any) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    at = [] if where == "none" else [At(int(where), die, after=7)]
    written = [
        callbacks.BackupAndRestore(folder, save_freq=2),
        callbacks.CSVLogger(f"{folder}.{size()}.{where}.csv"),
        callbacks.ModelCheckpoint(f"{folder}.{size()}.weights.npz", save_weights_only=True),
    ]
    model, history = fit(*at, *written)
    assert history.epoch == [0, 1, 2, 3]
    report = history.parallel
    assert report["ranks"] == size()
    assert report["steps"] > 0
    assert report["seconds_per_step"] >= report["seconds_in_mpi_per_step"] > 0
    assert report["bytes_sent_per_step"] > sum(w.nbytes for w in model.get_weights()) / size()
    told = DataParallel().comm.allgather(bits(model, history.history))
    assert told == [told[0]] * size()
    if rank() == 0:
        print(json.dumps(told[0]))


def run_for_ever(folder: str) -> None:
    """Train until somebody ends it; leave the numbers of the processes in a folder."""
    begun = At(rank(), lambda _: Path(folder, str(os.getpid())).touch(), after=2)
    fit(begun, At(rank(), lambda _: time.sleep(0.05), after=1), epochs=10**6)


if __name__ == "__main__":
    programs = {"bits": print_bits, "fail": fail, "go_on": go_on, "for_ever": run_for_ever}
    programs[sys.argv[1]](*sys.argv[2:])

"""Callbacks that change the learning rate: by a schedule, or on a plateau."""

from collections.abc import Callable
from typing import Any

import numpy as np

from rnn_engine.callbacks.callback import Callback, Logs
from rnn_engine.callbacks.monitor import MonitorCallback


def read_rate(optimizer: Any) -> float:
    """Return the optimizer's current learning rate."""
    return float(optimizer.learning_rate)


class LearningRateScheduler(Callback):
    """Set the learning rate before each epoch.

    Mirrors `keras.callbacks.LearningRateScheduler`. The rate is added to the logs
    as ``"learning_rate"``.

    Parameters
    ----------
    schedule : callable
        ``schedule(epoch, learning_rate) -> float``; a function of the epoch alone is
        accepted too.
    verbose : 0 or 1

    Raises
    ------
    ValueError
        At the start of an epoch, if `schedule` returns no finite float.

    Examples
    --------
    >>> halve = LearningRateScheduler(lambda epoch, rate: rate * 0.5)
    >>> halve.schedule(3, 0.5)
    0.25
    """

    def __init__(self, schedule: Callable[..., Any], verbose: int = 0) -> None:
        super().__init__()
        self.schedule = schedule
        self.verbose = verbose

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        """Ask the schedule and set the rate."""
        optimizer = self.model.optimizer
        if not hasattr(optimizer, "learning_rate"):
            raise ValueError('Optimizer must have a "learning_rate" attribute.')
        try:
            rate = self.schedule(epoch, read_rate(optimizer))
        except TypeError:  # a schedule of the epoch alone
            rate = self.schedule(epoch)
        if not isinstance(rate, float | np.floating) or not np.isfinite(rate):
            raise ValueError(
                f"The output of the `schedule` function should be a finite float. Got: {rate}"
            )
        optimizer.learning_rate = float(rate)
        if self.verbose > 0:
            print(f"\nEpoch {epoch + 1}: LearningRateScheduler setting learning rate to {rate}.")

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Log the rate."""
        if logs is not None:
            logs["learning_rate"] = read_rate(self.model.optimizer)


class ReduceLROnPlateau(MonitorCallback):
    """Reduce the learning rate when a quantity no longer improves.

    Mirrors `keras.callbacks.ReduceLROnPlateau`. The rate is added to the logs as
    ``"learning_rate"``.

    Parameters
    ----------
    monitor, mode, min_delta
        As in `EarlyStopping`.
    factor : float
        What the rate is multiplied with, below 1.
    patience : int
        Epochs without improvement before a reduction.
    verbose : 0 or 1
    cooldown : int
        Epochs after a reduction that do not count.
    min_lr : float
        Lower bound of the rate.

    Raises
    ------
    ValueError
        If `factor` is 1 or more.

    Examples
    --------
    >>> ReduceLROnPlateau(factor=0.2, patience=5).factor
    0.2
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        factor: float = 0.1,
        patience: int = 10,
        verbose: int = 0,
        mode: str = "auto",
        min_delta: float = 1e-4,
        cooldown: int = 0,
        min_lr: float = 0.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(monitor, mode, min_delta=min_delta)
        if not factor < 1.0:  # NaN is not
            raise ValueError(
                f"ReduceLROnPlateau does not support a factor >= 1.0. Received factor={factor}"
            )
        self.factor = factor
        self.min_lr = min_lr
        self.patience = patience
        self.verbose = verbose
        self.cooldown = cooldown
        self._reset()

    def _reset(self) -> None:
        self.best: float | None = None
        self.cooldown_counter = 0
        self.wait = 0

    def in_cooldown(self) -> bool:
        """Whether a reduction was made a short while ago."""
        return self.cooldown_counter > 0

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Forget an earlier run."""
        self._reset()

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Log the rate, and reduce it after `patience` epochs without improvement."""
        self._prepare()
        logs = {} if logs is None else logs
        logs["learning_rate"] = read_rate(self.model.optimizer)
        current = logs.get(self.monitor)
        if current is None:
            self._missing("Learning rate reduction is conditioned on metric", logs)
            return
        if self.in_cooldown():
            self.cooldown_counter -= 1
            self.wait = 0
        if self._is_improvement(current, self.best):
            self.best = current
            self.wait = 0
        elif not self.in_cooldown():
            self.wait += 1
            if self.wait >= self.patience:
                self._reduce(epoch)

    def _reduce(self, epoch: int) -> None:
        old = read_rate(self.model.optimizer)
        # The rate is kept in float32: compare with the bound as float32 too.
        if old <= np.float32(self.min_lr):
            return
        new = max(old * self.factor, self.min_lr)
        self.model.optimizer.learning_rate = new
        if self.verbose > 0:
            print(f"\nEpoch {epoch + 1}: ReduceLROnPlateau reducing learning rate to {new}.")
        self.cooldown_counter = self.cooldown
        self.wait = 0

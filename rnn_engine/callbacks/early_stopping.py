"""`EarlyStopping`: stop when a quantity no longer improves."""

from typing import Any

from rnn_engine.callbacks.callback import Logs
from rnn_engine.callbacks.monitor import MonitorCallback


class EarlyStopping(MonitorCallback):
    """Stop when a quantity no longer improves. Mirrors `keras.callbacks.EarlyStopping`.

    Parameters
    ----------
    monitor : str
        Name in the logs.
    min_delta : float
        Smallest change that counts as an improvement.
    patience : int
        Epochs without improvement after which training stops.
    verbose : 0 or 1
    mode : "auto", "min" or "max"
    baseline : float, optional
        Value to beat before patience starts anew.
    restore_best_weights : bool
        End with the weights of the best epoch, also when training stops otherwise.
    start_from_epoch : int
        First epoch that is looked at.

    Examples
    --------
    >>> EarlyStopping(monitor="loss", patience=3).patience
    3
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        min_delta: float = 0,
        patience: int = 0,
        verbose: int = 0,
        mode: str = "auto",
        baseline: float | None = None,
        restore_best_weights: bool = False,
        start_from_epoch: int = 0,
    ) -> None:
        super().__init__(monitor, mode, min_delta=min_delta)
        self.patience = patience
        self.verbose = verbose
        self.baseline = baseline
        self.restore_best_weights = restore_best_weights
        self.start_from_epoch = start_from_epoch
        self._reset()

    def _reset(self) -> None:
        self.wait = 0
        self.stopped_epoch = 0
        self.best: float | None = None
        self.best_epoch = 0
        self.best_weights: list[Any] | None = None

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Forget an earlier run."""
        self._reset()

    def get_monitor_value(self, logs: Logs | None) -> Any:
        """Return the monitored value; warn and return None if it is not there."""
        logs = logs or {}
        if self.monitor not in logs:
            self._missing("Early stopping conditioned on metric", logs)
        return logs.get(self.monitor)

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Compare the epoch with the best one."""
        self._prepare()
        current = self.get_monitor_value(logs)
        if current is None or epoch < self.start_from_epoch:
            return
        first = self.restore_best_weights and self.best_weights is None
        better = self._is_improvement(current, self.best)
        if first or better:
            self.best_epoch = epoch
            if self.restore_best_weights:
                self.best_weights = self.model.get_weights()
        self.wait += 1
        if better:
            self.best = current
            if self.baseline is None or self._is_improvement(current, self.baseline):
                self.wait = 0
            return
        if self.wait >= self.patience and epoch > 0:
            self.stopped_epoch = epoch
            self.model.stop_training = True

    def on_train_end(self, logs: Logs | None = None) -> None:
        """Report, and restore the best weights."""
        if self.stopped_epoch > 0 and self.verbose > 0:
            print(f"Epoch {self.stopped_epoch + 1}: early stopping")
        if self.restore_best_weights and self.best_weights is not None:
            if self.verbose > 0:
                print(
                    f"Restoring model weights from the end of the best epoch: "
                    f"{self.best_epoch + 1}."
                )
            self.model.set_weights(self.best_weights)

"""`ModelCheckpoint`: save the model while it trains."""

import os
import warnings
from typing import Any

import numpy as np

from rnn_engine.callbacks.callback import Logs, check_can_save
from rnn_engine.callbacks.monitor import MonitorCallback


class BatchCounter:
    """Tell when another `every` batches have passed, across epochs and grouped batches."""

    def __init__(self, every: int) -> None:
        self.every = every
        self.since = 0
        self.last = -1

    def is_due(self, batch: int) -> bool:
        """Count up to `batch` (from zero in its epoch) and tell whether to act."""
        new_epoch = batch <= self.last
        self.since += batch + 1 if new_epoch else batch - self.last
        self.last = batch
        if self.since < self.every:
            return False
        self.since = 0
        return True


def check_save_freq(save_freq: Any, opening: str = "Unrecognized save_freq: ") -> None:
    """Check for ``"epoch"`` or a positive number of batches; `opening` begins the message.

    Raises
    ------
    ValueError
        For anything else.
    """
    whole = isinstance(save_freq, int | np.integer) and not isinstance(save_freq, bool)
    if save_freq != "epoch" and not (whole and save_freq > 0):
        raise ValueError(
            f"{opening}{save_freq}. Expected save_freq are 'epoch' or positive integer values"
        )


class ModelCheckpoint(MonitorCallback):
    """Save the model, or its weights. Mirrors `keras.callbacks.ModelCheckpoint`.

    Parameters
    ----------
    filepath : str or path
        May hold ``{epoch:02d}`` (counted from one), ``{batch}`` and names of the
        logs. Ends in ``.weights.h5``, ``.npz`` or ``.safetensors`` for weights, in ``.keras``,
        ``.h5``, ``.npz`` or ``.safetensors`` for models (``.npz``, the library's own format,
        needs no other package).
    monitor, mode
        As in `EarlyStopping`.
    verbose : 0 or 1
    save_best_only : bool
        Save only what improves `monitor`.
    save_weights_only : bool
        Call ``model.save_weights`` instead of ``model.save``.
    save_freq : "epoch" or int
        Save after each epoch, or after so many batches.
    initial_value_threshold : float, optional
        First value to beat.

    Raises
    ------
    ValueError
        If `save_freq` or the ending of `filepath` is not one of these.
    """

    first_rank_only = True

    def __init__(
        self,
        filepath: Any,
        monitor: str = "val_loss",
        verbose: int = 0,
        save_best_only: bool = False,
        save_weights_only: bool = False,
        mode: str = "auto",
        save_freq: Any = "epoch",
        initial_value_threshold: float | None = None,
    ) -> None:
        super().__init__(monitor, mode, initial_value_threshold)
        check_save_freq(save_freq)
        self.filepath = os.fspath(filepath)
        self.verbose = verbose
        self.save_best_only = save_best_only
        self.save_weights_only = save_weights_only
        self.save_freq = save_freq
        self._counter = None if save_freq == "epoch" else BatchCounter(save_freq)
        self._epoch = 0
        whole = (".keras", ".h5", ".hdf5", ".npz", ".safetensors")
        endings = (".weights.h5", ".npz", ".safetensors") if save_weights_only else whole
        if not self.filepath.endswith(endings):
            opening = "The filepath provided must end in"
            if save_weights_only:
                opening = (
                    "When using `save_weights_only=True` in `ModelCheckpoint`, the filepath "
                    "provided must end in"
                )
            raise ValueError(
                f"{opening} {' or '.join(f'`{ending}`' for ending in endings)}. Received: "
                f"filepath={self.filepath}"
            )

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Check that there will be nothing in the way of a save."""
        if "{" not in self.filepath:
            self._refuse_folder(self.filepath)
        check_can_save(self.model, self.filepath, self.save_weights_only)

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        """Note the epoch, for the name of the file."""
        self._epoch = epoch

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Save, if so many batches have passed."""
        if self._counter is not None and self._counter.is_due(batch):
            self._save(self._epoch, batch, logs or {})

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Save, if an epoch is the unit."""
        if self.save_best_only:
            self._prepare()
        if self._counter is None:
            self._save(epoch, None, logs or {})

    def _path(self, epoch: int, batch: int | None, logs: Logs) -> str:
        fields = dict(logs)
        if batch is not None:
            fields.setdefault("batch", batch + 1)
        try:
            return self.filepath.format(epoch=epoch + 1, **fields)
        except KeyError as error:
            raise KeyError(
                f'Failed to format this callback filepath: "{self.filepath}". Reason: {error}'
            ) from error

    def _save(self, epoch: int, batch: int | None, logs: Logs) -> None:
        path = self._path(epoch, batch, logs)
        if not self._wanted(epoch, logs, path):
            return
        self._refuse_folder(path)
        os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
        save = self.model.save_weights if self.save_weights_only else self.model.save
        save(path, overwrite=True)
        self._say(epoch, f"finished saving model to {path}")

    def _refuse_folder(self, path: str) -> None:
        if os.path.isdir(path):
            raise OSError(
                f"Please specify a non-directory filepath for ModelCheckpoint. Filepath used "
                f"is an existing directory: {path}"
            )

    def _say(self, epoch: int, message: str) -> None:
        if self.verbose > 0:
            print(f"\nEpoch {epoch + 1}: {message}")

    def _wanted(self, epoch: int, logs: Logs, path: str) -> bool:
        """Whether this state is worth a file."""
        if not self.save_best_only:
            self._say(epoch, f"saving model to {path}")
            return True
        current = logs.get(self.monitor)
        if current is None or np.ndim(current) > 0:
            warnings.warn(
                f"Can save best model only with {self.monitor} available as a number.",
                stacklevel=2,
            )
            return True
        self._prepare()
        best = "None" if self.best is None else f"{self.best:.5f}"
        if not self._is_improvement(current, self.best):
            self._say(epoch, f"{self.monitor} did not improve from {best}")
            return False
        self._say(
            epoch,
            f"{self.monitor} improved from {best} to {current:.5f}, saving model to {path}",
        )
        self.best = current
        return True

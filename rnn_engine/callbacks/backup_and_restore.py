"""`BackupAndRestore`: go on where an interrupted training stopped."""

import json
import os
import shutil
from typing import Any

from rnn_engine.callbacks.callback import Callback, Logs
from rnn_engine.callbacks.model_checkpoint import BatchCounter, check_save_freq


class BackupAndRestore(Callback):
    """Back up the training and resume it. Mirrors `keras.callbacks.BackupAndRestore`.

    After each epoch (or so many batches) the weights, with the state of the
    optimizer, and the number of the epoch go to `backup_dir`. The next `fit` with
    the same folder starts from there. A training that ends by itself deletes the
    folder; one that ends by an exception or Ctrl-C keeps it.

    The files are written under another name and then renamed, so that a kill in
    the middle of writing loses nothing; `double_checkpoint` keeps the backup
    before the last one as well.

    Parameters
    ----------
    backup_dir : str or path
        Folder for these files alone.
    save_freq : "epoch" or int
    double_checkpoint : bool
    delete_checkpoint : bool
        Delete the folder when training has ended.

    Raises
    ------
    ValueError
        If `backup_dir` is empty, `save_freq` is neither, or when `fit` starts the
        model is not built.
    """

    def __init__(
        self,
        backup_dir: Any,
        save_freq: Any = "epoch",
        double_checkpoint: bool = False,
        delete_checkpoint: bool = True,
    ) -> None:
        super().__init__()
        if not backup_dir:
            raise ValueError("Empty `backup_dir` argument passed")
        check_save_freq(save_freq)
        self.backup_dir = os.fspath(backup_dir)
        self.save_freq = save_freq
        self.double_checkpoint = double_checkpoint
        self.delete_checkpoint = delete_checkpoint
        self._counter = None if save_freq == "epoch" else BatchCounter(save_freq)
        self._epoch = 0
        self._batch = 0
        self._weights = os.path.join(self.backup_dir, "latest.weights.h5")
        self._metadata = os.path.join(self.backup_dir, "training_metadata.json")

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Restore the last backup, or the one before it if that cannot be read."""
        if not self.model.built:
            raise ValueError(
                "To use the BackupAndRestore callback, your model must be built before you "
                "call `fit()`."
            )
        self._epoch = self._batch = 0
        if not os.path.exists(self._weights):
            return
        if not self.model.optimizer.built:
            self.model.optimizer.build(self.model.trainable_variables)
        try:
            self._load(self._weights, self._metadata)
        except (OSError, ValueError):
            previous = f"{self._weights}.bkp"
            if not os.path.exists(previous):
                raise
            # The ending tells the format, so the copy gets its old name back.
            shutil.copyfile(previous, self._weights)
            shutil.copyfile(f"{self._metadata}.bkp", self._metadata)
            self._load(self._weights, self._metadata)

    def _load(self, weights: str, metadata: str) -> None:
        with open(metadata, encoding="utf-8") as file:
            epoch = int(json.load(file)["epoch"])
        self.model.load_weights(weights)
        self._epoch = epoch
        self.model._initial_epoch = epoch

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Back up."""
        self._epoch, self._batch = epoch + 1, 0
        if self._counter is None:
            self._save()

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Back up, if so many batches have passed."""
        self._batch = batch
        if self._counter is not None and self._counter.is_due(batch):
            self._save()

    def _save(self) -> None:
        os.makedirs(self.backup_dir, exist_ok=True)
        if self.double_checkpoint and os.path.exists(self._metadata):
            os.replace(self._weights, f"{self._weights}.bkp")
            os.replace(self._metadata, f"{self._metadata}.bkp")
        fresh = os.path.join(self.backup_dir, "new.weights.h5")
        self.model.save_weights(fresh, overwrite=True)
        with open(f"{self._metadata}.new", "w", encoding="utf-8") as file:
            json.dump({"epoch": self._epoch, "batch": self._batch}, file)
        os.replace(fresh, self._weights)
        os.replace(f"{self._metadata}.new", self._metadata)

    def on_train_end(self, logs: Logs | None = None) -> None:
        """Delete the backup of a training that was not interrupted."""
        interrupted = getattr(self.model, "training_interrupted", False)
        if self.delete_checkpoint and not interrupted:
            shutil.rmtree(self.backup_dir, ignore_errors=True)

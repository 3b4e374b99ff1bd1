"""`BackupAndRestore`: go on where an interrupted training stopped."""

import json
import os
import shutil
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from rnn_engine.callbacks.callback import Callback, Logs, check_can_save
from rnn_engine.callbacks.model_checkpoint import BatchCounter, check_save_freq
from rnn_engine.training.resuming import restore_state, state_of


class BackupAndRestore(Callback):
    """Back up the training and resume it. Mirrors `keras.callbacks.BackupAndRestore`.

    After each epoch (or so many batches) the weights, with the state of the
    optimizer, and the place in the training go to `backup_dir`. The next `fit` with
    the same folder, model and data goes on from there, to the bit as if it had not been
    interrupted: in the middle of an epoch, too, with the order of samples, the streams of
    dropout and noise, accumulated gradients, states of stateful layers, sums of metrics
    and the history. (Keras repeats the batches since the last epoch began, with other
    random numbers, and forgets the history.) A training that ends by itself deletes the
    folder; one that ends by an exception or Ctrl-C keeps it.

    What a generator has yielded before is drawn again and left out; a dataset that changes
    its order by itself in `on_epoch_end` does so anew. Other callbacks begin as they are
    given: the patience of `EarlyStopping` is not kept.

    The files are written under another name and then renamed, so that a kill in
    the middle of writing loses nothing; `double_checkpoint` keeps the backup
    before the last one as well. The weights are in the library's own format, which
    needs no other package; Keras writes ``.weights.h5``.

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
        model is not built, or the files are damaged or those of another model.
    """

    first_rank_only = True

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
        check_save_freq(save_freq, "Invalid value for argument `save_freq`. Received: save_freq=")
        self.backup_dir = os.fspath(backup_dir)
        self.save_freq = save_freq
        self.double_checkpoint = double_checkpoint
        self.delete_checkpoint = delete_checkpoint
        self._counter = None if save_freq == "epoch" else BatchCounter(save_freq)
        self._current_epoch = 0
        self._last_batch = 0
        folder = self.backup_dir
        self._weights_path = os.path.join(folder, "latest.weights.npz")
        self._training_metadata_path = os.path.join(folder, "training_metadata.json")
        self._prev_weights_path = f"{self._weights_path}.bkp"
        self._prev_training_metadata_path = f"{self._training_metadata_path}.bkp"
        self._new_weights_path = os.path.join(folder, "new.weights.npz")
        self._new_metadata_path = f"{self._training_metadata_path}.new"

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Restore the last backup, or the one before it if that cannot be read."""
        if not self.model.built:
            raise ValueError(
                "To use the BackupAndRestore callback, your model must be built before you "
                "call `fit()`."
            )
        check_can_save(self.model, self._weights_path, weights_only=True)
        self._current_epoch = self._last_batch = 0
        self._logs: list[Any] = []
        self._restored = False
        if self._was_killed_while_renaming():
            self._rename()
        if not os.path.exists(self._weights_path):
            return
        if not self.model.optimizer.built:
            self.model.optimizer.build(self.model.trainable_variables)
        try:
            self._load()
        except (OSError, ValueError):
            if not os.path.exists(self._prev_weights_path):
                raise
            shutil.copyfile(self._prev_weights_path, self._weights_path)
            shutil.copyfile(self._prev_training_metadata_path, self._training_metadata_path)
            self._load()

    def _load(self) -> None:
        """Restore the backup.

        Raises
        ------
        ValueError
            If a file is damaged, or the metadata are not those of this training.
        """
        path = self._training_metadata_path
        with open(path, encoding="utf-8") as file, _damage_named(path):
            saved = json.load(file)
            epoch, batch = saved["epoch"], saved.get("batch", 0)
            if not (_is_count(epoch) and _is_count(batch)):
                raise ValueError(f"epoch={epoch!r} and batch={batch!r} must be counts.")
            logs = [(int(number), dict(entries)) for number, entries in saved.get("logs", [])]
        self.model.load_weights(self._weights_path)
        with _damage_named(path):
            self._go_on(saved, batch)
        self._current_epoch, self._logs = epoch, logs
        self._restored = True
        self.model._initial_epoch = epoch
        epochs = (self.params or {}).get("epochs")
        if epochs is not None and epoch >= epochs:
            warnings.warn(
                f"{path} says that {epoch} epochs have been trained, and fit was called with "
                f"epochs={epochs}: nothing is left to train.",
                stacklevel=2,
            )

    def _go_on(self, saved: dict[str, Any], batch: int) -> None:
        """Take over what is no weight; backups of older versions do not have it."""
        if "position" not in saved:
            return
        self.model._training_data.resume(saved["position"], batch)
        restore_state(self.model, saved["state"])
        if self._counter is not None:
            self._counter.since, self._counter.last = saved["counter"]

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        """Give the history back what came before the break."""
        self._give_history_back()

    def _give_history_back(self) -> None:
        history = getattr(self.model, "history", None)
        if not self._restored or history is None:
            return
        self._restored = False
        history.epoch = [number for number, _ in self._logs]
        history.history = {}
        for _, entries in self._logs:
            for name, value in entries.items():
                history.history.setdefault(name, []).append(value)

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Back up."""
        self._current_epoch, self._last_batch = epoch + 1, 0
        self._logs.append((epoch, dict(logs or {})))
        if self._counter is None:
            self._save()

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Back up, if so many batches have passed."""
        self._last_batch = batch + 1
        if self._counter is not None and self._counter.is_due(batch):
            self._save()

    def _save(self) -> None:
        os.makedirs(self.backup_dir, exist_ok=True)
        self.model.save_weights(self._new_weights_path, overwrite=True)
        part = f"{self._new_metadata_path}.tmp"
        try:
            with open(part, "w", encoding="utf-8") as file:
                json.dump(self._metadata(), file, default=_plain)
                file.flush()
                os.fsync(file.fileno())
            os.replace(part, self._new_metadata_path)
        except BaseException:
            with suppress(OSError):
                os.unlink(part)
            raise
        if self.double_checkpoint and os.path.exists(self._weights_path):
            os.replace(self._weights_path, self._prev_weights_path)
            os.replace(self._training_metadata_path, self._prev_training_metadata_path)
        self._rename()

    def _metadata(self) -> dict[str, Any]:
        """Return the place in the training, ready for JSON: the next epoch and batch, from 0."""
        data = getattr(self.model, "_training_data", None)
        counter = self._counter
        metadata: dict[str, Any] = {"epoch": self._current_epoch, "batch": self._last_batch}
        if data is not None:
            metadata.update(
                position=data.position(),
                state=state_of(self.model),
                counter=None if counter is None else [counter.since, counter.last],
                logs=self._logs,
            )
        return metadata

    def _rename(self) -> None:
        """Give the new files, which are whole, their names."""
        if os.path.exists(self._new_weights_path):
            os.replace(self._new_weights_path, self._weights_path)
        os.replace(self._new_metadata_path, self._training_metadata_path)

    def _was_killed_while_renaming(self) -> bool:
        """Whether both new files were written, and the renaming had begun."""
        done = not os.path.exists(self._new_weights_path) or not os.path.exists(self._weights_path)
        return done and os.path.exists(self._new_metadata_path)

    def on_train_end(self, logs: Logs | None = None) -> None:
        """Delete the backup of a training that was not interrupted."""
        self._give_history_back()  # where no epoch was left to train
        interrupted = getattr(self.model, "training_interrupted", False)
        if self.delete_checkpoint and not interrupted:
            shutil.rmtree(self.backup_dir, ignore_errors=True)


@contextmanager
def _damage_named(path: str) -> Iterator[None]:
    """Turn whatever damaged metadata raise, where they are used, into one error with the name."""
    try:
        yield
    except Exception as error:
        raise ValueError(f"{path} is damaged, or that of another training: {error!r}") from error


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _plain(value: Any) -> Any:
    """Return a number or array of NumPy as plain data."""
    return value.tolist() if hasattr(value, "tolist") else float(value)

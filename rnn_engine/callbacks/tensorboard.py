"""`TensorBoard`: curves, histograms and pictures of a training for TensorBoard."""

import os
import time
from typing import Any

import numpy as np

from rnn_engine.callbacks.callback import Callback, Logs


class TensorBoard(Callback):
    """Write what TensorBoard shows. Mirrors `keras.callbacks.TensorBoard`.

    The files come from tensorboardX, which needs no TensorFlow: install the extra
    ``rnn_engine[tensorboard]``. Tags and folders are Keras's: ``epoch_loss`` in
    ``train`` and ``validation``, ``batch_loss``, ``evaluation_loss_vs_iterations``.

    Parameters
    ----------
    log_dir : str or path
    histogram_freq : int
        Every so many epochs, histograms of all weights; 0 for none.
    write_graph : bool
        Write the model's configuration, as text: there is no TensorFlow graph.
    write_images : bool
        With the histograms, the weights as pictures.
    write_steps_per_second : bool
    update_freq : "batch", "epoch" or int
        Also log every so many batches.
    profile_batch : 0
        Profiling is TensorFlow's; anything but 0 is refused.
    embeddings_freq : int
        Every so many epochs, the tables of `Embedding` layers for the projector.
    embeddings_metadata : str or dict, optional
        File with one label a row, or such a file for each layer's name.

    Raises
    ------
    ValueError
        If `profile_batch` or `update_freq` is out of range, or when training starts
        and `embeddings_metadata` names unknown layers.
    ImportError
        When training starts and tensorboardX is not installed.
    """

    first_rank_only = True

    def __init__(
        self,
        log_dir: Any = "logs",
        histogram_freq: int = 0,
        write_graph: bool = True,
        write_images: bool = False,
        write_steps_per_second: bool = False,
        update_freq: Any = "epoch",
        profile_batch: Any = 0,
        embeddings_freq: int = 0,
        embeddings_metadata: Any = None,
    ) -> None:
        super().__init__()
        if profile_batch not in (0, None, "0"):
            raise ValueError(
                f"profile_batch must be 0: TensorFlow's profiler does not see this engine. "
                f"Received: profile_batch={profile_batch}"
            )
        if update_freq not in ("batch", "epoch") and not (
            isinstance(update_freq, int) and update_freq > 0
        ):
            raise ValueError(
                f"update_freq must be 'batch', 'epoch' or a positive int, got {update_freq!r}."
            )
        self.log_dir = os.fspath(log_dir)
        self.histogram_freq = histogram_freq
        self.write_graph = write_graph
        self.write_images = write_images
        self.write_steps_per_second = write_steps_per_second
        self.update_freq = 1 if update_freq == "batch" else update_freq
        self.embeddings_freq = embeddings_freq
        self.embeddings_metadata = embeddings_metadata
        self._writers: dict[str, Any] = {}
        self._train_batches = 0
        self._batch_start = self._epoch_start = 0.0
        self._epoch_iterations = 0

    def _writer(self, side: str) -> Any:
        if side not in self._writers:
            try:
                from tensorboardX import SummaryWriter
            except ImportError as error:
                raise ImportError(
                    "The TensorBoard callback needs tensorboardX: pip install "
                    "'rnn_engine[tensorboard]'."
                ) from error
            self._writers[side] = SummaryWriter(os.path.join(self.log_dir, side))
        return self._writers[side]

    def _iterations(self) -> int:
        return int(getattr(self.model.optimizer, "iterations", 0))

    def _batch_due(self) -> bool:
        return self.update_freq != "epoch" and self._train_batches % self.update_freq == 0

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Open the writer and write the model's configuration."""
        self._train_batches = 0
        self._check_metadata()
        writer = self._writer("train")
        if self.write_graph and hasattr(self.model, "to_json"):
            writer.add_text("keras", f"```\n{self.model.to_json()}\n```", 0)

    def on_train_end(self, logs: Logs | None = None) -> None:
        """Close the files."""
        for writer in self._writers.values():
            writer.close()
        self._writers = {}

    def on_train_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """Count, and start the clock."""
        self._train_batches += 1
        self._batch_start = time.perf_counter()

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Log the running averages, if it is time to."""
        if not self._batch_due():
            return
        writer = self._writer("train")
        if self.write_steps_per_second:
            rate = 1.0 / max(time.perf_counter() - self._batch_start, 1e-9)
            writer.add_scalar("batch_steps_per_second", rate, self._train_batches)
        for name, value in (logs or {}).items():
            writer.add_scalar(f"batch_{name}", value, self._train_batches)

    def on_test_end(self, logs: Logs | None = None) -> None:
        """Log an evaluation against the optimizer's iterations."""
        writer = self._writer("validation")
        for name, value in (logs or {}).items():
            writer.add_scalar(f"evaluation_{name}_vs_iterations", value, self._iterations())
        writer.flush()

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        """Start the clock."""
        self._epoch_iterations = self._iterations()
        self._epoch_start = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Log the averages, the learning rate, and what else is due."""
        self._log_scalars(epoch, logs or {})
        if self.histogram_freq and epoch % self.histogram_freq == 0:
            self._log_weights(epoch)
        if self.embeddings_freq and epoch % self.embeddings_freq == 0:
            self._log_embeddings(epoch)

    def _log_scalars(self, epoch: int, logs: Logs) -> None:
        train = {name: value for name, value in logs.items() if not name.startswith("val_")}
        train["learning_rate"] = float(self.model.optimizer.learning_rate)
        if self.write_steps_per_second:
            seconds = max(time.perf_counter() - self._epoch_start, 1e-9)
            train["steps_per_second"] = (self._iterations() - self._epoch_iterations) / seconds
        if (run := self.model._compilation.parallel) is not None:
            train.update({f"parallel_{name}": value for name, value in run.report().items()})
        for name, value in train.items():
            self._writer("train").add_scalar(f"epoch_{name}", value, epoch)
        for name, value in logs.items():
            if name.startswith("val_"):
                self._writer("validation").add_scalar(f"epoch_{name[4:]}", value, epoch)
        for writer in self._writers.values():
            writer.flush()

    def _log_weights(self, epoch: int) -> None:
        writer = self._writer("train")
        for layer in self.model.layers:
            for weight in layer.weights:
                array = weight.numpy()
                writer.add_histogram(f"{weight.path}/histogram", array, epoch)
                if self.write_images:
                    writer.add_image(f"{weight.path}/image", as_picture(array), epoch)
        writer.flush()

    def _embeddings(self) -> list[Any]:
        return [layer for layer in self.model.layers if hasattr(layer, "embeddings")]

    def _check_metadata(self) -> None:
        if not isinstance(self.embeddings_metadata, dict):
            return
        known = {layer.name for layer in self._embeddings()}
        unknown = set(self.embeddings_metadata) - known
        if unknown:
            raise ValueError(
                f"embeddings_metadata names layers that are no Embedding of the model: "
                f"{sorted(unknown)}; there are {sorted(known)}."
            )

    def _labels(self, name: str, rows: int) -> list[str] | None:
        given = self.embeddings_metadata
        path = given.get(name) if isinstance(given, dict) else given
        if path is None:
            return None
        with open(path, encoding="utf-8") as file:
            labels = file.read().splitlines()
        if len(labels) != rows:
            raise ValueError(f"{path} has {len(labels)} labels for {rows} rows of {name!r}.")
        return labels

    def _log_embeddings(self, epoch: int) -> None:
        for layer in self._embeddings():
            table = layer.embeddings.numpy()
            labels = self._labels(layer.name, len(table))
            self._writer("train").add_embedding(table, labels, global_step=epoch, tag=layer.name)


def as_picture(array: np.ndarray) -> np.ndarray:
    """Return a weight as a grey picture ``(1, height, width)`` in 0..1, lying if it is tall."""
    flat = np.atleast_2d(np.squeeze(array)).astype(np.float64)
    flat = flat.reshape(-1, flat.shape[-1])
    if flat.shape[0] > flat.shape[1]:
        flat = flat.T
    low, high = flat.min(), flat.max()
    return ((flat - low) / (high - low if high > low else 1.0))[None]

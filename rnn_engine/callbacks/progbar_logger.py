"""`ProgbarLogger`: progress and logs on standard output."""

from typing import Any

from rnn_engine.callbacks.callback import Callback, Logs
from rnn_engine.callbacks.progress import Progress


class ProgbarLogger(Callback):
    """Show progress. Mirrors `keras.callbacks.ProgbarLogger`; `fit` adds it itself.

    ``verbose="auto"`` means 1, as in Keras: a bar on a terminal or in a notebook;
    where standard output is a file or a pipe, one line an epoch instead of
    Keras's stream of control characters. A bar that is too long for the terminal goes on
    in the line below, so that every figure is seen.
    """

    first_rank_only = True

    def __init__(self) -> None:
        super().__init__()
        self.verbose = 1
        self.epochs = 1
        self.target: int | None = None
        self.seen = 0
        self.progress: Progress | None = None
        self._in_fit = False

    def set_params(self, params: dict[str, Any]) -> None:
        """Read verbosity, epochs and steps."""
        super().set_params(params)
        verbose = params["verbose"]
        self.verbose = 1 if verbose == "auto" else int(verbose)
        self.epochs = params["epochs"]
        self.target = params["steps"]

    def due(self) -> bool:
        """Whether the end of this batch will be drawn."""
        return self.progress is not None and self.progress.due()

    def _start(self) -> None:
        self.seen = 0
        self.progress = Progress(self.target, self.verbose)

    def _update(self, batch: int, logs: Logs | None) -> None:
        self.seen = batch + 1
        if self.progress is not None:
            self.progress.update(self.seen, logs or {})

    def _finish(self, logs: Logs | None) -> None:
        if self.progress is None:
            return
        if self.target is None and self.seen:
            self.target = self.seen
            self.progress.target = self.target
        self.progress.finish(self.target or self.seen, logs or {})
        self.progress = None

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Keep the validation inside `fit` silent."""
        self._in_fit = True

    def on_train_end(self, logs: Logs | None = None) -> None:
        """Close a bar that an exception left open."""
        if self.progress is not None:
            self.progress.close()
            self.progress = None

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        """Print ``Epoch 1/3`` and start a bar."""
        self._start()
        if self.verbose and self.epochs > 1:
            print(f"Epoch {epoch + 1}/{self.epochs}", flush=True)

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Move the bar."""
        self._update(batch, logs)

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Show the epoch's averages."""
        self._finish(logs)

    def on_test_begin(self, logs: Logs | None = None) -> None:
        """Start a bar, outside `fit`."""
        if not self._in_fit:
            self._start()

    def on_test_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Move the bar, outside `fit`."""
        if not self._in_fit:
            self._update(batch, logs)

    def on_test_end(self, logs: Logs | None = None) -> None:
        """Show the averages, outside `fit`."""
        if not self._in_fit:
            self._finish(logs)

    def on_predict_begin(self, logs: Logs | None = None) -> None:
        """Start a bar."""
        self._start()

    def on_predict_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Move the bar; predictions are not shown."""
        self._update(batch, None)

    def on_predict_end(self, logs: Logs | None = None) -> None:
        """Finish the bar."""
        self._finish(None)

"""`CSVLogger`: one line an epoch in a table on disk."""

import csv
import os
from typing import Any

import numpy as np

from rnn_engine.callbacks.callback import Callback, Logs


def _cell(value: Any) -> Any:
    if isinstance(value, list | tuple | np.ndarray) and np.ndim(value) > 0:
        return f'"[{", ".join(map(str, value))}]"'
    return value


class CSVLogger(Callback):
    """Write the logs of each epoch to a CSV file. Mirrors `keras.callbacks.CSVLogger`.

    Parameters
    ----------
    filename : str or path
    separator : str
    append : bool
        Go on with an existing file; its header is not repeated.
    """

    first_rank_only = True

    def __init__(self, filename: Any, separator: str = ",", append: bool = False) -> None:
        super().__init__()
        self.filename = os.fspath(filename)
        self.sep = separator
        self.append = append
        self.keys: list[str] | None = None
        self.writer: Any = None
        self.csv_file: Any = None
        self.append_header = True

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Open the file."""
        self._close()
        self.append_header = True
        if self.append and os.path.exists(self.filename):
            self.append_header = os.path.getsize(self.filename) == 0
        self.csv_file = open(  # noqa: SIM115  # closed by on_train_end
            self.filename, "a" if self.append else "w", encoding="utf-8", newline=""
        )
        self.writer = self.keys = None

    def _start(self, logs: Logs) -> None:
        """Fix the columns by the first epoch; validation may join in later."""
        self.keys = sorted(logs)
        if not any(key.startswith("val_") for key in self.keys):
            self.keys += [f"val_{key}" for key in self.keys]
        self.writer = csv.DictWriter(
            self.csv_file,
            fieldnames=["epoch", *self.keys],
            delimiter=self.sep,
            lineterminator=os.linesep,
        )
        if self.append_header:
            self.writer.writeheader()

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Write a line; "NA" stands where a quantity is missing."""
        logs = logs or {}
        if self.writer is None:
            self._start(logs)
        row = {key: _cell(logs.get(key, "NA")) for key in self.keys or []}
        self.writer.writerow({"epoch": epoch, **row})
        self.csv_file.flush()

    def _close(self) -> None:
        if self.csv_file is not None:
            self.csv_file.close()
            self.csv_file = None

    def on_train_end(self, logs: Logs | None = None) -> None:
        """Close the file."""
        self._close()
        self.writer = None

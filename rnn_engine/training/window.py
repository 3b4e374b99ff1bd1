"""Truncated backpropagation through time: long sequences, cut into windows."""

from collections.abc import Iterator
from typing import Any

from rnn_engine.graph.inside import is_stateful
from rnn_engine.training.arrays import ArraySource
from rnn_engine.training.source import Batch, Source


class WindowSource(Source):
    """Cut each batch into windows of time; the state lives on between them.

    Parameters
    ----------
    source : Source
        Batches ``x (B,T,...)`` with targets ``y (B,T,...)`` for every step.
    window : int
        Steps in a window; the last one may be shorter.
    model
        Its `reset_states` runs before the first window of each batch.
    """

    def __init__(self, source: Source, window: int, model: Any) -> None:
        self.source = source
        self.window = window
        self.model = model
        self.restarts = source.restarts
        if isinstance(source, ArraySource) and source.num_batches is not None:
            x, y, _ = source.arrays
            steps = check_window(x, y)
            self.num_batches = source.num_batches * -(-steps // window)

    def random_stream(self) -> Any:
        """Return that of the source."""
        return self.source.random_stream()

    def on_epoch_begin(self) -> None:
        """Tell the source."""
        self.source.on_epoch_begin()

    def on_epoch_end(self) -> None:
        """Tell the source."""
        self.source.on_epoch_end()

    def preview(self) -> list[Batch]:
        """Return the first window of each batch that the source shows beforehand."""
        return [next(self._cut(batch)) for batch in self.source.preview()]

    def batches(self) -> Iterator[Batch]:
        """Yield the windows of each batch in order."""
        for batch in self.source.batches():
            windows = self._cut(batch)
            self.model.reset_states()
            yield from windows

    def _cut(self, batch: Batch) -> Iterator[Batch]:
        x, y, weight = batch
        steps = check_window(x, y)
        stepwise = weight is not None and weight.ndim > 1 and weight.shape[1] == steps
        for start in range(0, steps, self.window):
            part = slice(start, start + self.window)
            yield x[:, part], y[:, part], weight[:, part] if stepwise else weight


def check_window(x: Any, y: Any) -> int:
    """Return the number of steps that `x` and `y` share.

    Raises
    ------
    ValueError
        If `y` has no target for every step.
    """
    if type(x) is list or type(y) is list:
        raise ValueError("window needs a model of one input and one output.")
    if x.ndim < 2 or y is None or y.ndim < 2 or y.shape[1] != x.shape[1]:
        shape = None if y is None else y.shape
        raise ValueError(
            f"window needs a target for every time step: x has shape {x.shape}, y {shape}."
        )
    return int(x.shape[1])


def check_stateful(model: Any) -> None:
    """Check that some layer carries its state from window to window.

    Raises
    ------
    ValueError
        If none does.
    """
    if not any(map(is_stateful, model.layers)):
        raise ValueError(
            "window needs a recurrent layer with stateful=True: without it every window would "
            "start from a zero state."
        )

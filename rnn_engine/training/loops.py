"""`Loops`: a pass over data, with hooks, that fit, evaluate and predict share."""

from collections.abc import Generator, Iterator
from contextlib import closing
from typing import Any

from rnn_engine.callbacks.callback_list import CallbackList
from rnn_engine.training.arrays import ArraySource
from rnn_engine.training.compiling import Compiled
from rnn_engine.training.data import make_source
from rnn_engine.training.source import Batch, Epochs, Source, warn_out_of_data
from rnn_engine.training.window import WindowSource, check_stateful


class Loops(Compiled):
    """From the user's data to steps and back to logs."""

    def _source(self, x: Any, y: Any = None, sample_weight: Any = None, **options: Any) -> Source:
        dtype, integer_x = self._data_policy()
        options.setdefault("time_major", True)
        return make_source(x, y, sample_weight, dtype=dtype, integer_x=integer_x, **options)

    def _windows(self, source: Source, window: int) -> Source:
        check_stateful(self)
        return WindowSource(source, window, self)

    def _prepare(self, source: Source, kind: str) -> None:
        """Build the model and look for a loss where the data is known beforehand."""
        if isinstance(source, ArraySource):
            x, y = source.arrays[0], source.arrays[1]
            assert x is not None
            model: Any = self
            model.build_from_data(x[: source.batch_size])
            if kind != "predict":
                self._loss_for(x, y)
                if (check := getattr(self._loss, "check_targets", None)) is not None:
                    check(y, model.compute_output_shape(x.shape))

    def _batches(self, epochs: Epochs) -> Generator[Batch]:
        """Yield the batches of an epoch; those that were not seen before are checked."""
        if isinstance(epochs.source, ArraySource):
            yield from epochs.epoch()
            return
        model: Any = self
        for batch in epochs.epoch():
            model.build_from_data(batch[0])
            yield batch

    def _pass(self, kind: str, epochs: Epochs, callbacks: CallbackList) -> int:
        """Train ("train") or evaluate ("test") on one epoch; return how many batches came."""
        seen = 0
        tracker = self._loss_tracker
        with closing(self._batches(epochs)) as batches:
            for batch in self._hooked(batches, callbacks, kind):
                if seen == 0:
                    step = self._step(kind, batch[0], batch[1])
                size = len(batch[0])
                tracker.total += step(*batch) * size
                tracker.count += size
                seen += 1
        return seen

    def _hooked(
        self, batches: Iterator[Batch], callbacks: CallbackList, phase: str
    ) -> Iterator[Batch]:
        """Yield the batches and call the batch hooks around each.

        Where nobody listens the loop has nothing to do but to watch for a stop.
        """
        stop = {"train": "stop_training", "test": "stop_evaluating"}[phase]
        begin, end = f"on_{phase}_batch_begin", f"on_{phase}_batch_end"
        if not callbacks.listens(begin) and not callbacks.listens(end):
            for batch in batches:
                yield batch
                if getattr(self, stop):
                    return
            return
        every, bar = self.steps_per_execution, callbacks.only_bar(end)
        call_begin, call_end = getattr(callbacks, begin), getattr(callbacks, end)
        index = -1
        for index, batch in enumerate(batches):
            if index % every == 0:
                call_begin(index)
            yield batch
            if index % every == every - 1:
                if bar is None or bar.due():
                    call_end(index, self.get_metrics_result())
                else:
                    bar.seen = index + 1
                if getattr(self, stop):
                    return
        if index % every != every - 1:  # a short last group, numbered as if it were full
            call_end(index - index % every + every - 1, self.get_metrics_result())

    def _evaluate(self, epochs: Epochs, callbacks: CallbackList) -> dict[str, Any]:
        self.stop_evaluating = False
        callbacks.on_test_begin()
        self.reset_metrics()
        seen = self._pass("test", epochs, callbacks)
        if not seen:
            warn_out_of_data()
        logs = self.get_metrics_result() if seen else {}
        callbacks.on_test_end(logs)
        return logs

    def _callback_list(self, callbacks: Any, verbose: int, epochs: Epochs) -> CallbackList:
        return CallbackList(
            callbacks,
            add_progbar=verbose != 0,
            model=self,
            verbose=verbose,
            epochs=1,
            steps=epochs.num_batches,
        )

    def _forward(self) -> Any:
        model: Any = self
        return model.forward

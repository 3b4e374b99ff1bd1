"""`Loops`: a pass over data, with hooks, that fit, evaluate and predict share."""

from collections.abc import Generator, Iterator
from contextlib import closing
from typing import Any

from rnn_engine.callbacks.callback_list import CallbackList
from rnn_engine.training.arrays import ArraySource
from rnn_engine.training.compiling import Compiled
from rnn_engine.training.data import make_source, raise_empty
from rnn_engine.training.source import Batch, Epochs, Source
from rnn_engine.training.window import WindowSource, check_stateful
from rnn_engine.variable import writes


class Loops(Compiled):
    """From the user's data to steps and back to logs."""

    _fits: dict[str, Any] | None = None  # what `_check_shapes` saw last, of each kind

    def _source(self, x: Any, y: Any = None, sample_weight: Any = None, **options: Any) -> Source:
        dtype, integer_x = self._data_policy()
        options.setdefault("time_major", True)
        return make_source(x, y, sample_weight, dtype=dtype, integer_x=integer_x, **options)

    def _windows(self, source: Source, window: int) -> Source:
        check_stateful(self)
        return WindowSource(source, window, self)

    def _prepare(self, epochs: Epochs, kind: str, times: int = 1) -> None:
        """Build the model and check the data that is known before the first of `times` epochs."""
        source = epochs.source
        batches = source.preview()
        if epochs.steps and epochs.steps * times < (source.num_batches or 0):
            del batches[1:]  # a short last batch that is never reached
        for batch in batches:
            self._admit(*batch, kind)
        if isinstance(source, ArraySource) and kind != "predict":
            x, y = source.arrays[0], source.arrays[1]
            assert x is not None
            if (check := getattr(self._loss, "check_targets", None)) is not None:
                model: Any = self
                check(y, model.compute_output_shape(x.shape))

    def _admit(self, x: Any, y: Any, weight: Any, kind: str) -> None:
        """Build the model, if it is not yet, and check that it can take a batch."""
        self._require_targets(y, kind)
        model: Any = self
        model.build_from_data(x)
        self._check_shapes(x, y, weight, kind)

    def _require_targets(self, y: Any, kind: str) -> None:
        """Raise ValueError if a loss is needed, and it or the targets are missing."""
        if kind != "predict" and (y is None or self.loss is None):
            self._loss_for(None, y)

    def _check_shapes(self, x: Any, y: Any, weight: Any, kind: str) -> None:
        """Check that a batch fits the model and the loss, before any layer moves its state.

        Raises
        ------
        ValueError
            As the layer or the loss would, later.
        """
        fits = (
            x.shape, None if y is None else y.shape, None if weight is None else weight.shape,
            self._loss,
        )  # fmt: skip
        if self._fits is None:
            self._fits = {}
        elif fits == self._fits.get(kind):
            return
        model: Any = self
        shape = model.checked_output_shape(x)
        if kind != "predict":
            self._loss_for(x, y)  # where its name means one that fits the shapes
            check = getattr(self._loss, "check_shapes", None)
            if check is not None and shape is not None:
                check(y, shape, weight)
        self._fits[kind] = fits

    def _batches(self, epochs: Epochs, kind: str) -> Generator[Batch]:
        """Yield the batches of an epoch; those that were not seen before are checked."""
        if isinstance(epochs.source, ArraySource):
            yield from epochs.epoch()
            return
        for batch in epochs.epoch():
            self._admit(*batch, kind)
            yield batch

    def _pass(self, kind: str, epochs: Epochs, callbacks: CallbackList) -> int:
        """Train ("train") or evaluate ("test") on one epoch; return how many batches came."""
        seen = 0
        tracker = self._loss_tracker
        with closing(self._batches(epochs, kind)) as batches:
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
            raise_empty("iterable")
        logs = self.get_metrics_result()
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

    def _predict_batch(self, x: Any) -> Any:
        """Return the output for a batch, by one set of weights."""
        model: Any = self
        before = writes.count
        y = model.forward(x, False)[0]
        if writes.since(before):
            y = model._again(y, x, False)
        return model.halved(y) if getattr(model, "_gives_half", False) else y

    def _predict_all(self, epochs: Epochs) -> list[Any]:
        return [self._predict_batch(x) for x, _, _ in self._batches(epochs, "predict")]

"""A pass over data, with hooks, that fit and evaluate share."""

from collections.abc import Generator, Iterator
from contextlib import closing
from typing import Any

from rnn_engine.callbacks.callback_list import CallbackList
from rnn_engine.training.custom import is_custom
from rnn_engine.training.data import make_source, raise_empty
from rnn_engine.training.protocol import Trainable
from rnn_engine.training.source import Batch, Epochs, Source, rows_of
from rnn_engine.training.window import WindowSource, check_stateful


def source_for(
    model: Trainable, x: Any, y: Any = None, sample_weight: Any = None, **options: Any
) -> Source:
    """Return the source of batches of a user's data for a model."""
    options.setdefault("time_major", True)
    if (see := getattr(model, "see_data", None)) is not None:
        see(x)
    return make_source(x, y, sample_weight, form=model.data_form(), **options)


def windows_of(model: Trainable, source: Source, window: int) -> Source:
    """Return the source of the windows of time of a source's batches."""
    check_stateful(model)
    return WindowSource(source, window, model)


def prepare(model: Trainable, epochs: Epochs, kind: str, times: int = 1) -> None:
    """Build the model and check the data that is known before the first of `times` epochs."""
    source = epochs.source
    batches = source.preview()
    if epochs.steps and epochs.steps * times < (source.num_batches or 0):
        del batches[1:]  # a short last batch that is never reached
    for batch in batches:
        admit(model, *batch, kind)
    losses = model._compilation.losses if kind != "predict" else None
    x, y, _ = source.arrays
    if losses is not None and y is not None:
        several = type(x) is list
        shapes = model.compute_output_shape([part.shape for part in x] if several else x.shape)
        several = losses.form.several_outputs
        for entry in losses.entries:
            if (check := getattr(entry.loss, "check_targets", None)) is not None:
                i = entry.number
                check(*((y[i], shapes[i]) if several else (y, shapes)))


def admit(model: Trainable, x: Any, y: Any, weight: Any, kind: str) -> None:
    """Build the model, if it is not yet, and check that it can take a batch."""
    if kind != "predict" and (y is None or model.loss is None) and not is_custom(model, kind):
        _losses_for(model, x, y)  # raises
    model.build_from_data(x)
    _check_shapes(model, x, y, weight, kind)


def _losses_for(model: Trainable, x: Any, y: Any) -> Any:
    ys = y if type(y) is list else [y] * len(model.data_form().outputs)
    return model._compilation.losses_for(model, x, ys)


def _check_shapes(model: Trainable, x: Any, y: Any, weight: Any, kind: str) -> None:
    """Check that a batch fits the model and the loss, before any layer moves its state.

    Raises
    ------
    ValueError
        As the layer or the loss would, later.
    """
    losses = model._compilation.losses if kind != "predict" and y is not None else None
    fits = _shape(x), _shape(y), _shape(weight), losses
    if model._fits is None:
        model._fits = {}
    elif fits == model._fits.get(kind):
        return
    shape = model.checked_output_shape(x)
    if losses is not None:
        _losses_for(model, x, y)  # where its name means one that fits the shapes
        several = losses.form.several_outputs
        for entry in losses.entries:
            check = getattr(entry.loss, "check_shapes", None)
            of, i = shape, entry.number
            if several:
                of = None if shape is None else shape[i]
            if check is not None and of is not None:
                check(*((y[i], of, weight and weight[i]) if several else (y, of, weight)))
    model._fits[kind] = fits


def _shape(value: Any) -> Any:
    if value is None:
        return None
    return tuple(map(_shape, value)) if type(value) is list else value.shape


def batches_of(model: Trainable, epochs: Epochs, kind: str) -> Generator[Batch]:
    """Yield the batches of an epoch; those that were not seen before are checked."""
    if epochs.source.admitted:
        yield from epochs.epoch()
        return
    for batch in epochs.epoch():
        admit(model, *batch, kind)
        yield batch


def run_pass(model: Trainable, kind: str, epochs: Epochs, callbacks: CallbackList) -> int:
    """Train ("train") or evaluate ("test") on one epoch; return how many batches came."""
    seen = first = epochs.offset
    compilation = model._compilation
    tracker = compilation.tracker
    compilation.logs = None
    with closing(batches_of(model, epochs, kind)) as batches:
        for batch in _hooked(model, batches, callbacks, kind, first):
            if seen == first:
                step = compilation.step(model, kind, batch[0], batch[1])
            size = rows_of(batch[0])
            value = step(*batch)
            if compilation.logs is None:  # else a step of one's own has seen to it
                tracker.total += value * size
                tracker.count += size
            seen += 1
    return seen


def logs_of(model: Trainable) -> dict[str, Any]:
    """Return the logs so far: those of a step of one's own, else the results of the metrics."""
    logs = model._compilation.logs
    return model.get_metrics_result() if logs is None else dict(logs)


def _hooked(
    model: Trainable, batches: Iterator[Batch], callbacks: CallbackList, phase: str, first: int
) -> Iterator[Batch]:
    """Yield the batches, numbered from `first`, and call the batch hooks around each.

    Where nobody listens the loop has nothing to do but to watch for a stop.
    """
    stop = {"train": "stop_training", "test": "stop_evaluating"}[phase]
    begin, end = f"on_{phase}_batch_begin", f"on_{phase}_batch_end"
    if not callbacks.listens(begin) and not callbacks.listens(end):
        for batch in batches:
            yield batch
            if getattr(model, stop):
                return
        return
    every, bar = model.steps_per_execution, callbacks.only_bar(end)
    call_begin, call_end = getattr(callbacks, begin), getattr(callbacks, end)
    index = first - 1
    for index, batch in enumerate(batches, first):
        if index % every == 0:
            call_begin(index)
        yield batch
        if index % every == every - 1:
            if bar is None or bar.due():
                call_end(index, logs_of(model))
            else:
                bar.seen = index + 1
            if getattr(model, stop):
                return
    # A short last group is numbered as if it were full.
    if index >= first and index % every != every - 1:
        call_end(index - index % every + every - 1, logs_of(model))


def evaluate_pass(model: Trainable, epochs: Epochs, callbacks: CallbackList) -> dict[str, Any]:
    """Evaluate on one epoch; return the logs."""
    model.stop_evaluating = False
    callbacks.on_test_begin()
    model.reset_metrics()
    if not run_pass(model, "test", epochs, callbacks):
        raise_empty("iterable")
    logs = logs_of(model)
    callbacks.on_test_end(logs)
    return logs


def callback_list(model: Trainable, callbacks: Any, verbose: int, epochs: Epochs) -> CallbackList:
    """Return callbacks for one pass, with a bar unless `verbose` is 0."""
    if isinstance(callbacks, CallbackList):
        return callbacks
    return CallbackList(
        callbacks,
        add_progbar=verbose != 0,
        model=model,
        verbose=verbose,
        epochs=1,
        steps=epochs.num_batches,
    )

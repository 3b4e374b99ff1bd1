"""The epochs of a training."""

from typing import Any

import numpy as np

from rnn_engine.callbacks.callback_list import CallbackList
from rnn_engine.random import Place
from rnn_engine.training import arguments as check
from rnn_engine.training.data import raise_empty
from rnn_engine.training.passes import evaluate_pass, logs_of, prepare, run_pass
from rnn_engine.training.protocol import Trainable
from rnn_engine.training.source import Epochs


def run_epochs(
    model: Trainable,
    training: Epochs,
    validation: Epochs | None,
    callbacks: CallbackList,
    span: range,
    frequency: Any,
) -> None:
    """Run the epochs of `span`; whatever ends them, every callback hears of the end."""
    model.stop_training = model.training_interrupted = False
    model._initial_epoch = None
    logs: dict[str, Any] | None = None
    with model._compilation.guard:
        try:
            model._training_data = training
            callbacks.on_train_begin()
            first = model._initial_epoch or span.start  # BackupAndRestore sets it
            for epoch in range(first, span.stop):
                if not training.offset:  # else in the middle of an interrupted epoch
                    if not training.has_more():
                        break
                    model.reset_metrics()
                callbacks.on_epoch_begin(epoch)
                if not run_pass(model, "train", training, callbacks):
                    raise_empty("iterable")
                logs = logs_of(model)
                if validation is not None and check.validates(epoch, frequency):
                    results = evaluate_pass(model, validation, callbacks)
                    logs.update({f"val_{name}": value for name, value in results.items()})
                callbacks.on_epoch_end(epoch, logs)
                if model.stop_training:
                    break
            if span.stop > 0:
                model.optimizer.finalize_variable_values(model.trainable_variables)
        except BaseException as error:
            model.training_interrupted = True
            try:
                callbacks.on_train_end(logs)
            except Exception as second:
                error.add_note(f"on_train_end then raised {type(second).__name__}: {second}")
            raise
        callbacks.on_train_end(logs)


def begin_parallel(model: Trainable, parallel: Any, window: Any) -> Any:
    """Return what a `fit` over several ranks needs.

    Raises
    ------
    TypeError, ValueError
        If `parallel` is nothing that divides a training, or the training cannot be divided.
    """
    if not hasattr(parallel, "begin"):
        raise TypeError(
            f"parallel must be a rnn_engine.distributed.DataParallel, got {parallel!r}."
        )
    if window is not None:
        raise ValueError(
            "window needs stateful layers, whose states belong to rows that change their ranks: "
            "it cannot go with `parallel`."
        )
    return parallel.begin(model)


def order_generator(model: Trainable) -> np.random.Generator:
    """Return the generator of the order of samples in this `fit`."""
    if model._place is None:
        model._place = Place()
    return model._place.next_generator()


def prepare_both(
    model: Trainable, training: Epochs, validation: Epochs | None, span: range, frequency: Any
) -> None:
    """Check what is known of the data before the first step, those of the validation too."""
    prepare(model, training, "train", len(span))
    if validation is not None:
        times = sum(check.validates(epoch, frequency) for epoch in span)
        prepare(model, validation, "test", times)

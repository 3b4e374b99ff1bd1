"""The epochs of a training."""

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np

from rnn_engine.callbacks.callback_list import CallbackList
from rnn_engine.random import Place
from rnn_engine.training import arguments as check
from rnn_engine.training.data import raise_empty
from rnn_engine.training.passes import evaluate_pass, logs_of, prepare, run_pass
from rnn_engine.training.protocol import Trainable
from rnn_engine.training.source import Epochs, Source


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


class Alone:
    """One `fit` in this process; has what that over several ranks has (`distributed`'s `Run`)."""

    def __init__(self, model: Trainable) -> None:
        self.model = model

    def share(self, source: Source, kind: str) -> Source:
        """Return the source: all of it is for this process."""
        return source

    def callbacks(self, given: Any, verbose: int, **params: Any) -> CallbackList:
        """Return the callbacks, with those that every `fit` has."""
        if isinstance(given, CallbackList):
            return given
        return CallbackList(
            given,
            add_history=True,
            add_progbar=verbose != 0,
            model=self.model,
            verbose=verbose,
            **params,
        )

    def running(self) -> AbstractContextManager[None]:
        """Do nothing around the epochs."""
        return nullcontext()


def begin(model: Trainable, parallel: Any, window: Any) -> Any:
    """Return what a `fit` does in its own way in one process, or over several ranks.

    Raises
    ------
    TypeError, ValueError
        If `parallel` is nothing that divides a training, or the training cannot be divided.
    """
    if parallel is None:
        return Alone(model)
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

"""Prediction: batch by batch, and what becomes of the outputs."""

from contextlib import closing
from typing import Any

import numpy as np

from rnn_engine.callbacks.callback_list import CallbackList
from rnn_engine.training.arrays import ArraySource
from rnn_engine.training.custom import CustomSteps, own_prediction
from rnn_engine.training.data import raise_empty
from rnn_engine.training.passes import batches_of, callback_list
from rnn_engine.training.source import Epochs
from rnn_engine.variable import writes


def predict_batch(model: Any, x: Any) -> Any:
    """Return the output for a batch, by one set of weights."""
    if type(model).predict_step is not CustomSteps.predict_step:
        return own_prediction(model, x)
    before = writes.count
    y = model.forward(x, False)[0]
    if writes.since(before):
        y = model._again(y, x, False)
    return model.halved(y) if getattr(model, "_gives_half", False) else y


def predict_all(model: Any, epochs: Epochs) -> list[Any]:
    """Return the outputs of all batches."""
    return [predict_batch(model, x) for x, _, _ in batches_of(model, epochs, "predict")]


def predict(model: Any, epochs: Epochs, callbacks: Any, verbose: int) -> Any:
    """Return the outputs for one epoch; those of arrays by one set of weights."""
    before, hears = writes.count, callbacks is not None
    if verbose == 0 and not hears:
        outputs = predict_all(model, epochs)
    else:
        watching = callback_list(model, callbacks, verbose, epochs)
        outputs = predict_watched(model, epochs, watching)
    again = not hears and isinstance(epochs.source, ArraySource) and writes.since(before)
    if again and len(outputs) > 1 and model._repeats:  # one batch has seen to it itself
        with writes.lock:
            outputs = predict_all(model, epochs)
    return packed(model, join_outputs(outputs))


def packed(model: Any, y: Any) -> Any:
    """Return outputs in the form in which the model's outputs were given."""
    pack = getattr(model, "nested_outputs", None)
    return y if pack is None else pack(y, {})


def predict_watched(model: Any, epochs: Epochs, callbacks: CallbackList) -> list[Any]:
    """Predict batch by batch with hooks; a short last group is numbered as if full."""
    model.stop_predicting = False
    callbacks.on_predict_begin()
    every = model.steps_per_execution
    outputs: list[Any] = []
    group: list[Any] = []

    def end(index: int) -> None:
        outputs = packed(model, join_outputs(group))
        callbacks.on_predict_batch_end(index, {"outputs": outputs})
        group.clear()

    with closing(batches_of(model, epochs, "predict")) as batches:
        for index, (x, _, _) in enumerate(batches):
            if index % every == 0:
                callbacks.on_predict_batch_begin(index)
            outputs.append(predict_batch(model, x))
            group.append(outputs[-1])
            if index % every == every - 1:
                end(index)
                if model.stop_predicting:
                    break
        if group:
            end(len(outputs) - len(group) + every - 1)
    callbacks.on_predict_end()
    return outputs


def join_outputs(outputs: list[Any]) -> Any:
    """Return outputs of batches as one array, or the list where shapes differ.

    Of several outputs a batch, a tuple of these.

    Raises
    ------
    ValueError
        If there are none.
    """
    if not outputs:
        raise_empty("iterable")
    if len(outputs) == 1:
        return outputs[0]
    if isinstance(outputs[0], tuple):
        return tuple(join_outputs(list(parts)) for parts in zip(*outputs, strict=True))
    if len({output.shape[1:] for output in outputs}) > 1:
        return list(outputs)
    return np.concatenate(outputs)

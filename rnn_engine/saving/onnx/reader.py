"""`from_onnx`: a model of the library from an ONNX file."""

import os
from typing import Any

from rnn_engine.functional import Functional
from rnn_engine.initializers.deferred import values_come_later
from rnn_engine.saving.errors import RefusedError, damage_named
from rnn_engine.saving.onnx import (  # noqa: F401
    arithmetic,
    einsum,
    glue,
    larger,
    lookups,
    loops,
    recurrent,
    standard,
)
from rnn_engine.saving.onnx.builder import Builder
from rnn_engine.saving.onnx.chains import with_chains_joined
from rnn_engine.saving.onnx.masks import with_masks_joined
from rnn_engine.saving.onnx.model import BatchInside
from rnn_engine.saving.onnx.read import read
from rnn_engine.saving.onnx.texts import with_texts_joined
from rnn_engine.saving.onnx.views import BoundBatchError, OtherBatchError, View

_MOST_NODES = 10_000
_UNLIMITED = 1 << 62  # every array of the file has been read within its budget by then


def from_onnx(path: Any) -> Any:
    """Return a model that computes what an ONNX file does; it needs no onnx any more.

    RNN, LSTM and GRU in all directions, with lengths, initial states and activations, become
    the layers of these names, also where an exporter has written them as a `Loop`, or step
    by step; products, convolutions, pooling, normalizations, embeddings and activations become
    layers, arithmetic `ops`. What rearranges axes becomes nothing wherever possible.

    Needs the extra ``onnx``.

    Parameters
    ----------
    path : str or path
        An ``.onnx`` file. Numbers that it keeps in other files are read from its folder.

    Returns
    -------
    Model
        Its inputs and outputs are those of the file, in their order and with their axes. The
        size of the batch is free, also where the file was exported with one example; where the
        file's own numbers depend on it, it is as in the file. Where the batch is not the first
        axis of an input or output, `predict` takes the data in one batch and there is no `fit`.

    Raises
    ------
    ValueError
        If there is no such file, it is damaged, or it holds what the library does not
        compute; the message names the file, and the node.
    ImportError
        If the package onnx is not installed.

    See Also
    --------
    to_onnx : The way back.

    Notes
    -----
    float16 graphs are refused. With ``sequence_lens`` outputs behind the end are zero, and
    last states those of the last valid step, as ONNX has it.
    """
    path = os.fspath(path)
    if not os.path.isfile(path):
        raise ValueError(f"File not found: filepath={path}.")
    with damage_named(path):
        try:
            return _model(path)
        except RefusedError as error:
            if path in str(error):
                raise
            raise RefusedError(f"{path}: {error}") from error


def _model(path: str) -> Any:
    graph, version, budget = read(path)
    graph = with_chains_joined(with_masks_joined(with_texts_joined(graph)))
    if len(graph.nodes) > _MOST_NODES:
        raise RefusedError(f"it has {len(graph.nodes)} nodes; up to {_MOST_NODES} are read.")
    batch_axes: dict[str, int] = {}
    bound, last_only = False, set[str]()
    for _ in range(2 * len(graph.inputs) + 3):
        builder = Builder(graph, version, budget, batch_axes, bound, last_only)
        try:
            with values_come_later(_UNLIMITED, path):
                model = _built(builder)
        except OtherBatchError as found:
            name, axis = found.factor.origin or ("", 0)
            if batch_axes.get(name) == axis:
                raise RefusedError(f"which axis of {name!r} is the batch cannot be told.") from None
            batch_axes = {**batch_axes, name: axis}
            continue
        except BoundBatchError:
            if bound:
                raise
            bound = True
            continue
        read_last = _read_last(model, builder)
        if read_last and not last_only:
            last_only = read_last
            continue
        for layer, weights in builder.weights:
            layer.set_weights(weights)
        return model
    raise RefusedError("which axes of its inputs are the batch cannot be told.")


def _built(builder: Builder) -> Any:
    graph = builder.graph
    if not graph.inputs or not graph.outputs:
        raise RefusedError("it has no inputs, or no outputs.")
    # Those whose batch was found first: others are measured by them.
    known = builder.batch_axes
    for port in sorted(graph.inputs, key=lambda port: port.name not in known):
        builder.add_input(port)
    inputs = [builder.values[port.name].tensor for port in graph.inputs]
    builder.run()
    outputs = [builder.output(port) for port in graph.outputs]
    views = [builder.values[port.name] for port in (*graph.inputs, *graph.outputs)]
    kind = Functional if all(_batch_first(view) for view in views) else BatchInside
    return kind(
        inputs[0] if len(inputs) == 1 else inputs, outputs[0] if len(outputs) == 1 else outputs
    )


def _read_last(model: Any, builder: Builder) -> set[str]:
    """Return the outputs of recurrent nodes of which only the last step is read."""
    whole = {id(tensor) for tensor in model.outputs}
    found: set[int] = set()
    for node in model.layout.nodes:
        for tensor in node.inputs:
            last = getattr(node.operation, "op", "") == "get_item"
            last = last and node.args[1] == (slice(None), -1)
            (found if last else whole).add(id(tensor))
    return {name for key, name in builder.sequences.items() if key in found - whole}


def _batch_first(view: View) -> bool:
    return bool(view.axes and view.axes[0] and view.axes[0][0].batch)

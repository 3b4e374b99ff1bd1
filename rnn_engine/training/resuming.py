"""The state of a training that is neither a weight nor the optimizer's, as plain data.

Streams of random numbers, states of recurrent layers, sums of metrics, and the place in the
data: with the weights and the optimizer all that the next batch depends on.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np

from rnn_engine.random import SeedGenerator
from rnn_engine.variable import Variable


def state_of(model: Any) -> dict[str, Any]:
    """Return the state of streams, layers and metrics of a model in training, ready for JSON."""
    compilation = model._compilation
    metrics = compilation.metrics
    return {
        "streams": [stream.bit_generator.state for stream in streams_of(model)],
        "layers": [
            None if states is None else [_listed(state) for state in states]
            for states in _states(model)
        ],
        "losses": [[float(t.total), float(t.count)] for t in _trackers(compilation)],
        "metrics": [] if metrics is None else [_listed(v) for v in metrics.variables],
        "shapes": None if metrics is None else metrics.shapes,
    }


def restore_state(model: Any, state: dict[str, Any]) -> None:
    """Take over what `state_of` returned.

    Raises
    ------
    ValueError
        If it is that of another model.
    """
    streams, layers = list(streams_of(model)), list(_recurrent(model))
    if len(streams) != len(state["streams"]) or len(layers) != len(state["layers"]):
        raise ValueError(
            f"The backup is that of another model: it has {len(state['streams'])} streams of "
            f"random numbers and {len(state['layers'])} layers with states, this one has "
            f"{len(streams)} and {len(layers)}."
        )
    for stream, saved in zip(streams, state["streams"], strict=True):
        stream.bit_generator.state = saved
    for layer, saved in zip(layers, state["layers"], strict=True):
        if saved is None:
            continue
        if layer.states is None:
            layer._create_states(len(saved[0]))
        for variable, values in zip(layer.states, saved, strict=True):
            variable.write(np.asarray(values, variable.dtype))
    compilation = model._compilation
    for tracker, saved in zip(_trackers(compilation), state["losses"], strict=True):
        tracker.total, tracker.count = map(float, saved)
    metrics, shapes = compilation.metrics, state["shapes"]
    if metrics is None or shapes is None:  # none yet had a batch
        return
    if not metrics.built:
        # There may be no batch left in the interrupted epoch that would build them.
        ys, preds = ([_blank(shape) for shape in part] for part in shapes)
        if compilation.losses is not None:
            compilation.losses.resolve(ys, lambda: [pred.shape for pred in preds])
        metrics.build(ys, preds)
    metrics.take(state["metrics"])


def _trackers(compilation: Any) -> list[Any]:
    """Return what averages losses: that of the whole, and those of several outputs."""
    return [compilation.tracker, *getattr(compilation.losses, "trackers", ())]


def _blank(shape: Any) -> Any:
    """Return an array of a shape that takes no memory, None for None."""
    return None if shape is None else np.broadcast_to(0.0, tuple(map(int, shape)))


def _listed(variable: Variable) -> Any:
    return variable.numpy().tolist()


def _layers(model: Any) -> Iterator[Any]:
    """Yield the layers in a model once each, those in attributes and lists of others, too."""
    seen: set[int] = set()
    waiting = [model]
    while waiting:
        layer = waiting.pop()
        if id(layer) in seen:
            continue
        seen.add(id(layer))
        yield layer
        values = [*getattr(layer, "sublayers", ()), *vars(layer).values()]
        for value in values:
            parts = value if isinstance(value, list | tuple) else [value]
            waiting += [part for part in parts if hasattr(part, "forward_with_mask")]


def streams_of(model: Any) -> Iterator[np.random.Generator]:
    """Yield the streams that layers draw from, once each."""
    found: dict[int, np.random.Generator] = {}
    for layer in _layers(model):
        for value in vars(layer).values():
            stream = value.generator if isinstance(value, SeedGenerator) else value
            if isinstance(stream, np.random.Generator):
                found.setdefault(id(stream), stream)
    yield from found.values()


def _recurrent(model: Any) -> Iterator[Any]:
    yield from (layer for layer in _layers(model) if getattr(layer, "stateful", False)
                and hasattr(layer, "states"))  # fmt: skip


def _states(model: Any) -> Iterator[Any]:
    yield from (layer.states for layer in _recurrent(model))

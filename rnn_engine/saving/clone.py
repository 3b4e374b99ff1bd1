"""`clone_model`: the same layers, with weights of their own."""

from collections.abc import Callable
from typing import Any


def clone_model(
    model: Any,
    input_tensors: Any = None,
    clone_function: Callable[[Any], Any] | None = None,
    recursive: bool = False,
) -> Any:
    """Return a model of new layers with new weights (`keras.models.clone_model`).

    It is not compiled. A layer that stands in the model twice does so in the clone.

    Parameters
    ----------
    model : Sequential
    input_tensors : InputLayer, optional
        To build the clone for another shape.
    clone_function : callable, optional
        From a layer to the one that takes its place; by default a new one of the same
        config.
    recursive : bool
        Clone inner models layer by layer too.

    Raises
    ------
    ValueError
        If `model` is not a `Sequential`.

    Examples
    --------
    >>> import rnn_engine
    >>> model = rnn_engine.Sequential([rnn_engine.layers.Dense(2, input_shape=(3,))])
    >>> clone_model(model).count_params()
    8
    """
    if not (hasattr(model, "layers") and hasattr(model, "add")):
        raise ValueError(f"clone_model needs a Sequential, got {model!r} of type {type(model)}.")
    copies: dict[int, Any] = {}

    def copy(layer: Any) -> Any:
        if id(layer) not in copies:
            if recursive and hasattr(layer, "layers") and hasattr(layer, "add"):
                new = clone_model(layer, None, clone_function, recursive)
            else:
                new = (clone_function or _same)(layer)
            copies[id(layer)] = new
        return copies[id(layer)]

    clone = type(model)(name=model.name, trainable=model.trainable)
    first = input_tensors[0] if isinstance(input_tensors, list | tuple) else input_tensors
    if first is None and model._input_layer is not None:
        first = _same(model._input_layer)
    for layer in ([] if first is None else [first]) + [copy(layer) for layer in model.layers]:
        clone.add(layer, rebuild=False)
    if first is not None or model.built:
        clone.build(first.batch_shape if first is not None else model.build_shape)
    return clone


def _same(layer: Any) -> Any:
    return type(layer).from_config(layer.get_config())

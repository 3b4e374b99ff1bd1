"""`clone_model`: the same layers, with weights of their own."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from rnn_engine import sharing
from rnn_engine.functional_config import same_calls
from rnn_engine.graph import KerasTensor
from rnn_engine.layers.base import registry as layers
from rnn_engine.layers.input_layer import InputLayer

if TYPE_CHECKING:  # models know this package
    from rnn_engine.model import Model


def clone_model(
    model: Any,
    input_tensors: Any = None,
    clone_function: Callable[[Any], Any] | None = None,
    recursive: bool = False,
) -> "Model":
    """Return a model of new layers with new weights (`keras.models.clone_model`).

    Compiled as the model is, with a new optimizer. A layer that stands in the model
    twice does so in the clone, inside other layers too; there, Keras makes two of it.

    Parameters
    ----------
    model : Sequential or Functional
    input_tensors : InputLayer or KerasTensor, or nest of them, optional
        What the clone begins with, for another shape.
    clone_function : callable, optional
        From a layer to the one that takes its place; by default a new one of the same
        config.
    recursive : bool
        Clone inner models layer by layer too.

    Raises
    ------
    ValueError
        If `model` is neither.

    Examples
    --------
    >>> import rnn_engine
    >>> model = rnn_engine.Sequential([rnn_engine.layers.Dense(2, input_shape=(3,))])
    >>> clone_model(model).count_params()
    8
    """
    if not _is_model(model):
        raise ValueError(
            f"clone_model needs a Sequential or a Functional model, got {model!r} of type "
            f"{type(model)}."
        )
    copies: dict[int, Any] = {}
    with sharing.writing() as written:
        if clone_function is None:
            layers.serialize(model)
            written.mark()

    def copy(layer: Any) -> Any:
        if id(layer) not in copies:
            if recursive and _is_model(layer):
                copies[id(layer)] = _clone(layer, None, copy)
            elif clone_function is not None:
                copies[id(layer)] = clone_function(layer)
            else:
                copies[id(layer)] = layers.deserialize_as(
                    type(layer), written.configs[id(layer)][0]
                )
        return copies[id(layer)]

    with sharing.reading():
        return _clone(model, input_tensors, copy)


def _is_model(layer: Any) -> bool:
    """Whether a layer is a model whose layers can be copied one by one."""
    return hasattr(layer, "layers") and (hasattr(layer, "add") or hasattr(layer, "layout"))


def _clone(model: Any, input_tensors: Any, copy: Callable[[Any], Any]) -> Any:
    """Return a model of copies of the layers."""
    if hasattr(model, "layout"):

        def with_input(layer: Any) -> Any:
            return _same(layer) if isinstance(layer, InputLayer) else copy(layer)

        inputs, outputs = same_calls(model, with_input, input_tensors)
        return _compiled_alike(type(model)(inputs, outputs, name=model.name), model)
    clone = type(model)(name=model.name, trainable=model.trainable)
    first = input_tensors[0] if isinstance(input_tensors, list | tuple) else input_tensors
    if first is not None and not isinstance(first, InputLayer | KerasTensor):
        raise ValueError(
            f"Argument `input_tensors` must be a KerasTensor. Received invalid value: "
            f"input_tensors={input_tensors}"
        )
    if first is None and model._input_layer is not None:
        first = _same(model._input_layer)
    for layer in ([] if first is None else [first]) + [copy(layer) for layer in model.layers]:
        clone.add(layer, rebuild=False)
    if first is not None or model.built:
        clone.build(first.batch_shape if first is not None else model.build_shape)
    return _compiled_alike(clone, model)


def _compiled_alike(clone: Any, model: Any) -> Any:
    """Return `clone`, compiled as `model` is."""
    if model.compiled:
        settings = {**model._compilation.settings, "optimizer": model.optimizer}
        clone.compile(**{key: _new(value) for key, value in settings.items()})
    return clone


def _new(value: Any) -> Any:
    """Return a setting of `compile` with new optimizers and metrics, which have states."""
    if isinstance(value, list | tuple):
        return [_new(entry) for entry in value]
    if isinstance(value, dict) and "class_name" not in value:
        return {key: _new(entry) for key, entry in value.items()}
    stateful = hasattr(value, "update_state") or hasattr(value, "apply_gradients")
    return _same(value) if stateful else value


def _same(thing: Any) -> Any:
    """Return a new layer, metric or optimizer of the same config."""
    return type(thing).from_config(thing.get_config())

"""Activations: `keras.activations`, each with its derivative by hand.

They are objects that are called like Keras's functions, on arrays, with the same
arguments; ``backward(dy, saved)`` goes back. Those of the table in `kernels.formulas`
run inside the kernels of the recurrent and dense layers. `with_arguments` gives one
that has other arguments than Keras's defaults for good, to be handed to a layer::

    Dense(8, activation=activations.leaky_relu.with_arguments(negative_slope=0.1))
"""

from typing import Any

from rnn_engine.activations.along_axis import GLU, AlongAxis, LogSoftmax, Softmax, Sparsemax
from rnn_engine.activations.base import (
    Activation,
    BoundActivation,
    CustomActivation,
    FunctionActivation,
    Parametrised,
    registry,
)
from rnn_engine.activations.elementwise import HARD_SIGMOID_KERAS2
from rnn_engine.lazy import lazily, show_public

celu = registry.lookup("celu")
elu = registry.lookup("elu")
exponential = registry.lookup("exponential")
gelu = registry.lookup("gelu")
glu = registry.lookup("glu")
hard_shrink = registry.lookup("hard_shrink")
hard_sigmoid = registry.lookup("hard_sigmoid")
hard_silu = registry.lookup("hard_silu")
hard_swish = hard_silu
hard_tanh = registry.lookup("hard_tanh")
leaky_relu = registry.lookup("leaky_relu")
linear = registry.lookup("linear")
log_sigmoid = registry.lookup("log_sigmoid")
log_softmax = registry.lookup("log_softmax")
mish = registry.lookup("mish")
relu = registry.lookup("relu")
relu6 = registry.lookup("relu6")
selu = registry.lookup("selu")
sigmoid = registry.lookup("sigmoid")
silu = registry.lookup("silu")
soft_shrink = registry.lookup("soft_shrink")
softmax = registry.lookup("softmax")
softplus = registry.lookup("softplus")
softsign = registry.lookup("softsign")
sparse_plus = registry.lookup("sparse_plus")
sparse_sigmoid = registry.lookup("sparse_sigmoid")
sparsemax = registry.lookup("sparsemax")
squareplus = registry.lookup("squareplus")
swish = silu
tanh = registry.lookup("tanh")
tanh_shrink = registry.lookup("tanh_shrink")
threshold = registry.lookup("threshold")


def get(identifier: Any) -> Activation:
    """Return the activation called so; None is linear (`keras.activations.get`).

    Takes a name, what `serialize` wrote, an activation, or an activation layer such as
    `LeakyReLU`, whose activation it gives. A function of one's own becomes a
    `FunctionActivation`: to train on it takes the extra ``autograd``, unless it comes with its
    derivative as a `CustomActivation`.

    Raises
    ------
    ValueError
        If there is none of this name.
    """
    if identifier is None:
        return registry.entries["linear"]
    if isinstance(identifier, Activation):
        return identifier
    if identifier == HARD_SIGMOID_KERAS2.name:
        return HARD_SIGMOID_KERAS2
    if isinstance(identifier, str):
        found = registry.lookup(identifier)
        return found if isinstance(found, Activation) else get(found)
    if isinstance(identifier, dict):
        return _from_config(identifier)
    inner = getattr(identifier, "activation", None)
    if isinstance(inner, Activation) and getattr(identifier, "is_activation_layer", False):
        return inner
    if callable(identifier):
        return _known(identifier) or FunctionActivation(identifier)
    raise ValueError(f"Could not interpret activation function identifier: {identifier!r}.")


def _known(function: Any) -> Activation | None:
    """Return the activation that a function of `rnn_engine.ops` computes with its defaults."""
    name = getattr(function, "__name__", "")
    if not getattr(function, "__module__", "").startswith("rnn_engine.ops") or name == "gelu":
        return None
    return registry.entries.get(name)


def _from_config(config: dict[str, Any]) -> Activation:
    name, arguments = config.get("class_name"), config.get("config")
    if name == "function" and isinstance(arguments, str):  # as Keras writes a function
        return get(arguments)
    if not isinstance(name, str) or not isinstance(arguments, dict | None):
        raise ValueError(f"Could not interpret activation function identifier: {config!r}.")
    activation: Any = get(registry.lookup(name))
    # The arguments may come out of a file: they are for the library's own activations.
    known = activation is registry.entries.get(name)
    return activation.with_arguments(**arguments) if arguments and known else activation


def serialize(activation: Activation) -> str | dict[str, Any]:
    """Return the name of an activation, with its arguments if it has some.

    A `CustomActivation` is found again by its name once
    ``activations.registry.register(name)(activation)`` was called.
    """
    arguments = activation.get_config()
    name = activation.registered_name
    return {"class_name": name, "config": arguments} if arguments else name


def deserialize(config: Any, custom_objects: dict[str, Any] | None = None) -> Activation:
    """Return the activation that `serialize` wrote; `custom_objects` go before the others."""
    if custom_objects and isinstance(config, str) and config in custom_objects:
        return get(custom_objects[config])
    return get(config)


__all__ = [
    "GLU",
    "Activation",
    "AlongAxis",
    "BoundActivation",
    "CustomActivation",
    "FunctionActivation",
    "LogSoftmax",
    "Parametrised",
    "Softmax",
    "Sparsemax",
    "celu",
    "deserialize",
    "elu",
    "exponential",
    "gelu",
    "get",
    "glu",
    "hard_shrink",
    "hard_sigmoid",
    "hard_silu",
    "hard_swish",
    "hard_tanh",
    "leaky_relu",
    "linear",
    "log_sigmoid",
    "log_softmax",
    "mish",
    "registry",
    "relu",
    "relu6",
    "selu",
    "serialize",
    "sigmoid",
    "silu",
    "soft_shrink",
    "softmax",
    "softplus",
    "softsign",
    "sparse_plus",
    "sparse_sigmoid",
    "sparsemax",
    "squareplus",
    "swish",
    "tanh",
    "tanh_shrink",
    "threshold",
]

# What models hold that were read from ONNX is found again without reading ONNX.
registry.announce(
    dict.fromkeys(
        ("onnx_hard_sigmoid", "onnx_scaled_tanh", "onnx_affine"),
        "rnn_engine.saving.onnx.activations",
    )
)

__getattr__ = lazily(__name__, {})
show_public(__name__)

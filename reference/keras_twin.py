"""The tf.keras twin of any of our models, and what is run through it.

A twin is built from the class names and configs of our layers, so it needs no
knowledge of a layer here; weights go both ways in the order of `get_weights`,
which is the same on both sides.
"""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("KERAS_BACKEND", "tensorflow")

import numpy as np

try:
    import keras
    import tensorflow as tf
except ModuleNotFoundError as missing:
    raise ModuleNotFoundError(
        "This half of reference compares with Keras on TensorFlow: pip install "
        f"'rnn_engine[reference]' ({missing.name} is not installed).",
        name=missing.name,
    ) from None

MODES = ("eager", "graph", "xla")

# Layers inside a config, which are built as twins themselves.
_NESTED = ("layer", "backward_layer", "cell")
_RESOLVERS: dict[str, Callable[[Any], Any]] = {
    "regularizer": keras.regularizers.get,
    "constraint": keras.constraints.get,
    "activation": keras.activations.get,
}


def keras_layer(class_name: str, config: Mapping[str, Any], dtype: str) -> Any:
    """Return the Keras layer of this class with the settings of one of ours.

    Initializers are left out: the weights are copied, and the bits of a draw differ.
    """
    arguments: dict[str, Any] = {}
    for key, value in config.items():
        if key == "dtype" or key.endswith("_initializer"):
            continue
        if key in _NESTED and value is not None:
            value = _nested(value, dtype)
        elif key in ("cells", "layers"):
            value = [_nested(item, dtype) for item in value]
        for ending, resolve in _RESOLVERS.items():
            if key.endswith(ending) and value is not None:
                value = resolve(_plain(value))
        arguments[key] = value
    if class_name == "Sequential":
        return keras.Sequential(arguments.pop("layers"), name=arguments.get("name"))
    layer = getattr(keras.layers, class_name)(**arguments, dtype=dtype)
    if isinstance(layer, keras.layers.RNN):
        # Keras's recurrent layers take this argument, document it, and forget it.
        layer.activity_regularizer = arguments.get("activity_regularizer")
    return layer


def _nested(value: Any, dtype: str) -> Any:
    if isinstance(value, Mapping):
        return keras_layer(value["class_name"], value["config"], dtype)
    return keras_layer(type(value).__name__, value.get_config(), dtype)


def _plain(value: Any) -> Any:
    """Keras resolves dicts by class name only when they say where the class is from."""
    if isinstance(value, Mapping) and "class_name" in value:
        return {"class_name": value["class_name"], "config": dict(value.get("config") or {})}
    return value


def keras_model(
    layers: Sequence[tuple[str, Mapping[str, Any]]],
    input_shape: Sequence[int | None],
    dtype: str,
    weights: Sequence[np.ndarray] | None = None,
) -> Any:
    """Return a built `keras.Sequential` of (class name, config) pairs.

    `input_shape` has the batch axis first, usually None.
    """
    inputs = keras.Input(batch_shape=tuple(input_shape), dtype=dtype)
    model = keras.Sequential([inputs, *(keras_layer(n, c, dtype) for n, c in layers)])
    if weights is not None:
        model.set_weights([np.asarray(w) for w in weights])
    return model


def describe(model: Any) -> list[tuple[str, dict[str, Any]]]:
    """Return the (class name, config) pairs of the layers of one of our models."""
    return [(type(layer).__name__, layer.get_config()) for layer in model.layers]


def twin_of(model: Any, dtype: str | None = None) -> Any:
    """Return the Keras twin of one of our built `Sequential` models, with its weights.

    `dtype` is that of the model's weights unless given; a float64 twin of a float32
    model serves as its reference.
    """
    weights = model.get_weights()
    dtype = dtype or (weights[0].dtype.name if weights else "float32")
    return keras_model(describe(model), model.input_shape, dtype, weights)


def copy_weights(source: Any, target: Any) -> None:
    """Copy all weights from one side's model to the other's, in either direction."""
    target.set_weights([np.asarray(w) for w in source.get_weights()])


def keras_loss(name: str, dtype: str, **options: Any) -> Any:
    """Return a Keras loss that computes in `dtype`; by default Keras takes float32."""
    function = keras.losses.get(name)
    config = keras.losses.get({"class_name": _class_name(function), "config": {}}).get_config()
    config = {k: v for k, v in config.items() if k not in ("name", "reduction")}
    return getattr(keras.losses, _class_name(function))(**{**config, **options}, dtype=dtype)


def _class_name(function: Any) -> str:
    name = getattr(function, "__name__", type(function).__name__)
    return "".join(part.capitalize() for part in name.split("_")) if name.islower() else name


def wrapped(function: Callable[..., Any], mode: str) -> Callable[..., Any]:
    """Return `function` run eagerly, as a TensorFlow graph, or compiled by XLA."""
    if mode not in MODES:
        raise ValueError(f"mode must be one of {MODES}, got {mode!r}.")
    if mode == "eager":
        return function
    return tf.function(function, jit_compile=mode == "xla", autograph=False)


def forward(model: Any, x: np.ndarray, mode: str = "graph", **call: Any) -> np.ndarray:
    """Return the output of a Keras model on `x`."""
    run = wrapped(lambda value: model(value, **call), mode)
    return np.asarray(run(tf.constant(x)))


def gradients(
    model: Any,
    x: np.ndarray,
    y: np.ndarray,
    loss: Any,
    mode: str = "graph",
    sample_weight: np.ndarray | None = None,
    training: bool = False,
) -> dict[str, Any]:
    """Return ``output``, ``loss``, ``parameters`` (a list) and ``inputs`` (None of integers)."""
    trainable = model.trainable_variables
    differentiable = np.issubdtype(x.dtype, np.floating)

    def run(value: Any, target: Any) -> Any:
        with tf.GradientTape() as tape:
            tape.watch(value)
            output = model(value, training=training)
            total = loss(target, output, sample_weight=sample_weight)
            if model.losses:
                total = total + tf.add_n([tf.cast(part, total.dtype) for part in model.losses])
        sources = [v.value for v in trainable] + ([value] if differentiable else [])
        zero = tf.UnconnectedGradients.ZERO
        return output, total, tape.gradient(total, sources, unconnected_gradients=zero)

    output, total, grads = wrapped(run, mode)(tf.constant(x), tf.constant(y))
    arrays = [np.asarray(tf.convert_to_tensor(g)) for g in grads]
    return {
        "output": np.asarray(output),
        "loss": np.asarray(total),
        "parameters": arrays[: len(trainable)],
        "inputs": arrays[-1] if differentiable else None,
    }


def layer_pass(
    layer: Any,
    x: np.ndarray,
    dy: np.ndarray,
    mode: str = "eager",
    initial_state: Any = None,
    mask: np.ndarray | None = None,
    dstate: Any = None,
    training: bool = False,
) -> dict[str, Any]:
    """Run one Keras RNN layer forward, and backward from `dy` and `dstate`.

    States and their gradients are arrays, or lists of them where the cell has several.
    Returns ``output``, ``state`` (None without return_state), ``parameters``,
    ``inputs`` and, given an initial state, ``initial_state``.
    """
    call: dict[str, Any] = {"training": training}
    if mask is not None:
        call["mask"] = tf.constant(mask)
    starts, arriving = as_list(initial_state), as_list(dstate)

    def run(*values: Any) -> Any:
        with tf.GradientTape() as tape:
            tape.watch(values)
            state = {"initial_state": list(values[1:])} if starts else {}
            result = layer(values[0], **state, **call)
            output, *last = result if isinstance(result, tuple | list) else (result,)
            total = tf.reduce_sum(output * dy)
            for value, gradient in zip(last, arriving, strict=False):
                total += tf.reduce_sum(value * gradient)
        weights = [v.value for v in layer.trainable_variables]
        zero = tf.UnconnectedGradients.ZERO
        grads = tape.gradient(total, [*weights, *values], unconnected_gradients=zero)
        return output, last, grads

    output, last, grads = wrapped(run, mode)(*[tf.constant(array) for array in [x, *starts]])
    arrays, count = [np.asarray(g) for g in grads], len(layer.trainable_variables)
    return {
        "output": np.asarray(output),
        "state": in_form([np.asarray(value) for value in last]),
        "parameters": arrays[:count],
        "inputs": arrays[count],
        "initial_state": in_form(arrays[count + 1 :]),
    }


def as_list(states: Any) -> list[Any]:
    """Return the states of one layer as a list, whatever their form."""
    if states is None:
        return []
    return list(states) if isinstance(states, list | tuple) else [states]


def in_form(states: list[Any]) -> Any:
    """Return None of no states, the state of one, and a list of several."""
    return states if len(states) > 1 else (states[0] if states else None)


def fix_dropout(
    layer: Any, input_mask: np.ndarray | None = None, recurrent_mask: np.ndarray | None = None
) -> None:
    """Make a Keras recurrent layer use these dropout masks instead of drawing its own.

    The layer must have been made with rates above zero for the masks given. A mask has two
    axes for all gates, or the gates before them; Keras has one for each gate as soon as
    there is a `recurrent_dropout`.
    """
    cell = layer.cell
    count = getattr(cell, "dropout_mask_count", None)

    def constant(mask: np.ndarray) -> Any:
        if count is None:
            return tf.constant(mask)
        return [tf.constant(mask[gate] if mask.ndim == 3 else mask) for gate in range(count)]

    if input_mask is not None:
        cell.get_dropout_mask = lambda step_input: constant(input_mask)
    if recurrent_mask is not None:
        cell.get_recurrent_dropout_mask = lambda step_input: constant(recurrent_mask)


def keras_optimizer(optimizer: Any) -> Any:
    """Return the twin of one of our optimizers, or of an optimizer's name."""
    if isinstance(optimizer, str):
        return keras.optimizers.get(optimizer)
    config = dict(optimizer.get_config())
    rate = config.get("learning_rate")
    if isinstance(rate, Mapping):
        schedule = getattr(keras.optimizers.schedules, rate["class_name"])
        config["learning_rate"] = schedule(**rate["config"])
    return getattr(keras.optimizers, type(optimizer).__name__)(**config)


@contextmanager
def floatx(dtype: str) -> Iterator[None]:
    """Let Keras's losses and metrics compute in `dtype` inside the block."""
    before = keras.config.floatx()
    keras.config.set_floatx(dtype)
    try:
        yield
    finally:
        keras.config.set_floatx(before)


def train(
    model: Any, x: np.ndarray, y: np.ndarray, steps: int, optimizer: Any, loss: str
) -> list[float]:
    """Compile either side's model and return the loss of `steps` calls of `train_on_batch`."""
    model.compile(optimizer=optimizer, loss=loss)
    losses = []
    for _ in range(steps):
        result = model.train_on_batch(x, y)
        losses.append(float(np.asarray(result).reshape(-1)[0]))
    return losses

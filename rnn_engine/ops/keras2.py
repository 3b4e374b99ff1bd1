"""The functions of Keras 2's `keras.backend` (`K.mean`, `K.dot`, ...), by its arguments.

`rnn_engine.backend` serves them when they are asked for. New programs use `rnn_engine.ops`.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from rnn_engine import random
from rnn_engine.config import epsilon, floatx
from rnn_engine.ops.dispatch import OPS, dtype_named, shown
from rnn_engine.variable import Variable

K: dict[str, Any] = {}
"""The functions by their names."""

_ALIKE = (
    "abs all any cast clip cos equal exp eye greater greater_equal "
    "less less_equal log logsumexp max maximum mean min minimum not_equal ones_like prod round "
    "reshape shape sigmoid sign sin softmax softplus softsign sqrt square squeeze std "
    "stop_gradient sum tanh tile transpose var zeros_like cumsum cumprod hard_sigmoid ndim"
)
K.update({name: OPS[name] for name in _ALIKE.split()})
K.update(permute_dimensions=OPS["transpose"], pow=OPS["power"])


def _enter(function: Callable[..., Any]) -> Callable[..., Any]:
    function.__name__ = function.__name__.rstrip("_")
    K[function.__name__] = function
    return function


# --- making and looking -----------------------------------------------------------------------


@_enter
def variable(value: Any, dtype: Any = None, name: Any = None, constraint: Any = None) -> Variable:
    """Return a variable."""
    return Variable(value, dtype=dtype or floatx(), name=name or "variable", constraint=constraint)


@_enter
def constant(value: Any, dtype: Any = None, shape: Any = None, name: Any = None) -> Any:
    """Return a tensor, filled up to a shape."""
    array = np.asarray(value, dtype_named(dtype))
    return shown(array if shape is None else np.broadcast_to(array, shape).copy())


@_enter
def zeros(shape: Any, dtype: Any = None, name: Any = None) -> Variable:
    """Return a variable of zeros."""
    return variable(np.zeros(shape), dtype, name)


@_enter
def ones(shape: Any, dtype: Any = None, name: Any = None) -> Variable:
    """Return a variable of ones."""
    return variable(np.ones(shape), dtype, name)


@_enter
def arange(start: Any, stop: Any = None, step: Any = 1, dtype: Any = "int32") -> Any:
    """Return numbers at equal distances."""
    start, stop = (0, start) if stop is None else (start, stop)
    return OPS["arange"](start, stop, step, dtype)


@_enter
def int_shape(x: Any) -> tuple[Any, ...]:
    """Return the shape as a tuple; sizes that are not known are None."""
    return tuple(OPS["shape"](x))


@_enter
def dtype(x: Any) -> str:
    """Return the name of the type."""
    return str(OPS["dtype"](x))


@_enter
def is_keras_tensor(x: Any) -> bool:
    """Return whether a tensor is symbolic."""
    return hasattr(x, "_keras_history")


@_enter
def count_params(x: Any) -> int:
    """Return the number of elements."""
    return int(OPS["size"](x))


@_enter
def cast_to_floatx(x: Any) -> Any:
    """Return an array in the default float type."""
    return np.asarray(x, floatx())


@_enter
def eval_(x: Any) -> np.ndarray:
    """Return the values as an array."""
    return np.array(x)


K["get_value"] = eval_


@_enter
def set_value(x: Variable, value: Any) -> None:
    """Write a variable."""
    x.assign(value)


@_enter
def update(x: Variable, new_x: Any) -> Variable:
    """Write a variable and return it."""
    return x.assign(np.asarray(new_x))


@_enter
def update_add(x: Variable, increment: Any) -> Variable:
    """Add to a variable and return it."""
    return x.assign_add(np.asarray(increment))


@_enter
def update_sub(x: Variable, decrement: Any) -> Variable:
    """Subtract from a variable and return it."""
    return x.assign_sub(np.asarray(decrement))


@_enter
def batch_get_value(tensors: Any) -> list[np.ndarray]:
    """Return the values of several variables."""
    return [np.array(x) for x in tensors]


@_enter
def batch_set_value(tuples: Any) -> None:
    """Write several variables."""
    for x, value in tuples:
        x.assign(value)


# --- products and shapes ----------------------------------------------------------------------


@_enter
def dot(x: Any, y: Any) -> Any:
    """Return the sum product over x's last and y's last but one axis."""
    axis = max(len(OPS["shape"](y)) - 2, 0)
    return OPS["tensordot"](x, y, ([len(OPS["shape"](x)) - 1], [axis]))


@_enter
def batch_dot(x: Any, y: Any, axes: Any = None) -> Any:
    """Return the products of each sample of x and y, over axes that count the batch's."""
    n, m = len(OPS["shape"](x)), len(OPS["shape"](y))
    if axes is None:
        axes = [n - 1, m - 2 if m > 2 else m - 1]
    a, b = (axes, axes) if isinstance(axes, int) else axes
    a, b = a % n, b % m
    letters = "abcdefghij"
    first = "z" + letters[: n - 1]
    second = "z" + letters[n - 1 : n + m - 2]
    second = second[:b] + first[a] + second[b + 1 :]
    left = "".join(c for c in first + second[1:] if c != first[a])
    found = OPS["einsum"](f"{first},{second}->{left}", x, y)
    return OPS["expand_dims"](found, 1) if n == m == 2 else found


@_enter
def concatenate(tensors: Any, axis: int = -1) -> Any:
    """Return tensors one behind the other."""
    return OPS["concatenate"](list(tensors), axis)


@_enter
def argmax(x: Any, axis: int = -1) -> Any:
    """Return the place of the largest along an axis."""
    return OPS["argmax"](x, axis)


@_enter
def argmin(x: Any, axis: int = -1) -> Any:
    """Return the place of the smallest along an axis."""
    return OPS["argmin"](x, axis)


@_enter
def expand_dims(x: Any, axis: int = -1) -> Any:
    """Return a tensor with a new axis of one."""
    return OPS["expand_dims"](x, axis)


@_enter
def stack(x: Any, axis: int = 0) -> Any:
    """Return tensors along a new axis."""
    return OPS["stack"](list(x), axis)


@_enter
def flatten(x: Any) -> Any:
    """Return the elements in one axis."""
    return OPS["reshape"](x, (-1,))


@_enter
def batch_flatten(x: Any) -> Any:
    """Return the elements of each sample in one axis."""
    shape = OPS["shape"](x)
    return OPS["reshape"](x, (-1, int(np.prod(shape[1:]))))


@_enter
def repeat(x: Any, n: int) -> Any:
    """Return each row of a matrix n times, along a new second axis."""
    return OPS["repeat"](OPS["expand_dims"](x, 1), n, axis=1)


@_enter
def repeat_elements(x: Any, rep: int, axis: int) -> Any:
    """Return elements repeated along an axis."""
    return OPS["repeat"](x, rep, axis=axis)


@_enter
def reverse(x: Any, axes: Any) -> Any:
    """Return a tensor turned round."""
    return OPS["flip"](x, axes)


@_enter
def gather(reference: Any, indices: Any) -> Any:
    """Return rows of a tensor."""
    return OPS["take"](reference, indices, 0)


@_enter
def one_hot(indices: Any, num_classes: int) -> Any:
    """Return a one at each class and zeros beside it."""
    return OPS["one_hot"](indices, num_classes)


@_enter
def temporal_padding(x: Any, padding: Any = (1, 1)) -> Any:
    """Return sequences with zeros before and behind them."""
    return OPS["pad"](x, ((0, 0), tuple(padding), (0, 0)))


@_enter
def switch(condition: Any, then_expression: Any, else_expression: Any) -> Any:
    """Return one of two tensors, or the elements of the two by those of the condition."""
    if np.ndim(np.asarray(condition)) == 0:
        chosen = then_expression if bool(np.asarray(condition)) else else_expression
        return chosen() if callable(chosen) else chosen
    then_value = then_expression() if callable(then_expression) else then_expression
    else_value = else_expression() if callable(else_expression) else else_expression
    condition = np.asarray(condition)
    extra = len(OPS["shape"](then_value)) - condition.ndim
    return OPS["where"](condition.reshape(condition.shape + (1,) * extra), then_value, else_value)


@_enter
def map_fn(fn: Any, elems: Any, name: Any = None, dtype: Any = None) -> Any:
    """Return a function of every entry, stacked."""
    return OPS["map"](fn, elems)


@_enter
def foldl(fn: Any, elems: Any, initializer: Any = None, name: Any = None) -> Any:
    """Return what a function makes of all entries from the first on."""
    entries = [elems[i] for i in range(OPS["shape"](elems)[0])]
    total = entries.pop(0) if initializer is None else initializer
    for entry in entries:
        total = fn(total, entry)
    return total


@_enter
def foldr(fn: Any, elems: Any, initializer: Any = None, name: Any = None) -> Any:
    """Return what a function makes of all entries from the last on."""
    return foldl(fn, OPS["flip"](elems, 0), initializer)


# --- networks ---------------------------------------------------------------------------------


@_enter
def bias_add(x: Any, bias: Any, data_format: Any = None) -> Any:
    """Return a tensor with a bias on its last axis."""
    return OPS["add"](x, bias)


@_enter
def relu(x: Any, alpha: float = 0.0, max_value: Any = None, threshold: float = 0.0) -> Any:
    """Return x above a threshold, at most `max_value`; below, alpha·(x - threshold)."""
    from rnn_engine import activations

    return activations.relu(x, negative_slope=alpha, max_value=max_value, threshold=threshold)


@_enter
def elu(x: Any, alpha: float = 1.0) -> Any:
    """Return x above zero and alpha·(eˣ - 1) below."""
    return OPS["elu"](x, alpha)


@_enter
def l2_normalize(x: Any, axis: Any = None) -> Any:
    """Return vectors over their lengths."""
    squares = OPS["sum"](OPS["square"](x), axis, True)
    return OPS["multiply"](x, OPS["rsqrt"](OPS["maximum"](squares, 1e-12)))


@_enter
def binary_crossentropy(target: Any, output: Any, from_logits: bool = False) -> Any:
    """Return the cross-entropy of each element."""
    if from_logits:
        return OPS["binary_crossentropy"](target, output, True)
    tiny = epsilon()
    output = OPS["clip"](output, tiny, 1 - tiny)
    target = OPS["cast"](target, output.dtype)
    one = OPS["multiply"](target, OPS["log"](output + tiny))
    zero = OPS["multiply"](1 - target, OPS["log"](1 - output + tiny))
    return OPS["negative"](OPS["add"](one, zero))


@_enter
def categorical_crossentropy(
    target: Any, output: Any, from_logits: bool = False, axis: int = -1
) -> Any:
    """Return the cross-entropy of each row."""
    return OPS["categorical_crossentropy"](target, output, from_logits, axis)


@_enter
def sparse_categorical_crossentropy(
    target: Any, output: Any, from_logits: bool = False, axis: int = -1
) -> Any:
    """Return the cross-entropy of each row, of class numbers."""
    return OPS["sparse_categorical_crossentropy"](target, output, from_logits, axis)


@_enter
def ctc_batch_cost(y_true: Any, y_pred: Any, input_length: Any, label_length: Any) -> Any:
    """Return the CTC loss of each row, (batch, 1), of probabilities whose last class is the blank.

    Lengths have the shape (batch, 1).
    """
    logs = OPS["log"](OPS["add"](y_pred, epsilon()))
    lengths = [OPS["reshape"](length, (-1,)) for length in (label_length, input_length)]
    return OPS["expand_dims"](OPS["ctc_loss"](y_true, logs, *lengths, -1), 1)


@_enter
def ctc_decode(
    y_pred: Any, input_length: Any, greedy: bool = True, beam_width: int = 100, top_paths: int = 1
) -> Any:
    """Return a list of label sequences for probabilities whose last class is the blank, and scores.

    Sequences (batch, time) of int64 are filled up with -1. Those of the beam search have no two
    equal labels in a row, as in Keras 2.
    """
    logits = np.log(np.asarray(y_pred) + np.float32(epsilon()))
    strategy = "greedy" if greedy else "beam_search"
    found, scores = OPS["ctc_decode"](
        logits, input_length, strategy, beam_width, 1 if greedy else top_paths, mask_index=-1
    )
    paths = np.asarray(found).astype(np.int64)
    if not greedy:
        for row in paths.reshape(-1, paths.shape[-1]):
            kept = row[np.r_[True, row[1:] != row[:-1]] & (row >= 0)]
            row[:] = -1
            row[: len(kept)] = kept
    return [shown(path) for path in paths], scores


@_enter
def in_top_k(predictions: Any, targets: Any, k: int) -> Any:
    """Return whether targets are among the k largest."""
    return OPS["in_top_k"](targets, predictions, k)


@_enter
def dropout(x: Any, level: float, noise_shape: Any = None, seed: Any = None) -> Any:
    """Return x with a share of its elements zero and the others larger."""
    shape = OPS["shape"](x) if noise_shape is None else tuple(noise_shape)
    kept = random.make_generator(seed).random(shape) >= level
    return OPS["multiply"](x, (kept / (1 - level)).astype(np.dtype(x.dtype)))


@_enter
def learning_phase() -> int:
    """Return whether the call around this one is a training: 1 or 0."""
    from rnn_engine.layers.calls import current

    context = current()
    return int(bool(context is not None and context.training))


@_enter
def set_learning_phase(value: Any) -> None:
    """Take the value: here `training` is an argument of the call."""


@_enter
def in_train_phase(x: Any, alt: Any, training: Any = None) -> Any:
    """Return `x` in training, else `alt`; both may be functions of nothing."""
    training = learning_phase() if training is None else training
    chosen = x if training else alt
    return chosen() if callable(chosen) else chosen


@_enter
def in_test_phase(x: Any, alt: Any, training: Any = None) -> Any:
    """Return `x` out of training, else `alt`; both may be functions of nothing."""
    return in_train_phase(alt, x, training)


@_enter
def manual_variable_initialization(value: Any) -> None:
    """Take the value: variables have theirs from the beginning."""


@_enter
def gradients(loss: Any, variables: Any) -> Any:
    """Refuse, as Keras does where everything runs at once.

    Raises
    ------
    RuntimeError
        Always; it names `GradientTape`.
    """
    raise RuntimeError("K.gradients needs a graph to look back at. Use GradientTape instead.")


# --- random numbers ---------------------------------------------------------------------------


@_enter
def random_normal(
    shape: Any, mean: float = 0.0, stddev: float = 1.0, dtype: Any = None, seed: Any = None
) -> Any:
    """Return normally distributed numbers."""
    drawn = random.make_generator(seed).normal(mean, stddev, tuple(shape))
    return shown(drawn.astype(dtype_named(dtype)))


@_enter
def random_uniform(
    shape: Any, minval: float = 0.0, maxval: float = 1.0, dtype: Any = None, seed: Any = None
) -> Any:
    """Return equally distributed numbers."""
    drawn = random.make_generator(seed).uniform(minval, maxval, tuple(shape))
    return shown(drawn.astype(dtype_named(dtype)))


@_enter
def random_bernoulli(shape: Any, p: float = 0.0, dtype: Any = None, seed: Any = None) -> Any:
    """Return ones with a probability, else zeros."""
    drawn = random.make_generator(seed).random(tuple(shape)) <= p
    return shown(drawn.astype(dtype_named(dtype)))


@_enter
def truncated_normal(
    shape: Any, mean: float = 0.0, stddev: float = 1.0, dtype: Any = None, seed: Any = None
) -> Any:
    """Return normally distributed numbers, those beyond two deviations drawn again."""
    drawn = random.truncated_normal(tuple(shape), mean, stddev, "float64", seed)
    return shown(drawn.astype(dtype_named(dtype)))


K["random_normal_variable"] = lambda shape, mean, scale, dtype=None, name=None, seed=None: variable(
    random_normal(shape, mean, scale, dtype, seed), dtype, name
)
K["random_uniform_variable"] = lambda shape, low, high, dtype=None, name=None, seed=None: variable(
    random_uniform(shape, low, high, dtype, seed), dtype, name
)


def __getattr__(name: str) -> Any:
    try:
        return K[name]
    except KeyError:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}") from None

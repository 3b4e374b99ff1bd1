"""Ops that call functions: loops, choices, maps."""

import functools
from typing import Any

import numpy as np

from rnn_engine.autodiff.steps import record
from rnn_engine.graph.nest import flatten, map_structure, pack_as
from rnn_engine.ops.dispatch import OPS, enter
from rnn_engine.ops.shapes import shape as shape_of


@enter
def cond(pred: Any, true_fn: Any, false_fn: Any) -> Any:
    """Return what one of two functions returns. Mirrors `keras.ops.cond`."""
    _must_be_callable(true_fn=true_fn, false_fn=false_fn)
    return true_fn() if bool(np.asarray(pred)) else false_fn()


def _must_be_callable(**functions: Any) -> None:
    for name, function in functions.items():
        if not callable(function):
            raise TypeError(f"Argument `{name}` must be callable. Received {function}")


@enter
def switch(index: Any, branches: Any, *operands: Any) -> Any:
    """Return what the function of a number returns. Mirrors `keras.ops.switch`."""
    if not len(branches):
        raise ValueError("Must provide at least one item in 'branch_fns', here `branches`.")
    place = min(max(int(np.asarray(index)), 0), len(branches) - 1)
    return branches[place](*operands)


@enter
def while_loop(cond: Any, body: Any, loop_vars: Any, maximum_iterations: Any = None) -> Any:
    """Return what becomes of values while a condition holds. Mirrors `keras.ops.while_loop`."""
    for name, function in (("cond", cond), ("body", body)):
        if not callable(function):
            raise TypeError(f"'{name}' must be callable. Received: {name}={function}")
    single = not isinstance(loop_vars, list | tuple)
    values = (loop_vars,) if single else tuple(loop_vars)
    count = 0
    while bool(np.asarray(cond(*values))) and (
        maximum_iterations is None or count < maximum_iterations
    ):
        made = body(*values)
        values = tuple(made) if isinstance(made, list | tuple) else (made,)
        count += 1
    return values[0] if single else values


@enter
def fori_loop(lower: Any, upper: Any, body_fun: Any, init_val: Any) -> Any:
    """Return what becomes of a value in a counted loop. Mirrors `keras.ops.fori_loop`."""
    for i in range(int(np.asarray(lower)), int(np.asarray(upper))):
        init_val = body_fun(i, init_val)
    return init_val


def _stack(rows: list[Any]) -> Any:
    """Return a nest whose leaves are those of nests of one form, stacked."""
    columns = zip(*map(flatten, rows), strict=True)
    return pack_as(rows[0], [OPS["stack"](list(column)) for column in columns])


def _entry(nest: Any, i: int) -> Any:
    return map_structure(lambda x: x[i], nest)


@enter
def map_(f: Any, xs: Any) -> Any:
    """Return a function of every entry along the first axis, stacked. Mirrors `keras.ops.map`."""
    count = shape_of(flatten(xs)[0])[0]
    return _stack([f(_entry(xs, i)) for i in range(count)])


@enter
def vectorized_map(function: Any, elements: Any) -> Any:
    """Return a function of every entry, stacked. Mirrors `keras.ops.vectorized_map`."""
    return map_(function, elements)


@enter
def scan(
    f: Any, init: Any, xs: Any = None, length: int | None = None, reverse: bool = False,
    unroll: Any = 1,
) -> Any:  # fmt: skip
    """Return the last carry, and the stacked outputs, of a walk. Mirrors `keras.ops.scan`."""
    if not callable(f):
        raise TypeError(f"`f` should be a callable. Received: f={f}")
    count = int((length or 0) if xs is None else shape_of(flatten(xs)[0])[0])
    order = range(count)[::-1] if reverse else range(count)
    outputs = []
    for i in order:
        init, y = f(init, None if xs is None else _entry(xs, i))
        outputs.append(y)
    if reverse:
        outputs.reverse()
    return init, None if not outputs or outputs[0] is None else _stack(outputs)


@enter
def select(condlist: Any, choicelist: Any, default: Any = 0) -> Any:
    """Return the choice of the first condition that holds. Mirrors `keras.ops.select`."""
    found = default
    for condition, choice in reversed(list(zip(condlist, choicelist, strict=True))):
        found = OPS["where"](condition, choice, found)
    return found


@enter
def vectorize(pyfunc: Any, *, excluded: Any = None, signature: Any = None) -> Any:
    """Return a function of arrays of one of numbers. Mirrors `keras.ops.vectorize`."""
    return np.vectorize(pyfunc, excluded=excluded, signature=signature)


@enter
def custom_gradient(f: Any) -> Any:
    """Return a function whose gradient it gives itself. Mirrors `keras.ops.custom_gradient`.

    ``f(*tensors)`` returns outputs and a function of their gradients.
    """

    @functools.wraps(f)
    def called(*args: Any) -> Any:
        many = False

        def function(*values: Any) -> Any:
            nonlocal many
            outputs, slope = f(*values)
            many = isinstance(outputs, list | tuple)

            def back(gradients: Any, wanted: Any) -> Any:
                found = slope(*gradients)
                return list(found) if isinstance(found, list | tuple) else [found]

            listed = outputs if many else [outputs]
            return [np.asarray(output) for output in listed], back

        outputs = record(function, args)
        return tuple(outputs) if many else outputs[0]

    return called

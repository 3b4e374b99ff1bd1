"""`RNNCell`: one step of a recurrent network, and the protocol of a cell of one's own."""

from typing import Any

import numpy as np

from rnn_engine.autodiff.recording import OPEN
from rnn_engine.checks import as_float_array, compact
from rnn_engine.layers.base import Layer
from rnn_engine.layers.called_cell import call_recorded, is_called
from rnn_engine.tensor import as_tensor


class RNNCell(Layer):
    """Base of the cells: what `RNN` asks of a cell, and calling one.

    Keras has no such class; there a cell has a ``call(inputs, states)``, and such a cell is taken
    here too, differentiated by autograd. The fast way is a method for each direction. `RNN` takes
    any object with

    ``state_size``
        Size of the state, or a list of the sizes of several.
    ``output_size``
        Size of the output; that of the first state if there is none.
    ``forward(x_t, states, training) -> (output, new_states, saved)``
        One step: `x_t` (B, F), `states` a list of (B, size), `output` (B, output_size),
        `new_states` a list like `states`. `saved` is whatever backward needs.
    ``backward(doutput, dstates, saved) -> (dx_t, dstates_before)``
        The gradients by `x_t` and by `states`, from those by output and new states;
        those of weights are added to ``variable.grad``. None of the arrays given may be
        written to.

    both in NumPy or Numba. Optional are ``get_initial_state(batch_size)``, a list of
    states other than zero, and ``reset_dropout_mask`` / ``reset_recurrent_dropout_mask``,
    which run before and after each sequence. A cell that is a `Layer` has weights, which
    it makes in ``create_weights(input_shape)`` (or in ``build``) with `input_shape` (B, F).

    Examples
    --------
    A cell that adds up what it sees, with a weight:

    >>> from rnn_engine.layers import RNN
    >>> class Sum(RNNCell):
    ...     state_size = 1
    ...     def create_weights(self, input_shape):
    ...         self.scale = self.add_weight((input_shape[-1], 1), "ones", name="scale")
    ...     def forward(self, x, states, training=False):
    ...         total = states[0] + x @ self.scale.value
    ...         return total, [total], x
    ...     def backward(self, doutput, dstates, saved):
    ...         dtotal = doutput + dstates[0]
    ...         self.scale.grad[...] += saved.T @ dtotal
    ...         return dtotal @ self.scale.value.T, [dtotal]
    >>> RNN(Sum(), return_sequences=True)(np.ones((1, 3, 2)))[0, :, 0]
    array([2., 4., 6.], dtype=float32)
    """

    state_size: Any = None

    def __call__(  # type: ignore[override]  # a cell takes states, no mask
        self, inputs: Any, states: Any, training: bool | None = None, **kwargs: Any
    ) -> Any:
        """Return ``(output, new states)`` of one step.

        Parameters
        ----------
        inputs : array-like, (B, F)
        states : list of array-like, or one array
            The new states come in the same form.
        training : bool, optional
        """
        single = not isinstance(states, list | tuple)
        given = [states] if single else list(states)
        flat = not any(isinstance(state, list | tuple) for state in given)
        if flat and (OPEN or any(hasattr(a, "_node") for a in (inputs, *given))):
            output, new = call_recorded(self, inputs, given, bool(training))
            return output, (new[0] if single else new)
        x = self.convert(inputs)
        if not self.built:
            self.build(x.shape)
            self.built = True
        check_states(self, x, given)
        output, new_states, _ = self.forward(x, [self._as_state(s) for s in given], bool(training))
        output, new_states = as_tensor(output), [as_tensor(state) for state in new_states]
        return output, (new_states[0] if single else new_states)

    def _as_state(self, state: Any) -> Any:
        if isinstance(state, list | tuple):
            return [self._as_state(part) for part in state]
        return self.convert(state)

    def get_initial_state(self, batch_size: int | None = None) -> list[np.ndarray]:
        """Return the states to begin with: zeros."""
        return [np.zeros((batch_size or 1, n), self._np_dtype) for n in state_sizes(self)]


def check_count(name: str, states: Any, sizes: Any, argument: str) -> None:
    """Check that there is one state for each size.

    Raises
    ------
    ValueError
        If there is another number of them.
    """
    if not isinstance(states, list | tuple) or len(states) != len(sizes):
        found = len(states) if isinstance(states, list | tuple) else type(states).__name__
        raise ValueError(
            f"Argument `{argument}` of {name!r} must be a list with one array for each of its "
            f"{len(sizes)} state(s), of sizes {list(sizes)}. Received: {found}"
        )


def as_state(
    value: Any, shape: tuple[int, ...], dtype: np.dtype, name: str, argument: str
) -> np.ndarray:
    """Return a state, or the gradient by one, as an array that a kernel can take.

    Raises
    ------
    ValueError
        If it holds no real numbers, or its shape is another.
    """
    array = as_float_array(value, dtype, argument)
    if array.shape != shape:
        axes = "(batch, units) = " if len(shape) == 2 else ""
        raise ValueError(
            f"{argument} of {name!r} must have shape {axes}{shape}, got {array.shape}."
        )
    return compact(array)


def state_sizes(cell: Any) -> list[int]:
    """Return the sizes of a cell's states as a flat list.

    Raises
    ------
    ValueError
        If they are no integers.
    """

    def flatten(size: Any) -> list[int]:
        if isinstance(size, list | tuple):
            return [n for part in size for n in flatten(part)]
        if isinstance(size, bool) or not isinstance(size, int | np.integer) or size <= 0:
            raise ValueError(
                f"state_size must be a positive integer, or a list/tuple of them (one for each "
                f"state). Received: state_size={cell.state_size!r} of cell={cell}"
            )
        return [int(size)]

    return flatten(cell.state_size)


def check_states(cell: Any, x: np.ndarray, states: list[Any]) -> None:
    """Check that a cell is called with as many states as it has, each of its size.

    Raises
    ------
    ValueError
        If not.
    """
    sizes = state_sizes(cell)
    flat = _flatten(states)
    shapes = [np.shape(state) for state in flat]
    wanted = [(len(x), size) for size in sizes]
    if shapes != wanted:
        raise ValueError(
            f"Layer {getattr(cell, 'name', cell)!r} takes {len(sizes)} state(s) of shape "
            f"{', '.join(map(str, wanted))}. Received: {len(shapes)} of shape "
            f"{', '.join(map(str, shapes)) or 'nothing'}."
        )


def _flatten(states: Any) -> list[Any]:
    """Return states, some of which come in lists, as one list."""
    if isinstance(states, list | tuple):
        return [part for state in states for part in _flatten(state)]
    return [states]


def output_size(cell: Any) -> int:
    """Return the size of a cell's output."""
    size: Any = getattr(cell, "output_size", None)
    if isinstance(size, list | tuple) and len(size) == 1:  # as cells written for TensorFlow have it
        size = size[0]
    return state_sizes(cell)[0] if size is None else int(size)


def check_cell(cell: Any, alone: bool = True) -> None:
    """Check that `cell`, one alone or one of several, keeps the protocol.

    Raises
    ------
    ValueError
        If it does not; the message says what is missing.
    """
    for name in () if is_called(cell) else ("forward", "backward"):
        if not callable(getattr(cell, name, None)):
            opening = (
                f"Argument `cell` should have a `call` method, or a `{name}` method"
                if alone
                else f"All cells must have a `call` method. Received cell without a `call` method: "
                f"{cell}, nor a `{name}` method"
            )
            raise ValueError(
                f"{opening}: a step is "
                f"written as call(inputs, states) -> (output, new_states), or by hand as "
                f"forward(x_t, states, training) -> (output, new_states, saved) and "
                f"backward(doutput, dstates, saved) -> (dx_t, dstates_before), see RNNCell. "
                f"Received: cell={cell}"
            )
    if getattr(cell, "state_size", None) is None:
        if not alone:
            raise ValueError(
                f"All cells must have a `state_size` attribute. Received cell without a "
                f"`state_size`: {cell}"
            )
        raise ValueError(
            "The RNN cell should have a `state_size` attribute (single integer or list of "
            f"integers, one integer per RNN state). Received: cell={cell}"
        )


def build_cell(cell: Any, input_shape: tuple[int | None, ...], prefix: str) -> None:
    """Build a cell that is a layer, its weights' paths beginning with `prefix`."""
    if isinstance(cell, Layer) and not cell.built:
        cell.path_prefix = prefix
        cell.build(input_shape)
        cell.built = True  # a `build` of one's own may not say so

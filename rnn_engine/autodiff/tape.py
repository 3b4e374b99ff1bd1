"""`GradientTape`: records what is done with variables and tensors, and goes back."""

import enum
import importlib
from typing import Any

import numpy as np

from rnn_engine.autodiff import recording
from rnn_engine.graph.nest import flatten, pack_as
from rnn_engine.tensor import Tensor, as_tensor
from rnn_engine.variable import Variable


class UnconnectedGradients(enum.Enum):
    """What `gradient` gives for what the target does not depend on."""

    NONE = "none"
    ZERO = "zero"


class GradientTape:
    """Records operations, to go back through them (`tf.GradientTape`).

    Parameters
    ----------
    persistent : bool
        Whether `gradient` may be called more than once.
    watch_accessed_variables : bool
        Whether trainable variables are watched when they are read.

    Notes
    -----
    Every layer and loss of the library is one step of the record, with its backward by
    hand. For a gradient of a gradient, as a gradient penalty has it, that part is computed
    once more in ops, far slower than by the kernels: `Dense`, `Conv1D` and `Conv2D`,
    `SimpleRNN`, `LSTM`, `GRU` and their cells, `Bidirectional`, `TimeDistributed`, `Embedding`,
    normalizations, dropout, pooling over time, merges, shapes, the usual activations and
    losses. Others raise NotImplementedError. Needs the extra ``autograd``.

    Examples
    --------
    >>> from rnn_engine import ops
    >>> w = Variable(3.0)
    >>> with GradientTape() as tape:
    ...     loss = ops.square(w) + 2.0 * w
    >>> float(tape.gradient(loss, w))
    8.0
    """

    def __init__(self, persistent: bool = False, watch_accessed_variables: bool = True) -> None:
        self._persistent = persistent
        self._watches_variables = watch_accessed_variables
        self._used = self._entered = False
        self._begin()

    def _begin(self) -> None:
        self._engine = recording.load()
        self.trace: int = self._engine.new_trace()
        self._nodes: dict[int, tuple[Any, Any]] = {}  # by the id of what is watched
        self._boxes: dict[int, Any] = {}
        self._marked: list[Any] = []

    # --- recording ----------------------------------------------------------------------------

    def __enter__(self) -> "GradientTape":
        if self._entered:
            raise ValueError("Tape is still recording, This can happen if you try to re-enter it.")
        self._entered = True
        recording.push(self)
        return self

    def __exit__(self, *error: Any) -> None:
        self._close()

    def _close(self) -> None:
        recording.remove(self)
        self._entered = False
        for tensor in self._marked:
            tensor.__class__ = Tensor
        self._marked.clear()

    def watch(self, tensor: Any) -> None:
        """Record what is done with tensors or variables, one or a nest of them.

        Raises
        ------
        ValueError
            If one of them is neither; make a tensor of an array with
            `ops.convert_to_tensor`.
        """
        for entry in flatten(tensor):
            if isinstance(entry, Variable):
                self.node_of(entry)
            elif isinstance(entry, Tensor) or self._engine.is_box(entry):
                self._watch_tensor(entry)
            else:
                raise ValueError(
                    f"Passed in object {entry!r} of type {type(entry).__name__!r}, not a tensor "
                    f"or a Variable: make a tensor of it with ops.convert_to_tensor."
                )

    def _watch_tensor(self, tensor: Any) -> None:
        seen = self._engine.recorded(read(tensor))
        if id(tensor) in self._boxes or getattr(seen, "_trace", None) == self.trace:
            return
        if isinstance(seen, Tensor):
            seen = seen.view(np.ndarray)
        if type(tensor) is Tensor:
            tensor.__class__ = Watched
            self._marked.append(tensor)
        node = self._engine.root(tensor.dtype)
        self._nodes[id(tensor)] = tensor, node
        self._boxes[id(tensor)] = self._engine.box(seen, self.trace, node)

    def node_of(self, variable: Variable) -> Any:
        """Return the node of a variable, which is watched from now on."""
        found = self._nodes.get(id(variable))
        if found is None:
            found = self._nodes[id(variable)] = variable, self._engine.root(variable.value.dtype)
        return found[1]

    def wants(self, variable: Variable) -> bool:
        """Whether a variable is watched, or will be when it is read."""
        return id(variable) in self._nodes or (self._watches_variables and variable.trainable)

    def box_of(self, tensor: Any) -> Any:
        """Return what this tape records of a tensor, None if it was not told to watch it."""
        return self._boxes.get(id(tensor))

    def read(self, variable: Variable, value: Any) -> Any:
        """Return the value of a variable as this tape records it."""
        if not self.wants(variable):
            return value
        return self._engine.box(value, self.trace, self.node_of(variable))

    def watched_variables(self) -> tuple[Variable, ...]:
        """Return the variables that are watched, in the order of their first use."""
        return tuple(entry for entry, _ in self._nodes.values() if isinstance(entry, Variable))

    def stop_recording(self) -> Any:
        """Return a context in which nothing is recorded."""
        return _Pause(self)

    def reset(self) -> None:
        """Forget what was recorded."""
        for tensor in self._marked:
            tensor.__class__ = Tensor
        self._used = False
        self._begin()

    # --- the way back -------------------------------------------------------------------------

    def gradient(
        self,
        target: Any,
        sources: Any,
        output_gradients: Any = None,
        unconnected_gradients: Any = UnconnectedGradients.NONE,
    ) -> Any:
        """Return the gradients of the sum of `target` by `sources`.

        Parameters
        ----------
        target : tensor, or a nest of them
        sources : Variable or tensor, or a nest of them
            The gradients come in the same form.
        output_gradients : the form of `target`, optional
            Gradients by the targets; ones if None.
        unconnected_gradients : UnconnectedGradients or str
            What is returned for a source that no target depends on: None, or zeros.

        Raises
        ------
        RuntimeError
            If the tape is not persistent and was used before.
        """
        zero = UnconnectedGradients(unconnected_gradients) is UnconnectedGradients.ZERO
        self._use()
        targets = [self._seen(entry) for entry in flatten(target)]
        given = [None] * len(targets) if output_gradients is None else flatten(output_gradients)
        if len(given) != len(targets):
            raise ValueError(
                f"output_gradients has {len(given)} entries, target has {len(targets)}."
            )
        nodes, upstream = [], []
        for entry, slope in zip(targets, given, strict=True):
            if entry is not None:
                nodes.append(entry._node)
                upstream.append(_slope_like(entry, slope))
        entries = flatten(sources)
        wanted = [self._source(entry) for entry in entries]
        found = self._engine.walk_back(nodes, upstream, {node for node in wanted if node})
        gradients = [
            self._result(found.get(node), entry, zero)
            for node, entry in zip(wanted, entries, strict=True)
        ]
        return pack_as(sources, gradients)

    def _use(self) -> None:
        if self._used and not self._persistent:
            raise RuntimeError(
                "A non-persistent GradientTape can only be used to compute one set of gradients "
                "(or jacobians)"
            )
        self._used = True
        if self._entered and not self._persistent:
            self._close()

    def _seen(self, target: Any) -> Any:
        """Return a target as this tape recorded it, None if it did not."""
        target = self._boxes.get(id(target), target)
        while self._engine.is_box(target) and target._trace != self.trace:
            target = target._value
        return target if self._engine.is_box(target) else None

    def _source(self, entry: Any) -> Any:
        found = self._nodes.get(id(entry))
        if found is not None:
            return found[1]
        seen = self._seen(entry)
        return None if seen is None else seen._node

    def _result(self, gradient: Any, source: Any, zero: bool) -> Any:
        if gradient is not None:
            return as_tensor(self._engine.recorded(gradient))
        return as_tensor(np.zeros(source.shape, source.dtype)) if zero else None

    def jacobian(
        self, target: Any, sources: Any, unconnected_gradients: Any = UnconnectedGradients.NONE
    ) -> Any:
        """Return the derivatives of every entry of `target` by every entry of `sources`.

        Each has the shape of `target` followed by that of the source.
        """
        self._use()
        persistent, self._persistent = self._persistent, True
        shape, entries = tuple(target.shape), flatten(sources)
        rows = []
        for place in np.ndindex(*shape):
            one = np.zeros(shape, target.dtype)
            one[place] = 1
            rows.append(self.gradient(target, entries, one, unconnected_gradients))
        self._persistent = persistent
        columns = [
            None if rows[0][i] is None
            else as_tensor(np.stack([_dense(row[i]) for row in rows]).reshape(
                *shape, *entries[i].shape))
            for i in range(len(entries))
        ]  # fmt: skip
        return pack_as(sources, columns)

    def batch_jacobian(
        self, target: Any, source: Any, unconnected_gradients: Any = UnconnectedGradients.NONE
    ) -> Any:
        """Return the derivatives of each row of `target` by the same row of `source`."""
        if target.shape[:1] != source.shape[:1]:
            raise ValueError(
                f"Need first dimension of target shape ({target.shape}) and source shape "
                f"({source.shape}) to match."
            )
        whole = self.jacobian(target, source, unconnected_gradients)
        if whole is None:
            return None
        rows = np.arange(target.shape[0])
        return as_tensor(np.moveaxis(np.asarray(whole), target.ndim, 1)[rows, rows])


class _Pause:
    def __init__(self, tape: GradientTape) -> None:
        self.tape = tape

    def __enter__(self) -> None:
        recording.remove(self.tape)

    def __exit__(self, *error: Any) -> None:
        recording.push(self.tape)


def _slope_like(target: Any, slope: Any) -> Any:
    if slope is None:
        return np.ones(target.shape, target.dtype)
    return np.broadcast_to(np.asarray(slope, target.dtype), target.shape)


def _dense(gradient: Any) -> np.ndarray:
    return gradient.to_dense() if hasattr(gradient, "to_dense") else np.asarray(gradient)


class Watched(Tensor):
    """A `Tensor` that a tape watches: NumPy's functions on it are recorded."""

    __slots__ = ()

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        if method == "__call__" and "out" not in kwargs:
            return apply_function(ufunc, inputs, kwargs)
        plain = [x.view(np.ndarray) if isinstance(x, Tensor) else x for x in inputs]
        return as_tensor(getattr(ufunc, method)(*plain, **kwargs))

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        return apply_function(function, args, kwargs)

    def __getitem__(self, key: Any) -> Any:
        seen = read(self)
        return seen[key] if seen is not self else super().__getitem__(key)

    def astype(self, *args: Any, **kwargs: Any) -> Any:
        """Return the numbers as another type."""
        seen = read(self)
        return seen.astype(*args, **kwargs) if seen is not self else super().astype(*args, **kwargs)


def read(value: Any) -> Any:
    """Return a tensor or variable as the open tapes record it, everything else as it is."""
    tapes = recording.open_tapes()
    if isinstance(value, Variable):
        # A copy: the optimizer writes to the array before a persistent tape is done with it.
        seen: Any = value.value.copy() if tapes else value.value
        for tape in tapes:
            seen = tape.read(value, seen)
        return seen
    seen = value
    for tape in tapes:
        found = tape.box_of(value)
        seen = seen if found is None else found
    return seen


_OPERATORS = {"true_divide", "divide", "add", "subtract", "multiply", "power", "matmul", "mod"}


def apply_function(function: Any, args: Any, kwargs: Any) -> Any:
    """Return what a function of NumPy gives for variables and tensors, recorded where it is.

    Without a function, a part of the first argument. Arithmetic follows the types of
    `rnn_engine.ops`, in which an array of NumPy takes the type of the variable.
    """
    ops: Any = importlib.import_module("rnn_engine.ops")  # above this package
    if function is None:
        return ops.get_item(*args)
    name = function.__name__
    if name in _OPERATORS and not kwargs:
        own = next(x.dtype for x in args if isinstance(x, Variable | Watched))
        plain = (np.ndarray, np.generic)
        fitted = [
            x.astype(own, copy=False) if type(x) in plain and x.dtype.kind == "f" else x
            for x in args
        ]
        return getattr(ops, name)(*fitted)
    seen = [read(x) if isinstance(x, Watched | Variable) else x for x in args]
    engine = recording.load()
    seen = [engine.recorded(x) for x in seen]
    if not any(map(engine.is_box, seen)):
        return as_tensor(function(*seen, **kwargs))
    return getattr(engine.anp, name)(*seen, **kwargs)

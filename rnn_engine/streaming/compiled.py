"""Layers of a row that one call of a kernel takes through some steps."""

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from rnn_engine.kernels import threads
from rnn_engine.kernels.dense import pack_weights, weights_size
from rnn_engine.kernels.recurrent.lone import is_lone
from rnn_engine.kernels.recurrent.places import P
from rnn_engine.kernels.streaming import H, Kind, O, run
from rnn_engine.layers import RNN
from rnn_engine.layers.kernel_loop import KernelLoop
from rnn_engine.streaming.chain import IDENTITIES, Link, names_of
from rnn_engine.variable import Variable, writes

# Steps of one call at most: buffers hold as many.
MOST_STEPS = 256
# Numbers of a buffer, from which on a call takes fewer steps.
MOST_NUMBERS = 262_144


def is_compiled(link: Link, dtype: np.dtype) -> bool:
    """Whether a layer can be part of a compiled row of numbers of this type."""
    layer, names = link.layer, names_of(link.layer)
    plain = len(link.shape) == 2 + link.in_time
    if not plain or link.masked or layer.makes_masks or layer._np_dtype != dtype:
        return False
    if isinstance(layer, RNN):
        return not layer._begins_elsewhere and all(
            isinstance(loop, KernelLoop) and loop.dtype == dtype for loop in layer._loops
        )
    if names & IDENTITIES:
        return True
    if getattr(layer, "activation", None) is None or layer.activation.code is None:
        return False
    return "Dense" in names or "_ActivationLayer" in names or _is_plain_convolution(link, names)


def _is_plain_convolution(link: Link, names: set[str]) -> bool:
    return link.in_time and "Conv1D" in names and link.layer.groups == 1


def _aligned(count: int, dtype: np.dtype) -> np.ndarray:
    """Return zeros that begin with a cache line."""
    size = count * dtype.itemsize
    space = np.zeros(size + 64, np.uint8)
    start = -space.ctypes.data % 64
    return space[start : start + size].view(dtype)


class Compiled:
    """A row of layers as a table for `kernels.streaming`.

    Parameters
    ----------
    links : list of Link
        For each of which `is_compiled` is true.
    batch, features : int
        Rows, and numbers of a step's input.
    dtype : numpy.dtype

    Attributes
    ----------
    table : what the kernel reads
    states : views of the arrays in which it leaves the states, (B, ...)
    variables : the weights
    most : steps of one call at most
    """

    def __init__(self, links: Iterable[Link], batch: int, features: int, dtype: np.dtype) -> None:
        self.batch, self.features, self.dtype = batch, features, dtype
        self.states: list[np.ndarray] = []
        self.variables: list[Variable] = []
        self._kept: list[Any] = []  # what the table points to
        self._weights: list[tuple[int, Callable[[], np.ndarray]]] = []
        self._held: list[np.ndarray] = []
        links = list(links)
        self.most = _steps(links, batch, features)
        rows: list[np.ndarray] = []
        width = features
        for link in links:
            width = self._add(rows, link, width)
        self.units = width
        self.empty = not rows
        head = np.zeros(H.SIZE, np.int64)
        head[H.OPERATIONS], head[H.BATCH] = len(rows), batch
        head[H.FEATURES], head[H.UNITS] = features, width
        head[H.LAID] = self._buffer(self.most * batch * features if batch > 1 else 0)
        self.table = np.concatenate([head, *rows])
        self.version = -1
        self.refresh()

    # --- operations -------------------------------------------------------------------

    def _add(self, rows: list[np.ndarray], link: Link, features: int) -> int:
        """Add a layer's operations; return the numbers of its output of a step."""
        layer, names = link.layer, names_of(link.layer)
        if isinstance(layer, RNN):
            for loop in layer._loops:
                features = self._add_recurrence(rows, loop.packed, features)
            return features
        if names & IDENTITIES:
            return features
        row = self._row(rows, Kind.POINTWISE, features, features)
        row[O.ACTIVATION] = layer.activation.code
        if "_ActivationLayer" not in names:
            row[O.UNITS] = units = layer.units if "Dense" in names else layer.filters
            if "Dense" in names:
                row[O.KIND] = Kind.DENSE
                self._add_weights(rows, layer._weights, (layer.kernel, layer.bias))
                row[O.BIAS] = weights_size(features, units, self.dtype) - units
            else:
                self._add_convolution(rows, row, layer, features)
        row[O.OUT] = self._buffer(self.most * self.batch * int(row[O.UNITS]))
        return int(row[O.UNITS])

    def _row(self, rows: list[np.ndarray], kind: Kind, features: int, units: int) -> np.ndarray:
        row = np.zeros(O.SIZE, np.int64)
        row[O.KIND], row[O.FEATURES], row[O.UNITS] = kind, features, units
        rows.append(row)
        return row

    def _buffer(self, count: int) -> int:
        """Return the address of a new buffer."""
        space = _aligned(count, self.dtype)
        self._kept.append(space)
        return int(space.ctypes.data)

    def _add_weights(
        self, rows: list[np.ndarray], pack: Callable[[], np.ndarray], variables: Any
    ) -> None:
        place = H.SIZE + (len(rows) - 1) * O.SIZE + O.WEIGHTS
        self._weights.append((int(place), pack))
        self.variables += [variable for variable in variables if variable is not None]

    def _add_recurrence(self, rows: list[np.ndarray], packed: Any, features: int) -> int:
        """Add one cell of the kernels."""
        recurrence = packed.recurrence
        units, states = recurrence.units, recurrence.cell.states
        plan = recurrence.stream_plan(self.batch, self.most)
        table = _aligned(len(plan.table), np.dtype(np.int64))
        table[:] = plan.table
        state = _aligned(states * self.batch * units, self.dtype)
        self._kept += [plan, table, state]
        table[P.START] = table[P.LAST] = state.ctypes.data
        table[P.SCRATCH] = self._buffer(plan.scratch)
        kept = self._buffer(plan.kept)
        table[P.STATE : P.OPERAND + 1] *= self.dtype.itemsize
        table[P.STATE : P.OPERAND + 1] += kept
        row = self._row(rows, Kind.RECURRENT, features, units)
        row[O.OUT], row[O.PLAN], row[O.CHUNK] = kept, table.ctypes.data, table[P.CHUNK]
        row[O.LEAST_CHUNK] = is_lone(recurrence._sizes_of(self.batch, self.most))
        self.states += list(state.reshape(states, self.batch, units))
        self._add_weights(rows, lambda: packed.current().weights, packed.variables)
        return int(units)

    def _add_convolution(
        self, rows: list[np.ndarray], row: np.ndarray, layer: Any, features: int
    ) -> None:
        """Fill in what a causal convolution has besides a dense layer."""
        taps, dilation = layer.kernel_size[0], layer.dilation_rate[0]
        before, units, depth = (taps - 1) * dilation, layer.filters, taps * features
        row[O.KIND], row[O.TAPS], row[O.DILATION] = Kind.CAUSAL, taps, dilation
        row[O.BIAS] = weights_size(depth, units, self.dtype) - units
        length = (before + self.most) * features
        inputs = _aligned(self.batch * length, self.dtype)
        self._kept.append(inputs)
        row[O.INPUTS], row[O.INPUTS_ROW] = inputs.ctypes.data, length
        row[O.WINDOWS] = self._buffer(self.most * depth if dilation > 1 else 0)
        lying = inputs.reshape(self.batch, before + self.most, features)
        self.states.append(lying[:, :before])
        none = np.empty(0, self.dtype)

        def pack() -> np.ndarray:
            packed = np.empty(weights_size(depth, units, self.dtype), self.dtype)
            bias = none if layer.bias is None else layer.bias.value
            pack_weights(layer.kernel.value.reshape(depth, units), bias, packed)
            return packed

        self._add_weights(rows, pack, (layer.kernel, layer.bias))

    # --- weights ----------------------------------------------------------------------

    def refresh(self) -> None:
        """Point the table to the packed weights of now, all of one set of weights."""
        version = 0
        for variable in self.variables:
            version += variable.version
        if version == self.version:
            return
        with writes.lock:
            before = None
            while before != (before := sum(v.version for v in self.variables)):
                packed = [pack() for _, pack in self._weights]
        for (place, _), weights in zip(self._weights, packed, strict=True):
            self.table[place] = weights.ctypes.data
        self._held, self.version = packed, before

    # --- the way of the data ----------------------------------------------------------

    def run(self, x: np.ndarray, out: np.ndarray) -> None:
        """Take x (B, T, F) to `out` (B, T, U); both are C-contiguous, proved by the caller."""
        steps = x.shape[1]
        if self.batch == 1 or steps <= self.most:
            for begin in range(0, steps, self.most):
                count = min(self.most, steps - begin)
                run(self.table, x[:, begin:], out[:, begin:], count)
            return
        for begin in range(0, steps, self.most):
            part = np.ascontiguousarray(x[:, begin : begin + self.most])
            made = np.empty((*part.shape[:2], self.units), self.dtype)
            run(self.table, part, made, part.shape[1])
            out[:, begin : begin + self.most] = made

    def reset(self) -> None:
        """Begin again: zeros, which no product reads."""
        for state in self.states:
            state[...] = 0
        self.table[H.STARTED] = 0

    @property
    def started(self) -> bool:
        """Whether there are states that products read."""
        return bool(self.table[H.STARTED])

    @started.setter
    def started(self, value: bool) -> None:
        self.table[H.STARTED] = value


def _steps(links: list[Link], batch: int, features: int) -> int:
    """Return the steps of a call: its buffers are small, and Ctrl-C is seen behind it."""
    widest, work = features, 1
    for link in links:
        layer = link.layer
        work += sum(variable.value.size for variable in layer.weights)
        sizes = [getattr(layer, name, 0) for name in ("units", "filters")]
        if isinstance(layer, RNN):
            sizes = layer.state_sizes
        widest = max(widest, *(int(size) for size in sizes))
    most = min(MOST_NUMBERS // (batch * widest), threads.LONGEST_CALL // (batch * work))
    return max(1, min(MOST_STEPS, most))

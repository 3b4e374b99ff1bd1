"""`Convolution`: the sizes of a convolution, and calls of its kernels."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

import numpy as np

from rnn_engine.kernels import convolution as kernels
from rnn_engine.kernels import threads

# Numbers of gathered input that one product takes: 64 KiB in float32, beside the weights in the
# second-level cache.
_GATHERED = 16384
# Rows that a sum of outer products takes at least, where they lie together.
_TOGETHER = 256
# Multiply-adds that are worth a part of the weight gradient of its own, the most parts, and the
# most numbers in all of them.
_PART, _MOST_PARTS, _MOST_NUMBERS = 500_000, 16, 2**22


@dataclass(frozen=True)
class Axis:
    """One axis: sizes of input and output, and how an output finds its inputs.

    Output o takes input (o·stride + j·dilation - pad) / spread through tap j, if that is whole.
    """

    size: int
    out: int
    taps: int = 1
    stride: int = 1
    dilation: int = 1
    spread: int = 1
    pad: int = 0

    def back(self) -> "Axis":
        """Return the axis of the way back, whose taps are in reverse order."""
        pad = (self.taps - 1) * self.dilation - self.pad
        return replace(self, size=self.out, out=self.size, stride=1, spread=self.stride, pad=pad)

    def sets(self) -> list[range]:
        """Return the taps of outputs 0, 1, ...; they repeat with the period `spread`."""
        return [range((self.pad - r) % self.spread, self.taps, self.spread)
                for r in range(self.spread)]  # fmt: skip

    def places(self, output: int) -> list[int]:
        """Return the input's place of each tap of an output, -1 outside."""
        at = [
            (output * self.stride + j * self.dilation - self.pad) // self.spread
            for j in self.sets()[output % self.spread]
        ]
        return [place if 0 <= place < self.size else -1 for place in at]

    def chunks(self, most: int) -> list[list[int]]:
        """Return the lines of the kernels' table of chunks, of up to `most` outputs each."""
        period = max(self.dilation, self.spread)
        found = []
        for r, taps in zip(range(period), self.sets() * self.dilation, strict=False):
            count = -(-(self.out - r) // period)
            start = r * self.stride + (taps.start if self.spread > 1 else 0) - self.pad
            start //= self.spread
            for first in range(0, count, most):
                found.append([
                    r + first * period, period, min(most, count - first),
                    start + first * self.stride * self.dilation,
                    self.dilation, self.stride, len(taps), r if self.spread > 1 else 0,
                ])  # fmt: skip
        return found


class Convolution:
    """A convolution of inputs of one shape.

    Parameters
    ----------
    axes : three of Axis
        The spatial axes; those that are missing have size 1 and come first.
    channels, filters : int
        Channels of the input and of the output.
    groups : int
    dtype : numpy.dtype
    """

    def __init__(
        self, axes: Sequence[Axis], channels: int, filters: int, groups: int, dtype: np.dtype
    ) -> None:
        self.axes, self.dtype = tuple(axes), dtype
        self.inputs, self.outputs, self.groups = channels // groups, filters // groups, groups
        *outer, inner = axes
        self.outer = [axis.out for axis in outer]
        self.most_taps = math.prod(len(max(axis.sets(), key=len)) for axis in outer)
        place = self.most_taps * self.inputs
        most = max(16, _GATHERED // (inner.stride * place))
        self.chunks = np.array(inner.chunks(most), np.int64)
        self.rows = int(self.chunks[:, kernels.COUNT].max())
        single = len(self.chunks) == 1 and self.chunks[0, kernels.PITCH] == 1
        together = max(1, _TOGETHER // self.rows) if single else 1
        stretch = (self.chunks[:, kernels.COUNT] - 1) * inner.stride + self.chunks[:, kernels.TAPS]
        sizes = {
            kernels.OUTER: math.prod(self.outer),
            kernels.CHUNKS: len(self.chunks),
            kernels.LENGTH: inner.size,
            kernels.OUT_LENGTH: inner.out,
            kernels.IN: self.inputs,
            kernels.GROUPS: groups,
            kernels.OUT: self.outputs,
            kernels.SETS: inner.spread,
            kernels.LINE: max(1, int(stretch.max()) * place),
            kernels.GATHERS: together,
        }
        self.sizes = np.zeros(kernels.SIZES, np.int64)
        for entry, value in sizes.items():
            self.sizes[entry] = value
        self.scratch = kernels.lay_out_scratch(self.sizes, self.rows * together, dtype)
        self._lines: dict[Any, Any] = {}

    def back(self) -> "Convolution":
        """Return the convolution that makes the gradient by the input of that by the output."""
        axes = [axis.back() for axis in self.axes]
        groups = self.groups
        return Convolution(axes, self.outputs * groups, self.inputs * groups, groups, self.dtype)

    def out_shape(self, batch: int) -> tuple[int, ...]:
        """Return (batch, three axes, filters)."""
        return (batch, *(axis.out for axis in self.axes), self.outputs * self.groups)

    # --- weights ----------------------------------------------------------------------

    def pack(self, kernel: np.ndarray, turned: bool) -> tuple[np.ndarray, np.ndarray]:
        """Return the packed weights, and where those of each set of taps begin.

        Parameters
        ----------
        kernel : (..., inputs, filters), as Keras lays it out
        turned : bool
            For the way back: taps in reverse order, inputs and outputs changed over.
        """
        taps = [axis.taps for axis in self.axes]
        if turned:
            shape = (*taps, self.outputs, self.groups, self.inputs)
            ordered = kernel.reshape(shape)[::-1, ::-1, ::-1].transpose(0, 1, 2, 5, 4, 3)
        else:
            ordered = kernel.reshape(*taps, self.inputs, self.groups, self.outputs)
        begins, parts, total = [], [], 0
        for d, h, w in product(*(axis.sets() for axis in self.axes)):
            some = ordered[d.start :: d.step, h.start :: h.step, w.start :: w.step]
            some = some.transpose(4, 2, 0, 1, 3, 5)
            k = math.prod(some.shape[1:5])
            parts.append(np.ascontiguousarray(some).reshape(self.groups, k, self.outputs))
            begins.append(total)
            total += self.groups * kernels.panels_size(k, self.outputs, self.dtype)
        panels = np.empty(max(1, total), self.dtype)
        for begin, matrices in zip(begins, parts, strict=True):
            if matrices.size:
                kernels.pack_matrices(matrices, panels[begin:])
        return panels, np.array(begins, np.int64)

    # --- calls of the kernels ---------------------------------------------------------

    def _described(self, x: np.ndarray) -> Any:
        """Return where x begins, the sizes and the table of lines for its strides."""
        rank = x.ndim - 2
        steps = [stride // x.itemsize for stride in x.strides[:-1]]
        key = tuple(steps)
        if key not in self._lines:
            if len(self._lines) > 8:
                self._lines.clear()
            sizes = self.sizes.copy()
            sizes[kernels.X_BATCH], sizes[kernels.X_STEP] = steps[0], steps[-1]
            strides = [0] * (3 - rank) + steps[1:]
            self._lines[key] = sizes, self._outer_lines(strides)
        return (x[(0,) * (x.ndim - 1)][:1], *self._lines[key])

    def _outer_lines(self, strides: list[int]) -> np.ndarray:
        deep, high, _ = self.axes
        table = np.full((math.prod(self.outer), 2 + self.most_taps), -1, np.int64)
        for line, (d, h) in enumerate(product(range(deep.out), range(high.out))):
            places = list(product(deep.places(d), high.places(h)))
            table[line, 0] = d % deep.spread * high.spread + h % high.spread
            table[line, 1] = len(places)
            table[line, 2 : 2 + len(places)] = [
                -1 if min(place) < 0 else place[0] * strides[0] + place[1] * strides[1]
                for place in places
            ]
        return table

    def _work(self, batch: int) -> int:
        # Taps that a spread input leaves out are counted, as a bound.
        places = batch * math.prod(axis.out for axis in self.axes)
        taps = math.prod(axis.taps for axis in self.axes)
        return places * taps * self.inputs * self.outputs * self.groups

    def run(
        self, x: np.ndarray, panels: tuple[np.ndarray, np.ndarray], bias: np.ndarray,
        y: np.ndarray, z: np.ndarray, act: int,
    ) -> None:  # fmt: skip
        """Fill y, and z unless it is empty, for x (batch, ..., channels), channels together.

        `panels` is what `pack` returned.
        """
        start, sizes, outer = self._described(x)
        pieces = len(x) * len(outer) * len(self.chunks)
        work = self._work(len(x))
        tasks = threads.tasks(work, pieces)
        line = int(sizes[kernels.LINE])
        scratch = np.empty(tasks * line, self.dtype)
        args = (start, *panels, bias, y.reshape(-1), z.reshape(-1), act, sizes, outer,
                self.chunks, scratch)  # fmt: skip
        for begin, stop in threads.calls(pieces, 1, work):
            if tasks == 1:
                kernels.convolve(*args, begin, stop, 0, 1)
            else:
                kernels.convolve_tasks(*args, begin, stop, tasks)

    def weight_gradient(self, x: np.ndarray, dz: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the gradients of a kernel (..., inputs, filters) and of a bias.

        dz is (batch, ..., filters) and contiguous.
        """
        start, sizes, outer = self._described(x)
        pieces = len(x) * len(outer) * len(self.chunks)
        taps = [axis.taps for axis in self.axes]
        k, work = math.prod(taps) * self.inputs, self._work(len(x))
        most = max(2, min(_MOST_PARTS, _MOST_NUMBERS // (k * self.outputs * self.groups)))
        parts = max(1, min(pieces, most, work // _PART))
        dw = np.empty((parts, self.groups, k, self.outputs), self.dtype)
        db = np.empty((parts, self.groups * self.outputs), self.dtype)
        tasks = threads.tasks(work, parts)
        scratch = np.empty((tasks, self.scratch), self.dtype)
        calls = -(-work // threads.LONGEST_CALL)
        for call in range(calls):
            args = (start, dz.reshape(-1), dw, db, sizes, outer, self.chunks)
            if tasks == 1:
                for part in range(parts):
                    kernels.weight_products(*args, scratch[0], pieces, call, calls, part)
            else:
                kernels.weight_products_tasks(*args, scratch, pieces, call, calls, tasks)
        deep, high, wide = taps
        total = dw.sum(axis=0) if parts > 1 else dw[0]
        total = total.reshape(self.groups, wide, deep, high, self.inputs, self.outputs)
        return total.transpose(2, 3, 1, 4, 0, 5), db.sum(axis=0)

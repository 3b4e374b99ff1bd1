"""Order and sharing out of the rows of a batch whose sequences differ in length."""

from typing import Any

import numpy as np

from rnn_engine.kernels.options import kernel
from rnn_engine.kernels.pointers import address, copy, offset

AS_THEY_ARE, RIGHT, LEFT = 0, 1, 2
"""What `arrange` found: rows that are not sorted, or padded on the right, or on the left."""


@kernel
def arrange(mask: Any, order: Any, back: Any, lengths: Any, scratch: Any, ordered: Any) -> int:
    """Sort rows by falling length where that saves something; return how they are padded.

    Parameters
    ----------
    mask : (T, B) of bool
        Sorted are batches that are padded on one side: every row open from its start,
        or every row open to its end. Rows of one length keep their order.
    order, back : (B,)
        Filled with the row of the batch that each row is, and with where each row of the batch
        went.
    lengths : (B,)
        Filled with the open steps of the rows, in their order.
    scratch : (B + T + 1,)
    ordered : (T, B) of bool
        Filled with the mask of the rows in their order, where they are sorted.
    """
    steps, batch = mask.shape
    opened, closed, falls = False, False, True
    for b in range(batch):
        scratch[b], order[b], back[b] = 0, b, b
    for t in range(steps):
        for b in range(batch):
            scratch[b] += mask[t, b]
        if t > 0:
            for b in range(batch):
                opened |= mask[t, b] > mask[t - 1, b]
                closed |= mask[t, b] < mask[t - 1, b]
    for b in range(batch):
        lengths[b] = scratch[b]
        if b > 0:
            falls &= scratch[b] <= scratch[b - 1]
    if falls or (opened and closed):
        return AS_THEY_ARE
    # Counted, and then put where the longer ones end.
    for length in range(steps + 1):
        scratch[batch + length] = 0
    for b in range(batch):
        scratch[batch + scratch[b]] += 1
    place = 0
    for length in range(steps, -1, -1):
        count = scratch[batch + length]
        scratch[batch + length] = place
        place += count
    for b in range(batch):
        length = scratch[b]
        place = scratch[batch + length]
        scratch[batch + length] = place + 1
        order[place], back[b], lengths[place] = b, place, length
    for t in range(steps):
        closing = t
        if opened:
            closing = steps - 1 - t
        for i in range(batch):
            ordered[t, i] = lengths[i] > closing
    return LEFT if opened else RIGHT


@kernel
def gather_open(x: Any, order: Any, lengths: Any, left: int, out: Any) -> None:
    """Copy the open steps of the rows of x (B, T, F), in an order, to out (T, B, F).

    The rest of `out` is left alone: nobody reads inputs behind the open rows of a step.
    """
    steps, batch, f = out.shape
    for i in range(batch):
        begin, row = 0, order[i] * steps
        if left:
            begin = steps - lengths[i]
        for t in range(begin, begin + lengths[i]):
            copy(offset(address(out), (t * batch + i) * f),
                 offset(address(x), (row + t) * f), f)  # fmt: skip


@kernel
def share_out(lengths: Any, steps: int, bounds: Any) -> int:
    """Fill `bounds` (tasks + 1,) so that tasks have about the same work; return the most rows.

    A closed step costs something, too: its state is copied.
    """
    batch, tasks = lengths.shape[0], bounds.shape[0] - 1
    total, done, row, most = batch * steps, 0, 0, 0
    for i in range(batch):
        total += 7 * lengths[i]
    bounds[0] = 0
    for task in range(1, tasks + 1):
        while row < batch and (task == tasks or done < total * task // tasks):
            done += steps + 7 * lengths[row]
            row += 1
        bounds[task] = row
        most = max(most, row - bounds[task - 1])
    return most


class Rows:
    """The rows of a batch, sorted by length if that saves something.

    Parameters
    ----------
    mask : (T, B) of bool, C-contiguous

    Attributes
    ----------
    mask : (T, B) of bool, that of the rows in their order
    order : (B,), the row of the batch that each row is, of all of them, or None
    back : (B,), where each row of the batch went, or None
    """

    __slots__ = ("_left", "_lengths", "back", "mask", "order")
    order: Any
    back: Any

    def __init__(self, mask: np.ndarray) -> None:
        steps, batch = mask.shape
        numbers = np.empty((3, batch), np.int64)
        order, back, self._lengths = numbers
        ordered = np.empty((steps, batch), np.bool_)
        scratch = np.empty(batch + steps + 1, np.int64)
        padding = arrange(mask, order, back, self._lengths, scratch, ordered)
        self._left = int(padding == LEFT)
        self.mask, self.order, self.back = mask, None, None
        if padding != AS_THEY_ARE:
            self.mask, self.order, self.back = ordered, order, back

    def gather(self, x: np.ndarray, out: np.ndarray) -> None:
        """Put what is open of x (B, T, F) into out (T, B, F); the rest of out is not to be read."""
        if x.flags.carray:
            gather_open(x, self.order, self._lengths, self._left, out)
        else:
            np.take(x.transpose(1, 0, 2), self.order, axis=1, out=out, mode="clip")

    def shares(self, tasks: int) -> tuple[np.ndarray, int]:
        """Return the bounds (tasks + 1,) of rows that give each task about the same work.

        And the most rows that one has.
        """
        bounds = np.empty(tasks + 1, np.int64)
        return bounds, share_out(self._lengths, len(self.mask), bounds)

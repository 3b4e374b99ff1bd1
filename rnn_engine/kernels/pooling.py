"""The mean over a sequence, masked steps left out; the largest and the mean of windows."""

from typing import Any

from rnn_engine.kernels.options import kernel
from rnn_engine.kernels.pointers import address, load
from rnn_engine.kernels.pool import share_range


@kernel
def mean_over_time(x: Any, row: int, step: int, is_open: Any, total: Any, out: Any) -> None:
    """y[b] = Σ_t x[b, t] / (number of steps), over the open steps.

    Sums run over t in float64, so a row has the same bits in every batch, and with
    any number of masked steps behind it.

    Parameters
    ----------
    x : flat; x[b, t, f] stands at b·row + t·step + f
    row, step : strides of a sequence and of a step, in elements
    is_open : (B, T), or (0, T) where all steps are open
    total : (F,) of float64, for scratch
    out : (B, F), overwritten; NaN in a row without an open step
    """
    batch, features = out.shape
    steps = is_open.shape[1]
    for b in range(batch):
        total[:] = 0.0
        count = 0
        for t in range(steps):
            if is_open.shape[0] and not is_open[b, t]:
                continue
            count += 1
            start = b * row + t * step
            for f in range(features):
                total[f] += x[start + f]
        for f in range(features):
            out[b, f] = total[f] / count


@kernel
def pool_max(
    x: Any, strides: Any, bounds: Any, sizes: Any, y: Any, where: Any, first: int, end: int
) -> None:
    """y[o] = the largest x in the window of o, for samples first..end.

    Parameters
    ----------
    x : where the input begins; channels lie together
    strides : (4,) of int64: numbers between samples, and between places along three axes
    bounds : (out 0 + out 1 + out 2, 2): where the windows of each axis begin and end
    sizes : (3,): the input's sizes along the axes
    y : (batch, out 0, out 1, out 2, channels), overwritten
    where : of int32 and the shape of y, overwritten, or empty: the place of the first largest
    """
    _, deep, high, wide, channels = y.shape
    source = address(x)
    for b in range(first, end):
        for o in range(deep * high * wide):
            d, h, w = o // (high * wide), o // wide % high, o % wide
            out = y[b, d, h, w]
            started = False
            for i in range(bounds[d, 0], bounds[d, 1]):
                for j in range(bounds[deep + h, 0], bounds[deep + h, 1]):
                    for k in range(bounds[deep + high + w, 0], bounds[deep + high + w, 1]):
                        at = b * strides[0] + i * strides[1] + j * strides[2] + k * strides[3]
                        place = (i * sizes[1] + j) * sizes[2] + k
                        if not started:
                            for c in range(channels):
                                out[c] = load(source, at + c)
                            if where.size:
                                where[b, d, h, w, :] = place
                            started = True
                        elif where.size:
                            kept = where[b, d, h, w]
                            for c in range(channels):
                                value = load(source, at + c)
                                # A NaN stays.
                                if value > out[c] or value != value:
                                    out[c], kept[c] = value, place
                        else:
                            for c in range(channels):
                                value = load(source, at + c)
                                if value > out[c] or value != value:
                                    out[c] = value


@kernel
def pool_max_back(dy: Any, where: Any, dx: Any, first: int, end: int) -> None:
    """Add dy to dx where the largest was; dx is (batch, places, channels), and made zero first."""
    _, places, channels = dy.shape
    for b in range(first, end):
        slopes = dx[b]
        slopes[:, :] = 0.0
        for o in range(places):
            for c in range(channels):
                slopes[where[b, o, c], c] += dy[b, o, c]


@kernel
def pool_mean(
    x: Any, strides: Any, bounds: Any, sizes: Any, y: Any, where: Any, first: int, end: int
) -> None:
    """y[o] = the mean of x in the window of o; parameters as in `pool_max`, `where` empty."""
    _, deep, high, wide, channels = y.shape
    source = address(x)
    for b in range(first, end):
        for o in range(deep * high * wide):
            d, h, w = o // (high * wide), o // wide % high, o % wide
            out = y[b, d, h, w]
            out[:] = 0.0
            count = 0
            for i in range(bounds[d, 0], bounds[d, 1]):
                for j in range(bounds[deep + h, 0], bounds[deep + h, 1]):
                    for k in range(bounds[deep + high + w, 0], bounds[deep + high + w, 1]):
                        at = b * strides[0] + i * strides[1] + j * strides[2] + k * strides[3]
                        for c in range(channels):
                            out[c] += load(source, at + c)
                        count += 1
            for c in range(channels):
                out[c] /= count


@kernel
def pool_mean_back(dy: Any, bounds: Any, dx: Any, first: int, end: int) -> None:
    """Fill dx with dy / count, added up over the windows of each place.

    dy and dx have the axes of `pool_max`.
    """
    _, deep, high, wide, channels = dy.shape
    for b in range(first, end):
        dx[b] = 0.0
        for o in range(deep * high * wide):
            d, h, w = o // (high * wide), o // wide % high, o % wide
            slope = dy[b, d, h, w]
            across, along = bounds[deep + h], bounds[deep + high + w]
            count = (bounds[d, 1] - bounds[d, 0]) * (across[1] - across[0]) * (along[1] - along[0])
            for i in range(bounds[d, 0], bounds[d, 1]):
                for j in range(across[0], across[1]):
                    for k in range(along[0], along[1]):
                        target = dx[b, i, j, k]
                        for c in range(channels):
                            target[c] += slope[c] / count


@kernel
def pool_max_tasks(
    x: Any, strides: Any, bounds: Any, sizes: Any, y: Any, where: Any, tasks: int
) -> None:
    """Do what `pool_max` does for all samples."""
    share_range(pool_max, (x, strides, bounds, sizes, y, where), len(y), tasks)


@kernel
def pool_mean_tasks(
    x: Any, strides: Any, bounds: Any, sizes: Any, y: Any, where: Any, tasks: int
) -> None:
    """Do what `pool_mean` does for all samples."""
    share_range(pool_mean, (x, strides, bounds, sizes, y, where), len(y), tasks)


@kernel
def pool_max_back_tasks(dy: Any, where: Any, dx: Any, tasks: int) -> None:
    """Do what `pool_max_back` does for all samples."""
    share_range(pool_max_back, (dy, where, dx), len(dy), tasks)


@kernel
def pool_mean_back_tasks(dy: Any, bounds: Any, dx: Any, tasks: int) -> None:
    """Do what `pool_mean_back` does for all samples."""
    share_range(pool_mean_back, (dy, bounds, dx), len(dy), tasks)

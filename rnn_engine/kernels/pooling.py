"""The mean over the time steps of a sequence, masked ones left out."""

from typing import Any

from rnn_engine.kernels.options import kernel


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

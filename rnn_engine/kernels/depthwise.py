"""Depthwise convolutions: each channel with taps of its own.

    y[o, c] = b[c] + Σ_j x[o·s + j·d - p, c] · w[j, c]

    dx[o·s + j·d - p, c] += dy[o, c] w[j, c]        dw[j, c] = Σ_o x[...] dy[o, c]

Loops over channels are innermost, where LLVM makes vectors of them; every element has one order
of summation, and dw one float64 sum a sample, added up sample by sample.
"""

from typing import Any

from rnn_engine.kernels.options import kernel
from rnn_engine.kernels.pointers import address, load
from rnn_engine.kernels.pool import share_range


@kernel
def depthwise(
    x: Any, strides: Any, places: Any, w: Any, bias: Any, y: Any, first: int, end: int
) -> None:
    """Fill y of samples first..end.

    Parameters
    ----------
    x : where the input begins; channels lie together
    strides : (2,) of int64: numbers between samples, and between places
    places : (outputs, taps) of int64: the place of each tap in a sample, -1 outside
    w : (taps, channels)
    bias : (channels,)
    y : (batch, outputs, channels), overwritten
    """
    _, outputs, channels = y.shape
    taps, source = w.shape[0], address(x)
    for b in range(first, end):
        for o in range(outputs):
            out = y[b, o]
            for c in range(channels):
                out[c] = bias[c]
            for j in range(taps):
                place = places[o, j]
                if place >= 0:
                    at, factors = b * strides[0] + place * strides[1], w[j]
                    for c in range(channels):
                        out[c] += load(source, at + c) * factors[c]


@kernel
def depthwise_tasks(
    x: Any, strides: Any, places: Any, w: Any, bias: Any, y: Any, tasks: int
) -> None:
    """Do what `depthwise` does for all samples."""
    share_range(depthwise, (x, strides, places, w, bias, y), len(y), tasks)


@kernel
def depthwise_back(
    x: Any, strides: Any, places: Any, w: Any, dy: Any, dw: Any, dx: Any, first: int, end: int
) -> None:
    """Fill dx, unless it is empty, and dw of samples first..end.

    Parameters
    ----------
    x, strides, places, w : as in `depthwise`
    dy : (batch, outputs, channels)
    dw : (batch, taps, channels) of float64, overwritten
    dx : (batch, places, channels), overwritten, or (0, 0, 0)
    """
    _, outputs, channels = dy.shape
    taps, source = w.shape[0], address(x)
    for b in range(first, end):
        dw[b] = 0.0
        if dx.shape[0]:
            dx[b] = 0.0
        for o in range(outputs):
            slope = dy[b, o]
            for j in range(taps):
                place = places[o, j]
                if place >= 0:
                    at, sums = b * strides[0] + place * strides[1], dw[b, j]
                    for c in range(channels):
                        sums[c] += load(source, at + c) * slope[c]
                    if dx.shape[0]:
                        target, factors = dx[b, place], w[j]
                        for c in range(channels):
                            target[c] += slope[c] * factors[c]


@kernel
def depthwise_back_tasks(
    x: Any, strides: Any, places: Any, w: Any, dy: Any, dw: Any, dx: Any, tasks: int
) -> None:
    """Do what `depthwise_back` does for all samples."""
    share_range(depthwise_back, (x, strides, places, w, dy, dw, dx), len(dy), tasks)

"""The recurrent cells in plain float64 NumPy: what every side is held to.

Weights are Keras's three: `kernel (F, gU)`, `recurrent (U, gU)` and a bias `(gU,)`, of the GRU
`(2, gU)`; gates stand in Keras's order. Nothing here imports any side.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

Array = np.ndarray
Weights = Sequence[Array]

# Gates of a cell: so many times the units is the width of its weights.
GATES = {"SimpleRNN": 1, "LSTM": 4, "GRU": 3}


def draw_weights(rng: np.random.Generator, cell: str, features: int, units: int) -> list[Array]:
    """Draw weights that neither vanish nor grow over time: kernel, recurrent kernel, bias."""
    gates = GATES[cell]
    squares = [np.linalg.qr(rng.standard_normal((units, units)))[0] for _ in range(gates)]
    kernel = rng.standard_normal((features, gates * units)) / np.sqrt(features + units)
    rows = (2,) if cell == "GRU" else ()
    bias = 0.1 * rng.standard_normal((*rows, gates * units))
    return [kernel, 0.95 * np.concatenate(squares, axis=1), bias]


def _sigmoid(z: Array) -> Array:
    return 0.5 + 0.5 * np.tanh(0.5 * z)


# A step takes what input and state add to the gates, the state and the carry; it returns the new
# ones and what its backward needs. Backward takes the gradients of both and returns those of what
# input and state added, of the carry, and of the state where it went on beside the product.


def _simple_step(zx: Array, zh: Array, h: Array, c: Array) -> Any:
    new = np.tanh(zx + zh)
    return new, c, (new,)


def _simple_back(dh: Array, dc: Array, kept: Any) -> Any:
    (new,) = kept
    dz = dh * (1.0 - new**2)
    return dz, dz, dc, 0.0


def _lstm_step(zx: Array, zh: Array, h: Array, c: Array) -> Any:
    zi, zf, zg, zo = np.split(zx + zh, 4, axis=1)
    i, f, g, o = _sigmoid(zi), _sigmoid(zf), np.tanh(zg), _sigmoid(zo)
    new = f * c + i * g
    return o * np.tanh(new), new, (i, f, g, o, c, np.tanh(new))


def _lstm_back(dh: Array, dc: Array, kept: Any) -> Any:
    i, f, g, o, c, tanh_c = kept
    dc = dc + dh * o * (1.0 - tanh_c**2)
    slopes = [
        dc * g * i * (1.0 - i),
        dc * c * f * (1.0 - f),
        dc * i * (1.0 - g**2),
        dh * tanh_c * o * (1.0 - o),
    ]
    dz = np.concatenate(slopes, axis=1)
    return dz, dz, dc * f, 0.0


def _gru_step(zx: Array, zh: Array, h: Array, c: Array) -> Any:
    (xz, xr, xn), (hz, hr, hn) = np.split(zx, 3, axis=1), np.split(zh, 3, axis=1)
    z, r = _sigmoid(xz + hz), _sigmoid(xr + hr)
    n = np.tanh(xn + r * hn)
    return z * h + (1.0 - z) * n, c, (z, r, n, hn, h)


def _gru_back(dh: Array, dc: Array, kept: Any) -> Any:
    z, r, n, hn, h = kept
    dn = dh * (1.0 - z) * (1.0 - n**2)
    dz, dr = dh * (h - n) * z * (1.0 - z), dn * hn * r * (1.0 - r)
    return np.concatenate([dz, dr, dn], 1), np.concatenate([dz, dr, dn * r], 1), dc, dh * z


STEPS: dict[str, Callable[..., Any]] = {
    "SimpleRNN": _simple_step,
    "LSTM": _lstm_step,
    "GRU": _gru_step,
}
BACKS: dict[str, Callable[..., Any]] = {
    "SimpleRNN": _simple_back,
    "LSTM": _lstm_back,
    "GRU": _gru_back,
}


def run(cell: str, x: Array, weights: Weights, shut: Array | None = None) -> tuple[Array, Any]:
    """Return all states (T+1,B,U), the first of them zero, and what `back` needs.

    Parameters
    ----------
    cell : str
        A key of `GATES`.
    x : Array
        Inputs (B,T,F).
    weights : sequence of Array
        Kernel, recurrent kernel and bias.
    shut : Array, optional
        Steps (T,B) that repeat the state before them.
    """
    kernel, recurrent, bias = weights
    of_x, of_h = bias if bias.ndim == 2 else (bias, 0.0)
    batch, steps, _ = x.shape
    h = np.zeros((steps + 1, batch, len(recurrent)))
    c, kept = h[0], []
    for t in range(steps):
        zx, zh = x[:, t] @ kernel + of_x, h[t] @ recurrent + of_h
        new, carry, values = STEPS[cell](zx, zh, h[t], c)
        closed = False if shut is None else shut[t][:, None]
        h[t + 1], c = np.where(closed, h[t], new), np.where(closed, c, carry)
        kept.append(values)
    return h, kept


def back(
    cell: str, x: Array, trace: tuple[Array, Any], dy: Array, weights: Weights, shut: Any = None
) -> tuple[Array, list[Array]]:
    """Return dx (B,T,F) and the gradients of the weights; `dy (T,B,U)` is that of every state."""
    kernel, recurrent, bias = weights
    h, kept = trace
    found = [np.zeros_like(w) for w in weights]
    dx, dh, dc = np.zeros_like(x), np.zeros_like(h[0]), np.zeros_like(h[0])
    for t in range(x.shape[1] - 1, -1, -1):
        dh = dh + dy[t]
        closed = False if shut is None else shut[t][:, None]
        dzx, dzh, carry, beside = BACKS[cell](dh, dc, kept[t])
        dzx, dzh = np.where(closed, 0.0, dzx), np.where(closed, 0.0, dzh)
        found[0] += x[:, t].T @ dzx
        found[1] += h[t].T @ dzh
        rows = dzx.sum(axis=0)
        found[2] += rows if bias.ndim == 1 else np.stack([rows, dzh.sum(axis=0)])
        dx[:, t] = dzx @ kernel.T
        dh = np.where(closed, dh, beside + dzh @ recurrent.T)
        dc = np.where(closed, dc, carry)
    return dx, found


def last_only(dh: Array, steps: int) -> Array:
    """Return the gradient of every state (T,B,U) where only the last one is used."""
    dy = np.zeros((steps, *dh.shape))
    dy[-1] = dh
    return dy

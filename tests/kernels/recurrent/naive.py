"""Every cell as a plain loop over time in float64, with a small tape for its gradients.

Nothing here is shared with the engine.
"""

from collections.abc import Callable
from math import erf

import numpy as np


class Var:
    """A node of the tape: a value, and what adds to the gradients of what it was made of."""

    def __init__(self, value: np.ndarray, parents: tuple["Var", ...] = (), pull=None) -> None:
        self.value, self.parents, self.pull = np.asarray(value, np.float64), parents, pull
        self.grad = np.zeros_like(self.value)

    def __add__(self, other: "Var") -> "Var":
        return Var(
            self.value + other.value, (self, other), lambda d: (_fit(d, self), _fit(d, other))
        )

    def __mul__(self, other: "Var") -> "Var":
        return Var(
            self.value * other.value,
            (self, other),
            lambda d: (_fit(d * other.value, self), _fit(d * self.value, other)),
        )

    def __matmul__(self, other: "Var") -> "Var":
        return Var(
            self.value @ other.value,
            (self, other),
            lambda d: (d @ other.value.T, self.value.T @ d),
        )

    def columns(self, begin: int, end: int) -> "Var":
        def pull(d: np.ndarray) -> tuple[np.ndarray, ...]:
            out = np.zeros_like(self.value)
            out[..., begin:end] = d
            return (out,)

        return Var(self.value[..., begin:end], (self,), pull)

    def row(self, i: int) -> "Var":
        def pull(d: np.ndarray) -> tuple[np.ndarray, ...]:
            out = np.zeros_like(self.value)
            out[i] = d
            return (out,)

        return Var(self.value[i], (self,), pull)

    def apply(self, name: str) -> "Var":
        f, slope = FUNCTIONS[name]
        return Var(f(self.value), (self,), lambda d: (d * slope(self.value),))


def _fit(d: np.ndarray, like: Var) -> np.ndarray:
    """Sum a gradient over the axes that were broadcast."""
    while d.ndim > like.value.ndim:
        d = d.sum(0)
    return d


def choose(mask: np.ndarray, a: Var, b: Var) -> Var:
    """Return a where the mask (B,) is open, else b."""
    m = mask[:, None]
    return Var(
        np.where(m, a.value, b.value), (a, b), lambda d: (np.where(m, d, 0), np.where(m, 0, d))
    )


def run_back(seeds: list[tuple[Var, np.ndarray]]) -> None:
    """Add the gradients of Σ value·seed to all nodes below."""
    order: list[Var] = []
    seen: set[int] = set()
    stack = [(node, False) for node, _ in seeds]
    while stack:
        node, done = stack.pop()
        if done:
            order.append(node)
        elif id(node) not in seen:
            seen.add(id(node))
            stack.append((node, True))
            stack += [(parent, False) for parent in node.parents]
    for node, seed in seeds:
        node.grad = node.grad + seed
    for node in reversed(order):
        if node.pull is not None:
            for parent, d in zip(node.parents, node.pull(node.grad), strict=True):
                parent.grad = parent.grad + d


def _sigmoid(z: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-z))


def _phi(z: np.ndarray) -> np.ndarray:
    return 0.5 * (1 + np.vectorize(erf)(z / np.sqrt(2)))


FUNCTIONS: dict[str, tuple[Callable, Callable]] = {
    "linear": (lambda z: z, np.ones_like),
    "tanh": (np.tanh, lambda z: 1 - np.tanh(z) ** 2),
    "sigmoid": (_sigmoid, lambda z: _sigmoid(z) * _sigmoid(-z)),
    "relu": (lambda z: np.maximum(z, 0), lambda z: (z > 0).astype(float)),
    "softplus": (lambda z: np.log1p(np.exp(z)), _sigmoid),
    "silu": (lambda z: z * _sigmoid(z), lambda z: _sigmoid(z) * (1 + z * _sigmoid(-z))),
    "gelu": (
        lambda z: z * _phi(z),
        lambda z: _phi(z) + z * np.exp(-z * z / 2) / np.sqrt(2 * np.pi),
    ),
    "hard_sigmoid": (
        lambda z: np.clip((z + 3) / 6, 0, 1),
        lambda z: (np.abs(z) < 3) / 6,
    ),
}
ONE = Var(np.ones(()))
GATES = {"simple_rnn": 1, "lstm": 4, "gru": 3, "gru_reset_before": 3}
STATES = {"simple_rnn": 1, "lstm": 2, "gru": 1, "gru_reset_before": 1}


def step(cell: str, names: tuple[str, ...], zx: list[Var], states: list[Var], r: Var, drops: list,
         b: Var | None) -> list[Var]:  # fmt: skip
    """Return the next states; zx are x·W + b of each gate, `drops` factors of h, one a gate."""
    h, u = states[0], r.value.shape[0]

    def recurrent(g: int, of: Var) -> Var:
        return (of * drops[g]) @ r.columns(g * u, (g + 1) * u)

    if cell == "simple_rnn":
        return [(zx[0] + recurrent(0, h)).apply(names[0])]
    act, gate = names
    minus = Var(np.array(-1.0))
    if cell == "lstm":
        i, f, o = ((zx[k] + recurrent(k, h)).apply(gate) for k in (0, 1, 3))
        g = (zx[2] + recurrent(2, h)).apply(act)
        c = f * states[1] + i * g
        return [o * c.apply(act), c]
    extra = [Var(np.zeros(u))] * 3
    if cell == "gru" and b is not None:
        extra = [b.row(1).columns(g * u, (g + 1) * u) for g in range(3)]
    z, reset = ((zx[k] + recurrent(k, h) + extra[k]).apply(gate) for k in (0, 1))
    if cell == "gru":
        n = (zx[2] + reset * (recurrent(2, h) + extra[2])).apply(act)
    else:
        n = (zx[2] + recurrent(2, reset * h)).apply(act)
    return [z * h + (ONE + minus * z) * n]


class Naive:
    """One pass of a cell; arguments as `Recurrence.forward` takes them."""

    def __init__(self, cell, names, kernel, recurrent, bias, x, initial, mask, drop_x, drop_h,
                 step=step, gates=None, states=None) -> None:  # fmt: skip
        batch, steps, _ = x.shape
        count, u = gates or GATES[cell], recurrent.shape[0]
        self.w, self.r = Var(kernel), Var(recurrent)
        self.b = None if bias is None else Var(bias)
        self.x = [Var(x[:, t]) for t in range(steps)]
        if initial is None:
            initial = [np.zeros((batch, u))] * (states or STATES[cell])
        self.initial = [Var(s) for s in initial]
        h_factors = [Var(np.ones(()))] * count
        if drop_h is not None:
            h_factors = [Var(drop_h[g if len(drop_h) > 1 else 0]) for g in range(count)]
        now, self.h = list(self.initial), []
        for t in range(steps):
            zx = []
            for g in range(count):
                inputs = self.x[t] if drop_x is None else self.x[t] * Var(drop_x[g])
                z = inputs @ self.w.columns(g * u, (g + 1) * u)
                if self.b is not None:
                    row = self.b if self.b.value.ndim == 1 else self.b.row(0)
                    z = z + row.columns(g * u, (g + 1) * u)
                zx.append(z)
            new = step(cell, names, zx, now, self.r, h_factors, self.b)
            if mask is not None:
                new = [choose(mask[t], a, b) for a, b in zip(new, now, strict=True)]
            now = new
            self.h.append(now[0])
        self.last = now

    def backward(self, dy, dlast):
        """Return the gradients by name."""
        seeds = [] if dy is None else list(zip(self.h, dy, strict=True))
        seeds += [(s, d) for s, d in zip(self.last, dlast, strict=True) if d is not None]
        run_back(seeds)
        found = {"kernel": self.w.grad, "recurrent": self.r.grad}
        found["x"] = np.stack([x.grad for x in self.x], 1)
        for k, state in enumerate(self.initial):
            found[f"initial{k}"] = state.grad
        if self.b is not None:
            found["bias"] = self.b.grad
        return found

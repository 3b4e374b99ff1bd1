"""A new cell is one file and one row: a minimal gated unit, from the kernel to a layer.

f = gate(x·W_f + b_f + h·R_f)    n = act(x·W_n + b_n + (f ⊙ h)·R_n)    h' = (1 - f) ⊙ h + f ⊙ n
"""

import numpy as np
import pytest

from rnn_engine.kernels.formulas import CODES
from rnn_engine.kernels.recurrent import recurrence
from rnn_engine.kernels.recurrent.cells import CELLS, Back, Cell, Made, Stage
from rnn_engine.kernels.vector import fma
from tests.kernels.recurrent.naive import ONE, Naive, Var

pytestmark = pytest.mark.jit


def forget(activations, at):
    f = activations[1](at.z[0])
    return Made({}, {0: activations[1].keep(at.z[0], f)}, operand=f * at.before[0])


def renew(activations, at):
    f, n = activations[1].restore(at.kept[0])[0], activations[0](at.z[0])
    return Made({0: fma(f, n - at.before[0], at.before[0])}, {1: activations[0].keep(at.z[0], n)})


def renew_back(activations, at):
    f, _ = activations[1].restore(at.kept[0])
    n, slope = activations[0].restore(at.kept[1])
    d = at.d[0]
    return Back({0: d * (n - at.before[0]), 1: d * f * slope}, {0: fma(-d, f, d)})


def forget_back(activations, at):
    f, slope = activations[1].restore(at.kept[0])
    da = at.d[0]
    return Back({0: fma(da, at.before[0], at.dz[0]) * slope}, {0: da * f})


STAGES = (Stage(1, forget, forget_back), Stage(1, renew, renew_back, own=True))
CELLS["mgu"] = Cell("mgu", states=1, stages=STAGES, keeps=lambda _: 2, carries=True)


class MGU:
    """A thin layer: weights, forward, backward."""

    def __init__(self, features, units, rng):
        self.run = recurrence("mgu", (CODES["tanh"], CODES["sigmoid"]), features, units, "float64")
        shapes = (features, 2 * units), (units, 2 * units), (2 * units,)
        self.weights = [rng.normal(size=shape) * 0.4 for shape in shapes]

    def forward(self, x, mask=None):
        _, last, saved = self.run.forward(self.run.pack(*self.weights), x, None, mask, keep=True)
        return last[0], saved

    def backward(self, dlast, saved):
        gradients = tuple(np.zeros_like(w) for w in self.weights)
        self.run.backward(saved, None, [dlast], gradients)
        return gradients


def naive_step(cell, names, zx, states, r, drops, b):
    u = r.value.shape[0]
    f = (zx[0] + states[0] @ r.columns(0, u)).apply("sigmoid")
    n = (zx[1] + (f * states[0]) @ r.columns(u, 2 * u)).apply("tanh")
    return [(ONE + Var(np.array(-1.0)) * f) * states[0] + f * n]


def test_training_follows_a_loop_in_float64():
    rng = np.random.default_rng(0)
    layer = MGU(3, 21, rng)
    slow = [w.copy() for w in layer.weights]
    x, target = rng.normal(size=(7, 6, 3)), rng.normal(size=(7, 21))
    mask = np.arange(6)[:, None] < rng.integers(1, 7, 7)
    losses = []
    for _ in range(20):
        y, saved = layer.forward(x, mask)
        losses.append(float(((y - target) ** 2).mean()))
        for w, g in zip(layer.weights, layer.backward(y - target, saved), strict=True):
            w -= 0.05 * g
        loop = Naive("mgu", (), *slow, x, None, mask, None, None, naive_step, 2, 1)
        found = loop.backward(None, [loop.last[0].value - target])
        for w, name in zip(slow, ("kernel", "recurrent", "bias"), strict=True):
            w -= 0.05 * found[name]
        assert np.allclose(y, loop.last[0].value, rtol=0, atol=1e-12)
    assert losses[-1] < 0.7 * losses[0]
    for w, v in zip(layer.weights, slow, strict=True):
        assert np.allclose(w, v, rtol=0, atol=1e-11)

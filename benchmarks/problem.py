"""The numbers a case runs on, and the float64 truth that every side is held to.

Every process draws the same problem from the same seed, so no array has to
travel. The truth is plain NumPy in float64 and imports nothing of any side.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from benchmarks import equations
from benchmarks.cases import FEATURE_KINDS, Case
from benchmarks.features import FeatureProblem
from benchmarks.features import draw as draw_feature
from benchmarks.features import truth as truth_of_feature

Array = np.ndarray
Numbers = dict[str, Array]

# Batches of the training run that agreement is checked on, before anything is timed.
CHECK_STEPS = 3

# Largest error of a quantity over its largest value. Float32 sides differ from the truth
# by about 1e-6 (tanh, order of sums); a wrong gate, axis or scale misses by 1e-2 or more.
# Adam divides a gradient by its own size, which lifts rounding in the smallest ones.
TOLERANCE = {"float32": 1e-4, "float64": 1e-9}
# Keras keeps the learning rate and Adam's powers in float32 whatever the weights are.
TRAINING_TOLERANCE = {"float32": 1e-3, "float64": 1e-5}


@dataclass
class Problem:
    """Inputs, weights and targets of a case.

    `x (N,T,F)`; `kernel`, `recurrent` and `bias` as in `benchmarks.equations`; `dy (N,U)` the
    gradient that comes from above; for whole models also `out_kernel (U,1)`,
    `out_bias (1,)` and targets `y (N,1)`. `N` is `samples`, or else the batch.
    """

    case: Case
    x: Array
    kernel: Array
    recurrent: Array
    bias: Array
    dy: Array
    out_kernel: Array
    out_bias: Array
    y: Array

    @property
    def layer_weights(self) -> list[Array]:
        """Weights of the recurrent layer in Keras's order."""
        return [self.kernel, self.recurrent, self.bias]

    @property
    def weights(self) -> list[Array]:
        """Weights of the whole model in Keras's order."""
        return [*self.layer_weights, self.out_kernel, self.out_bias]

    @property
    def check_rows(self) -> int:
        """Rows that the training run of the agreement check goes through."""
        return min(len(self.x), CHECK_STEPS * self.case.batch)

    @cached_property
    def time_major(self) -> Array:
        """`x` as (T,N,F), contiguous, for peers that take nothing else."""
        return np.ascontiguousarray(self.x.transpose(1, 0, 2))


def draw(case: Case) -> Any:
    """Draw the problem of a case; the same name gives the same numbers.

    It is a `Problem`, or a `features.FeatureProblem` for kinds of those.
    """
    if case.kind in FEATURE_KINDS:
        return draw_feature(case)
    rng = np.random.default_rng(zlib.crc32(case.name.encode()))
    rows = case.samples or case.batch
    units, features = case.units, case.features
    x = rng.standard_normal((rows, case.time, features))
    kernel, recurrent, bias = equations.draw_weights(rng, case.cell, features, units)
    arrays = {
        "x": x,
        "kernel": kernel,
        "recurrent": recurrent,
        "bias": bias,
        "dy": rng.standard_normal((rows, units)),
        "out_kernel": rng.standard_normal((units, 1)) * np.sqrt(2.0 / (units + 1)),
        "out_bias": 0.1 * rng.standard_normal(1),
        # Something that can be learned, so that training does not wander off.
        "y": np.tanh(x.mean(axis=(1, 2), keepdims=False))[:, None]
        + 0.01 * rng.standard_normal((rows, 1)),
    }
    return Problem(case, **{k: np.ascontiguousarray(v, case.dtype) for k, v in arrays.items()})


def truth(problem: Any) -> Numbers:
    """Return in float64 what every side has to come up with for this case."""
    if isinstance(problem, FeatureProblem):
        return truth_of_feature(problem)
    case = problem.case
    x = problem.x.astype(np.float64)
    weights = [w.astype(np.float64) for w in problem.weights]
    *layer, out_kernel, out_bias = weights
    if case.kind in ("fit", "train_on_batch", "memory"):
        rows = problem.check_rows
        return _train(x[:rows], problem.y[:rows].astype(np.float64), weights, case)
    trace = equations.run(case.cell, x, layer)
    h = trace[0]
    if case.kind == "forward":
        return {"h": h[-1]}
    if case.kind == "gradients":
        dy = equations.last_only(problem.dy.astype(np.float64), case.time)
        dx, found = equations.back(case.cell, x, trace, dy, layer)
        names = ("d_kernel", "d_recurrent", "d_bias")
        return {"h": h[-1], "d_x": dx, **dict(zip(names, found, strict=True))}
    return {"y": h[-1] @ out_kernel + out_bias}


def _train(x: Array, y: Array, weights: list[Array], case: Case) -> Numbers:
    """Return loss and weights after one unshuffled epoch of Adam on the mean squared error."""
    weights = [w.copy() for w in weights]
    first = [np.zeros_like(w) for w in weights]
    second = [np.zeros_like(w) for w in weights]
    total = 0.0
    for step, start in enumerate(range(0, len(x), case.batch), start=1):
        xb, yb = x[start : start + case.batch], y[start : start + case.batch]
        *layer, out_kernel, out_bias = weights
        trace = equations.run(case.cell, xb, layer)
        h = trace[0]
        miss = h[-1] @ out_kernel + out_bias - yb
        total += float((miss**2).mean()) * len(xb)
        d_out = 2.0 * miss / miss.size
        dy = equations.last_only(d_out @ out_kernel.T, case.time)
        _, gradients = equations.back(case.cell, xb, trace, dy, layer)
        gradients += [h[-1].T @ d_out, d_out.sum(axis=0)]
        rate = 1e-3 * np.sqrt(1.0 - 0.999**step) / (1.0 - 0.9**step)
        for w, m, v, g in zip(weights, first, second, gradients, strict=True):
            m += 0.1 * (g - m)
            v += 0.001 * (g * g - v)
            w -= rate * m / (np.sqrt(v) + 1e-7)
    names = ("kernel", "recurrent", "bias", "out_kernel", "out_bias")
    return {"loss": np.array(total / len(x)), **dict(zip(names, weights, strict=True))}


def disagreement(found: Numbers, expected: Numbers) -> dict[str, float]:
    """Return the error of each quantity: largest difference over largest true value.

    A missing quantity, another shape or a value that is not finite counts as infinite.
    """
    errors = {}
    for name, want in expected.items():
        got = found.get(name)
        if got is None or got.shape != want.shape or not np.isfinite(got).all():
            errors[name] = float("inf")
            continue
        scale = float(np.abs(want).max()) or 1.0
        errors[name] = float(np.abs(got.astype(np.float64) - want).max()) / scale
    return errors


def tolerance(case: Case) -> float:
    """Return the largest error at which a side still counts as agreeing."""
    training = case.kind in ("fit", "train_on_batch", "memory") or (
        case.kind in FEATURE_KINDS and case.kind != "softmax_predict"
    )
    return (TRAINING_TOLERANCE if training else TOLERANCE)[case.dtype]

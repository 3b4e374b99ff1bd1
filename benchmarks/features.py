"""Masks, dropout, stacks, directions, tables: whole models, each a kind of its own.

A model is written once, in the names that Keras and the engine share; what it has
to come up with is computed here in float64 NumPy. All train with Adam, or predict,
on one batch, NumPy arrays in and out. Numbers are checked by one step of plain
gradient descent at rate 1, which moves every weight by its gradient, and by the loss
after a step of Adam. Dropout is checked at rates of zero, as each side draws its own.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks import equations
from benchmarks.cases import Case

Array = np.ndarray
Numbers = dict[str, Array]

# Rows of the table, and classes of the softmax, of the last two kinds.
VOCABULARY = 20_000
RATE = 0.2
LAYERS = 3


@dataclass
class FeatureProblem:
    """Inputs, targets and weights, in Keras's order, of a case.

    `x` is (B,T,F), or (B,T) of indices under a table of width F. `lengths` (B,) are
    those of the sequences; later steps of `x` are zero.
    """

    case: Case
    x: Array
    y: Array
    lengths: Array
    weights: list[Array]

    @property
    def loss(self) -> str:
        """Keras's name of the loss."""
        return "sparse_categorical_crossentropy" if with_table(self.case) else "mse"


def with_table(case: Case) -> bool:
    """Whether the model starts with an `Embedding` and ends in a softmax."""
    return case.kind.startswith("softmax")


def directions(case: Case) -> int:
    """Return in how many directions a layer reads."""
    return 2 if case.kind == "bidirectional" else 1


def depth(case: Case) -> int:
    """Return how many recurrent layers are stacked."""
    return LAYERS if case.kind == "stacked" else 1


def build(layers: Any, sequential: Callable[[list[Any]], Any], case: Case, rate: float) -> Any:
    """Return the model of a case, made of `layers`; `rate` is that of dropout."""
    units = case.units
    options: dict[str, Any] = {"dtype": case.dtype}
    stack = [layers.Input((case.time,) if with_table(case) else (case.time, case.features))]
    if with_table(case):
        stack.append(layers.Embedding(VOCABULARY, case.features, **options))
    if case.kind == "masked":
        stack.append(layers.Masking(0.0, **options))
    if case.kind == "dropout":
        options = {**options, "dropout": rate, "recurrent_dropout": rate}
    for i in range(depth(case)):
        layer = getattr(layers, case.cell)(units, return_sequences=i < depth(case) - 1, **options)
        two = directions(case) == 2
        stack.append(layers.Bidirectional(layer, dtype=case.dtype) if two else layer)
    classes = {"units": VOCABULARY, "activation": "softmax"} if with_table(case) else {"units": 1}
    stack.append(layers.Dense(**classes, dtype=case.dtype))
    return sequential(stack)


def draw(case: Case) -> FeatureProblem:
    """Draw the problem of a case; the same name gives the same numbers."""
    rng = np.random.default_rng(zlib.crc32(case.name.encode()))
    batch, steps, width, units = case.batch, case.time, case.features, case.units
    lengths = np.full(batch, steps)
    weights: list[Array] = []
    x: Array
    y: Array
    if with_table(case):
        # Few words are frequent and most are rare, as in a language.
        x = (VOCABULARY ** rng.random((batch, steps))).astype(np.int64) % VOCABULARY
        y = rng.integers(0, VOCABULARY, batch)
        weights.append(rng.uniform(-0.5, 0.5, (VOCABULARY, width)))
    else:
        x = rng.standard_normal((batch, steps, width))
        y = rng.standard_normal((batch, 1))
    if case.kind == "masked":
        # Every length from 1 to T alike, in no order: half of the steps are open.
        lengths = rng.permutation(np.linspace(1, steps, batch).round().astype(int))
        x[np.arange(steps) >= lengths[:, None]] = 0.0
    for _ in range(depth(case)):
        for _ in range(directions(case)):
            weights += equations.draw_weights(rng, case.cell, width, units)
        width = units * directions(case)
    outputs = VOCABULARY if with_table(case) else 1
    weights.append(rng.standard_normal((width, outputs)) * np.sqrt(2.0 / (width + outputs)))
    weights.append(0.1 * rng.standard_normal(outputs))
    dtype = np.dtype(case.dtype)
    if not with_table(case):
        x, y = x.astype(dtype), y.astype(dtype)
    return FeatureProblem(case, x, y, lengths, [np.ascontiguousarray(w, dtype) for w in weights])


def truth(problem: FeatureProblem) -> Numbers:
    """Return in float64 what every side has to come up with."""
    weights = [w.astype(np.float64) for w in problem.weights]
    if problem.case.kind == "softmax_predict":
        return {"y": _forward(problem, weights)[0]}
    loss, gradients, squares = _differentiate(problem, weights)
    rate = 1e-3 * np.sqrt(0.001) / 0.1
    moved = [
        w - rate * 0.1 * g / (np.sqrt(0.001 * s) + 1e-7)
        for w, g, s in zip(weights, gradients, squares, strict=True)
    ]
    after = _loss(problem, _forward(problem, moved)[0])[0]
    return numbers(loss, after, gradients)


def numbers(loss: Any, after: Any, gradients: list[Any]) -> Numbers:
    """Name the loss, that after a step of Adam, and the gradients in the weights' order."""
    found = {"loss": np.asarray(loss), "loss_after_adam": np.asarray(after)}
    return {**found, **{f"d_weight_{i}": np.asarray(g) for i, g in enumerate(gradients)}}


def training_numbers(problem: FeatureProblem, make: Callable[[Any], Any], descent: Any) -> Numbers:
    """Return the numbers of a side that has Keras's methods.

    Parameters
    ----------
    problem : FeatureProblem
    make : callable
        Returns a fresh model without dropout, compiled with the optimizer it is given.
    descent : optimizer
        Plain gradient descent at a rate of 1.
    """
    model = make(descent)
    loss = model.train_on_batch(problem.x, problem.y)
    gradients = [w - v for w, v in zip(problem.weights, model.get_weights(), strict=True)]
    model = make("adam")
    model.train_on_batch(problem.x, problem.y)
    return numbers(loss, model.test_on_batch(problem.x, problem.y), gradients)


# --- the truth ---------------------------------------------------------------


def _layer_weights(problem: FeatureProblem, weights: list[Array]) -> list[list[Array]]:
    """Return the weights of every recurrent layer and direction, in their order."""
    start = int(with_table(problem.case))
    count = depth(problem.case) * directions(problem.case)
    return [weights[start + 3 * i : start + 3 * i + 3] for i in range(count)]


def _forward(problem: FeatureProblem, weights: list[Array]) -> tuple[Array, list[Any], Array]:
    """Return the output, what each recurrent layer read and its states, and their last."""
    case = problem.case
    x = weights[0][problem.x] if with_table(case) else problem.x.astype(np.float64)
    shut = np.arange(case.time)[:, None] >= problem.lengths
    kept = []
    for i, layer in enumerate(_layer_weights(problem, weights)):
        source = x[:, ::-1] if directions(case) == 2 and i == 1 else x
        kept.append((source, shut, equations.run(case.cell, source, layer, shut)))
        if depth(case) > 1:
            x = kept[-1][2][0][1:].transpose(1, 0, 2)
    ends = kept if directions(case) == 2 else kept[-1:]
    last = np.concatenate([trace[0][-1] for _, _, trace in ends], axis=1)
    out = last @ weights[-2] + weights[-1]
    if with_table(case):
        out = np.exp(out - out.max(axis=1, keepdims=True))
        out /= out.sum(axis=1, keepdims=True)
    return out, kept, last


def _loss(problem: FeatureProblem, out: Array) -> tuple[float, Array]:
    """Return the loss, and its gradient by what the output layer adds up."""
    rows = np.arange(len(out))
    if with_table(problem.case):
        slope = out.copy()
        slope[rows, problem.y] -= 1.0
        return float(-np.log(out[rows, problem.y]).mean()), slope / len(out)
    miss = out - problem.y
    return float((miss**2).mean()), 2.0 * miss / miss.size


def _differentiate(problem: FeatureProblem, weights: list[Array]) -> Any:
    """Return the loss, the gradients and their squares as Adam takes them.

    Those of a table's rows are squared where they occur and then added, as in Keras
    on TensorFlow.
    """
    out, kept, last = _forward(problem, weights)
    loss, dout = _loss(problem, out)
    dlast = np.split(dout @ weights[-2].T, directions(problem.case), axis=1)
    layers = _layer_weights(problem, weights)
    found: list[list[Array]] = [[] for _ in layers]
    dx: Any = None
    for i in range(len(layers) - 1, -1, -1):
        source, shut, trace = kept[i]
        if dx is not None and depth(problem.case) > 1:
            dy = dx.transpose(1, 0, 2)
        else:
            end = dlast[i if directions(problem.case) == 2 else 0]
            dy = equations.last_only(end, problem.case.time)
        dx, found[i] = equations.back(problem.case.cell, source, trace, dy, layers[i], shut)
    gradients = [g for layer in found for g in layer] + [last.T @ dout, dout.sum(axis=0)]
    squares = [g * g for g in gradients]
    if with_table(problem.case):
        pair = np.zeros_like(weights[0]), np.zeros_like(weights[0])
        np.add.at(pair[0], problem.x, dx)
        np.add.at(pair[1], problem.x, dx * dx)
        gradients, squares = [pair[0], *gradients], [pair[1], *squares]
    return loss, gradients, squares

"""JAX: `jax.jit` of `lax.scan`, with the input projection done before the scan.

That is the fastest form of the recurrence in JAX; every call waits for its
result with `block_until_ready`. Adam is written out, in one compiled step with
its state donated, so that nothing but JAX is needed.
"""

# ruff: noqa: D102  # a method is a kind of work; `Base` describes them all

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.peers.base import Base, Task, in_batches, numbers_of_training
from benchmarks.problem import Numbers, Problem

jax.config.update("jax_enable_x64", True)


def simple_step(state: Any, z: Any, recurrent: Any, bias: Any) -> Any:
    """One step of a SimpleRNN; `z` is what the input adds."""
    (h,) = state
    return (jnp.tanh(z + h @ recurrent),)


def lstm_step(state: Any, z: Any, recurrent: Any, bias: Any) -> Any:
    """One step of an LSTM."""
    h, c = state
    i, f, g, o = jnp.split(z + h @ recurrent, 4, axis=1)
    c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
    return jax.nn.sigmoid(o) * jnp.tanh(c), c


def gru_step(state: Any, z: Any, recurrent: Any, bias: Any) -> Any:
    """One step of a GRU that resets after the product; `bias` is that of the state."""
    (h,) = state
    (xz, xr, xn), (hz, hr, hn) = jnp.split(z, 3, 1), jnp.split(h @ recurrent + bias, 3, 1)
    update, reset = jax.nn.sigmoid(xz + hz), jax.nn.sigmoid(xr + hr)
    return (update * h + (1 - update) * jnp.tanh(xn + reset * hn),)


# A cell's step and how many states it has, by the gates and the biases of its weights.
STEPS = {(1, 1): (simple_step, 1), (4, 1): (lstm_step, 2), (3, 2): (gru_step, 1)}


def last_state(x: Any, kernel: Any, recurrent: Any, bias: Any) -> Any:
    """Return the last hidden state (B,U) for `x (B,T,F)`."""
    units, width = recurrent.shape
    step, count = STEPS[width // units, bias.ndim]
    of_x, of_h = bias if bias.ndim == 2 else (bias, None)
    projected = jnp.einsum("btf,fu->tbu", x, kernel) + of_x
    start = (jnp.zeros((x.shape[0], units), x.dtype),) * count

    def scanned(state: Any, z: Any) -> Any:
        return step(state, z, recurrent, of_h), None

    return jax.lax.scan(scanned, start, projected)[0][0]


def predict(weights: Any, x: Any) -> Any:
    """Return the predictions of the whole model."""
    *layer, out_kernel, out_bias = weights
    return last_state(x, *layer) @ out_kernel + out_bias


def mean_squared(weights: Any, x: Any, y: Any) -> Any:
    """Return the loss."""
    return jnp.mean((predict(weights, x) - y) ** 2)


def adam_step(state: Any, x: Any, y: Any) -> Any:
    """Return the state after one step of Adam, and the loss before it."""
    weights, first, second, count = state
    loss, gradients = jax.value_and_grad(mean_squared)(weights, x, y)
    count = count + 1
    dtype = weights[0].dtype
    power = count.astype(dtype)
    rate = (1e-3 * jnp.sqrt(1.0 - 0.999**power) / (1.0 - 0.9**power)).astype(dtype)
    first = [m + 0.1 * (g - m) for m, g in zip(first, gradients, strict=True)]
    second = [v + 0.001 * (g * g - v) for v, g in zip(second, gradients, strict=True)]
    updates = zip(weights, first, second, strict=True)
    weights = [w - rate * m / (jnp.sqrt(v) + 1e-7) for w, m, v in updates]
    return (weights, first, second, count), loss


class Trainer:
    """Weights and Adam's state, moved on by `step`."""

    def __init__(self, problem: Problem) -> None:
        weights = [jnp.array(w) for w in problem.weights]
        zeros = [[jnp.zeros_like(w) for w in weights] for _ in range(2)]
        self.state = (weights, *zeros, jnp.zeros((), jnp.int32))
        self.compiled = jax.jit(adam_step, donate_argnums=0)

    def step(self, x: Any, y: Any) -> Any:
        """Train on one batch and return its loss, which may still be on its way."""
        self.state, loss = self.compiled(self.state, x, y)
        return loss

    def numbers(self, loss: float) -> Numbers:
        """Return loss and weights as NumPy arrays."""
        return numbers_of_training(loss, [np.asarray(w) for w in self.state[0]])


class Adapter(Base):
    """JAX on its CPU backend; it has no thread setting but the cores of the process."""

    def forward(self, problem: Problem) -> Task:
        inputs = [jnp.array(a) for a in (problem.x, *problem.layer_weights)]
        run = jax.jit(last_state).lower(*inputs).compile()
        return Task(
            lambda: run(*inputs).block_until_ready(), lambda: {"h": np.asarray(run(*inputs))}
        )

    def gradients(self, problem: Problem) -> Task:
        layer = (problem.x, *problem.layer_weights, problem.dy)
        inputs = [jnp.array(a) for a in layer]

        def both(x: Any, kernel: Any, recurrent: Any, bias: Any, dy: Any) -> Any:
            h, back = jax.vjp(last_state, x, kernel, recurrent, bias)
            return h, *back(dy)

        run = jax.jit(both).lower(*inputs).compile()

        def check() -> Numbers:
            names = ("h", "d_x", "d_kernel", "d_recurrent", "d_bias")
            return {n: np.asarray(a) for n, a in zip(names, run(*inputs), strict=True)}

        return Task(lambda: jax.block_until_ready(run(*inputs)), check)

    def fit(self, problem: Problem) -> Task:
        batch, rng = problem.case.batch, np.random.default_rng(0)

        def epoch(trainer: Trainer, x: Any, y: Any, order: Any) -> float:
            losses = []
            for start in range(0, len(order), batch):
                rows = order[start : start + batch]
                losses.append((trainer.step(x[rows], y[rows]), len(rows)))
            return sum(float(loss) * n for loss, n in losses) / len(order)

        def check() -> Numbers:
            fresh = Trainer(problem)
            order = np.arange(problem.check_rows)
            return fresh.numbers(epoch(fresh, problem.x, problem.y, order))

        trainer, x, y = Trainer(problem), problem.x, problem.y
        return Task(
            lambda: epoch(trainer, x, y, rng.permutation(len(x))),
            check,
            lambda: epoch(trainer, x, y, np.arange(2)),
        )

    def train_on_batch(self, problem: Problem) -> Task:
        def check() -> Numbers:
            fresh = Trainer(problem)
            return fresh.numbers(float(fresh.step(problem.x, problem.y)))

        trainer = Trainer(problem)
        return Task(lambda: float(trainer.step(problem.x, problem.y)), check)

    def predict(self, problem: Problem) -> Task:
        weights = [jnp.array(w) for w in problem.weights]
        run = jax.jit(predict)

        def call() -> Any:
            parts = in_batches(lambda x: run(weights, x), problem.x, problem.case.batch)
            return np.concatenate([np.asarray(part) for part in parts])

        return Task(call, lambda: {"y": call()})

    def layer_call(self, problem: Problem) -> Task:
        weights = [jnp.array(w) for w in problem.weights]
        run = jax.jit(predict)

        def call() -> Any:
            return np.asarray(run(weights, problem.x))

        return Task(call, lambda: {"y": call()})

    predict_on_batch = layer_call

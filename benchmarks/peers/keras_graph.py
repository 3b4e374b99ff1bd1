"""Keras on TensorFlow: `tf.function` with concrete functions; XLA is one flag away.

Layers run as concrete functions of a fixed signature on tensors made before,
which is the shortest way into TensorFlow. `fit`, `predict` and their likes are
Keras's own, with `jit_compile` set in `compile`.
"""

# ruff: noqa: D102  # a method is a kind of work; `Base` describes them all

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from benchmarks import features
from benchmarks.peers.base import Base, Task, numbers_of_training
from benchmarks.problem import Numbers, Problem


class Adapter(Base):
    """Graph mode of `tf.keras`."""

    jit = False

    def __init__(self, threads: int) -> None:
        super().__init__(threads)
        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(threads)

    def _layer(self, problem: Problem) -> Any:
        case = problem.case
        layer = getattr(keras.layers, case.cell)(case.units, dtype=case.dtype)
        layer.build(problem.x.shape)
        layer.set_weights(problem.layer_weights)
        return layer

    def _compiled(self, function: Any, *inputs: Any) -> Any:
        """Return the concrete function for the shapes of `inputs`."""
        signature = [tf.TensorSpec(i.shape, i.dtype) for i in inputs]
        made = tf.function(function, input_signature=signature, jit_compile=self.jit)
        return made.get_concrete_function()

    def forward(self, problem: Problem) -> Task:
        layer, x = self._layer(problem), tf.constant(problem.x)
        run = self._compiled(lambda x: layer(x), x)
        return Task(lambda: run(x), lambda: {"h": run(x).numpy()})

    def gradients(self, problem: Problem) -> Task:
        layer = self._layer(problem)
        x, dy = tf.constant(problem.x), tf.constant(problem.dy)

        def both(x: Any, dy: Any) -> Any:
            with tf.GradientTape() as tape:
                tape.watch(x)
                h = layer(x)
            return h, *tape.gradient(h, [*layer.trainable_variables, x], output_gradients=dy)

        run = self._compiled(both, x, dy)

        def check() -> Numbers:
            names = ("h", "d_kernel", "d_recurrent", "d_bias", "d_x")
            return {n: a.numpy() for n, a in zip(names, run(x, dy), strict=True)}

        return Task(lambda: run(x, dy), check)

    def _model(self, problem: Problem) -> Any:
        case = problem.case
        model = keras.Sequential(
            [
                keras.layers.Input((case.time, case.features), dtype=case.dtype),
                getattr(keras.layers, case.cell)(case.units, dtype=case.dtype),
                keras.layers.Dense(1, dtype=case.dtype),
            ]
        )
        model.set_weights(problem.weights)
        model.compile(optimizer="adam", loss="mse", jit_compile=self.jit)
        return model

    def fit(self, problem: Problem) -> Task:
        model, x, y, batch = self._model(problem), problem.x, problem.y, problem.case.batch

        def check() -> Numbers:
            rows, fresh = problem.check_rows, self._model(problem)
            seen = fresh.fit(x[:rows], y[:rows], batch_size=batch, shuffle=False, verbose=0)
            return numbers_of_training(seen.history["loss"][0], fresh.get_weights())

        return Task(
            lambda: model.fit(x, y, batch_size=batch, verbose=0),
            check,
            lambda: model.fit(x[:2], y[:2], batch_size=batch, verbose=0),
        )

    def predict(self, problem: Problem) -> Task:
        model, x, batch = self._model(problem), problem.x, problem.case.batch

        def call() -> Any:
            return model.predict(x, batch_size=batch, verbose=0)

        return Task(call, lambda: {"y": call()})

    predict_one = predict

    def train_on_batch(self, problem: Problem) -> Task:
        model, x, y = self._model(problem), problem.x, problem.y

        def check() -> Numbers:
            fresh = self._model(problem)
            return numbers_of_training(fresh.train_on_batch(x, y), fresh.get_weights())

        return Task(lambda: model.train_on_batch(x, y), check)

    def predict_on_batch(self, problem: Problem) -> Task:
        model, x = self._model(problem), problem.x
        return Task(
            lambda: model.predict_on_batch(x),
            lambda: {"y": np.asarray(model.predict_on_batch(x))},
        )

    def layer_call(self, problem: Problem) -> Task:
        model, x = self._model(problem), problem.x
        run = self._compiled(lambda x: model(x), tf.constant(x))

        def call() -> Any:
            return run(tf.constant(x)).numpy()

        return Task(call, lambda: {"y": call()})

    def feature(self, problem: features.FeatureProblem) -> Task:
        case, x, y = problem.case, problem.x, problem.y

        def make(optimizer: Any, rate: float = 0.0) -> Any:
            model = features.build(keras.layers, keras.Sequential, case, rate)
            model.set_weights(problem.weights)
            model.compile(optimizer=optimizer, loss=problem.loss, jit_compile=self.jit)
            return model

        model = make("adam", features.RATE)
        if case.kind == "softmax_predict":
            return Task(
                lambda: model.predict_on_batch(x),
                lambda: {"y": np.asarray(model.predict_on_batch(x))},
            )

        def check() -> Numbers:
            descent = keras.optimizers.SGD(1.0)
            if not np.isfinite(model.train_on_batch(x, y)):
                raise ValueError("the loss with dropout is not finite")
            return features.training_numbers(problem, make, descent)

        return Task(lambda: model.train_on_batch(x, y), check)

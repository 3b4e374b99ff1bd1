"""rnn_engine itself, through its public API and nothing else."""

# ruff: noqa: D102  # a method is a kind of work; `Base` describes them all

from __future__ import annotations

from typing import Any

import numpy as np

import rnn_engine
from benchmarks import features
from benchmarks.peers.base import Base, Task, numbers_of_training
from benchmarks.problem import Numbers, Problem


class Adapter(Base):
    """The engine."""

    def __init__(self, threads: int) -> None:
        super().__init__(threads)
        rnn_engine.set_num_threads(threads)

    def _layer(self, problem: Problem) -> Any:
        case = problem.case
        layer = getattr(rnn_engine.layers, case.cell)(case.units, dtype=case.dtype)
        layer.build(problem.x.shape)
        layer.set_weights(problem.layer_weights)
        return layer

    def forward(self, problem: Problem) -> Task:
        layer, x = self._layer(problem), problem.x
        return Task(lambda: layer(x), lambda: {"h": np.asarray(layer(x))})

    def gradients(self, problem: Problem) -> Task:
        layer, x, dy = self._layer(problem), problem.x, problem.dy
        gradients = [weight.grad for weight in layer.trainable_weights]

        def call() -> Any:
            for gradient in gradients:
                gradient.fill(0)
            h, saved = layer.forward(x, training=True)
            return h, layer.backward(dy, saved)

        def check() -> Numbers:
            h, dx = call()
            names = ("d_kernel", "d_recurrent", "d_bias")
            return {"h": h, "d_x": dx, **dict(zip(names, gradients, strict=True))}

        return Task(call, check)

    def _model(self, problem: Problem) -> Any:
        case = problem.case
        model = rnn_engine.Sequential(
            [
                rnn_engine.layers.Input((case.time, case.features)),
                getattr(rnn_engine.layers, case.cell)(case.units, dtype=case.dtype),
                rnn_engine.layers.Dense(1, dtype=case.dtype),
            ]
        )
        model.set_weights(problem.weights)
        model.compile(optimizer="adam", loss="mse")
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

    def train_on_batch(self, problem: Problem) -> Task:
        model, x, y = self._model(problem), problem.x, problem.y

        def check() -> Numbers:
            fresh = self._model(problem)
            return numbers_of_training(fresh.train_on_batch(x, y), fresh.get_weights())

        return Task(lambda: model.train_on_batch(x, y), check)

    def predict(self, problem: Problem) -> Task:
        model, x, batch = self._model(problem), problem.x, problem.case.batch

        def call() -> Any:
            return model.predict(x, batch_size=batch, verbose=0)

        return Task(call, lambda: {"y": call()})

    predict_one = predict

    def predict_on_batch(self, problem: Problem) -> Task:
        model, x = self._model(problem), problem.x
        return Task(lambda: model.predict_on_batch(x), lambda: {"y": model.predict_on_batch(x)})

    def layer_call(self, problem: Problem) -> Task:
        model, x = self._model(problem), problem.x
        return Task(lambda: model(x), lambda: {"y": np.asarray(model(x))})

    def feature(self, problem: features.FeatureProblem) -> Task:
        case, x, y = problem.case, problem.x, problem.y

        def make(optimizer: Any, rate: float = 0.0) -> Any:
            model = features.build(rnn_engine.layers, rnn_engine.Sequential, case, rate)
            model.set_weights(problem.weights)
            model.compile(optimizer=optimizer, loss=problem.loss)
            return model

        model = make("adam", features.RATE)
        if case.kind == "softmax_predict":
            return Task(
                lambda: model.predict_on_batch(x),
                lambda: {"y": np.asarray(model.predict_on_batch(x))},
            )

        def check() -> Numbers:
            descent = rnn_engine.optimizers.SGD(1.0)
            if not np.isfinite(model.train_on_batch(x, y)):
                raise ValueError("the loss with dropout is not finite")
            return features.training_numbers(problem, make, descent)

        return Task(lambda: model.train_on_batch(x, y), check)

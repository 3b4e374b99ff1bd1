"""ONNX Runtime: an `InferenceSession` of the RNN operator. It does not train."""

# ruff: noqa: D102  # a method is a kind of work; `Base` describes them all

from __future__ import annotations

from typing import Any

import numpy as np
import onnxruntime

from benchmarks import onnx_model
from benchmarks.peers.base import Base, Task, Unsupported, in_batches
from benchmarks.problem import Problem


class Adapter(Base):
    """CPU execution provider, all graph optimisations, `--threads` threads."""

    def _session(self, problem: Problem, *, whole: bool, batch: int | None) -> Any:
        if problem.case.dtype != "float32":
            raise Unsupported("its RNN operator is float32 only")
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = self.threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
        return onnxruntime.InferenceSession(
            onnx_model.build(problem, whole=whole, batch=batch),
            options,
            providers=["CPUExecutionProvider"],
        )

    def _run(self, problem: Problem, *, whole: bool) -> Any:
        session = self._session(problem, whole=whole, batch=problem.case.batch)
        feed = {"x": problem.time_major}
        return lambda: session.run(None, feed)[0]

    def forward(self, problem: Problem) -> Task:
        run = self._run(problem, whole=False)
        return Task(run, lambda: {"h": run()[0]})

    def layer_call(self, problem: Problem) -> Task:
        run = self._run(problem, whole=True)
        return Task(run, lambda: {"y": run()})

    predict_on_batch = layer_call

    def predict(self, problem: Problem) -> Task:
        session = self._session(problem, whole=True, batch=None)

        def part(x: Any) -> Any:
            return session.run(None, {"x": x})[0]

        def call() -> Any:
            return np.concatenate(in_batches(part, problem.time_major, problem.case.batch, axis=1))

        return Task(call, lambda: {"y": call()})

"""OpenVINO: the same ONNX model on its CPU plugin. It does not train."""

# ruff: noqa: D102  # a method is a kind of work; `Base` describes them all

from __future__ import annotations

from typing import Any

import numpy as np
import openvino

from benchmarks import onnx_model
from benchmarks.peers.base import Base, Task, Unsupported, in_batches
from benchmarks.problem import Problem


class Adapter(Base):
    """CPU plugin tuned for latency, float32 (no bfloat16), arrays shared and not copied."""

    def _request(self, problem: Problem, *, whole: bool, batch: int | None) -> Any:
        if problem.case.dtype != "float32":
            raise Unsupported("its CPU plugin computes float64 models in float32")
        core = openvino.Core()
        model = core.read_model(onnx_model.build(problem, whole=whole, batch=batch))
        settings = {
            "INFERENCE_NUM_THREADS": self.threads,
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_PRECISION_HINT": "f32",
        }
        return core.compile_model(model, "CPU", settings).create_infer_request()

    def forward(self, problem: Problem) -> Task:
        request = self._request(problem, whole=False, batch=problem.case.batch)
        # The tensor is the array itself, which it does not keep alive: `call` does. Without
        # that the process dies of it (a segmentation fault, once the array is large).
        x = problem.time_major
        request.set_input_tensor(openvino.Tensor(x, shared_memory=True))

        def call(shared: Any = x) -> Any:
            return request.infer()

        def check() -> Any:
            call()
            return {"h": request.get_output_tensor().data[0].copy()}

        return Task(call, check)

    def layer_call(self, problem: Problem) -> Task:
        request = self._request(problem, whole=True, batch=problem.case.batch)

        def call() -> Any:
            return request.infer({0: problem.time_major}, share_inputs=True)[0]

        return Task(call, lambda: {"y": call()})

    predict_on_batch = layer_call

    def predict(self, problem: Problem) -> Task:
        request = self._request(problem, whole=True, batch=None)

        def part(x: Any) -> Any:
            return request.infer({0: np.ascontiguousarray(x)}, share_inputs=True)[0]

        def call() -> Any:
            return np.concatenate(in_batches(part, problem.time_major, problem.case.batch, axis=1))

        return Task(call, lambda: {"y": call()})

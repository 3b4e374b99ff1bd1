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

    def _bound(self, problem: Problem, *, whole: bool) -> Any:
        """Return a request whose input tensor is the problem's array itself."""
        request = self._request(problem, whole=whole, batch=problem.case.batch)
        request.set_input_tensor(openvino.Tensor(problem.time_major, shared_memory=True))
        return request

    def forward(self, problem: Problem) -> Task:
        request = self._bound(problem, whole=False)

        def check() -> Any:
            request.infer()
            return {"h": request.get_output_tensor().data[0].copy()}

        return Task(request.infer, check)

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

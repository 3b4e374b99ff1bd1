"""The ONNX models that ONNX Runtime and OpenVINO run: RNN, and RNN with a linear layer."""

from __future__ import annotations

import numpy as np
from onnx import TensorProto, checker, helper, numpy_helper

from benchmarks.problem import Problem

OPSET = 17


def build(problem: Problem, *, whole: bool, batch: int | None) -> bytes:
    """Return a serialised model of input `x (T,B,F)`.

    Time comes first because the operator knows no other layout on most runtimes.

    Parameters
    ----------
    problem : Problem
        Gives the weights.
    whole : bool
        Output ``y (B,1)`` of the whole model; else ``h (1,B,U)`` of the layer.
    batch : int or None
        Fixed batch; None for any, as batches of `predict` need when the last is short.
    """
    case = problem.case
    kind = helper.np_dtype_to_tensor_dtype(np.dtype(case.dtype))
    rows = batch if batch is not None else "batch"
    arrays = {
        "W": problem.kernel.T[None],
        "R": problem.recurrent.T[None],
        "B": np.concatenate([problem.bias, np.zeros_like(problem.bias)])[None],
    }
    nodes = [
        helper.make_node(
            "RNN",
            ["x", "W", "R", "B"],
            ["", "h"],
            hidden_size=case.units,
            activations=["Tanh"],
            direction="forward",
        )
    ]
    output = helper.make_tensor_value_info("h", kind, [1, rows, case.units])
    if whole:
        arrays |= {"V": problem.out_kernel, "c": problem.out_bias, "first": np.array([0])}
        nodes.append(helper.make_node("Squeeze", ["h", "first"], ["last"]))
        nodes.append(helper.make_node("Gemm", ["last", "V", "c"], ["y"]))
        output = helper.make_tensor_value_info("y", kind, [rows, 1])
    graph = helper.make_graph(
        nodes,
        "rnn",
        [helper.make_tensor_value_info("x", kind, [case.time, rows, case.features])],
        [output],
        [numpy_helper.from_array(np.ascontiguousarray(a), name) for name, a in arrays.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=8)
    checker.check_model(model)
    assert kind in (TensorProto.FLOAT, TensorProto.DOUBLE)
    return bytes(model.SerializeToString())

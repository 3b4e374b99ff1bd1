"""The ONNX models that ONNX Runtime and OpenVINO run: a recurrent layer, alone or with a Dense.

ONNX has the gates of an LSTM as i o f c, where Keras has i f c o; those of a GRU are Keras's.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from onnx import TensorProto, checker, helper, numpy_helper

from benchmarks.problem import Problem

OPSET = 17
# Operator, Keras's gates in its order, attributes.
OPERATORS: dict[str, tuple[str, tuple[int, ...], dict[str, Any]]] = {
    "SimpleRNN": ("RNN", (0,), {"activations": ["Tanh"]}),
    "LSTM": ("LSTM", (0, 3, 1, 2), {}),
    "GRU": ("GRU", (0, 1, 2), {"linear_before_reset": 1}),
}


def _gates(array: np.ndarray, order: tuple[int, ...]) -> np.ndarray:
    """Return `(n, gU)` as `(gU, n)`, gates in ONNX's order."""
    parts = np.split(array, len(order), axis=-1)
    return np.concatenate([parts[k] for k in order], axis=-1).T


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
    operator, order, attributes = OPERATORS[case.cell]
    bias = problem.bias
    # The second bias is that of the state, which of Keras's cells only the GRU has.
    biases = bias if bias.ndim == 2 else np.stack([bias, np.zeros_like(bias)])
    arrays = {
        "W": _gates(problem.kernel, order)[None],
        "R": _gates(problem.recurrent, order)[None],
        "B": _gates(biases, order).T.reshape(1, -1),
    }
    nodes = [
        helper.make_node(
            operator,
            ["x", "W", "R", "B"],
            ["", "h"],
            hidden_size=case.units,
            direction="forward",
            **attributes,
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

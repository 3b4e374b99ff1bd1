"""Graphs of ONNX made by hand, and what ONNX Runtime gives for them."""

import numpy as np
import onnx
import onnxruntime
from onnx import helper, numpy_helper

from rnn_engine.saving import from_onnx

FLOAT, INT32, INT64 = 1, 6, 7


def model(nodes, inputs, outputs, constants=(), version=18):
    """Return a model; `inputs` are (name, type, shape), `constants` (name, array)."""
    graph = helper.make_graph(
        nodes,
        "graph",
        [helper.make_tensor_value_info(*entry) for entry in inputs],
        [helper.make_tensor_value_info(name, FLOAT, None) for name in outputs],
        [numpy_helper.from_array(np.asarray(array), name) for name, array in constants],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", version)], ir_version=9)


def saved(made, folder, name="graph.onnx"):
    """Write a model and return its path."""
    path = folder / name
    onnx.save(made, path)
    return path


def run(path, feeds):
    """Return what ONNX Runtime gives."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    return session.run(None, feeds)


def compare(path, feeds, atol=2e-5):
    """Read a file, and compare what the model gives with what ONNX Runtime does."""
    expected = run(path, feeds)
    loaded = from_onnx(path)
    values = list(feeds.values())
    got = loaded(values if len(values) > 1 else values[0])
    got = list(got) if isinstance(got, list | tuple) else [got]
    assert len(got) == len(expected)
    for mine, theirs in zip(got, expected, strict=True):
        assert mine.shape == theirs.shape
        np.testing.assert_allclose(mine, theirs, atol=atol, rtol=1e-4)
    return loaded

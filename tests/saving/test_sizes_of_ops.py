"""What ops out of a file may give: honest sizes load, hostile ones are refused unrun."""

import json
import resource

import numpy as np
import pytest

import rnn_engine
from rnn_engine import ops
from rnn_engine.models import model_from_json

HUGE = 10**9


def of_op(shape, op, args, kwargs, dtype="float32"):
    """A graph of one input and one op, in whose arguments "x" is the input."""
    history = {"shape": [None, *shape], "dtype": dtype, "keras_history": ["i", 0, 0]}

    def put(value):
        if isinstance(value, list):
            return [put(part) for part in value]
        if isinstance(value, np.ndarray):
            config = {"value": value.tolist(), "dtype": value.dtype.name}
            return {"class_name": "__numpy__", "config": config}
        return {"class_name": "__keras_tensor__", "config": history} if value == "x" else value

    call = {"args": put(args), "kwargs": {name: put(value) for name, value in kwargs.items()}}
    first = {"batch_shape": [None, *shape], "dtype": dtype, "name": "i"}
    layers = [
        {"class_name": "InputLayer", "config": first, "name": "i", "inbound_nodes": []},
        {"class_name": "OpCall", "config": {"op": op, "name": "o"}, "name": "o",
         "inbound_nodes": [call]},
    ]  # fmt: skip
    config = {"name": "m", "layers": layers, "input_layers": ["i", 0, 0],
              "output_layers": ["o", 0, 0]}  # fmt: skip
    return json.dumps({"module": "keras", "class_name": "Functional", "config": config})


HONEST = {
    "padded image": ((96, 96, 64), lambda x: ops.pad(x, ((0, 0), (3, 3), (3, 3), (0, 0)))),
    "long padding": ((100, 8), lambda x: ops.pad(x, ((0, 0), (500, 500), (0, 0)))),
    "padding's value": (
        (10, 8),
        lambda x: ops.pad(x, ((0, 0), (1, 1), (0, 0)), constant_values=-np.inf),
    ),
    "large value": ((10, 8), lambda x: ops.full_like(x, 1e30)),
    "scores of heads": (
        (16, 256, 64), lambda x: ops.matmul(x, ops.transpose(x, (0, 1, 3, 2)))
    ),
    "scores of steps": ((2048, 8), lambda x: ops.matmul(x, ops.transpose(x, (0, 2, 1)))),
    "distances": ((64,), lambda x: ops.cdist(x, np.ones((10000, 64), np.float32))),
    "attention": ((512, 8, 16), lambda x: ops.dot_product_attention(x, x, x)),
    "differences": ((100, 8), lambda x: ops.diff(x, 2, axis=1)),
    "rounded": ((100, 8), lambda x: ops.round(x, 3)),
    "picked": ((100, 64), lambda x: ops.take(x, np.arange(90), axis=1)),
    "norm of many": ((4096, 512), lambda x: ops.norm(x, axis=(1, 2))),
    "three in an einsum": (
        (64, 128),
        lambda x: ops.einsum("bij,jk,kl->bil", x, np.ones((128, 128)), np.ones((128, 9))),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", HONEST)
def test_honest_sizes_load(name):
    shape, function = HONEST[name]
    x = rnn_engine.Input(shape)
    y = function(x)
    again = model_from_json(rnn_engine.Model(x, y).to_json())
    assert again.output.shape == y.shape


HOSTILE = {
    "histogram": ((4,), ["x", HUGE], {}),
    "unique": ((4,), ["x"], {"size": HUGE}),
    "segment_min": ((), ["x", np.array([0, 1])], {"num_segments": HUGE}),
    "segment_prod": ((), ["x", np.array([0, 1, HUGE])], {}),
    "quantile": ((2**16,), ["x", np.linspace(0, 1, 5000)], {"axis": 0}),
    "nanpercentile": ((2**16,), ["x", np.linspace(0, 1, 5000)], {"axis": 0}),
    "svd": ((20000, 1), ["x"], {}),
    "qr": ((20000, 1), ["x", "complete"], {}),
    "inv": ((4000, 4000), ["x"], {}),
    "eig": ((2000, 2000), ["x"], {}),
    "matmul": ((4000, 4000), ["x", "x"], {}),
    "dot_product_attention": ((20000, 1, 1), ["x", "x", "x"], {}),
    "diff": ((4,), ["x", HUGE], {}),
    "round": ((4,), ["x", HUGE], {}),
    "diag": ((), ["x", HUGE], {}),
    "diagflat": ((2**14,), ["x"], {}),
    "take": ((1, 2**20), ["x", np.zeros(5000, np.int64)], {"axis": 1}),
    "get_item": ((2**20,), ["x", np.zeros(5000, np.int64)], {}),
    "array_split": ((4,), ["x", HUGE], {}),
    "geomspace": ((4,), ["x", 2.0, HUGE], {}),
    "ctc_decode": ((4, 5), ["x", np.array([4, 4, 4])], {"top_paths": HUGE}),
    "scatter": ((), [np.array([[0], [1], [2]]), "x", [HUGE]], {}),
}  # fmt: skip


@pytest.mark.parametrize("op", HOSTILE)
def test_hostile_sizes_are_refused(op):
    shape, args, kwargs = HOSTILE[op]
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(ValueError, match=f"op '{op}' would (give|take) "):
        model_from_json(of_op(shape, op, args, kwargs))
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 1 << 16


def test_numbers_that_are_none():
    with pytest.raises(ValueError, match="must be finite"):
        model_from_json(of_op((4,), "repeat", ["x", float("inf")], {}))
    with pytest.raises(ValueError, match="must be a number"):
        model_from_json(of_op((4,), "repeat", ["x", "many"], {}))

"""Steps that are written as a `Loop` or a `Scan` are recognised as the layers that they are."""

import numpy as np
import pytest
from onnx import helper
from onnx.numpy_helper import from_array

from rnn_engine.saving import from_onnx
from tests.saving.onnx_files.graphs import FLOAT, INT64, compare, model, saved

RNG = np.random.default_rng(5)
UNITS, FEATURES, STEPS = 3, 4, 6
BOOL = 9
GATES = {"SimpleRNN": 1, "LSTM": 4, "GRU": 3}


def numbers(*shape):
    return (0.5 * RNG.normal(size=shape)).astype(np.float32)


def node(op, inputs, output, **attributes):
    outputs = [output] if isinstance(output, str) else output
    return helper.make_node(op, inputs, outputs, **attributes)


def step(kind, gate="Sigmoid"):
    """Return the nodes of a step as Keras has it: x_t, h (and c) in, h_new (and c_new) out."""
    begin = [node("MatMul", ["x_t", "W"], "zx"), node("MatMul", ["h", "R"], "zh")]
    if kind == "SimpleRNN":
        return [*begin, node("Add", ["zx", "zh"], "s"), node("Add", ["s", "b"], "z"),
                node("Tanh", ["z"], "h_new")]  # fmt: skip
    if kind == "LSTM":
        return [
            *begin, node("Add", ["zx", "zh"], "s"), node("Add", ["s", "b"], "z"),
            node("Split", ["z"], ["i", "f", "g", "o"], axis=1, num_outputs=4),
            *(node(gate, [n], f"s{n}") for n in "ifo"), node("Tanh", ["g"], "tg"),
            node("Mul", ["sf", "c"], "fc"), node("Mul", ["si", "tg"], "ig"),
            node("Add", ["fc", "ig"], "c_new"), node("Tanh", ["c_new"], "tc"),
            node("Mul", ["so", "tc"], "h_new"),
        ]  # fmt: skip
    return [
        *begin, node("Add", ["zx", "b"], "ax"), node("Add", ["zh", "b2"], "ah"),
        node("Split", ["ax"], ["xz", "xr", "xg"], axis=1, num_outputs=3),
        node("Split", ["ah"], ["hz", "hr", "hg"], axis=1, num_outputs=3),
        node("Add", ["xz", "hz"], "az"), node("Add", ["xr", "hr"], "ar"),
        node(gate, ["az"], "z"), node(gate, ["ar"], "r"),
        node("Mul", ["r", "hg"], "rg"), node("Add", ["xg", "rg"], "ag"), node("Tanh", ["ag"], "g"),
        node("Mul", ["z", "h"], "zh_"), node("Sub", ["one", "z"], "z_"),
        node("Mul", ["z_", "g"], "zg"), node("Add", ["zh_", "zg"], "h_new"),
    ]  # fmt: skip


def constants(kind):
    width = GATES[kind] * UNITS
    return [
        ("W", numbers(FEATURES, width)), ("R", numbers(UNITS, width)), ("b", numbers(width)),
        ("b2", numbers(width)), ("one", np.array(1, np.float32)),
        ("zeros", np.zeros((2, UNITS), np.float32)),
    ]  # fmt: skip


def value(name, kind=FLOAT, shape=None):
    return helper.make_tensor_value_info(name, kind, shape)


def loop(kind, nodes, mask=False, stop=STEPS, states=("h", "c")):
    """Return a model whose body makes a step, with the time in front as tf2onnx has it."""
    states = states[: 2 if kind == "LSTM" else 1]
    inner = [node("Gather", ["seq", "t"], "x_t", axis=0), *nodes]
    results = [f"{s}_new" for s in states]
    if mask:
        inner.append(node("Gather", ["open", "t"], "m", axis=0))
        inner += [node("Where", ["m", f"{s}_new", s], f"{s}_out") for s in states]
        results = [f"{s}_out" for s in states]
    inner += [
        node("Add", ["t", "step"], "t_out"), node("Less", ["t_out", "stop"], "goes_on"),
        node("Identity", [results[0]], "y_t"),
    ]  # fmt: skip
    body = helper.make_graph(
        inner, "body",
        [value("count", INT64, []), value("cond", BOOL, []), value("t", INT64, []),
         *(value(s, FLOAT, [None, UNITS]) for s in states)],
        [value("goes_on", BOOL, []), value("t_out", INT64, []),
         *(value(r, FLOAT, [None, UNITS]) for r in results), value("y_t", FLOAT, [None, UNITS])],
        [from_array(np.array(1, np.int64), "step"), from_array(np.array(stop, np.int64), "stop")],
    )  # fmt: skip
    begins = ["zeros"] * len(states)
    ends = [f"{s}_end" for s in states]
    outer = [
        node("Transpose", ["x"], "seq", perm=[1, 0, 2]),
        node("Loop", ["", "true", "first", *begins], ["t_end", *ends, "ys"], body=body),
        node("Transpose", ["ys"], "y", perm=[1, 0, 2]),
    ]
    inputs = [("x", FLOAT, [2, STEPS, FEATURES])]
    if mask:
        inputs.append(("mask", BOOL, [2, STEPS]))
        outer[1:1] = [node("Transpose", ["mask"], "turned", perm=[1, 0]),
                      node("Unsqueeze", ["turned", "two"], "open")]  # fmt: skip
    known = [*constants(kind), ("true", np.array(True)), ("first", np.array(0, np.int64)),
             ("two", np.array([2], np.int64))]  # fmt: skip
    return model(outer, inputs, ["y", *ends], known)


@pytest.mark.parametrize("mask", [False, True])
@pytest.mark.parametrize("kind", GATES)
def test_loop(kind, mask, tmp_path):
    feeds = {"x": numbers(2, STEPS, FEATURES)}
    if mask:
        feeds["mask"] = np.array([[1, 1, 1, 0, 1, 0], [1, 0, 1, 1, 1, 1]], bool)
    loaded = compare(saved(loop(kind, step(kind), mask), tmp_path), feeds)
    assert [type(o).__name__ for o in loaded.operations].count(kind) == 1


def test_other_activations_are_told_apart(tmp_path):
    made = loop("LSTM", step("LSTM", gate="HardSigmoid"))
    compare(saved(made, tmp_path), {"x": numbers(2, STEPS, FEATURES)})


@pytest.mark.parametrize("reverse", [0, 1])
@pytest.mark.parametrize("kind", GATES)
def test_scan(kind, reverse, tmp_path):
    states = ["h", "c"][: 2 if kind == "LSTM" else 1]
    body = helper.make_graph(
        [*step(kind), node("Identity", ["h_new"], "y_t")], "body",
        [*(value(s, FLOAT, [None, UNITS]) for s in states), value("x_t", FLOAT, [None, FEATURES])],
        [*(value(f"{s}_new", FLOAT, [None, UNITS]) for s in states),
         value("y_t", FLOAT, [None, UNITS])],
    )  # fmt: skip
    ends = [f"{s}_end" for s in states]
    scan = node(
        "Scan", [*["zeros"] * len(states), "x"], [*ends, "y"], body=body, num_scan_inputs=1,
        scan_input_directions=[reverse], scan_output_directions=[reverse],
    )  # fmt: skip
    made = model([scan], [("x", FLOAT, [STEPS, 2, FEATURES])], ["y", *ends], constants(kind))
    compare(saved(made, tmp_path), {"x": numbers(STEPS, 2, FEATURES)})


def refused(made, tmp_path, reason):
    with pytest.raises(ValueError, match=rf"graph\.onnx: node .*\(Loop\).*{reason}"):
        from_onnx(saved(made, tmp_path))


def test_a_loop_that_ends_before_its_sequence(tmp_path):
    made = loop("SimpleRNN", step("SimpleRNN"), stop=STEPS - 2)
    refused(made, tmp_path, "does not make as many steps")


def test_a_body_that_is_nearly_a_layer(tmp_path):
    """The forget gate of this LSTM is one less its input gate: no activation makes it one."""
    nodes = [n for n in step("LSTM") if n.output[0] != "sf"]
    nodes.insert(4, node("Sub", ["one", "si"], "sf"))
    nodes.sort(key=lambda n: n.output[0] == "si", reverse=False)
    order = ["zx", "zh", "s", "z", "i", "si", "sf"]
    nodes.sort(key=lambda n: order.index(n.output[0]) if n.output[0] in order else 99)
    refused(loop("LSTM", nodes), tmp_path, "is no step of")

"""Each operator that is read gives what ONNX Runtime gives for it, or is refused by name."""

import itertools

import numpy as np
import pytest
from onnx import helper, numpy_helper

from rnn_engine.saving import from_onnx, load_model
from tests.saving.onnx_files.graphs import FLOAT, INT32, INT64, compare, model, saved

RNG = np.random.default_rng(3)
GATES = {"RNN": 1, "LSTM": 4, "GRU": 3}


def numbers(*shape, scale=0.5):
    return (scale * RNG.normal(size=shape)).astype(np.float32)


X = numbers(3, 6, 4, scale=1.0)


def recurrent(kind, direction="forward", lengths=False, states=False, bias=True, **attributes):
    """Return a model around one recurrent node, and its feeds; x is (time, batch, features)."""
    units, features, ways = 5, 4, 2 if direction == "bidirectional" else 1
    gates = GATES[kind]
    constants = [
        ("W", numbers(ways, gates * units, features)),
        ("R", numbers(ways, gates * units, units)),
    ]
    inputs = [("x", FLOAT, ["time", "batch", features])]
    feeds = {"x": X.transpose(1, 0, 2)}
    names = ["x", "W", "R", "B" if bias else "", "", "", ""][: 7 if kind == "LSTM" else 6]
    if bias:
        constants.append(("B", numbers(ways, 2 * gates * units)))
    if lengths:
        inputs.append(("lengths", INT32, ["batch"]))
        names[4], feeds["lengths"] = "lengths", np.array([6, 2, 4], np.int32)
    if states:
        for place, name in ((5, "h"), (6, "c")):
            if place < len(names):
                inputs.append((name, FLOAT, [ways, "batch", units]))
                names[place], feeds[name] = name, numbers(ways, 3, units)
    outputs = ["Y", "Y_h", "Y_c"][: 3 if kind == "LSTM" else 2]
    node = helper.make_node(kind, names, outputs, hidden_size=units, direction=direction,
                            **attributes)  # fmt: skip
    return model([node], inputs, outputs, constants), feeds


# Nodes from x (batch, 6, 4) to y, with what they need beside it.
GLUE = {
    "CumSum": ([("CumSum", ["x", "axis"], {"exclusive": 1})], {"axis": np.array(1)}),
    "GatherElements": (
        [("ReduceSum", ["x", "two"], {"keepdims": 1}), ("Abs", ["a0"], {}),
         ("Cast", ["a1"], {"to": INT64}), ("Min", ["a2", "most"], {}),
         ("GatherElements", ["x", "a3"], {"axis": 2})],
        {"two": np.array([2]), "most": np.array(3)},
    ),
    "OneHot": (
        [("Sign", ["x"], {}), ("Cast", ["a0"], {"to": INT64}),
         ("OneHot", ["a1", "depth", "values"], {"axis": -1})],
        {"depth": np.array(3), "values": np.array([-1, 2], np.float32)},
    ),
    "Tile": (
        [("Unsqueeze", ["x", "one"], {}), ("Tile", ["a0", "times"], {})],
        {"one": np.array([1]), "times": np.array([1, 3, 1, 1])},
    ),
    "Where by a constant": (
        [("Neg", ["x"], {}), ("Where", ["mask", "x", "a0"], {})], {"mask": numbers(6, 4) > 0}
    ),
    "Where with a number": (
        [("Where", ["mask", "number", "x"], {})],
        {"mask": numbers(6, 1) > 0, "number": np.array(2, np.float32)},
    ),
    "heads": (
        [("Reshape", ["x", "parts"], {}), ("Transpose", ["a0"], {"perm": [0, 2, 1, 3]}),
         ("Transpose", ["a0"], {"perm": [0, 2, 3, 1]}), ("MatMul", ["a1", "a2"], {}),
         ("Softmax", ["a3"], {"axis": -1}), ("MatMul", ["a4", "a1"], {})],
        {"parts": np.array([0, 0, 2, 2])},
    ),
    "ConvTranspose": (
        [("Transpose", ["x"], {"perm": [0, 2, 1]}),
         ("ConvTranspose", ["a0", "W", "B"],
          {"strides": [2], "pads": [1, 2], "output_padding": [1]})],
        {"W": numbers(4, 3, 3), "B": numbers(3)},
    ),
    "folded": (
        [("Mod", ["seven", "three"], {}), ("Cast", ["a0"], {"to": FLOAT}),
         ("Trilu", ["square"], {"upper": 0}),
         ("Gemm", ["a2", "square"], {"transB": 1, "alpha": 0.5}),
         ("Sigmoid", ["a3"], {}), ("MatMul", ["x", "a4"], {}), ("Add", ["a5", "a1"], {})],
        {"seven": np.array(-7), "three": np.array(3), "square": numbers(4, 4)},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", GLUE)
def test_glue(name, tmp_path):
    steps, constants = GLUE[name]
    nodes = [
        helper.make_node(op, names, ["y" if i == len(steps) - 1 else f"a{i}"], **settings)
        for i, (op, names, settings) in enumerate(steps)
    ]
    made = model(nodes, [("x", FLOAT, ["batch", 6, 4])], ["y"], constants.items())
    compare(saved(made, tmp_path), {"x": X})


@pytest.mark.parametrize("direction", ["forward", "reverse", "bidirectional"])
@pytest.mark.parametrize("kind", GATES)
def test_recurrent(kind, direction, tmp_path):
    settings = {"linear_before_reset": 1} if kind == "GRU" else {}
    for lengths, states, bias in itertools.product((False, True), repeat=3):
        made, feeds = recurrent(kind, direction, lengths, states, bias, **settings)
        compare(saved(made, tmp_path), feeds)


def test_gru_that_resets_before_the_product(tmp_path):
    made, feeds = recurrent("GRU", "bidirectional", True, True)
    compare(saved(made, tmp_path), feeds)


ACTIVATIONS = {
    "Relu": {}, "Softsign": {}, "Softplus": {}, "LeakyRelu": {"activation_alpha": [0.3]},
    "Elu": {"activation_alpha": [0.7]}, "ThresholdedRelu": {"activation_alpha": [0.4]},
    "HardSigmoid": {"activation_alpha": [0.2], "activation_beta": [0.5]},
    "Affine": {"activation_alpha": [0.8], "activation_beta": [0.1]},
    "ScaledTanh": {"activation_alpha": [1.5], "activation_beta": [0.7]},
}  # fmt: skip


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations_with_their_numbers(name, tmp_path):
    made, feeds = recurrent("RNN", activations=[name], **ACTIVATIONS[name])
    compare(saved(made, tmp_path), feeds)


def test_numbers_go_to_the_activations_that_take_some(tmp_path):
    names = ["HardSigmoid", "Elu", "Elu", "Sigmoid", "Tanh", "Tanh"]
    made, feeds = recurrent(
        "LSTM", "bidirectional", activations=names,
        activation_alpha=[0.2, 0.5, 0.5], activation_beta=[0.5],
    )  # fmt: skip
    compare(saved(made, tmp_path), feeds)


def test_layout_with_the_batch_first(tmp_path):
    """ONNX Runtime has no layout 1: the same weights with the axes turned say what is right."""
    made, feeds = recurrent("LSTM", "bidirectional", states=True)
    plain = from_onnx(saved(made, tmp_path))
    expected = plain(list(feeds.values()))
    made.graph.node[0].attribute.append(helper.make_attribute("layout", 1))
    for port, dims in zip(
        made.graph.input, (["batch", "time", 4], *[["batch", 2, 5]] * 2), strict=True
    ):
        port.CopyFrom(helper.make_tensor_value_info(port.name, FLOAT, dims))
    turned = [v.transpose(1, 0, 2) for v in feeds.values()]
    y, h, c = from_onnx(saved(made, tmp_path))(turned)
    np.testing.assert_allclose(y, expected[0].transpose(2, 0, 1, 3), atol=1e-6)
    np.testing.assert_allclose(h, expected[1].transpose(1, 0, 2), atol=1e-6)
    np.testing.assert_allclose(c, expected[2].transpose(1, 0, 2), atol=1e-6)


def test_time_in_front_with_both_directions_beside_each_other(tmp_path):
    """What torch writes where the batch is second: two sizes are unknown, two axes become one."""
    made, feeds = recurrent("LSTM", "bidirectional", states=False)
    del made.graph.output[:]
    made.graph.node.extend([
        helper.make_node("Transpose", ["Y"], ["t"], perm=[0, 2, 1, 3]),
        helper.make_node("Reshape", ["t", "keep"], ["y"]),
    ])  # fmt: skip
    made.graph.initializer.append(numpy_helper.from_array(ints(0, 0, -1), "keep"))
    made.graph.output.append(helper.make_tensor_value_info("y", FLOAT, None))
    compare(saved(made, tmp_path), feeds)


def test_a_state_made_of_the_shape_of_a_fixed_input(tmp_path):
    """The batch is the second axis, which shows only behind what takes the first for it."""
    made, feeds = recurrent("GRU", linear_before_reset=1)
    made.graph.input[0].CopyFrom(helper.make_tensor_value_info("x", FLOAT, [6, 3, 4]))
    nodes = [
        helper.make_node("Shape", ["x"], ["shape"]),
        helper.make_node("Gather", ["shape", "place"], ["rows"]),
        helper.make_node("Unsqueeze", ["rows", "zero"], ["row"]),
        helper.make_node("Concat", ["ways", "row", "units"], ["sizes"], axis=0),
        helper.make_node("Expand", ["blank", "sizes"], ["h"]),
    ]
    made.graph.node[0].input[5:] = ["h"]
    nodes.append(made.graph.node[0])
    whole = model(
        nodes, [], ["Y", "Y_h"],
        [("place", ints(1)[0]), ("zero", ints(0)), ("ways", ints(1)), ("units", ints(5)),
         ("blank", np.zeros((1, 3, 5), np.float32))],
    )  # fmt: skip
    whole.graph.input.extend(made.graph.input)
    whole.graph.initializer.extend(made.graph.initializer)
    compare(saved(whole, tmp_path), feeds)


def test_only_the_last_state(tmp_path):
    made, feeds = recurrent("GRU", "bidirectional", True, linear_before_reset=1)
    del made.graph.output[0]
    compare(saved(made, tmp_path), feeds)


def one(op, *constants, version=18, **attributes):
    """Return a model of one node on x (batch, 6, 4), other inputs being constants."""
    names = [f"c{i}" if c is not None else "" for i, c in enumerate(constants)]
    node = helper.make_node(op, ["x", *names], ["y"], **attributes)
    known = [(n, c) for n, c in zip(names, constants, strict=True) if c is not None]
    return model([node], [("x", FLOAT, ["batch", 6, 4])], ["y"], known, version)


def ints(*values):
    return np.array(values, np.int64)


NODES = {
    "transpose": one("Transpose", perm=[0, 2, 1]),
    "time in front": one("Transpose", perm=[1, 0, 2]),
    "squeeze": one("Unsqueeze", ints(1, 3)),
    "slice": one("Slice", ints(1, 0), ints(5, 3), ints(1, 2), ints(2, 1)),
    "slice from the end": one("Slice", ints(-1), ints(-100), ints(1), ints(-1)),
    "gather": one("Gather", ints(3, 0, -1), axis=1),
    "gather one": one("Gather", np.array(2, np.int64), axis=2),
    "reshape": one("Reshape", ints(0, -1)),
    "reshape anew": one("Reshape", ints(0, 4, 6)),
    "reshape in parts": one("Reshape", ints(0, 2, 3, 4)),
    "fold": one("Reshape", ints(-1, 4)),
    "flatten": one("Flatten"),
    "pad": one("Pad", ints(0, 1, 0, 0, 2, 0), np.array(1.5, np.float32)),
    "expand": one("Expand", ints(2, 1, 1, 1)),
    "matmul": one("MatMul", numbers(4, 3)),
    "add a row": one("Add", numbers(4)),
    "add a column": one("Add", numbers(6, 1)),
    "add with a new axis": one("Add", numbers(2, 1, 6, 4)),
    "mul": one("Mul", np.array(2.5, np.float32)),
    "pow": one("Pow", np.array(2.0, np.float32)),
    "clip": one("Clip", np.array(-0.5, np.float32), np.array(0.25, np.float32)),
    "prelu": one("PRelu", numbers(4)),
    "softmax": one("Softmax", axis=1),
    "log softmax": one("LogSoftmax", axis=-1),
    "reduce": one("ReduceMean", ints(1), keepdims=0),
    "reduce more": one("ReduceSum", ints(-1, 1), keepdims=1),
    "reduce l2": one("ReduceL2", ints(2), keepdims=0),
    "conv": one("Conv", numbers(8, 6, 3), numbers(8), pads=[1, 1]),
    "conv groups": one("Conv", numbers(4, 3, 2), group=2, strides=[2]),
    "conv dilated": one("Conv", numbers(5, 6, 2), dilations=[2]),
    "conv same": one("Conv", numbers(5, 6, 3), auto_pad="SAME_UPPER", strides=[2]),
    "max pool": one("MaxPool", kernel_shape=[2], strides=[2], pads=[1, 1]),
    "average pool": one("AveragePool", kernel_shape=[3]),
    "average pool padded": one("AveragePool", kernel_shape=[2], pads=[1, 0], count_include_pad=1),
    "global average": one("GlobalAveragePool"),
    "global max": one("GlobalMaxPool"),
    "batch normalization": one(
        "BatchNormalization", numbers(6), numbers(6), numbers(6), np.abs(numbers(6)) + 0.1
    ),
    "layer normalization": one("LayerNormalization", numbers(4), numbers(4)),
    "layer normalization without a bias": one("LayerNormalization", numbers(4)),
    "layer normalization over two axes": one(
        "LayerNormalization", numbers(6, 4), numbers(6, 4), axis=1
    ),
    "instance normalization": one("InstanceNormalization", numbers(6), numbers(6)),
    "leaky": one("LeakyRelu", alpha=0.3),
    "elu": one("Elu", alpha=0.4),
    "hard sigmoid": one("HardSigmoid", alpha=0.3, beta=0.4),
    "selu": one("Selu"),
    "celu": one("Celu", alpha=0.6),
    "gelu": one("Gelu", version=20),
    "gelu by tanh": one("Gelu", version=20, approximate="tanh"),
    "thresholded": one("ThresholdedRelu", alpha=0.5),
    "dropout": one("Dropout"),
    **{
        op: one(op)
        for op in ("Relu", "Tanh", "Sigmoid", "Softplus", "Softsign", "Exp", "Mish", "HardSwish",
                   "Neg", "Abs", "Erf", "Floor", "Ceil", "Sign", "Sin", "Cos", "Reciprocal")
    },
}  # fmt: skip


@pytest.mark.parametrize("name", NODES)
def test_one_node(name, tmp_path):
    compare(saved(NODES[name], tmp_path), {"x": X})


def test_gemm_with_its_settings(tmp_path):
    node = helper.make_node("Gemm", ["x", "w", "b"], ["y"], alpha=0.5, beta=2.0, transB=1)
    made = model([node], [("x", FLOAT, ["n", 4])], ["y"],
                 [("w", numbers(3, 4)), ("b", numbers(3))])  # fmt: skip
    compare(saved(made, tmp_path), {"x": X[:, 0]})


def test_convolution_of_images(tmp_path):
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["a"], pads=[1, 0, 1, 0]),
        helper.make_node("MaxPool", ["a"], ["b"], kernel_shape=[2, 2], strides=[2, 1]),
        helper.make_node("GlobalAveragePool", ["b"], ["c"]),
        helper.make_node("Flatten", ["c"], ["y"]),
    ]
    made = model(nodes, [("x", FLOAT, ["n", 3, 7, 6])], ["y"], [("w", numbers(5, 3, 3, 2))])
    compare(saved(made, tmp_path), {"x": numbers(2, 3, 7, 6)})


def test_one_axis_on_two_places(tmp_path):
    nodes = [
        helper.make_node("Unsqueeze", ["x", "last"], ["a"]),
        helper.make_node("Unsqueeze", ["x", "two"], ["b"]),
        helper.make_node("Sub", ["a", "b"], ["y"]),
    ]
    made = model(nodes, [("x", FLOAT, ["n", 6, 4])], ["y"], [("last", ints(3)), ("two", ints(2))])
    compare(saved(made, tmp_path), {"x": X})


def test_attention_of_two_tensors(tmp_path):
    nodes = [
        helper.make_node("Transpose", ["x"], ["t"], perm=[0, 2, 1]),
        helper.make_node("MatMul", ["x", "t"], ["s"]),
        helper.make_node("Softmax", ["s"], ["p"], axis=-1),
        helper.make_node("MatMul", ["p", "x"], ["y"]),
    ]
    compare(saved(model(nodes, [("x", FLOAT, ["n", 6, 4])], ["y"]), tmp_path), {"x": X})


def test_embedding_and_concatenation(tmp_path):
    nodes = [
        helper.make_node("Gather", ["table", "i"], ["e"]),
        helper.make_node("Concat", ["e", "x"], ["y"], axis=2),
        helper.make_node("Concat", ["e", "x"], ["z"], axis=1),
    ]
    made = model(nodes, [("i", INT64, ["n", 6]), ("x", FLOAT, ["n", 6, 4])], ["y", "z"],
                 [("table", numbers(9, 4))])  # fmt: skip
    compare(saved(made, tmp_path), {"i": RNG.integers(0, 9, (3, 6)), "x": X})


def test_a_batch_that_the_file_holds_to(tmp_path):
    """A constant with a row for each row of the batch: the batch stays that of the file."""
    node = helper.make_node("Add", ["x", "c"], ["y"])
    made = model([node], [("x", FLOAT, [3, 6, 4])], ["y"], [("c", numbers(3, 6, 4))])
    loaded = compare(saved(made, tmp_path), {"x": X})
    assert loaded.input_shape == (3, 6, 4)


BEYOND = {
    "clip": ("LSTM", {"clip": 0.4}),
    "clip of a GRU": ("GRU", {"clip": 0.3}),
    "clip of a GRU that resets after": ("GRU", {"clip": 0.3, "linear_before_reset": 1}),
    "clip of an RNN": ("RNN", {"clip": 0.3}),
    "coupled gates": ("LSTM", {"input_forget": 1}),
    "three activations": ("LSTM", {"activations": ["HardSigmoid", "Tanh", "Softsign"]}),
}


@pytest.mark.parametrize("name", BEYOND)
def test_what_keras_has_not(name, tmp_path):
    kind, settings = BEYOND[name]
    made, feeds = recurrent(kind, "forward", True, True, **settings)
    loaded = compare(saved(made, tmp_path), feeds)
    loaded.save(tmp_path / "m.keras")
    again = load_model(tmp_path / "m.keras")(list(feeds.values()))
    for one, two in zip(again, loaded(list(feeds.values())), strict=True):
        np.testing.assert_array_equal(one, two)


@pytest.mark.parametrize("direction", ["forward", "reverse", "bidirectional"])
def test_peepholes(direction, tmp_path):
    ways = 2 if direction == "bidirectional" else 1
    made, feeds = recurrent("LSTM", direction, False, True, clip=3.0)
    made.graph.node[0].input.append("P")
    made.graph.initializer.append(numpy_helper.from_array(numbers(ways, 15, scale=1.0), "P"))
    compare(saved(made, tmp_path), feeds)


REFUSED = {
    "no activation": (recurrent("RNN", activations=["Swish"])[0], "Swish"),
    "unknown operator": (one("Det"), "is not read"),
    "batch": (one("ReduceSum", ints(0)), "the batch"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused_with_the_reason(name, tmp_path):
    made, reason = REFUSED[name]
    made.graph.node[0].name = "the node"
    path = tmp_path / "graph.onnx"
    path.write_bytes(made.SerializeToString())
    with pytest.raises(ValueError, match=rf"graph\.onnx: node 'the node'.*{reason}"):
        from_onnx(path)

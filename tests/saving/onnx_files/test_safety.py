"""An ``.onnx`` file that lies, or reaches for other files, is refused by its name."""

import os
import subprocess
import sys
import textwrap
from itertools import pairwise

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from rnn_engine.saving import from_onnx
from tests.saving.onnx_files.graphs import FLOAT, compare, model, saved


def graph(**changes):
    """Return a model of one product, its constant changed."""
    node = helper.make_node("MatMul", ["x", "w"], ["y"])
    made = model([node], [("x", FLOAT, ["n", 2])], ["y"], [("w", np.ones((2, 3), np.float32))])
    for name, value in changes.items():
        setattr(made.graph.initializer[0], name, value)
    return made


def refused(made, folder, reason):
    path = folder / "bad.onnx"
    path.write_bytes(made if isinstance(made, bytes) else made.SerializeToString())
    with pytest.raises(ValueError, match=rf"bad\.onnx.*{reason}"):
        from_onnx(path)


def external(place, offset=None, length=None):
    made = graph(data_location=onnx.TensorProto.EXTERNAL)
    tensor = made.graph.initializer[0]
    tensor.ClearField("raw_data")
    for key, value in (("location", place), ("offset", offset), ("length", length)):
        if value is not None:
            tensor.external_data.add(key=key, value=str(value))
    return made


@pytest.mark.parametrize("place", ["../secret", "/etc/passwd", "a/../../secret", "link", ""])
def test_external_data_that_leaves_the_folder(place, tmp_path):
    """CVE-2022-25882, CVE-2024-27318 and their like: numbers from any file of the machine."""
    (tmp_path / "secret").write_bytes(bytes(24))
    folder = tmp_path / "model"
    (folder / "a").mkdir(parents=True)
    (folder / "link").symlink_to(tmp_path / "secret")
    refused(external(place), folder, "does not lie in the folder")


def test_external_data_in_the_folder(tmp_path):
    numbers = np.arange(6, dtype=np.float32)
    (tmp_path / "weights").write_bytes(bytes(8) + numbers.tobytes())
    path = saved(external("weights", 8, 24), tmp_path)
    x = np.ones((2, 2), np.float32)
    np.testing.assert_array_equal(from_onnx(path)(x), x @ numbers.reshape(2, 3))


@pytest.mark.parametrize(("offset", "length"), [(9, 24), (-8, 24), (8, 12), (8, 1 << 60)])
def test_external_data_that_is_not_there(offset, length, tmp_path):
    (tmp_path / "weights").write_bytes(bytes(32))
    refused(external("weights", offset, length), tmp_path, "wants 24 bytes|shape")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes here")
def test_external_data_that_is_a_pipe(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    refused(external("pipe"), tmp_path, "is no file")


def test_shapes_that_the_bytes_do_not_fill(tmp_path):
    made = graph()
    del made.graph.initializer[0].dims[:]
    made.graph.initializer[0].dims.extend([1 << 20, 1 << 20])
    refused(made, tmp_path, "has 24 bytes")
    made.graph.initializer[0].dims[0] = -1
    refused(made, tmp_path, "has the shape")


def sizes(*values):
    return np.array(values, np.int64)


LARGE = {
    "ConstantOfShape": (["shape"], [("shape", sizes(1 << 20, 1 << 20))]),
    "Expand": (["c", "shape"], [("c", np.ones(1, np.float32)), ("shape", sizes(1 << 40))]),
    "Tile": (["c", "n"], [("c", np.ones(4, np.float32)), ("n", sizes(1 << 40))]),
    "Range": (["a", "b", "c"], [("a", sizes(0)[0]), ("b", sizes(1 << 40)[0]), ("c", sizes(1)[0])]),
}


@pytest.mark.parametrize("op", LARGE)
def test_constants_that_would_be_large(op, tmp_path):
    inputs, constants = LARGE[op]
    nodes = [helper.make_node(op, inputs, ["big"]), helper.make_node("Add", ["x", "big"], ["y"])]
    made = model(nodes, [("x", FLOAT, ["n", 2])], ["y"],
                 [(n, np.asarray(c)) for n, c in constants])  # fmt: skip
    refused(made, tmp_path, op)


def test_tensors_that_would_be_large(tmp_path):
    node = helper.make_node("Relu", ["x"], ["y"])
    refused(model([node], [("x", FLOAT, ["n", 1 << 30])], ["y"]), tmp_path, "larger than")
    nodes = [
        helper.make_node("Unsqueeze", ["x", "last"], ["a"]),
        helper.make_node("Unsqueeze", ["x", "before"], ["b"]),
        helper.make_node("Mul", ["a", "b"], ["y"]),
    ]
    made = model(nodes, [("x", FLOAT, ["n", 1 << 17])], ["y"],
                 [("last", sizes(2)), ("before", sizes(1))])  # fmt: skip
    refused(made, tmp_path, "larger than")


def test_graphs_in_one_another(tmp_path):
    """Nested as deep as protobuf allows, no recursion ends the process."""
    inner = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "g", [], [])
    for _ in range(20):
        inner = helper.make_graph(
            [helper.make_node("If", ["x"], ["y"], then_branch=inner)], "g", [], []
        )
    made = helper.make_model(inner, opset_imports=[helper.make_opsetid("", 18)])
    refused(made, tmp_path, "deep|no ONNX model")


def test_a_long_row_of_nodes(tmp_path):
    names = ["x", *(f"n{i}" for i in range(3000)), "y"]
    nodes = [helper.make_node("Identity", [a], [b]) for a, b in pairwise(names)]
    compare(saved(model(nodes, [("x", FLOAT, ["n", 2])], ["y"]), tmp_path),
            {"x": np.ones((2, 2), np.float32)})  # fmt: skip


def test_more_nodes_than_a_model_has(tmp_path):
    names = ["x", *(f"n{i}" for i in range(20_000)), "y"]
    nodes = [helper.make_node("Relu", [a], [b]) for a, b in pairwise(names)]
    refused(model(nodes, [("x", FLOAT, ["n", 2])], ["y"]), tmp_path, "20001 nodes")


def test_loops_with_many_states(tmp_path):
    """Which of them are the states of a layer is tried out: not for a thousand of them."""
    states = [f"s{i}" for i in range(50)]
    ports = [helper.make_tensor_value_info(s, FLOAT, [2, 2]) for s in states]
    results = [helper.make_tensor_value_info(f"{s}_", FLOAT, [2, 2]) for s in states]
    step = helper.make_tensor_value_info("x_t", FLOAT, [2, 2])
    nodes = [helper.make_node("MatMul", [s, "w"], [f"{s}_"]) for s in states]
    body = helper.make_graph(nodes, "body", [*ports, step], results)
    scan = helper.make_node("Scan", [*["zero"] * 50, "x"], [f"{s}_end" for s in states],
                            body=body, num_scan_inputs=1)  # fmt: skip
    known = [("zero", np.zeros((2, 2), np.float32)), ("w", np.ones((2, 2), np.float32))]
    made = model([scan], [("x", FLOAT, [3, 2, 2])], ["s0_end"], known)
    refused(made, tmp_path, "carries 50 states")


def test_nodes_that_read_what_comes_later(tmp_path):
    nodes = [helper.make_node("Relu", ["b"], ["a"]), helper.make_node("Relu", ["a"], ["b"])]
    refused(model(nodes, [("x", FLOAT, ["n", 2])], ["b"]), tmp_path, "made by no node before it")


def test_operators_of_others(tmp_path):
    node = helper.make_node("Run", ["x"], ["y"], domain="com.example")
    refused(model([node], [("x", FLOAT, ["n", 2])], ["y"]), tmp_path, r"com\.example\.Run")


@pytest.mark.parametrize("content", [b"", b"x", b"\x08" * 100, b"PK\x03\x04" + bytes(50)])
def test_no_onnx_at_all(content, tmp_path):
    refused(content, tmp_path, "no ONNX model|damaged")


def test_no_such_file(tmp_path):
    with pytest.raises(ValueError, match="File not found"):
        from_onnx(tmp_path / "none.onnx")


def test_types_that_are_not_numbers(tmp_path):
    made = graph()
    made.graph.initializer[0].CopyFrom(numpy_helper.from_array(np.array(["a", "b"], object), "w"))
    refused(made, tmp_path, "type 8")


def test_reading_opens_nothing_and_runs_nothing(tmp_path):
    """An audit hook sees no import, process, socket or file but the one that is read."""
    path = saved(graph(), tmp_path)
    code = textwrap.dedent(f"""
        import sys
        from rnn_engine.saving import from_onnx
        path = {str(path)!r}
        from_onnx(path)  # what is imported lazily is there now
        seen = []
        def hook(event, args):
            if event in ("exec", "compile", "subprocess.Popen", "os.system", "socket.connect"):
                seen.append((event, str(args[0])[:80]))
            if event == "import" or (event == "open" and str(args[0]) != path):
                seen.append((event, str(args[0])))
        sys.addaudithook(hook)
        from_onnx(path)
        print(seen)
    """)
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True,
        env={**os.environ, "PYTHONPATH": os.getcwd()},
    )  # fmt: skip
    assert done.stdout.strip() == "[]"


def test_without_the_package(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnx", None)
    path = tmp_path / "m.onnx"
    path.write_bytes(b"x")
    with pytest.raises(ImportError, match=r"rnn_engine\[onnx\]"):
        from_onnx(path)

"""Graphs of torch's two exporters and of tf2onnx give what ONNX Runtime gave for them.

`tests/saving/written/SOURCE.md` says what they are.
"""

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest

from rnn_engine import layers, models
from rnn_engine.saving import from_onnx

WRITTEN = zipfile.ZipFile(Path(__file__).parents[1] / "written" / "onnx.zip")
NAMES = sorted(name for name in WRITTEN.namelist() if name.endswith(".onnx"))


def unpacked(name, folder):
    """Return the path of a graph, inputs and outputs."""
    path = folder / name
    path.write_bytes(WRITTEN.read(name))
    with np.load(io.BytesIO(WRITTEN.read(f"{name}.npz"))) as data:
        sides = [[data[key] for key in data if key.startswith(side)] for side in ("in_", "out_")]
    return path, *sides


def outputs_of(model, inputs):
    got = model(inputs if len(inputs) > 1 else inputs[0])
    return [np.asarray(y) for y in (got if isinstance(got, list | tuple) else [got])]


def test_there_are_28():
    assert len(NAMES) == 28


@pytest.mark.parametrize("name", NAMES)
def test_same_outputs(name, tmp_path):
    path, inputs, expected = unpacked(name, tmp_path)
    model = from_onnx(path)
    path.unlink()
    got = outputs_of(model, inputs)
    assert [y.shape for y in got] == [y.shape for y in expected]
    for mine, theirs in zip(got, expected, strict=True):
        np.testing.assert_allclose(mine, theirs, atol=1e-6)
    # No step is left to arithmetic: each of these is one recurrent layer, or two.
    kinds = {type(o).__name__ for o in model.operations}
    assert kinds & {"SimpleRNN", "LSTM", "GRU", "Bidirectional"}
    assert not any(getattr(o, "op", "") == "matmul" for o in model.operations)
    assert sum(isinstance(o, layers.Dense) for o in model.operations) <= 1


@pytest.mark.parametrize("name", ["lstm.old", "gru.dynamo", "rnn_bi.dynamo", "rnn_emb.old"])
def test_any_batch_though_exported_with_two_rows(name, tmp_path):
    path, inputs, expected = unpacked(f"{name}.onnx", tmp_path)
    model = from_onnx(path)
    many = model.predict(np.concatenate([inputs[0]] * 3)[1:], verbose=0)
    np.testing.assert_allclose(many, np.concatenate([expected[0]] * 3)[1:], atol=1e-6)


@pytest.mark.parametrize("ending", [".keras", ".npz"])
@pytest.mark.parametrize(
    "name", ["rnn_packed.old_dyn", "rnn_h0.dynamo", "tf_rnn_mask", "rnn_emb.old"]
)
def test_saved_and_loaded(name, ending, tmp_path):
    path, inputs, expected = unpacked(f"{name}.onnx", tmp_path)
    from_onnx(path).save(tmp_path / f"m{ending}")
    got = outputs_of(models.load_model(tmp_path / f"m{ending}"), inputs)
    for mine, theirs in zip(got, expected, strict=True):
        np.testing.assert_allclose(mine, theirs, atol=1e-6)


def test_trains_on(tmp_path):
    path, inputs, expected = unpacked("lstm.old_dyn.onnx", tmp_path)
    model = from_onnx(path)
    model.compile("adam", "mse")
    losses = model.fit(inputs[0], expected[0] + 1, epochs=3, verbose=0).history["loss"]
    assert losses[-1] < losses[0]


def test_predict_where_the_batch_is_not_in_front(tmp_path):
    path, inputs, expected = unpacked("rnn_h0.old.onnx", tmp_path)
    model = from_onnx(path)
    # More rows than a batch has: cut along the first axis, states would go to wrong rows.
    many = [np.tile(inputs[0], (20, 1, 1)), np.tile(inputs[1], (1, 20, 1))]
    y, h = model.predict(many, batch_size=8)
    np.testing.assert_allclose(y, np.tile(expected[0], (20, 1, 1)), atol=1e-6)
    np.testing.assert_allclose(h, np.tile(expected[1], (1, 20, 1)), atol=1e-6)
    with pytest.raises(NotImplementedError, match="first axis is not the batch"):
        model.fit(many, many[0])

"""Graphs of more models of PyTorch, by both exporters; `torch_models` makes them."""

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest

from rnn_engine.saving import from_onnx

WRITTEN = zipfile.ZipFile(Path(__file__).parents[1] / "written" / "onnx-torch.zip")
NAMES = sorted(name for name in WRITTEN.namelist() if name.endswith(".onnx"))


def outputs_of(model, inputs):
    got = model(inputs if len(inputs) > 1 else inputs[0])
    return [np.asarray(y) for y in (got if isinstance(got, list | tuple) else [got])]


@pytest.mark.parametrize("name", NAMES)
def test_same_outputs(name, tmp_path):
    path = tmp_path / "m.onnx"
    path.write_bytes(WRITTEN.read(name))
    with np.load(io.BytesIO(WRITTEN.read(f"{name}.npz"))) as data:
        inputs, expected = (
            [data[key] for key in data if key.startswith(side)] for side in ("in_", "out_")
        )
    model = from_onnx(path)
    for rows in (slice(None), [2, 0, 1]):  # and in another order of rows
        for mine, theirs in zip(
            outputs_of(model, [x[rows] for x in inputs]), expected, strict=True
        ):
            assert mine.shape == theirs.shape
            np.testing.assert_allclose(mine, theirs[rows], atol=1e-5)

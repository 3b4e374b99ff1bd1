"""plot_model: what the graph says, and that a picture of it comes out."""

import sys
from types import SimpleNamespace

import numpy as np
import pytest

from rnn_engine.utils import plot_model


class Layer:
    def __init__(self, name, units):
        self.name, self.units = name, units
        self.activation, self.trainable, self.dtype = np.tanh, False, "float32"

    def compute_output_shape(self, shape):
        return (*shape[:-1], self.units)


class Dense(Layer):
    pass


def model(built=True):
    inner = SimpleNamespace(
        name="inner",
        layers=[Layer('a"b', 4), Dense("c", 5)],
        input_shape=(None, 7, 3),
        compute_output_shape=lambda shape: (*shape[:-1], 5),
    )
    return SimpleNamespace(
        layers=[Layer("first", 3), inner, Dense("last", 1)],
        input_shape=(None, 7, 2),
        built=built,
    )


def test_dot(tmp_path):
    path = tmp_path / "model.dot"
    assert plot_model(model(), path) is None
    text = path.read_text()
    assert text.splitlines() == [
        "digraph model {",
        "  rankdir=TB;",
        "  node [shape=box];",
        '  n0 [label="Layer"];',
        '  n1 [label="SimpleNamespace"];',
        '  n2 [label="Dense"];',
        "  n0 -> n1;",
        "  n1 -> n2;",
        "}",
    ]


def test_dot_with_everything(tmp_path):
    path = tmp_path / "model.gv"
    plot_model(
        model(),
        path,
        show_shapes=True,
        show_dtype=True,
        show_layer_names=True,
        rankdir="LR",
        expand_nested=True,
        show_layer_activations=True,
        show_trainable=True,
    )
    text = path.read_text()
    assert "rankdir=LR" in text
    assert (
        'n1 [label="a\\"b (Layer)\\nActivation: tanh\\nInput shape: (None, 7, 3)\\n'
        'Output shape: (None, 7, 4)\\nOutput dtype: float32\\nTrainable: False"];'
    ) in text
    assert "n2 -> n3" in text


@pytest.mark.parametrize("ending", ["png", "svg", "pdf"])
@pytest.mark.parametrize("rankdir", ["TB", "LR"])
def test_pictures(tmp_path, ending, rankdir):
    pytest.importorskip("matplotlib")
    path = tmp_path / f"model.{ending}"
    plot_model(model(), path, show_shapes=True, rankdir=rankdir, expand_nested=True, dpi=50)
    head = path.read_bytes()[:200]
    assert {"png": b"\x89PNG", "svg": b"<svg", "pdf": b"%PDF"}[ending] in head or b"<?xml" in head


def test_picture_has_one_box_a_layer(tmp_path):
    image = pytest.importorskip("matplotlib.image")
    path = tmp_path / "model.png"
    plot_model(model(), path, dpi=100)
    # Down the left edge of the boxes: one dark run a box.
    column = image.imread(path)[:, 20, 0] < 0.5
    assert np.count_nonzero(np.diff(column.astype(int)) == 1) == 3


def test_without_matplotlib(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ImportError, match=r"rnn_engine\[plot\]"):
        plot_model(model(), tmp_path / "model.png")
    assert not list(tmp_path.iterdir())


def test_bad_arguments(tmp_path):
    with pytest.raises(ValueError, match="rankdir must be"):
        plot_model(model(), tmp_path / "a.dot", rankdir="UP")
    with pytest.raises(ValueError, match="must be built"):
        plot_model(model(built=False), tmp_path / "a.dot")

"""plot_model: what the graph says, and that a picture of it comes out."""

import re
import sys
from types import SimpleNamespace

import numpy as np
import pytest

import rnn_engine
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
        '  splines="ortho";',
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


def graph(kit):
    a, b = kit.Input((3,), name="a"), kit.Input((3,), name="b")
    tower = kit.layers.Dense(2, name="tower", activation="relu")
    x = kit.Input((2,), name="x")
    one, two = kit.layers.Dense(1, name="one")(x), kit.layers.Dense(4, name="two")(x)
    inner = kit.Model(x, [one, two], name="inner")
    chain = kit.Sequential([kit.Input((4,)), kit.layers.Dense(2, name="low")], name="chain")
    first, second = inner(kit.layers.Add(name="sum")([tower(a), tower(b)]))
    return kit.Model([a, b], [first, kit.layers.Dense(1, name="end")(chain(second))])


def labels_and_arrows(text):
    labels = dict(re.findall(r'(n\d+) \[label="(.*?)"\]', text))
    arrows = re.findall(r"(n\d+) -> (n\d+);", text)
    return list(labels.values()), [(labels[source], labels[target]) for source, target in arrows]


def drawn_by_keras(monkeypatch, model, **options):
    """Return the names of the layers in Keras's graph, and of those its arrows join."""
    drawing = pytest.importorskip("keras").src.utils.model_visualization
    layers, arrows = {}, []
    dot = SimpleNamespace(
        set=lambda *args: None,
        set_node_defaults=lambda **options: None,
        add_node=lambda node: None,
        add_subgraph=lambda other: None,
    )
    fake = SimpleNamespace(Dot=lambda: dot, Cluster=lambda **options: dot)
    monkeypatch.setattr(drawing, "pydot", fake)
    monkeypatch.setattr(
        drawing, "make_node", lambda layer, **options: layers.setdefault(layer.name, layer)
    )
    monkeypatch.setattr(
        drawing, "add_edge", lambda dot, source, target: arrows.append((source.name, target.name))
    )
    drawing.model_to_dot(model, **options)
    return list(layers), arrows


@pytest.mark.parametrize("expand", [False, True])
def test_dot_of_a_graph_joins_the_layers_that_keras_does(tmp_path, monkeypatch, expand):
    keras = pytest.importorskip("keras")
    names, wanted = drawn_by_keras(monkeypatch, graph(keras), expand_nested=expand)
    path = tmp_path / "model.dot"
    plot_model(graph(rnn_engine), path, show_layer_names=True, expand_nested=expand)
    text = path.read_text()
    boxes, arrows = labels_and_arrows(text)
    assert [label.split()[0] for label in boxes] == names
    found = {(source.split()[0], target.split()[0]) for source, target in arrows}
    assert found == set(wanted)
    assert len(arrows) == len(found)
    assert re.findall(r'subgraph cluster_\d+ \{ label="(\w+)"', text) == ["inner", "chain"] * expand
    assert text.count("{") == text.count("}")


def test_dot_of_a_graph_tells_of_shapes(tmp_path):
    path = tmp_path / "model.dot"
    plot_model(graph(rnn_engine), path, show_shapes=True, show_dtype=True, splines="curved")
    text = path.read_text()
    assert '[label="InputLayer\\nOutput shape: (None, 3)\\nOutput dtype: float32"]' in text
    assert "Add\\nInput shape: [(None, 2), (None, 2)]\\nOutput shape: (None, 2)" in text
    assert "Functional\\nInput shape: (None, 2)\\nOutput shape: [(None, 1), (None, 4)]" in text
    assert 'splines="curved"' in text


@pytest.mark.parametrize("rankdir", ["TB", "LR"])
def test_picture_of_a_graph_has_inputs_side_by_side(tmp_path, rankdir):
    image = pytest.importorskip("matplotlib.image")
    path = tmp_path / "model.png"
    plot_model(graph(rnn_engine), path, dpi=100, rankdir=rankdir)
    pixels = image.imread(path)[:, :, 0] < 0.5
    # Along the outer edge of the first row of boxes: one dark run for each of the two inputs.
    edge = pixels[20, :] if rankdir == "TB" else pixels[:, 20]
    assert np.count_nonzero(np.diff(edge.astype(int)) == 1) == 2

"""Models of graphs in configs and files, Keras's both ways, and clones of them."""

import json
from typing import Any

import numpy as np
import pytest

import rnn_engine
from rnn_engine.models import clone_model, load_model, model_from_json
from tests.graph.graphs import GRAPHS
from tests.graph.sides import data_like, flat, make_twins

keras = pytest.importorskip("keras")
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


def same_model(made: Any, model: Any) -> None:
    """Assert that two models have the same graph, and to the bit the same numbers."""
    made.set_weights(model.get_weights())
    assert [layer.name for layer in made.layers] == [layer.name for layer in model.layers]
    assert made.output_names == model.output_names
    x = data_like(model.input, 4, np.random.default_rng(1))
    a, b = made(x), model(x)
    assert isinstance(a, dict) == isinstance(b, dict)  # a tuple is a list in JSON
    for one, other in zip(flat(a), flat(b), strict=True):
        np.testing.assert_array_equal(one, other)


def graph_of(config: Any) -> Any:
    """Return the calls in a config of a model, and its ends, without what shows nothing."""
    calls = {}
    for entry in config["layers"]:
        if entry["class_name"] == "NotEqual":  # a mask is a tensor of the graph in Keras
            continue
        nodes = json.loads(json.dumps(entry["inbound_nodes"]))
        for node in nodes:
            node["kwargs"] = {
                k: v for k, v in node["kwargs"].items() if k not in ("training", "mask")
            }
        calls[entry["name"]] = (entry["class_name"], nodes)
    ends = json.loads(json.dumps([config["input_layers"], config["output_layers"]]))
    # One alone stands in a list, as Keras up to 3.3 wrote it and no later one minds.
    ends = [
        [e] if isinstance(e, list) and len(e) == 3 and isinstance(e[0], str) else e for e in ends
    ]
    return calls, ends, list(calls)


@pytest.mark.parametrize("name", GRAPHS)
def test_configs_are_those_of_keras(name: str) -> None:
    ours, theirs = make_twins(name, rnn_engine, keras)
    written = json.loads(ours.to_json())["config"]
    assert graph_of(written) == graph_of(json.loads(theirs.to_json())["config"])
    same_model(model_from_json(ours.to_json()), ours)
    same_model(type(ours).from_config(ours.get_config()), ours)
    clone = clone_model(ours)
    assert not {id(v) for v in clone.weights} & {id(v) for v in ours.weights}
    same_model(clone, ours)


def test_what_older_versions_read() -> None:
    """Keras up to 3.3 wants one input in a list; before 3.12 attention has fewer settings."""
    x = rnn_engine.Input((3, 4), name="x")
    y = rnn_engine.layers.MultiHeadAttention(2, 3, name="y")(x, x)
    config = json.loads(rnn_engine.Model(x, y).to_json())["config"]
    assert (config["input_layers"], config["output_layers"]) == ([["x", 0, 0]], [["y", 0, 0]])
    assert not {"use_gate", "sliding_window", "seed"} & set(config["layers"][1]["config"])
    changed = rnn_engine.layers.MultiHeadAttention(2, 3, sliding_window=2, name="y")(x, x)
    config = json.loads(rnn_engine.Model(x, changed).to_json())["config"]
    assert config["layers"][1]["config"]["sliding_window"] == 2


@pytest.mark.parametrize("name", GRAPHS)
def test_files_both_ways(name: str, tmp_path: Any) -> None:
    ours, theirs = make_twins(name, rnn_engine, keras)
    ours.compile("sgd", "mse")
    for ending in (".keras", ".npz", ".safetensors"):
        path = str(tmp_path / f"ours{ending}")
        ours.save(path)
        loaded = load_model(path)
        for one, other in zip(loaded.get_weights(), ours.get_weights(), strict=True):
            np.testing.assert_array_equal(one, other)
        same_model(loaded, ours)
    theirs.save(str(tmp_path / "theirs.keras"))
    loaded = load_model(tmp_path / "theirs.keras")
    read = keras.models.load_model(tmp_path / "ours.keras")
    x = data_like(ours.input, 4, np.random.default_rng(1))
    for one, other in zip(flat(loaded(x)), flat(ours(x)), strict=True):
        np.testing.assert_array_equal(one, other)
    for model in (loaded, read):
        for one, other in zip(model.get_weights(), ours.get_weights(), strict=True):
            np.testing.assert_array_equal(one, other)
    ours.save_weights(str(tmp_path / "o.weights.h5"))
    theirs.set_weights([0 * w for w in theirs.get_weights()])
    theirs.load_weights(str(tmp_path / "o.weights.h5"))
    for one, other in zip(theirs.get_weights(), ours.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda c: c["layers"][1]["inbound_nodes"].clear(), "failed to be resolved"),
        (lambda c: c["layers"][2]["inbound_nodes"].clear(), "Missing node|failed to be resolved"),
        (lambda c: c["output_layers"][0].__setitem__(0, "gone"), "Missing node"),
        (lambda c: c["output_layers"].__setitem__(0, "gone"), "Invalid Functional model"),
        (
            lambda c: c["layers"][1]["inbound_nodes"][0]["args"].__setitem__(
                0, {"class_name": "Lambda", "config": {}}
            ),
            "is no data",
        ),
    ],
)
def test_damaged_graphs_are_refused(damage: Any, message: str) -> None:
    model = rnn_engine.Model(*GRAPHS["chain"](rnn_engine))
    config = json.loads(model.to_json())
    damage(config["config"])
    with pytest.raises(ValueError, match=message):
        model_from_json(json.dumps(config))


def test_operations_come_back() -> None:
    x = rnn_engine.Input((3,), name="x")
    h = rnn_engine.layers.Dense(4, name="d")(x)
    model = rnn_engine.Model(x, rnn_engine.ops.mean(h * 2.0 + h[:, :1], axis=-1, keepdims=True))
    again = model_from_json(model.to_json())
    again.set_weights(model.get_weights())
    data = np.ones((2, 3), np.float32)
    np.testing.assert_array_equal(again(data), model(data))
    np.testing.assert_array_equal(clone_model(model).predict(data, verbose=0).shape, (2, 1))

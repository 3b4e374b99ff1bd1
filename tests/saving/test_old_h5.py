"""Whole models and weights in HDF5, as Keras kept them before version 3, both ways."""

import json
from pathlib import Path

import numpy as np
import pytest

import rnn_engine
from rnn_engine import callbacks, layers, optimizers
from rnn_engine.models import load_model, model_from_json
from tests.saving import cases
from tests.saving.cases import assert_same

h5py = pytest.importorskip("h5py")

# Keras's own arrays trip over NumPy 2's `copy`; nothing of ours warns so.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

WRITTEN = Path(__file__).parent / "written"
EXPECTED = np.load(WRITTEN / "expected.npz")
FIT = {"batch_size": 4, "shuffle": False, "verbose": 0}


def expected(path, what):
    return EXPECTED["-".join(path.name.split("-")[:2]) + f"/{what}"]


WHOLE = sorted(WRITTEN.glob("*-m.*"))


@pytest.mark.parametrize("path", WHOLE, ids=lambda path: path.name)
def test_models_of_older_versions(path):
    """Outputs are the writer's, and training goes on as it did there."""
    model = load_model(path)
    x, y = expected(path, "x"), expected(path, "y")
    np.testing.assert_allclose(model.predict(x, verbose=0), expected(path, "pred"), atol=1e-6)
    losses = model.fit(x, y, epochs=2, **FIT).history["loss"]
    np.testing.assert_allclose(losses, expected(path, "cont"), rtol=1e-5)


def test_states_behind_an_input_keep_their_order():
    """Keras 2 hands the states of an LSTM to it as second and third tensor of its call."""

    def given(name, *shape):
        config = {"batch_input_shape": [None, *shape], "dtype": "float32", "name": name}
        return {"class_name": "InputLayer", "name": name, "config": config, "inbound_nodes": []}

    calls = [[[name, 0, 0, {}] for name in "xhc"]]
    lstm = {"class_name": "LSTM", "name": "lstm", "config": {"name": "lstm", "units": 2}}
    graph = {
        "name": "m",
        "layers": [
            given("x", 3, 1),
            given("h", 2),
            given("c", 2),
            {**lstm, "inbound_nodes": calls},
        ],
        "input_layers": [[name, 0, 0] for name in "xhc"],
        "output_layers": [["lstm", 0, 0]],
    }
    said = {"class_name": "Functional", "config": graph, "keras_version": "2.15.0"}
    model = model_from_json(json.dumps(said))
    rng = np.random.default_rng(0)
    x, h, c = (rng.normal(size=shape).astype("f4") for shape in ((4, 3, 1), (4, 2), (4, 2)))
    wanted = np.asarray(model.layers[-1](x, initial_state=[h, c]))
    np.testing.assert_allclose(model.predict([x, h, c], verbose=0), wanted, atol=1e-6)


def test_weights_by_order_and_by_name():
    path = WRITTEN / "2.15-names-legacyw.h5"
    text = (WRITTEN / "2.15-names-model.json").read_text()
    model = model_from_json(text)
    model.load_weights(path)
    x = expected(path, "x")
    np.testing.assert_allclose(model.predict(x, verbose=0), expected(path, "pred"), atol=1e-6)
    named = model_from_json(text)
    named.load_weights(path, by_name=True)
    assert_same(named, model)
    last = model.layers[-1]
    other = rnn_engine.Sequential(
        [
            layers.Dense(4, input_shape=(3,), name="new"),
            layers.Dense(*last.bias.shape, name=last.name),
        ]
    )
    other.layers[1].build((None, 4))
    before = other.layers[0].get_weights()
    if other.layers[1].kernel.shape == last.kernel.shape:
        other.load_weights(path, by_name=True)
        assert_same(other.layers[1], last)
    assert_same(other.layers[0], before)
    with pytest.raises(ValueError, match="Layer count mismatch"):
        other.load_weights(path)
    with pytest.raises(ValueError, match="`by_name` only supports"):
        model.load_weights(WRITTEN / "2.15-plain-m.keras", by_name=True)


@pytest.mark.parametrize("name", cases.names())
def test_round_trip(name, tmp_path):
    model = cases.make(name, rnn_engine)
    cases.scatter(model)
    path = tmp_path / "m.h5"
    model.save(path)
    again = load_model(path)
    assert_same(again, model)
    x = cases.inputs(name)
    np.testing.assert_array_equal(again(x), model(x))
    other = cases.make(name, rnn_engine)
    other.load_weights(path)
    assert_same(other, model)


@pytest.mark.parametrize("name", cases.names())
def test_with_keras(name, tmp_path):
    keras = pytest.importorskip("keras")
    model = cases.make(name, rnn_engine)
    cases.scatter(model)
    x = cases.inputs(name)
    model.save(tmp_path / "ours.h5")
    twin = keras.models.load_model(tmp_path / "ours.h5")
    np.testing.assert_allclose(np.asarray(twin(x)), model(x), rtol=1e-5, atol=1e-6)
    twin.save(tmp_path / "theirs.h5")
    back = load_model(tmp_path / "theirs.h5")
    assert_same(back, model)
    np.testing.assert_array_equal(back(x), model(x))


@pytest.mark.parametrize("cls", optimizers.registry.unique(), ids=lambda cls: cls.__name__)
def test_state_of_optimizers(cls, tmp_path):
    """Saved in the middle, the losses go on as if it had not been."""
    x, y = cases.data()
    model = cases.small_model(rnn_engine, cls(0.0625), metrics=["mae"])
    model.fit(x, y, epochs=2, **FIT)
    model.save(tmp_path / "m.h5")
    here = load_model(tmp_path / "m.h5")
    assert_same(here.optimizer.variables, model.optimizer.variables)
    wanted = model.fit(x, y, epochs=2, **FIT).history
    assert here.fit(x, y, epochs=2, **FIT).history == wanted


def test_what_was_compiled_goes_to_keras(tmp_path):
    """Keras 3.15 itself cannot train on with the state in such a file, its own neither."""
    keras = pytest.importorskip("keras")
    model = cases.small_model(rnn_engine, "adam", metrics=["mae", "accuracy"])
    x, y = cases.data()
    model.fit(x, y, **FIT)
    model.save(tmp_path / "m.h5")
    there = keras.models.load_model(tmp_path / "m.h5")
    assert type(there.optimizer).__name__ == "Adam"
    wanted = model.evaluate(x, y, verbose=0)
    np.testing.assert_allclose(there.evaluate(x, y, verbose=0), wanted, rtol=1e-5)
    with h5py.File(tmp_path / "m.h5") as file:
        names = [name.decode() for name in file["optimizer_weights"].attrs["weight_names"]]
        values = [file["optimizer_weights"][name][()] for name in names]
    assert_same(values, model.optimizer.variables)
    name = model.optimizer.name
    assert names[:2] == [f"{name}/iteration", f"{name}/learning_rate"]


def test_schedule_and_functions(tmp_path):
    rate = optimizers.schedules.ExponentialDecay(0.02, 2, 0.5)
    model = cases.small_model(rnn_engine, optimizers.SGD(rate), metrics=["mse", "mae"])
    x, y = cases.data()
    model.fit(x, y, **FIT)
    model.save(tmp_path / "m.hdf5")
    again = load_model(tmp_path / "m.hdf5")
    assert again.fit(x, y, epochs=2, **FIT).history == model.fit(x, y, epochs=2, **FIT).history


def test_checkpoints_and_folders(tmp_path):
    x, y = cases.data()
    model = cases.small_model(rnn_engine)
    save = callbacks.ModelCheckpoint(tmp_path / "{epoch}.h5")
    first = model.fit(x, y, epochs=2, callbacks=[save], **FIT).history["loss"]
    assert load_model(tmp_path / "1.h5").fit(x, y, **FIT).history["loss"] == first[1:]
    model.save(tmp_path / "new" / "m.h5")  # Keras makes the folder for these
    assert_same(load_model(tmp_path / "new" / "m.h5"), model)
    model.save(tmp_path / "plain.h5", include_optimizer=False)
    assert not load_model(tmp_path / "plain.h5").compiled
    with pytest.warns(UserWarning, match="`save_format` argument is deprecated"):
        model.save(tmp_path / "m.h5", save_format="h5")
    with pytest.raises(ValueError, match="`save_format` argument is deprecated"):
        model.save(tmp_path / "m", save_format="h5")


def test_long_lists_of_names(tmp_path):
    """One attribute holds 64 KB; longer lists are cut, as in Keras."""
    stack = [layers.Dense(1, name=f"{'d' * 250}{i}") for i in range(300)]
    model = rnn_engine.Sequential([layers.Input((1,)), *stack])
    cases.scatter(model)
    model.save(tmp_path / "m.h5")
    with h5py.File(tmp_path / "m.h5") as file:
        assert "layer_names0" in file["model_weights"].attrs
    again = rnn_engine.models.clone_model(model)
    again.load_weights(tmp_path / "m.h5", by_name=True)
    assert_same(again, model)
    assert_same(load_model(tmp_path / "m.h5"), model)


def test_saved_model_folders_say_what_to_do(tmp_path):
    (tmp_path / "saved_model.pb").write_bytes(b"x")
    with pytest.raises(ValueError, match=r"(?s)SavedModel.*model\.save\('model\.keras'\)"):
        load_model(tmp_path)
    (tmp_path / "saved_model.pb").unlink()
    with pytest.raises(ValueError, match="is a folder"):
        load_model(tmp_path)


def test_damaged_names(tmp_path):
    model = cases.small_model(rnn_engine)
    last = model.layers[-1].name
    for change in (
        lambda f: f.attrs.__setitem__("model_config", "{"),
        lambda f: f.attrs.__setitem__("model_config", json.dumps([1])),
        lambda f: f.attrs.__setitem__("model_config", 5),
        lambda f: f.attrs.__setitem__("training_config", "[]"),
        lambda f: f["model_weights"].attrs.__setitem__("layer_names", "dense"),
        lambda f: f["model_weights"].attrs.__setitem__("layer_names", [1, 2, 3]),
        lambda f: f["model_weights"][last].attrs.__setitem__("weight_names", ["none"]),
        lambda f: f["model_weights"].__delitem__(last),
    ):
        model.save(tmp_path / "m.h5")
        with h5py.File(tmp_path / "m.h5", "a") as file:
            change(file)
        with pytest.raises(ValueError, match=r"m\.h5"):
            load_model(tmp_path / "m.h5")

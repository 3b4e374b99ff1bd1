"""`show`, `verify`, `convert`, the sample in a file, and versions of the format."""

import io
import json
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest

import rnn_engine
from rnn_engine import layers
from rnn_engine.__main__ import main
from rnn_engine.saving import convert, load_model, sample, show, verify
from tests.saving import cases
from tests.saving.cases import assert_same

WHOLE = (".keras", ".h5", ".npz")
OWN = Path(__file__).parent / "written" / "own"
# What the writer of the goldens predicted for thirty numbers from -1 to 1.
GOLDEN = [[0.22745610, -0.04173158], [-0.25002357, 0.11910946]]


@pytest.fixture
def model():
    made = cases.small_model(rnn_engine)
    made.fit(*cases.data(), verbose=0)
    return made


def with_note(path, change):
    """Change what a file says of itself."""
    if path.suffix == ".h5":
        with h5py.File(path, "a") as file:
            said = json.loads(file.attrs["rnn_engine"])
            change(said)
            file.attrs["rnn_engine"] = json.dumps(said)
        return
    name = "rnn_engine.json" if path.suffix == ".keras" else "metadata.json"
    content = io.BytesIO(path.read_bytes())
    with zipfile.ZipFile(content) as old, zipfile.ZipFile(path, "w") as new:
        for member in old.namelist():
            data = old.read(member)
            if member == name:
                said = json.loads(data)
                change(said)
                data = json.dumps(said)
            new.writestr(member, data)


@pytest.mark.parametrize("ending", [*WHOLE, ".safetensors"])
def test_what_is_saved_is_verified(ending, model, tmp_path):
    path = tmp_path / f"m{ending}"
    model.save(path)
    assert verify(path) == 0.0
    assert_same(load_model(path, verify=True), model)


@pytest.mark.parametrize("ending", WHOLE)
def test_other_weights_are_found_out(ending, model, tmp_path):
    """The note of one model in the file of another: the message has the size of the difference."""
    path, other = tmp_path / f"m{ending}", tmp_path / f"other{ending}"
    model.save(path)
    before = model.predict(np.ones((1, 5, 4)), verbose=0)
    said = json.loads(sample.note(model))
    bias = model.layers[-1].get_weights()
    model.layers[-1].set_weights([bias[0], bias[1] + 0.25])
    model.save(other)
    with_note(other, lambda now: now.update(sample=said["sample"]))
    for call in (verify, lambda p: load_model(p, verify=True)):
        with pytest.raises(ValueError, match=r"other.*differs by 0\.25 "):
            call(other)
    load_model(other)
    np.testing.assert_array_equal(before, load_model(path).predict(np.ones((1, 5, 4)), verbose=0))


def test_rounding_is_no_difference(model, tmp_path):
    path = tmp_path / "m.npz"
    said = json.loads(sample.note(model))
    weights = model.get_weights()
    model.set_weights([value * np.float32(1 + 2e-7) for value in weights])
    model.save(path)
    with_note(path, lambda now: now.update(sample=said["sample"]))
    assert 0 < verify(path) < 1e-5


@pytest.mark.parametrize("part", [
    5, {}, {"inputs": 3, "outputs": []}, {"inputs": [], "outputs": []},
    {"inputs": [{"shape": [1 << 40], "dtype": "float32", "data": ""}], "outputs": []},
    {"inputs": [{"shape": [1], "dtype": "object", "data": "AAAA"}], "outputs": []},
    {"inputs": [{"shape": [1, 5, 4], "dtype": "string", "data": ["x"]}], "outputs": []},
])  # fmt: skip
def test_damaged_samples_are_refused(part, model, tmp_path):
    path = tmp_path / "m.npz"
    model.save(path)
    with_note(path, lambda said: said.update(sample=part))
    with pytest.raises(ValueError, match=r"m\.npz"):
        verify(path)
    load_model(path)


def test_weights_that_are_no_numbers_are_found_out(model):
    """NaN is larger than no bound."""
    said = json.loads(sample.note(model))
    model.layers[-1].kernel.assign(np.full(model.layers[-1].kernel.shape, np.nan))
    with pytest.raises(ValueError, match="differs by nan"):
        sample.prove(model, said, "m.npz")


def test_the_sample_changes_nothing(tmp_path):
    """Random numbers, states, metrics and history go on as without a save."""

    def trained(save):
        rnn_engine.utils.set_random_seed(3)
        model = rnn_engine.Sequential([
            layers.Input(batch_shape=(4, 5, 4)),
            layers.SimpleRNN(3, stateful=True, dropout=0.3, return_sequences=True),
            layers.GaussianNoise(0.1),
            layers.LSTM(2, stateful=True),
            layers.Dropout(0.5),
            layers.Dense(2, activity_regularizer="l2"),
        ])  # fmt: skip
        model.compile("adam", "mse", metrics=["mae"])
        x, y = cases.data()
        for _ in range(2):
            model.fit(x, y, batch_size=4, shuffle=False, verbose=0)
            if save:
                model.save(tmp_path / "m.keras")
                states = [np.array(s) for s in model.layers[0].states]
                assert any(s.any() for s in states)
        number = rnn_engine.random.normal((2,))
        if save:
            assert verify(tmp_path / "m.keras") == 0.0
        return model, number, [np.array(s) for s in model.layers[2].states]

    with_save, number, states = trained(True)
    without, other, expected = trained(False)
    assert_same(with_save, without)
    np.testing.assert_array_equal(number, other)
    np.testing.assert_array_equal(states, expected)


def test_a_save_runs_no_code_of_the_user(tmp_path):
    called = []

    class Mine(layers.Layer):
        def call(self, x):
            called.append(1)
            return x

        def get_config(self):
            return super().get_config()

    model = rnn_engine.Sequential([layers.Input((3,)), Mine(), layers.Dense(2)])
    before = len(called)
    model.save(tmp_path / "m.npz")
    assert len(called) == before
    with pytest.raises(ValueError, match="carries no sample"):
        verify(tmp_path / "m.npz", {"Mine": Mine})


def test_large_inputs_are_left_out(tmp_path):
    model = rnn_engine.Sequential([layers.Input((200, 200)), layers.Flatten(), layers.Dense(1)])
    model.save(tmp_path / "m.npz")
    assert len(sample.note(model)) < 1000
    assert not show(tmp_path / "m.npz").verifiable


def test_graphs_text_and_integers_have_samples(tmp_path):
    a, b = rnn_engine.Input((5, 3)), rnn_engine.Input((2,))
    both = layers.Concatenate()([layers.GRU(4)(a), b])
    graph = rnn_engine.Model([a, b], [layers.Dense(2)(both), layers.Dense(1)(both)])
    words = rnn_engine.Sequential([
        layers.Input((1,), dtype="string"),
        layers.TextVectorization(vocabulary=["a", "b"], output_sequence_length=4),
        layers.Embedding(9, 3, mask_zero=True),
        layers.LSTM(2),
    ])  # fmt: skip
    for number, model in enumerate((graph, words)):
        path = tmp_path / f"{number}.keras"
        model.save(path)
        assert verify(path) == 0.0


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_keras_opens_files_with_a_sample(model, tmp_path):
    keras = pytest.importorskip("keras")
    for ending in (".keras", ".h5"):
        model.save(tmp_path / f"m{ending}")
        theirs = keras.models.load_model(tmp_path / f"m{ending}", compile=False)
        assert_same([w.numpy() for w in theirs.weights], model)
    model.save_weights(tmp_path / "m.weights.h5")
    theirs.load_weights(tmp_path / "m.weights.h5")


# --- versions of the format -------------------------------------------------------------


@pytest.mark.parametrize("path", sorted(OWN.iterdir()), ids=lambda path: path.name)
def test_files_of_each_version_load(path):
    """Those of version 0 said nothing of themselves; `1-without-sample` is of before samples."""
    model = load_model(path)
    x = np.linspace(-1, 1, 30, dtype="f4").reshape(2, 5, 3)
    np.testing.assert_allclose(model.predict(x, verbose=0), GOLDEN, atol=1e-6)
    assert int(model.optimizer.iterations) == 1
    if path.stem == "1":
        assert verify(path) < 1e-5


@pytest.mark.parametrize("ending", [*WHOLE, ".weights.h5"])
def test_later_versions_are_refused_with_help(ending, model, tmp_path):
    path = tmp_path / f"m{ending}"
    (model.save if ending in WHOLE else model.save_weights)(path)
    with_note(path, lambda said: said.update(version=sample.VERSION + 1))
    calls = [show, model.load_weights, *([load_model] if ending in WHOLE else [])]
    for call in calls:
        with pytest.raises(ValueError, match=r"m\..*later than 1.*install a newer"):
            call(path)


# --- show and convert --------------------------------------------------------------------


@pytest.mark.parametrize("ending", [*WHOLE, ".weights.h5"])
def test_show_tells_what_the_model_is(ending, model, tmp_path, monkeypatch):
    path = tmp_path / f"m{ending}"
    (model.save if ending in WHOLE else model.save_weights)(path)
    monkeypatch.setattr(rnn_engine.Sequential, "__init__", None)  # nothing is built
    shown = show(path)
    assert shown.parameters == 68
    assert sum(row.parameters for row in shown.layers) == 68
    assert str(shown).splitlines()[0].startswith(str(path))
    if ending in WHOLE:
        assert [row.class_name for row in shown.layers] == ["SimpleRNN", "SimpleRNN", "Dense"]
        assert [row.name for row in shown.layers] == [layer.name for layer in model.layers]
        assert shown.layers[0].shapes == ((4, 4), (4, 4), (4,))
        assert shown.optimizer.lower() == "adam"
        assert shown.verifiable
        assert rnn_engine.__version__ in shown.made_with


def test_show_of_nested_and_of_others_files(tmp_path):
    inner = rnn_engine.Sequential([layers.Dense(3), layers.Dense(3)], name="inner")
    model = rnn_engine.Sequential([layers.Input((5, 3)), layers.Bidirectional(layers.LSTM(2)),
                                   layers.Reshape((2, 2)), layers.Dense(3), inner])  # fmt: skip
    model.save(tmp_path / "m.keras")
    shown = show(tmp_path / "m.keras")
    assert shown.parameters == model.count_params() == sum(r.parameters for r in shown.layers)
    assert [row.name for row in shown.layers][-2:] == [f"inner/{la.name}" for la in inner.layers]
    written = OWN.parent
    for path in [*written.glob("*-m.*"), *written.glob("*w.h5")]:
        expected = load_model(path).count_params() if "-m." in path.name else None
        found = show(path)
        assert expected in (None, found.parameters)
        assert found.layers
        assert not found.verifiable


def test_show_refuses_what_is_no_model(tmp_path):
    for content in (b"", b"PK", b"\x89HDF\r\n\x1a\n", b"x" * 100):
        path = tmp_path / "m.keras"
        path.write_bytes(content)
        with pytest.raises(ValueError, match=r"m\.keras"):
            show(path)
    with pytest.raises(ValueError, match="File not found"):
        show(tmp_path / "nothing")


@pytest.mark.parametrize("source", WHOLE)
@pytest.mark.parametrize("target", [*WHOLE, ".hdf5", ".safetensors", ".weights.h5"])
def test_convert_keeps_all(source, target, model, tmp_path):
    paths = tmp_path / f"a{source}", tmp_path / f"b{target}"
    model.save(paths[0])
    convert(*paths)
    if target == ".weights.h5":
        other = cases.small_model(rnn_engine)
        other.fit(*cases.data(), verbose=0)
        other.load_weights(paths[1])
    else:
        other = load_model(paths[1])
    assert_same(other, model)
    assert_same(other.optimizer.variables, model.optimizer.variables)


def test_convert_to_and_from_other_programs(model, tmp_path):
    model.save(tmp_path / "m.keras")
    convert(tmp_path / "m.keras", tmp_path / "m.onnx")
    convert(tmp_path / "m.onnx", tmp_path / "back.npz")
    x = cases.data()[0]
    expected = model.predict(x, verbose=0)
    found = load_model(tmp_path / "back.npz").predict(x, verbose=0)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
    for function in (load_model, show, verify):
        with pytest.raises(ValueError, match=r"m\.onnx is read by saving\.from_onnx"):
            function(tmp_path / "m.onnx")
    plain = rnn_engine.Sequential([rnn_engine.Input((5, 2)), rnn_engine.layers.GRU(3)])
    plain.save(tmp_path / "g.keras")
    convert(tmp_path / "g.keras", tmp_path / "g.json")
    assert b'"gru"' in (tmp_path / "g.json").read_bytes()


def test_convert_refuses_before_it_writes(model, tmp_path):
    model.save(tmp_path / "m.npz")
    (tmp_path / "bad.keras").write_bytes(b"PKxx")
    for source, target in (("m.npz", "m.txt"), ("bad.keras", "c.npz"), ("none.npz", "c.npz")):
        with pytest.raises(ValueError, match=r"\.txt|bad|none"):
            convert(tmp_path / source, tmp_path / target)
    with pytest.raises(ValueError, match=r"one of \.weights\.h5, .*\.onnx, \.json"):
        convert(tmp_path / "bad.keras", tmp_path / "m.txt")  # the target is looked at first
    assert {path.name for path in tmp_path.iterdir()} == {"m.npz", "bad.keras"}


def test_commands(model, tmp_path, capsys):
    paths = [str(tmp_path / name) for name in ("a.keras", "b.npz")]
    model.save(paths[0])
    assert main(["convert", *paths]) == 0
    assert main(["verify", paths[1]]) == 0
    assert main(["show", paths[1]]) == 0
    assert "68 parameters" in capsys.readouterr().out
    assert main(["show", str(tmp_path / "nothing")]) == 1
    assert "File not found" in capsys.readouterr().err


@pytest.mark.parametrize("ending", [".keras", ".h5"])
def test_show_names_the_file_whose_layers_are_none(ending, model, tmp_path):
    """Found by damage: the message told of the config only."""
    path = tmp_path / f"m{ending}"
    model.save(path)
    if ending == ".h5":
        with h5py.File(path, "a") as file:
            config = json.loads(file.attrs["model_config"])
            config["config"]["layers"][0] = None
            file.attrs["model_config"] = json.dumps(config)
    else:
        content = io.BytesIO(path.read_bytes())
        with zipfile.ZipFile(content) as old, zipfile.ZipFile(path, "w") as new:
            for member in old.namelist():
                data = old.read(member)
                if member == "config.json":
                    config = json.loads(data)
                    config["config"]["layers"][0] = None
                    data = json.dumps(config)
                new.writestr(member, data)
    with pytest.raises(ValueError, match=rf"m\{ending}.* no list of layers"):
        show(path)


def test_a_folder_is_told_as_one(tmp_path):
    for reads in (show, verify):
        with pytest.raises(ValueError, match="is a folder; a model is a file"):
            reads(tmp_path)

"""Files go both ways: Keras reads what we write, we read what Keras writes."""

import importlib
import inspect
import json
import warnings

import numpy as np
import pytest

import rnn_engine
from rnn_engine import losses, metrics, optimizers
from rnn_engine.ops import dispatch, keras_classes
from rnn_engine.saving import load_model, model_from_json
from tests.saving import cases
from tests.saving.cases import assert_same

keras = pytest.importorskip("keras")
pytest.importorskip("h5py")

# Keras's own arrays trip over NumPy 2's `copy`; nothing of ours warns so.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


@pytest.mark.parametrize("name", cases.names())
def test_keras_loads_ours(name, tmp_path):
    model = cases.make(name, rnn_engine)
    cases.scatter(model)
    model.save(tmp_path / "model.keras")
    twin = keras.models.load_model(tmp_path / "model.keras")
    assert_same(twin, model)
    assert [layer.name for layer in twin.layers] == [layer.name for layer in model.layers]
    x = cases.inputs(name)
    np.testing.assert_allclose(np.asarray(twin(x)), model(x), rtol=1e-5, atol=1e-6)

    other = cases.make(name, keras)
    model.save_weights(tmp_path / "model.weights.h5")
    other.load_weights(tmp_path / "model.weights.h5")
    assert_same(other, model)


@pytest.mark.parametrize("name", cases.names())
def test_ours_loads_keras(name, tmp_path):
    model = cases.make(name, keras)
    cases.scatter(model)
    path = str(tmp_path / "model.keras")
    model.save(path)
    twin = load_model(path)
    assert_same(twin, model)
    x = cases.inputs(name)
    np.testing.assert_allclose(twin(x), np.asarray(model(x)), rtol=1e-5, atol=1e-6)

    other = cases.make(name, rnn_engine)
    model.save_weights(str(tmp_path / "model.weights.h5"))
    other.load_weights(tmp_path / "model.weights.h5")
    assert_same(other, model)


def test_the_tree_of_groups_is_that_of_keras(tmp_path):
    import h5py

    def tree(path):
        found = {}

        def visit(name, item):
            found[name] = list(getattr(item, "shape", item.attrs))

        with h5py.File(path) as file:
            file.visititems(visit)
        return found

    for name in cases.names():
        ours, theirs = tmp_path / "ours.weights.h5", tmp_path / "theirs.weights.h5"
        cases.make(name, rnn_engine).save_weights(ours)
        cases.make(name, keras).save_weights(str(theirs))
        assert tree(ours) == tree(theirs), name


def steps_of(model, package, steps, seed):
    """Take optimizer steps with given gradients, which are the same on both sides."""
    rng = np.random.default_rng(seed)
    for _ in range(steps):
        grads = [rng.normal(size=v.shape).astype(np.float32) for v in model.trainable_variables]
        if package is keras:
            grads = [keras.ops.convert_to_tensor(g) for g in grads]
        model.optimizer.apply(grads, model.trainable_variables)


def optimizer_options(cls):
    options = {"learning_rate": 0.0625}
    if cls.__name__ == "SGD":
        options["momentum"] = 0.5
    if cls.__name__ == "Adam":
        options.update(use_ema=True, amsgrad=True)
    if cls.__name__ == "RMSprop":
        options["gradient_accumulation_steps"] = 2
    return options


@pytest.mark.parametrize("cls", optimizers.registry.unique(), ids=lambda cls: cls.__name__)
def test_optimizer_state(cls, tmp_path):
    sides = {rnn_engine: None, keras: None}
    for package in sides:
        options = optimizer_options(cls)
        model = cases.small_model(package, getattr(package.optimizers, cls.__name__)(**options))
        steps_of(model, package, 3, seed=1)
        model.save(str(tmp_path / f"{package.__name__}.keras"))
        sides[package] = model
    read_here = load_model(tmp_path / "keras.keras")
    read_there = keras.models.load_model(tmp_path / "rnn_engine.keras")
    assert_same(read_here.optimizer.variables, sides[keras].optimizer.variables)
    assert_same(read_there.optimizer.variables, sides[rnn_engine].optimizer.variables)
    assert int(read_here.optimizer.variables[0]) == 3

    steps_of(read_here, rnn_engine, 3, seed=2)
    steps_of(read_there, keras, 3, seed=2)
    for model, package in ((sides[rnn_engine], rnn_engine), (sides[keras], keras)):
        steps_of(model, package, 3, seed=2)
    for got, wanted in ((read_here, sides[keras]), (read_there, sides[rnn_engine])):
        for a, b in zip(got.get_weights(), wanted.get_weights(), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("schedule", [False, True])
def test_training_goes_on_in_the_other(schedule, tmp_path):
    """Losses of the next epochs are those of the model that was not saved."""
    x, y = cases.data()
    fit = {"epochs": 3, "batch_size": 4, "shuffle": False, "verbose": 0}
    for package, other in ((rnn_engine, keras), (keras, rnn_engine)):
        rate = 0.01
        if schedule:
            rate = package.optimizers.schedules.ExponentialDecay(0.02, 2, 0.5)
        optimizer = package.optimizers.Adam(rate)
        model = cases.small_model(package, optimizer, metrics=["mae"])
        model.fit(x, y, **fit)
        model.save(str(tmp_path / "model.keras"))
        loaded = other.models.load_model(tmp_path / "model.keras")
        assert float(loaded.optimizer.learning_rate) == float(model.optimizer.learning_rate)
        wanted, got = model.fit(x, y, **fit).history, loaded.fit(x, y, **fit).history
        assert sorted(got) == ["loss", "mae"]
        for key in got:
            np.testing.assert_allclose(got[key], wanted[key], rtol=1e-5)
        fresh = cases.small_model(package, "adam").fit(x, y, **fit).history["loss"]
        assert not np.allclose(got["loss"], fresh, rtol=1e-3)


def both_ways(kind, cls):
    """Return the configs that an object of compile has after a journey through JSON."""
    options = {"loss": "mse", **({"loss": cls()} if kind == "loss" else {"metrics": [cls()]})}
    model = rnn_engine.Sequential([rnn_engine.layers.Dense(2, input_shape=(3,))])
    model.compile("sgd", **options)
    there = keras.models.model_from_json(model.to_json())
    back = model_from_json(there.to_json())

    def config(model):
        settings = model.get_compile_config()
        settings = keras.saving.serialize_keras_object(settings) if model is there else settings
        found = settings["loss"] if kind == "loss" else settings["metrics"][0]
        return found["class_name"], json.loads(json.dumps(found["config"]))

    return config(model), config(there), config(back)


def constructible(classes):
    found = []
    for cls in classes:
        try:
            cls()
        except TypeError:
            continue
        found.append(cls)
    return found


@pytest.mark.parametrize("cls", constructible(losses.registry.unique()), ids=lambda c: c.__name__)
def test_losses_in_configs(cls):
    if not isinstance(cls, type) or not hasattr(keras.losses, cls.__name__):
        pytest.skip("a function, or not in this Keras")
    ours, theirs, back = both_ways("loss", cls)
    assert ours == back
    assert theirs[0] == ours[0]
    shared = set(ours[1]) & set(theirs[1])
    assert {"name", "reduction"} <= shared
    assert {k: ours[1][k] for k in shared} == {k: theirs[1][k] for k in shared}


@pytest.mark.parametrize("cls", constructible(metrics.registry.unique()), ids=lambda c: c.__name__)
def test_metrics_in_configs(cls):
    if not hasattr(keras.metrics, cls.__name__):
        pytest.skip("not in this Keras")
    ours, theirs, back = both_ways("metric", cls)
    assert ours == back
    assert theirs[0] == ours[0]
    shared = set(ours[1]) & set(theirs[1])
    assert "name" in shared
    assert {k: ours[1][k] for k in shared} == {k: theirs[1][k] for k in shared}


def test_functions_of_compile(tmp_path):
    """Keras writes functions by their name; a user's own comes by custom_objects."""

    def own(y_true, y_pred):
        return keras.ops.mean(keras.ops.abs(y_true - y_pred), axis=-1)

    model = cases.small_model(keras)
    functions = keras.losses.mean_absolute_error, keras.metrics.mean_squared_error
    model.compile("sgd", functions[0], metrics=[functions[1], own])
    model.save(str(tmp_path / "model.keras"))
    with pytest.raises(ValueError, match="(?s)own.*custom_objects, or compile=False"):
        load_model(tmp_path / "model.keras")
    assert not load_model(tmp_path / "model.keras", compile=False).compiled
    custom = {"own": lambda y, p: np.abs(np.asarray(y) - p).mean(axis=-1)}
    loaded = load_model(tmp_path / "model.keras", custom_objects=custom)
    x, y = cases.data()
    got = loaded.evaluate(x, y, verbose=0, return_dict=True)
    wanted = model.evaluate(x, y, verbose=0, return_dict=True)
    assert got["loss"] == pytest.approx(wanted["loss"], rel=1e-5)
    assert got["mean_squared_error"] == pytest.approx(wanted["mean_squared_error"], rel=1e-5)


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (
            lambda L: L.SpectralNormalization(L.Dense(2), name="outer"),
            "'outer' is a SpectralNormalization",
        ),
        (
            lambda L: L.TimeDistributed(L.SpectralNormalization(L.Dense(2), name="inner")),
            "'inner' is a SpectralNormalization",
        ),
        (
            lambda L: L.Lambda(lambda x: x + 1, name="code"),
            "function holds 'lambda'",
        ),
        (
            lambda L: L.Dense(2, activation=lambda x: x + 1),
            "activation is a lambda, which is never run",
        ),
        (lambda L: L.BatchNormalization(renorm=True), "renorm=True"),
    ],
)
def test_what_is_not_here_is_named(make, text, tmp_path):
    path = str(tmp_path / "model.keras")
    model = keras.Sequential([keras.Input((4, 3)), make(keras.layers)])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Keras warns that a lambda is unsafe
        model.save(path)
    with pytest.raises(ValueError, match=text) as caught:
        load_model(path)
    assert path in str(caught.value)


def test_weights_of_a_layer_used_twice(tmp_path):
    """Keras writes its weights once, and the layer once into a .keras file."""
    models = []
    for package in (rnn_engine, keras):
        twice, last = package.layers.Dense(3, "tanh"), package.layers.Dense(2)
        stack = [package.layers.Input((3,)), twice, package.layers.Dense(3), twice, last]
        models.append(package.Sequential(stack))
        cases.scatter(models[-1], len(models))
    ours, theirs = models
    ours.save_weights(tmp_path / "a.weights.h5")
    for suffix in (".keras", ".npz", ".safetensors"):
        ours.save(tmp_path / f"a{suffix}")
        again = load_model(tmp_path / f"a{suffix}")
        assert again.layers[0] is again.layers[2]
        assert_same(again, ours)
    theirs.save_weights(str(tmp_path / "b.weights.h5"))
    wanted = theirs.get_weights()
    theirs.load_weights(tmp_path / "a.weights.h5")
    assert_same(theirs, ours)
    ours.load_weights(tmp_path / "b.weights.h5")
    assert_same(ours.get_weights(), wanted)


def test_float64_models(tmp_path):
    model = rnn_engine.Sequential([rnn_engine.layers.Dense(2, input_shape=(3,), dtype="float64")])
    model.save(tmp_path / "a.keras")
    twin = keras.models.load_model(tmp_path / "a.keras")
    assert twin.layers[0].kernel.dtype == "float64"
    assert_same(twin, model)
    twin.save(str(tmp_path / "b.keras"))
    assert load_model(tmp_path / "b.keras").weights[0].dtype == "float64"


def test_warnings_are_those_of_keras(tmp_path):
    """An optimizer that is not built yet takes no state, with a warning."""
    x, y = cases.data()
    messages = []
    for package in (rnn_engine, keras):
        model = cases.small_model(package)
        model.fit(x, y, verbose=0)
        path = str(tmp_path / "model.weights.h5")
        model.save_weights(path)
        other = cases.small_model(package)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            other.load_weights(path)
        messages.append([str(w.message) for w in caught if w.category is UserWarning])
        assert_same(other, model)
    assert all("Skipping variable loading for optimizer" in found[0] for found in messages)
    assert list(map(len, messages)) == [1, 1]


def test_clone_and_json_as_keras():
    for package in (rnn_engine, keras):
        model = cases.small_model(package)
        clone = package.models.clone_model(model)
        assert clone.name == model.name
        assert [layer.name for layer in clone.layers] == [layer.name for layer in model.layers]
        assert clone.compiled
        assert clone.optimizer is not model.optimizer
        assert [w.shape for w in clone.get_weights()] == [w.shape for w in model.get_weights()]
        assert not np.array_equal(clone.get_weights()[0], model.get_weights()[0])
        again = package.models.model_from_json(model.to_json())
        assert again.compiled
        assert type(again.optimizer).__name__ == "Adam"


def graph_of_ops(package):
    """A graph of ops: called like layers, with numbers in front, with settings of their class."""
    ns, ops = package.layers, package.ops
    x = ns.Input((6, 4))
    y = ops.mean(x * 2.0 + 1.0, axis=1)
    y = ops.concatenate([y, x[:, 0], x[:, -1, 1:3]], -1)
    y = ops.where(y > 0, y, ops.exp(y))
    y = ops.reshape(y, (-1, 5, 2))
    y = ops.sum(ops.square(y), axis=(1,), keepdims=True)
    y = ops.transpose(ops.expand_dims(ops.squeeze(y, 1), -1), (0, 2, 1))
    y = ops.softmax(ops.relu(ops.matmul(y, np.ones((2, 3), "f4"))))
    y = ops.take(ops.cast(y, "float32"), np.array([0, 2]), axis=2)
    y = ops.clip(ops.stack([y, y], 1), 0.0, 1.0)
    y = -ops.maximum(1.0 - y, 0.1)
    y = ops.einsum("abcd,de->abce", y, np.ones((2, 2), "f4"))
    y = ops.subtract(ops.add(y, 1.0), ops.minimum(y, 0.5))
    return package.Model(x, ns.Dense(2)(ns.Flatten()(y)))


@pytest.mark.parametrize("ending", [".keras", ".h5"])
def test_graphs_of_ops_both_ways(ending, tmp_path):
    x = np.random.default_rng(0).normal(size=(3, 6, 4)).astype("f4")
    for writer, reader in ((rnn_engine, keras), (keras, rnn_engine), (rnn_engine, rnn_engine)):
        model = graph_of_ops(writer)
        path = tmp_path / f"m{ending}"
        model.save(path)
        again = reader.models.load_model(path)
        # Written here the one input is in a list, as older versions want it.
        found = again([x] if reader is keras else x)
        np.testing.assert_allclose(np.asarray(found), np.asarray(model(x)), atol=1e-6)


def test_the_table_of_ops_is_keras():
    """Each op's class is where the table says, and takes the settings it says."""
    for name, (module, settings) in keras_classes.OPS.items():
        home = importlib.import_module(module)
        cls = getattr(home, "".join(word.capitalize() for word in name.split("_")))
        own = [p for p in inspect.signature(cls.__init__).parameters if p not in _OF_ALL]
        call = [p for p in inspect.signature(cls.call).parameters if p != "self"]
        ours = list(inspect.signature(dispatch.OPS[name]).parameters)
        assert own == list(settings)
        assert call == [p for p in ours if p not in settings]


_OF_ALL = {"self", "name", "args", "kwargs"}


LARGE = {
    "repeat": lambda ops, x: ops.repeat(x, 2, axis=1),
    "tile": lambda ops, x: ops.tile(x, (1, 2)),
    "pad": lambda ops, x: ops.pad(x, ((0, 0), (1, 2))),
    "one_hot": lambda ops, x: ops.one_hot(ops.cast(x, "int32"), 2),
}


@pytest.mark.parametrize("size", [1 << 25, 1 << 45])
@pytest.mark.parametrize("name", LARGE)
def test_sizes_that_ops_are_told(name, size, tmp_path):
    """What a file says is refused before it is computed; a row of such calls, too."""
    x = rnn_engine.Input((4,))
    model = rnn_engine.Model(x, LARGE[name](rnn_engine.ops, x))
    config = json.loads(model.to_json())
    for entry in config["config"]["layers"]:
        if entry["class_name"].lower() == name.replace("_", ""):
            settings = entry["config"]
            key = next(k for k in settings if k in ("repeats", "pad_width", "num_classes"))
            nested = {"tile": [1, size], "pad": [[0, 0], [1, size]]}
            settings[key] = nested.get(name, size)
    with pytest.raises(ValueError, match=f"op '{name}' would give|more than a file may"):
        model_from_json(json.dumps(config))


@pytest.mark.parametrize("package", [rnn_engine, keras], ids=["rnn_engine", "keras"])
def test_einsum_of_symbolic_tensors(package):
    x, y = package.layers.Input((2, 3)), package.layers.Input((2, 4))
    model = package.Model([x, y], package.ops.einsum("abc,abd->acd", x, y))
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(5, 2, 3)).astype("f4"), rng.normal(size=(5, 2, 4)).astype("f4")
    np.testing.assert_allclose(model([a, b]), np.einsum("abc,abd->acd", a, b), rtol=1e-5)

"""What is saved comes back: in every format, with callbacks, clones and JSON."""

import contextlib
import json
import os

import numpy as np
import pytest

import rnn_engine
from rnn_engine import activations, callbacks, layers, losses, optimizers
from rnn_engine.models import clone_model, load_model, model_from_json
from rnn_engine.saving import custom_object_scope
from tests.saving import cases
from tests.saving.cases import assert_same

pytest.importorskip("h5py")

MODELS = [".npz", ".keras", ".safetensors"]
FIT = {"batch_size": 4, "shuffle": False, "verbose": 0}


@pytest.mark.parametrize("name", cases.names())
@pytest.mark.parametrize("ending", MODELS)
def test_every_layer(name, ending, tmp_path):
    model = cases.make(name, rnn_engine)
    cases.scatter(model)
    model.save(tmp_path / f"m{ending}")
    again = load_model(tmp_path / f"m{ending}")
    x = cases.inputs(name)
    np.testing.assert_array_equal(again(x), model(x))
    assert again.get_config() == model.get_config()
    assert [v.name for v in again.weights] == [v.name for v in model.weights]
    other = cases.make(name, rnn_engine)
    model.save_weights(tmp_path / "m.npz")
    other.load_weights(tmp_path / "m.npz")
    assert_same(other, model)
    other.load_weights(tmp_path / f"m{ending}")  # a whole model serves, too
    assert model_from_json(model.to_json()).get_config() == model.get_config()
    assert clone_model(model).get_config() == model.get_config()


@pytest.mark.parametrize("ending", MODELS)
@pytest.mark.parametrize(
    "optimizer",
    [
        lambda: optimizers.SGD(0.125, momentum=0.5, nesterov=True),
        lambda: optimizers.Adam(
            optimizers.schedules.CosineDecay(0.125, 20), use_ema=True, clipnorm=0.5
        ),
        lambda: optimizers.AdamW(0.0625, gradient_accumulation_steps=2),
    ],
)
def test_training_goes_on_to_the_bit(ending, optimizer, tmp_path):
    x, y = cases.data()
    model = cases.small_model(rnn_engine, optimizer(), metrics=["mae"])
    model.fit(x, y, epochs=3, **FIT)
    model.save(tmp_path / f"m{ending}")
    again = load_model(tmp_path / f"m{ending}")
    assert_same(again.optimizer.variables, model.optimizer.variables)
    wanted = model.fit(x, y, epochs=3, **FIT).history
    assert again.fit(x, y, epochs=3, **FIT).history == wanted
    assert_same(again, model)


def test_a_model_that_was_not_trained(tmp_path):
    """No state, no warning: the optimizer is built by the first step."""
    x, y = cases.data()
    model = cases.small_model(rnn_engine)
    model.save(tmp_path / "m.npz")
    again = load_model(tmp_path / "m.npz")
    assert again.compiled
    assert again.fit(x, y, **FIT).history == model.fit(x, y, **FIT).history


def test_without_the_optimizer(tmp_path):
    model = cases.small_model(rnn_engine)
    for ending in MODELS:
        model.save(tmp_path / f"m{ending}", include_optimizer=False)
        assert not load_model(tmp_path / f"m{ending}").compiled
        model.save(tmp_path / f"m{ending}")
        assert not load_model(tmp_path / f"m{ending}", compile=False).compiled
        assert_same(load_model(tmp_path / f"m{ending}"), model)
    with np.load(tmp_path / "m.npz") as file:  # NumPy reads it
        np.testing.assert_array_equal(file["layers/dense/vars/1"], model.layers[-1].bias.value)


class Doubled(layers.Layer):
    """y = 2·w·x."""

    def __init__(self, start=1.0, **kwargs):
        super().__init__(**kwargs)
        self.start = start

    def create_weights(self, input_shape):
        self.w = self.add_weight((input_shape[-1],), "ones", name="w")

    def forward(self, x, training=False, mask=None):
        return 2 * self.start * self.w.value * x, x

    def backward(self, dy, saved, need_dx=True):
        self.w.grad[...] += 2 * self.start * (dy * saved).sum(axis=0)
        return 2 * self.start * self.w.value * dy

    def get_config(self):
        return {**super().get_config(), "start": self.start}


@pytest.mark.parametrize("ending", MODELS)
def test_classes_of_a_user(ending, tmp_path):
    model = rnn_engine.Sequential([layers.Input((3,)), Doubled(0.5, name="mine")])
    model.compile("sgd", "mse")
    cases.scatter(model)
    path = tmp_path / f"m{ending}"
    model.save(path)
    with pytest.raises(ValueError, match="'mine' is a Doubled.*custom_objects"):
        load_model(path)
    again = load_model(path, custom_objects={"Doubled": Doubled})
    assert_same(again, model)
    assert again.layers[0].start == 0.5
    with custom_object_scope({"Doubled": Doubled}):
        assert isinstance(load_model(path).layers[0], Doubled)
        assert isinstance(clone_model(model).layers[0], Doubled)


@pytest.mark.parametrize("ending", MODELS)
def test_functions_of_a_user(ending, tmp_path):
    """They go by their names; what was saved trains on when they are given again."""
    own = losses.CustomLoss(
        lambda y, p: ((y - p) ** 2).mean(-1),
        lambda y, p: 2 * (p - y) / y.shape[-1],
        name="own",
    )

    def distance(y, p):
        return np.abs(y - p).mean(axis=-1)

    steep = activations.CustomActivation(lambda z: 2 * z, lambda z: 0 * z + 2, name="steep")
    model = cases.small_model(rnn_engine)
    model.add(layers.Dense(2, steep))
    model.compile("sgd", own, metrics=[distance])
    x, y = cases.data()
    model.fit(x, y, **FIT)
    path = tmp_path / f"m{ending}"
    model.save(path)
    with pytest.raises(ValueError, match="steep"):
        load_model(path)
    with pytest.raises(ValueError, match="custom_objects, or compile=False"):
        load_model(path, {"steep": steep})
    again = load_model(path, {"steep": steep, "own": own, "distance": distance})
    assert again.fit(x, y, **FIT).history == model.fit(x, y, **FIT).history
    with custom_object_scope({"steep": steep}):
        assert clone_model(model).loss is own


def test_registered_classes(tmp_path):
    from rnn_engine import saving

    model = rnn_engine.Sequential([layers.Input((3,)), Doubled(0.5)])
    saving.register_keras_serializable("mine", "Twofold")(Doubled)
    try:
        model.save(tmp_path / "m.npz")
        assert isinstance(load_model(tmp_path / "m.npz").layers[0], Doubled)
    finally:
        del saving.get_custom_objects()["mine>Twofold"]


def test_what_json_cannot_hold():
    class Odd(Doubled):
        def get_config(self):
            return {**super().get_config(), "start": {1, 2}}

    model = rnn_engine.Sequential([layers.Input((3,)), Odd()])
    with pytest.raises(ValueError, match="cannot be saved.*set"):
        model.to_json()


def test_json_takes_options():
    model = cases.small_model(rnn_engine)
    text = model.to_json(indent=2)
    assert text.startswith('{\n  "module"')
    assert json.loads(text)["compile_config"]["loss"] == "mse"
    with pytest.raises(ValueError, match="damaged config"):
        model_from_json("{")
    dense = json.dumps({"class_name": "Dense", "config": {"units": 3}})
    with pytest.raises(ValueError, match="not a model"):
        model_from_json(dense)


def test_clones():
    model = cases.small_model(rnn_engine, metrics=[rnn_engine.metrics.AUC()])
    clone = clone_model(model)
    assert clone.optimizer is not model.optimizer
    x, y = cases.data()
    clone.fit(x, y > 0, verbose=0)
    assert int(model.optimizer.iterations) == 0
    assert not any(np.array_equal(a, b) for a, b in zip(
        clone.get_weights()[:2], model.get_weights()[:2], strict=True))  # fmt: skip
    wider = clone_model(
        model,
        clone_function=lambda layer: layers.Dense(5) if layer.name.startswith("dense") else layer,
    )
    assert wider.output_shape == (None, 5)
    assert wider.layers[0] is model.layers[0]
    inner = rnn_engine.Sequential([layers.Dense(3)], name="inner")
    outer = rnn_engine.Sequential([layers.Input((2,)), inner])
    seen = []
    clone_model(outer, recursive=True, clone_function=lambda layer: seen.append(layer) or layer)
    assert seen == inner.layers
    with pytest.raises(ValueError, match="needs a Sequential"):
        clone_model(layers.Dense(2))


# --- callbacks ----------------------------------------------------------------------


def interrupt_at(epoch):
    def act(now, logs):
        if now == epoch:
            raise RuntimeError("planted")

    return callbacks.LambdaCallback(on_epoch_begin=act)


@pytest.mark.parametrize("double", [False, True])
@pytest.mark.parametrize("frequency", ["epoch", 1])
def test_backup_and_restore(double, frequency, tmp_path):
    """A training that was interrupted ends as one that was not, to the bit."""
    x, y = cases.data()
    straight = cases.small_model(rnn_engine)
    wanted = straight.fit(x, y, epochs=6, **FIT).history["loss"]
    backup = callbacks.BackupAndRestore(tmp_path / "b", frequency, double_checkpoint=double)
    with pytest.raises(RuntimeError, match="planted"):
        cases.small_model(rnn_engine).fit(
            x, y, epochs=6, callbacks=[backup, interrupt_at(3)], **FIT
        )
    again = cases.small_model(rnn_engine)
    cases.scatter(again, 77)
    backup = callbacks.BackupAndRestore(tmp_path / "b", frequency, double_checkpoint=double)
    history = again.fit(x, y, epochs=6, callbacks=[backup], **FIT)
    assert history.epoch == list(range(6)), "the history is that of the whole training"
    assert history.history["loss"] == wanted
    assert_same(again, straight)
    assert int(again.optimizer.iterations) == int(straight.optimizer.iterations)
    assert not (tmp_path / "b").exists()


@pytest.mark.parametrize("double", [False, True])
@pytest.mark.parametrize("count", range(6))
def test_backup_killed_at_any_rename(double, count, tmp_path, monkeypatch):
    """Whichever rename is the last one, weights and epoch that come back belong together."""
    x, y = cases.data()
    straight = cases.small_model(rnn_engine)
    kept = []
    keep = callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: kept.append(straight.get_weights())
    )
    straight.fit(x, y, epochs=4, callbacks=[keep], **FIT)

    class Killed(BaseException):
        pass

    real, calls = os.replace, []

    def replace(source, target):
        if len(calls) == count:
            raise Killed
        calls.append(target)
        real(source, target)

    start = callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: (
            monkeypatch.setattr(os, "replace", replace) if epoch == 2 else None
        )
    )
    model = cases.small_model(rnn_engine)
    backup = callbacks.BackupAndRestore(tmp_path / "b", double_checkpoint=double)
    with contextlib.suppress(Killed):
        model.fit(x, y, epochs=3, callbacks=[start, backup], **FIT)
    monkeypatch.setattr(os, "replace", real)
    if not (tmp_path / "b").exists():
        assert not double  # there are six renames, four without a double
        assert count >= 4
        return
    again = cases.small_model(rnn_engine)
    seen = {}

    class See(callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            seen.setdefault(epoch, self.model.get_weights())

    fresh = callbacks.BackupAndRestore(tmp_path / "b", double_checkpoint=double)
    again.fit(x, y, epochs=4, callbacks=[fresh, See()], **FIT)
    first = min(seen)
    assert first in (2, 3)
    assert_same(seen[first], kept[first - 1])
    assert_same(again, straight)


@pytest.mark.parametrize(
    ("name", "only_weights"),
    [("{epoch}.npz", False), ("{epoch}.keras", False), ("w{epoch}.weights.h5", True),
     ("w{epoch}.npz", True), ("{epoch}.safetensors", False), ("w{epoch}.safetensors", True)],
)  # fmt: skip
def test_model_checkpoint(name, only_weights, tmp_path):
    x, y = cases.data()
    model = cases.small_model(rnn_engine)
    save = callbacks.ModelCheckpoint(tmp_path / name, save_weights_only=only_weights)
    first = model.fit(x, y, epochs=2, callbacks=[save], **FIT).history["loss"]
    path = tmp_path / name.format(epoch=1)
    if only_weights:
        again = cases.small_model(rnn_engine)
        again.optimizer.build(again.trainable_variables)
        again.load_weights(path)
    else:
        again = load_model(path)
    assert again.fit(x, y, **FIT).history["loss"] == first[1:]

"""A training that is interrupted anywhere ends as if it had not been, to the bit."""

import json

import numpy as np
import pytest

import rnn_engine
from rnn_engine import callbacks, layers, optimizers
from tests.saving.cases import assert_same

RNG = np.random.default_rng(3)
X = RNG.normal(size=(12, 6, 3)).astype("f4")
Y = RNG.normal(size=(12, 2)).astype("f4")


class Interrupted(Exception):
    pass


class Stop(callbacks.Callback):
    """End the training after so many batches."""

    def __init__(self, after):
        super().__init__()
        self.left = after

    def on_train_batch_end(self, batch, logs=None):
        self.left -= 1
        if self.left == 0:
            raise Interrupted


def model_of(optimizer=None, stateful=False):
    rnn_engine.utils.set_random_seed(7)
    shape = {"batch_shape": (3, 6, 3)} if stateful else {"shape": (6, 3)}
    model = rnn_engine.Sequential([
        layers.Input(**shape),
        layers.GaussianNoise(0.1),
        layers.SimpleRNN(4, dropout=0.25, recurrent_dropout=0.25, return_sequences=True,
                         stateful=stateful),
        layers.Bidirectional(layers.SimpleRNN(3, dropout=0.5)) if not stateful
        else layers.SimpleRNN(3, stateful=True),
        layers.BatchNormalization(),
        layers.Dropout(0.25, seed=5),
        layers.Dense(2),
    ])  # fmt: skip
    model.compile(
        optimizer or "adam", "mse", metrics=["mae", rnn_engine.metrics.MeanSquaredError()]
    )
    return model


OPTIMIZERS = {
    "adam": lambda: "adam",
    "accumulating": lambda: optimizers.SGD(0.05, momentum=0.9, gradient_accumulation_steps=3),
    "averaging": lambda: optimizers.RMSprop(
        optimizers.schedules.ExponentialDecay(0.01, 3, 0.5), use_ema=True, ema_overwrite_frequency=4
    ),
}


def arrays(stateful=False):
    return {"x": X, "y": Y, "batch_size": 3, "shuffle": not stateful}


def batches():
    for i in range(200):
        part = RNG.__class__(np.random.PCG64(i)).permutation(12)[:3]
        yield X[part], Y[part]


class Data(rnn_engine.utils.PyDataset):
    def __len__(self):
        return 4

    def __getitem__(self, index):
        return X[index * 3 : index * 3 + 3], Y[index * 3 : index * 3 + 3]


DATA = {
    "arrays": (arrays, {}),
    "arrays in steps": (arrays, {"steps_per_epoch": 2}),
    "batches shuffled": (lambda: {**arrays(), "shuffle": "batch"}, {}),
    "generator": (lambda: {"x": batches()}, {"steps_per_epoch": 4}),
    "dataset": (lambda: {"x": Data()}, {}),
    "dataset in steps": (lambda: {"x": Data()}, {"steps_per_epoch": 2}),
}


def train(model, data, options, folder=None, save_freq=1, stop=None, epochs=3):
    given = [] if folder is None else [callbacks.BackupAndRestore(folder, save_freq=save_freq)]
    if stop is not None:
        given.append(Stop(stop))
    fit = {"epochs": epochs, "verbose": 0, "callbacks": given, "validation_data": (X[:4], Y[:4])}
    return model.fit(**data(), **options, **fit)


def check(data, options, stops, tmp_path, make=model_of, save_freq=1, epochs=3):
    """Interrupt at each of `stops` in turn, and compare with the training that was not."""
    whole = make()
    wanted = train(whole, data, options, epochs=epochs)
    folder = tmp_path / "backup"
    for stop in stops:
        with pytest.raises(Interrupted):
            train(make(), data, options, folder, save_freq, stop, epochs)
        assert folder.exists()
    model = make()
    got = train(model, data, options, folder, save_freq, None, epochs)
    assert got.history == wanted.history
    assert got.epoch == wanted.epoch
    assert_same(model, whole)
    assert_same(model.optimizer.variables, whole.optimizer.variables)
    assert not folder.exists()


@pytest.mark.parametrize("stop", range(1, 12))
def test_any_batch(stop, tmp_path):
    check(arrays, {}, [stop], tmp_path)


class Gone(callbacks.Callback):
    """End the training behind its last epoch, when that has been backed up."""

    def on_epoch_end(self, epoch, logs=None):
        if epoch == self.params["epochs"] - 1:
            raise Interrupted


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_nothing_left_to_train(name, tmp_path):
    """Ended between its last epoch and its end, it has its history, and the averages."""
    whole = model_of(OPTIMIZERS[name]())
    wanted = train(whole, arrays, {})
    fit = {"epochs": 3, "verbose": 0, "validation_data": (X[:4], Y[:4])}
    given = [callbacks.BackupAndRestore(tmp_path / "b"), Gone()]
    model = model_of(OPTIMIZERS[name]())
    with pytest.raises(Interrupted):
        model.fit(**arrays(), callbacks=given, **fit)
    model = model_of(OPTIMIZERS[name]())
    with pytest.warns(UserWarning, match="nothing is left to train"):
        got = model.fit(**arrays(), callbacks=given[:1], **fit)
    assert got.history == wanted.history
    assert got.epoch == wanted.epoch
    assert_same(model, whole)


@pytest.mark.parametrize("name", DATA)
@pytest.mark.parametrize("stops", [[2], [4, 1], [1, 1, 3]])
def test_any_data(name, stops, tmp_path):
    data, options = DATA[name]
    check(data, options, stops, tmp_path)


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("save_freq", [1, 2, 3, "epoch"])
def test_any_optimizer(name, save_freq, tmp_path):
    check(arrays, {}, [7], tmp_path, lambda: model_of(OPTIMIZERS[name]()), save_freq)


@pytest.mark.parametrize("stop", [2, 4, 7])
def test_stateful_layers(stop, tmp_path):
    def data():
        return {**arrays(stateful=True)}

    whole = model_of(stateful=True)
    fit = {"epochs": 3, "verbose": 0}
    wanted = whole.fit(**data(), **fit)
    given = [callbacks.BackupAndRestore(tmp_path / "b", save_freq=1), Stop(stop)]
    with pytest.raises(Interrupted):
        model_of(stateful=True).fit(**data(), callbacks=given, **fit)
    model = model_of(stateful=True)
    got = model.fit(**data(), callbacks=[callbacks.BackupAndRestore(tmp_path / "b", 1)], **fit)
    assert got.history == wanted.history
    assert_same(model, whole)


def test_metadata_that_are_damaged(tmp_path):
    folder = tmp_path / "b"
    path = folder / "training_metadata.json"
    texts = ["{", "[]", "{}", '{"epoch": -5, "batch": 0}', '{"epoch": 1e9}', '{"epoch": true}',
             '{"epoch": "1", "batch": 0}', '{"epoch": 1, "batch": -1}', "\xff"]  # fmt: skip
    with pytest.raises(Interrupted):
        train(model_of(), arrays, {}, folder, stop=5)
    whole = json.loads(path.read_text())
    for change in ({"logs": 5}, {"position": []}, {"state": {}}, {"counter": None},
                   {"state": {**whole["state"], "streams": []}}):  # fmt: skip
        texts.append(json.dumps({**whole, **change}))
    for text in texts:
        path.write_text(text)
        with pytest.raises(ValueError, match=r"training_metadata\.json"):
            train(model_of(), arrays, {}, folder)
    path.write_text(json.dumps({**whole, "epoch": 10**9}))
    with pytest.warns(UserWarning, match="nothing is left to train"):
        train(model_of(), arrays, {}, folder)

"""EarlyStopping, ReduceLROnPlateau and ModelCheckpoint decide as Keras's do.

Both sides are driven by the same made-up logs, through a model that only notes
what is done to it.
"""

import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnn_engine import callbacks as ours

keras = pytest.importorskip("keras")
theirs = keras.callbacks


class Optimizer:
    def __init__(self):
        self.learning_rate = 0.5


class Model:
    """Has what the callbacks touch; its weights are the number of the epoch."""

    metrics = ()

    def __init__(self):
        self.stop_training = False
        self.optimizer = Optimizer()
        self.epoch = 0
        self.done = []

    def get_weights(self):
        return self.epoch

    def set_weights(self, weights):
        self.done.append(("set_weights", weights))

    def save(self, path, overwrite=True):
        self.done.append(("save", path))

    def save_weights(self, path, overwrite=True):
        self.done.append(("save_weights", path))


def drive(callback, values, monitor):
    """Run the hooks of a training that logs `values`; return all that it did."""
    model = Model()
    callback.set_model(model)
    callback.set_params({"epochs": len(values), "steps": 2, "verbose": 0})
    rates, logged = [], []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # where the value is missing
        callback.on_train_begin()
        for epoch, value in enumerate(values):
            model.epoch = epoch
            logs = {"other": 1.0} if value is None else {monitor: value, "other": 1.0}
            callback.on_epoch_begin(epoch)
            for batch in range(3):
                callback.on_train_batch_end(batch, logs)
            callback.on_epoch_end(epoch, logs)
            rates.append(model.optimizer.learning_rate)
            logged.append(sorted(logs))
            if model.stop_training:
                break
        callback.on_train_end()
    return rates, logged, model.done, epoch


numbers = st.one_of(
    st.none(), st.sampled_from([0.0, 0.1, 0.2, 0.25, 0.5, 1.0, float("nan"), float("inf")])
)
sequences = st.lists(numbers, min_size=1, max_size=12)


@given(
    values=sequences,
    mode=st.sampled_from(["min", "max", "auto"]),
    min_delta=st.sampled_from([0, 0.05, -0.1]),
    patience=st.integers(0, 4),
    baseline=st.sampled_from([None, 0.2]),
    restore=st.booleans(),
    start=st.integers(0, 3),
)
def test_early_stopping(values, mode, min_delta, patience, baseline, restore, start):
    options = {
        "monitor": "val_loss",
        "mode": mode,
        "min_delta": min_delta,
        "patience": patience,
        "baseline": baseline,
        "restore_best_weights": restore,
        "start_from_epoch": start,
    }
    got = drive(ours.EarlyStopping(**options), values, "val_loss")
    assert got == drive(theirs.EarlyStopping(**options), values, "val_loss")


@given(
    values=sequences,
    mode=st.sampled_from(["min", "max", "auto"]),
    min_delta=st.sampled_from([0, 0.05, 1e-4]),
    patience=st.integers(0, 3),
    cooldown=st.integers(0, 2),
    min_lr=st.sampled_from([0.0, 0.1]),
)
def test_reduce_on_plateau(values, mode, min_delta, patience, cooldown, min_lr):
    options = {
        "monitor": "loss",
        "factor": 0.5,
        "mode": mode,
        "min_delta": min_delta,
        "patience": patience,
        "cooldown": cooldown,
        "min_lr": min_lr,
    }
    got = drive(ours.ReduceLROnPlateau(**options), values, "loss")
    assert got == drive(theirs.ReduceLROnPlateau(**options), values, "loss")


@given(
    values=st.lists(st.sampled_from([0.1, 0.2, 0.5, 1.0]), min_size=1, max_size=8),
    mode=st.sampled_from(["min", "max", "auto"]),
    best=st.booleans(),
    weights=st.booleans(),
    threshold=st.sampled_from([None, 0.3]),
    frequency=st.sampled_from(["epoch", 1, 2, 4, 5]),
)
def test_model_checkpoint(values, mode, best, weights, threshold, frequency):
    name = "{epoch:02d}-{loss:.2f}" + (".weights.h5" if weights else ".keras")
    options = {
        "filepath": name,
        "monitor": "loss",
        "mode": mode,
        "save_best_only": best and frequency == "epoch",
        "save_weights_only": weights,
        "initial_value_threshold": threshold,
        "save_freq": frequency,
    }
    got = drive(ours.ModelCheckpoint(**options), values, "loss")
    assert got == drive(theirs.ModelCheckpoint(**options), values, "loss")


def test_auto_mode_asks_the_metric_for_its_direction():
    class Metric:
        name, _direction = "accuracy", "up"

    class Compiled:
        name, metrics = "compile_metrics", (Metric,)

    callback = ours.EarlyStopping("val_accuracy", patience=1)
    model = Model()
    model.metrics = (Compiled,)
    callback.set_model(model)
    callback.on_train_begin()
    for epoch, value in enumerate([0.1, 0.2, 0.3, 0.3]):
        callback.on_epoch_end(epoch, {"val_accuracy": value})
    assert callback.best == 0.3
    assert callback.stopped_epoch == 3
    unknown = ours.EarlyStopping("speed")
    unknown.set_model(model)
    with pytest.raises(ValueError, match=r"monitor=speed.*mode='max'"):
        unknown.on_epoch_end(0, {"speed": 1.0})


def test_what_is_not_there_is_warned_about():
    for callback in (ours.EarlyStopping("x", mode="min"), ours.ReduceLROnPlateau("x", mode="min")):
        callback.set_model(Model())
        with pytest.warns(UserWarning, match="`x` which is not available"):
            callback.on_epoch_end(0, {"loss": 1.0})
    with pytest.warns(UserWarning, match="mode 'up' is unknown"):
        ours.EarlyStopping(mode="up")


def test_messages(capsys):
    drive(ours.EarlyStopping("loss", verbose=1, restore_best_weights=True), [1.0, 2.0], "loss")
    drive(ours.ReduceLROnPlateau("loss", patience=1, verbose=1), [1.0, 2.0], "loss")
    checkpoint = ours.ModelCheckpoint("a.keras", "loss", verbose=1, save_best_only=True)
    drive(checkpoint, [1.0, 2.0], "loss")
    printed = capsys.readouterr().out
    for text in (
        "Epoch 2: early stopping",
        "end of the best epoch: 1.",
        "reducing learning rate to 0.05",
        "loss improved from None to 1.00000, saving model to a.keras",
        "loss did not improve from 1.00000",
    ):
        assert text in printed


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: ours.ReduceLROnPlateau(factor=1.0), "factor >= 1.0"),
        (lambda: ours.ModelCheckpoint("a.txt"), "must end in"),
        (lambda: ours.ModelCheckpoint("a.h5", save_weights_only=True), "must end in"),
        (lambda: ours.ModelCheckpoint("a.keras", save_freq="batch"), "save_freq"),
        (lambda: ours.ModelCheckpoint("a.keras", save_freq=0), "save_freq"),
        (lambda: ours.BackupAndRestore(""), "backup_dir"),
        (lambda: ours.BackupAndRestore("a", save_freq=-1), "save_freq"),
        (lambda: ours.TensorBoard("a", profile_batch=2), "profile_batch"),
        (lambda: ours.TensorBoard("a", update_freq="often"), "update_freq"),
    ],
)
def test_bad_arguments(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_a_folder_is_no_file(tmp_path):
    folder = tmp_path / "a.keras"
    folder.mkdir()
    callback = ours.ModelCheckpoint(folder)
    callback.set_model(Model())
    with pytest.raises(OSError, match="existing directory"):
        callback.on_epoch_end(0, {"loss": 1.0})
    missing = ours.ModelCheckpoint("{speed}.keras")
    missing.set_model(Model())
    with pytest.raises(KeyError, match="speed"):
        missing.on_epoch_end(0, {"loss": 1.0})


def test_learning_rate_schedule():
    for schedule in (lambda epoch, rate: rate * 0.5, lambda epoch: 0.5 / 2 ** (epoch + 1)):
        got = drive(ours.LearningRateScheduler(schedule), [1.0] * 3, "loss")
        assert got == drive(theirs.LearningRateScheduler(schedule), [1.0] * 3, "loss")
        assert got[0] == [0.25, 0.125, 0.0625]
    for bad in (lambda epoch, rate: "fast", lambda epoch, rate: 1, lambda epoch, rate: np.nan):
        callback = ours.LearningRateScheduler(bad)
        callback.set_model(Model())
        with pytest.raises(ValueError, match="finite float"):
            callback.on_epoch_begin(0)

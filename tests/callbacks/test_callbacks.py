"""The other callbacks, inside real calls of fit on the stand-in model."""

import json
import os

import numpy as np
import pytest

from rnn_engine import callbacks as cb
from rnn_engine.callbacks.tensorboard import as_picture
from tests.training.standin import make_data, make_model


def test_registry_and_exports_agree():
    names = set(cb.registry.entries)
    assert names == set(cb.__all__) - {"registry"}


def test_hooks_that_nobody_wrote_are_not_called():
    quiet = cb.CallbackList([cb.EarlyStopping("loss"), cb.History()])
    assert not any(quiet.listens(f"on_{p}_batch_end") for p in ("train", "test", "predict"))
    old = cb.CallbackList([cb.TerminateOnNaN()])  # overrides the alias on_batch_end
    assert old.listens("on_train_batch_end")
    assert not old.listens("on_test_batch_end")
    bar = cb.CallbackList([cb.History()], add_progbar=True, verbose=1, epochs=1, steps=1)
    assert bar.only_bar("on_train_batch_end") is not None
    bar.append(cb.LambdaCallback(on_train_batch_end=print))
    assert bar.only_bar("on_train_batch_end") is None


def test_list_hands_out_sorted_floats_and_nested_lists_are_flattened():
    seen = []
    watch = cb.LambdaCallback(on_epoch_end=lambda epoch, logs: seen.append(logs))
    entries = cb.CallbackList([[watch], (watch,)])
    entries.on_epoch_end(0, {"b": np.float32(0.5), "a": np.array([2.0]), "c": np.ones(2)})
    assert len(seen) == 2
    assert list(seen[0]) == ["a", "b", "c"]
    assert type(seen[0]["a"]) is type(seen[0]["b"]) is float
    assert seen[0]["c"].shape == (2,)


def test_every_callback_hears_of_the_end():
    ended = []

    def fail(logs):
        raise OSError("disk full")

    entries = cb.CallbackList(
        [cb.LambdaCallback(on_train_end=fail), cb.LambdaCallback(on_train_end=ended.append)]
    )
    with pytest.raises(OSError, match="disk full"):
        entries.on_train_end()
    assert ended == [{}]


def test_terminate_on_nan(capsys):
    x, y = make_data()
    y[4] = np.nan
    model = make_model()
    history = model.fit(
        x, y, batch_size=2, epochs=3, shuffle=False, callbacks=[cb.TerminateOnNaN()], verbose=0
    )
    assert int(model.optimizer.iterations) == 3
    assert np.isnan(history.history["loss"]).tolist() == [True]
    assert "Batch 2: Invalid loss" in capsys.readouterr().out
    with pytest.raises(RuntimeError, match="batch 2"):
        make_model().fit(
            x, y, 2, verbose=0, shuffle=False, callbacks=[cb.TerminateOnNaN(raise_error=True)]
        )


def test_lambda_callback_takes_any_hook():
    calls = []
    hooks = [n for n in dir(cb.Callback) if n.startswith("on_") and "on_batch" not in n]
    functions = {name: (lambda *a, n=name, **k: calls.append(n)) for name in hooks}
    x, y = make_data()
    model = make_model()
    callback = cb.LambdaCallback(**functions)
    model.fit(x, y, validation_data=(x, y), callbacks=callback, verbose=0)
    model.predict(x, callbacks=[callback], verbose=0)
    assert set(calls) == set(hooks)
    with pytest.raises(TypeError, match="on_epoch_end must be callable"):
        cb.LambdaCallback(on_epoch_end=3)


def test_csv_logger_writes_what_keras_writes(tmp_path):
    keras = pytest.importorskip("keras")
    runs = [
        [{"loss": 1.5, "acc": 0.25}, {"loss": 1.0, "acc": 0.5, "val_acc": 0.1, "val_loss": 2.0}],
        [{"loss": 0.5, "val_loss": 1.0}, {"loss": 0.25, "parts": np.array([1.0, 2.0])}],
        [{"name": "text", "parts": [1, 2]}],
    ]
    for append in (False, True):
        for separator in (",", ";"):
            texts = []
            for package in (cb, keras.callbacks):
                path = tmp_path / package.__name__
                path.unlink(missing_ok=True)
                for logs_of_epochs in runs:
                    callback = package.CSVLogger(path, separator=separator, append=append)
                    callback.on_train_begin()
                    for epoch, logs in enumerate(logs_of_epochs):
                        callback.on_epoch_end(epoch, logs)
                    callback.on_train_end()
                texts.append(path.read_text().splitlines())
            assert texts[0] == [line for line in texts[1] if line]


def test_csv_logger_in_fit(tmp_path):
    x, y = make_data()
    path = tmp_path / "log.csv"
    history = make_model().fit(
        x, y, epochs=3, verbose=0, validation_split=0.3, callbacks=[cb.CSVLogger(path)]
    )
    lines = path.read_text().splitlines()
    assert lines[0] == "epoch,loss,val_loss"
    assert [float(line.split(",")[1]) for line in lines[1:]] == history.history["loss"]


def interrupt_at(epoch):
    def stop(now, logs):
        if now == epoch:
            raise RuntimeError("planted")

    return cb.LambdaCallback(on_epoch_begin=stop)


@pytest.mark.parametrize("double", [False, True])
@pytest.mark.parametrize("corrupt", [False, True])
def test_backup_goes_on_where_training_stopped(tmp_path, double, corrupt):
    x, y = make_data()
    straight = make_model()
    straight.fit(x, y, epochs=6, shuffle=False, verbose=0)
    folder = tmp_path / "backup"
    model = make_model()
    callbacks = [cb.BackupAndRestore(folder, double_checkpoint=double), interrupt_at(4)]
    with pytest.raises(RuntimeError, match="planted"):
        model.fit(x, y, epochs=6, shuffle=False, verbose=0, callbacks=callbacks)
    assert json.loads((folder / "training_metadata.json").read_text())["epoch"] == 4
    resumed = make_model(seed=5)
    if corrupt:
        (folder / "latest.weights.npz").write_bytes(b"torn")
    callbacks = [cb.BackupAndRestore(folder, double_checkpoint=double)]
    if corrupt and not double:
        with pytest.raises((OSError, ValueError)):
            resumed.fit(x, y, epochs=6, verbose=0, callbacks=callbacks)
        return
    history = resumed.fit(x, y, epochs=6, shuffle=False, verbose=0, callbacks=callbacks)
    assert history.epoch == list(range(6))
    for got, wanted in zip(resumed.get_weights(), straight.get_weights(), strict=True):
        np.testing.assert_array_equal(got, wanted)
    assert not folder.exists()
    assert resumed.fit(x, y, epochs=1, verbose=0).epoch == [0]


def test_backup_every_few_batches_and_kept(tmp_path):
    x, y = make_data()
    model = make_model()
    backup = cb.BackupAndRestore(tmp_path / "b", save_freq=2, delete_checkpoint=False)
    model.fit(x, y, batch_size=4, epochs=1, verbose=0, callbacks=[backup])
    saved = json.loads((tmp_path / "b" / "training_metadata.json").read_text())
    assert (saved["epoch"], saved["batch"]) == (0, 2)  # what comes next
    model.built = False
    with pytest.raises(ValueError, match="must be built"):
        model.fit(x, y, verbose=0, callbacks=[backup])


def test_checkpoints_of_a_training(tmp_path):
    x, y = make_data()
    path = tmp_path / "deep" / "{epoch}.weights.h5"
    model = make_model()
    model.fit(
        x,
        y,
        epochs=3,
        verbose=0,
        callbacks=[cb.ModelCheckpoint(path, save_weights_only=True)],
    )
    assert sorted(os.listdir(tmp_path / "deep")) == [f"{i}.weights.h5" for i in (1, 2, 3)]
    last = model.get_weights()
    model.load_weights(tmp_path / "deep" / "3.weights.h5")
    np.testing.assert_array_equal(model.get_weights()[0], last[0])
    model.load_weights(tmp_path / "deep" / "1.weights.h5")
    assert (model.get_weights()[0] != last[0]).any()


def test_early_stopping_restores_the_best_weights():
    x, y = make_data()
    model = make_model()
    kept = []
    spoil = cb.LambdaCallback(
        on_epoch_end=lambda epoch, logs: kept.append(model.get_weights()),
        on_epoch_begin=lambda epoch, logs: (
            model.kernel.assign(model.kernel.value + 5.0) if epoch == 2 else None
        ),
    )
    stop = cb.EarlyStopping("loss", patience=2, restore_best_weights=True)
    history = model.fit(x, y, epochs=9, verbose=0, callbacks=[spoil, stop])
    assert history.epoch == [0, 1, 2, 3]
    assert stop.best_epoch == 1
    np.testing.assert_array_equal(model.get_weights()[0], kept[1][0])


def ema_model():
    from rnn_engine import optimizers

    return make_model(optimizers.SGD(0.1, use_ema=True, ema_momentum=0.5))


def test_ema_weights_are_used_for_validation_only():
    x, y = make_data()
    model = ema_model()
    seen = {"train": [], "test": []}
    watch = cb.LambdaCallback(
        on_test_end=lambda logs: seen["train"].append(model.get_weights()[0]),
        on_test_batch_end=lambda batch, logs: seen["test"].append(model.get_weights()[0]),
    )
    start = model.get_weights()[0]
    model.fit(
        x, y, epochs=2, validation_data=(x, y), callbacks=[cb.SwapEMAWeights(), watch], verbose=0
    )
    # Momentum 0.5, and the first average is the first weight itself.
    np.testing.assert_allclose(seen["test"][0], seen["train"][0])
    average = 0.5 * seen["train"][0] + 0.5 * seen["train"][1]
    np.testing.assert_allclose(seen["test"][1], average)
    assert (seen["train"][0] != start).any()
    np.testing.assert_allclose(model.get_weights()[0], average)  # fit ends with the average
    with pytest.raises(ValueError, match="use_ema"):
        make_model().evaluate(x, y, callbacks=[cb.SwapEMAWeights()], verbose=0)


def test_ema_weights_come_back_after_predict_and_after_an_exception():
    x, y = make_data()
    model = ema_model()
    model.train_on_batch(x, y)
    model.train_on_batch(x, y)
    plain = model.get_weights()[0]
    inside = []
    watch = cb.LambdaCallback(on_predict_begin=lambda logs: inside.append(model.get_weights()[0]))
    model.predict(x, callbacks=[cb.SwapEMAWeights(), watch], verbose=0)
    assert (inside[0] != plain).any()
    np.testing.assert_array_equal(model.get_weights()[0], plain)

    def fail(logs):
        raise RuntimeError("planted")

    callbacks = [cb.SwapEMAWeights(), cb.LambdaCallback(on_test_begin=fail)]
    with pytest.raises(RuntimeError, match="planted"):
        model.fit(x, y, validation_data=(x, y), callbacks=callbacks, verbose=0)
    average = model.optimizer._averages[0].numpy()
    assert (model.get_weights()[0] != average).any()


def test_ema_weights_stay_between_epochs_for_checkpoints():
    x, y = make_data()
    model = ema_model()
    saved = []
    callbacks = [
        cb.SwapEMAWeights(swap_on_epoch=True),
        cb.LambdaCallback(on_epoch_end=lambda epoch, logs: saved.append(model.get_weights()[0])),
    ]
    by_hand = ema_model()
    averages, average = [], None
    for _ in range(3):
        by_hand.train_on_batch(x, y)
        weight = by_hand.get_weights()[0]
        average = weight if average is None else 0.5 * average + 0.5 * weight
        averages.append(average)
    model.fit(x, y, epochs=3, callbacks=callbacks, verbose=0)
    np.testing.assert_allclose(saved, averages)
    np.testing.assert_allclose(model.get_weights()[0], averages[-1])


def read_events(folder):
    """Return ``{tag: [(step, value), ...]}`` of the scalars, and all tags."""
    tf = pytest.importorskip("tensorflow")
    scalars, tags = {}, set()
    for name in sorted(os.listdir(folder)):
        for record in tf.data.TFRecordDataset(os.path.join(folder, name)):
            event = tf.compat.v1.Event.FromString(record.numpy())
            for value in event.summary.value:
                tags.add(value.tag)
                if value.HasField("simple_value"):
                    scalars.setdefault(value.tag, []).append((event.step, value.simple_value))
    return scalars, tags


def test_tensorboard(tmp_path):
    pytest.importorskip("tensorboardX")
    x, y = make_data()
    model = make_model()
    board = cb.TensorBoard(tmp_path, update_freq=2, write_steps_per_second=True)
    history = model.fit(
        x, y, batch_size=3, epochs=2, validation_data=(x, y), callbacks=[board], verbose=0
    ).history
    train, _ = read_events(tmp_path / "train")
    validation, _ = read_events(tmp_path / "validation")
    for side, name, key in ((train, "epoch_loss", "loss"), (validation, "epoch_loss", "val_loss")):
        assert [step for step, _ in side[name]] == [0, 1]
        np.testing.assert_allclose([v for _, v in side[name]], history[key], rtol=1e-6)
    assert [step for step, _ in train["batch_loss"]] == [2, 4, 6, 8]
    assert [step for step, _ in validation["evaluation_loss_vs_iterations"]] == [4, 8]
    np.testing.assert_allclose([v for _, v in train["epoch_learning_rate"]], 0.01, rtol=1e-6)
    assert all(v > 0 for _, v in train["epoch_steps_per_second"])


def test_tensorboard_weights_and_embeddings(tmp_path):
    pytest.importorskip("tensorboardX")

    class Layer:
        name = "words"
        sublayers = ()

        def __init__(self, model):
            self.weights = [model.kernel, model.bias]
            self.embeddings = model.kernel

    x, y = make_data()
    model = make_model()
    model.layers = [Layer(model)]
    labels = tmp_path / "labels.tsv"
    labels.write_text("a\nb\nc\n")
    board = cb.TensorBoard(
        tmp_path / "logs",
        histogram_freq=1,
        write_images=True,
        embeddings_freq=1,
        embeddings_metadata={"words": str(labels)},
    )
    model.fit(x, y, callbacks=[board], verbose=0)
    _, tags = read_events_of_files(tmp_path / "logs" / "train")
    assert {"kernel/histogram", "bias/histogram", "kernel/image", "bias/image"} <= tags
    (tensors,) = (tmp_path / "logs" / "train").rglob("tensors.tsv")
    assert np.loadtxt(tensors).shape == (3, 2)
    board.embeddings_metadata = {"sentences": str(labels)}
    with pytest.raises(ValueError, match="sentences"):
        model.fit(x, y, callbacks=[board], verbose=0)


def read_events_of_files(folder):
    """Read the event files of a folder that holds others, too."""
    import shutil

    events = folder.parent / "events"
    events.mkdir()
    for path in folder.glob("events.*"):
        shutil.copy(path, events)
    return read_events(events)


def test_pictures_lie_and_use_the_whole_range():
    picture = as_picture(np.arange(6.0).reshape(3, 2))
    np.testing.assert_allclose(picture[0], np.arange(6.0).reshape(3, 2).T / 5)
    assert as_picture(np.ones(4)).shape == (1, 1, 4)

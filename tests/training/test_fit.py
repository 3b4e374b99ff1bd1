"""fit, evaluate, predict on a stand-in model, against the formulae written out."""

import os
import signal
import threading
import time

import numpy as np
import pytest

from rnn_engine import callbacks as cb
from rnn_engine import random
from rnn_engine.training import PyDataset
from tests.training.standin import DenseModel, make_data, make_model

RATE = 0.01


def loss_and_gradients(kernel, bias, x, y, weight=None):
    """Return Keras's MSE (mean over samples of weight times mean square) and gradients."""
    weight = np.ones(len(x)) if weight is None else weight
    error = x @ kernel + bias - y
    loss = (weight * (error**2).mean(axis=1)).mean()
    slope = 2 * error * weight[:, None] / error.size
    return loss, x.T @ slope, slope.sum(axis=0)


def train_by_hand(model, x, y, batch, epochs, weight=None, l2=0.0):
    """Return the loss of each epoch and the weights after plain SGD in the given order."""
    kernel, bias = model.get_weights()
    losses = []
    for _ in range(epochs):
        total = 0.0
        for start in range(0, len(x), batch):
            part = slice(start, start + batch)
            w = None if weight is None else weight[part]
            loss, dk, db = loss_and_gradients(kernel, bias, x[part], y[part], w)
            total += (loss + l2 * (kernel**2).sum()) * len(x[part])
            kernel, bias = kernel - RATE * (dk + 2 * l2 * kernel), bias - RATE * db
        losses.append(total / len(x))
    return losses, [kernel, bias]


def assert_weights(model, expected):
    # Keras's learning rate is a float32, so 0.01 is off by 2e-8.
    for got, wanted in zip(model.get_weights(), expected, strict=True):
        np.testing.assert_allclose(got, wanted, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("batch", [1, 4, 5, 10, 64])
@pytest.mark.parametrize("l2", [0.0, 0.1])
def test_fit_is_sgd_and_history_averages_over_samples(batch, l2):
    model = make_model(l2=l2)
    x, y = make_data()
    losses, weights = train_by_hand(model, x, y, batch, 3, l2=l2)
    history = model.fit(x, y, batch_size=batch, epochs=3, shuffle=False, verbose=0)
    np.testing.assert_allclose(history.history["loss"], losses, rtol=1e-7)
    assert history.epoch == [0, 1, 2]
    assert history.params == {"verbose": 0, "epochs": 3, "steps": -(-10 // batch)}
    assert model.history is history
    assert_weights(model, weights)


def test_sample_weight_and_class_weight():
    x, y = make_data()
    weight = np.linspace(0.0, 3.0, 10)
    model = make_model()
    losses, weights = train_by_hand(model, x, y, 4, 2, weight)
    history = model.fit(x, y, 4, 2, 0, shuffle=False, sample_weight=weight)
    np.testing.assert_allclose(history.history["loss"], losses, rtol=1e-6)
    assert_weights(model, weights)

    by_class = make_model()
    losses, weights = train_by_hand(by_class, x, y, 4, 2, np.where(y.argmax(1) == 1, 5.0, 1.0))
    history = by_class.fit(x, y, 4, 2, 0, shuffle=False, class_weight={1: 5.0})
    np.testing.assert_allclose(history.history["loss"], losses, rtol=1e-6)
    assert_weights(by_class, weights)


def test_validation_takes_the_tail_and_does_not_train_on_it():
    x, y = make_data()
    model, by_hand = make_model(), make_model()
    history = model.fit(
        x, y, batch_size=3, epochs=2, validation_split=0.3, shuffle=False, verbose=0
    )
    losses, weights = train_by_hand(by_hand, x[:7], y[:7], 3, 2)
    np.testing.assert_allclose(history.history["loss"], losses, rtol=1e-7)
    assert_weights(model, weights)
    last = loss_and_gradients(*model.get_weights(), x[7:], y[7:])[0]
    assert history.history["val_loss"][-1] == pytest.approx(last, rel=1e-9)


@pytest.mark.parametrize(
    ("frequency", "epochs"), [(1, [0, 1, 2, 3]), (2, [1, 3]), ([1, 4], [0, 3]), (9, [])]
)
def test_validation_freq(frequency, epochs):
    x, y = make_data()
    seen = []
    watch = cb.LambdaCallback(
        on_epoch_end=lambda epoch, logs: seen.append(epoch) if "val_loss" in logs else None
    )
    make_model().fit(
        x,
        y,
        epochs=4,
        validation_data=(x, y),
        validation_freq=frequency,
        callbacks=[watch],
        verbose=0,
    )
    assert seen == epochs


def test_validation_data_with_weights_batch_size_and_steps():
    x, y = make_data()
    weight = np.arange(10.0)
    model = make_model()
    history = model.fit(x, y, verbose=0, validation_data=(x, y, weight))
    expected = loss_and_gradients(*model.get_weights(), x, y, weight)[0]
    assert history.history["val_loss"][0] == pytest.approx(expected)
    counter = cb.LambdaCallback(on_test_batch_end=lambda batch, logs: counted.append(batch))
    for options, batches in (({"validation_batch_size": 3}, 4), ({"validation_steps": 2}, 2)):
        counted: list[int] = []
        model.fit(x, y, verbose=0, validation_data=(x, y), callbacks=[counter], **options)
        assert counted == list(range(batches))


class Dataset(PyDataset):
    def __init__(self, x, y, size):
        super().__init__()
        self.x, self.y, self.size = x, y, size

    def __len__(self):
        return -(-len(self.x) // self.size)

    def __getitem__(self, i):
        part = slice(i * self.size, (i + 1) * self.size)
        return self.x[part], self.y[part]


def test_all_sources_train_alike(tmp_path):
    x, y = make_data()
    x.tofile(tmp_path / "x")
    y.tofile(tmp_path / "y")

    def generate(forever=False):
        while True:
            for i in range(0, 10, 4):
                yield x[i : i + 4], y[i : i + 4]
            if not forever:
                return

    class Iterable:
        def __iter__(self):
            return generate()

    sources = {
        "arrays": ((x, y), {"batch_size": 4}),
        "lists": ((x.tolist(), y.tolist()), {"batch_size": 4}),
        "one in a list": (([x], [y]), {"batch_size": 4}),
        "mapped": (
            (
                np.memmap(tmp_path / "x", "f8", "r", shape=x.shape),
                np.memmap(tmp_path / "y", "f8", "r", shape=y.shape),
            ),
            {"batch_size": 4},
        ),
        "dataset": ((Dataset(x, y, 4),), {}),
        "iterable": ((Iterable(),), {}),
        "generator": ((generate(True),), {"steps_per_epoch": 3}),
    }
    results = {}
    for name, (data, options) in sources.items():
        model = make_model()
        history = model.fit(*data, epochs=3, shuffle=False, verbose=0, **options)
        results[name] = (history.history["loss"], model.get_weights())
        assert len(history.history["loss"]) == 3, name
    for losses, weights in results.values():
        assert losses == results["arrays"][0]
        for got, wanted in zip(weights, results["arrays"][1], strict=True):
            np.testing.assert_array_equal(got, wanted)


def test_an_exhausted_generator_ends_training_with_a_warning():
    x, y = make_data()
    model = make_model()
    with pytest.warns(UserWarning, match="ran out of data"):
        history = model.fit(((x, y) for _ in range(2)), epochs=3, verbose=0)
    assert history.epoch == [0]


def test_shuffling_is_seeded_and_changes_the_order():
    x, y = make_data(40)
    runs = []
    for seed in (1, 1, 2):
        random.set_global_seed(seed)
        model = make_model()
        model.fit(x, y, batch_size=5, epochs=2, verbose=0)
        runs.append((model.get_weights()[0], np.concatenate(model.seen)))
    np.testing.assert_array_equal(runs[0][0], runs[1][0])
    assert (runs[0][0] != runs[2][0]).any()
    first, second = runs[0][1][:40], runs[0][1][40:]
    assert (first != x).any()
    assert (first != second).any()
    np.testing.assert_array_equal(np.sort(first, axis=0), np.sort(x, axis=0))


def test_evaluate_and_batches():
    x, y = make_data()
    model = make_model(metrics=["mae"])
    loss = loss_and_gradients(*model.get_weights(), x, y)[0]
    mae = np.abs(x @ model.kernel.value + model.bias.value - y).mean()
    np.testing.assert_allclose(model.evaluate(x, y, batch_size=3, verbose=0), [loss, mae], 1e-6)
    logs = model.evaluate(x, y, verbose=0, return_dict=True)
    assert list(logs) == ["loss", "mae"]
    assert all(type(value) is float for value in logs.values())
    np.testing.assert_allclose(model.test_on_batch(x, y), [loss, mae], rtol=1e-6)
    before = model.get_weights()
    got = model.train_on_batch(x, y, return_dict=True)
    assert got["loss"] == pytest.approx(loss)
    _, dk, db = loss_and_gradients(*before, x, y)
    assert_weights(model, [before[0] - RATE * dk, before[1] - RATE * db])


def test_predict_from_every_source():
    x, y = make_data()
    model = DenseModel()  # not compiled
    expected = x @ model.kernel.value + model.bias.value
    for data in (x, x.tolist(), Dataset(x, y, 4), ((x[i : i + 3],) for i in range(0, 10, 3))):
        np.testing.assert_allclose(model.predict(data, batch_size=4, verbose=0), expected)
    np.testing.assert_allclose(model.predict_on_batch(x), expected)
    np.testing.assert_allclose(model.predict(x, batch_size=3, steps=2, verbose=0), expected[:6])
    outputs = []
    watch = cb.LambdaCallback(
        on_predict_batch_end=lambda batch, logs: outputs.append(logs["outputs"])
    )
    np.testing.assert_allclose(
        model.predict(x, batch_size=4, verbose=0, callbacks=[watch]), expected
    )
    np.testing.assert_allclose(np.concatenate(outputs), expected)


def test_predict_returns_a_list_where_shapes_differ():
    model = DenseModel()
    parts = [np.ones((2, 4, 3)), np.ones((2, 5, 3))]
    shapes = [out.shape for out in model.predict(((p,) for p in parts), verbose=0)]
    assert shapes == [(2, 4, 2), (2, 5, 2)]


def test_predict_from_many_threads():
    x, _ = make_data(200)
    model = DenseModel()
    expected = model.predict(x, verbose=0)
    wrong = []

    def work():
        for _ in range(20):
            if not np.array_equal(model.predict(x, batch_size=7, verbose=0), expected):
                wrong.append(1)

    threads = [threading.Thread(target=work) for _ in range(4)]
    [t.start() for t in threads]
    [t.join() for t in threads]
    assert not wrong


def test_gradients_change_no_weight_and_stay():
    x, y = make_data()
    model = make_model(l2=0.1)
    before = model.get_weights()
    got = model.gradients(x, y, inputs=True)
    loss, dk, db = loss_and_gradients(*before, x, y)
    assert got.loss == pytest.approx(loss + 0.1 * (before[0] ** 2).sum())
    np.testing.assert_allclose(got[0], dk + 0.2 * before[0])
    np.testing.assert_allclose(got["bias"], db)
    error = x @ before[0] + before[1] - y
    np.testing.assert_allclose(got.inputs, 2 * error / error.size @ before[0].T)
    assert len(got) == 2
    assert list(got.by_path) == ["kernel", "bias"]
    for kept, now in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(kept, now)
    copy = got[0].copy()
    model.train_on_batch(x, y)
    np.testing.assert_array_equal(got[0], copy)
    assert model.gradients(x, y).inputs is None


def test_loss_weights_and_logs_by_name():
    x, y = make_data()
    model = DenseModel()
    model.compile(
        "sgd", "mse", loss_weights=[3.0], metrics=["mae", "mse"], weighted_metrics=["mae"]
    )
    plain = loss_and_gradients(*model.get_weights(), x, y)[0]
    logs = model.evaluate(x, y, verbose=0, return_dict=True)
    assert list(logs) == ["loss", "mae", "mse", "weighted_mae"]
    assert logs["loss"] == pytest.approx(3 * plain)
    assert logs["mse"] == pytest.approx(plain, rel=1e-6)
    gradient = model.gradients(x, y)[0]
    np.testing.assert_allclose(gradient, 3 * loss_and_gradients(*model.get_weights(), x, y)[1])


BAD_FIT = [
    ({"batch_size": 0}, ValueError, "batch_size must be at least 1, got 0"),
    ({"batch_size": -3}, ValueError, "batch_size"),
    ({"batch_size": 2.5}, TypeError, "batch_size must be an int"),
    ({"epochs": -1}, ValueError, "epochs"),
    ({"epochs": 1.5}, TypeError, "epochs"),
    ({"initial_epoch": -1}, ValueError, "initial_epoch"),
    ({"steps_per_epoch": 0}, ValueError, "steps_per_epoch"),
    ({"validation_split": 1.0}, ValueError, "is not sufficient to split it"),
    ({"validation_split": -0.1}, ValueError, "validation_split"),
    ({"validation_split": float("nan")}, ValueError, "validation_split"),
    ({"validation_split": 0.95}, ValueError, "not sufficient"),
    ({"validation_freq": 0}, ValueError, "validation_freq"),
    ({"validation_freq": (1,)}, ValueError, "list or int"),
    ({"verbose": 3}, ValueError, "verbose"),
    ({"verbose": "loud"}, ValueError, "verbose"),
    ({"shuffle": "yes"}, ValueError, "shuffle"),
    ({"callbacks": [cb.History]}, TypeError, "callbacks"),
    ({"callbacks": ["stop"]}, TypeError, "entry 0"),
    ({"class_weight": [1.0, 2.0]}, TypeError, "class_weight"),
    ({"class_weight": {0.5: 1.0}}, ValueError, "class_weight"),
    ({"class_weight": {0: float("nan")}}, ValueError, "class_weight"),
    ({"class_weight": {0: 1.0}, "sample_weight": np.ones(10)}, ValueError, "same time"),
    ({"sample_weight": np.ones(4)}, ValueError, "sample_weight has 4"),
    ({"validation_data": (np.ones((3, 3)), np.ones((2, 2)))}, ValueError, "same number"),
    ({"window": 2}, ValueError, "stateful"),
]


@pytest.mark.parametrize(("options", "error", "message"), BAD_FIT)
def test_a_bad_argument_of_fit_changes_nothing(options, error, message):
    x, y = make_data()
    model = make_model()
    before, history = model.get_weights(), model.fit(x, y, epochs=0, verbose=0)
    with pytest.raises(error, match=message):
        model.fit(x, y, **{"verbose": 0, **options})
    assert model.history is history
    assert int(model.optimizer.iterations) == 0
    for kept, now in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(kept, now)


def test_what_does_not_fit_the_model_changes_nothing():
    x, y = make_data()
    model = make_model()
    before = model.get_weights()
    cases = [
        ((x[:, :2], y), "2 features"),
        ((x, y[:, :1].repeat(3, 1)), "shape"),
        ((x[:0], y[:0]), "no samples"),
        ((x, y[:4]), "y has 4"),
        ((x, None), "targets"),
    ]
    for data, message in cases:
        with pytest.raises(ValueError, match=message):
            model.fit(*data, verbose=0)
        with pytest.raises(ValueError, match=message):
            model.train_on_batch(*data)
    np.testing.assert_array_equal(before[0], model.get_weights()[0])


def test_compile_is_checked_and_needed():
    x, y = make_data()
    model = DenseModel()
    for call in (model.fit, model.evaluate, model.train_on_batch, model.test_on_batch):
        with pytest.raises(ValueError, match="compile"):
            call(x, y)
    model.compile("sgd", "mse")
    optimizer = model.optimizer
    bad = [
        ({"optimizer": "sdg"}, "sdg"),
        ({"loss": "msse"}, "msse"),
        ({"loss": ["mse", "mae"]}, "loss has 2"),
        ({"metrics": "mae"}, "list, tuple, or dict"),
        ({"metrics": ["maee"]}, "maee"),
        ({"metrics": [None]}, "None"),
        ({"steps_per_execution": 0}, "steps_per_execution"),
        ({"loss_weights": [1.0, 2.0]}, "1 losses and 2 weights"),
        ({"jit_compile": "maybe"}, "jit_compile"),
    ]
    for options, message in bad:
        with pytest.raises(ValueError, match=message):
            model.compile(**{"loss": "mse", **options})
    assert model.optimizer is optimizer
    model = DenseModel()
    model.compile("sgd")
    with pytest.raises(ValueError, match="No loss to compute"):
        model.fit(x, y, verbose=0)
    with pytest.raises(ValueError, match="Arguments not recognized"):
        model.evaluate(x, y, stepz=3)
    with pytest.warns(UserWarning, match="run_eagerly"):
        model.compile("sgd", "mse", run_eagerly=True, jit_compile=True)


def test_train_on_batch_takes_one_kind_of_weights():
    x, y = make_data()
    with pytest.raises(ValueError, match="cannot be specified at the same time"):
        make_model().train_on_batch(x, y, sample_weight=np.ones(10), class_weight={0: 1})


def test_compile_config_round_trip():
    x, y = make_data()
    model = make_model("adam", metrics=["mae"])
    model.fit(x, y, verbose=0)
    other = DenseModel()
    other.set_weights(model.get_weights())
    other.compile_from_config(model.get_compile_config())
    assert type(other.optimizer) is type(model.optimizer)
    assert other.evaluate(x, y, verbose=0) == model.evaluate(x, y, verbose=0)


def test_no_trainable_weights_only_warns():
    class Frozen(DenseModel):
        trainable_variables = ()

    x, y = make_data()
    model = Frozen()
    model.compile("sgd", "mse")
    before = model.kernel.numpy()
    with pytest.warns(UserWarning, match="trainable weights"):
        model.fit(x, y, verbose=0)
    np.testing.assert_array_equal(model.kernel.value, before)


class Recorder(cb.Callback):
    """Note every hook."""

    def __init__(self):
        super().__init__()
        self.calls = []


def _note(name):
    def hook(self, *args, **kwargs):
        self.calls.append((name, *[a for a in args if isinstance(a, int)]))

    return hook


for _name in [n for n in dir(cb.Callback) if n.startswith("on_") and "on_batch" not in n]:
    setattr(Recorder, _name, _note(_name))


def test_order_of_hooks_and_groups_of_steps():
    x, y = make_data()
    model = make_model()
    recorder = Recorder()
    model.fit(x, y, batch_size=5, validation_data=(x, y), callbacks=[recorder], verbose=0)
    assert recorder.calls == [
        ("on_train_begin",),
        ("on_epoch_begin", 0),
        ("on_train_batch_begin", 0),
        ("on_train_batch_end", 0),
        ("on_train_batch_begin", 1),
        ("on_train_batch_end", 1),
        ("on_test_begin",),
        ("on_test_batch_begin", 0),
        ("on_test_batch_end", 0),
        ("on_test_batch_begin", 1),
        ("on_test_batch_end", 1),
        ("on_test_end",),
        ("on_epoch_end", 0),
        ("on_train_end",),
    ]
    model.compile("sgd", "mse", steps_per_execution=3)
    recorder = Recorder()
    model.fit(x, y, batch_size=2, callbacks=[recorder], verbose=0)
    assert [c for c in recorder.calls if "batch" in c[0]] == [
        ("on_train_batch_begin", 0),
        ("on_train_batch_end", 2),
        ("on_train_batch_begin", 3),
        ("on_train_batch_end", 5),
    ]


def test_logs_of_batches_are_running_averages():
    x, y = make_data()
    model, by_hand = make_model(), make_model()
    logged = []
    watch = cb.LambdaCallback(on_train_batch_end=lambda batch, logs: logged.append(logs["loss"]))
    model.fit(x, y, batch_size=4, shuffle=False, callbacks=[watch], verbose=0)
    kernel, bias = by_hand.get_weights()
    total, expected = 0.0, []
    for part in (slice(0, 4), slice(4, 8), slice(8, 10)):
        loss, dk, db = loss_and_gradients(kernel, bias, x[part], y[part])
        total += loss * len(x[part])
        expected.append(total / min(part.stop, 10))
        kernel, bias = kernel - RATE * dk, bias - RATE * db
    np.testing.assert_allclose(logged, expected, rtol=1e-7)


def test_stop_training_stops_after_the_batch():
    x, y = make_data()
    model = make_model()

    def stop(batch, logs):
        model.stop_training = batch == 1

    watch = cb.LambdaCallback(on_train_batch_end=stop)
    history = model.fit(x, y, batch_size=2, epochs=5, callbacks=[watch], verbose=0)
    assert int(model.optimizer.iterations) == 2
    assert history.epoch == [0]


@pytest.mark.parametrize(
    "hook",
    [
        "on_train_begin",
        "on_epoch_begin",
        "on_train_batch_begin",
        "on_train_batch_end",
        "on_test_begin",
        "on_test_batch_end",
        "on_epoch_end",
        "on_train_end",
    ],
)
@pytest.mark.parametrize("kind", [RuntimeError, KeyboardInterrupt])
def test_a_callback_that_raises_leaves_the_model_usable(hook, kind):
    x, y = make_data()
    model = make_model()
    ended = []

    def fail(*args, **kwargs):
        if hook.startswith("on_train_b") or hook == "on_train_end" or len(seen) > 0:
            raise kind("planted")

    seen: list[int] = []
    callbacks = [
        cb.LambdaCallback(**{hook: fail}),
        cb.LambdaCallback(
            on_train_end=lambda logs: ended.append(1),
            on_epoch_end=lambda epoch, logs: seen.append(epoch),
        ),
    ]
    with pytest.raises(kind, match="planted"):
        model.fit(x, y, epochs=3, validation_data=(x, y), callbacks=callbacks, verbose=0)
    assert ended == [1]
    assert model.training_interrupted is (hook != "on_train_end")
    assert model.history.epoch == seen
    history = model.fit(x, y, epochs=2, verbose=0)
    assert model.training_interrupted is False
    assert history.epoch == [0, 1]


def test_ctrl_c_ends_quickly_between_whole_steps():
    x, y = make_data()
    model = make_model("adam")
    torn = []
    apply = model.optimizer.apply

    def slow_apply(grads, variables):
        """Be interrupted in the middle of an update."""
        apply(grads, variables)
        if int(model.optimizer.iterations) == 3:
            torn.append("begun")
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(0.01)
            torn.append("ended")

    model.optimizer.apply = slow_apply
    old = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        model.fit(x, y, batch_size=2, epochs=10**6, verbose=0)
    assert torn == ["begun", "ended"]
    assert int(model.optimizer.iterations) == 3
    assert signal.getsignal(signal.SIGINT) is old
    model.optimizer.apply = apply
    assert len(model.fit(x, y, epochs=2, verbose=0).epoch) == 2


def test_ctrl_c_during_forward_reaches_python_at_once():
    x, y = make_data()
    model = make_model()
    forward = model.forward_with_mask

    def interrupted(*args):
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(5)
        return forward(*args)

    model.forward_with_mask = interrupted
    start = time.perf_counter()
    with pytest.raises(KeyboardInterrupt):
        model.fit(x, y, verbose=0)
    assert time.perf_counter() - start < 4
    assert int(model.optimizer.iterations) == 0


def test_fit_in_a_thread_does_not_touch_signals():
    x, y = make_data()
    model = make_model()
    histories = []
    thread = threading.Thread(target=lambda: histories.append(model.fit(x, y, verbose=0)))
    thread.start()
    thread.join()
    assert len(histories[0].epoch) == 1


def test_initial_epoch_counts_from_there():
    x, y = make_data()
    model = make_model()
    assert model.fit(x, y, initial_epoch=2, epochs=5, verbose=0).epoch == [2, 3, 4]
    assert model.fit(x, y, initial_epoch=5, epochs=5, verbose=0).history == {}


def test_many_fits_keep_no_memory():
    import gc
    import weakref

    x, y = make_data()
    model = make_model()
    gone = []
    for _ in range(20):
        history = model.fit(x, y, verbose=0)
        gone.append(weakref.ref(history))
    del history
    gc.collect()
    assert sum(ref() is not None for ref in gone) == 1  # model.history

"""fit and evaluate of the stand-in against the same model in Keras, both float32."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.tolerances import PER_KERAS_PROPERTY, TRAINING
from tests.training.standin import DenseModel, make_data

keras = pytest.importorskip("keras")

RTOL = TRAINING["float32"]
# Keras takes about a second for each.
EXAMPLES = max(5, int(settings.default.max_examples * PER_KERAS_PROPERTY / 2))


def make_twins(**options):
    """Return our model and Keras's with the same weights, compiled alike."""
    options = {"optimizer": "sgd", "loss": "mse", **options}
    ours = DenseModel(dtype="float32")
    ours.compile(**options)
    theirs = keras.Sequential([keras.layers.Input((3,)), keras.layers.Dense(2)])
    # A dozen tiny steps: tracing a graph would take longer than running them.
    theirs.compile(**options, run_eagerly=True)
    theirs.set_weights(ours.get_weights())
    return ours, theirs


def float32_data(n=10):
    return tuple(a.astype("float32") for a in make_data(n))


def assert_same(ours, theirs, history, expected):
    # Quantities that both hand out as averages; metrics of equal size.
    assert list(history) == list(expected)
    for name, values in expected.items():
        np.testing.assert_allclose(history[name], values, rtol=RTOL, atol=1e-7, err_msg=name)
    for got, wanted in zip(ours.get_weights(), theirs.get_weights(), strict=True):
        np.testing.assert_allclose(got, wanted, rtol=RTOL, atol=RTOL)


@settings(max_examples=EXAMPLES)
@given(
    n=st.integers(2, 12),
    batch_size=st.integers(1, 7),
    epochs=st.integers(1, 3),
    weights=st.sampled_from(["none", "sample", "class"]),
    validation=st.sampled_from(["none", "split", "data", "weighted"]),
    frequency=st.sampled_from([1, 2, [2]]),
    metrics=st.sampled_from([None, ["mae"], ["mae", "mse"]]),
    weighted_metrics=st.sampled_from([None, ["mae"]]),
    steps=st.sampled_from([None, 1, 2]),
)
def test_histories_and_weights_agree(
    n, batch_size, epochs, weights, validation, frequency, metrics, weighted_metrics, steps
):
    ours, theirs = make_twins(metrics=metrics, weighted_metrics=weighted_metrics)
    x, y = float32_data(n)
    options = {
        "batch_size": batch_size,
        "epochs": epochs,
        "shuffle": False,
        "verbose": 0,
        "validation_freq": frequency,
    }
    if weights == "sample":
        options["sample_weight"] = np.linspace(0.5, 2.0, n).astype("float32")
    if weights == "class":
        options["class_weight"] = {0: 3.0, 1: 0.5}
    if validation == "split":
        options["validation_split"] = 0.4
    if validation == "data":
        options["validation_data"] = (x[::-1].copy(), y)
    if validation == "weighted":
        options["validation_data"] = (x, y, np.linspace(0, 1, n))
    training = int(n * 0.6) if validation == "split" else n
    if steps is not None and -(-training // batch_size) >= steps * epochs:
        options["steps_per_epoch"] = steps
    expected = theirs.fit(x, y, **options).history
    assert_same(ours, theirs, ours.fit(x, y, **options).history, expected)
    got = ours.evaluate(x, y, batch_size=batch_size, verbose=0)
    np.testing.assert_allclose(
        got, theirs.evaluate(x, y, batch_size=batch_size, verbose=0), rtol=RTOL
    )


def test_one_batch_methods_agree():
    ours, theirs = make_twins(metrics=["mae"], weighted_metrics=["mse"])
    x, y = float32_data()
    weight = np.linspace(0, 2, 10).astype("float32")
    for call in ("train_on_batch", "test_on_batch"):
        for options in ({}, {"sample_weight": weight}):
            got = getattr(ours, call)(x, y, **options)
            np.testing.assert_allclose(got, getattr(theirs, call)(x, y, **options), rtol=RTOL)
    got = ours.train_on_batch(x, y, class_weight={1: 4.0}, return_dict=True)
    expected = theirs.train_on_batch(x, y, class_weight={1: 4.0}, return_dict=True)
    assert list(got) == list(expected)
    np.testing.assert_allclose(list(got.values()), list(expected.values()), rtol=RTOL)
    np.testing.assert_allclose(ours.predict_on_batch(x), theirs.predict_on_batch(x), rtol=1e-5)


def test_loss_weights_agree():
    ours, theirs = make_twins(loss_weights=[2.5])
    x, y = float32_data()
    options = {"epochs": 2, "batch_size": 4, "shuffle": False, "verbose": 0}
    expected = theirs.fit(x, y, **options).history
    assert_same(ours, theirs, ours.fit(x, y, **options).history, expected)


def test_a_generator_with_steps_agrees():
    ours, theirs = make_twins()
    x, y = float32_data()

    def generate():
        while True:
            for i in range(0, 10, 3):
                yield x[i : i + 3], y[i : i + 3]

    options = {"epochs": 3, "steps_per_epoch": 3, "shuffle": False, "verbose": 0}
    expected = theirs.fit(generate(), **options).history
    assert_same(ours, theirs, ours.fit(generate(), **options).history, expected)


def test_a_dataset_agrees():
    x, y = float32_data()

    def make(base):
        class Batches(base):
            def __len__(self):
                return 4

            def __getitem__(self, i):
                return x[3 * i : 3 * i + 3], y[3 * i : 3 * i + 3]

        return Batches()

    from rnn_engine.training import PyDataset

    ours, theirs = make_twins()
    options = {"epochs": 2, "shuffle": False, "verbose": 0}
    expected = theirs.fit(make(keras.utils.PyDataset), **options).history
    assert_same(ours, theirs, ours.fit(make(PyDataset), **options).history, expected)
    again, theirs = make_twins()
    expected = theirs.fit(make(keras.utils.PyDataset), **options).history
    got = again.fit(make(keras.utils.PyDataset), **options).history
    assert_same(again, theirs, got, expected)


def test_hooks_come_in_the_same_order_with_the_same_logs():
    x, y = float32_data()
    seen = {}
    for side, model, base in zip(
        ("ours", "theirs"),
        make_twins(metrics=["mae"], steps_per_execution=2),
        (__import__("rnn_engine.callbacks").callbacks.Callback, keras.callbacks.Callback),
        strict=True,
    ):
        calls = seen.setdefault(side, [])

        def note(name, calls=calls):
            def hook(self, *args, **kwargs):
                logs = kwargs.get("logs", args[-1] if args else None) or {}
                logs = {k: round(float(v), 4) for k, v in logs.items() if k != "outputs"}
                calls.append((name, *[a for a in args if isinstance(a, int)], logs))

            return hook

        hooks = [n for n in dir(base) if n.startswith("on_") and "on_batch" not in n]
        recorder = type("Recorder", (base,), {n: note(n) for n in hooks})()
        model.fit(
            x,
            y,
            batch_size=3,
            epochs=2,
            shuffle=False,
            validation_data=(x, y),
            callbacks=[recorder],
            verbose=0,
        )
        model.evaluate(x, y, callbacks=[recorder], verbose=0)
        model.predict(x, batch_size=4, callbacks=[recorder], verbose=0)
    assert seen["ours"] == seen["theirs"]

"""A `predict_step` of one's own goes before the model's, as in Keras."""

import keras
import numpy as np
import pytest

import rnn_engine


def make(package, several=False):
    class Doubled(package.Model):
        def predict_step(self, data):
            x = data[0] if isinstance(data, tuple) else data
            y = self(x, training=False)
            return (y, y + 1.0) if several else 2.0 * y

    first = package.Input((3, 2))
    out = package.layers.Dense(2, kernel_initializer="ones")(
        package.layers.SimpleRNN(4, kernel_initializer="ones", recurrent_initializer="ones")(first)
    )
    return Doubled(first, out)


@pytest.mark.parametrize("rows", [1, 5, 40])
@pytest.mark.parametrize("several", [False, True])
def test_predictions(rows, several):
    x = np.random.default_rng(0).normal(size=(rows, 3, 2)).astype("f4") / 4
    ours, theirs = make(rnn_engine, several), make(keras, several)
    expected = theirs.predict(x, verbose=0)
    batch = theirs.predict_on_batch(x)
    for found, wanted in (
        (ours.predict(x, verbose=0), expected),
        (ours.predict(x, batch_size=7, verbose=0), expected),
        (ours.predict_on_batch(x), batch),
    ):
        for a, b in zip(*((p if several else [p]) for p in (found, wanted)), strict=True):
            assert type(a) is np.ndarray
            np.testing.assert_allclose(a, b, rtol=1e-5)
    plain = make(rnn_engine)
    np.testing.assert_array_equal(
        rnn_engine.Model.predict(plain, x, verbose=0), 2.0 * np.asarray(plain(x))
    )


@pytest.mark.parametrize("package", [rnn_engine, keras])
@pytest.mark.parametrize(("rows", "batches"), [(32, [32]), (33, [32, 1]), (64, [32, 32])])
def test_rows_of_a_step(package, rows, batches):
    """A step gets 32 rows unless told otherwise, also where nothing else is asked for."""
    seen = []

    class Counting(package.Model):
        def __init__(self):
            super().__init__()
            self.out = package.layers.Dense(1)

        def call(self, x):
            return self.out(x)

        def predict_step(self, data):
            seen.append(len(data[0] if isinstance(data, tuple) else data))
            return self(data)

    model = Counting()
    model.compile(run_eagerly=True)
    x = np.zeros((rows, 2), "f4")
    model.predict(x[:1], verbose=0)  # both build themselves
    seen.clear()
    assert len(model.predict(x, verbose=0)) == rows
    assert seen == batches

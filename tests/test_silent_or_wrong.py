"""Where Keras is silent or wrong: labels, NaN, seeds, exceptions in the middle, memory."""

import gc
import inspect
import math
import tracemalloc
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import rnn_engine as engine
from rnn_engine import callbacks, initializers, layers, losses, optimizers
from rnn_engine.layers import Dense, SimpleRNN

RNG = np.random.default_rng(1)
X = RNG.normal(size=(6, 5, 3)).astype("float32")
Y = RNG.normal(size=(6, 2)).astype("float32")
LABELS = np.array([0, 1, 2, 0, 1, 2])
NAN, INF = math.nan, math.inf


def regression(optimizer: Any = "adam") -> Any:
    engine.utils.set_random_seed(0)
    model = engine.Sequential([engine.Input((5, 3)), SimpleRNN(4), Dense(2)])
    model.compile(optimizer=optimizer, loss="mse", metrics=["mae"])
    return model


def classifier(sequences: bool = False, **options: Any) -> Any:
    engine.utils.set_random_seed(0)
    model = engine.Sequential(
        [engine.Input((5, 3)), SimpleRNN(4, return_sequences=sequences), Dense(3, "softmax")]
    )
    model.compile("sgd", losses.SparseCategoricalCrossentropy(**options))
    return model


def assert_unchanged(model: Any, before: list[np.ndarray]) -> None:
    for a, b in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(a, b)


# --- class labels ----------------------------------------------------------------


@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize("label", [-1, 3, 100])
@pytest.mark.parametrize("form", [(6,), (6, 1)])
def test_fit_names_the_sample_before_it_trains(shuffle: bool, label: int, form: Any) -> None:
    model = classifier()
    before = model.get_weights()
    labels = LABELS.copy()
    labels[[4, 5]] = label
    with pytest.raises(ValueError, match=rf"label {label} at index 4, outside 0\.\.2"):
        model.fit(X, labels.reshape(form), batch_size=1, shuffle=shuffle, verbose=0)
    assert_unchanged(model, before)
    assert int(model.optimizer.iterations) == 0


def test_labels_of_steps_and_ignored_ones() -> None:
    labels = np.zeros((6, 5), int)
    labels[3, 2] = 7
    with pytest.raises(ValueError, match=r"label 7 at index \(3, 2\)"):
        classifier(sequences=True).fit(X, labels, batch_size=2, verbose=0)
    classifier(sequences=True, ignore_class=7).fit(X, labels, batch_size=2, verbose=0)


@pytest.mark.parametrize(
    "use",
    [
        lambda m, y: m.evaluate(X, y, verbose=0),
        lambda m, y: m.train_on_batch(X, y),
        lambda m, y: m.test_on_batch(X, y),
        lambda m, y: m.gradients(X, y),
        lambda m, y: m.fit(iter([(X, y)]), verbose=0),
        lambda m, y: m.fit(X, LABELS, validation_data=(X, y), verbose=0),
    ],
)
@pytest.mark.parametrize("label", [-2, 3])
def test_labels_everywhere(use: Callable[[Any, Any], Any], label: int) -> None:
    labels = LABELS.copy()
    labels[2] = label
    with pytest.raises(ValueError, match=rf"label {label} at index 2"):
        use(classifier(), labels)


def test_label_that_is_nan() -> None:
    with pytest.raises(ValueError, match="not finite at index 1"):
        classifier().fit(X, np.where(np.arange(6) == 1, NAN, 0), shuffle=False, verbose=0)


# --- NaN and infinity --------------------------------------------------------------


@pytest.fixture
def checked() -> Iterator[None]:
    engine.config.set_check_finite(True)
    yield
    engine.config.set_check_finite(False)


def spoiled(array: np.ndarray, index: Any, value: float) -> np.ndarray:
    copy = array.copy()
    copy[index] = value
    return copy


@pytest.mark.usefixtures("checked")
@pytest.mark.parametrize("value", [NAN, INF, -INF])
@pytest.mark.parametrize(
    "use",
    [
        lambda m, x: m.fit(x, Y, verbose=0),
        lambda m, x: m.fit(x.astype("float64"), Y, batch_size=2, verbose=0),
        lambda m, x: m.evaluate(x, Y, verbose=0),
        lambda m, x: m.predict(x, verbose=0),
        lambda m, x: m.train_on_batch(x, Y),
        lambda m, x: m.predict_on_batch(x),
        lambda m, x: m.fit(iter([(x, Y)]), verbose=0),
        lambda m, x: m.fit(X, Y, validation_data=(x, Y), verbose=0),
    ],
)
def test_what_is_not_finite_is_refused(use: Callable[[Any, Any], Any], value: float) -> None:
    model = regression()
    before = model.get_weights()
    bad = spoiled(spoiled(X, (4, 1, 2), value), (5, 0, 0), value)
    with pytest.raises(ValueError, match=rf"x holds {value} at index \(4, 1, 2\)"):
        use(model, bad)
    assert_unchanged(model, before)


@pytest.mark.usefixtures("checked")
def test_targets_and_weights_are_looked_at_too() -> None:
    with pytest.raises(ValueError, match=r"y holds nan at index \(2, 1\)"):
        regression().fit(X, spoiled(Y, (2, 1), NAN), verbose=0)
    weights = spoiled(np.ones(6), 3, INF)
    with pytest.raises(ValueError, match=r"sample_weight holds inf at index \(3,\)"):
        regression().fit(X, Y, sample_weight=weights, verbose=0)
    regression().fit(X, Y, sample_weight=np.ones(6), verbose=0)


@pytest.mark.usefixtures("checked")
def test_in_a_file_larger_than_a_block(tmp_path: Any) -> None:
    big = np.zeros((600, 500, 3), "float32")
    big[432, 7, 1] = NAN
    np.save(tmp_path / "x.npy", big)
    with pytest.raises(ValueError, match=r"at index \(432, 7, 1\)"):
        regression().predict(np.load(tmp_path / "x.npy", mmap_mode="r"), verbose=0)


def test_unless_asked_for_nan_goes_through_as_in_keras() -> None:
    model = regression()
    out = model.predict(spoiled(X, (4, 1, 2), NAN), verbose=0)
    assert np.isnan(out[4]).all()
    assert np.isfinite(np.delete(out, 4, axis=0)).all()
    with pytest.raises(TypeError, match="bool"):
        engine.config.set_check_finite("yes")


# --- numbers outside their range -----------------------------------------------------

RATES: list[Callable[[Any], Any]] = [
    lambda rate: SimpleRNN(2, dropout=rate),
    lambda rate: SimpleRNN(2, recurrent_dropout=rate),
    lambda rate: layers.SimpleRNNCell(2, dropout=rate),
    lambda rate: layers.SimpleRNNCell(2, recurrent_dropout=rate),
    layers.Dropout,
    layers.SpatialDropout1D,
    layers.GaussianDropout,
    layers.AlphaDropout,
]


@pytest.mark.parametrize("rate", [-0.1, 1.1, NAN, INF, "0.5", None])
@pytest.mark.parametrize("make", RATES)
def test_dropout(make: Callable[[Any], Any], rate: Any) -> None:
    with pytest.raises((ValueError, TypeError)):
        make(rate)


def own_optimizers() -> list[str]:
    return [entry.__name__ for entry in optimizers.registry.unique()]


@pytest.mark.parametrize("name", own_optimizers())
@pytest.mark.parametrize("rate", [NAN, INF, -INF])
def test_learning_rate(name: str, rate: float) -> None:
    with pytest.raises(ValueError, match="learning_rate"):
        getattr(optimizers, name)(learning_rate=rate)
    optimizer = getattr(optimizers, name)()
    before = float(optimizer.learning_rate)
    with pytest.raises(ValueError, match="learning_rate"):
        optimizer.learning_rate = rate
    assert float(optimizer.learning_rate) == before


def late_nan() -> list[tuple[str, Any, list[Any]]]:
    decay = optimizers.schedules.ExponentialDecay(NAN, 10, 0.9)
    scheduler = callbacks.LearningRateScheduler(lambda epoch, rate: NAN)
    return [
        ("schedule", optimizers.SGD(decay), []),
        ("callable", optimizers.SGD(lambda: NAN), []),
        ("callback", optimizers.SGD(), [scheduler]),
        ("assigned", assigned(), []),
    ]


def assigned() -> Any:
    optimizer = optimizers.SGD()
    optimizer.learning_rate.assign(NAN)
    return optimizer


@pytest.mark.parametrize(
    ("optimizer", "added"), [c[1:] for c in late_nan()], ids=[c[0] for c in late_nan()]
)
def test_learning_rate_that_turns_nan(optimizer: Any, added: list[Any]) -> None:
    model = regression(optimizer)
    before = model.get_weights()
    with pytest.raises(ValueError, match="nan"):
        model.fit(X, Y, callbacks=added, verbose=0)
    assert_unchanged(model, before)


@pytest.mark.parametrize("index", [6, -1, 2**40])
def test_embedding_index(index: int) -> None:
    model = engine.Sequential([engine.Input((5,)), layers.Embedding(6, 3), SimpleRNN(2), Dense(2)])
    model.compile("sgd", "mse")
    before = model.get_weights()
    indices = np.zeros((6, 5), np.int64)
    indices[4, 3] = index
    for use in (
        lambda: model.fit(indices, Y, shuffle=False, verbose=0),
        lambda: model.predict(indices, verbose=0),
        lambda: model(indices),
    ):
        with pytest.raises(ValueError, match=rf"index {index} at position \(4, 3\)"):
            use()
    assert_unchanged(model, before)


@pytest.mark.parametrize("size", [0, -3])
def test_batch_size(size: int) -> None:
    model = regression()
    for use in (
        lambda: model.fit(X, Y, batch_size=size, verbose=0),
        lambda: model.evaluate(X, Y, batch_size=size, verbose=0),
        lambda: model.predict(X, batch_size=size, verbose=0),
        lambda: model.fit(X, Y, validation_data=(X, Y), validation_batch_size=size, verbose=0),
    ):
        with pytest.raises(ValueError, match="batch_size"):
            use()


# --- (n,) against (n, 1) ---------------------------------------------------------------


@pytest.mark.parametrize(
    "loss", ["mse", "mae", "huber", "log_cosh", "binary_crossentropy", "hinge", "poisson", "msle"]
)
def test_flat_targets_mean_a_column(loss: str) -> None:
    def trained(y: np.ndarray) -> list[Any]:
        engine.utils.set_random_seed(0)
        model = engine.Sequential([engine.Input((5, 3)), SimpleRNN(4), Dense(1, "sigmoid")])
        model.compile("sgd", loss, metrics=["mae", "accuracy"])
        history = model.fit(X, y, epochs=2, batch_size=4, shuffle=False, verbose=0).history
        return [*history.values(), model.evaluate(X, y, verbose=0), *model.get_weights()]

    flat = (RNG.random(6) > 0.5).astype("float32")
    for a, b in zip(trained(flat), trained(flat[:, None]), strict=True):
        np.testing.assert_array_equal(a, b)
    # A broadcast to n x n would compare every target with every prediction.
    pred = RNG.random((6, 1)).astype("float32")
    value = losses.MeanSquaredError()(flat, pred)
    np.testing.assert_allclose(value, np.mean((flat - pred[:, 0]) ** 2), rtol=1e-6)


# --- seeds -----------------------------------------------------------------------------

SEEDED: dict[str, dict[str, Any]] = {
    "SimpleRNN": {"units": 2, "dropout": 0.1},
    "SimpleRNNCell": {"units": 2, "dropout": 0.1},
    "LSTM": {"units": 2, "dropout": 0.1, "recurrent_dropout": 0.2},
    "LSTMCell": {"units": 2, "dropout": 0.1},
    "GRU": {"units": 2, "dropout": 0.1, "recurrent_dropout": 0.2},
    "GRUCell": {"units": 2, "dropout": 0.1},
    "ConvLSTM1D": {"filters": 2, "kernel_size": 2, "dropout": 0.1},
    "ConvLSTM2D": {"filters": 2, "kernel_size": 2, "recurrent_dropout": 0.1},
    "ConvLSTM3D": {"filters": 2, "kernel_size": 2, "dropout": 0.1},
    "Dropout": {"rate": 0.5},
    "SpatialDropout1D": {"rate": 0.5},
    "SpatialDropout2D": {"rate": 0.5},
    "SpatialDropout3D": {"rate": 0.5},
    "Attention": {"dropout": 0.5},
    "MultiHeadAttention": {"num_heads": 1, "key_dim": 2, "dropout": 0.5},
    "GaussianDropout": {"rate": 0.5},
    "GaussianNoise": {"stddev": 0.5},
    "AlphaDropout": {"rate": 0.5},
}


def test_no_seeded_layer_is_forgotten() -> None:
    taking = {
        name
        for name in layers.__all__
        if inspect.isclass(getattr(layers, name))
        and "seed" in inspect.signature(getattr(layers, name).__init__).parameters
    }
    assert taking == set(SEEDED)


@pytest.mark.parametrize("name", SEEDED)
def test_seed_survives_the_config_of_a_layer(name: str) -> None:
    cls = getattr(layers, name)
    layer = cls(**SEEDED[name], seed=17)
    twin = cls.from_config(layer.get_config())
    assert layer.get_config()["seed"] == twin.get_config()["seed"] == 17
    if name.endswith("Cell"):
        return
    # What some of them take: more axes, or several inputs.
    given: Any = {
        "SpatialDropout2D": [X[:, None]],
        "SpatialDropout3D": [X[:, None, None]],
        "ConvLSTM1D": [X[:, None]],
        "ConvLSTM2D": [X[:, None, None].repeat(2, axis=2)],
        "ConvLSTM3D": [X[:, None, None, None].repeat(2, axis=2).repeat(2, axis=3)],
        "Attention": [[X, X]],
        "MultiHeadAttention": [X, X],
    }.get(name, [X])
    for either in (layer, twin):
        either(*given)
    twin.set_weights(layer.get_weights())
    np.testing.assert_array_equal(layer(*given, training=True), twin(*given, training=True))


def test_seed_survives_the_config_of_a_model() -> None:
    model = engine.Sequential([engine.Input((5, 3)), SimpleRNN(2, dropout=0.3, seed=5)])
    twin = engine.Sequential.from_config(model.get_config())
    twin.set_weights(model.get_weights())
    np.testing.assert_array_equal(model(X, training=True), twin(X, training=True))


def test_seed_survives_the_config_of_an_initializer() -> None:
    for name in ("GlorotUniform", "HeNormal", "Orthogonal", "RandomNormal", "VarianceScaling"):
        first = getattr(initializers, name)(seed=9)
        second = type(first).from_config(first.get_config())
        np.testing.assert_array_equal(first((3, 4)), second((3, 4)))


# --- exceptions in the middle -------------------------------------------------------------

HOOKS = [
    "on_train_begin",
    "on_epoch_begin",
    "on_train_batch_begin",
    "on_train_batch_end",
    "on_test_begin",
    "on_test_batch_begin",
    "on_test_batch_end",
    "on_test_end",
    "on_epoch_end",
]


class Watch(callbacks.Callback):
    def __init__(self) -> None:
        super().__init__()
        self.ended = 0

    def on_train_end(self, logs: Any = None) -> None:
        self.ended += 1


class Falls(callbacks.Callback):
    """Raises in a hook of the second epoch, or in the hook that comes once."""

    def __init__(self, hook: str, error: type[BaseException]) -> None:
        super().__init__()
        self.epoch = 0
        self.error = error
        setattr(self, hook, self.fall if hook != "on_epoch_begin" else self.fall_at_once)
        self.once = hook == "on_train_begin"
        if hook != "on_epoch_begin":
            self.on_epoch_begin = self.count  # type: ignore[method-assign]

    def count(self, epoch: int, logs: Any = None) -> None:
        self.epoch = epoch

    def fall_at_once(self, epoch: int, logs: Any = None) -> None:
        self.epoch = epoch
        self.fall()

    def fall(self, *_: Any, **__: Any) -> None:
        if self.epoch == 1 or self.once:
            raise self.error("on purpose")


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
@pytest.mark.parametrize("hook", HOOKS)
def test_a_hook_that_raises(hook: str, error: type[BaseException]) -> None:
    model, watch = regression(), Watch()
    data = {"epochs": 3, "batch_size": 2, "shuffle": False, "verbose": 0}
    with pytest.raises(error, match="on purpose"):
        model.fit(X, Y, validation_data=(X, Y), callbacks=[Falls(hook, error), watch], **data)
    assert watch.ended == 1
    assert model.training_interrupted
    epochs = 0 if hook == "on_train_begin" else 1
    # The falling callback stands before History, so its own epoch is not in it.
    assert model.history.epoch == list(range(epochs))
    assert all(len(values) == epochs for values in model.history.history.values())
    assert all(np.isfinite(w).all() for w in model.get_weights())
    # As good as new: from the same state, the same training.
    twin = regression()
    model.set_weights(twin.get_weights())
    model.compile("adam", "mse", metrics=["mae"])
    again = model.fit(X, Y, **data)
    assert again.history == twin.fit(X, Y, **data).history
    assert not model.training_interrupted


def test_a_generator_that_raises() -> None:
    def batches() -> Iterator[Any]:
        yield X, Y
        raise RuntimeError("no more")

    model, watch = regression(), Watch()
    with pytest.raises(RuntimeError, match="no more"):
        model.fit(batches(), epochs=2, callbacks=[watch], verbose=0)
    assert watch.ended == 1
    assert int(model.optimizer.iterations) == 1
    model.fit(X, Y, verbose=0)


# --- memory -----------------------------------------------------------------------------


def growth(action: Callable[[], Any], times: int) -> float:
    """Return how many bytes a call leaves behind, in the best of several runs.

    Caches and free lists of the interpreter grow in some runs, a leak grows in all.
    """
    for _ in range(50):
        action()
    left = []
    tracemalloc.start()
    try:
        for _ in range(6):
            gc.collect()
            before = tracemalloc.get_traced_memory()[0]
            for _ in range(times):
                action()
            gc.collect()
            left.append((tracemalloc.get_traced_memory()[0] - before) / times)
    finally:
        tracemalloc.stop()
    return min(left)


def test_growth_is_seen() -> None:
    # Enough calls that what a collection frees elsewhere, some KiB, does not count.
    kept: list[bytes] = []
    assert growth(lambda: kept.append(bytes(100)), 2000) > 100


# Ten thousand calls of `fit` may leave less than a megabyte behind.
LEAK = 50


def test_fit_leaves_nothing_behind() -> None:
    model = regression()
    assert growth(lambda: model.fit(X, Y, verbose=0), 100) < LEAK


def test_predict_leaves_nothing_behind() -> None:
    model = regression()
    assert growth(lambda: model.predict(X, verbose=0), 200) < LEAK
    assert growth(lambda: model(X), 200) < LEAK
    assert growth(lambda: model.train_on_batch(X, Y), 100) < LEAK

"""Bad input: a clear error that names the argument, and nothing changed."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import rnn_engine as engine
from rnn_engine.layers import Dense, SimpleRNN

RNG = np.random.default_rng(0)
X = RNG.normal(size=(4, 5, 3)).astype("float32")
Y = RNG.normal(size=(4, 2)).astype("float32")


def make_model(loss: str = "mse") -> Any:
    engine.random.set_global_seed(0)
    model = engine.Sequential([engine.Input((5, 3)), SimpleRNN(4), Dense(2)])
    model.compile(optimizer="adam", loss=loss)
    return model


BAD_CONSTRUCTORS: list[tuple[str, Callable[[], Any], str]] = [
    ("rnn units 0", lambda: SimpleRNN(0), "units"),
    ("rnn units negative", lambda: SimpleRNN(-2), "units"),
    ("rnn units float", lambda: SimpleRNN(2.5), "units"),
    ("rnn units text", lambda: SimpleRNN("3"), "units"),
    ("dense units 0", lambda: Dense(0), "units"),
    ("dense units None", lambda: Dense(None), "units"),
    ("activation name", lambda: SimpleRNN(2, activation="tahn"), "tahn"),
    ("dense activation name", lambda: Dense(2, activation="rleu"), "rleu"),
    ("initializer name", lambda: SimpleRNN(2, kernel_initializer="glorot"), "glorot"),
    ("unknown argument", lambda: SimpleRNN(2, unit=3), "unit"),
    ("dtype", lambda: Dense(2, dtype="int32"), "int32"),
]


@pytest.mark.parametrize(
    ("build", "word"), [c[1:] for c in BAD_CONSTRUCTORS], ids=[c[0] for c in BAD_CONSTRUCTORS]
)
def test_constructors(build: Callable[[], Any], word: str) -> None:
    with pytest.raises((ValueError, TypeError), match=word):
        build()


COMPLEX = X.astype("complex64")
OBJECTS = np.array([[[None] * 3] * 5] * 4, dtype=object)
TEXT = np.full((4, 5, 3), "a")

BAD_ARRAYS: list[tuple[str, Any, str]] = [
    ("rank 2", X[:, 0], "ndim|rank|shape|axes"),
    ("rank 4", X[None], "ndim|rank|shape|axes"),
    ("features", X[..., :2], "3"),
    ("no time steps", X[:, :0], "time|shape|axis"),
    ("no samples", X[:0], "sample|batch|empty"),
    ("complex", COMPLEX, "complex"),
    ("objects", OBJECTS, "object"),
    ("text", TEXT, "U1|str"),
    ("ragged", [[[1.0, 2.0, 3.0]], [[1.0]]], "array|ragged|shape|inhomogeneous"),
]
ACTIONS: list[tuple[str, Callable[[Any, Any], Any]]] = [
    ("predict", lambda model, x: model.predict(x, verbose=0)),
    ("predict_on_batch", lambda model, x: model.predict_on_batch(x)),
    ("fit", lambda model, x: model.fit(x, Y[: len(x)], verbose=0)),
    ("evaluate", lambda model, x: model.evaluate(x, Y[: len(x)], verbose=0)),
    ("train_on_batch", lambda model, x: model.train_on_batch(x, Y[: len(x)])),
    ("gradients", lambda model, x: model.gradients(x, Y[: len(x)])),
    ("call", lambda model, x: model(x)),
]


@pytest.mark.parametrize(("action", "act"), ACTIONS, ids=[a[0] for a in ACTIONS])
@pytest.mark.parametrize(
    ("bad", "words"), [b[1:] for b in BAD_ARRAYS], ids=[b[0] for b in BAD_ARRAYS]
)
def test_arrays(action: str, act: Callable[[Any, Any], Any], bad: Any, words: str) -> None:
    model = make_model()
    before = model.get_weights()
    if action == "call" and len(bad) == 0:
        return  # as in Keras, a layer takes an empty batch
    with pytest.raises((ValueError, TypeError), match=f"(?i){words}"):
        act(model, bad)
    unchanged(model, before)


def unchanged(model: Any, before: list[np.ndarray]) -> None:
    for a, b in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(a, b)
    assert int(model.optimizer.iterations) == 0


BAD_CALLS: list[tuple[str, Callable[[Any], Any], str]] = [
    ("counts", lambda m: m.fit(X, Y[:3], verbose=0), "4|3"),
    ("counts of one batch", lambda m: m.train_on_batch(X, Y[:3]), "4|3"),
    ("weights count", lambda m: m.fit(X, Y, sample_weight=np.ones(3), verbose=0), "sample_weight"),
    ("target width", lambda m: m.fit(X, RNG.normal(size=(4, 3)), verbose=0), "shape"),
    ("no target", lambda m: m.fit(X, verbose=0), "(?i)y"),
    ("batch_size 0", lambda m: m.fit(X, Y, batch_size=0, verbose=0), "batch_size"),
    ("batch_size -1", lambda m: m.fit(X, Y, batch_size=-1, verbose=0), "batch_size"),
    ("batch_size 2.5", lambda m: m.fit(X, Y, batch_size=2.5, verbose=0), "batch_size"),
    ("predict batch_size", lambda m: m.predict(X, batch_size=0, verbose=0), "batch_size"),
    ("epochs", lambda m: m.fit(X, Y, epochs="3", verbose=0), "epochs"),
    ("split 1.5", lambda m: m.fit(X, Y, validation_split=1.5, verbose=0), "validation_split"),
    ("split all", lambda m: m.fit(X, Y, validation_split=0.9, verbose=0), "validation_split"),
    ("optimizer name", lambda m: m.compile(optimizer="adma", loss="mse"), "adma"),
    ("loss name", lambda m: m.compile(optimizer="adam", loss="mes"), "mes"),
    ("metric name", lambda m: m.compile("adam", "mse", metrics=["acuracy"]), "acuracy"),
]


@pytest.mark.parametrize(
    ("call", "words"), [c[1:] for c in BAD_CALLS], ids=[c[0] for c in BAD_CALLS]
)
def test_calls(call: Callable[[Any], Any], words: str) -> None:
    model = make_model()
    before = model.get_weights()
    with pytest.raises((ValueError, TypeError), match=words):
        call_and_test(call, model)
    unchanged(model, before)


def call_and_test(call: Callable[[Any], Any], model: Any) -> None:
    """Names are resolved at compile or, as in Keras, at the first batch."""
    call(model)
    model.test_on_batch(X, Y)


@pytest.mark.parametrize("label", [-1, 2, 7])
def test_class_labels_out_of_range(label: int) -> None:
    model = engine.Sequential([engine.Input((5, 3)), SimpleRNN(4), Dense(2, "softmax")])
    model.compile(optimizer="adam", loss="sparse_categorical_crossentropy")
    before = model.get_weights()
    labels = np.array([0, 1, label, 1])
    with pytest.raises(ValueError, match=rf"(?s)(2.*{label}|{label}.*2)"):
        model.fit(X, labels, verbose=0, shuffle=False)
    unchanged(model, before)


@pytest.mark.parametrize(
    "weights",
    [
        lambda w: w[:-1],
        lambda w: [*w, w[0]],
        lambda w: [w[0].T, *w[1:]],
        lambda w: [*w[:-1], np.zeros(3)],
        lambda w: [*w[:-1], np.array(["a", "b"])],
    ],
    ids=["too few", "too many", "transposed", "last shape", "text"],
)
def test_set_weights(weights: Callable[[list[np.ndarray]], list[np.ndarray]]) -> None:
    model = make_model()
    before = model.get_weights()
    changed = [w + 1 for w in before]
    with pytest.raises((ValueError, TypeError)):
        model.set_weights(weights(changed))
    unchanged(model, before)


def test_initial_state_of_another_shape() -> None:
    layer = SimpleRNN(4)
    for shape in ((3, 4), (4, 3), (4,), (1, 4)):
        with pytest.raises(ValueError, match="initial_state"):
            layer(X, initial_state=np.zeros(shape, "float32"))


def test_a_layer_remembers_its_features() -> None:
    layer = SimpleRNN(4)
    layer(X)
    with pytest.raises(ValueError, match="3"):
        layer(X[..., :1])
    dense = Dense(2)
    dense(X)
    with pytest.raises(ValueError, match="3"):
        dense(X[..., :1])


def test_training_before_compile() -> None:
    model = engine.Sequential([engine.Input((5, 3)), SimpleRNN(4), Dense(2)])
    for call in (model.fit, model.train_on_batch, model.evaluate):
        with pytest.raises((ValueError, RuntimeError), match="(?i)compile"):
            call(X, Y)


def unaligned(x: np.ndarray) -> np.ndarray:
    """Return x as it lies in a file, behind a header of one byte."""
    return np.frombuffer(b"?" + x.tobytes(), x.dtype, offset=1).reshape(x.shape)


def beside_bytes(x: np.ndarray) -> np.ndarray:
    """Return x as a field of records with a byte more: rows whole numbers apart they are not."""
    records = np.zeros(x.shape[:-1], [("x", x.dtype, x.shape[-1:]), ("flag", "u1")])
    records["x"] = x
    return records["x"]


@pytest.mark.parametrize(
    "convert",
    [
        lambda x: x.astype("float64"),
        lambda x: x.astype("float16"),
        lambda x: x.astype(">f4"),
        lambda x: x.astype("int8"),
        lambda x: x.astype("uint64"),
        lambda x: x.astype(bool),
        lambda x: x.tolist(),
        np.asfortranarray,
        lambda x: np.repeat(x, 2, axis=1)[:, ::2],
        lambda x: x[::-1][::-1],
        lambda x: unaligned(x.astype("float32")),
        lambda x: beside_bytes(x.astype("float32")),
    ],
)
def test_any_numeric_form_gives_the_result_of_its_plain_copy(convert: Callable[..., Any]) -> None:
    model = make_model()
    given = convert(np.round(np.abs(X) * 2))
    plain = np.ascontiguousarray(np.asarray(given), dtype="float32")
    np.testing.assert_array_equal(model.predict(given, verbose=0), model.predict(plain, verbose=0))
    for a, b in zip(model.gradients(given, Y), model.gradients(plain, Y), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("convert", [unaligned, beside_bytes])
def test_what_is_not_aligned_in_calls_of_layers_steps_and_losses(convert: Any) -> None:
    x = np.asarray(X, "float32")
    for layer in (SimpleRNN(4), engine.layers.LSTM(4, go_backwards=True), Dense(2)):
        np.testing.assert_array_equal(layer(convert(x)), layer(x))
    twins = [make_model(), make_model()]
    for model, given in zip(twins, (convert(x), x), strict=True):
        model.train_on_batch(given, Y)
    for a, b in zip(twins[0].get_weights(), twins[1].get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    loss = engine.losses.SparseCategoricalCrossentropy(from_logits=True)
    labels = np.zeros(len(x), int)
    assert loss(labels, convert(x[:, 0])) == loss(labels, x[:, 0])


def test_memory_mapped_and_read_only(tmp_path: Any) -> None:
    np.save(tmp_path / "x.npy", X)
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    model = make_model()
    np.testing.assert_array_equal(model.predict(mapped, verbose=0), model.predict(X, verbose=0))
    twins = [make_model(), make_model()]
    for model, x in zip(twins, (mapped, X), strict=True):
        model.fit(x, Y, batch_size=3, epochs=2, shuffle=False, verbose=0)
    for a, b in zip(twins[0].get_weights(), twins[1].get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)

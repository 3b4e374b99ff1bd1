"""Every layer of the catalogue beside Keras's: numbers, gradients, masks, shapes, configs."""

import json
import re
import warnings
from typing import Any

import numpy as np
import pytest

from rnn_engine import layers
from rnn_engine.layers.base import registry
from tests.layers.catalogue import BATCH, CASES, REFUSED, Case

keras = pytest.importorskip("keras")
tf = pytest.importorskip("tensorflow")

ALL = [pytest.param(name, case, id=f"{name} {case}") for name in CASES for case in CASES[name]]
# By the largest number of an array.
ALLOWED = {"float32": 2e-6, "float64": 1e-13}


def given(case: Case, dtype: str) -> Any:
    """Return what the layer is called with, and its masks."""
    arrays, masks = case.inputs(dtype), case.masks()
    return (arrays, masks) if case.several else (arrays[0], masks[0])


def shapes_of(case: Case, batch: Any = None, moved: bool = False) -> Any:
    """Return the shapes of the inputs; `moved`: with channels last in any case."""
    turns = moved and channels_first(case)
    shapes = [(batch, *((*s[1:], s[0]) if turns else s)) for s in case.shapes]
    return shapes if case.several else shapes[0]


def build_theirs(layer: Any, case: Case, moved: bool = False) -> None:
    shapes = shapes_of(case, moved=moved)
    layer.build(*(shapes if case.spread else [shapes]))


def channels_first(case: Case) -> bool:
    """Whether channels come first: TensorFlow's CPU lacks most of that, so its side is turned."""
    return case.options.get("data_format") == "channels_first"


def last_of(options: dict[str, Any]) -> dict[str, Any]:
    """Return options of a layer with its channels last."""
    return {**options, "data_format": "channels_last"} if "data_format" in options else options


def weights_for(layer: Any) -> list[np.ndarray]:
    """Return weights that are neither zero nor symmetric; variances are positive."""
    rng = np.random.default_rng(5)
    return [
        rng.uniform(0.2, 1.2, w.shape).astype(np.float32)
        * np.float32(1 if w.ndim < 2 else 0.5)
        * (1 if w.ndim < 2 else rng.choice([-1, 1], w.shape))
        for w in layer.get_weights()
    ]


def both(name: str, case: Case, dtype: str, theirs_in: str = "") -> tuple[Any, Any]:
    """Return our layer, by way of its config, and Keras's, with the same weights."""
    cls = registry.lookup(name)
    ours = cls.from_config(json.loads(json.dumps(cls(**case.options, dtype=dtype).get_config())))
    theirs = getattr(keras.layers, name)(**last_of(case.options), dtype=theirs_in or dtype)
    ours.build(shapes_of(case))
    build_theirs(theirs, case, moved=True)
    weights = [w.astype(dtype) for w in weights_for(theirs)]
    assert [w.shape for w in ours.get_weights()] == [w.shape for w in weights]
    ours.set_weights(weights)
    theirs.set_weights(weights)  # which float32 holds
    return ours, theirs


def flat(nest: Any) -> list[Any]:
    return (
        [part for inner in nest for part in flat(inner)] if type(nest) in (list, tuple) else [nest]
    )


def slopes_for(outputs: list[Any]) -> list[np.ndarray]:
    rng = np.random.default_rng(7)
    return [rng.normal(size=y.shape).astype(np.float32).astype(y.dtype) for y in outputs]


def our_pass(layer: Any, x: Any, masks: Any, case: Case, training: bool) -> Any:
    """Return outputs, mask of the output, gradients of weights and inputs, and the weights."""
    masks = None if all(m is None for m in flat(masks)) else masks
    x = layer.convert(x)
    y, saved = layer.forward(x, training, masks, **case.call)
    mask = layer.compute_mask(x, masks) if layer.supports_masking else None
    dys = slopes_for(flat(y))
    dx = layer.backward(tuple(dys) if isinstance(y, tuple) else dys[0], saved)
    grads = [v.grad.copy() for v in layer.trainable_weights]
    return [np.array(part) for part in flat(y)], mask, [*grads, *flat(dx), *layer.get_weights()]


def their_pass(layer: Any, x: Any, masks: Any, case: Case, training: bool) -> Any:
    tensors = [tf.constant(part) for part in flat(x)]
    call = dict(case.call)
    if layer._call_has_training_arg:
        call["training"] = training
    with tf.GradientTape() as tape, warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*does not support masking")
        tape.watch(tensors)
        for tensor, mask in zip(tensors, flat(masks), strict=True):
            if mask is not None:
                keras.src.backend.set_keras_mask(tensor, tf.constant(mask))
        if channels_first(case):
            y = layer(keras.ops.moveaxis(tensors[0], 1, -1), **call)
            y = keras.ops.moveaxis(y, -1, 1) if len(y.shape) > 2 else y
        else:
            y = layer(*(tensors if case.spread or not case.several else [tensors]), **call)
        dys = slopes_for([part.numpy() for part in flat(y)])
        total = tf.add_n([tf.reduce_sum(a * b) for a, b in zip(flat(y), dys, strict=True)])
    sources = [*(v.value for v in layer.trainable_variables), *tensors]
    grads = tape.gradient(total, sources, unconnected_gradients=tf.UnconnectedGradients.ZERO)
    grads = [np.asarray(tf.convert_to_tensor(g)) for g in grads]
    mask = keras.src.backend.get_keras_mask(flat(y)[0])
    outputs = [np.asarray(part) for part in flat(y)]
    return outputs, None if mask is None else np.asarray(mask), [*grads, *layer.get_weights()]


def assert_near(found: Any, wanted: Any, dtype: str, allowed: float) -> None:
    assert found.dtype == wanted.dtype == dtype
    assert found.shape == wanted.shape
    np.testing.assert_array_equal(np.isfinite(found), np.isfinite(wanted))
    size = max(1.0, np.abs(wanted[np.isfinite(wanted)]).max(initial=0))
    np.testing.assert_allclose(found, wanted, rtol=0, atol=allowed * size)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("name", "case"), ALL)
def test_agrees_with_keras(name: str, case: Case, dtype: str) -> None:
    narrow = "float32" if case.narrow else dtype
    once = not both(name, case, dtype)[1]._call_has_training_arg
    for training in (False,) if once else (False, True):
        ours, theirs = both(name, case, dtype, narrow)
        x, masks = given(case, dtype)
        outputs, mask, grads = our_pass(ours, x, masks, case, training)
        x, _ = given(case, narrow)
        wanted, wanted_mask, wanted_grads = their_pass(theirs, x, masks, case, training)
        assert len(outputs) == len(wanted)
        assert len(grads) == len(wanted_grads)
        terms = max(part.size for part in flat(x)) // BATCH
        allowed = ALLOWED[narrow] * max(1.0, terms**0.5 / 4)
        for a, b in zip([*outputs, *grads], [*wanted, *wanted_grads], strict=True):
            assert a.dtype == dtype
            assert_near(a.astype(narrow), b, narrow, allowed)
        assert (mask is None) == (wanted_mask is None)
        if mask is not None:
            np.testing.assert_array_equal(mask, wanted_mask)
        assert ours.supports_masking == theirs.supports_masking


@pytest.mark.parametrize(("name", "case"), ALL)
def test_shapes_and_config_are_those_of_keras(name: str, case: Case) -> None:
    ours, _ = both(name, case, "float32")
    theirs = getattr(keras.layers, name)(**case.options)
    build_theirs(theirs, case)
    for batch in (None, BATCH):
        found = ours.compute_output_shape(shapes_of(case, batch))
        shapes = shapes_of(case, batch)
        wanted = theirs.compute_output_shape(*(shapes if case.spread else [shapes]))
        # Keras's EinsumDense forgets what it could know.
        pairs = zip(found, wanted, strict=True)
        assert all(a == b or (b is None and name == "EinsumDense") for a, b in pairs)
    y, _ = ours.forward(ours.convert(given(case, "float32")[0]), **case.call)
    assert found == flat(y)[0].shape
    assert [v.name for v in ours.weights] == [v.name for v in theirs.weights]
    mine, wanted = ours.get_config(), theirs.get_config()
    for key, value in mine.items():
        if key.endswith("initializer"):
            assert value["class_name"] == wanted[key]["class_name"]
        elif key not in ("name", "dtype"):
            assert json.dumps(value) == json.dumps(wanted[key]), key
    off = {key for key, value in wanted.items() if value in (None, False)}
    assert set(wanted) - set(mine) <= off


@pytest.mark.parametrize(("name", "case"), ALL)
def test_layout_changes_no_bit(name: str, case: Case) -> None:
    ours, _ = both(name, case, "float32")
    x, masks = given(case, "float32")
    turned = [np.asfortranarray(part) for part in flat(x)]
    outputs, _, grads = our_pass(ours, x, masks, case, True)
    ours, _ = both(name, case, "float32")
    again, _, grads_again = our_pass(ours, turned if case.several else turned[0], masks, case, True)
    for a, b in zip([*outputs, *grads], [*again, *grads_again], strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(("name", "case"), ALL)
def test_a_row_has_the_same_bits_in_any_batch(name: str, case: Case) -> None:
    ours, _ = both(name, case, "float32")
    x, masks = given(case, "float32")
    if case.options.get("axis") == 0:
        pytest.skip("joins rows")
    rows = [part[1:2] for part in flat(x)]
    some = [None if m is None else m[1:2] for m in flat(masks)]
    alone, all_rows = (
        ours.forward(ours.convert(a), False, None if all(m is None for m in flat(b)) else b,
                     **case.call)[0]
        for a, b in (
            (rows, some) if case.several else (rows[0], some[0]),
            (x, masks),
        )
    )  # fmt: skip
    for a, b in zip(flat(alone), flat(all_rows), strict=True):
        np.testing.assert_array_equal(a[0], b[1])


@pytest.mark.parametrize("name", CASES)
def test_a_gradient_of_another_shape_is_refused(name: str) -> None:
    case = CASES[name][0]
    ours, _ = both(name, case, "float32")
    y, saved = ours.forward(ours.convert(given(case, "float32")[0]), True, None, **case.call)
    if saved is None:
        pytest.skip("hands on what it gets")
    if isinstance(y, tuple):
        wrong: Any = tuple(part[:1] for part in y)
    else:
        wrong = y[:1]
    with pytest.raises(ValueError, match=r"gradient"):
        ours.backward(wrong, saved)


@pytest.mark.parametrize(("name", "options", "shapes"), REFUSED, ids=str)
def test_bad_input_is_refused_as_in_keras(name: str, options: Any, shapes: Any) -> None:
    def use(package: Any) -> None:
        layer = getattr(package, name)(**options)
        if isinstance(shapes, list):
            layer([np.ones(shape, np.float32) for shape in shapes])
        elif shapes is not None:
            layer(np.ones(shapes, np.float32))

    with pytest.raises((ValueError, TypeError)) as ours:
        use(layers)
    with pytest.raises((ours.type, tf.errors.OpError)):
        use(keras.layers)


# Modules whose layers have tests of their own.
APART = re.compile(
    r"\.(activation_layers|activity_regularization|base|batch_normalization|bidirectional|cell"
    r"|conv_lstm|dense|dropout|embedding|gaussian|gru|input_layer|input_spec|lambda_layer|layer_normalization|lstm"
    r"|masking|pooling|preprocessing|rescaling|reshaping|rnn|simple_rnn|stacked_rnn_cells"
    r"|time_distributed|wrapper)[.:]"
)


def test_every_other_layer_has_a_case() -> None:
    """All layers stand in the catalogue, but for those that have tests of their own."""
    later = {n for n, place in layers._PLACES.items() if n[0].isupper() and not APART.search(place)}
    assert "Conv1D" in later
    classes = {getattr(layers, name).__name__ for name in later}
    assert classes <= set(CASES)
    for name, target in layers._ALIASES.items():
        assert getattr(layers, name) is getattr(layers, target)
        assert getattr(keras.layers, name) is getattr(keras.layers, target)
    for name in [*later, *layers._ALIASES]:
        assert hasattr(keras.layers, name), name
        assert name in layers.__all__
        assert name in dir(layers)


@pytest.mark.parametrize(
    "name", ["add", "average", "concatenate", "maximum", "minimum", "multiply", "subtract"]
)
def test_functions(name: str) -> None:
    x = CASES["Subtract"][0].inputs("float32")
    found, wanted = (getattr(package, name)(x) for package in (layers, keras.layers))
    np.testing.assert_allclose(found, wanted, rtol=1e-6)


def test_dot_as_a_function() -> None:
    x = CASES["Dot"][0].inputs("float32")
    for options in ({}, {"axes": 1, "normalize": True}):
        found, wanted = (package.dot(x, **options) for package in (layers, keras.layers))
        np.testing.assert_allclose(found, wanted, rtol=1e-5)

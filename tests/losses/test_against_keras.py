"""Every registered loss against its Keras twin: value and gradient, all options together."""

import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnn_engine import activations, losses
from rnn_engine.losses.reduction import weigh
from tests.losses.cases import LOSSES, Case, cases

keras = pytest.importorskip("keras")
tf = pytest.importorskip("tensorflow")

# Relative to the largest entry: a few roundings of exp and log and a short sum.
TOLERANCE = {np.dtype(np.float32): 5e-6, np.dtype(np.float64): 1e-13}


# Keras takes the logarithm of 2 in float32 whatever the dtype; by the formula in test_gradients.py
# ours is right to the last digits.
ROUGH = {"LogCosh": 1e-8}


def keras_twin(case: Case):
    cls = getattr(keras.losses, case.cls.__name__)
    return cls(**case.options, reduction=case.reduction, dtype=case.y_pred.dtype.name)


def keras_targets(case: Case) -> np.ndarray:
    if case.cls.__name__ == "CategoricalGeneralizedCrossEntropy":  # it cannot drop a trailing 1
        return case.y_true.reshape(case.y_pred.shape[:-1])
    return case.y_true


def keras_value_and_gradient(loss, case: Case):
    p = tf.constant(case.y_pred)
    if case.mask is not None:
        p._keras_mask = tf.constant(case.mask)
    with warnings.catch_warnings(), tf.GradientTape() as tape:
        warnings.simplefilter("ignore")
        tape.watch(p)
        value = loss(tf.constant(keras_targets(case)), p, case.sample_weight)
    gradient = tape.gradient(value, p)
    return np.asarray(value), np.asarray(gradient)


def term_scale(case: Case) -> float:
    """Size of the terms whose difference a gradient is, where it is one."""
    name, logits = case.cls.__name__, case.options.get("from_logits")
    differs = name in ("Poisson", "MeanSquaredLogarithmicError", "BinaryCrossentropy")
    if name not in ("CosineSimilarity", "SparseCategoricalCrossentropy") and not (
        logits or differs
    ):
        return 0.0
    shape = np.shape(case.cls(**case.options, reduction=None)(case.y_true, case.y_pred))
    plan = weigh(shape, case.y_pred.dtype, case.sample_weight, case.mask, case.reduction)
    size = float(np.abs(plan.upstream).max())
    if name == "CosineSimilarity":
        return size / float(np.linalg.norm(case.y_pred, axis=case.options["axis"]).min())
    if logits or differs:  # 1 - t / p, log(1 + p) - log(1 + t), (1 - t) / (1 - p) - t / p
        return size
    return 20 * size  # 1 / Σp - 1 / p, with p >= 0.05 inside the clip


def assert_close(got, wanted, dtype, factor=1.0, size=0.0):
    """Compare relative to the largest entry, or to `size` where that is larger."""
    got, wanted = np.asarray(got), np.asarray(wanted)
    assert got.shape == wanted.shape
    size = np.abs(wanted[np.isfinite(wanted)]).max(initial=size)
    limit = factor * TOLERANCE[np.dtype(dtype)]
    np.testing.assert_allclose(got, wanted, rtol=limit, atol=limit * size)


@pytest.mark.parametrize("name", LOSSES)
@given(data=st.data())
def test_value_and_gradient(name, data):
    case = data.draw(cases(LOSSES[name]))
    value, gradient = case.loss.value_and_gradient(
        case.y_true, case.y_pred, case.sample_weight, case.mask
    )
    wanted_value, wanted_gradient = keras_value_and_gradient(keras_twin(case), case)
    dtype = case.y_pred.dtype
    # A mean of small differences is as exact as the terms it is made of.
    terms = case.cls(**case.options, reduction=None)(case.y_true, case.y_pred)
    floor = TOLERANCE[dtype] * max(1.0, float(np.abs(terms).max(initial=0.0)))
    weights = 1.0 if case.sample_weight is None else np.abs(case.sample_weight).sum() + 1.0
    rough = ROUGH.get(name, 0.0) * weights * terms.size
    np.testing.assert_allclose(
        value, wanted_value, rtol=TOLERANCE[dtype], atol=floor * weights * terms.size + rough
    )
    assert np.shape(value) == wanted_value.shape
    assert gradient.dtype == dtype
    assert_close(gradient, wanted_gradient, dtype, 2.0, term_scale(case))
    assert_close(case.loss(case.y_true, case.y_pred, case.sample_weight, case.mask), value, dtype)


@pytest.mark.parametrize("name", LOSSES)
@given(data=st.data())
def test_function_gives_the_values_of_the_class(name, data):
    case = data.draw(cases(LOSSES[name]))
    function = case.loss.fn
    twin = getattr(keras.losses, function.__name__)
    options = case.loss._fn_kwargs
    got = function(case.y_true, case.y_pred, **options)
    wanted = np.asarray(twin(tf.constant(keras_targets(case)), tf.constant(case.y_pred), **options))
    assert got.dtype == case.y_pred.dtype
    # Values are differences of terms of size 1 and above (log p, 1 - cos, ...).
    size = max(1.0, ROUGH.get(name, 0.0) / TOLERANCE[got.dtype])
    assert_close(got, wanted, got.dtype, 2.0, size)


@pytest.mark.parametrize("name", [n for n, cls in LOSSES.items() if cls().get_config().get("axis")])
@given(data=st.data())
def test_one_sample_without_a_batch_axis(name, data):
    """Keras takes rank 1: one sample, whose loss is a single number."""
    case = data.draw(cases(LOSSES[name]))
    if case.options.get("axis") == 0 or name == "SparseCategoricalCrossentropy":
        return
    case.y_true, case.y_pred = (a.reshape(-1, a.shape[-1])[0] for a in (case.y_true, case.y_pred))
    case.sample_weight = case.mask = None
    value, gradient = case.loss.value_and_gradient(case.y_true, case.y_pred)
    wanted_value, wanted_gradient = keras_value_and_gradient(keras_twin(case), case)
    dtype = case.y_pred.dtype
    size = max(1.0, ROUGH.get(name, 0.0) / TOLERANCE[dtype])
    assert_close(value, wanted_value, dtype, 4.0, size)
    assert_close(gradient, wanted_gradient, dtype, 4.0, term_scale(case))


@pytest.mark.parametrize("true_shape", [(6,), (6, 1)])
@pytest.mark.parametrize("pred_shape", [(6,), (6, 1)])
@pytest.mark.parametrize("name", ["MeanSquaredError", "MeanAbsoluteError", "BinaryCrossentropy"])
def test_column_or_vector_means_what_keras_means(name, pred_shape, true_shape):
    rng = np.random.default_rng(1)
    y_true, y_pred = rng.random(true_shape), rng.random(pred_shape)
    case = Case(LOSSES[name], {}, "sum_over_batch_size", y_true, y_pred)
    value, gradient = case.loss.value_and_gradient(y_true, y_pred)
    wanted_value, wanted_gradient = keras_value_and_gradient(keras_twin(case), case)
    assert_close(value, wanted_value, y_pred.dtype)
    assert_close(gradient, wanted_gradient, y_pred.dtype)


@pytest.mark.parametrize("true_shape", [(4, 1), (4, 1, 3), (4, 5, 1), (4, 1, 1)])
def test_a_target_on_an_inner_axis_of_one_is_shared_as_in_keras(true_shape):
    rng = np.random.default_rng(2)
    shape = (4, 5, 3) if len(true_shape) == 3 else (4, 5)
    y_true, y_pred = rng.normal(size=true_shape), rng.normal(size=shape)
    case = Case(LOSSES["MeanSquaredError"], {}, "sum_over_batch_size", y_true, y_pred)
    value, gradient = case.loss.value_and_gradient(y_true, y_pred)
    wanted_value, wanted_gradient = keras_value_and_gradient(keras_twin(case), case)
    assert_close(value, wanted_value, y_pred.dtype)
    assert_close(gradient, wanted_gradient, y_pred.dtype)


def test_softmax_gradient_of_targets_that_do_not_sum_to_one():
    """TensorFlow takes the targets' sum for 1; training agrees with it."""
    rng = np.random.default_rng(3)
    y_true, y_pred = rng.random((4, 5)), rng.normal(size=(4, 5))
    options = {"from_logits": True}
    case = Case(LOSSES["CategoricalCrossentropy"], options, "sum", y_true, y_pred)
    value, gradient = case.loss.value_and_gradient(y_true, y_pred)
    wanted_value, wanted_gradient = keras_value_and_gradient(keras_twin(case), case)
    assert_close(value, wanted_value, y_pred.dtype)
    assert_close(gradient, wanted_gradient, y_pred.dtype)


WITH_LOGITS = [n for n, cls in LOSSES.items() if cls().logits_form(activations.softmax)]


@pytest.mark.filterwarnings("ignore:You are using a softmax over axis")  # of size 1
@pytest.mark.parametrize("activation", ["softmax", "sigmoid"])
@pytest.mark.parametrize("name", WITH_LOGITS)
@given(data=st.data())
def test_logits_form_is_what_keras_does_below_its_last_activation(name, activation, data):
    case = data.draw(cases(LOSSES[name]))
    case.options = {**case.options, "from_logits": False}
    if "ignore_class" in case.options:
        case.options["ignore_class"] = None
        case.y_true = np.abs(case.y_true)
    if case.options.get("axis", -1) != -1:
        return
    case.mask = None
    loss = case.loss
    rng = np.random.default_rng(4)
    x = (rng.normal(size=case.y_pred.shape) * 40).astype(case.y_pred.dtype)  # saturated
    form = loss.logits_form(activations.get(activation))
    got_value, got_gradient = form.value_and_gradient(case.y_true, x, case.sample_weight)
    logits = tf.constant(x)
    with tf.GradientTape() as tape:
        tape.watch(logits)
        p = getattr(keras.activations, activation)(logits)
        value = keras_twin(case)(tf.constant(case.y_true), p, case.sample_weight)
    case.options["from_logits"] = True
    wanted = np.asarray(tape.gradient(value, logits))
    assert_close(got_gradient, wanted, x.dtype, 4.0, term_scale(case))
    assert_close(got_value, np.asarray(value), x.dtype, 4.0, term_scale(case))


def test_names_are_those_of_keras():
    from keras.src.losses import ALL_OBJECTS_DICT

    absent = {"Circle", "circle"}  # not of dense outputs
    ours = set(losses.registry.entries)
    assert set(ALL_OBJECTS_DICT) - ours <= absent | {"Loss", "LossFunctionWrapper"}
    for name in set(ALL_OBJECTS_DICT) & ours:
        assert losses.registry.entries[name].__name__ == ALL_OBJECTS_DICT[name].__name__


@pytest.mark.parametrize("name", LOSSES)
def test_constructor_is_that_of_keras(name):
    import inspect

    def parameters(cls):
        return [(p.name, p.default) for p in inspect.signature(cls).parameters.values()]

    assert parameters(LOSSES[name]) == parameters(getattr(keras.losses, name))

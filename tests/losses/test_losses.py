"""What losses accept and refuse, configs, names, resolution, user losses, the softmax kernel."""

import json

import numpy as np
import pytest

from rnn_engine import activations, losses
from rnn_engine.kernels import rows
from rnn_engine.kernels.options import kernel
from rnn_engine.kernels.pointers import address
from tests.losses.cases import LOSSES, REDUCTIONS, options_of

LAST_OPTIONS = {k: {n: v[-1] for n, v in options_of(cls).items()} for k, cls in LOSSES.items()}


def sample(name):
    rng = np.random.default_rng(6)
    labels = name in ("SparseCategoricalCrossentropy", "CategoricalGeneralizedCrossEntropy")
    t = rng.integers(0, 4, 5) if labels else rng.random((5, 4))
    return t, rng.uniform(0.1, 0.9, (5, 4))


@pytest.mark.parametrize(("name", "options"), LAST_OPTIONS.items())
def test_config_round_trip_keeps_every_option(name, options):
    loss = LOSSES[name](**options, reduction="sum", name="mine")
    config = loss.get_config()
    assert config == {**options, "reduction": "sum", "name": "mine"}
    t, p = sample(name)
    wanted = loss(t, p)
    json_ready = losses.serialize(loss)
    assert json.loads(json.dumps(json_ready)) is not None
    for twin in (
        LOSSES[name].from_config(config),
        losses.deserialize(json_ready),
        losses.get(json_ready),
    ):
        assert type(twin) is LOSSES[name]
        assert twin(t, p) == wanted
        assert twin.name == "mine"


@pytest.mark.parametrize("name", sorted(losses.registry.entries))
def test_get_by_every_name(name):
    found = losses.get(name)
    if name[0].isupper() and name not in ("MSE", "MAE", "MAPE", "MSLE", "BCE", "KLD"):
        assert isinstance(found, getattr(losses, name))
    else:
        assert callable(found)
        assert losses.get(losses.serialize(found)) is found
        assert losses.resolve(name).name == name


def test_get_refuses_what_it_does_not_know():
    with pytest.raises(ValueError, match="mean_squared_error"):
        losses.get("mean_square_error")
    with pytest.raises(ValueError, match="identifier"):
        losses.get(3.5)
    assert losses.get(None) is None
    assert losses.resolve(None) is None


def test_deserialize_reads_the_form_keras_writes():
    config = {
        "module": "keras.losses",
        "class_name": "BinaryCrossentropy",
        "config": {"name": "b", "reduction": "sum", "from_logits": True, "label_smoothing": 0.0,
                   "axis": -1},
        "registered_name": None,
    }  # fmt: skip
    assert losses.deserialize(config).get_config() == config["config"]
    function = {"module": "builtins", "class_name": "function", "config": "huber"}
    assert losses.deserialize(function) is losses.huber


def test_custom_objects():
    class Mine(losses.Loss):
        def call(self, y_true, y_pred):
            return y_pred[..., 0]

    config = {"class_name": "Mine", "config": {"name": "m", "reduction": "sum"}}
    assert isinstance(losses.deserialize(config, {"Mine": Mine}), Mine)
    assert losses.deserialize("f", {"f": Mine}) is Mine
    assert Mine().name == "mine"


@pytest.mark.parametrize(
    ("y_true", "y_pred", "name"),
    [
        ((8,), (8, 10), "sparse_categorical_crossentropy"),
        ((8, 1), (8, 10), "sparse_categorical_crossentropy"),
        ((8, 10), (8, 10), "categorical_crossentropy"),
        ((8,), (8, 1), "binary_crossentropy"),
        ((8, 5, 1), (8, 5, 7), "sparse_categorical_crossentropy"),
    ],
)
def test_crossentropy_is_chosen_by_shapes(y_true, y_pred, name):
    for identifier in ("ce", "crossentropy", "CrossEntropy"):
        loss = losses.resolve(identifier, y_true, y_pred)
        assert loss.fn.__name__ == name
    with pytest.raises(ValueError, match="shapes"):
        losses.resolve("ce")


def test_resolve_keeps_instances_and_wraps_functions():
    loss = losses.Huber(delta=2.0)
    assert losses.resolve(loss) is loss
    assert losses.resolve(losses.Huber).name == "huber_loss"
    assert losses.resolve(losses.mse).name == "mean_squared_error"

    def plain(y_true, y_pred):
        return np.abs(y_true - y_pred).mean(axis=-1)

    wrapped = losses.resolve(plain)
    assert wrapped.name == "plain"
    assert wrapped([[1.0]], np.array([[3.0]])) == 2.0
    value, gradient = wrapped.value_and_gradient([[1.0, 4.0]], np.array([[3.0, 2.0]]))
    assert value == 2.0
    np.testing.assert_array_equal(gradient, [[0.5, -0.5]])
    with pytest.raises(ValueError, match="no gradient"):
        losses.resolve(lambda t, p: float(np.sum(p))).value_and_gradient([1.0], np.ones(1))


def test_custom_loss_with_weights_and_mask():
    loss = losses.CustomLoss(
        lambda t, p: np.mean((p - t) ** 2, axis=-1),
        lambda t, p: 2 * (p - t) / p.shape[-1],
        name="mine",
    )
    rng = np.random.default_rng(7)
    t, p = rng.normal(size=(2, 4, 5, 3))
    weight, mask = rng.random((4, 5)), rng.random((4, 5)) < 0.6
    got = loss.value_and_gradient(t, p, weight, mask)
    wanted = losses.MeanSquaredError().value_and_gradient(t, p, weight, mask)
    np.testing.assert_allclose(got[0], wanted[0], rtol=1e-14)
    np.testing.assert_allclose(got[1], wanted[1], rtol=1e-14)
    assert losses.CustomLoss.from_config(loss.get_config()).name == "mine"


def test_custom_loss_says_what_is_wrong():
    with pytest.raises(TypeError, match="gradient_fn"):
        losses.CustomLoss(lambda t, p: p, None)
    p = np.ones((3, 2))
    bad_values = losses.CustomLoss(lambda t, p: np.ones(2), lambda t, p: p)
    with pytest.raises(ValueError, match="value_fn"):
        bad_values(p, p)
    bad_slopes = losses.CustomLoss(lambda t, p: p.mean(-1), lambda t, p: p[0])
    with pytest.raises(ValueError, match="gradient_fn"):
        bad_slopes.value_and_gradient(p, p)


def test_a_subclass_without_call_or_gradient():
    with pytest.raises(NotImplementedError, match="call"):
        losses.Loss()([1.0], [1.0])


@pytest.mark.parametrize("name", LOSSES)
def test_any_numeric_input_gives_the_result_of_its_plain_copy(name):
    t, p = sample(name)
    p = p.astype(np.float32)
    loss = LOSSES[name]()
    value, gradient = loss.value_and_gradient(t, p)
    strided = np.repeat(p, 2, axis=1)[:, ::2]
    fortran = np.asfortranarray(p)
    frozen = p.copy()
    frozen.setflags(write=False)
    big = p.astype(">f4")
    for other in (strided, fortran, frozen, big):
        before = np.array(other)
        again, slopes = loss.value_and_gradient(t.astype(t.dtype.newbyteorder(">")), other)
        assert again == value
        assert slopes.dtype == np.float32
        assert slopes.dtype.isnative
        np.testing.assert_array_equal(slopes, gradient)
        np.testing.assert_array_equal(other, before)
    assert type(value) is float
    np.testing.assert_allclose(loss(t.tolist(), p.tolist()), value, rtol=1e-6)


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("bad", ["complex", "text", "objects"])
def test_what_is_no_number_is_refused_by_name(name, bad):
    t, p = sample(name)
    wrong = {"complex": p * 1j, "text": p.astype(str), "objects": p.astype(object)}[bad]
    with pytest.raises(ValueError, match="y_pred"):
        LOSSES[name]()(t, wrong)
    with pytest.raises(ValueError, match="y_true"):
        LOSSES[name]()({"complex": t * 1j, "text": t.astype(str)}.get(bad, t.astype(object)), p)


@pytest.mark.parametrize("name", LOSSES)
def test_shapes_that_do_not_fit_are_refused(name):
    t, p = sample(name)
    with pytest.raises(ValueError, match="^Argument"):
        LOSSES[name]().value_and_gradient(t[:3], p)
    with pytest.raises(ValueError, match="sample_weight"):
        LOSSES[name](reduction="none")(t, p, np.ones(7) if name not in ("Dice", "Tversky") else "a")


def test_a_vector_is_never_broadcast_against_a_matrix():
    for t, p in (((4,), (4, 4)), ((4, 4), (4,)), ((4,), (4, 4, 1)), ((1, 3), (4, 3))):
        with pytest.raises(ValueError, match="must have the same shape"):
            losses.MeanSquaredError()(np.ones(t), np.ones(p))
    with pytest.raises(ValueError, match="sample_weight"):  # one weight a sample, n = T by chance
        losses.MeanSquaredError()(np.ones((4, 4, 2)), np.ones((4, 4, 2)), np.ones(4))


def test_labels_out_of_range_are_named():
    p = np.full((3, 2, 4), 0.25)
    for loss in (
        losses.SparseCategoricalCrossentropy(),
        losses.SparseCategoricalCrossentropy(from_logits=True),
        losses.CategoricalGeneralizedCrossEntropy(),
    ):
        labels = np.zeros((3, 2), int)
        labels[1, 1] = labels[2, 0] = 4
        with pytest.raises(ValueError, match=r"class label 4 at index \(1, 1\), outside 0\.\.3"):
            loss(labels, p)
        with pytest.raises(ValueError, match=r"class label -2 at index \(0, 1\)"):
            loss([[0, -2], [0, 0], [0, 0]], p)
        with pytest.raises(ValueError, match=r"not finite at index \(0, 1\)"):
            loss([[0, np.nan], [0, 0], [0, 0]], p)
    ignoring = losses.SparseCategoricalCrossentropy(ignore_class=-2)
    with pytest.raises(ValueError, match="class label 9"):
        ignoring([[0, -2], [9, 0], [0, 0]], p)


def test_axis_of_sparse_labels_must_be_the_last():
    with pytest.raises(ValueError, match="axis"):
        losses.sparse_categorical_crossentropy([[0, 1]], np.ones((1, 2, 2)), axis=1)
    with pytest.raises(ValueError, match="axis"):
        losses.categorical_crossentropy([[0.0, 1.0]], [[0.5, 0.5]], axis=True)


def test_one_class_only_warns():
    with pytest.warns(SyntaxWarning, match="binary_crossentropy"):
        losses.CategoricalCrossentropy()([[1.0]], [[0.5]])


def test_unknown_arguments_are_refused():
    with pytest.raises(ValueError, match="reduction"):
        losses.MeanSquaredError(reduction="average")
    with pytest.raises(ValueError, match="dtype"):
        losses.MeanSquaredError(dtype="float16")
    with pytest.raises(ValueError, match="q must"):
        losses.CategoricalGeneralizedCrossEntropy(q=1.5)


def test_dtype_is_that_of_the_predictions_or_the_one_asked_for():
    t, p = sample("MeanSquaredError")
    assert losses.MeanSquaredError()(t, p).dtype == np.float64
    assert losses.MeanSquaredError()(t, p.astype(np.float32)).dtype == np.float32
    assert losses.MeanSquaredError()([[1]], [[2]]).dtype == np.float32
    assert losses.MeanSquaredError(dtype="float32")(t, p).dtype == np.float32
    value, gradient = losses.MeanSquaredError(dtype="float32").value_and_gradient(t, p)
    assert gradient.dtype == np.float64  # as the predictions are
    np.testing.assert_allclose(value, losses.MeanSquaredError()(t, p), rtol=1e-6)


@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_a_wholly_masked_batch_costs_nothing(reduction):
    t, p = sample("MeanSquaredError")
    loss = losses.MeanSquaredError(reduction=reduction)
    value, gradient = loss.value_and_gradient(t, p, None, np.zeros(5, bool))
    assert np.all(np.asarray(value) == 0)
    assert np.all(gradient == 0)


@pytest.mark.parametrize("name", LOSSES)
def test_not_a_number_comes_through_without_a_warning(name):
    t, p = sample(name)
    p[...] = np.nan
    value, gradient = LOSSES[name]().value_and_gradient(t, p)
    assert np.isnan(value)
    assert gradient.shape == p.shape


def test_cosine_at_a_prediction_of_no_length():
    value, gradient = losses.CosineSimilarity().value_and_gradient(
        np.array([[3.0, 4.0]]), np.zeros((1, 2))
    )
    assert value == 0
    np.testing.assert_allclose(gradient, [[-0.6e7, -0.8e7]])


def test_logits_form():
    softmax = losses.SparseCategoricalCrossentropy(reduction="sum", name="s")
    form = softmax.logits_form(activations.softmax)
    assert form.get_config() == {**softmax.get_config(), "from_logits": True}
    assert not softmax.from_logits
    assert form.logits_form(activations.softmax).get_config() == form.get_config()
    bce = losses.resolve("bce").logits_form(activations.softmax)
    assert bce.get_config()["from_logits"] is True
    # Keras takes a sigmoid of the outputs in this one, whatever they are.
    focal = losses.BinaryFocalCrossentropy(from_logits=True)
    assert focal.logits_form(activations.sigmoid) is None
    # Keras blanks out ignored rows, and the logits are lost on the way.
    ignoring = losses.SparseCategoricalCrossentropy(ignore_class=0)
    assert ignoring.logits_form(activations.softmax) is None
    assert losses.MeanSquaredError().logits_form(activations.softmax) is None


@kernel
def exponentials_of(x, exp, out):
    rows.exponentials(address(x), x.size, x.dtype.type(0), exp, address(out))


@pytest.mark.jit
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_exponentials_of_a_row(dtype):
    """Within 2 ULP wherever the result is a normal number, 0 far below, NaN to NaN."""
    code = activations.exponential.code
    top = 87.2 if dtype == np.float32 else 708.2
    x = np.concatenate([-np.linspace(0, top, 40001), [-1e-30, -0.0]]).astype(dtype)
    e = np.empty_like(x)
    exponentials_of(x, code, e)
    wanted = np.exp(x.astype(np.longdouble))
    assert np.max(np.abs(e - wanted) / np.spacing(wanted.astype(dtype))) < 2
    assert e[-1] == e[-2] == 1
    odd = np.array([-np.inf, -1e30, np.nan], dtype)
    exponentials_of(odd, code, odd)
    np.testing.assert_array_equal(odd, [0, 0, np.nan])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_no_denormal_numbers_in_the_gradient_of_logits(dtype):
    """They would be of no use, and ten times slower: e^-90 counts as zero, as in TensorFlow."""
    low = -95 if dtype == np.float32 else -720
    x = np.array([[0, low, low, 1]], dtype)
    loss = losses.SparseCategoricalCrossentropy(from_logits=True)
    _, gradient = loss.value_and_gradient(np.array([0]), x)
    assert np.all(gradient[0, 1:3] == 0)
    y = activations.softmax(x)
    assert np.all(y[0, 1:3] == 0)
    np.testing.assert_allclose(y[0, 3], 1 / (1 + np.exp(-1)), rtol=1e-6)


@kernel
def folded(x, out):
    out[0], out[1] = rows.largest(address(x), x.size), rows.sum_of(address(x), x.size)


@pytest.mark.jit
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("count", [1, 2, 15, 16, 17, 31, 32, 33, 1000])
def test_largest_and_sum_of_a_row(count, dtype):
    """The sum to the bit: 16 lanes in float64, added in order."""
    x = np.random.default_rng(count).normal(size=count).astype(dtype) - 3
    lanes = np.zeros(16)
    for j, entry in enumerate(x):
        lanes[j % 16] += entry
    total = lanes[0]
    for lane in lanes[1:]:
        total += lane
    for place in range(min(count, 40)):
        x[place], kept = 5, x[place]
        out = np.empty(2)
        folded(x, out)
        assert out[0] == 5
        x[place] = kept
    folded(x, out)
    assert out[0] == x.max()
    assert out[1] == total


@pytest.mark.parametrize("classes", [1, 2, 15, 16, 17, 33])
def test_infinite_and_huge_logits(classes):
    rng = np.random.default_rng(8)
    x = rng.normal(size=(3, classes)).astype(np.float32)
    x[0, classes - 1] = 3e38
    if classes > 1:
        x[1, 0] = -np.inf
    x[2, classes // 2] = np.nan
    loss = losses.SparseCategoricalCrossentropy(from_logits=True, reduction="none")
    values, gradient = loss.value_and_gradient(np.full(3, classes - 1), x)
    assert values[0] == 0
    assert np.all(gradient[0] == 0)
    assert np.isfinite(values[1])
    np.testing.assert_allclose(gradient[1].sum(), 0, atol=1e-6)
    assert np.isnan(values[2])
    assert np.isnan(gradient[2]).all()


def test_a_row_gives_the_same_bits_in_any_batch():
    rng = np.random.default_rng(9)
    x = rng.normal(size=(7, 37)).astype(np.float32)
    labels = rng.integers(0, 37, 7)
    loss = losses.SparseCategoricalCrossentropy(from_logits=True, reduction="none")
    values, gradient = loss.value_and_gradient(labels, x)
    for i in range(7):
        value, slopes = loss.value_and_gradient(labels[i : i + 1], x[i : i + 1])
        assert value[0] == values[i]
        np.testing.assert_array_equal(slopes[0], gradient[i])
        assert loss(labels[i : i + 1], x[i : i + 1])[0] == values[i]

"""Training of several inputs and outputs beside Keras: data, losses, metrics, weights, logs."""

from typing import Any

import numpy as np
import pytest

import rnn_engine
from tests.graph.sides import flat, make_twins

keras = pytest.importorskip("keras")

COUNT = 10


def outputs_in_a_list(kit: Any) -> Any:
    a, b = kit.Input((4, 3), name="a"), kit.Input((2,), name="b")
    h = kit.layers.Concatenate()([kit.layers.SimpleRNN(3)(a), b])
    number = kit.layers.Dense(2, name="number")(h)
    kind = kit.layers.Dense(3, activation="softmax", name="kind")(h)
    return kit.Model([a, b], [number, kind])


def outputs_in_a_dict(kit: Any) -> Any:
    a, b = kit.Input((4, 3), name="a"), kit.Input((2,), name="b")
    h = kit.layers.Concatenate()([kit.layers.SimpleRNN(3)(a), b])
    kind = kit.layers.Dense(3, activation="softmax", name="x")(h)
    return kit.Model({"b": b, "a": a}, {"number": kit.layers.Dense(2, name="y")(h), "kind": kind})


MODELS = {"list": outputs_in_a_list, "dict": outputs_in_a_dict}
BOTH = {"number": "mse", "kind": "sparse_categorical_crossentropy"}
LISTED = ["mse", "sparse_categorical_crossentropy"]  # in the order of the list
CASES: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    "a dict of losses": ("list", {"loss": BOTH}, {}),
    "a list of losses": ("list", {"loss": LISTED, "loss_weights": [0.5, 2.0]}, {}),
    "weights in a dict": (
        "list", {"loss": BOTH, "loss_weights": {"number": 0.5, "kind": 3.0}},
        {"x": "dict", "y": "dict"},
    ),
    "metrics in a dict": (
        "list",
        {
            "loss": BOTH,
            "metrics": {"kind": ["accuracy", "sparse_categorical_crossentropy"], "number": "mae"},
            "weighted_metrics": {"number": ["mae", "mse"]},
        },
        {"weight": "list"},
    ),
    "metrics in a list": (
        "list", {"loss": LISTED, "metrics": ["mae", ["acc"]]}, {"weight": "one"}
    ),
    "an output without a loss": ("list", {"loss": ["mse", None]}, {}),
    "dicts all the way": (
        "dict",
        {"loss": BOTH, "loss_weights": {"kind": 3.0, "number": 0.5}, "metrics": {"kind": ["acc"]}},
        {"x": "dict", "y": "dict", "weight": "dict"},
    ),
    "some of a dict": ("dict", {"loss": {"kind": BOTH["kind"]}}, {"x": "dict", "y": "dict"}),
    "momentum without a loss": (
        "list", {"loss": ["mse", None], "optimizer": {"momentum": 0.9, "weight_decay": 0.1}}, {}
    ),
    "one loss of both": ("list", {"loss": "mse"}, {"alike": True}),
}  # fmt: skip


def data(options: dict[str, Any]) -> Any:
    """Return x, y and sample weights in the forms that a case wants."""
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(COUNT, 4, 3)), rng.normal(size=(COUNT, 2))
    number, kind = rng.normal(size=(COUNT, 2)), rng.integers(0, 3, COUNT)
    if options.get("alike"):
        kind = rng.normal(size=(COUNT, 3))
    weights = rng.uniform(0.5, 2, (2, COUNT))
    x: Any = {"a": a, "b": b} if options.get("x") == "dict" else [a, b]
    y: Any = {"number": number, "kind": kind} if options.get("y") == "dict" else [number, kind]
    forms = {
        "list": list(weights),
        "one": weights[0],
        "dict": {"number": weights[0], "kind": weights[1]},
    }
    return x, y, forms.get(options.get("weight", ""))


def twins(case: str) -> Any:
    """Return our model and Keras's, compiled as a case says, from the same weights."""
    name, compiling, _ = CASES[case]
    models = []
    for kit in rnn_engine, keras:
        kit.utils.clear_session()
        model = MODELS[name](kit)
        optimizer = kit.optimizers.SGD(0.1, **compiling.get("optimizer", {}))
        model.compile(**{**compiling, "optimizer": optimizer, "run_eagerly": True})
        models.append(model)
    models[0].set_weights(models[1].get_weights())
    return models


def same_logs(ours: Any, theirs: Any) -> None:
    assert list(ours) == list(theirs)
    for name in theirs:
        np.testing.assert_allclose(ours[name], theirs[name], rtol=2e-5, atol=1e-6, err_msg=name)


@pytest.mark.filterwarnings("ignore:Gradients do not exist")
@pytest.mark.parametrize("case", CASES)
def test_fit_evaluate_predict(case: str) -> None:
    ours, theirs = twins(case)
    x, y, weight = data(CASES[case][2])
    logs = []
    for model in (ours, theirs):
        history = model.fit(
            x, y, batch_size=4, epochs=2, shuffle=False, verbose=0, sample_weight=weight,
            validation_split=0.3,
        )  # fmt: skip
        logs.append(history.history)
    same_logs(*logs)
    assert ours.metrics_names == theirs.metrics_names
    for form in (False, True):
        a, b = (
            model.evaluate(x, y, sample_weight=weight, batch_size=3, verbose=0, return_dict=form)
            for model in (ours, theirs)
        )
        if form:
            same_logs(a, b)
        else:
            np.testing.assert_allclose(a, b, rtol=2e-5, atol=1e-6)
    a, b = (model.predict(x, batch_size=4, verbose=0) for model in (ours, theirs))
    assert type(a) is type(b)
    for one, other in zip(flat(a), flat(b), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-6)
    for one, other in zip(ours.get_weights(), theirs.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("case", ["metrics in a dict", "dicts all the way"])
def test_one_batch_and_generators(case: str) -> None:
    ours, theirs = twins(case)
    x, y, weight = data(CASES[case][2])
    a, b = (model.train_on_batch(x, y, weight) for model in (ours, theirs))
    np.testing.assert_allclose(a, b, rtol=2e-5, atol=1e-6)
    a, b = (model.test_on_batch(x, y, weight, return_dict=True) for model in (ours, theirs))
    same_logs(a, b)
    outputs = [flat(model.predict_on_batch(x)) for model in (ours, theirs)]
    for one, other in zip(*outputs, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-6)

    def cut(part: slice, value: Any) -> Any:
        if isinstance(value, dict):
            return {key: entry[part] for key, entry in value.items()}
        return tuple(entry[part] for entry in value)

    def batches(kit: Any) -> Any:
        class Batches(kit.utils.PyDataset):
            def __len__(self) -> int:
                return 3

            def __getitem__(self, index: int) -> Any:
                part = slice(3 * index, 3 * index + 3)
                return cut(part, x), cut(part, y), cut(part, weight)

        return Batches()

    logs = []
    for model, kit in (ours, rnn_engine), (theirs, keras):
        dataset = batches(kit)
        history = model.fit(dataset, epochs=2, shuffle=False, verbose=0, validation_data=dataset)
        logs.append(history.history)
        whole = (dataset[i] for i in range(3))
        logs[-1]["again"] = model.evaluate(whole, steps=3, verbose=0)
    same_logs(*logs)


def test_one_softmax_below_several_losses() -> None:
    """The gradients of two cross-entropies and of a layer above meet at its logits."""
    rng = np.random.default_rng(3)
    x, kind = rng.normal(size=(COUNT, 3)), rng.integers(0, 3, COUNT)
    models = []
    for kit in rnn_engine, keras:
        kit.utils.clear_session()
        inputs = kit.Input((3,))
        shared = kit.layers.Dense(3, activation="softmax", name="shared")(inputs)
        again = kit.layers.Dropout(0.0, name="again")(shared)
        model = kit.Model(inputs, [shared, again, kit.layers.Dense(1, name="above")(shared)])
        cross = "sparse_categorical_crossentropy"
        model.compile(kit.optimizers.SGD(0.5), [cross, cross, "mse"], loss_weights=[1.0, 0.5, 2.0])
        models.append(model)
    models[0].set_weights(models[1].get_weights())
    y = [kind, rng.permutation(kind), rng.normal(size=(COUNT, 1))]
    for _ in range(2):
        same_logs(*(model.train_on_batch(x, y, return_dict=True) for model in models))
    for a, b in zip(*(model.get_weights() for model in models), strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=2e-6)


def test_gradients_of_several_outputs() -> None:
    ours, theirs = twins("a list of losses")
    tf = pytest.importorskip("tensorflow")
    x, y, _ = data({})
    found = ours.gradients(x, y, inputs=True)
    tensors = [tf.constant(part, tf.float32) for part in x]
    with tf.GradientTape() as tape:
        tape.watch(tensors)
        loss = theirs.compute_loss(x=tensors, y=y, y_pred=theirs(tensors, training=True))
    wanted = tape.gradient(loss, [*theirs.trainable_variables, *tensors])
    assert found.loss == pytest.approx(float(loss), rel=1e-5)
    for got, gradient in zip([*found, *found.inputs], wanted, strict=True):
        np.testing.assert_allclose(got, gradient, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"loss": {"number": "mse"}}, "Expected keys"),
        ({"loss": ["mse", "mse", "mse"]}, "loss has 3 entries"),
        ({"loss": "mse", "loss_weights": [1.0, 2.0]}, "must match the number of losses"),
        ({"loss": "mse", "metrics": ["mae"]}, "Invalid `metrics`"),
        ({"loss": "mse", "metrics": {"numbers": "mae"}}, "Invalid `metrics`"),
    ],
)
def test_what_does_not_match_the_outputs(options: Any, message: str) -> None:
    model = outputs_in_a_list(rnn_engine)
    with pytest.raises(ValueError, match=message):
        model.compile("sgd", **options)
    assert not model.compiled


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        ([np.ones((4, 4, 3))], None, "expects 2 named input"),
        ({"a": np.ones((4, 4, 3))}, None, "structure of `inputs`"),
        ([np.ones((4, 4, 3)), np.ones((3, 2))], None, "cardinality"),
        ([np.ones((4, 4, 3)), np.ones((4, 7))], None, "incompatible|Concatenate"),
        (None, [np.ones((4, 2))], "y has 1 entries"),
        (None, {"number": np.ones((4, 2)), "sort": np.ones(4)}, "entry 'sort'"),
        (None, [np.ones((4, 2)), np.ones((4, 5))], "y_true|shape"),
    ],
)
def test_data_that_do_not_fit(x: Any, y: Any, message: str) -> None:
    model = outputs_in_a_list(rnn_engine)
    model.compile("sgd", ["mse", "categorical_crossentropy"])
    before = model.get_weights()
    x = [np.ones((4, 4, 3)), np.ones((4, 2))] if x is None else x
    y = [np.ones((4, 2)), np.ones((4, 3))] if y is None else y
    for call in (model.fit, model.train_on_batch):
        with pytest.raises(ValueError, match=message):
            call(x, y)
    with pytest.raises(ValueError, match="single output"):
        model.fit([np.ones((4, 4, 3)), np.ones((4, 2))], y, class_weight={0: 1.0})
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


@pytest.mark.parametrize("eagerly", [False, True])
def test_losses_of_outputs_over_batches_of_several_sizes(eagerly):
    """Averages of batches, each counted alike; with `run_eagerly` by their rows, as in Keras."""
    rng = np.random.default_rng(3)
    results = []
    x = rng.normal(size=(7, 5, 3)).astype("float32")
    models = make_twins("a_tensor_used_twice", rnn_engine, keras)
    y = [rng.normal(size=(7, *t.shape[1:])).astype("float32") for t in models[0].outputs]
    for model in models:
        model.compile("sgd", ["mse", "mae", "mse"], run_eagerly=eagerly)
        results.append(model.evaluate(x, y, batch_size=5, verbose=0, return_dict=True))
    assert results[0] == pytest.approx(results[1], rel=1e-5)

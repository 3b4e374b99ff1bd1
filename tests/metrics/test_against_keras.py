"""Every registered metric against its Keras twin over several weighted batches."""

import contextlib
import inspect
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rnn_engine import metrics
from tests.metrics.cases import BY_ENTRY, ONLY_MATRIX, Case, cases, draw

keras = pytest.importorskip("keras")

CASES = cases(metrics.registry)
# Keras sums and divides in float32; the engine counts in float64.
TOLERANCE = {"float32": 3e-5, "float64": 1e-10}
WIDER = {
    ("R2Score", "float32"): 3e-3,  # a difference of sums that nearly cancel
    ("R2Score", "float64"): 1e-8,
    ("LogCoshError", "float64"): 1e-7,  # Keras's log(2) is a float32
}


@contextlib.contextmanager
def keras_floatx(dtype: str) -> Iterator[None]:
    """Keras keeps the counts of outcomes in `floatx` whatever the metric's dtype is."""
    before = keras.config.floatx()
    keras.config.set_floatx(dtype)
    try:
        yield
    finally:
        keras.config.set_floatx(before)


def weights_for(case: Case, form: str, args: tuple, rng: np.random.Generator) -> Any:
    samples = len(args[0])
    whole = "IoU" in case.name  # counted in integers, one weight for each label

    share = 1.0 if case.name == "R2Score" else 0.8

    def some(shape: tuple[int, ...]) -> np.ndarray:
        if whole:
            return rng.integers(0, 3, shape)
        return (rng.uniform(0.1, 2, shape) * (rng.random(shape) < share)).astype(args[-1].dtype)

    if form == "none":
        return None
    if whole:
        shape = args[0].shape[:-1] if case.kind == "onehot" else args[0].shape
        return some(shape)
    if form == "entry" and case.name in BY_ENTRY and "class_id" not in case.options:
        return some(args[0].shape)
    # There Keras lines weights (samples,) up with the steps, or fails.
    counting = not issubclass(getattr(metrics, case.name), metrics.Mean)
    aligned = counting or "ignore_class" in case.options
    if args[-1].ndim == 3 and (form == "step" or aligned):
        return some(args[-1].shape[:2])
    return some((samples,))


@pytest.mark.parametrize("case", CASES, ids=str)
@settings(max_examples=6)
@given(
    seed=st.integers(0, 2**32 - 1),
    sizes=st.lists(st.integers(1, 9), min_size=1, max_size=3),
    steps=st.sampled_from([0, 0, 1, 3]),
    form=st.sampled_from(["none", "none", "sample", "step", "entry"]),
    dtype=st.sampled_from(["float32", "float64"]),
)
def test_results_equal_keras(
    case: Case, seed: int, sizes: list[int], steps: int, form: str, dtype: str
) -> None:
    if case.name in ONLY_MATRIX or case.options.get("multi_label") or case.options.get("axis"):
        steps = 0
    if "TopK" in case.name:
        dtype = "float32"  # TensorFlow's in_top_k knows no other
    rng = np.random.default_rng(seed)
    with keras_floatx(dtype):
        setting = {**case.options, "dtype": dtype} if "IoU" not in case.name else case.options
        ours = getattr(metrics, case.name)(**setting)
        theirs = getattr(keras.metrics, case.name)(**setting)
        assert ours.name == theirs.name or theirs.name.startswith(ours.name.rstrip("_0123456789"))
        samples = 0
        for size in [*sizes, 0, *sizes[::-1]]:
            if size == 0:  # the second half starts afresh
                ours.reset_state()
                theirs.reset_state()
                samples = 0
                continue
            samples += size
            args = draw(case.kind, (size, steps) if steps else (size,), rng, dtype)
            kept = [a.copy() for a in args]
            weight = weights_for(case, form, args, rng)
            assert ours.update_state(*args, sample_weight=weight) is None
            theirs.update_state(*args, sample_weight=weight)
            for before, after in zip(kept, args, strict=True):
                np.testing.assert_array_equal(after, before)
            if case.name == "R2Score" and samples < 4:
                continue  # the variance of so few is Keras's rounding, or a warning
            expected = np.asarray(theirs.result())
            found = ours.result()
            assert np.shape(found) == expected.shape
            assert found.dtype == np.dtype(expected.dtype)
            kind = expected.dtype.name
            rtol = WIDER.get((case.name, kind), TOLERANCE[kind])
            # Counts that should cancel leave a residue of the size of the largest.
            atol = rtol * max(0.1, np.abs(expected).max(where=np.isfinite(expected), initial=0))
            np.testing.assert_allclose(found, expected, rtol=rtol, atol=atol)


@pytest.mark.parametrize("cls", metrics.registry.unique(), ids=lambda cls: cls.__name__)
def test_signature_is_keras(cls: type) -> None:
    def arguments(of: Any) -> list[tuple[str, Any, Any]]:
        parameters = inspect.signature(of).parameters.values()
        return [(p.name, p.default, p.kind) for p in parameters]

    assert arguments(cls) == arguments(getattr(keras.metrics, cls.__name__))


def test_every_name_of_keras_is_known() -> None:
    from keras.src.metrics import ALL_OBJECTS_DICT

    names = {name: cls.__name__ for name, cls in ALL_OBJECTS_DICT.items()}
    ours = {name: cls.__name__ for name, cls in metrics.registry.entries.items()}
    assert ours == {name: cls for name, cls in names.items() if cls != "Metric"}


def test_every_export_of_keras_is_there() -> None:
    public = {name for name in dir(keras.metrics) if not name.startswith("_")}
    assert public <= set(metrics.__all__), public - set(metrics.__all__)


@pytest.mark.parametrize("cls", metrics.registry.unique(), ids=lambda cls: cls.__name__)
def test_direction_is_keras(cls: type) -> None:
    """EarlyStopping and ModelCheckpoint read which way is better."""
    case = next((c for c in CASES if c.name == cls.__name__), None)
    if case is None:
        return
    theirs = getattr(keras.metrics, cls.__name__)(**case.options)
    ours = cls(**case.options)
    assert getattr(ours, "_direction", None) == getattr(theirs, "_direction", None)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_config_has_the_keys_of_keras(case: Case) -> None:
    theirs = getattr(keras.metrics, case.name)(**case.options).get_config()
    ours = getattr(metrics, case.name)(**case.options).get_config()
    if case.name == "CosineSimilarity":
        theirs["axis"] = case.options.get("axis", -1)  # Keras forgets it
    theirs.pop("name"), ours.pop("name")
    assert ours.keys() == theirs.keys()
    for key, value in theirs.items():
        assert np.array_equal(ours[key], value) or ours[key] == value, key


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("name", ["binary", "categorical", "sparse_categorical"])
def test_accuracy_functions_equal_keras(name: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    kind = {"binary": "binary", "categorical": "onehot", "sparse_categorical": "sparse"}[name]
    args = draw(kind, (5, 3), rng, "float32")
    ours = getattr(metrics, f"{name}_accuracy")(*args)
    expected = np.asarray(getattr(keras.metrics, f"{name}_accuracy")(*args))
    assert ours.dtype == expected.dtype
    np.testing.assert_array_equal(ours, expected)


@pytest.mark.parametrize("k", [1, 2, 5])
def test_top_k_with_ties_and_bad_rows_equals_keras(k: int) -> None:
    scores = np.array(
        [[0.5, 0.5, 0.1], [0.2, 0.9, 0.9], [np.nan, 0.1, 0.2], [0.1, np.inf, 0.3], [3, 2, 1]], "f"
    )
    for labels in ([0, 1, 1, 2, 2], [1, 0, 0, 1, 0], [2, 2, 2, 0, -1], [3, 2, 2, 0, 1]):
        ours = metrics.sparse_top_k_categorical_accuracy(labels, scores, k=k)
        theirs = keras.metrics.sparse_top_k_categorical_accuracy(labels, scores, k=k)
        np.testing.assert_array_equal(ours, np.asarray(theirs))


@pytest.mark.parametrize(
    ("true_shape", "pred_shape"),
    [((6,), (6, 1)), ((6, 1), (6,)), ((6, 1), (6, 1)), ((6,), (6,)), ((6, 2), (6, 2, 1))],
)
@pytest.mark.parametrize("name", ["MeanSquaredError", "Accuracy", "BinaryAccuracy", "Precision"])
def test_trailing_axis_means_what_keras_means(
    name: str, true_shape: tuple[int, ...], pred_shape: tuple[int, ...]
) -> None:
    rng = np.random.default_rng(7)
    y_true = rng.integers(0, 2, true_shape).astype("f")
    y_pred = np.round(rng.random(pred_shape), 1).astype("f")
    weight = rng.random(6).astype("f")
    if len(true_shape) > 1 and name == "Precision" and true_shape[-1] > 1:
        weight = rng.random((6, 2)).astype("f")
    ours, theirs = getattr(metrics, name)(), getattr(keras.metrics, name)()
    alone = name == "MeanSquaredError" and len(pred_shape) == len(true_shape) == 1
    for one in (None, None if alone else weight):  # alone: one sample of six outputs
        ours.update_state(y_true, y_pred, one)
        theirs.update_state(y_true, y_pred, one)
        np.testing.assert_allclose(ours.result(), theirs.result(), rtol=1e-5)


@pytest.mark.parametrize("label_shape", [(5,), (5, 1), (5, 3), (5, 3, 1), (5, 1, 1)])
@pytest.mark.parametrize("form", ["none", "sample", "step"])
def test_label_shapes_of_sparse_accuracy(label_shape: tuple[int, ...], form: str) -> None:
    rng = np.random.default_rng(3)
    steps = label_shape[1:2] if len(label_shape) == 3 or label_shape[1:] == (3,) else ()
    y_true = rng.integers(0, 3, label_shape)
    y_pred = rng.random((5, *steps, 3)).astype("f")
    weight = {"none": None, "sample": rng.random(5), "step": rng.random((5, *steps))}[form]
    ours, theirs = metrics.SparseCategoricalAccuracy(), keras.metrics.SparseCategoricalAccuracy()
    ours.update_state(y_true, y_pred, weight)
    theirs.update_state(y_true, y_pred, weight)
    np.testing.assert_allclose(ours.result(), theirs.result(), rtol=1e-5)


@pytest.mark.parametrize("name", ["MeanSquaredError", "BinaryAccuracy", "RootMeanSquaredError"])
@pytest.mark.parametrize("weighted", [False, True])
def test_mask_counts_as_in_keras(name: str, weighted: bool) -> None:
    from keras.src import backend

    rng = np.random.default_rng(11)
    ours, theirs = getattr(metrics, name)(), getattr(keras.metrics, name)()
    for _ in range(3):
        y_true, y_pred = draw("binary", (4, 5), rng, "float32")
        mask = rng.random((4, 5)) < 0.6
        mask[0] = False
        weight = rng.random((4, 5)).astype("f") if weighted else None
        tensor = keras.ops.convert_to_tensor(y_pred)
        backend.set_keras_mask(tensor, keras.ops.convert_to_tensor(mask))
        theirs.update_state(y_true, tensor, weight)
        ours.update_masked(y_true, y_pred, weight, mask)
        np.testing.assert_allclose(ours.result(), theirs.result(), rtol=1e-5)


@settings(max_examples=60)
@given(
    identifier=st.sampled_from(["accuracy", "acc", "Accuracy", "ACC", "mse", "MAE", "AUC"]),
    shapes=st.one_of(
        st.tuples(
            st.lists(st.integers(1, 3), min_size=1, max_size=3),
            st.lists(st.integers(1, 3), min_size=1, max_size=3),
        ),
        st.sampled_from([([8], [8, 1]), ([8], [8, 5]), ([8, 1], [8, 5]), ([8, 5], [8, 5])]),
    ),
)
def test_resolve_is_keras(identifier: str, shapes: tuple[list[int], list[int]]) -> None:
    from keras.src.trainers.compile_utils import get_metric

    from rnn_engine.metrics.resolve import resolve

    y_true, y_pred = (np.zeros(shape) for shape in shapes)
    theirs = get_metric(identifier, y_true, y_pred)
    ours = resolve(identifier, y_true.shape, y_pred.shape)
    assert (type(ours).__name__, ours.name) == (type(theirs).__name__, theirs.name)

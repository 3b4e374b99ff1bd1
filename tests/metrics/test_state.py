"""State, configs, names and errors, over the registry where that says something."""

import json
import threading
from typing import Any

import numpy as np
import pytest

from rnn_engine import losses, metrics
from rnn_engine.metrics.resolve import resolve, target_form
from rnn_engine.utils.naming import reset_names
from rnn_engine.variable import Variable
from tests.metrics.cases import Case, cases, draw

CASES = cases(metrics.registry)


def fed(metric: Any, kind: str, seed: int = 0) -> Any:
    rng = np.random.default_rng(seed)
    for size in (5, 3):
        metric.update_state(*draw(kind, (size,), rng, "float32"))
    return metric


@pytest.mark.parametrize("case", CASES, ids=str)
def test_config_round_trip_gives_the_same_metric(case: Case) -> None:
    one = metrics.registry.lookup(case.name)(**case.options, name="mine")
    written = metrics.serialize(one)
    if "IoU" not in case.name or "target_class_ids" not in case.options:
        written = json.loads(json.dumps(written))
    other = metrics.deserialize(written)
    assert type(other) is type(one)
    assert other.get_config() == one.get_config()
    assert other.name == "mine"
    assert [v.value.any() for v in other.variables] == [False] * len(other.variables)
    np.testing.assert_array_equal(fed(one, case.kind).result(), fed(other, case.kind).result())


@pytest.mark.parametrize("case", CASES, ids=str)
def test_reset_makes_it_as_new(case: Case) -> None:
    metric = metrics.registry.lookup(case.name)(**case.options)
    first = fed(metric, case.kind).result()
    arrays = [v.value for v in metric.variables]
    versions = [v.version for v in metric.variables]
    assert any(a.any() for a in arrays)
    metric.reset_state()
    assert not any(a.any() for a in arrays)
    assert all(a is v.value for a, v in zip(arrays, metric.variables, strict=True))
    assert all(v.version > n for v, n in zip(metric.variables, versions, strict=True))
    fed(metric, case.kind, seed=1)
    metric.reset_state()
    np.testing.assert_array_equal(fed(metric, case.kind).result(), first)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_stateless_calls_leave_the_state_alone(case: Case) -> None:
    metric = fed(metrics.registry.lookup(case.name)(**case.options), case.kind)
    before = metric.result()
    empty = metric.stateless_reset_state()
    args = draw(case.kind, (4,), np.random.default_rng(9), "float32")
    state = metric.stateless_update_state(empty, *args)
    found = metric.stateless_result(state)
    np.testing.assert_array_equal(metric.result(), before)
    metric.reset_state()
    metric.update_state(*args)
    np.testing.assert_array_equal(found, metric.result())
    with pytest.raises(ValueError, match="metric_variables"):
        metric.stateless_result(state[:-1])


def test_call_updates_and_reads() -> None:
    metric = metrics.Mean()
    assert metric([1.0, 3.0]) == 2.0
    assert metric([8.0]) == 4.0


def test_result_before_any_value() -> None:
    assert metrics.Mean().result() == 0.0
    assert metrics.Precision().result() == 0.0
    for metric in (metrics.F1Score(), metrics.R2Score(), metrics.AUC(multi_label=True)):
        metric.reset_state()
        with pytest.raises(ValueError, match="before its first update_state"):
            metric.result()


def test_variables_include_those_of_held_metrics() -> None:
    class Both(metrics.Metric):
        def __init__(self) -> None:
            super().__init__(name="both")
            self.low = metrics.Mean()
            self.more = [metrics.Sum(), metrics.Sum()]
            self.extra = Variable(np.ones(2), name="extra")
            self.own = self.add_variable((2,), "ones", name="own")

        def update_state(self, values: Any) -> None:
            for one in (self.low, *self.more):
                one.update_state(values)

        def result(self) -> Any:
            return self.low.result() + self.more[1].result()

    metric = Both()
    assert len(metric.variables) == 6
    assert metric.own.dtype == "float32"
    assert metric.own.value.tolist() == [1, 1]
    assert metric.variables[0].path == "both/own"
    assert metric([1.0, 3.0]) == 6.0
    metric.reset_state()
    assert metric.result() == 0.0
    assert not any(v.value.any() for v in metric.variables)


def test_add_variable_needs_the_base() -> None:
    class Forgetful(metrics.Metric):
        def __init__(self) -> None:
            self.add_variable(())

    with pytest.raises(RuntimeError, match=r"super\(\).__init__"):
        Forgetful()


def test_names_are_counted() -> None:
    reset_names()
    names = [metrics.Precision().name, metrics.Precision().name, metrics.MeanIoU(2).name]
    assert names == ["precision", "precision_1", "mean_io_u"]
    assert metrics.MeanSquaredError().name == metrics.MeanSquaredError().name


@pytest.mark.parametrize("name", list(metrics.registry.entries))
def test_get_finds_every_name(name: str) -> None:
    cls = metrics.registry.entries[name]
    if cls is metrics.MeanMetricWrapper or "num_classes" in cls.__init__.__code__.co_varnames:
        return  # no defaults
    if issubclass(cls, metrics.SensitivityAtSpecificity.__mro__[1]):
        return
    assert type(metrics.get(name)) is cls
    assert type(metrics.get(cls)) is cls


def test_get_passes_through() -> None:
    metric = metrics.Mean()
    assert metrics.get(metric) is metric
    assert metrics.get(None) is None
    assert metrics.get(losses.mean_squared_error) is losses.mean_squared_error
    written = {"class_name": "AUC", "config": {"curve": "PR"}, "module": "keras.metrics"}
    assert metrics.get(written).curve == "PR"
    with pytest.raises(ValueError, match="mean_squared_error"):
        metrics.get("mean_square_error")
    with pytest.raises(ValueError, match="identifier"):
        metrics.get(3)


def worst(y_true: Any, y_pred: Any, scale: float = 1.0) -> Any:
    return scale * np.abs(y_true - y_pred).max(axis=-1)


def test_wrapper_of_functions_and_losses() -> None:
    y_true, y_pred = np.zeros((2, 3)), np.array([[1.0, 0, 0], [0, 3, 2]])
    mine = metrics.MeanMetricWrapper(worst, name="worst", scale=2.0)
    mine.update_state(y_true, y_pred)
    assert mine.result() == 4.0
    assert not hasattr(mine, "_direction")
    with pytest.raises(ValueError, match="worst"):
        metrics.MeanMetricWrapper.from_config(mine.get_config())
    again = metrics.MeanMetricWrapper.from_config(mine.get_config(), {"worst": worst})
    again.update_state(y_true, y_pred)
    assert again.result() == 4.0

    known = metrics.MeanMetricWrapper(losses.mean_absolute_error, name="mae")
    assert known._direction == "down"
    known = metrics.deserialize(json.loads(json.dumps(metrics.serialize(known))))
    known.update_state(y_true, y_pred)
    np.testing.assert_allclose(known.result(), 1.0)

    loss = metrics.MeanMetricWrapper(losses.MeanSquaredError(), name="loss")
    loss = metrics.deserialize(json.loads(json.dumps(metrics.serialize(loss))))
    loss.update_state(y_true, y_pred)
    np.testing.assert_allclose(loss.result(), 14 / 6, rtol=1e-6)


def test_custom_objects() -> None:
    class Mine(metrics.Mean):
        pass

    written = metrics.serialize(Mine(name="m"))
    with pytest.raises(ValueError, match="Mine"):
        metrics.deserialize(written)
    assert isinstance(metrics.deserialize(written, {"Mine": Mine}), Mine)


def test_target_form() -> None:
    assert target_form((8,), (8, 1)) == "binary"
    assert target_form((8, 3, 1), (8, 3, 1)) == "binary"
    assert target_form((8,), (8, 3)) == "sparse_categorical"
    assert target_form((8, 1), (8, 3)) == "sparse_categorical"
    assert target_form((8, 3), (8, 3)) == "categorical"
    assert target_form((8, 5), (8, 5, 3)) == "sparse_categorical"


def test_resolve_names_and_wraps() -> None:
    shapes = (8,), (8, 3)
    crossentropy = resolve("ce", *shapes, loss=losses.SparseCategoricalCrossentropy(True))
    assert isinstance(crossentropy, metrics.SparseCategoricalCrossentropy)
    assert crossentropy.name == "ce"
    assert crossentropy.from_logits
    assert not resolve("crossentropy", *shapes).from_logits
    assert resolve(worst, *shapes).name == "worst"
    assert isinstance(resolve(worst, *shapes), metrics.MeanMetricWrapper)
    mine = metrics.Precision(name="p")
    assert resolve(mine, *shapes) is mine
    assert mine.name == "p"
    assert resolve(metrics.Mean, *shapes).name == "mean"
    for bad in (None, "acuracy"):
        with pytest.raises(ValueError, match="metric"):
            resolve(bad, *shapes)


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda: metrics.Mean(dtype="float16"), "dtype"),
        (lambda: metrics.Precision(thresholds=[0.2, 1.2]), "1.2"),
        (lambda: metrics.Recall(thresholds=-0.1), "Threshold values"),
        (lambda: metrics.AUC(num_thresholds=1), "num_thresholds"),
        (lambda: metrics.AUC(curve="pro"), "curve"),
        (lambda: metrics.AUC(summation_method="middle"), "summation method"),
        (lambda: metrics.AUC(num_labels=3), "num_labels"),
        (lambda: metrics.F1Score(average="mean"), "average"),
        (lambda: metrics.F1Score(threshold=1), "threshold"),
        (lambda: metrics.FBetaScore(beta=1), "beta"),
        (lambda: metrics.FBetaScore(beta=-1.0), "beta"),
        (lambda: metrics.IoU(num_classes=2, target_class_ids=[2]), "class id 2 is out of range"),
        (lambda: metrics.R2Score(class_aggregation="mean"), "class_aggregation"),
        (lambda: metrics.R2Score(num_regressors=-1), "num_regressors"),
        (lambda: metrics.SensitivityAtSpecificity(1.5), "specificity"),
        (lambda: metrics.PrecisionAtRecall(0.5, num_thresholds=0), "num_thresholds"),
    ],
)
def test_bad_arguments(make: Any, match: str) -> None:
    with pytest.raises(ValueError, match=match):
        make()


BAD_BATCHES = [
    ("mse", (np.zeros(5), np.zeros((5, 5))), {}),
    ("mse", (np.zeros((5, 2)), np.zeros((4, 2))), {}),
    ("Accuracy", (np.zeros(5), np.zeros((5, 5))), {}),
    ("BinaryAccuracy", (np.zeros((4, 1)), np.zeros((5, 1))), {}),
    ("CategoricalAccuracy", (np.zeros((5, 3)), np.zeros((4, 3))), {}),
    ("SparseCategoricalAccuracy", (np.zeros(5), np.zeros((4, 3))), {}),
    ("SparseTopKCategoricalAccuracy", (np.zeros(5), np.zeros((4, 3))), {}),
    ("SparseCategoricalCrossentropy", (np.array([0, 3]), np.full((2, 3), 0.3)), {}),
    ("Precision", (np.zeros(5), np.zeros((5, 5))), {}),
    ("Recall", (np.zeros(5), np.zeros(5)), {"class_id": 1}),
    ("Recall", (np.zeros((5, 2)), np.zeros((5, 2))), {"class_id": 2}),
    ("AUC", (np.zeros((5, 2, 2)), np.zeros((5, 2, 2))), {"multi_label": True}),
    ("F1Score", (np.zeros(5), np.zeros(5)), {}),
    ("R2Score", (np.zeros(5), np.zeros(5)), {}),
    ("MeanIoU", (np.zeros(5, int), np.zeros(4, int)), {"num_classes": 2}),
    ("mae", (np.array(["a"]), np.array([1.0])), {}),
    ("Mean", (np.array([1j]),), {}),
    ("Mean", ([[1.0], [1.0, 2.0]],), {}),
]


@pytest.mark.parametrize(("name", "args", "options"), BAD_BATCHES)
def test_bad_batch_changes_nothing(name: str, args: tuple, options: dict[str, Any]) -> None:
    metric = metrics.registry.lookup(name)(**options)
    with pytest.raises(ValueError, match=r"y_true|y_pred|values|class_id"):
        metric.update_state(*args)
    assert not any(v.value.any() for v in metric.variables)


@pytest.mark.parametrize(
    "name", ["mse", "RootMeanSquaredError", "BinaryAccuracy", "Precision", "AUC", "F1Score"]
)
def test_bad_weights_change_nothing(name: str) -> None:
    metric = metrics.get(name)
    batch = np.ones((5, 2)), np.full((5, 2), 0.7)
    with pytest.raises(ValueError, match="sample_weight"):
        metric.update_state(*batch, sample_weight=np.ones(4))
    assert not any(v.value.any() for v in metric.variables)


def test_labels_of_another_count_are_refused() -> None:
    for metric in (metrics.F1Score(), metrics.R2Score(), metrics.AUC(multi_label=True)):
        metric.update_state(np.eye(3), np.eye(3))
        kept = [v.numpy() for v in metric.variables]
        with pytest.raises(ValueError, match="y_pred"):
            metric.update_state(np.eye(2), np.eye(2))
        for before, variable in zip(kept, metric.variables, strict=True):
            np.testing.assert_array_equal(before, variable.value)


def test_iou_says_that_it_cuts_weights() -> None:
    metric = metrics.MeanIoU(num_classes=2)
    with pytest.warns(UserWarning, match="cut to integers"):
        metric.update_state([0, 1], [0, 0], np.array([1.7, 0.9]))
    assert metric.total_cm.value.tolist() == [[1, 0], [0, 0]]
    kept = metrics.MeanIoU(num_classes=2, dtype="float32")
    kept.update_state([0, 1], [0, 0], np.array([1.5, 0.5]))
    assert kept.total_cm.value.tolist() == [[1.5, 0], [0.5, 0]]


def test_masked_sample_weights_belong_to_samples() -> None:
    """Keras lines weights (samples,) up with the steps of a mask; they are the samples'."""
    y_true, y_pred = np.zeros((2, 2, 1)), np.array([[[1.0], [2.0]], [[3.0], [4.0]]])
    metric = metrics.MeanAbsoluteError()
    mask = np.array([[True, True], [True, False]])
    metric.update_masked(y_true, y_pred, np.array([1.0, 3.0]), mask)
    # Per sample: mean over steps of weight times value, and of weight.
    np.testing.assert_allclose(metric.result(), (1.5 + 4.5) / (1.0 + 1.5))


def test_separate_metrics_in_threads() -> None:
    def work(metric: Any) -> None:
        for _ in range(300):
            metric.update_state([[1.0, 0.0]], [[0.9, 0.2]])

    many = [metrics.AUC() for _ in range(4)]
    threads = [threading.Thread(target=work, args=(metric,)) for metric in many]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(metric.true_positives.value[0] == 300 for metric in many)

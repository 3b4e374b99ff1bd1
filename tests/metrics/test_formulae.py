"""Metrics against their definitions, written out in float64 without the engine."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnn_engine import metrics

SEEDS = st.integers(0, 2**32 - 1)


@given(seed=SEEDS, batches=st.integers(1, 4), weighted=st.booleans())
def test_mean_weighs_samples(seed: int, batches: int, weighted: bool) -> None:
    rng = np.random.default_rng(seed)
    metric, total, count = metrics.Mean(dtype="float64"), 0.0, 0.0
    for _ in range(batches):
        values = rng.normal(size=(rng.integers(1, 6), 3))
        weight = rng.random(len(values)) if weighted else np.ones(len(values))
        metric.update_state(values, weight if weighted else None)
        total += sum(w * row.mean() for w, row in zip(weight, values, strict=True))
        count += weight.sum()
    np.testing.assert_allclose(metric.result(), total / count, rtol=1e-12)


def test_mean_of_numbers_with_weights() -> None:
    metric = metrics.Mean()
    metric.update_state(2.0, sample_weight=3)
    metric.update_state(6.0)
    assert metric.result() == 3.0
    assert metric.result().dtype == np.float32
    assert metric.result().numpy() == 3.0


@given(seed=SEEDS, axes=st.integers(2, 4), batches=st.integers(1, 3))
def test_errors_of_regression(seed: int, axes: int, batches: int) -> None:
    rng = np.random.default_rng(seed)
    shapes = [(rng.integers(1, 5), *range(2, axes + 1)) for _ in range(batches)]
    pairs = [(rng.normal(size=s), rng.normal(size=s)) for s in shapes]
    errors = np.concatenate([(p - t).ravel() for t, p in pairs])
    expected = {
        "mse": np.mean(errors**2),
        "mae": np.mean(np.abs(errors)),
        "RootMeanSquaredError": np.sqrt(np.mean(errors**2)),
    }
    for name, value in expected.items():
        for dtype, rtol in (("float64", 1e-12), ("float32", 2e-6)):
            metric = metrics.registry.lookup(name)(dtype=dtype)
            for y_true, y_pred in pairs:
                metric.update_state(y_true.astype(dtype), y_pred.astype(dtype))
            np.testing.assert_allclose(metric.result(), value, rtol=rtol)


@given(seed=SEEDS, weighted=st.booleans())
def test_r2_is_share_of_variance(seed: int, weighted: bool) -> None:
    rng = np.random.default_rng(seed)
    y_true = rng.normal(size=(20, 3)) + 5
    y_pred = y_true + rng.normal(size=(20, 3))
    weight = rng.random(20) if weighted else np.ones(20)
    mean = (weight @ y_true) / weight.sum()
    scores = 1 - weight @ (y_true - y_pred) ** 2 / (weight @ (y_true - mean) ** 2)
    metric = metrics.R2Score(class_aggregation=None, dtype="float64")
    for part in np.split(np.arange(20), [7, 8]):
        metric.update_state(y_true[part], y_pred[part], weight[part])
    np.testing.assert_allclose(metric.result(), scores, rtol=1e-9)


def test_r2_of_a_constant_is_zero_not_rounding() -> None:
    metric = metrics.R2Score(dtype="float64")
    for weight in (0.7, 0.1, 1.3):
        metric.update_state([[0.1]], [[0.4]], [weight])
    assert metric.result() == 0.0


@given(seed=SEEDS, grid=st.integers(2, 9), weighted=st.booleans())
def test_roc_area_is_the_chance_to_rank_right(seed: int, grid: int, weighted: bool) -> None:
    """Mann and Whitney: a positive outranks a negative, ties count half."""
    rng = np.random.default_rng(seed)
    y_true = rng.permutation(np.arange(30) % 3 == 0)
    rank = rng.integers(0, grid, 30)
    weight = rng.random(30) if weighted else np.ones(30)
    positive, negative = np.flatnonzero(y_true), np.flatnonzero(~y_true)
    better = (rank[positive, None] > rank[negative]) + 0.5 * (
        rank[positive, None] == rank[negative]
    )
    pairs = weight[positive, None] * weight[negative]
    # Each rank lies in the middle between two thresholds.
    metric = metrics.AUC(num_thresholds=grid + 1, dtype="float64")
    metric.update_state(y_true, (rank + 0.5) / grid, weight)
    np.testing.assert_allclose(metric.result(), (better * pairs).sum() / pairs.sum(), rtol=1e-9)


@given(seed=SEEDS)
def test_pr_area_is_the_integral_of_interpolated_precision(seed: int) -> None:
    """Davis and Goadrich: between two thresholds TP grows evenly with what is called."""
    rng = np.random.default_rng(seed)
    y_true, rank = rng.permutation(np.arange(40) % 3 == 0), rng.integers(0, 6, 40)
    metric = metrics.AUC(num_thresholds=7, curve="PR", dtype="float64")
    metric.update_state(y_true, (rank + 0.5) / 6)
    area = 0.0
    for limit in range(6):
        called, hits = (rank > limit).sum(), (y_true & (rank > limit)).sum()
        more, gain = (rank == limit).sum(), (y_true & (rank == limit)).sum()
        if more:
            share = (np.arange(20000) + 0.5) / 20000
            precision = (hits + share * gain) / (called + share * more)
            area += precision.mean() * gain / y_true.sum()
    np.testing.assert_allclose(metric.result(), area, rtol=1e-6)


@given(seed=SEEDS, bound=st.sampled_from([0.11, 0.37, 0.61, 0.83]))
def test_rate_at_rate_is_the_best_over_thresholds(seed: int, bound: float) -> None:
    rng = np.random.default_rng(seed)
    y_true, rank = rng.permutation(np.arange(24) % 2 == 0), rng.integers(0, 7, 24)
    rates: dict[str, list[float]] = {name: [] for name in ("se", "sp", "pr")}
    for limit in range(-1, 7):
        called = rank > limit
        rates["se"].append((called & y_true).sum() / y_true.sum())
        rates["sp"].append((~called & ~y_true).sum() / (~y_true).sum())
        rates["pr"].append((called & y_true).sum() / max(called.sum(), 1))
    table = {name: np.array(values) for name, values in rates.items()}
    for cls, wanted, bounded in (
        (metrics.SensitivityAtSpecificity, "se", "sp"),
        (metrics.SpecificityAtSensitivity, "sp", "se"),
        (metrics.PrecisionAtRecall, "pr", "se"),
        (metrics.RecallAtPrecision, "se", "pr"),
    ):
        metric = cls(bound, num_thresholds=8, dtype="float64")
        metric.update_state(y_true, (rank + 0.5) / 7)
        best = table[wanted][table[bounded] >= bound]
        np.testing.assert_allclose(metric.result(), best.max() if best.size else 0.0)


@given(seed=SEEDS, k=st.integers(1, 5))
def test_top_k_sorts(seed: int, k: int) -> None:
    rng = np.random.default_rng(seed)
    scores, labels = rng.random((9, 5)), rng.integers(0, 5, 9)
    best = np.argsort(-scores, axis=1)[:, :k]
    expected = np.mean([label in row for label, row in zip(labels, best, strict=True)])
    for cls, y_true in (
        (metrics.SparseTopKCategoricalAccuracy, labels),
        (metrics.TopKCategoricalAccuracy, np.eye(5)[labels]),
    ):
        metric = cls(k=k)
        metric.update_state(y_true, scores)
        np.testing.assert_allclose(metric.result(), expected, rtol=1e-6)
    ids = metrics.SparseTopKCategoricalAccuracy(k=k, from_sorted_ids=True)
    ids.update_state(labels, np.argsort(-scores, axis=1))
    np.testing.assert_allclose(ids.result(), expected, rtol=1e-6)


@given(seed=SEEDS)
def test_correlations(seed: int) -> None:
    rng = np.random.default_rng(seed)
    y_true, y_pred = rng.normal(size=(2, 4, 7)) * [[[2.0]], [[0.7]]] + [[[1.0]], [[-0.5]]]
    pearson = [np.corrcoef(t, p)[0, 1] for t, p in zip(y_true, y_pred, strict=True)]
    np.testing.assert_allclose(metrics.pearson_correlation(y_true, y_pred), pearson, rtol=1e-9)
    concordance = [
        2 * np.cov(t, p, bias=True)[0, 1] / (t.var() + p.var() + (t.mean() - p.mean()) ** 2)
        for t, p in zip(y_true, y_pred, strict=True)
    ]
    np.testing.assert_allclose(
        metrics.concordance_correlation(y_true, y_pred), concordance, rtol=1e-5, atol=1e-7
    )


@given(
    seed=SEEDS,
    thresholds=st.lists(st.sampled_from([0.0, 0.2, 0.25, 0.5, 0.75, 1.0]), min_size=1, max_size=5),
    weighted=st.booleans(),
)
def test_outcomes_are_counted_one_by_one(
    seed: int, thresholds: list[float], weighted: bool
) -> None:
    rng = np.random.default_rng(seed)
    y_true = rng.integers(0, 2, (6, 3))
    y_pred = np.round(rng.random((6, 3)) * 8) / 8
    y_pred[rng.random((6, 3)) < 0.1] = np.nan  # never above a threshold
    weight = rng.random(6) if weighted else None
    expected = {name: np.zeros(len(thresholds)) for name in ("tp", "fp", "tn", "fn")}
    for i, limit in enumerate(thresholds):
        for (row, _), label, score in zip(
            np.ndindex(6, 3), y_true.ravel(), y_pred.ravel(), strict=True
        ):
            outcome = ("t" if label == (score > limit) else "f") + ("p" if score > limit else "n")
            expected[outcome][i] += 1 if weight is None else weight[row]
    classes = {
        "tp": metrics.TruePositives,
        "fp": metrics.FalsePositives,
        "tn": metrics.TrueNegatives,
        "fn": metrics.FalseNegatives,
    }
    for name, cls in classes.items():
        metric = cls(thresholds=thresholds, dtype="float64")
        metric.update_state(y_true, y_pred, weight)
        want = expected[name] if len(thresholds) > 1 else expected[name][0]
        np.testing.assert_allclose(metric.result(), want, rtol=1e-12, atol=1e-12)


def test_weights_of_samples_in_sequences() -> None:
    """Five samples of five steps: the weights must not land on the steps."""
    rng = np.random.default_rng(4)
    y_true, y_pred = rng.integers(0, 2, (5, 5, 2)), rng.random((5, 5, 2))
    weight = rng.random(5)
    found, spread = metrics.TruePositives(dtype="float64"), metrics.AUC(dtype="float64")
    found.update_state(y_true, y_pred, weight)
    spread.update_state(y_true, y_pred, weight)
    hits = ((y_true == 1) & (y_pred > 0.5)).sum(axis=(1, 2))
    np.testing.assert_allclose(found.result(), hits @ weight)
    np.testing.assert_allclose(spread.true_positives.value[0], y_true.sum(axis=(1, 2)) @ weight)


@given(seed=SEEDS)
def test_f_score_is_the_harmonic_mean(seed: int) -> None:
    rng = np.random.default_rng(seed)
    y_true, scores = rng.integers(0, 2, (40, 3)), rng.random((40, 3))
    called = scores > 0.5
    precision = (called & (y_true == 1)).sum(axis=0) / called.sum(axis=0)
    recall = (called & (y_true == 1)).sum(axis=0) / y_true.sum(axis=0)
    f2 = 5 * precision * recall / (4 * precision + recall)
    metric = metrics.FBetaScore(beta=2.0, threshold=0.5, dtype="float64")
    for part in np.split(np.arange(40), [11]):
        metric.update_state(y_true[part], scores[part])
    np.testing.assert_allclose(metric.result(), f2, atol=1e-5)


@given(seed=SEEDS, weighted=st.booleans())
def test_iou_counts_sets(seed: int, weighted: bool) -> None:
    rng = np.random.default_rng(seed)
    y_true, y_pred = rng.integers(0, 3, (2, 4, 5))
    weight = rng.integers(0, 3, (4, 5)) if weighted else np.ones((4, 5), int)
    metric = metrics.MeanIoU(num_classes=3)
    metric.update_state(y_true, y_pred, weight if weighted else None)
    scores = []
    for c in range(3):
        union = weight[(y_true == c) | (y_pred == c)].sum()
        if union:
            scores.append(weight[(y_true == c) & (y_pred == c)].sum() / union)
    np.testing.assert_allclose(metric.result(), np.mean(scores) if scores else 0, atol=1e-5)


def test_counters_go_beyond_float32() -> None:
    """A float32 counter stands still at 2**24; ours must not."""
    metric = metrics.Mean()
    metric.count.assign(2.0**24)
    metric.total.assign(2.0**24)
    for _ in range(3):
        metric.update_state([1.0])
    assert metric.count.value == 2**24 + 3
    hits = metrics.TruePositives()
    hits.accumulator.assign([2.0**24])
    hits.update_state([1], [1])
    assert hits.accumulator.value[0] == 2**24 + 1


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_layout_of_the_arrays_does_not_matter(dtype: str) -> None:
    rng = np.random.default_rng(0)
    y_true, y_pred = rng.normal(size=(2, 6, 4)).astype(dtype)
    results = []
    for form in (
        lambda a: a,
        np.asfortranarray,
        lambda a: np.repeat(a, 2, axis=1)[:, ::2],
        lambda a: a.astype(np.dtype(dtype).newbyteorder()),
    ):
        one = [form(y_true), form(y_pred)]
        one[0].flags.writeable = False
        one[1].flags.writeable = False
        metric = metrics.MeanSquaredError(dtype=dtype)
        metric.update_state(*one)
        results.append(metric.result())
    np.testing.assert_allclose(results, results[0], rtol=1e-6)


def test_a_bound_that_is_met_exactly_counts() -> None:
    metric = metrics.SensitivityAtSpecificity(0.5)
    metric.update_state([0, 0, 1, 1], [0.2, 0.6, 0.4, 0.8])
    assert float(metric.result()) == 1.0  # any threshold between 0.2 and 0.4 will do
    other = metrics.PrecisionAtRecall(0.5)
    other.update_state([0, 0, 1, 1], [0.2, 0.6, 0.4, 0.8])
    assert float(other.result()) == 1.0  # one of the two, above 0.6


def test_classes_are_counted_from_the_end_too() -> None:
    y = np.eye(3)[[1, 2, 0, 2]]
    scores = np.array([[0.1, 0.8, 0.7], [0.2, 0.3, 0.9], [0.6, 0.2, 0.1], [0.6, 0.3, 0.2]])
    for cls in (metrics.Recall, metrics.Precision):
        for class_id, column in ((-1, 2), (-3, 0)):
            metric, alone = cls(class_id=class_id), cls()
            metric.update_state(y, scores)
            alone.update_state(y[:, column], scores[:, column])
            assert 0 < float(metric.result()) == float(alone.result())


def test_a_score_of_zero_passes_the_first_threshold_of_a_curve_and_nan_none() -> None:
    metric = metrics.AUC(num_thresholds=3)
    metric.update_state([1, 1, 1, 0, 0], [np.nan, 0.0, 0.9, 0.0, np.nan])
    assert np.asarray(metric.true_positives.value).tolist() == [2, 1, 0]
    assert np.asarray(metric.false_negatives.value).tolist() == [1, 2, 3]
    assert np.asarray(metric.false_positives.value).tolist() == [1, 0, 0]
    assert np.asarray(metric.true_negatives.value).tolist() == [1, 2, 2]


def test_weights_of_labels_and_of_samples_are_multiplied() -> None:
    rng = np.random.default_rng(0)
    y, scores = rng.random((12, 3)) < 0.5, rng.random((12, 3))
    labels, samples = np.array([1.0, 2.0, 5.0]), rng.uniform(0.1, 3, 12)
    metric, alone = metrics.AUC(label_weights=labels), metrics.AUC()
    metric.update_state(y, scores, samples)
    alone.update_state(y, scores, samples[:, None] * labels)
    assert float(metric.result()) == pytest.approx(float(alone.result()), rel=1e-5)

"""Options and data for every metric; an entry not listed here gets the default ones."""

from typing import Any, NamedTuple

import numpy as np


class Case(NamedTuple):
    """One set of options of one metric, and the kind of data it takes."""

    name: str
    kind: str
    options: dict[str, Any]

    def __str__(self) -> str:
        return f"{self.name}-{'-'.join(f'{k}={v}' for k, v in self.options.items())}"


CLASSES = 4

_THRESHOLDS: list[dict[str, Any]] = [
    {},
    {"thresholds": 0.3},
    {"thresholds": [0.7, 0.2, 0.5]},
    {"thresholds": [0.0, 0.25, 0.5, 0.75, 1.0]},
]
_TOP: list[dict[str, Any]] = [
    {"top_k": 2},
    {"class_id": 1},
    {"top_k": 3, "class_id": 2, "thresholds": [0.4]},
]
_AUC: list[dict[str, Any]] = [
    {"curve": curve, "summation_method": method, "num_thresholds": 17}
    for curve in ("ROC", "PR", "PRGAIN")
    for method in ("interpolation", "minoring", "majoring")
]
_F: list[dict[str, Any]] = [
    {"average": average, "threshold": threshold}
    for average in (None, "micro", "macro", "weighted")
    for threshold in (None, 0.4)
]
_WEIGHTS = [0.5, 1.0, 2.0, 0.25]

OPTIONS: dict[str, tuple[str, list[dict[str, Any]]]] = {
    "Mean": ("values", [{}]),
    "Sum": ("values", [{}]),
    "MeanSquaredError": ("reals", [{}]),
    "RootMeanSquaredError": ("reals", [{}]),
    "MeanAbsoluteError": ("reals", [{}]),
    "MeanAbsolutePercentageError": ("reals", [{}]),
    "MeanSquaredLogarithmicError": ("positive", [{}]),
    "LogCoshError": ("reals", [{}]),
    "CosineSimilarity": ("reals", [{}, {"axis": 1}]),
    "PearsonCorrelation": ("reals", [{}]),
    "ConcordanceCorrelation": ("reals", [{}]),
    "R2Score": (
        "matrix",
        [
            {},
            {"class_aggregation": None},
            {"class_aggregation": "variance_weighted_average"},
            {"num_regressors": 2},
        ],
    ),
    "KLDivergence": ("onehot", [{}]),
    "Poisson": ("positive", [{}]),
    "Accuracy": ("labels", [{}]),
    "BinaryAccuracy": ("binary", [{}, {"threshold": 0.25}]),
    "BinaryCrossentropy": ("binary", [{}, {"from_logits": True}, {"label_smoothing": 0.2}]),
    "CategoricalAccuracy": ("onehot", [{}]),
    "CategoricalCrossentropy": ("onehot", [{}, {"from_logits": True}, {"label_smoothing": 0.2}]),
    "CategoricalHinge": ("onehot", [{}]),
    "SparseCategoricalAccuracy": ("sparse", [{}]),
    "SparseCategoricalCrossentropy": ("sparse", [{}, {"from_logits": True}, {"ignore_class": 1}]),
    "TopKCategoricalAccuracy": ("onehot", [{"k": 1}, {"k": 2}, {}]),
    "SparseTopKCategoricalAccuracy": ("sparse", [{"k": 1}, {"k": 3}]),
    "F1Score": ("multilabel", _F),
    "FBetaScore": ("multilabel", [{"beta": 2.0, **options} for options in _F]),
    "TruePositives": ("binary", _THRESHOLDS),
    "FalsePositives": ("binary", _THRESHOLDS),
    "TrueNegatives": ("binary", _THRESHOLDS),
    "FalseNegatives": ("binary", _THRESHOLDS),
    "Precision": ("multilabel", _THRESHOLDS + _TOP),
    "Recall": ("multilabel", _THRESHOLDS + _TOP),
    "SensitivityAtSpecificity": (
        "binary",
        [{"specificity": 0.41}, {"specificity": 0.51, "num_thresholds": 1}],
    ),
    "SpecificityAtSensitivity": ("binary", [{"sensitivity": 0.41, "num_thresholds": 20}]),
    "PrecisionAtRecall": (
        "multilabel",
        [{"recall": 0.61}, {"recall": 0.61, "num_thresholds": 2, "class_id": 3}],
    ),
    "RecallAtPrecision": ("binary", [{"precision": 0.61}]),
    "AUC": (
        "multilabel",
        [
            *_AUC,
            {"from_logits": True},
            {"thresholds": [0.1, 0.6, 0.3]},
            {"thresholds": [0.25, 0.5, 0.75], "curve": "PR"},
            {"multi_label": True},
            {"multi_label": True, "num_labels": CLASSES, "label_weights": _WEIGHTS, "curve": "PR"},
            {"multi_label": True, "thresholds": [0.3, 0.4], "label_weights": _WEIGHTS},
            {"label_weights": _WEIGHTS},
        ],
    ),
    "IoU": ("classes", [{"num_classes": CLASSES, "target_class_ids": [0, 2]}]),
    "MeanIoU": ("classes", [{"num_classes": CLASSES}, {"num_classes": 4, "ignore_class": 1}]),
    "BinaryIoU": ("binary", [{}, {"target_class_ids": [1], "threshold": 0.3}]),
    "OneHotIoU": ("onehot", [{"num_classes": CLASSES, "target_class_ids": [1, 3]}]),
    "OneHotMeanIoU": ("onehot", [{"num_classes": CLASSES}]),
}

# What takes (samples, outputs) alone.
ONLY_MATRIX = {"R2Score", "F1Score", "FBetaScore"}
# Weighted by counting entries one by one, so that weights may have every axis.
BY_ENTRY = {"Precision", "Recall", "AUC", "PrecisionAtRecall"}


def cases(registry: Any) -> list[Case]:
    """Return the cases of every registered metric."""
    found = []
    for cls in registry.unique():
        name = cls.__name__
        if name == "MeanMetricWrapper":
            continue  # its function is tested by its subclasses, its config apart
        kind, options = OPTIONS.get(name, ("binary", [{}]))
        found += [Case(name, kind, one) for one in options]
    return found


def draw(kind: str, shape: tuple[int, ...], rng: np.random.Generator, dtype: str) -> tuple:
    """Return the arguments of `update_state` but the weights; batch shape `shape`."""
    full = (*shape, CLASSES)
    if kind == "values":
        return (rng.normal(size=full).astype(dtype),)
    if kind in ("reals", "matrix"):
        return _reals(full, rng, dtype), _reals(full, rng, dtype)
    if kind == "positive":
        return rng.gamma(2.0, size=full).astype(dtype), rng.gamma(2.0, size=full).astype(dtype)
    if kind == "labels":
        return tuple(rng.integers(0, 3, full).astype(dtype) for _ in range(2))
    if kind == "classes":
        return rng.integers(-1, CLASSES, shape), rng.integers(0, CLASSES, shape)
    scores = _scores(full, rng, dtype)
    if kind in ("binary", "multilabel"):
        return rng.integers(0, 2, full).astype(dtype), scores
    labels = rng.integers(0, CLASSES, shape)
    scores /= scores.sum(axis=-1, keepdims=True)
    if kind == "sparse":
        return labels, scores
    assert kind == "onehot"
    return np.eye(CLASSES, dtype=dtype)[labels], scores


def _reals(shape: tuple[int, ...], rng: np.random.Generator, dtype: str) -> np.ndarray:
    return (rng.normal(size=shape) + 0.3).astype(dtype)


def _scores(shape: tuple[int, ...], rng: np.random.Generator, dtype: str) -> np.ndarray:
    """Half the time scores on a grid, so that they tie with each other and with thresholds."""
    scores = rng.uniform(0.02, 0.98, shape)
    if rng.random() < 0.5:
        scores = np.round(scores * 8 + 0.51) / 8
    return scores.astype(dtype)

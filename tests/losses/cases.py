"""Random cases for every registered loss: options by their names, data by what a loss takes."""

import inspect
from dataclasses import dataclass
from typing import Any

import numpy as np
from hypothesis import strategies as st

from rnn_engine.losses import Loss, LossFunctionWrapper, registry

LOSSES = {
    entry.__name__: entry
    for entry in registry.unique()
    if isinstance(entry, type) and issubclass(entry, LossFunctionWrapper)
    if entry.__name__ != "CTC"  # of label sequences: tests/ops/test_ctc.py
}
REDUCTIONS = ["sum_over_batch_size", "sum", "mean", "mean_with_sample_weight", "none", None]
# What y_true and y_pred look like; every other loss takes targets and predictions in 0..1.
REALS = {
    "MeanSquaredError", "MeanAbsoluteError", "MeanAbsolutePercentageError", "Huber", "LogCosh",
    "CosineSimilarity", "Hinge", "SquaredHinge", "CategoricalHinge", "MeanSquaredLogarithmicError",
}  # fmt: skip
LABELS = {"SparseCategoricalCrossentropy", "CategoricalGeneralizedCrossEntropy"}
DISTRIBUTIONS = {"CategoricalCrossentropy", "CategoricalFocalCrossentropy", "KLDivergence"}
# Losses of one number for a whole batch, where axis is None.
WHOLE_BATCH = {"Dice", "Tversky"}

OPTIONS: dict[str, list[Any]] = {
    "from_logits": [False, True],
    "label_smoothing": [0.0, 0.15],
    "axis": [-1],
    "delta": [1.0, 0.3],
    "alpha": [0.25, 0.6],
    "beta": [0.5, 0.8],
    "gamma": [2.0, 1.5, 3.0],
    "apply_class_balancing": [False, True],
    "ignore_class": [None, -1, 1],
    "q": [0.5, 0.9],
}
AXES = {
    "CosineSimilarity": [-1, 0],
    "BinaryCrossentropy": [-1, 0],
    "CategoricalCrossentropy": [-1, 0],
    "CategoricalFocalCrossentropy": [-1, 0],
    "Dice": [None, -1, (-1,)],
    "Tversky": [None, -1, (-1,)],
}


@dataclass
class Case:
    """One call of one loss."""

    cls: type[Loss]
    options: dict[str, Any]
    reduction: str | None
    y_true: np.ndarray
    y_pred: np.ndarray
    sample_weight: np.ndarray | None = None
    mask: np.ndarray | None = None

    @property
    def loss(self) -> Loss:
        return self.cls(**self.options, reduction=self.reduction)


def options_of(cls: type[Loss]) -> dict[str, list[Any]]:
    """Return the values to try for each of a loss's own options."""
    names = list(inspect.signature(cls).parameters)
    own = [name for name in names if name not in ("reduction", "name", "dtype")]
    return {n: AXES.get(cls.__name__, [-1]) if n == "axis" else OPTIONS[n] for n in own}


@st.composite
def cases(draw: Any, cls: type[Loss], smooth: bool = False, dtypes: Any = None) -> Case:
    """Draw a case; with `smooth`, away from kinks and clips, fit for finite differences."""
    name = cls.__name__
    options = {n: draw(st.sampled_from(v), label=n) for n, v in options_of(cls).items()}
    dtype = draw(st.sampled_from(dtypes or [np.float32, np.float64]), label="dtype")
    shape = tuple(draw(st.lists(st.integers(1, 5), min_size=2, max_size=3), label="shape"))
    if name in DISTRIBUTIONS | LABELS:  # one class is a case of its own
        shape = (*shape[:-1], shape[-1] + 1)
    if isinstance(options.get("axis"), int) and options["axis"] == 0:
        shape = (shape[0] + 1, *shape[1:])
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1), label="seed"))
    y_true, y_pred = _data(rng, name, options, shape, smooth)
    reduction = draw(st.sampled_from(REDUCTIONS), label="reduction")
    y_pred = y_pred.astype(dtype)
    case = Case(cls, options, reduction, y_true, y_pred)
    values_shape = np.shape(cls(**options, reduction=None)(y_true, y_pred))
    case.sample_weight = draw(_weights(rng, values_shape), label="sample_weight")
    if values_shape and draw(st.booleans(), label="masked"):
        case.mask = rng.random(values_shape) < draw(st.sampled_from([0.0, 0.6, 1.0]))
    return case


def _data(
    rng: np.random.Generator, name: str, options: dict[str, Any], shape: Any, smooth: bool
) -> tuple[np.ndarray, np.ndarray]:
    logits = options.get("from_logits", False)
    if name in REALS or logits:
        y_pred = rng.normal(size=shape) * (2 if smooth else rng.choice([0.1, 2, 30]))
    else:
        y_pred = rng.uniform(0.05, 0.95, shape)
        if not smooth and name != "CategoricalGeneralizedCrossEntropy":  # beyond and at the clip
            y_pred[rng.random(shape) < 0.1] = rng.choice([0.0, 1.0, 1e-9])
    if name == "MeanSquaredLogarithmicError" and smooth:
        y_pred = np.abs(y_pred) + 0.1
    axis = options.get("axis", -1)
    if name in LABELS:
        y_true = rng.integers(0, shape[-1], shape[:-1])
        if options.get("ignore_class") is not None:
            y_true[rng.random(y_true.shape) < 0.3] = options["ignore_class"]
        return (y_true[..., None] if rng.random() < 0.3 else y_true), y_pred
    if name in DISTRIBUTIONS:
        y_true = rng.dirichlet(np.ones(shape[axis]), np.delete(shape, axis))
        return np.moveaxis(y_true, -1, axis), y_pred
    if name in REALS:
        y_true = rng.normal(size=shape) * 2
        if "Hinge" in name and rng.random() < 0.5:
            y_true = (rng.random(shape) < 0.5).astype(float)
        return y_true, y_pred
    return np.where(rng.random(shape) < 0.5, rng.random(shape), rng.integers(0, 2, shape)), y_pred


def _weights(rng: np.random.Generator, shape: tuple[int, ...]) -> Any:
    choices: list[Any] = [None, rng.random(shape), np.float64(1.5)]
    if shape:
        choices += [rng.random((*shape, 1)), rng.random((shape[0],) + (1,) * (len(shape) - 1))]
        choices += [rng.integers(0, 2, shape), np.zeros(shape)]
    return st.sampled_from(choices)

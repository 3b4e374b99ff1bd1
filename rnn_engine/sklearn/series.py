"""What estimators take as X: rows, arrays of three axes, or lists of series."""

from typing import Any

import numpy as np
from sklearn.utils.validation import check_array, validate_data

DTYPE = np.float32


def read_series(estimator: Any, x: Any, reset: bool) -> Any:
    """Return X as an array (samples, timesteps, features), or as a list where lengths differ.

    Parameters
    ----------
    estimator : estimator
        With `reset`, learns `n_features_in_` and `takes_rows_`; without, X is held against them.
    x : array-like or list of arrays
    reset : bool
        Whether this is `fit`.

    Returns
    -------
    numpy.ndarray or list of numpy.ndarray
        float32, finite.

    Raises
    ------
    ValueError, TypeError
        If X is neither, holds what is no finite real number, or does not fit what was trained on.
    """
    found = _sequences(x)
    if found is None and reset:
        estimator.takes_rows_ = True
        return validate_data(estimator, x, dtype=DTYPE)[:, :, None]
    if found is None and estimator.takes_rows_:
        return validate_data(estimator, x, dtype=DTYPE, reset=False)[:, :, None]
    if found is None:  # rows, for an estimator of series with one feature
        found = check_array(x, dtype=DTYPE, estimator=estimator)[:, :, None]
    arrays = found if isinstance(found, list) else [found]
    features = {array.shape[-1] for array in arrays}
    if len(features) > 1:
        raise ValueError(f"All series of X must have as many features, got {sorted(features)}.")
    (number,) = features
    if reset:
        estimator.takes_rows_, estimator.n_features_in_ = False, number
        if hasattr(estimator, "feature_names_in_"):
            del estimator.feature_names_in_
    elif estimator.takes_rows_:
        raise ValueError(
            f"{type(estimator).__name__} was fitted on rows of {estimator.n_features_in_} steps; "
            f"X must have two axes, got series of {number} features."
        )
    elif number != estimator.n_features_in_:
        raise ValueError(
            f"X has {number} features, but {type(estimator).__name__} is expecting "
            f"{estimator.n_features_in_} features as input."
        )
    return found


def _sequences(x: Any) -> Any:
    """Return X if it is no table of rows: an array of three axes, or a list of unequal series."""
    of_objects = isinstance(x, np.ndarray) and x.dtype == object and x.ndim == 1
    if not (isinstance(x, list | tuple) or of_objects):
        if getattr(_shaped(x), "ndim", 2) != 3:  # of another rank: scikit-learn says so
            return None
        return _checked(x, 3, "X")
    if not len(x) or any(np.ndim(_shaped(one)) == 0 for one in x):
        return None
    shaped = [_shaped(one) for one in x]
    ranks = {np.ndim(one) for one in shaped}
    lengths = {len(one) for one in shaped}
    if len(ranks) > 1 or ranks - {1, 2}:
        raise ValueError(
            f"A list X must hold series of shape (timesteps,) or (timesteps, features); got "
            f"{sorted(ranks)} axes."
        )
    if ranks == {1} and len(lengths) == 1:
        return None
    arrays = [_checked(one, next(iter(ranks)), f"X[{i}]") for i, one in enumerate(shaped)]
    arrays = [one[:, None] if one.ndim == 1 else one for one in arrays]
    same = len({one.shape for one in arrays}) == 1
    return np.stack(arrays) if same else arrays


def _shaped(one: Any) -> Any:
    """Return one series with a shape: a list becomes an array."""
    return one if hasattr(one, "shape") else np.asarray(one)


def _checked(x: Any, ndim: int, name: str) -> np.ndarray:
    if ndim == 1 and len(x) and not hasattr(x, "dtypes"):
        x = np.asarray(x)[:, None]
        return _checked(x, 2, name)[:, 0]
    array = check_array(x, dtype=DTYPE, allow_nd=True, ensure_2d=ndim > 1, input_name=name)
    if array.ndim != ndim or 0 in array.shape:
        raise ValueError(f"{name} must have {ndim} axes and no empty one, got {array.shape}.")
    return array


def padded(series: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Return series of unequal length with zeros behind them, and the mask of what is theirs."""
    steps = max(map(len, series))
    x = np.zeros((len(series), steps, series[0].shape[1]), DTYPE)
    mask = np.zeros((len(series), steps), bool)
    for row, (one, of) in enumerate(zip(series, mask, strict=True)):
        x[row, : len(one)] = one
        of[: len(one)] = True
    return x, mask


def by_length(series: list[np.ndarray]) -> list[np.ndarray]:
    """Return the places of the series of each length."""
    lengths = np.array([len(one) for one in series])
    return [np.flatnonzero(lengths == length) for length in np.unique(lengths)]

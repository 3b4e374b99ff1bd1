"""What all estimators share: the network, its training, its outputs."""

from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.model_selection import train_test_split
from sklearn.utils import check_random_state
from sklearn.utils.validation import _check_sample_weight, check_is_fitted

from rnn_engine.callbacks import EarlyStopping
from rnn_engine.functional import Functional
from rnn_engine.layers import Dense, Dropout, Input
from rnn_engine.optimizers import Adam
from rnn_engine.random import own_stream
from rnn_engine.sequential import Sequential
from rnn_engine.sklearn.series import by_length, padded, read_series

_LARGEST_SEED = np.iinfo(np.int32).max


class RecurrentEstimator(BaseEstimator):
    """A stack of recurrent layers with a dense layer on the last step.

    The arguments are kept as they are and judged by `fit`, as scikit-learn wants it.
    """

    _layer: ClassVar[Any]

    def __init__(
        self,
        units: Any = 32,
        *,
        epochs: int = 100,
        batch_size: int = 32,
        learning_rate: float = 0.005,
        dropout: float = 0.0,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        n_iter_no_change: int = 10,
        random_state: Any = None,
        verbose: int = 0,
    ) -> None:
        self.units = units
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.dropout = dropout
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.random_state = random_state
        self.verbose = verbose

    # --- what the two kinds differ in -----------------------------------------------

    def _read_y(self, y: Any) -> np.ndarray:
        """Return targets for the network, and learn what they are."""
        raise TypeError(f"{type(self).__name__} has no targets.")

    def _head(self, targets: np.ndarray) -> tuple[int, str | None, str]:
        """Return units and activation of the last layer, and the loss."""
        raise TypeError(f"{type(self).__name__} has no last layer.")

    def _strata(self, targets: np.ndarray) -> np.ndarray | None:
        """Return the classes that a validation has shares of, None for no such."""
        return None

    # --- training -------------------------------------------------------------------

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Any:
        """Train a new network.

        Parameters
        ----------
        X : array-like, (samples, steps) or (samples, steps, features), or list of arrays
            Rows are series of one feature. The series of a list, (steps,) or (steps, features)
            each, may differ in length: they are padded, and the padding is masked.
        y : array-like, (samples,) or (samples, outputs)
        sample_weight : array-like, (samples,), optional
            Relative to each other: they are scaled to a mean of one. Samples of weight zero are
            left out.

        Returns
        -------
        self

        Raises
        ------
        ValueError, TypeError
            If an argument is out of range or the data are of no use. An estimator that was
            trained before still predicts as it did if it was its arguments.
        """
        units = self._check_arguments()
        if y is None:  # scikit-learn's words
            raise ValueError(
                f"This {type(self).__name__} estimator requires y to be passed, but the target y "
                f"is None."
            )
        x = read_series(self, X, reset=True)
        targets = self._read_y(y)
        if len(targets) != len(x):
            raise ValueError(
                f"Found input variables with inconsistent numbers of samples: "
                f"{[len(x), len(targets)]}"
            )
        weight = None
        if sample_weight is not None:
            weight = _check_sample_weight(sample_weight, np.empty(len(x)), ensure_non_negative=True)
            x, targets, weight = _weighted(x, targets, weight)
        seed = int(check_random_state(self.random_state).randint(_LARGEST_SEED))
        with own_stream(seed):
            self._train(x, targets, weight, units, seed)
        return self

    def _train(self, x: Any, targets: np.ndarray, weight: Any, units: Any, seed: int) -> None:
        size, activation, loss = self._head(targets)
        ragged = isinstance(x, list)
        features = x[0].shape[-1] if ragged else x.shape[-1]
        layers: list[Any] = []
        for i, number in enumerate(units, 1):
            layers.append(self._layer(number, return_sequences=i < len(units)))
            if self.dropout:
                layers.append(Dropout(self.dropout))
        layers.append(Dense(size, activation=activation))
        self.model_ = Sequential([Input((None, features)), *layers])
        trained: Any = self.model_
        if ragged:
            x = list(padded(x))
            trained = _masked(layers, features)
        trained.compile(Adam(self.learning_rate), loss)
        parts, validation = _split(self, x, targets, weight, seed)
        options: dict[str, Any] = {}
        if validation is not None:
            patience = self.n_iter_no_change
            stop = EarlyStopping("val_loss", patience=patience, restore_best_weights=True)
            options = {"validation_data": validation, "callbacks": [stop]}
        x, targets, weight = parts
        history = trained.fit(
            x, targets, self.batch_size, self.epochs, self.verbose, sample_weight=weight, **options
        )
        if ragged:  # what predicts is compiled, too: it can be saved and trained on
            self.model_.compile(Adam(self.learning_rate), loss)
        self.history_ = dict(history.history)
        self.n_iter_ = len(history.epoch)

    def _check_arguments(self) -> tuple[int, ...]:
        """Return the units of each layer.

        Raises
        ------
        ValueError
            If an argument is out of range.
        """
        units = self.units if isinstance(self.units, tuple | list) else (self.units,)
        if not units or not all(_is_count(number) for number in units):
            raise ValueError(f"units must be a positive integer or several, got {self.units!r}.")
        require_counts(self, "epochs", "batch_size", "n_iter_no_change")
        ranges = {
            "learning_rate": (0.0, np.inf, "above zero"),
            "validation_fraction": (0.0, 1.0, "between 0 and 1"),
        }
        for name, (low, high, text) in ranges.items():
            number: Any = getattr(self, name)
            if not isinstance(number, Real) or not low < float(number) < high:
                raise ValueError(f"{name} must be a number {text}, got {number!r}.")
        rate: Any = self.dropout
        if not isinstance(rate, Real) or not 0.0 <= float(rate) < 1.0:
            raise ValueError(f"dropout must be a number from 0 to below 1, got {self.dropout!r}.")
        return tuple(int(number) for number in units)

    # --- outputs --------------------------------------------------------------------

    def _outputs(self, X: Any) -> np.ndarray:
        """Return what the network says."""
        check_is_fitted(self, "model_")
        x = read_series(self, X, reset=False)
        if not isinstance(x, list):
            return self.model_.predict(x, verbose=0)
        # Series of one length at a time need no padding, and cost no more.
        outputs = np.empty((len(x), self.model_.output_shape[-1]), np.float32)
        for places in by_length(x):
            outputs[places] = self.model_.predict(np.stack([x[i] for i in places]), verbose=0)
        return outputs

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.target_tags.required = True
        return tags


def require_counts(estimator: Any, *names: str) -> None:
    """Check that arguments of an estimator are positive integers.

    Raises
    ------
    ValueError
        If one is not.
    """
    for name in names:
        if not _is_count(value := getattr(estimator, name)):
            raise ValueError(f"{name} must be a positive integer, got {value!r}.")


def _is_count(value: Any) -> bool:
    return isinstance(value, Integral) and value is not True and int(value) > 0


def _weighted(x: Any, targets: np.ndarray, weight: np.ndarray) -> tuple[Any, Any, Any]:
    """Return the samples that weigh something, and weights of mean one."""
    kept = np.flatnonzero(weight)
    x = [x[i] for i in kept] if isinstance(x, list) else x[kept]
    weight = weight[kept]
    return x, targets[kept], weight / weight.mean()


def _masked(layers: list[Any], features: int) -> Any:
    """Return the same layers as a model of padded series and their mask."""
    x = Input((None, features))
    mask = Input((None,), dtype="bool")
    y = x
    for layer in layers:
        y = (
            layer(y, mask=mask)
            if getattr(layer, "return_sequences", None) is not None
            else layer(y)
        )
    return Functional([x, mask], y)


def _split(estimator: Any, x: Any, targets: np.ndarray, weight: Any, seed: int) -> tuple[Any, Any]:
    """Return what to train on and, for `early_stopping`, what to validate with."""
    if not estimator.early_stopping:
        return (x, targets, weight), None
    rows = train_test_split(
        np.arange(len(targets)),
        test_size=estimator.validation_fraction,
        random_state=seed,
        stratify=estimator._strata(targets),
    )

    def part(places: np.ndarray) -> tuple[Any, Any, Any]:
        of = [one[places] for one in x] if isinstance(x, list) else x[places]
        return of, targets[places], None if weight is None else weight[places]

    return part(rows[0]), part(rows[1])

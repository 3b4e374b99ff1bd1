"""Regression: `SimpleRNNRegressor`, `LSTMRegressor`, `GRURegressor`."""

from typing import Any

import numpy as np
from sklearn.base import RegressorMixin
from sklearn.utils.validation import check_array

from rnn_engine.layers import GRU, LSTM, SimpleRNN
from rnn_engine.sklearn.base import RecurrentEstimator
from rnn_engine.sklearn.series import DTYPE


class RecurrentRegressor(RegressorMixin, RecurrentEstimator):
    """What the regressors share."""

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
        loss: str = "mse",
    ) -> None:
        super().__init__(
            units, epochs=epochs, batch_size=batch_size, learning_rate=learning_rate,
            dropout=dropout, early_stopping=early_stopping, validation_fraction=validation_fraction,
            n_iter_no_change=n_iter_no_change, random_state=random_state, verbose=verbose,
        )  # fmt: skip
        self.loss = loss

    def _check_arguments(self) -> tuple[int, ...]:
        if self.loss not in ("mse", "mae", "huber"):
            raise ValueError(f"loss must be 'mse', 'mae' or 'huber', got {self.loss!r}.")
        return super()._check_arguments()

    def _read_y(self, y: Any) -> np.ndarray:
        array = check_array(y, dtype=DTYPE, ensure_2d=False, input_name="y")
        self.n_outputs_ = 1 if array.ndim == 1 else array.shape[1]
        self._flat = array.ndim == 1
        return array.reshape(len(array), self.n_outputs_)

    def _head(self, targets: np.ndarray) -> tuple[int, str | None, str]:
        return self.n_outputs_, None, self.loss

    def predict(self, X: Any) -> np.ndarray:
        """Return predictions, float64, of the shape of the `y` that `fit` was given.

        Parameters
        ----------
        X : array-like or list of arrays
            As that of `fit`. Rows must have as many steps; other series as many features, and
            any number of steps.

        Raises
        ------
        sklearn.exceptions.NotFittedError
            If `fit` has not been called.
        ValueError, TypeError
            If X does not fit.
        """
        outputs = self._outputs(X).astype(np.float64)  # as scikit-learn's regressors do
        return outputs[:, 0] if self._flat else outputs

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags


class SimpleRNNRegressor(RecurrentRegressor):
    """A fully connected recurrent network for regression, in the manner of scikit-learn.

    A dense layer on the last step of the `SimpleRNN` layer, trained with Adam. Neither X nor y is
    scaled: put a `StandardScaler` before it, and a `TransformedTargetRegressor` around it where
    targets are far from zero.

    Parameters
    ----------
    units : int or tuple of int
        Units of the recurrent layer, or of each of a stack.
    epochs : int
        Passes over the data; at most, with `early_stopping`.
    batch_size : int
    learning_rate : float
        Of Adam; more than its usual 0.001, as a few hundred samples make few steps.
    dropout : float
        Share of each recurrent layer's outputs that are dropped in training.
    early_stopping : bool
        Keep `validation_fraction` of the samples apart, and stop when the loss on them has not
        improved for `n_iter_no_change` epochs; the weights are those of the best epoch.
    validation_fraction : float
    n_iter_no_change : int
    random_state : int, RandomState or None
        Settles every bit of the training. None draws from NumPy's global generator.
    verbose : int
        As that of `Model.fit`.
    loss : {"mse", "mae", "huber"}

    Attributes
    ----------
    model_ : Sequential
        The network: its methods, `summary` and `save` among them, are there.
    history_ : dict of str to list
        Losses, epoch by epoch.
    n_iter_ : int
        Epochs that ran.
    n_features_in_ : int
        Steps of a row, or features of a step.
    n_outputs_ : int

    Examples
    --------
    >>> import numpy as np
    >>> from rnn_engine.sklearn import SimpleRNNRegressor
    >>> X = np.random.default_rng(0).normal(size=(200, 6))
    >>> y = X.mean(axis=1)
    >>> model = SimpleRNNRegressor(units=8, epochs=60, learning_rate=0.01, random_state=0).fit(X, y)
    >>> bool(model.score(X, y) > 0.9)
    True
    """

    _layer = SimpleRNN


class LSTMRegressor(RecurrentRegressor):
    """A network with long short-term memory for regression, in the manner of scikit-learn.

    A dense layer on the last step of the `LSTM` layer, trained with Adam. Neither X nor y is
    scaled: put a `StandardScaler` before it, and a `TransformedTargetRegressor` around it where
    targets are far from zero.

    Parameters
    ----------
    units : int or tuple of int
        Units of the recurrent layer, or of each of a stack.
    epochs : int
        Passes over the data; at most, with `early_stopping`.
    batch_size : int
    learning_rate : float
        Of Adam; more than its usual 0.001, as a few hundred samples make few steps.
    dropout : float
        Share of each recurrent layer's outputs that are dropped in training.
    early_stopping : bool
        Keep `validation_fraction` of the samples apart, and stop when the loss on them has not
        improved for `n_iter_no_change` epochs; the weights are those of the best epoch.
    validation_fraction : float
    n_iter_no_change : int
    random_state : int, RandomState or None
        Settles every bit of the training. None draws from NumPy's global generator.
    verbose : int
        As that of `Model.fit`.
    loss : {"mse", "mae", "huber"}

    Attributes
    ----------
    model_ : Sequential
        The network: its methods, `summary` and `save` among them, are there.
    history_ : dict of str to list
        Losses, epoch by epoch.
    n_iter_ : int
        Epochs that ran.
    n_features_in_ : int
        Steps of a row, or features of a step.
    n_outputs_ : int

    Examples
    --------
    >>> import numpy as np
    >>> from rnn_engine.sklearn import LSTMRegressor
    >>> X = np.random.default_rng(0).normal(size=(200, 6))
    >>> y = X.mean(axis=1)
    >>> model = LSTMRegressor(units=8, epochs=60, learning_rate=0.01, random_state=0).fit(X, y)
    >>> bool(model.score(X, y) > 0.9)
    True
    """

    _layer = LSTM


class GRURegressor(RecurrentRegressor):
    """A network of gated recurrent units for regression, in the manner of scikit-learn.

    A dense layer on the last step of the `GRU` layer, trained with Adam. Neither X nor y is
    scaled: put a `StandardScaler` before it, and a `TransformedTargetRegressor` around it where
    targets are far from zero.

    Parameters
    ----------
    units : int or tuple of int
        Units of the recurrent layer, or of each of a stack.
    epochs : int
        Passes over the data; at most, with `early_stopping`.
    batch_size : int
    learning_rate : float
        Of Adam; more than its usual 0.001, as a few hundred samples make few steps.
    dropout : float
        Share of each recurrent layer's outputs that are dropped in training.
    early_stopping : bool
        Keep `validation_fraction` of the samples apart, and stop when the loss on them has not
        improved for `n_iter_no_change` epochs; the weights are those of the best epoch.
    validation_fraction : float
    n_iter_no_change : int
    random_state : int, RandomState or None
        Settles every bit of the training. None draws from NumPy's global generator.
    verbose : int
        As that of `Model.fit`.
    loss : {"mse", "mae", "huber"}

    Attributes
    ----------
    model_ : Sequential
        The network: its methods, `summary` and `save` among them, are there.
    history_ : dict of str to list
        Losses, epoch by epoch.
    n_iter_ : int
        Epochs that ran.
    n_features_in_ : int
        Steps of a row, or features of a step.
    n_outputs_ : int

    Examples
    --------
    >>> import numpy as np
    >>> from rnn_engine.sklearn import GRURegressor
    >>> X = np.random.default_rng(0).normal(size=(200, 6))
    >>> y = X.mean(axis=1)
    >>> model = GRURegressor(units=8, epochs=60, learning_rate=0.01, random_state=0).fit(X, y)
    >>> bool(model.score(X, y) > 0.9)
    True
    """

    _layer = GRU

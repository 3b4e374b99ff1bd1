"""Classification: `SimpleRNNClassifier`, `LSTMClassifier`, `GRUClassifier`."""

from typing import Any

import numpy as np
from sklearn.base import ClassifierMixin
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_array, column_or_1d

from rnn_engine.layers import GRU, LSTM, SimpleRNN
from rnn_engine.sklearn.base import RecurrentEstimator


class RecurrentClassifier(ClassifierMixin, RecurrentEstimator):
    """What the classifiers share."""

    def _read_y(self, y: Any) -> np.ndarray:
        labels = column_or_1d(
            check_array(y, dtype=None, ensure_2d=False, input_name="y"), warn=True
        )
        check_classification_targets(labels)
        self.classes_, targets = np.unique(labels, return_inverse=True)
        if len(self.classes_) < 2:
            raise ValueError(
                f"{type(self).__name__} needs samples of at least 2 classes in the data, but the "
                f"data contains only one class: {self.classes_[0]!r}"
            )
        return targets.astype(np.int32)

    def _head(self, targets: np.ndarray) -> tuple[int, str | None, str]:
        return len(self.classes_), "softmax", "sparse_categorical_crossentropy"

    def _strata(self, targets: np.ndarray) -> np.ndarray | None:
        return targets

    def predict_proba(self, X: Any) -> np.ndarray:
        """Return the probabilities of the classes.

        Parameters
        ----------
        X : array-like or list of arrays
            As that of `fit`. Rows must have as many steps; other series as many features, and
            any number of steps.

        Returns
        -------
        numpy.ndarray, (samples, classes), float32
            The columns are in the order of `classes_`.

        Raises
        ------
        sklearn.exceptions.NotFittedError
            If `fit` has not been called.
        ValueError, TypeError
            If X does not fit.
        """
        return self._outputs(X)

    def predict(self, X: Any) -> np.ndarray:
        """Return the most probable class of each series; X as in `predict_proba`."""
        places = self.predict_proba(X).argmax(axis=1)
        return self.classes_[places]


class SimpleRNNClassifier(RecurrentClassifier):
    """A fully connected recurrent network for classification, in the manner of scikit-learn.

    A softmax on the last step of the `SimpleRNN` layer, trained with Adam on the cross-entropy. X
    is not scaled: put a `StandardScaler` before it.

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

    Attributes
    ----------
    classes_ : numpy.ndarray
        The labels, sorted.
    model_ : Sequential
        The network: its methods, `summary` and `save` among them, are there.
    history_ : dict of str to list
        Losses, epoch by epoch.
    n_iter_ : int
        Epochs that ran.
    n_features_in_ : int
        Steps of a row, or features of a step.

    Examples
    --------
    >>> import numpy as np
    >>> from rnn_engine.sklearn import SimpleRNNClassifier
    >>> X = np.random.default_rng(0).normal(size=(200, 6))
    >>> y = np.where(X[:, -1] > 0, "up", "down")
    >>> model = SimpleRNNClassifier(units=8, epochs=60, learning_rate=0.01, random_state=0)
    >>> model = model.fit(X, y)
    >>> bool(model.score(X, y) > 0.9)
    True
    >>> model.predict_proba(X[:3]).shape
    (3, 2)
    """

    _layer = SimpleRNN


class LSTMClassifier(RecurrentClassifier):
    """A network with long short-term memory for classification, in the manner of scikit-learn.

    A softmax on the last step of the `LSTM` layer, trained with Adam on the cross-entropy. X is
    not scaled: put a `StandardScaler` before it.

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

    Attributes
    ----------
    classes_ : numpy.ndarray
        The labels, sorted.
    model_ : Sequential
        The network: its methods, `summary` and `save` among them, are there.
    history_ : dict of str to list
        Losses, epoch by epoch.
    n_iter_ : int
        Epochs that ran.
    n_features_in_ : int
        Steps of a row, or features of a step.

    Examples
    --------
    >>> import numpy as np
    >>> from rnn_engine.sklearn import LSTMClassifier
    >>> X = np.random.default_rng(0).normal(size=(200, 6))
    >>> y = np.where(X[:, -1] > 0, "up", "down")
    >>> model = LSTMClassifier(units=8, epochs=60, learning_rate=0.01, random_state=0)
    >>> model = model.fit(X, y)
    >>> bool(model.score(X, y) > 0.9)
    True
    >>> model.predict_proba(X[:3]).shape
    (3, 2)
    """

    _layer = LSTM


class GRUClassifier(RecurrentClassifier):
    """A network of gated recurrent units for classification, in the manner of scikit-learn.

    A softmax on the last step of the `GRU` layer, trained with Adam on the cross-entropy. X is
    not scaled: put a `StandardScaler` before it.

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

    Attributes
    ----------
    classes_ : numpy.ndarray
        The labels, sorted.
    model_ : Sequential
        The network: its methods, `summary` and `save` among them, are there.
    history_ : dict of str to list
        Losses, epoch by epoch.
    n_iter_ : int
        Epochs that ran.
    n_features_in_ : int
        Steps of a row, or features of a step.

    Examples
    --------
    >>> import numpy as np
    >>> from rnn_engine.sklearn import GRUClassifier
    >>> X = np.random.default_rng(0).normal(size=(200, 6))
    >>> y = np.where(X[:, -1] > 0, "up", "down")
    >>> model = GRUClassifier(units=8, epochs=60, learning_rate=0.01, random_state=0).fit(X, y)
    >>> bool(model.score(X, y) > 0.9)
    True
    >>> model.predict_proba(X[:3]).shape
    (3, 2)
    """

    _layer = GRU

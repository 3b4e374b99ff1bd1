"""Recurrent networks as estimators of scikit-learn, and a forecaster of series.

They go into `Pipeline`, `GridSearchCV` and `cross_val_score`, are cloned and pickled. Needs
scikit-learn: ``pip install 'rnn_engine[sklearn]'``.
"""

try:
    import sklearn  # noqa: F401  # what it says when it is not there
except ImportError as error:
    raise ImportError(
        "rnn_engine.sklearn needs scikit-learn: pip install 'rnn_engine[sklearn]'."
    ) from error

from rnn_engine.sklearn.classifiers import GRUClassifier, LSTMClassifier, SimpleRNNClassifier
from rnn_engine.sklearn.forecaster import Forecaster
from rnn_engine.sklearn.regressors import GRURegressor, LSTMRegressor, SimpleRNNRegressor

__all__ = [
    "Forecaster",
    "GRUClassifier",
    "GRURegressor",
    "LSTMClassifier",
    "LSTMRegressor",
    "SimpleRNNClassifier",
    "SimpleRNNRegressor",
]

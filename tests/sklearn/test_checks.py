"""scikit-learn's own checks of estimators; `EXCLUDED` is the table of those that cannot pass.

`check_array_api_input` skips itself where SCIPY_ARRAY_API is not set.
"""

import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

from rnn_engine.sklearn import (
    GRUClassifier,
    GRURegressor,
    LSTMClassifier,
    LSTMRegressor,
    SimpleRNNClassifier,
    SimpleRNNRegressor,
)

# Check, and why it is excluded.
EXCLUDED = {
    "check_sample_weight_equivalence_on_dense_data": (
        "asks for 1e-7 between a weight of k and k copies of a sample; the network is float32, and "
        "copies fall into other batches; test_a_weight_counts_as_copies: one batch, to 1e-5"
    ),
}

# Small networks: most checks ask for form, and those that ask for a fit get one.
OPTIONS = {"units": 8, "epochs": 30, "learning_rate": 0.04}
ESTIMATORS = [
    cls(**OPTIONS)
    for cls in (
        SimpleRNNRegressor, LSTMRegressor, GRURegressor,
        SimpleRNNClassifier, LSTMClassifier, GRUClassifier,
    )
]  # fmt: skip


@parametrize_with_checks(
    ESTIMATORS, expected_failed_checks=lambda estimator: EXCLUDED, xfail_strict=False
)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.SkipTestWarning")
def test_estimator(estimator, check):
    check(estimator)

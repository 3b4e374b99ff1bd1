"""Estimators: input of every kind, and what scikit-learn does with them."""

import pickle
import subprocess
import sys
from typing import Any

import joblib
import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, cross_val_score, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import rnn_engine
from rnn_engine import sklearn as estimators
from rnn_engine.sklearn import GRURegressor, LSTMClassifier, SimpleRNNRegressor
from rnn_engine.sklearn.series import padded
from tests.kernels.process import environment

RNG = np.random.default_rng(7)
ROWS = RNG.normal(size=(60, 5)).astype("float32")
Y = ROWS.mean(axis=1)
LABELS = np.where(ROWS[:, -1] > 0, "up", "down")
RAGGED = [RNG.normal(size=(n, 2)).astype("float32") for n in RNG.integers(1, 7, 40)]
MEANS = np.array([one.mean() for one in RAGGED], "float32")
CLOSE = 1e-5  # float32, two ways of summing
QUICK: dict[str, Any] = {"units": 4, "epochs": 3, "random_state": 0}

REGRESSORS = [estimators.SimpleRNNRegressor, estimators.LSTMRegressor, estimators.GRURegressor]
CLASSIFIERS = [estimators.SimpleRNNClassifier, estimators.LSTMClassifier, estimators.GRUClassifier]


def bits(model: Any) -> list[bytes]:
    return [weight.tobytes() for weight in model.model_.get_weights()]


@pytest.mark.parametrize("cls", REGRESSORS + CLASSIFIERS)
def test_is_the_model_that_keras_users_write(cls: Any) -> None:
    classifies = cls in CLASSIFIERS
    fitted = cls(**QUICK).fit(ROWS, LABELS if classifies else Y)
    with rnn_engine.random.own_stream(int(np.random.RandomState(0).randint(2**31 - 1))):
        name = cls.__name__.removesuffix("Regressor").removesuffix("Classifier")
        layer = getattr(rnn_engine.layers, name)(4)
        last = rnn_engine.layers.Dense(2, "softmax") if classifies else rnn_engine.layers.Dense(1)
        model = rnn_engine.Sequential([rnn_engine.Input((None, 1)), layer, last])
        loss = "sparse_categorical_crossentropy" if classifies else "mse"
        model.compile(rnn_engine.optimizers.Adam(0.005), loss)
        target = (LABELS == "up").astype("int32") if classifies else Y
        history = model.fit(ROWS[:, :, None], target, epochs=3, verbose=0)
    assert bits(fitted) == [w.tobytes() for w in model.get_weights()]
    assert fitted.history_ == history.history
    outputs = model.predict(ROWS[:, :, None], verbose=0)
    if classifies:
        assert np.array_equal(fitted.predict_proba(ROWS), outputs)
        assert np.array_equal(fitted.predict(ROWS), np.array(["down", "up"])[outputs.argmax(1)])
    else:
        assert np.array_equal(fitted.predict(ROWS), outputs[:, 0])


def test_rows_are_series_of_one_feature() -> None:
    rows = GRURegressor(**QUICK).fit(ROWS, Y)
    series = GRURegressor(**QUICK).fit(ROWS[:, :, None], Y)
    assert bits(rows) == bits(series)
    assert (rows.n_features_in_, series.n_features_in_) == (5, 1)
    assert np.array_equal(series.predict(ROWS[:, :3]), series.predict(ROWS[:, :3, None]))
    with pytest.raises(ValueError, match="fitted on rows of 5 steps"):
        rows.predict(ROWS[:, :, None])
    with pytest.raises(ValueError, match="3 features, but GRURegressor is expecting 5"):
        rows.predict(ROWS[:, :3])


def test_lists_are_padded_and_the_padding_is_masked() -> None:
    """As a model with a Masking layer, whose pads are of another value."""
    fitted = GRURegressor(**QUICK, batch_size=40).fit(RAGGED, MEANS)
    with rnn_engine.random.own_stream(int(np.random.RandomState(0).randint(2**31 - 1))):
        layers = rnn_engine.layers
        model = rnn_engine.Sequential(
            [layers.Input((None, 2)), layers.Masking(-9.0), layers.GRU(4), layers.Dense(1)]
        )
        model.compile(rnn_engine.optimizers.Adam(0.005), "mse")
        x, mask = padded(RAGGED)
        x[~mask] = -9.0
        history = model.fit(x, MEANS, 40, epochs=3, verbose=0)
    np.testing.assert_allclose(fitted.history_["loss"], history.history["loss"], rtol=CLOSE)
    for ours, theirs in zip(fitted.model_.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=CLOSE)
    np.testing.assert_allclose(
        fitted.predict(RAGGED), model.predict(x, verbose=0)[:, 0], atol=CLOSE
    )


def test_a_series_of_a_list_is_predicted_as_it_is_alone() -> None:
    fitted = LSTMClassifier(**QUICK).fit(RAGGED, MEANS > 0)
    alone = np.concatenate([fitted.predict_proba(one[None]) for one in RAGGED])
    assert np.array_equal(fitted.predict_proba(RAGGED), alone)
    objects = np.empty(len(RAGGED), object)
    objects[:] = RAGGED
    assert np.array_equal(fitted.predict_proba(objects), alone)
    one_feature = SimpleRNNRegressor(**QUICK).fit([[1.0], [2.0, 3.0]], [1.0, 2.0])
    assert one_feature.predict([[1.0, 2.0], [3.0, 4.0]]).shape == (2,)


@pytest.mark.parametrize(
    ("x", "message"),
    [
        ([np.ones((2, 1)), np.ones((2, 2))], "as many features"),
        ([np.ones(2), np.ones((2, 2))], "A list X must hold series"),
        ([np.ones((3, 2)), np.empty((0, 2))], "0 sample|no empty one"),
        ([np.ones((1, 2)), np.full((2, 2), np.nan)], "NaN"),
        ([[1.0, 2.0], [1.0, "a"]], "could not convert|expected|convert"),
        (np.ones((2, 2, 2, 2)), "dim 4|dimension"),
        ([], "Expected 2D|0 sample"),
    ],
)
def test_series_of_no_use(x: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        GRURegressor(**QUICK).fit(x, [0.0, 1.0][: len(x)])


def test_several_outputs() -> None:
    targets = np.column_stack([Y, -Y, ROWS[:, 0]])
    fitted = GRURegressor(8, epochs=60, learning_rate=0.02, random_state=0).fit(ROWS, targets)
    assert fitted.predict(ROWS).shape == (60, 3)
    assert fitted.score(ROWS, targets) > 0.9
    assert GRURegressor(**QUICK).fit(ROWS, targets[:, :1]).predict(ROWS).shape == (60, 1)
    with pytest.raises(ValueError, match="dim 3, while dim <= 2"):
        GRURegressor(**QUICK).fit(ROWS, np.ones((60, 2, 2)))


def test_a_weight_counts_as_copies() -> None:
    weight = RNG.integers(0, 4, 60)
    options = {**QUICK, "batch_size": 1000, "epochs": 20}
    copies = np.repeat(np.arange(60), weight)
    weighted = GRURegressor(**options).fit(ROWS, Y, sample_weight=weight)
    repeated = GRURegressor(**options).fit(ROWS[copies], Y[copies])
    np.testing.assert_allclose(weighted.predict(ROWS), repeated.predict(ROWS), atol=1e-5)
    assert bits(weighted) == bits(GRURegressor(**options).fit(ROWS, Y, sample_weight=weight * 8))
    plain = GRURegressor(**options).fit(ROWS, Y)
    assert not np.allclose(weighted.predict(ROWS), plain.predict(ROWS), atol=1e-4)
    with pytest.raises(ValueError, match="at least one non-zero"):
        GRURegressor(**options).fit(ROWS, Y, sample_weight=np.zeros(60))


def test_random_state_settles_every_bit() -> None:
    options = {"units": (4, 3), "epochs": 3, "dropout": 0.2, "batch_size": 16}
    first = bits(GRURegressor(**options, random_state=3).fit(ROWS, Y))
    rnn_engine.utils.set_random_seed(99)
    assert bits(GRURegressor(**options, random_state=3).fit(ROWS, Y)) == first
    assert bits(GRURegressor(**options, random_state=4).fit(ROWS, Y)) != first
    state = np.random.RandomState(3)
    assert bits(GRURegressor(**options, random_state=state).fit(ROWS, Y)) == first
    assert bits(GRURegressor(**options, random_state=state).fit(ROWS, Y)) != first


def test_the_stream_of_the_program_is_left_alone() -> None:
    rnn_engine.utils.set_random_seed(5)
    wanted = rnn_engine.random.normal((3,))
    rnn_engine.utils.set_random_seed(5)
    GRURegressor(**QUICK).fit(ROWS, Y)
    assert np.array_equal(rnn_engine.random.normal((3,)), wanted)


def test_early_stopping_keeps_the_best() -> None:
    noise = RNG.normal(size=60)
    options = {"units": 16, "epochs": 400, "learning_rate": 0.03, "random_state": 0}
    stopped = GRURegressor(
        **options, early_stopping=True, validation_fraction=0.25, n_iter_no_change=5
    ).fit(ROWS, noise)
    losses = stopped.history_["val_loss"]
    assert stopped.n_iter_ == len(losses) < 400
    assert int(np.argmin(losses)) == stopped.n_iter_ - 6
    ragged = LSTMClassifier(**{**QUICK, "epochs": 30}, early_stopping=True).fit(RAGGED, MEANS > 0)
    assert ragged.predict(RAGGED).dtype == bool


def test_the_validation_has_its_share_of_samples_their_weights_and_of_each_class() -> None:
    weight = RNG.random(60) + 0.1
    fitted = GRURegressor(
        **QUICK, early_stopping=True, validation_fraction=0.25
    ).fit(ROWS, Y, weight)  # fmt: skip
    seed = int(np.random.RandomState(0).randint(2**31 - 1))
    _, held = train_test_split(np.arange(60), test_size=0.25, random_state=seed)
    assert len(held) == 15
    weight = weight / weight.mean()
    x, y = ROWS[held, :, None], Y[held]
    loss = fitted.model_.evaluate(x, y, sample_weight=weight[held], verbose=0)
    assert np.isclose(loss, min(fitted.history_["val_loss"]), rtol=CLOSE)
    assert not np.isclose(loss, fitted.model_.evaluate(x, y, verbose=0), rtol=1e-3)
    with pytest.raises(ValueError, match="least populated class"):
        LSTMClassifier(**QUICK, early_stopping=True).fit(ROWS, np.arange(60) == 7)


@pytest.mark.parametrize(
    ("name", "value"),
    [("units", 0), ("units", (4, -1)), ("units", 2.5), ("epochs", 0), ("batch_size", True),
     ("learning_rate", 0.0), ("learning_rate", "fast"), ("dropout", 1.0), ("dropout", -0.1),
     ("validation_fraction", 1.0), ("n_iter_no_change", None), ("loss", "cosine")],
)  # fmt: skip
def test_arguments_out_of_range(name: str, value: Any) -> None:
    fitted = GRURegressor(**QUICK).fit(ROWS, Y)
    before = fitted.predict(ROWS)
    with pytest.raises(ValueError, match=f"{name} must be"):
        fitted.set_params(**{name: value}).fit(ROWS, Y)
    assert np.array_equal(fitted.predict(ROWS), before)


@pytest.mark.parametrize("by", ["pickle", "joblib"])
def test_pickle_and_joblib(by: str, tmp_path: Any) -> None:
    fitted = LSTMClassifier(**QUICK).fit(RAGGED, MEANS > 0)
    if by == "pickle":
        again = pickle.loads(pickle.dumps(fitted))
    else:
        again = joblib.load(joblib.dump(fitted, tmp_path / "m")[0])
    assert np.array_equal(again.predict_proba(RAGGED), fitted.predict_proba(RAGGED))
    assert bits(again.fit(RAGGED, MEANS > 0)) == bits(fitted)


def test_clone_is_new() -> None:
    fitted = GRURegressor(**QUICK).fit(ROWS, Y)
    fresh = clone(fitted)
    assert fresh.get_params() == fitted.get_params()
    with pytest.raises(NotFittedError):
        fresh.predict(ROWS)


def test_pipeline_and_grid_search_in_processes() -> None:
    pipeline = make_pipeline(StandardScaler(), GRURegressor(**QUICK))
    grid = {"gruregressor__units": [2, (3, 2)], "gruregressor__epochs": [2]}
    x, y = ROWS * 100.0, Y
    found = GridSearchCV(pipeline, grid, cv=2, n_jobs=2).fit(x, y)
    serial = GridSearchCV(pipeline, grid, cv=2).fit(x, y)
    assert found.best_params_ == serial.best_params_
    for key in ("split0_test_score", "split1_test_score"):
        assert found.cv_results_[key].tolist() == serial.cv_results_[key].tolist()
    assert len(cross_val_score(LSTMClassifier(**QUICK), x, LABELS, cv=2)) == 2


def test_names_of_columns() -> None:
    frame = pd.DataFrame(ROWS, columns=list("abcde"))
    fitted = GRURegressor(**QUICK).fit(frame, pd.Series(Y))
    assert fitted.feature_names_in_.tolist() == list("abcde")
    assert np.array_equal(fitted.predict(frame), GRURegressor(**QUICK).fit(ROWS, Y).predict(ROWS))
    with pytest.raises(ValueError, match="feature names should match"):
        fitted.predict(frame[list("edcba")])


def test_the_model_can_be_saved_and_trained_on(tmp_path: Any) -> None:
    fitted = GRURegressor(**QUICK).fit(RAGGED, MEANS)
    fitted.model_.save(tmp_path / "m.keras")
    loaded = rnn_engine.models.load_model(tmp_path / "m.keras")
    x = np.stack([one[:1] for one in RAGGED])
    assert np.array_equal(loaded.predict(x, verbose=0)[:, 0], fitted.predict(x))
    loaded.fit(x, MEANS, verbose=0)


def test_without_scikit_learn() -> None:
    code = (
        "import sys; sys.modules['sklearn'] = None\n"
        "import rnn_engine\n"
        "try:\n    rnn_engine.sklearn\n"
        "except ImportError as error:\n    print(error)"
    )
    done = subprocess.run(
        [sys.executable, "-P", "-c", code], capture_output=True, text=True, env=environment(),
        check=True,
    )  # fmt: skip
    assert "pip install 'rnn_engine[sklearn]'" in done.stdout

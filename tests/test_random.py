"""`keras.random`: Keras's distributions and its rules for seeds, from NumPy's generators."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from rnn_engine import random
from rnn_engine.utils import set_random_seed

DRAWS: dict[str, Callable[[Any], np.ndarray]] = {
    "normal": lambda seed: random.normal((50, 4), mean=3.0, stddev=2.0, seed=seed),
    "truncated_normal": lambda seed: random.truncated_normal((50, 4), 3.0, 2.0, seed=seed),
    "uniform": lambda seed: random.uniform((50, 4), -2.0, 5.0, seed=seed),
    "randint": lambda seed: random.randint((50, 4), -3, 4, seed=seed),
    "shuffle": lambda seed: random.shuffle(np.arange(200).reshape(50, 4), seed=seed),
    "categorical": lambda seed: random.categorical(np.zeros((50, 3)), 4, seed=seed),
}


@pytest.mark.parametrize("name", DRAWS)
def test_seeds(name: str) -> None:
    draw = DRAWS[name]
    np.testing.assert_array_equal(draw(3), draw(3))
    assert (draw(3) != draw(4)).any()
    stream = random.SeedGenerator(3)
    assert (draw(stream) != draw(stream)).any()
    set_random_seed(1)
    first, second = draw(None), draw(None)
    set_random_seed(1)
    np.testing.assert_array_equal(draw(None), first)
    assert (first != second).any()


@pytest.mark.parametrize("name", DRAWS)
def test_as_in_keras(name: str) -> None:
    keras = pytest.importorskip("keras")
    ours = DRAWS[name](1)
    theirs = np.asarray(
        {
            "normal": lambda: keras.random.normal((50, 4), 3.0, 2.0),
            "truncated_normal": lambda: keras.random.truncated_normal((50, 4), 3.0, 2.0),
            "uniform": lambda: keras.random.uniform((50, 4), -2.0, 5.0),
            "randint": lambda: keras.random.randint((50, 4), -3, 4),
            "shuffle": lambda: keras.random.shuffle(np.arange(200).reshape(50, 4)),
            "categorical": lambda: keras.random.categorical(np.zeros((50, 3), "float32"), 4),
        }[name]()
    )
    assert ours.shape == theirs.shape
    assert ours.dtype == theirs.dtype
    # Of the same range: the sample's ends lie within a few standard errors.
    spread = theirs.std() + 1e-9
    assert abs(ours.mean() - theirs.mean()) < spread * 0.5
    assert 0.7 < ours.std() / spread < 1.4


def test_truncated_normal_is_cut_and_normal_is_not() -> None:
    cut = random.truncated_normal((20_000,), 1.0, 0.5, seed=2)
    assert np.abs(cut - 1.0).max() <= 1.0
    # The standard deviation of a normal distribution cut at two of them.
    assert abs(cut.std() / 0.5 - 0.8796) < 0.02
    assert np.abs(random.normal((20_000,), seed=2)).max() > 3


def test_categorical_follows_the_logits() -> None:
    logits = np.log([[0.1, 0.2, 0.7], [0.5, 0.5, 1e-30]])
    drawn = random.categorical(logits, 20_000, seed=5)
    shares = np.stack([np.bincount(row, minlength=3) for row in drawn]) / 20_000
    np.testing.assert_allclose(shares, np.exp(logits), atol=0.015)
    with pytest.raises(ValueError, match="logits"):
        random.categorical([0.0, 1.0], 2)


def test_shuffle_keeps_rows_together() -> None:
    mixed = random.shuffle(np.arange(12).reshape(6, 2), seed=0)
    np.testing.assert_array_equal(np.sort(mixed[:, 0]), np.arange(0, 12, 2))
    np.testing.assert_array_equal(mixed[:, 1], mixed[:, 0] + 1)
    columns = random.shuffle(np.arange(12).reshape(2, 6), axis=1, seed=0)
    np.testing.assert_array_equal(columns[1], columns[0] + 6)

"""Models that are trained in several threads give what the serial run with the same seed gives."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from rnn_engine import Sequential, layers, random
from rnn_engine.utils import set_random_seed

RNG = np.random.default_rng(4)
X, Y = RNG.normal(size=(40, 3, 2)).astype("f4"), RNG.normal(size=(40, 1)).astype("f4")


def build() -> Sequential:
    model = Sequential([layers.SimpleRNN(4), layers.Dropout(0.5), layers.Dense(1)])
    model.compile("sgd", "mse")
    return model


def fit(model: Sequential, **data: Any) -> list[np.ndarray]:
    model.fit(X, Y, batch_size=4, epochs=4, verbose=0)
    model.fit(X, Y, batch_size=4, epochs=1, verbose=0)
    return model.get_weights()


def run(seed: int) -> list[np.ndarray]:
    set_random_seed(seed)
    return fit(build())


def same(first: Any, second: Any) -> bool:
    return all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))


def in_threads(function: Callable[[Any], Any], values: list[Any]) -> list[Any]:
    """Call a function in threads that begin together, each of its own value."""
    together = threading.Barrier(len(values))

    def call(value: Any) -> Any:
        together.wait()
        return function(value)

    with ThreadPoolExecutor(len(values)) as pool:
        return list(pool.map(call, values))


def test_each_thread_sets_its_seed() -> None:
    seeds = [1, 2, 3, 1]
    alone = [run(seed) for seed in seeds]
    assert same(alone[0], alone[3])
    assert not same(alone[0], alone[1])
    for _ in range(3):
        for found, wanted in zip(in_threads(run, seeds), alone, strict=True):
            assert same(found, wanted)


def test_models_that_were_made_before() -> None:
    def made() -> list[Sequential]:
        set_random_seed(8)
        models = [build() for _ in range(4)]
        for model in models:
            model.build((None, 3, 2))
        return models

    alone = [fit(model) for model in made()]
    assert not same(alone[0], alone[1])
    backwards = [fit(model) for model in reversed(made())][::-1]
    assert all(map(same, backwards, alone))
    for _ in range(3):
        assert all(map(same, in_threads(fit, made()), alone))


def test_the_seed_of_a_thread_leaves_the_others_alone() -> None:
    set_random_seed(5)
    wanted = [random.normal((2,)) for _ in range(2)]
    set_random_seed(5)
    first = random.normal((2,))
    thread = threading.Thread(target=lambda: (set_random_seed(6), random.normal((3,))))
    thread.start()
    thread.join()
    np.testing.assert_array_equal([first, random.normal((2,))], wanted)


def test_a_seed_begins_the_order_of_samples_anew() -> None:
    model = build()
    model.build((None, 3, 2))
    weights, results = model.get_weights(), []
    for seed in (1, 1, 2):
        model.layers[1].rate = 0
        model.set_weights(weights)
        set_random_seed(seed)
        model.layers[1]._generator = None
        results.append(fit(model))
    assert same(results[0], results[1])
    assert not same(results[0], results[2])

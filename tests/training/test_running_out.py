"""Generators and datasets that are empty, exhausted or shorter than they were; validation."""

import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from rnn_engine import Sequential, layers
from rnn_engine.callbacks import LambdaCallback
from rnn_engine.optimizers import SGD
from rnn_engine.utils import PyDataset

OUT = "ignore:Your input ran out of data:UserWarning"
EMPTY = "must yield at least one batch. Received an empty generator"


def rows(value: int) -> tuple[np.ndarray, np.ndarray]:
    """Return a batch whose loss is its number."""
    return np.full((2, 1), value, "f4"), np.zeros((2, 1), "f4")


def batches(count: int | None = None) -> Iterator[Any]:
    """Yield batches that are written into one buffer, as many loaders do."""
    x, y = rows(0)
    number = 0
    while count is None or number < count:
        x[:] = number
        yield x, y
        number += 1


def exhausted() -> Iterator[Any]:
    generator = batches(2)
    list(generator)
    return generator


class Shrinking(PyDataset):
    """A dataset that loses batches at the end of each epoch."""

    def __init__(self, length: int, by: int = 2, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.items = [rows(i) for i in range(length)]
        self.by = by

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: int) -> Any:
        return self.items[index]

    def on_epoch_end(self) -> None:
        self.items = self.items[: max(1, len(self.items) - self.by)]


def model() -> Sequential:
    made = Sequential([layers.Dense(1, use_bias=False, kernel_initializer="ones")])
    made.compile(SGD(0.0), "mae")
    return made


def history(*args: Any, **kwargs: Any) -> dict[str, list[float]]:
    return model().fit(*args, verbose=0, shuffle=False, **kwargs).history


@pytest.mark.filterwarnings(OUT)
@pytest.mark.parametrize(
    ("data", "steps", "wanted"),
    [
        (lambda: batches(), 2, 0.5),  # what Keras gives, too
        (lambda: batches(), 3, 1.0),  # Keras: 1, 4/3, 5/3, two of the batches and a new one
        (lambda: batches(3), None, 1.0),  # Keras: 1, 0.5, 0.5
        (lambda: batches(3), 5, 1.0),
        (lambda: Shrinking(5, 0), 2, 0.5),
        (lambda: Shrinking(5, 0, workers=2), 2, 0.5),
        (lambda: Shrinking(2, 0), 3, 0.5),
        (lambda: (np.arange(5.0).repeat(2)[:, None], np.zeros((10, 1))), 2, 0.5),
    ],
)
def test_every_validation_sees_the_same_samples(
    data: Callable[[], Any], steps: int | None, wanted: float
) -> None:
    found = history(
        batches(), steps_per_epoch=2, epochs=4, validation_data=data(),
        validation_steps=steps, validation_batch_size=2,
    )  # fmt: skip
    assert found == {"loss": [0.5, 2.5, 4.5, 6.5], "val_loss": [wanted] * 4}


def test_validation_takes_no_more_of_a_generator_than_it_needs() -> None:
    validation = batches()
    history(batches(), steps_per_epoch=1, epochs=3, validation_data=validation, validation_steps=2)
    assert next(validation)[0][0, 0] == 2


@pytest.mark.parametrize("make", [lambda: batches(0), exhausted])
@pytest.mark.parametrize("steps", [None, 2])
def test_an_empty_generator_is_an_error(make: Callable[[], Any], steps: int | None) -> None:
    for call in (
        lambda: history(make(), epochs=2, steps_per_epoch=steps),
        lambda: history(batches(2), validation_data=make(), validation_steps=steps),
        lambda: model().evaluate(make(), steps=steps, verbose=0),
        lambda: model().predict(make(), steps=steps, verbose=0),
    ):
        with pytest.raises(ValueError, match=EMPTY):
            call()


def test_an_empty_iterable_and_an_empty_dataset_are_errors() -> None:
    class Nothing:
        def __iter__(self) -> Iterator[Any]:
            return iter(())

    for call in (
        lambda: history(Nothing()),
        lambda: history(batches(1), validation_data=Nothing()),
        lambda: model().evaluate(Nothing(), verbose=0),
        lambda: model().predict(Nothing(), verbose=0),
    ):
        with pytest.raises(ValueError, match="at least one batch"):
            call()
    with pytest.raises(ValueError, match="The PyDataset has length 0"):
        history(Shrinking(0))


@pytest.mark.parametrize(
    ("count", "steps", "losses"),
    [(5, 2, [0.5, 2.5, 4.0]), (4, 2, [0.5, 2.5]), (3, None, [1.0]), (6, 2, [0.5, 2.5, 4.5])],
)
def test_a_generator_that_ends_ends_the_training(
    count: int, steps: int | None, losses: list[float]
) -> None:
    seen: list[str] = []
    watch = LambdaCallback(
        on_epoch_begin=lambda epoch, logs: seen.append("begin"),
        on_epoch_end=lambda epoch, logs: seen.append("end"),
    )
    with pytest.warns(UserWarning, match="ran out of data") as caught:
        found = history(batches(count), steps_per_epoch=steps, epochs=9, callbacks=[watch])
    assert found == {"loss": losses}
    assert seen == ["begin", "end"] * len(losses)
    assert len(caught) == 1


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize(("steps", "losses"), [(None, [2, 1, 0, 0]), (5, [2, 1, 0, 0])])
def test_a_dataset_that_gets_shorter_gives_what_it_has(
    workers: int, steps: int | None, losses: list[float]
) -> None:
    with pytest.warns(UserWarning, match="ran out of data"):
        found = history(Shrinking(5, workers=workers), steps_per_epoch=steps, epochs=4)
    assert found == {"loss": losses}
    with pytest.warns(UserWarning, match="ran out of data"):
        found = history(
            batches(), steps_per_epoch=1, epochs=4, validation_data=Shrinking(5, workers=workers),
            validation_steps=steps,
        )  # fmt: skip
    assert found["val_loss"] == losses


@pytest.mark.filterwarnings(OUT)
def test_a_pass_over_several_epochs_begins_anew_where_the_dataset_got_shorter() -> None:
    assert history(Shrinking(5), steps_per_epoch=3, epochs=3) == {"loss": [1, 1, 0]}
    found = model().fit(Shrinking(9), epochs=3, verbose=0)  # shuffled
    assert found.history == {"loss": [4, 3, 2]}


def test_errors_of_a_dataset_itself_end_the_training() -> None:
    class Broken(Shrinking):
        def __getitem__(self, index: int) -> Any:
            return self.items[index + 2]

    with warnings.catch_warnings(), pytest.raises(IndexError):
        history(Broken(5, 0))

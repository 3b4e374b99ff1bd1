"""Tables of pandas, polars and xarray go wherever arrays do, and give the same bits."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
import xarray as xr

import rnn_engine
from rnn_engine.checks import as_numbers

RNG = np.random.default_rng(3)
X = RNG.normal(size=(20, 3)).round(3)
Y = RNG.normal(size=20).round(3)
WEIGHT = RNG.uniform(0.5, 2.0, 20).round(3)
FRAME = pd.DataFrame(X, columns=list("abc"), index=range(100, 120))

TABLES: dict[str, Callable[[np.ndarray], Any]] = {
    "pandas": lambda a: pd.DataFrame(a, index=range(100, 120)).squeeze(),
    "nullable": lambda a: pd.DataFrame(a, index=range(100, 120)).astype("Float64").squeeze(),
    "arrow": lambda a: pd.DataFrame(a).astype("double[pyarrow]").squeeze(),
    "polars": lambda a: pl.Series(a) if a.ndim == 1 else pl.DataFrame(a),
    "xarray": xr.DataArray,
}


def make_model() -> Any:
    rnn_engine.utils.set_random_seed(1)
    layers = rnn_engine.layers
    model = rnn_engine.Sequential([layers.SimpleRNN(4, input_shape=(3, 1)), layers.Dense(1)])
    model.compile("adam", "mse", weighted_metrics=["mae"])
    return model


def bits(of: Callable[[np.ndarray], Any]) -> list[Any]:
    """Return what every method of a model gives for tables made by `of`."""
    model, x, y, weight = make_model(), of(X), of(Y), of(WEIGHT)
    found = [model.fit(x, y, sample_weight=weight, epochs=2, batch_size=8, verbose=0).history]
    found.append(model.fit(x, y, validation_split=0.25, verbose=0).history)
    found.append(model.fit(x, y, validation_data=(x, y, weight), verbose=0).history)
    found.append(model.evaluate(x, y, sample_weight=weight, verbose=0))
    found.append(model.train_on_batch(x, y, sample_weight=weight))
    found.append(model.predict(x, verbose=0).tolist())
    found.append(model.predict_on_batch(x).tolist())
    return [*found, model(x).tolist()]


@pytest.mark.parametrize("kind", TABLES)
def test_tables_give_the_bits_of_arrays(kind: str) -> None:
    assert bits(TABLES[kind]) == bits(np.asarray)


def test_columns_of_several_types() -> None:
    """pandas gives objects for these."""
    data = {"a": X[:, 0], "b": X[:, 1] > 0, "c": np.arange(20)}
    array = np.column_stack([data["a"], data["b"], data["c"]])
    for table in (pd.DataFrame(data), pl.DataFrame(data), pd.DataFrame(data).convert_dtypes()):
        assert np.array_equal(as_numbers(table, "x"), array)
        assert make_model().predict(table, verbose=0).shape == (20, 1)


def test_labels_stay_integers() -> None:
    for labels in (pd.Series([2, 1], dtype="Int64"), pl.Series([2, 1]), pd.Series([2, 1])):
        array = as_numbers(labels, "y")
        assert array.dtype.kind == "i"
        assert array.tolist() == [2, 1]
    large = 2**60 + 1
    assert as_numbers(pd.Series([large], dtype="Int64"), "y")[0] == large


def test_what_is_missing_becomes_nan() -> None:
    series = pd.Series([1, None], dtype="Int64"), pl.Series([1, None]), pl.Series([True, None])
    for one in (*series, pd.Series([True, None], dtype="boolean")):
        array = as_numbers(one, "x")
        assert array[0] == 1
        assert np.isnan(array[1])
    rnn_engine.config.set_check_finite(True)
    try:
        with pytest.raises(ValueError, match="x holds nan"):
            make_model().predict(FRAME.astype("Float64").mask(FRAME > 1), verbose=0)
    finally:
        rnn_engine.config.set_check_finite(False)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (FRAME.assign(c="1"), "x must hold real numbers, got column 'c' of dtype"),
        (FRAME.assign(b=pd.Categorical(["u"] * 20)), "column 'b' of dtype category"),
        (FRAME.assign(a=pd.Timestamp("2020-01-01")), "column 'a' of dtype datetime64"),
        (pl.DataFrame({"n": ["1"] * 20, "m": [1.0] * 20}), "column 'n' of dtype String"),
        (pd.Series(["1"] * 20), "x must hold real numbers, got dtype"),
        (xr.DataArray(np.array(["a"] * 20)), "x must hold real numbers, got dtype <U1"),
        (pl.DataFrame(X).lazy(), "Call its collect"),
        (xr.DataArray(X).to_dataset(dim="dim_1"), "xarray.DataArray"),
    ],
)
def test_what_is_no_number(table: Any, message: str) -> None:
    model = make_model()
    before = model.get_weights()
    with pytest.raises(ValueError, match=message):
        model.fit(table, Y, verbose=0)
    assert all(map(np.array_equal, before, model.get_weights()))


def test_several_inputs_and_named_outputs() -> None:
    layers = rnn_engine.layers
    inputs = {name: rnn_engine.Input((3, 1), name=name) for name in "ab"}
    joined = layers.Flatten()(layers.Concatenate()(list(inputs.values())))
    outputs = {name: layers.Dense(1, name=name)(joined) for name in "uv"}
    model = rnn_engine.Model(inputs, outputs)
    model.compile("sgd", "mse")
    data = {"a": FRAME, "b": pl.DataFrame(X)}
    first = model.evaluate(data, {"u": pd.Series(Y), "v": pl.Series(Y)}, verbose=0)
    assert first == model.evaluate({"a": X, "b": X}, {"u": Y, "v": Y}, verbose=0)


def test_windows_and_datasets_of_tables() -> None:
    make = rnn_engine.utils.timeseries_dataset_from_array
    for x, y in ((FRAME, pd.Series(Y)), (pl.DataFrame(X), pl.Series(Y))):
        pairs = zip(make(x, y, 3), make(X, Y, 3), strict=True)
        assert all(np.array_equal(a, b) for p, q in pairs for a, b in zip(p, q, strict=True))
        first = next(iter(rnn_engine.data.Dataset.from_tensor_slices((x, y)).batch(4)))
        assert np.array_equal(first[0], X[:4])
        assert np.array_equal(first[1], Y[:4])


def test_whole_numbers_of_a_nullable_type_keep_all_their_digits() -> None:
    large = pd.DataFrame({"a": pd.Series([2**53 + 1, -1], dtype="Int64"), "b": [True, False]})
    assert as_numbers(large, "y").tolist() == [[2**53 + 1, 1], [-1, 0]]
    assert np.isnan(as_numbers(pd.Series([2, None], dtype="Int64"), "y")[1])

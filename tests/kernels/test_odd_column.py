"""The column that is left over when a product's registers are full, see `kernels.odd_column`."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import rnn_engine
from reference import oracle
from reference.compare import relative_error, tolerance
from rnn_engine.layers import SimpleRNN
from tests.kernels.plans import planned

# Units or features that have such a column in one type or in both, and neighbours that have none.
SIZES = (17, 25, 33, 34, 49, 57, 97, 113, 129)


def build(units, features, dtype="float32", **options):
    layer = SimpleRNN(units, return_sequences=True, dtype=dtype, seed=1, **options)
    layer.build((None, None, features))
    rng = np.random.default_rng(units)
    for weight in layer.weights:
        weight.assign(rng.normal(size=weight.shape) / np.sqrt(units))
    return layer


def numbers(seed, *shape, dtype="float32"):
    return np.random.default_rng(seed).normal(size=shape).astype(dtype)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("masked", [False, True])
@given(st.sampled_from(SIZES), st.sampled_from((1, 3, 33)), st.integers(1, 40), st.integers(1, 5))
def test_against_the_oracle(masked, dtype, units, features, batch, steps):
    layer, x = build(units, features, dtype), numbers(0, batch, steps, features, dtype=dtype)
    h0, dy = numbers(1, batch, units, dtype=dtype), numbers(2, batch, steps, units, dtype=dtype)
    mask = np.random.default_rng(3).random((batch, steps)) < 0.6 if masked else None
    y, saved = layer.forward(x, True, mask, initial_state=h0)
    y, found = np.array(y), layer.backward(dy, saved)
    naive = oracle.SimpleRNN(*(w.value for w in layer.weights), return_sequences=True)
    expected, _ = naive.forward(x, h0, mask)
    wanted = naive.backward(dy)
    assert relative_error(y, expected, dtype) <= tolerance(dtype)
    names = ("x", "initial_state", "kernel", "recurrent_kernel", "bias")
    for name, value in zip(names, [*found, *(w.grad for w in layer.weights)], strict=True):
        assert relative_error(value, wanted[name], dtype) <= tolerance(dtype), name


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@given(
    st.sampled_from(SIZES), st.sampled_from((5, 40)), st.integers(1, 40), st.integers(2, 9),
    st.data(),
)  # fmt: skip
def test_a_row_has_its_bits_in_any_company(dtype, units, features, batch, steps, data):
    """Other rows, carried states, a mask; inputs projected ahead (few rows of 40 features)."""
    layer, x = build(units, features, dtype), numbers(0, batch, steps, features, dtype=dtype)
    whole = np.array(layer(x))
    row, cut = data.draw(st.integers(0, batch - 1)), data.draw(st.integers(1, steps - 1))
    assert layer(x[row : row + 1]).tobytes() == whole[row : row + 1].tobytes()
    later = layer(x[:, cut:], initial_state=whole[:, cut - 1].copy())
    assert later.tobytes() == whole[:, cut:].tobytes()
    with planned(AHEAD_NUMBERS=1, AHEAD_LEAST=1, AHEAD_ROWS=10**6):
        assert layer(x).tobytes() == whole.tobytes()
    everything = np.ones((batch, steps), bool)
    everything[row, cut:] = False
    masked = layer(x, mask=everything)
    assert masked[:, :cut].tobytes() == whole[:, :cut].tobytes()


@pytest.mark.parametrize(
    ("units", "dtype"),
    [*((u, "float32") for u in (97, 113, 129, 145)), *((u, "float64") for u in (57, 65, 89, 97))],
)
def test_no_size_has_an_odd_column_here_and_panels_of_its_own_there(units, dtype):
    """A long sequence alone may go through `single_row`, which knows no odd columns.

    From 129 units with AVX2, from 256 with AVX-512: `test_bits` compares the two.
    """
    layer, x = build(units, 5, dtype), numbers(0, 3, 40, 5, dtype=dtype)
    assert layer(x[:1]).tobytes() == np.array(layer(x))[:1].tobytes()


@pytest.mark.parametrize("units", SIZES)
def test_other_columns_are_those_of_a_wider_layer(units):
    """Nothing of the odd column gets into its neighbours, nor the other way round."""
    layer, wide = build(units, 4), build(units + 15, 4)
    for narrow, other in zip(layer.weights, wide.weights, strict=True):
        value = np.zeros(other.shape)
        value[tuple(slice(size) for size in narrow.shape)] = narrow.value
        other.assign(value)
    x = numbers(0, 20, 3, 4)
    narrow, other = layer(x), wide(x)[..., :units]
    np.testing.assert_allclose(narrow, other, rtol=0, atol=2e-6)
    assert narrow[:, 0, : units - 1].tobytes() == other[:, 0, : units - 1].tobytes()


@pytest.mark.parametrize("rows", [1, 20])
@pytest.mark.parametrize("features", [3, 33])
def test_nothing_beside_a_row_gets_into_it(rows, features):
    """The last numbers of a row are read under a mask: its neighbours may be NaN."""
    layer = build(33, features)
    x = numbers(0, rows, 6, features)
    clean = np.array(layer(x[:, :3]))
    x[:, 3:] = np.nan
    assert layer(x)[:, :3].tobytes() == clean.tobytes()


def test_training_goes_the_same_way_on_any_threads():
    """Weights after some epochs, to the bit."""
    x, y = numbers(0, 96, 12, 33), numbers(1, 96, 1)
    results = []
    before = rnn_engine.get_num_threads()
    try:
        for threads in (1, 2, 3):
            rnn_engine.set_num_threads(threads)
            rnn_engine.utils.set_random_seed(1)
            model = rnn_engine.Sequential(
                [rnn_engine.Input((12, 33)), SimpleRNN(33), rnn_engine.layers.Dense(1)]
            )
            model.compile("adam", "mse")
            model.fit(x, y, batch_size=48, epochs=2, verbose=0)
            results.append([w.tobytes() for w in model.get_weights()])
    finally:
        rnn_engine.set_num_threads(before)
    assert results[0] == results[1] == results[2]

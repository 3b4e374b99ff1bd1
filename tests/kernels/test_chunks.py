"""Work that is cut: in chunks of time, groups of rows, calls. Each way it is the same work."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reference import oracle
from reference.compare import relative_error, tolerance
from rnn_engine.kernels import gemm, threads
from rnn_engine.kernels.denormals import flush_denormals, restore
from rnn_engine.kernels.options import kernel
from rnn_engine.layers import SimpleRNN
from tests.kernels.plans import planned
from tests.kernels.test_bits import running_on


@st.composite
def plans(draw):
    """Draw constants that cut small work in every way."""
    return {
        "BLOCK_NUMBERS": draw(st.sampled_from([1, 200, 2048, 10**6])),
        "AHEAD_NUMBERS": draw(st.sampled_from([1, 40, 200, 10**6])),
        "AHEAD_LEAST": draw(st.integers(1, 40)),
        "AHEAD_ROWS": draw(st.sampled_from([0, 4, 10**6])),
        "BACKWARD_NUMBERS": draw(st.sampled_from([0, 40, 10**6])),
        "BACKWARD_ROWS": draw(st.integers(1, 40)),
        "GROUP_WORK": draw(st.sampled_from([0, 10**9])),
        "LONGEST_CALL": draw(st.sampled_from([1, 300, 10**9])),
    }


@given(
    plans(), st.integers(1, 9), st.integers(1, 9), st.integers(1, 20), st.integers(1, 35),
    st.sampled_from(["tanh", "sigmoid"]), st.booleans(), st.booleans(), st.booleans(),
    st.sampled_from([1, 2, 3]), st.integers(0, 2**32),
)  # fmt: skip
def test_gradients_against_the_oracle(
    plan, batch, steps, features, units, activation, in_time, masked, started, count, seed
):
    """Cuts, groups, threads, masks, a start, batch-major and time-major inputs."""
    rng = np.random.default_rng(seed)
    weights = [rng.normal(size=s) * 0.4 for s in ((features, units), (units, units), (units,))]
    layer = SimpleRNN(units, activation=activation, return_sequences=in_time, dtype="float64")
    layer.build((None, steps, features))
    layer.set_weights(weights)
    x = rng.normal(size=(batch, steps, features))
    if rng.random() < 0.5:  # as a batch of fit lies in memory
        x = np.ascontiguousarray(x.transpose(1, 0, 2)).transpose(1, 0, 2)
    h0 = rng.normal(size=(batch, units)) if started else None
    mask = rng.random((batch, steps)) < 0.6 if masked else None
    dy = rng.normal(size=(batch, steps, units) if in_time else (batch, units))
    naive = oracle.SimpleRNN(*weights, activation, return_sequences=in_time)
    expected, _ = naive.forward(x, np.zeros((batch, units)) if h0 is None else h0, mask)
    wanted = naive.backward(dy)
    with planned(**plan), running_on(count):
        y, saved = layer.forward(x, True, mask, initial_state=h0)
        y = np.array(y)
        out = layer.backward(dy, saved)
    found = dict(zip(("kernel", "recurrent_kernel", "bias"), layer.weights, strict=True))
    found = {name: variable.grad for name, variable in found.items()}
    found["x"] = out[0] if started else out
    if started:
        found["initial_state"] = out[1]
    assert relative_error(y, expected, "float64") <= tolerance("float64")
    for name, gradient in found.items():
        error = relative_error(gradient, wanted[name], "float64")
        assert error <= tolerance("float64"), name


@given(
    st.integers(1, 9), st.integers(1, 9), st.integers(1, 20), st.integers(1, 35),
    st.sampled_from(["float32", "float64"]), st.booleans(), st.integers(0, 2**32),
)  # fmt: skip
def test_small_work_has_the_bits_of_large(batch, steps, features, units, dtype, in_time, seed):
    """Blocks of one register, and no inputs projected ahead."""
    rng = np.random.default_rng(seed)
    layer = SimpleRNN(units, return_sequences=in_time, dtype=dtype)
    layer.build((None, steps, features))
    x = rng.normal(size=(batch, steps, features)).astype(dtype)
    dy = rng.normal(size=(batch, steps, units) if in_time else (batch, units)).astype(dtype)

    def run():
        for variable in layer.weights:
            variable.clear_gradient()
        y, saved = layer.forward(x, True)
        dx = layer.backward(dy, saved)
        return [a.tobytes() for a in (layer(x), y, dx, *(v.grad for v in layer.weights))]

    found = run()
    with planned(BLOCK_NUMBERS=1, AHEAD_ROWS=0):
        assert run() == found


@pytest.mark.parametrize("features", [3, 40])
def test_every_call_goes_on_from_the_one_before(features):
    """One step a call, inputs projected ahead (one row of 40 features) or not, h kept or not."""
    layer = SimpleRNN(33, seed=1)
    x = np.random.default_rng(0).normal(size=(1, 9, features)).astype(np.float32)
    layer.build(x.shape)
    whole = layer(x)
    with planned(AHEAD_NUMBERS=1, AHEAD_LEAST=1, LONGEST_CALL=1):
        assert layer(x).tobytes() == whole.tobytes()
        assert layer.forward(x, True)[0].tobytes() == whole.tobytes()


@given(plans(), st.integers(1, 9), st.integers(1, 9), st.booleans(), st.booleans())
def test_dropout_in_any_cut(plan, batch, steps, of_state, masked):
    """The gradients under dropout are those of the whole, and by differences of R's first row."""
    layer = SimpleRNN(5, dropout=0.3, recurrent_dropout=0.4 * of_state, seed=1, dtype="float64")
    layer.build((None, steps, 3))
    rng = np.random.default_rng(batch + 10 * steps)
    x, dy = rng.normal(size=(batch, steps, 3)), rng.normal(size=(batch, 5))
    mask = rng.random((batch, steps)) < 0.6 if masked else None
    kernel = layer.recurrent_kernel

    def run():
        layer.cell._generator = np.random.default_rng(7)
        for variable in layer.weights:
            variable.grad.fill(0)
        y, saved = layer.forward(x, True, mask)
        return float((y * dy).sum()), np.array(layer.backward(dy, saved)), saved

    def gradients():
        dx = run()[1]
        return [dx, *(variable.grad.copy() for variable in layer.weights)]

    whole = gradients()
    with planned(**plan):
        for a, b in zip(gradients(), whole, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-13)
    value = kernel.value[0, 1]
    sides = []
    for change in (1e-6, -1e-6):
        kernel.value[0, 1] = value + change
        kernel.touch()
        sides.append(run()[0])
    slope = (sides[0] - sides[1]) / 2e-6
    np.testing.assert_allclose(whole[2][0, 1], slope, rtol=1e-5, atol=1e-7)


@given(st.integers(1, 300), st.integers(1, 40), st.integers(1, 10**6))
def test_calls_cover_every_step_once_in_whole_chunks(steps, chunk, longest):
    with planned(LONGEST_CALL=longest):
        calls = threads.calls(steps, chunk, 10**4)
    assert [step for begin, stop in calls for step in range(begin, stop)] == list(range(steps))
    assert all(begin % chunk == 0 for begin, _ in calls)


def test_every_count_of_rows_and_vectors_is_covered_by_tiles():
    """A zero in the tables would be a loop without an end."""
    for rows in range(1, 3 * gemm.TALLEST):
        for vectors in range(1, 4 * gemm.WIDEST):
            left = vectors
            while left:
                index = min(rows, len(gemm.NEXT_WIDTH) - 1), min(left, gemm._MOST_VECTORS)
                width = int(gemm.NEXT_WIDTH[index])
                assert 0 < width <= left
                below = rows
                while below:
                    height = int(gemm.NEXT_ROWS[width, min(below, gemm._MOST_ROWS)])
                    assert 0 < height <= below
                    assert height in gemm.TILES[width]
                    below -= height
                left -= width


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_gradients_that_die_out_are_zero_and_not_denormal(dtype):
    """A long sequence with a small R: dz falls below the normal numbers, as in TensorFlow to 0."""
    layer = SimpleRNN(3, dtype=dtype)
    layer.build((None, 500, 2))
    layer.set_weights([np.ones((2, 3)), np.eye(3) * 0.1, np.zeros(3)])
    x = np.random.default_rng(0).normal(size=(2, 500, 2)).astype(dtype)
    for plan in ({}, {"GROUP_WORK": 0}):
        with planned(**plan):
            _, saved = layer.forward(x, True)
            dx = np.abs(layer.backward(np.ones((2, 3), dtype), saved))
        assert (dx[:, -1] > 0).all()
        assert (dx[:, 0] == 0).all()
        assert dx[dx > 0].min() >= np.finfo(dtype).tiny


@pytest.mark.jit
def test_kernels_leave_the_callers_arithmetic_alone():
    tiny = np.float32(1e-39)
    layer = SimpleRNN(3)
    layer(np.ones((2, 3, 1), np.float32))
    assert tiny / 2 > 0


@pytest.mark.jit
def test_flushing_is_undone():
    @kernel
    def halve(x, before, inside, after):
        before[0] = x[0] * x[1]
        state = flush_denormals()
        inside[0] = x[0] * x[1]
        restore(state)
        after[0] = x[0] * x[1]

    x = np.array([1e-38, 0.5], np.float32)
    results = [np.ones(1, np.float32) for _ in range(3)]
    halve(x, *results)
    assert [float(r[0]) > 0 for r in results] == [True, False, True]

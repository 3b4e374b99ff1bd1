"""The same bits every time: the promises about threads, batches, time and vector width."""

import contextlib
import itertools
import platform
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import rnn_engine
from rnn_engine import layers
from rnn_engine.kernels import threads
from rnn_engine.kernels.compiler import LIBRARY
from rnn_engine.kernels.vector import cpu_features
from tests.kernels.plans import planned
from tests.kernels.process import finish, start
from tests.strategies import ALL_CELLS

COUNTS = (1, 2, 3, 8)
GOLDEN_BITS = (Path(__file__).parent / "golden_bits.py").read_text()
AVX2 = {
    "NUMBA_CPU_NAME": "haswell",
    "NUMBA_CPU_FEATURES": "+sse,+sse2,+sse3,+ssse3,+sse4.1,+sse4.2,+avx,+avx2,+fma,+bmi,+bmi2,"
    "+popcnt,+cx16,+f16c,+movbe,+lzcnt",
}
# Neither AVX nor FMA instructions: LLVM calls the C library's fma.
SSE = {"NUMBA_CPU_NAME": "generic"}


@contextlib.contextmanager
def running_on(count):
    """Run every kernel that has a parallel twin with so many tasks, however small its work."""
    work, before = threads.SERIAL_WORK, threads.get_num_threads()
    threads.SERIAL_WORK = 0
    rnn_engine.set_num_threads(count)
    try:
        assert threads.tasks(1, 99) == count
        yield
    finally:
        threads.SERIAL_WORK = work
        rnn_engine.set_num_threads(before)


def bits(*arrays):
    """Return the bytes of arrays: signed zeros differ, and a NaN equals itself."""
    return [np.ascontiguousarray(array).tobytes() for array in arrays]


@st.composite
def cases(draw):
    """Draw a layer with weights, and an input; shapes around the sizes of tiles and panels."""
    batch = draw(st.sampled_from([2, 3, 5, 12, 13, 17]) | st.integers(2, 40))
    steps, features = draw(st.integers(1, 7)), draw(st.integers(1, 20))
    units = draw(st.sampled_from([1, 7, 16, 17, 33, 64]) | st.integers(1, 70))
    dtype = draw(st.sampled_from(["float32", "float64"]))
    kind, own = draw(st.sampled_from(ALL_CELLS))
    layer = getattr(layers, kind)(
        units,
        **own,
        activation=draw(st.sampled_from(["tanh", "relu", "sigmoid", "linear"])),
        use_bias=draw(st.booleans()),
        return_sequences=draw(st.booleans()),
        dtype=dtype,
    )
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    layer.build((None, steps, features))
    scale = 1 / np.sqrt(features + units)
    layer.set_weights([rng.normal(size=w.shape) * scale for w in layer.get_weights()])
    return layer, rng.normal(size=(batch, steps, features)).astype(dtype), rng


def some_mask(rng, x):
    mask = rng.random(x.shape[:2]) < 0.7
    mask[0] = False  # a row with no open step at all
    return mask


# --- forward ----------------------------------------------------------------------


@given(cases(), st.booleans())
def test_forward_on_any_number_of_threads(case, masked):
    layer, x, rng = case
    mask = some_mask(rng, x) if masked else None
    results = set()
    for count in COUNTS:
        with running_on(count):
            results.add(layer(x, mask=mask).tobytes())
    assert len(results) == 1


@given(cases(), st.booleans(), st.sampled_from(COUNTS))
def test_forward_of_a_row_in_any_company(case, masked, count):
    """Alone, among others, in another place: a row is the same."""
    layer, x, rng = case
    mask = some_mask(rng, x) if masked else None
    whole = layer(x, mask=mask)
    rows = rng.permutation(len(x))[: rng.integers(1, len(x) + 1)]
    with running_on(count):
        part = layer(x[rows], mask=None if mask is None else mask[rows])
    assert bits(part) == bits(whole[rows])
    row = rows[0]
    others = rng.normal(size=x.shape).astype(x.dtype) * 100
    place = rng.integers(len(x))
    others[place] = x[row]
    other_mask = None
    if mask is not None:
        other_mask = rng.random(mask.shape) < 0.5
        other_mask[place] = mask[row]
    assert bits(layer(others, mask=other_mask)[place]) == bits(whole[row])


@given(cases(), st.data())
def test_forward_in_parts_of_time_with_the_state_carried(case, data):
    layer, x, _ = case
    whole = layer(x)
    steps = x.shape[1]
    cuts = sorted(data.draw(st.sets(st.integers(1, max(1, steps - 1)))) | {0, steps})
    layer.return_state = True
    states, parts = None, []
    for begin, end in itertools.pairwise(cuts):
        y, *states = layer(x[:, begin:end], initial_state=states)
        parts.append(y)
    joined = np.concatenate(parts, axis=1) if layer.return_sequences else parts[-1]
    assert bits(joined) == bits(whole)


@given(cases(), st.integers(1, 9), st.sampled_from(COUNTS))
def test_forward_with_any_right_padding(case, padding, count):
    layer, x, rng = case
    batch, steps, features = x.shape
    whole = layer(x)
    padded = rng.normal(size=(batch, steps + padding, features)).astype(x.dtype) * 1000
    padded[:, :steps] = x
    mask = np.zeros(padded.shape[:2], bool)
    mask[:, :steps] = True
    with running_on(count):
        y = layer(padded, mask=mask)
    assert bits(y[:, :steps] if layer.return_sequences else y) == bits(whole)


@pytest.mark.parametrize(("batch", "units"), [(1, 400), (5, 520)])
@pytest.mark.parametrize(("kind", "own"), ALL_CELLS)
def test_forward_in_chunks_of_projected_time(batch, units, kind, own):
    """How many steps are projected at once depends on the batch, and changes no bit."""
    units = units if kind == "SimpleRNN" else units // 4
    layer = getattr(layers, kind)(units, seed=1, return_sequences=True, **own)
    x = np.random.default_rng(0).normal(size=(batch, 40, 5)).astype(np.float32)
    whole = layer(x)
    for numbers in (1, batch * units * 3, batch * units * 39):
        with planned(AHEAD_NUMBERS=numbers, AHEAD_LEAST=1, AHEAD_ROWS=10**6):
            assert bits(layer(x)) == bits(whole)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("units", [64, 100, 128, 256, 305, 528])
@pytest.mark.parametrize("activation", ["tanh", "linear", "gelu"])
@pytest.mark.parametrize("kind", ["SimpleRNN", "LSTM", "GRU"])
def test_one_row_of_large_weights_has_the_bits_of_many(units, dtype, activation, kind):
    """One stream of wide panels or many of narrow ones; kept or not, started or not, in parts."""
    if kind != "SimpleRNN" and (activation != "tanh" or units > 256):
        return
    layer = getattr(layers, kind)(
        units, activation, seed=3, return_sequences=True, return_state=True, dtype=dtype
    )
    rng = np.random.default_rng(units)
    x = rng.normal(size=(3, 80, 7)).astype(dtype)
    layer.build(x.shape)
    scale = 1 / (2 * np.sqrt(units))
    layer.set_weights([rng.normal(size=w.shape) * scale for w in layer.get_weights()])
    starts = [rng.normal(size=(3, units)).astype(dtype) for _ in layer.state_sizes]
    for given_state in (None, starts):
        whole, *last = layer(x, initial_state=given_state)
        last = [state[1:2] for state in last]
        begin = None if given_state is None else [state[1:2] for state in given_state]
        one, *states = layer(x[1:2], initial_state=begin)
        assert bits(one, *states) == bits(whole[1:2], *last)
        (trained, *_), _ = layer.forward(x[1:2], True, initial_state=begin)
        assert bits(trained) == bits(whole[1:2])
        first, *states = layer(x[1:2, :40], initial_state=begin)
        second, *states = layer(x[1:2, 40:], initial_state=states)
        assert bits(np.concatenate([first, second], 1), *states) == bits(whole[1:2], *last)
        with planned(AHEAD_NUMBERS=9 * units, AHEAD_LEAST=1, LONGEST_CALL=20 * units * units):
            assert bits(*layer(x[1:2], initial_state=begin)) == bits(whole[1:2], *last)
        # Both packings follow the weights: the next round has new ones.
        layer.recurrent_kernel.assign(layer.recurrent_kernel.value / 2)


@pytest.mark.parametrize("units", [249, 250, 520])
@pytest.mark.parametrize("in_time", [False, True])
def test_inputs_are_projected_ahead_or_with_the_state(units, in_time):
    """One row projects ahead here, six do with 520 units, and none under a mask."""
    layer = layers.SimpleRNN(units, seed=2, return_sequences=in_time)
    x = np.random.default_rng(0).normal(size=(6, 5, 7)).astype(np.float32)
    whole = layer(x)
    assert bits(layer(x, mask=np.ones((6, 5), bool))) == bits(whole)
    assert bits(*(layer(x[i : i + 1])[0] for i in range(6))) == bits(*whole)
    trained, _ = layer.forward(x, True)
    assert bits(trained) == bits(whole)


@given(st.integers(1, 60), st.integers(1, 40), st.integers(1, 70), st.sampled_from(COUNTS))
def test_dense_in_any_company(rows, features, units, count):
    rng = np.random.default_rng(rows)
    layer = layers.Dense(units, activation="sigmoid")
    x = rng.normal(size=(rows, features)).astype(np.float32)
    whole = layer(x)
    chosen = rng.permutation(rows)[: rng.integers(1, rows + 1)]
    with running_on(count):
        assert bits(layer(x[chosen])) == bits(whole[chosen])


# --- gradients and training -------------------------------------------------------


@given(cases(), st.booleans())
def test_gradients_on_any_number_of_threads(case, masked):
    layer, x, rng = case
    mask = some_mask(rng, x) if masked else None
    dy = None
    results = []
    for count in COUNTS:
        with running_on(count):
            y, saved = layer.forward(x, training=True, mask=mask)
            dy = rng.normal(size=y.shape).astype(x.dtype) if dy is None else dy
            for variable in layer.trainable_weights:
                variable.grad.fill(0)
            dx = layer.backward(dy, saved)
            results.append(bits(dx, *(v.grad for v in layer.trainable_weights)))
    assert all(result == results[0] for result in results)


@given(cases(), st.integers(1, 9), st.integers(1, 9))
def test_gradients_in_groups_on_any_number_of_threads(case, chunk, call):
    """Two groups of rows on one thread, on one each, on several each; in any calls."""
    layer, x, rng = case
    y, _ = layer.forward(x)
    dy = rng.normal(size=y.shape).astype(x.dtype)
    results = []
    for count, longest in itertools.product(COUNTS, (2**30, call * x.size * layer.units)):
        plan = {"GROUP_WORK": 0, "BACKWARD_NUMBERS": 0, "BACKWARD_ROWS": chunk}
        with running_on(count), planned(LONGEST_CALL=longest, **plan):
            _, saved = layer.forward(x, training=True)
            for variable in layer.trainable_weights:
                variable.grad.fill(0)
            dx = layer.backward(dy, saved)
            results.append(bits(dx, *(v.grad for v in layer.trainable_weights)))
    assert all(result == results[0] for result in results)


@given(cases(), st.integers(1, 9), st.booleans())
def test_a_pass_goes_back_on_other_threads_than_it_came(case, chunk, need_dx):
    """The states of two threads may lie apart: whoever goes back finds them."""
    layer, x, rng = case
    y, _ = layer.forward(x)
    dy = rng.normal(size=y.shape).astype(x.dtype)
    results = []
    with planned(GROUP_WORK=0, BACKWARD_NUMBERS=0, BACKWARD_ROWS=chunk):
        for there, back in itertools.product((1, 2, 3), COUNTS):
            with running_on(there):
                _, saved = layer.forward(x, training=True)
            for variable in layer.trainable_weights:
                variable.grad.fill(0)
            with running_on(back):
                dx = layer.backward(dy, saved, need_dx)
            gradients = [variable.grad for variable in layer.trainable_weights]
            results.append(bits(*([dx] if need_dx else []), *gradients))
    assert all(result == results[0] for result in results)


@given(st.integers(1, 60), st.integers(1, 40), st.integers(1, 70))
def test_gradients_of_dense_on_any_number_of_threads(rows, features, units):
    rng = np.random.default_rng(rows)
    layer = layers.Dense(units, activation="tanh")
    x = rng.normal(size=(rows, features)).astype(np.float32)
    dy = rng.normal(size=(rows, units)).astype(np.float32)
    layer.build(x.shape)
    results = []
    for count in COUNTS:
        with running_on(count):
            _, saved = layer.forward(x, training=True)
            for variable in layer.trainable_weights:
                variable.grad.fill(0)
            results.append(bits(layer.backward(dy, saved), *(v.grad for v in layer.weights)))
    assert all(result == results[0] for result in results)


def fitted(seed, optimizer, dtype):
    """Train a model from a seed and return the bits of all that is left of it."""
    rnn_engine.utils.set_random_seed(seed)
    model = rnn_engine.Sequential(
        [
            layers.SimpleRNN(12, return_sequences=True, recurrent_dropout=0.2, dtype=dtype),
            layers.LSTM(6, recurrent_dropout=0.1, return_sequences=True, dtype=dtype),
            layers.Bidirectional(layers.GRU(4, return_sequences=True, dtype=dtype), dtype=dtype),
            layers.SimpleRNN(7, dropout=0.1, dtype=dtype),
            layers.Dense(3, activation="softmax", dtype=dtype),
        ]
    )
    model.compile(optimizer=optimizer, loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(37, 6, 4)), rng.integers(0, 3, 37)
    history = model.fit(x, y, batch_size=8, epochs=3, validation_split=0.2, verbose=0).history
    slots = [variable.value for variable in model.optimizer.variables]
    numbers = [np.float64(values) for values in history.values()]
    return bits(*model.get_weights(), *slots, *numbers, model.predict(x, verbose=0))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("optimizer", ["sgd", "rmsprop", "adam"])
def test_fit_on_any_number_of_threads_and_run_after_run(optimizer, dtype):
    results = []
    for count in (*COUNTS, *COUNTS):
        with running_on(count):
            results.append(fitted(4, optimizer, dtype))
    assert all(result == results[0] for result in results)
    assert fitted(5, optimizer, dtype) != results[0]


# --- other machines ---------------------------------------------------------------


def lines(process):
    text = finish(process, seconds=900)
    return dict(line.rsplit(": ", 1) for line in text.splitlines())


@pytest.mark.skipif(
    platform.machine() not in ("x86_64", "AMD64") or "+avx2" not in cpu_features(),
    reason="this machine cannot run AVX2 code",
)
def test_code_for_other_machines_computes_the_same_bits():
    """AVX2, plain SSE and this machine's own code; a second run on another number of threads.

    With a library its levels, and what is compiled here.
    """
    parallel = GOLDEN_BITS.replace(
        "import rnn_engine\n",
        "import rnn_engine\nfrom rnn_engine.kernels import threads\nthreads.SERIAL_WORK = 0\n",
        1,
    )
    assert parallel != GOLDEN_BITS
    host = lines(start(GOLDEN_BITS))
    assert len(host) > 150
    assert len(set(host.values())) > 0.8 * len(host)
    compiled = {"RNN_ENGINE_KERNELS": "jit"}
    others = [(parallel, {"RNN_ENGINE_NUM_THREADS": "3"})]
    if LIBRARY is None:
        others += [
            (GOLDEN_BITS, AVX2 | compiled),
            (GOLDEN_BITS, SSE | compiled | {"GOLDEN_TYPES": "float32"}),  # slow, for want of FMA
        ]
    else:
        others += [
            (GOLDEN_BITS, compiled),
            (GOLDEN_BITS, {"RNN_ENGINE_KERNELS": "avx2"}),
            (GOLDEN_BITS, {"RNN_ENGINE_KERNELS": "sse", "GOLDEN_TYPES": "float32"}),
        ]
    for code, changes in others:
        wanted = host
        if "GOLDEN_TYPES" in changes:
            wanted = {name: value for name, value in host.items() if name.startswith("float32")}
        other = lines(start(code, **changes))
        assert other.keys() == wanted.keys()
        assert [name for name in wanted if other[name] != wanted[name]] == [], changes


@pytest.mark.skipif(LIBRARY is None, reason="there is no library of kernels")
def test_the_levels_of_the_library_are_what_they_say():
    code = "from rnn_engine.kernels import vector; print(vector.REGISTER_BYTES)"
    assert finish(start(code, RNN_ENGINE_KERNELS="sse")) == "16\n"
    if "+avx2" in cpu_features():
        assert finish(start(code, RNN_ENGINE_KERNELS="avx2")) == "32\n"
    if "+avx512f" in cpu_features():
        assert finish(start(code, RNN_ENGINE_KERNELS="avx512")) == "64\n"


def test_the_other_machines_code_is_really_another():
    code = "from rnn_engine.kernels import vector; print(vector.REGISTER_BYTES)"
    if "+avx2" not in cpu_features() or sys.maxsize < 2**32:
        pytest.skip("this machine cannot run AVX2 code")
    assert finish(start(code, **AVX2)) == "32\n"
    assert finish(start(code, **SSE)) == "16\n"

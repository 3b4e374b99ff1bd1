"""A stream has the bits of `predict`, however the sequence is cut."""

import copy
import ctypes
import gc
import pickle
import threading
import tracemalloc
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import rnn_engine
from rnn_engine import layers as k
from rnn_engine.kernels.recurrent import lone
from rnn_engine.streaming import Stream, compiled
from tests.kernels.recurrent.test_safety import Guarded
from tests.streaming.models import FEATURES, ROWS, make

NAMES = [*ROWS, "graph"]


def cuts(rng: np.random.Generator, steps: int) -> list[int]:
    """Return numbers of steps, some of them zero or one, that add up to `steps`."""
    found = []
    while sum(found) < steps:
        count = int(rng.choice([0, 1, 1, 2, 3, rng.integers(1, steps + 1)]))
        found.append(min(count, steps - sum(found)))
    return found


@given(
    st.sampled_from(NAMES), st.sampled_from(["float32", "float64"]), st.sampled_from([1, 2, 5]),
    st.integers(1, 40), st.integers(0, 2**32 - 1),
)  # fmt: skip
def test_any_cutting_has_the_bits_of_predict(
    name: str, dtype: str, batch: int, steps: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    model = make(name, dtype, batch if name == "stateful" else None)
    x = rng.normal(size=(batch, steps, FEATURES)).astype(dtype)
    x[rng.random((batch, steps)) < 0.3] = 0  # closed where there is a mask
    session = model.stream(batch)
    assert all(state.shape[0] == batch for state in session.get_state())
    y = taken_from(session, x, rng)
    compare(model, x, y)
    session.reset()
    compare(model, x, session.process(x))


def taken_from(session: Stream, x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return the outputs of x in some cuts; each call is made twice, from the same state."""
    parts, begin = [], 0
    for count in cuts(rng, x.shape[1]):
        block = x[:, begin : begin + count]
        begin += count
        before = session.get_state()
        first = session.process(block)
        if count:  # a state that was put back gives the same again, into a buffer
            session.set_state(before)
            if count == 1 and rng.random() < 0.7:
                y = session.step(block[:, 0], out=np.full_like(first[:, 0], np.nan))[:, None]
            else:
                y = session.process(block, out=np.full_like(first, np.nan))
            np.testing.assert_array_equal(y, first)
        parts.append(first)
    return np.concatenate(parts, axis=1)


def compare(model: Any, x: np.ndarray, y: np.ndarray) -> None:
    """Compare the outputs of a stream with those of `predict`, to the bit."""
    model.reset_state()
    whole = model.predict(x, verbose=0, batch_size=len(x))
    assert y.dtype == whole.dtype
    if whole.ndim == y.ndim:
        np.testing.assert_array_equal(y, whole)
        return
    np.testing.assert_array_equal(y[:, -1], whole)
    for t in {0, x.shape[1] // 2}:  # the last output of the sequence up to there
        model.reset_state()
        part = model.predict(x[:, : t + 1], verbose=0, batch_size=len(x))
        np.testing.assert_array_equal(y[:, t], part)


@pytest.mark.parametrize("name", NAMES)
def test_every_kind_of_layer_streams(name: str) -> None:
    rng = np.random.default_rng(3)
    model = make(name, batch=3 if name == "stateful" else None)
    x = rng.normal(size=(3, 12, FEATURES)).astype("float32")
    x[:, [0, 4, 5]] = 0
    session = model.stream(3)
    compare(model, x, np.stack([session.step(x[:, t]) for t in range(12)], axis=1))


def test_a_block_longer_than_the_buffers() -> None:
    model = make("convolution")
    for batch in (1, 2):
        x = np.random.default_rng(0).normal(size=(batch, 1000, FEATURES)).astype("float32")
        session = model.stream(batch)
        y = np.concatenate([session.process(x[:, :777]), session.process(x[:, 777:])], axis=1)
        compare(model, x, y)


def test_indices_stream() -> None:
    for mask_zero in (False, True):
        model = rnn_engine.Sequential(
            [k.Input((None,)), k.Embedding(7, 4, mask_zero=mask_zero), k.GRU(5), k.Dense(2)]
        )
        x = np.random.default_rng(1).integers(0, 7, (2, 15))
        session = model.stream(2)
        y = [session.step(x[:, t]) for t in range(4)]
        y += list(session.process(x[:, 4:]).swapaxes(0, 1))
        compare(model, x, np.stack(y, axis=1))
        before = session.get_state()
        with pytest.raises(ValueError, match="dtype must be an integer type"):
            session.step(np.zeros(2, "float32"))
        with pytest.raises(ValueError, match=r"7"):
            session.step(np.array([1, 7]))
        same(before, session.get_state())


def test_layers_that_share_a_base_class_with_one_that_streams() -> None:
    rng = np.random.default_rng(0)
    rows = {
        "groups": [k.GroupNormalization(2), k.GRU(3)],
        "root mean squares": [k.RMSNormalization(), k.GRU(3, return_sequences=True)],
        "of the time": [k.RMSNormalization(axis=1), k.GRU(3)],
    }
    for name, row in rows.items():
        model = rnn_engine.Sequential([k.Input((12, 4)), *row])
        x = rng.normal(size=(2, 12, 4)).astype("float32")
        if name == "root mean squares":
            compare(model, x, taken_from(model.stream(2), x, rng))
            continue
        with pytest.raises(ValueError, match="cannot stream: (its statistics|axis=.?1)"):
            model.stream(2)


def test_which_layers_are_compiled() -> None:
    compiled = "simple,lstm,gru,gru before,cells,dense first,dense only,convolution,dilated,nested"
    for name in compiled.split(","):
        assert make(name).stream().compiled, name
    for name in ("masked", "own cell", "normalized", "groups"):
        assert not make(name).stream().compiled, name


def test_mixed_precision_gives_half_floats() -> None:
    model = rnn_engine.Sequential(
        [k.LSTM(4, input_shape=(None, 3), dtype="mixed_float16"), k.Dense(2, dtype="mixed_float16")]
    )
    x = np.random.default_rng(0).normal(size=(1, 6, 3)).astype("float32")
    y = model.stream().process(x)
    assert y.dtype == np.float16
    compare(model, x, y)


# --- refusals ---------------------------------------------------------------------------


REFUSED: dict[str, tuple[Any, str]] = {
    "both ways": (lambda: k.Bidirectional(k.LSTM(3, return_sequences=True)), "two directions"),
    "backwards": (lambda: k.GRU(3, go_backwards=True), "go_backwards=True begins"),
    "return_state": (lambda: k.LSTM(3, return_state=True), "return_state=True"),
    "average": (lambda: k.GlobalAveragePooling1D(), "pools over the steps"),
    "maximum": (lambda: k.MaxPooling1D(2), "pools over the steps"),
    "same": (lambda: k.Conv1D(3, 3, padding="same"), "padding='same'"),
    "valid": (lambda: k.Conv1D(3, 3), "padding='valid'"),
    "strides": (lambda: k.Conv1D(3, 3, 2, padding="causal"), "strides=1"),
    "flatten": (lambda: k.Flatten(), "joins all steps"),
    "time axis": (lambda: k.LayerNormalization(axis=1), "axis=1"),
    "softmax over time": (lambda: k.Softmax(axis=1), "axis=1"),
    "prelu": (lambda: k.PReLU(), "shared_axes"),
    "lambda": (lambda: k.Lambda(lambda x: x[:, ::-1]), "TimeDistributed"),
    "function": (lambda: k.Activation(lambda z: z - z.mean(1, keepdims=True)), "TimeDistributed"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_layer_that_cannot_stream_is_named(case: str) -> None:
    make_layer, reason = REFUSED[case]
    layer = make_layer()
    model = rnn_engine.Sequential([k.Input((8, 3)), k.Dense(3), layer])
    with pytest.raises(ValueError, match=rf"Layer '{layer.name}' \(.*cannot stream: .*{reason}"):
        model.stream()


def test_models_that_cannot_stream() -> None:
    x = k.Input((4, 3))
    y = k.Dense(3)(x)
    branch = rnn_engine.Model(x, k.Add()([x, y]))
    with pytest.raises(ValueError, match="branches here"):
        branch.stream()
    with pytest.raises(ValueError, match="1 inputs and 2 outputs"):
        rnn_engine.Model(x, [y, k.LSTM(2)(y)]).stream()
    with pytest.raises(ValueError, match="no layer"):
        rnn_engine.Model(x, y * 2.0).stream()
    with pytest.raises(ValueError, match="no weights yet"):
        rnn_engine.Sequential([k.LSTM(3)]).stream()
    with pytest.raises(ValueError, match="no axis of time"):
        rnn_engine.Sequential([k.Dense(3, input_shape=(4,))]).stream()

    with pytest.raises(ValueError, match=r"called with \['training'\]"):
        rnn_engine.Model(x, k.LSTM(2)(x, training=True)).stream()
    behind = [k.Reshape((2, 1)), k.LSTM(2, stateful=True)]
    with pytest.raises(ValueError, match="stateful behind"):
        rnn_engine.Sequential([k.Input(batch_shape=(1, 4, 3)), k.LSTM(2), *behind]).stream()

    class Own(k.Layer):
        def call(self, x: Any) -> Any:
            return x * 2

    own = Own()
    with pytest.raises(ValueError, match=f"'{own.name}'.*one's own"):
        rnn_engine.Sequential([k.Input((4, 3)), own]).stream()


# --- wrong input ------------------------------------------------------------------------


def same(first: list[np.ndarray], second: list[np.ndarray]) -> None:
    for a, b in zip(first, second, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("name", ["lstm", "masked"])
def test_wrong_input_leaves_the_states(name: str) -> None:
    session = make(name).stream(2, nan="raise")
    good = np.ones((2, 3), "float32")
    y = session.step(good)
    before = session.get_state()
    steps: list[tuple[Any, dict[str, Any], str]] = [
        (np.ones((2, 4), "float32"), {}, r"x_t must have shape \(2, 3\).*\(2, 4\)"),
        (np.ones((1, 3), "float32"), {}, r"\(1, 3\)"),
        (np.ones((2, 1, 3), "float32"), {}, r"\(2, 1, 3\)"),
        (np.ones((2, 3)), {}, "dtype float32. Received: float64"),
        (np.ones((2, 3), int), {}, "dtype float32"),
        (np.full((2, 3), "a"), {}, "x_t"),
        (None, {}, "x_t"),
        (np.array([[1, 2, 3], [1, np.nan, 3]], "float32"), {}, r"nan at index \(1, 1\)"),
        (np.full((2, 3), np.inf, "float32"), {}, "inf"),
        (good, {"out": np.empty((2, 9), "float32")}, r"`out`.*\(2, 9\)"),
        (good, {"out": np.empty(y.shape)}, "float64"),
        (good, {"out": np.empty((*y.shape, 2), "float32")[..., 0]}, "C-contiguous"),
        (good, {"out": [0.0]}, "list"),
    ]
    frozen = np.empty(y.shape, "float32")
    frozen.flags.writeable = False
    steps.append((good, {"out": frozen}, "writeable"))
    for x, kwargs, message in steps:
        with pytest.raises(ValueError, match=message):
            session.step(x, **kwargs)
        same(before, session.get_state())
    blocks: list[tuple[Any, str]] = [
        (np.ones((2, 3), "float32"), r"block must have shape \(2, timesteps, 3\)"),
        (np.ones((2, 5, 2), "float32"), r"\(2, 5, 2\)"),
        (np.ones((2, 5, 3), "float16"), "float16"),
    ]
    for x, message in blocks:
        with pytest.raises(ValueError, match=message):
            session.process(x)
        same(before, session.get_state())


def test_an_output_that_overlaps_the_input_is_refused() -> None:
    session = rnn_engine.Sequential([k.Dense(3, input_shape=(None, 3))]).stream()
    memory = np.ones((2, 3), "float32")
    for x, out in ((memory[:1], memory[:1]), (memory[:1], memory[0:1])):
        with pytest.raises(ValueError, match="overlap"):
            session.step(x, out=out)
    session.step(memory[:1], out=memory[1:])


def test_readable_layouts_are_taken() -> None:
    model = make("gru")
    x = np.random.default_rng(0).normal(size=(2, 6, 3)).astype("float32")
    whole = model.predict(x, verbose=0)
    frozen = x.copy()
    frozen.flags.writeable = False
    wide = np.repeat(x, 2, axis=2)[:, :, ::2]
    for layout in (frozen, wide, np.asfortranarray(x), x[:, ::-1][:, ::-1], x.tolist()):
        np.testing.assert_array_equal(model.stream(2).process(layout), whole)
    session = model.stream(2)
    steps = [session.step(frozen[:, t]) for t in range(6)]
    np.testing.assert_array_equal(np.stack(steps, axis=1), whole)


def test_a_block_that_is_not_finite_is_refused_as_a_step_is() -> None:
    for name in ("lstm", "masked"):
        session = make(name).stream(2, nan="raise")
        block = np.ones((2, 5, 3), "float32")
        session.process(block)
        before = session.get_state()
        block[1, 3, 2] = np.nan
        with pytest.raises(ValueError, match=r"block.*nan at index \(1, 3, 2\)"):
            session.process(block)
        same(before, session.get_state())


def test_nan_goes_through_unless_refused() -> None:
    session = make("simple").stream()
    bad = np.full((1, 3), np.nan, "float32")
    assert np.isnan(session.step(bad)).all()
    assert np.isnan(session.step(np.zeros((1, 3), "float32"))).all()
    session.reset()
    assert np.isfinite(session.step(np.zeros((1, 3), "float32"))).all()


def test_arguments() -> None:
    model = make("simple")
    for batch in (0, -1, 1.5, "2", True):
        with pytest.raises(ValueError, match="batch_size"):
            model.stream(batch)
    with pytest.raises(ValueError, match="nan"):
        model.stream(nan="ignore")


# --- states and weights -----------------------------------------------------------------


def test_states_move_between_sessions() -> None:
    model = make("cells")
    x = np.random.default_rng(0).normal(size=(2, 9, 3)).astype("float32")
    first, second = model.stream(2), model.stream(2)
    first.process(x[:, :5])
    states = first.get_state()
    assert [s.shape for s in states] == [(2, 4), (2, 4), (2, 3)]
    second.set_state(states)
    states[0][...] = 7  # a copy
    np.testing.assert_array_equal(second.process(x[:, 5:]), first.process(x[:, 5:]))
    for wrong, message in (
        (states[:2], "3 states. Received: 2"),
        ([states[0][:1], *states[1:]], r"state\[0\].*\(1, 4\)"),
        ([states[0].astype(float), *states[1:]], "float64"),
    ):
        before = second.get_state()
        with pytest.raises(ValueError, match=message):
            second.set_state(wrong)
        same(before, second.get_state())


def test_states_are_those_of_keras_layers() -> None:
    """After some steps they are what `return_state` gives."""
    layer = k.LSTM(4, return_state=True)
    x = np.random.default_rng(0).normal(size=(2, 7, 3)).astype("float32")
    _, h, c = layer(x)
    model = rnn_engine.Sequential([k.LSTM(4, input_shape=(None, 3))])
    model.set_weights(layer.get_weights())
    session = model.stream(2)
    session.process(x)
    same(session.get_state(), [h, c])


@pytest.mark.parametrize("name", ["gru", "convolution", "normalized"])
def test_the_session_sees_later_weights(name: str) -> None:
    model, other = make(name), make(name, seed=1)
    x = np.random.default_rng(0).normal(size=(1, 8, 3)).astype("float32")
    session = model.stream()
    old = session.process(x)
    session.reset()
    model.set_weights(other.get_weights())
    compare(other, x, session.process(x))
    session.reset()
    model.compile("sgd", "mse")
    y = np.zeros((1, *model.output_shape[1:]) if len(model.output_shape) == 2 else old.shape)
    model.fit(x, y, epochs=2, verbose=0)
    new = session.process(x)
    assert not np.array_equal(new, old)
    compare(model, x, new)
    session.reset()
    first = model.weights[0]
    first.value += 0.5  # in place
    compare(model, x, session.process(x))


def test_weights_that_change_while_sessions_run_in_threads() -> None:
    """Each step is computed with one whole set of weights, the old one or the new one."""
    model = make("gru")
    sets = [[np.full(v.shape, value, "float32") for v in model.weights] for value in (0.1, -0.2)]
    x = np.ones((1, 3), "float32")
    wanted = []
    for weights in sets:
        model.set_weights(weights)
        wanted.append(model.stream().step(x).tobytes())
    stop, wrong = threading.Event(), []

    def watch() -> None:
        session = model.stream()
        while not stop.is_set():
            session.reset()
            if session.step(x).tobytes() not in wanted:
                wrong.append(1)

    threads = [threading.Thread(target=watch) for _ in range(3)]
    for thread in threads:
        thread.start()
    for turn in range(200):
        model.set_weights(sets[turn % 2])
    stop.set()
    for thread in threads:
        thread.join()
    assert not wrong


def test_sessions_in_threads_do_not_meet() -> None:
    model = make("last of simple")
    x = np.random.default_rng(0).normal(size=(4, 300, 3)).astype("float32")
    wanted = [model.predict(x[i : i + 1], verbose=0) for i in range(4)]
    got: list[Any] = [None] * 4

    def go(i: int) -> None:
        session = model.stream()
        for t in range(300):
            got[i] = session.step(x[i : i + 1, t])

    threads = [threading.Thread(target=go, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for mine, whole in zip(got, wanted, strict=True):
        np.testing.assert_array_equal(mine, whole)


def test_one_session_in_two_threads_is_refused() -> None:
    session = make("simple").stream()
    x = np.ones((1, 3), "float32")
    with session._lock, pytest.raises(RuntimeError, match="Another thread"):
        session.step(x)
    with session._lock, pytest.raises(RuntimeError, match="Another thread"):
        session.reset()
    session.step(x)


def test_a_closed_session_says_so() -> None:
    for name in ("simple", "masked"):
        with make(name).stream() as session:
            session.step(np.ones((1, 3), "float32"))
        for call in (
            lambda s=session: s.step(np.ones((1, 3), "float32")),
            lambda s=session: s.process(np.ones((1, 2, 3), "float32")),
            session.reset,
            session.get_state,
        ):
            with pytest.raises(RuntimeError, match="closed"):
                call()
        assert "closed" in repr(session)


def test_a_failure_in_the_middle_puts_the_states_back() -> None:
    class Breaks(k.Layer):
        broken = False

        def compute_output_shape(self, shape: Any) -> Any:
            return shape

        def forward(self, x: Any, training: bool = False, mask: Any = None) -> Any:
            if self.broken:
                raise RuntimeError("broken")
            return x, None

        def backward(self, dy: Any, saved: Any, need_dx: bool = True) -> Any:
            return dy

    last = Breaks()
    rows = [k.Input((None, 3)), k.LSTM(4, return_sequences=True), k.LayerNormalization(),
            k.Conv1D(4, 2, padding="causal", groups=2), k.TimeDistributed(last)]  # fmt: skip
    model = rnn_engine.Sequential(rows)
    x = np.random.default_rng(0).normal(size=(1, 6, 3)).astype("float32")
    session = model.stream()
    session.process(x[:, :3])
    before = session.get_state()
    last.broken = True
    with pytest.raises(RuntimeError, match="broken"):
        session.process(x[:, 3:])
    same(before, session.get_state())
    last.broken = False
    np.testing.assert_array_equal(session.process(x[:, 3:]), model.predict(x, verbose=0)[:, 3:])


def infinite(*behind: Any) -> Any:
    """Return a model whose recurrent weights no first step may meet: zero times them is NaN."""
    rows = [k.SimpleRNN(3, return_sequences=True, input_shape=(None, 3)), *behind]
    model = rnn_engine.Sequential(rows)
    model.layers[0].recurrent_kernel.assign(np.full((3, 3), np.inf))
    return model


def test_the_first_step_after_a_reset_does_not_meet_the_recurrent_weights() -> None:
    session, x = infinite().stream(), np.ones((1, 4, 3), "float32")
    first = session.step(x[:, 0])
    assert np.isfinite(first).all()
    session.process(x)
    session.reset()
    np.testing.assert_array_equal(session.step(x[:, 0]), first)


def test_a_first_call_that_fails_is_as_none() -> None:
    """Also for the recurrent weights, which the next call must not meet either."""
    model = infinite(k.LayerNormalization(), k.Embedding(7, 2))
    model.layers[1].beta.assign(np.full(3, 50.0))  # no index
    session, x = model.stream(), np.ones((1, 4, 3), "float32")
    with pytest.raises(ValueError, match="7"):
        session.process(x)
    model.layers[1].beta.assign(np.full(3, 3.0))
    model.layers[1].gamma.assign(np.zeros(3))
    assert np.isfinite(session.process(x[:, :1])).all()


def test_states_are_taken_as_a_copy() -> None:
    for name in ("masked", "groups"):
        session, x = make(name).stream(), np.ones((1, 6, 3), "float32")
        session.process(x)
        states = session.get_state()
        wanted = session.process(x)
        session.set_state(states)
        for state in states:
            state[...] = 7
        np.testing.assert_array_equal(session.process(x), wanted)


# --- memory -----------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["lstm", "dilated", "masked"])
def test_nothing_grows(name: str) -> None:
    model = make(name)
    session = model.stream()
    x, block = np.ones((1, 3), "float32"), np.ones((1, 20, 3), "float32")
    out, outs = session.step(x), session.process(block)
    counts = 20_000 if session.compiled else 500
    calls = (lambda: session.step(x, out), lambda: session.process(block, outs))
    for call in calls:
        for _ in range(100):
            call()
        gc.collect()
        collected = gc.get_stats()
        tracemalloc.start()
        try:
            call()
            before = tracemalloc.get_traced_memory()[0]
            tracemalloc.reset_peak()
            for _ in range(counts):
                call()
            now, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        # An object that stays from each call would be 28 bytes or more of each.
        assert now - before < (2000 if session.compiled else 28 * counts)
        if session.compiled:  # nothing but numbers and views of Python's
            assert peak - before < 3000
            assert gc.get_stats()[2]["collections"] == collected[2]["collections"]


@settings(max_examples=10)
@given(st.sampled_from(["lstm", "gru before", "dilated", "cells"]), st.integers(1, 6))
def test_plans_fit_their_arrays(name: str, batch: int) -> None:
    """No place of a table lies outside of the arrays that the session holds."""
    from rnn_engine.kernels.recurrent.check import watched

    with watched() as plans:
        session = make(name).stream(batch)
        session.process(np.ones((batch, 3, FEATURES), "float32"))
    assert plans or name == "dilated"


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mprotect"), reason="no pages to guard")
@pytest.mark.parametrize("behind", [True, False])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_guard_pages_around_every_array(
    dtype: str, behind: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A step out of an array would end the process."""
    guarded = Guarded(behind)

    def aligned(count: int, kind: np.dtype) -> np.ndarray:
        made = guarded.empty((count,), kind)
        made[...] = 0
        return made

    def copied(array: np.ndarray) -> np.ndarray:
        copy = guarded.empty(array.shape, array.dtype)
        copy[...] = array
        return copy

    monkeypatch.setattr(compiled, "_aligned", aligned)
    monkeypatch.setattr(compiled, "MOST_STEPS", 5)
    rng = np.random.default_rng(0)
    for name in ("simple", "last of simple", "lstm", "gru", "gru before", "dense first", "dilated",
                 "convolution", "cells", "whole registers"):  # fmt: skip
        model = make(name, dtype)
        for batch in (1, 3):
            x = rng.normal(size=(batch, 14, FEATURES)).astype(dtype)
            session = model.stream(batch)
            assert session.compiled
            y = []
            for count in (1, 5, 3, 4, 1):
                block = copied(x[:, len(y) : len(y) + count])
                out = guarded.empty((batch, count, *session._out_shape), block.dtype)
                y += list(session.process(block, out).swapaxes(0, 1).copy())
            compare(model, x, np.stack(y, axis=1))
    guarded.close()


@pytest.mark.parametrize("units", [16, 32, 48, 112, 256])
def test_one_row_of_whole_registers_has_code_of_its_own(
    units: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It gives the bits of the ordinary walk, also where weights are not finite."""
    x = np.random.default_rng(0).normal(size=(1, 9, FEATURES)).astype("float32")
    for cell in (k.SimpleRNN, k.LSTM, k.GRU):
        model = rnn_engine.Sequential([cell(units, input_shape=(None, FEATURES))])
        cell_of = model.layers[0].cell
        sizes = cell_of.packed.recurrence._sizes_of(1, 5)
        assert lone.is_lone(sizes)
        for bad in (0.0, np.inf):
            weights = model.get_weights()
            weights[1][3, 1] += bad
            model.set_weights(weights)
            fast = model.stream().process(x)
            with monkeypatch.context() as patch:
                patch.setattr(lone, "is_lone", lambda sizes: False)
                patch.setattr(compiled, "is_lone", lambda sizes: False)
                walked = model.stream().process(x)
            np.testing.assert_array_equal(fast, walked)
            np.testing.assert_array_equal(fast[:, -1], model.predict(x, verbose=0))
            assert np.isfinite(fast[:, 0]).all()


def test_a_session_is_not_copied() -> None:
    session = make("lstm").stream()
    for copied in (copy.copy, copy.deepcopy, pickle.dumps):
        with pytest.raises(TypeError, match="get_state"):
            copied(session)


def test_states_that_are_no_list_are_named() -> None:
    session = make("lstm").stream()
    for wrong in (5, None):
        with pytest.raises(ValueError, match="state must be a list"):
            session.set_state(wrong)

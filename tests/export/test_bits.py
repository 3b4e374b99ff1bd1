"""The bits of an exported model are those of `predict`, whole, cut, and in many states."""

import numpy as np
import pytest

from rnn_engine import Input, Sequential
from rnn_engine.kernels.vector import cpu_features
from rnn_engine.layers import SimpleRNN
from tests.export.models import GRAPHS, MODELS, Program, inputs, made, predicted, same_bits

BATCH, STEPS = 3, 75


@pytest.fixture(scope="module", params=[*MODELS, *GRAPHS])
def case(request, tmp_path_factory):
    model = made(request.param)
    return request.param, model, Program(model, tmp_path_factory.mktemp(request.param))


def rows(array: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(array).reshape(-1, array.shape[-1])


def test_predict(case):
    name, model, program = case
    x = inputs(name, BATCH, STEPS)
    y = rows(predicted(model, x))
    assert same_bits(program.run(x, "predict", BATCH, STEPS, len(y) // BATCH), y)


def test_a_sequence_in_blocks(case):
    name, model, program = case
    x = inputs(name, 1, STEPS)
    y = predicted(model, x)
    for cuts in ([STEPS], [1, 1, 2, 64, 7], [0, 33, 0, 32, 10]):
        found = program.run(x, "cuts", *cuts)
        if y.ndim == 3:
            assert same_bits(found, y[0])
            continue
        # Each block ends with what would be predicted of the sequence so far.
        ends = np.cumsum(cuts)
        for cut, end in zip(cuts, ends, strict=True):
            if cut:
                assert same_bits(found[end - cut], predicted(model, x[:, :end])[0])


def test_states_in_turn_and_after_a_reset(case):
    name, model, program = case
    count, steps = 4, 11
    x = inputs(name, count, steps)
    found = program.run(x, "states", count, steps).reshape(2, count, steps, -1)
    for t in range(steps):
        so_far = predicted(model, x[:, : t + 1])
        expected = np.ascontiguousarray(so_far[:, -1] if so_far.ndim == 3 else so_far)
        for again in range(2):
            assert same_bits(np.ascontiguousarray(found[again, :, t]), expected)


def test_a_state_is_a_struct_that_may_be_copied(case):
    name, model, program = case
    x = inputs(name, 1, 20)
    y = predicted(model, x)
    last = y[0, -1] if y.ndim == 3 else y[0]
    assert same_bits(program.run(x, "moved", 20)[-1], last)


def test_outputs_over_the_inputs(tmp_path):
    model = made("lstm")
    program = Program(model, tmp_path)
    x = inputs("lstm", 1, STEPS)
    assert same_bits(program.run(x, "place", 40, 35), predicted(model, x)[0])


def test_trained_weights_are_those_that_are_exported(tmp_path):
    model = made("gru")
    x = inputs("gru", 8, 12)
    before = predicted(model, x)
    model.compile("adam", "mse")
    model.fit(x, np.ones((8, 12, 2), np.float32), epochs=2, verbose=0)
    y = rows(predicted(model, x))
    assert not np.array_equal(y, rows(before))
    assert same_bits(Program(model, tmp_path).run(x, "predict", 8, 12, 12), y)


def test_the_first_step_does_not_meet_the_recurrent_kernel(tmp_path):
    """As in `predict`: no state, no product, even where zero times a weight is no number."""
    model = Sequential([Input((None, 1)), SimpleRNN(3, return_sequences=True)])
    rnn = model.layers[0]
    rnn.recurrent_kernel.assign(np.full((3, 3), np.inf))
    program, x = Program(model, tmp_path), np.ones((1, 4, 1), np.float32)
    for found in (program.run(x, "cuts", 4), program.run(x, "states", 1, 4)[4:]):
        assert np.isfinite(found[0]).all()
        np.testing.assert_array_equal(found, predicted(model, x)[0])


@pytest.mark.skipif("+avx2" not in cpu_features(), reason="this CPU has no AVX2")
def test_code_for_another_level_of_cpus(tmp_path):
    model = made("stack")  # with cells of whole registers, and others
    x = inputs("stack", 2, 40)
    program = Program(model, tmp_path, cpu="x86-64-v3")
    assert "x86-64-v3" in (tmp_path / "net.h").read_text()
    assert same_bits(program.run(x, "predict", 2, 40, 1), predicted(model, x))

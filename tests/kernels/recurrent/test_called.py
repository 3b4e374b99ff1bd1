"""Activations that a step calls by address: the bits of those that it holds."""

import contextlib
import copy
import functools
import importlib
import weakref

import numpy as np
import pytest
from hypothesis import given
from llvmlite import binding

from rnn_engine import Sequential
from rnn_engine import layers as k
from rnn_engine.kernels import ahead, finish
from rnn_engine.kernels.compiler import types
from rnn_engine.kernels.formulas import CODES
from rnn_engine.kernels.recurrent import called, cells, lone, recurrence, steps
from rnn_engine.kernels.recurrent.cells import CALLED, Cell, Made, Stage
from tests.kernels.plans import planned
from tests.kernels.recurrent.cases import CELLS, Case, cases, run
from tests.kernels.recurrent.test_checkpoints import assert_same_bits
from tests.kernels.recurrent.test_safety import Guarded
from tests.kernels.recurrent.test_toy_cell import MGU
from tests.kernels.test_bits import running_on

pytestmark = pytest.mark.jit

RULES = (
    {},
    {"masked": True, "started": True},
    {"gates_dropped": 4, "drops_x": True, "every": False},
    {"gates_dropped": 1, "masked": True, "kind": "post"},
)
# Derivatives of outputs and of sums, one beside the other, and linear's, which have no code.
PAIRS = [("tanh", "sigmoid"), ("softsign", "hard_sigmoid"), ("exponential", "softsign"),
         ("gelu", "mish"), ("linear", "silu"), ("relu", "linear")]  # fmt: skip


@contextlib.contextmanager
def calling():
    """Have steps call their activations, those of every `Recurrence` that is made inside."""
    module = importlib.import_module("rnn_engine.kernels.recurrent.recurrence")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cells, "is_fused", lambda cell, codes: False)
        patch.setattr(module, "_made", weakref.WeakValueDictionary())
        yield


def as_called(case):
    """Return a case with a recurrence of its own, inside of `calling`."""
    made, case = case.recurrence, copy.copy(case)
    case.recurrence = recurrence(
        made.cell.name, made.activations, made.features, made.units, made.dtype
    )
    assert case.recurrence is not made
    case.packed = case.recurrence.pack(case.kernel, case.recurrent, case.bias)
    return case


def passes(case, **options):
    """Return all that a case gives; a NaN has no sign."""
    found = run(case, **options)
    found["last"] = case.recurrence.last(case.packed, case.x)
    return {name: np.where(np.isnan(a), np.nan, a) for name, a in found.items()}


def tame(case):
    """Make weights small: of itself, an exponential soon is infinite."""
    for weights in (case.kernel, case.recurrent, case.bias):
        weights *= 0.1
    case.packed = case.recurrence.pack(case.kernel, case.recurrent, case.bias)


def compare(case, **options):
    wanted = passes(case, **options)
    assert np.isfinite(wanted["kernel"]).mean() > 0.9
    with calling():
        assert_same_bits(passes(as_called(case), **options), wanted)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("names", PAIRS, ids="-".join)
@pytest.mark.parametrize("cell", CELLS)
def test_every_kind_of_activation(cell, names, dtype):
    rng = np.random.default_rng(5)
    for units in (1, 7, 16, 33):
        for batch in (1, 5):
            for rules in RULES:
                case = Case(cell, names, batch, 4, 3, units, dtype, rng, **rules)
                if "exponential" in names:
                    tame(case)
                compare(case)


@given(cases())
def test_any_pass(case):
    compare(case)


@pytest.mark.parametrize("cell", CELLS)
def test_more_registers_than_go_together(cell):
    rng = np.random.default_rng(6)
    for batch, units in ((1, 333), (3, 333), (37, 20), (70, 1)):
        for rules in ({}, {"masked": True}):
            case = Case(cell, ("tanh", "sigmoid"), batch, 3, 4, units, "float32", rng, **rules)
            for count in (1, 3):
                with running_on(count):
                    compare(case)


@pytest.mark.parametrize("cell", CELLS)
def test_from_checkpoints(cell):
    rng = np.random.default_rng(7)
    case = Case(cell, ("tanh", "sigmoid"), 300, 9, 4, 20, "float64", rng, masked=True)
    compare(case, checkpoint_steps=2)


@pytest.mark.parametrize("names", PAIRS, ids="-".join)
@pytest.mark.parametrize("cell", CELLS)
def test_states_made_again(cell, names):
    rng = np.random.default_rng(7)
    plan = {"THIN_NUMBERS": 0, "THIN_DEPTH": 0, "BACKWARD_NUMBERS": 0, "BACKWARD_ROWS": 8}
    with planned(**plan):
        for batch, units in ((7, 20), (2, 300)):
            case = Case(cell, names, batch, 9, 4, units, "float32", rng, masked=True, every=False)
            tame(case)
            compare(case, sequence=False)
            compare(case)


@pytest.mark.parametrize("cell", CELLS)
def test_what_is_no_number_and_what_is_large(cell):
    case = Case(cell, ("tanh", "sigmoid"), 4, 3, 4, 20, "float32", np.random.default_rng(8))
    case.x[0, 0, 0], case.x[1, 1, 0], case.x[2] = np.nan, np.inf, 1e30
    wanted = passes(case)
    assert np.isnan(wanted["last0"]).any()
    with calling():
        assert_same_bits(passes(as_called(case)), wanted)


@pytest.mark.parametrize("cell", CELLS)
def test_one_step_is_enough_for_all(cell):
    def make(names):
        return Case(cell, names, 3, 4, 5, 19, "float32", np.random.default_rng(9))

    first, second = make(("tanh", "sigmoid")), make(("mish", "softsign"))
    wanted = run(second)
    with calling():
        run(as_called(first))
        compiled = steps._address_of.cache_info().misses
        assert_same_bits(run(as_called(second)), wanted)
        assert steps._address_of.cache_info().misses == compiled
        # What is called is what the plan says.
        codes = second.recurrence.activations
        with pytest.MonkeyPatch.context() as patch:
            found = finish.addresses(codes, second.recurrence.dtype)
            patch.setattr(finish, "addresses", lambda *_: found)
            other = as_called(first)
            h = other.recurrence.forward(other.packed, other.x, sequence=True)[0]
        assert h.tobytes() == wanted["h"].tobytes()


@pytest.mark.parametrize("behind", [True, False])
@pytest.mark.parametrize("cell", CELLS)
def test_guard_pages_around_every_array(cell, behind):
    """A step out of an array would end the process."""
    guarded = Guarded(behind)
    with calling():
        for units in (1, 19, 33):
            for rules in RULES:
                rng = np.random.default_rng(10)
                case = Case(cell, ("gelu", "sigmoid"), 3, 4, 5, units, "float32", rng, **rules)
                wanted = run(case)
                with pytest.MonkeyPatch.context() as patch:
                    patch.setattr(case.recurrence, "_buffers", guarded)
                    case.packed = case.recurrence.pack(case.kernel, case.recurrent, case.bias)
                    assert_same_bits(run(case), wanted)
    guarded.close()


@pytest.mark.parametrize("layer", [k.SimpleRNN, k.LSTM, k.GRU])
def test_streams_and_models(layer):
    x = np.random.default_rng(11).normal(size=(1, 9, 3)).astype("float32")
    make = functools.partial(layer, 32, activation="silu", return_sequences=True)
    weights = Sequential([k.Input((None, 3)), make()]).get_weights()

    def everything():
        model = Sequential([k.Input((None, 3)), make()])
        model.set_weights(weights)
        model.compile(optimizer="sgd", loss="mse")
        session = model.stream(1)
        parts = [session.process(x[:, :2]), session.process(x[:, 2:])]
        gradients = model.gradients(x, np.ones((1, 9, 32), "float32"))
        return [model.predict(x, verbose=0), np.concatenate(parts, axis=1), *gradients]

    wanted = everything()
    assert np.array_equal(wanted[0], wanted[1])
    with calling():
        found = everything()
        assert not lone.is_lone(recurrence("lstm", (1, 2), 3, 32, "float32")._sizes_of(1, 9))
    assert lone.is_lone(recurrence("lstm", (1, 2), 3, 32, "float32")._sizes_of(1, 9))
    for a, b in zip(wanted, found, strict=True):
        assert np.asarray(a).tobytes() == np.asarray(b).tobytes()


def test_a_cell_that_a_user_adds():
    rng = np.random.default_rng(12)
    layer = MGU(3, 21, rng)
    x, target = rng.normal(size=(7, 6, 3)), rng.normal(size=(7, 21))
    mask = np.arange(6)[:, None] < rng.integers(1, 7, 7)

    def everything():
        y, saved = layer.forward(x, mask)
        return [y, *layer.backward(y - target, saved)]

    wanted = everything()
    with calling():
        layer.run = recurrence("mgu", layer.run.activations, 3, 21, "float64")
        for a, b in zip(wanted, everything(), strict=True):
            assert a.tobytes() == b.tobytes()


def test_activations_of_activations_of_a_cell():
    """Three levels, and three activations, forward and back."""

    def step(activations, at):
        a, b, c = activations
        y = b(a(at.z[0]) * at.before[0] + a(at.z[1]))
        h = c(y + b(at.z[1]))
        return Made({0: h}, {0: a.keep(at.z[0], h), 1: h})

    def back(activations, at):
        a, b, c = activations
        y, slope = b.at(a.at(at.z[0])[0] + c.restore(at.kept[1])[1])
        return cells.Back({0: slope, 1: y * at.d[0]})

    stage = Stage(2, step, back)
    trace = called._Trace
    ahead = trace(types.float32).uses(step, (CALLED,) * 3)
    assert [(use.index, use.level) for use in ahead] == [(0, 0), (0, 0), (1, 1), (1, 0), (2, 2)]
    assert [use.slot for use in ahead] == [0, 1, 3, 2, 4]
    behind = trace(types.float32).uses(back, (CALLED,) * 3)
    assert [use.level for use in behind] == [0, 0, 1]
    assert [use.wants for use in behind] == [(True, False), (False, True), (True, True)]

    cells.CELLS["nested"] = Cell("nested", 1, (stage,), keeps=lambda _: 2)
    rng = np.random.default_rng(13)
    weights = rng.normal(size=(3, 42)), rng.normal(size=(21, 42)), rng.normal(size=42)
    x = rng.normal(size=(5, 6, 3))

    def outputs():
        codes = tuple(CODES[name] for name in ("gelu", "tanh", "mish"))
        run = recurrence("nested", codes, 3, 21, "float64")
        return run.forward(run.pack(*weights), x, sequence=True)[0]

    try:
        wanted = outputs()
        with calling():
            assert outputs().tobytes() == wanted.tobytes()
    finally:
        del cells.CELLS["nested"]


@pytest.mark.parametrize("cell", CELLS)
def test_a_step_needs_nothing_but_its_arguments(cell):
    """So that it can be built ahead, without the formulas."""
    count = 1 if cell == "simple_rnn" else 2
    for stage in range(len(cells.find(cell).stages)):
        kernel = ahead.step(cell, stage, (CALLED,) * count)
        assert kernel[0] == f"engine_{cell}_{stage}_" + "_".join(["called"] * count)
        module = binding.parse_bitcode(ahead._bitcode(kernel))
        needed = [function.name for function in module.functions if function.is_declaration]
        assert all(name.startswith("llvm.") for name in needed), needed

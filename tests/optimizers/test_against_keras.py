"""Every registered optimizer takes Keras's steps, under random combinations of its options."""

import inspect
import re
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rnn_engine import optimizers
from rnn_engine.optimizers import SparseGrad
from rnn_engine.optimizers.table import registry
from rnn_engine.variable import Variable

keras = pytest.importorskip("keras")
tf = pytest.importorskip("tensorflow")

SHAPES = ((3, 4), (4,), (2, 3, 5), (1,))
NAMES = ("kernel", "bias", "cube", "gain")

# A new optimizer is tested by itself as long as its arguments mean what they
# mean here; an argument that is not listed fails the first test below.
RANGES: dict[str, st.SearchStrategy[Any]] = {
    "learning_rate": st.sampled_from([1e-3, 0.01, 0.1]),
    "momentum": st.sampled_from([0.0, 0.5, 0.9]),
    "nesterov": st.booleans(),
    "rho": st.sampled_from([0.5, 0.9, 0.95]),
    "epsilon": st.sampled_from([1e-7, 1e-4, 0.1]),
    "centered": st.booleans(),
    "beta_1": st.sampled_from([0.5, 0.9]),
    "beta_2": st.sampled_from([0.9, 0.99, 0.999]),
    "amsgrad": st.booleans(),
    "initial_accumulator_value": st.sampled_from([0.1, 1.0]),
    "learning_rate_power": st.sampled_from([-0.5, -0.25, -0.75]),
    "l1_regularization_strength": st.sampled_from([0.0, 0.01, 0.3]),
    "l2_regularization_strength": st.sampled_from([0.0, 0.1]),
    "l2_shrinkage_regularization_strength": st.sampled_from([0.0, 0.1]),
    "beta": st.sampled_from([0.0, 0.5]),
    "beta_2_decay": st.sampled_from([-0.8, -0.5]),
    "epsilon_1": st.sampled_from([1e-30, 1e-4]),
    "epsilon_2": st.sampled_from([1e-3, 0.1]),
    "clip_threshold": st.sampled_from([1.0, 0.5]),
    "relative_step": st.booleans(),
    "weight_decay": st.sampled_from([0.004, 0.3]),
}
COMMON: dict[str, st.SearchStrategy[Any]] = {
    "weight_decay": RANGES["weight_decay"],
    "clipping": st.sampled_from([{"clipnorm": 0.7}, {"clipvalue": 0.4}, {"global_clipnorm": 1.5}]),
    "ema": st.sampled_from(
        [{"use_ema": True, "ema_momentum": m, "ema_overwrite_frequency": f}
         for m in (0.5, 0.99) for f in (None, 2, 3)]
    ),
    "gradient_accumulation_steps": st.sampled_from([2, 3]),
    "loss_scale_factor": st.sampled_from([8.0, 100.0]),
}  # fmt: skip


def own_arguments(cls: type) -> list[str]:
    shared = set(inspect.signature(optimizers.Optimizer.__init__).parameters) | {"kwargs"}
    return [name for name in inspect.signature(cls.__init__).parameters if name not in shared]


@st.composite
def options(draw: Any, cls: type) -> dict[str, Any]:
    own = ["learning_rate", *own_arguments(cls)]
    chosen = draw(st.fixed_dictionaries({}, optional={name: RANGES[name] for name in own}))
    common = draw(st.fixed_dictionaries({}, optional=COMMON))
    chosen |= common.pop("clipping", {}) | common.pop("ema", {}) | common
    return chosen


def weights_and_gradients(
    seed: int, steps: int, dtype: str
) -> tuple[list[np.ndarray], list[list[np.ndarray]]]:
    rng = np.random.default_rng(seed)
    weights = [rng.normal(size=shape).astype(dtype) for shape in SHAPES]
    # A mean away from 0, so that momenta grow, and sizes over two decades.
    gradients = [
        [
            (10.0 ** rng.uniform(-1, 1) * rng.normal(0.3, 1, size=shape)).astype(dtype)
            for shape in SHAPES
        ]
        for _ in range(steps)
    ]
    return weights, gradients


def run_both(
    cls: type, chosen: dict[str, Any], seed: int, steps: int, dtype: str, exclude: str | None = None
) -> tuple[Any, list[Variable], Any, list[Any]]:
    weights, gradients = weights_and_gradients(seed, steps, dtype)
    ours = cls(**chosen)
    theirs = getattr(keras.optimizers, cls.__name__)(**chosen)
    if exclude is not None:
        ours.exclude_from_weight_decay(var_names=[exclude])
        theirs.exclude_from_weight_decay(var_names=[exclude])
    mine = [Variable(w, name=n) for w, n in zip(weights, NAMES, strict=True)]
    keras_variables = [
        keras.Variable(w, dtype=dtype, name=n) for w, n in zip(weights, NAMES, strict=True)
    ]
    for step in gradients:
        ours.apply(step, mine)
        theirs.apply([tf.constant(g) for g in step], keras_variables)
    return ours, mine, theirs, keras_variables


def assert_agree(
    mine: list[Variable], theirs: list[Any], tolerance: float, size: float = 1e-3
) -> None:
    for variable, other in zip(mine, theirs, strict=True):
        expected = np.asarray(other)
        assert variable.value.dtype == expected.dtype
        assert variable.shape == expected.shape
        # Relative to the variable, or to what it came from if that was larger: an
        # element near 0 is the difference of larger ones.
        scale = max(size, float(np.abs(expected).max(initial=0)))
        np.testing.assert_allclose(
            variable.value, expected, rtol=0, atol=tolerance * scale, err_msg=variable.path
        )


TOLERANCE = {"float32": 1e-6, "float64": 1e-13}


@pytest.mark.parametrize("cls", registry.unique())
def test_arguments_and_defaults_are_those_of_keras(cls: type) -> None:
    ours = inspect.signature(cls.__init__).parameters
    theirs = inspect.signature(getattr(keras.optimizers, cls.__name__).__init__).parameters
    assert list(ours) == list(theirs)
    assert {n: p.default for n, p in ours.items()} == {n: p.default for n, p in theirs.items()}
    assert set(own_arguments(cls)) <= set(RANGES)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("cls", registry.unique())
def test_fifty_steps_of_the_defaults(cls: type, dtype: str) -> None:
    start, _ = weights_and_gradients(1, 0, dtype)
    ours, mine, theirs, others = run_both(cls, {}, 1, 50, dtype)
    assert_agree(mine, others, TOLERANCE[dtype], size=1.0)
    assert all(np.abs(v.value - w).max() > 1e-5 for v, w in zip(mine, start, strict=True))
    assert int(ours.iterations) == int(theirs.iterations) == 50


@pytest.mark.parametrize("cls", registry.unique())
@settings(deadline=None)
@given(data=st.data())
def test_random_options(cls: type, data: Any) -> None:
    chosen = data.draw(options(cls), label="options")
    dtype = data.draw(st.sampled_from(["float32", "float64"]), label="dtype")
    seed = data.draw(st.integers(0, 2**32 - 1), label="seed")
    exclude = data.draw(st.sampled_from([None, "bias", "kern"]), label="exclude")
    ours, mine, theirs, others = run_both(cls, chosen, seed, 7, dtype, exclude)
    assert_agree(mine, others, TOLERANCE[dtype], size=1.0)
    # The state too, in Keras's order and under Keras's names: it is what a file holds.
    assert [v.name for v in ours.variables] == [
        re.sub(r"^variable_\d+$", "variable", v.name) for v in theirs.variables
    ]
    sizes = {"average": 1.0, "linear": 10 / float(ours.learning_rate), "momentum": 1e-2}
    for state, other in zip(ours.variables, theirs.variables, strict=True):
        # An average is as large as the weights were. Ftrl's linear term sums
        # differences of terms as large as sqrt(a) |w| / rate, a momentum gradients
        # of either sign.
        size = sizes.get(state.name.rpartition("_")[2], 1e-3)
        assert_agree([state], [other], 2 * TOLERANCE[dtype], size)
    assert int(ours.iterations) == int(theirs.iterations)
    ours.finalize_variable_values(mine)
    theirs.finalize_variable_values(others)
    assert_agree(mine, others, TOLERANCE[dtype], size=1.0)


@pytest.mark.parametrize("repeated", [False, True])
@pytest.mark.parametrize(
    "options",
    [{}, {"clipnorm": 0.5}, {"clipvalue": 0.5}, {"global_clipnorm": 0.5}, {"weight_decay": 0.1},
     {"gradient_accumulation_steps": 2},
     {"use_ema": True, "ema_overwrite_frequency": 2}],
    ids=lambda options: next(iter(options), "plain"),
)  # fmt: skip
@pytest.mark.parametrize("cls", registry.unique())
def test_sparse_gradients_as_indexed_slices(
    cls: type, options: dict[str, Any], repeated: bool
) -> None:
    rng = np.random.default_rng(3)
    table, bias = rng.normal(size=(6, 3)).astype("f"), rng.normal(size=2).astype("f")
    ours, theirs = cls(0.1, **options), getattr(keras.optimizers, cls.__name__)(0.1, **options)
    mine = [Variable(table, name="table"), Variable(bias, name="bias")]
    others = [keras.Variable(table, name="table"), keras.Variable(bias, name="bias")]
    for _ in range(4):
        indices = rng.integers(0, 6, 5) if repeated else rng.permutation(6)[:3]
        values = rng.normal(size=(indices.size, 3)).astype("f")
        dense = rng.normal(size=2).astype("f")
        ours.apply([SparseGrad(indices, values, (6, 3)), dense], mine)
        slices = tf.IndexedSlices(tf.constant(values), tf.constant(indices), tf.constant([6, 3]))
        theirs.apply([slices, tf.constant(dense)], others)
    assert_agree(mine, others, 1e-6, size=1.0)


@pytest.mark.parametrize("cls", registry.unique())
def test_config_is_that_of_keras_and_round_trips(cls: type) -> None:
    ours = cls(name="optimizer", weight_decay=0.25, clipnorm=2.0)
    theirs = getattr(keras.optimizers, cls.__name__)(
        name="optimizer", weight_decay=0.25, clipnorm=2.0
    )
    assert ours.get_config() == theirs.get_config()
    again = optimizers.deserialize(optimizers.serialize(ours))
    assert type(again) is cls
    assert again.get_config() == ours.get_config()
    from_keras = optimizers.deserialize(keras.optimizers.serialize(theirs))
    assert type(from_keras) is cls
    assert from_keras.get_config() == ours.get_config()
    for name in (cls.__name__, cls.__name__.lower(), cls.__name__.upper()):
        assert type(optimizers.get(name)) is cls

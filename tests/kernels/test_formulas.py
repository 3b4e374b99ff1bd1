"""The table of activations against float64, over dense samples; tanh's promises."""

import numpy as np
import pytest

from reference import tanh_table, ulp
from reference.activations import ACTIVATIONS
from rnn_engine.kernels import finish
from rnn_engine.kernels.elementwise import apply
from rnn_engine.kernels.formulas import CODES, TABLE
from tests.kernels import process

NAMES = [row.name for row in TABLE]
SAMPLE = ulp.sample(60_000)

# Worst ULP allowed in float32, over 1.2 times what `python -m reference.ulp --dense` finds.
# In the approximate gelu the rounding of the argument, up to 100 ULP of it, is what counts.
ULP = {
    "tanh": 1.1, "sigmoid": 2.7, "exponential": 1.5, "elu": 1.1, "celu": 1.1, "selu": 2.1,
    "softplus": 2.2, "log_sigmoid": 2.2, "softsign": 2.0, "squareplus": 3.5, "silu": 3.6,
    "gelu": 6.5, "gelu_approximate": 220.0, "mish": 4.6, "tanh_shrink": 5.0, "leaky_relu": 1.0,
    "soft_shrink": 0.5, "hard_sigmoid": 1.5, "hard_silu": 2.3, "sparse_plus": 2.4,
    "sparse_sigmoid": 0.5, "hard_sigmoid_keras2": 1.5,
}  # fmt: skip


def test_every_row_has_a_truth() -> None:
    assert set(NAMES) == set(ACTIVATIONS)


@pytest.mark.parametrize("name", NAMES)
def test_float32_stays_within_its_ulp(name: str) -> None:
    found = ulp.measure(name, SAMPLE)
    assert found["ulp"] <= ULP.get(name, 0.0), found
    # In units of ε of the larger of 1 and the value.
    assert found["relative"] <= 1.6, found
    assert found["slope"] <= 2.2, found


@pytest.mark.parametrize("name", NAMES)
def test_float64_agrees_with_wider_arithmetic(name: str) -> None:
    rng = np.random.default_rng(5)
    x = np.concatenate([rng.normal(size=4000) * scale for scale in (0.05, 0.5, 3.0, 12.0)])
    value, derivative = ACTIVATIONS[name]
    wide = x.astype(np.longdouble)
    y = ulp.evaluate(name, x)
    np.testing.assert_allclose(y, value(wide).astype(float), rtol=4e-14, atol=2e-15)
    slope = ulp.slope(name, x, y)
    np.testing.assert_allclose(slope, np.asarray(derivative(wide), float), rtol=1e-15, atol=3e-15)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", NAMES)
def test_slope_is_the_derivative(name: str, dtype: str) -> None:
    """By central differences of the truth, away from the kinks."""
    x = np.linspace(-7.03, 7.01, 300)
    x = x[np.abs(np.abs(x)[:, None] - [0, 0.5, 1, 3, 6]).min(axis=1) > 0.01].astype(dtype)
    value = ACTIVATIONS[name][0]
    step = 1e-5
    wide = x.astype(float)
    expected = (value(wide + step) - value(wide - step)) / (2 * step)
    found = ulp.slope(name, x, ulp.evaluate(name, x))
    tolerance = 2e-6 if dtype == "float32" else 1e-8
    np.testing.assert_allclose(found, expected, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", NAMES)
def test_nan_stays_nan_among_its_neighbours(name: str, dtype: str) -> None:
    x = np.linspace(-2, 2, 37).astype(dtype)
    clean = ulp.evaluate(name, x)
    x[5] = np.nan
    y = ulp.evaluate(name, x)
    assert np.isnan(y[5])
    others = np.arange(37) != 5
    assert y[others].tobytes() == clean[others].tobytes()


@pytest.mark.parametrize("name", NAMES)
def test_limits_at_infinity(name: str) -> None:
    value = ACTIVATIONS[name][0]
    for x in (np.float32([1e30, -1e30]), np.float32([3e38, -3e38])):
        with np.errstate(all="ignore"):
            expected = np.asarray(value(x.astype(float))).astype(np.float32)
        np.testing.assert_allclose(ulp.evaluate(name, x), expected, rtol=3e-7, atol=1e-30)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_backward_multiplies_with_the_slope(dtype: str) -> None:
    rng = np.random.default_rng(0)
    for name in NAMES:
        z, dy = rng.normal(size=(2, 53)).astype(dtype)
        y = ulp.evaluate(name, z)
        out = np.empty_like(z)
        aux = z if TABLE[CODES[name]].from_input else y
        if name == "linear":
            continue
        apply(-1 - CODES[name], dy, aux, out)
        np.testing.assert_array_equal(out, dy * ulp.slope(name, z, y))


@pytest.mark.parametrize("size", [1, 2, 7, 8, 15, 16, 17, 31, 33, 100])
def test_the_place_in_an_array_does_not_matter(size: int) -> None:
    x = np.random.default_rng(1).normal(size=size).astype(np.float32) * 3
    for name in ("tanh", "gelu", "softplus"):
        whole = ulp.evaluate(name, x)
        single = [ulp.evaluate(name, x[i : i + 1].copy())[0] for i in range(size)]
        assert whole.tobytes() == np.array(single, np.float32).tobytes()


# --- tanh ---------------------------------------------------------------------------


def test_tanh_over_blocks_of_all_inputs() -> None:
    """A part of `python -m reference.ulp`: where its pieces meet, and the ends."""
    joints = np.array([piece[1] for piece in tanh_table.pieces()], np.float32)
    starts = [int(joint) - 0x2000 for joint in joints.view(np.uint32)]
    starts += [0, 0x00800000 - 0x2000, 0x3C7C0000, 0x41180000, 0x7F800000 - 0x2000, 0x7FFFC000]
    for first in starts:
        worst, where, wrong = ulp.check_tanh(first, first + 0x4000)
        assert not wrong
        assert worst <= ulp.LIMIT, where
    rng = np.random.default_rng(2)
    for first in rng.integers(0, 0x7F800000, 40):
        worst, where, wrong = ulp.check_tanh(int(first), int(first) + 0x1000)
        assert not wrong
        assert worst <= ulp.LIMIT, where


def test_ulp_errors_count_the_distance() -> None:
    y = np.float32([1.0, 1.0, 0.75, 2.0**-140, 0.0])
    true = np.array([1.0 + 2.0**-23, 1.0 - 2.0**-24, 0.75, 2.0**-140 + 2.0**-149, 2.0**-148])
    np.testing.assert_allclose(ulp.ulp_errors(y, true), [1.0, 1.0, 0.0, 1.0, 2.0])


# --- compilation on demand ------------------------------------------------------------


@pytest.mark.jit
def test_an_activation_is_compiled_only_when_it_is_wanted() -> None:
    process.run("""
import numpy as np, rnn_engine
from rnn_engine.kernels import finish
from rnn_engine.kernels.formulas import CODES

assert not finish._compiled
layer = rnn_engine.layers.Dense(3, activation="mish")
layer(np.ones((2, 2), np.float32))
assert list(finish._compiled) == [("float32", CODES["mish"])]
""")


@pytest.mark.jit
def test_linear_needs_no_function() -> None:
    finish.want(0)
    assert not finish._ADDRESSES[next(iter(finish._ADDRESSES))][0]


@pytest.mark.jit
def test_an_activation_that_nobody_wanted_is_told_of() -> None:
    """A kernel that is handed its code anyway writes NaN: it cannot raise."""
    process.run("""
import numpy as np, sys
from rnn_engine.kernels.elementwise import apply
from rnn_engine.kernels.formulas import CODES

told = []
sys.unraisablehook = lambda found: told.append(str(found.exc_value))
for dtype in ("float32", "float64"):
    x, out = np.ones(20, dtype), np.zeros(20, dtype)
    apply(CODES["tanh"], x, x, out)
    assert np.isnan(out).all()
    apply(CODES["linear"], x, x, out)
    assert (out == x).all()
assert len(told) == 2 and all("'tanh') before finish.want" in text for text in told), told
""")

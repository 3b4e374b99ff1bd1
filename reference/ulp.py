"""How far the activations are from their true values, in units of the last place.

    python -m reference.ulp             tanh and sigmoid over all 2^32 float32 inputs (minutes)
    python -m reference.ulp --dense     every activation over a dense sample (seconds)

An ULP is the distance of the two float32 numbers around the true value, which comes
from float64. For tanh it is checked besides that it is odd to the bit, never above 1,
NaN for NaN, and keeps the sign of zero; for sigmoid that it stays within 0 and 1, is both
where it closes, and NaN for NaN. The exit status is 1 if not, or if the worst error is above
1.1 ULP for tanh, 2.3 for sigmoid, whose values below the normal numbers count as zero.
"""

import argparse
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from reference.activations import ACTIVATIONS
from rnn_engine.kernels import finish
from rnn_engine.kernels.elementwise import apply
from rnn_engine.kernels.formulas import CODES, TABLE

# ULP; what comes out is 1.06. Two are promised.
LIMIT = 1.1
SIGMOID_LIMIT = 2.3
_BLOCK = 1 << 21
_SIGN = np.uint32(1 << 31)


def evaluate(name: str, x: np.ndarray) -> np.ndarray:
    """Return the engine's value of an activation of the table."""
    code = CODES[name]
    finish.want(code)
    out = np.empty_like(x)
    apply(code, x, out, out)
    return out


def slope(name: str, z: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return the engine's derivative at input `z` and output `y`."""
    code = CODES[name]
    finish.want(code)
    out = np.empty_like(z)
    apply(-1 - code, np.ones_like(z), z if TABLE[code].from_input else y, out)
    return out


def ulp_errors(y: np.ndarray, true: np.ndarray) -> np.ndarray:
    """Return |y - true| of float32 values in ULP of the float64 truth; NaN where that is.

    Results that leave float32 at the top count as right if they are infinite or the
    largest number.
    """
    exponent = (true.view(np.int64) >> 52) & 0x7FF
    # 2^-(e - 23), e no less than that of the smallest normal number.
    inverse = (2046 + 23 - np.maximum(exponent, 1023 - 126)) << 52
    with np.errstate(invalid="ignore", over="ignore"):
        errors = np.abs(y.astype(np.float64) - true) * inverse.view(np.float64)
    top = np.abs(true) >= np.finfo(np.float32).max
    return np.where(top & (np.abs(y) >= np.finfo(np.float32).max), 0.0, errors)


# --- tanh over everything -------------------------------------------------------


def check_tanh(first: int, end: int) -> tuple[float, float, list[str]]:
    """Check the inputs of the bit patterns first..end of positive numbers, and their negatives.

    Returns the worst ULP, where it is, and what else is wrong.
    """
    bits = np.arange(first, end, dtype=np.uint32)
    x = bits.view(np.float32)
    y = evaluate("tanh", x)
    negative = evaluate("tanh", (bits | _SIGN).view(np.float32))
    nan = np.isnan(x)
    wrong = []
    if not np.array_equal(nan, np.isnan(y)) or not np.isnan(negative[nan]).all():
        wrong.append("NaN is not NaN's value alone")
    if not np.array_equal((y.view(np.uint32) | _SIGN)[~nan], negative.view(np.uint32)[~nan]):
        wrong.append("not odd to the bit")
    if (y.view(np.uint32)[~nan] >= _SIGN).any():
        wrong.append("negative for a positive input, or zero of the wrong sign")
    if (y > 1).any():
        wrong.append("above 1")
    with np.errstate(invalid="ignore"):  # signalling NaN
        true = np.tanh(x.astype(np.float64))
    errors = ulp_errors(y, true)
    errors[nan] = 0
    worst = int(errors.argmax())
    faults = [f"{text} in {first:#x}..{end:#x}" for text in wrong]
    return float(errors[worst]), float(x[worst]), faults


def blocks(step: int = 1) -> Iterator[tuple[int, int]]:
    """Yield ranges of the bit patterns of positive numbers, every `step`-th block."""
    for first in range(0, 1 << 31, _BLOCK * step):
        yield first, first + _BLOCK


def check_sigmoid(first: int, end: int) -> tuple[float, float, list[str]]:
    """Check the inputs of the bit patterns first..end of positive numbers, and their negatives."""
    worst, where, wrong = 0.0, 0.0, []
    bits = np.arange(first, end, dtype=np.uint32)
    for x in (bits.view(np.float32), (bits | _SIGN).view(np.float32)):
        y, nan = evaluate("sigmoid", x), np.isnan(x)
        if not np.array_equal(nan, np.isnan(y)):
            wrong.append("NaN is not NaN's value alone")
        y, x = np.where(nan, 0, y), np.where(nan, 0, x)
        if (y < 0).any() or (y > 1).any():
            wrong.append("outside of 0..1")
        if (y[x <= -88] != 0).any() or (y[x >= 18] != 1).any():
            wrong.append("not 0 or 1 where it is closed")
        with np.errstate(over="ignore"):
            true = 1 / (1 + np.exp(-x.astype(np.float64)))
        errors = ulp_errors(y, true)
        errors[nan | (true < np.finfo(np.float32).tiny)] = 0
        place = int(errors.argmax())
        if errors[place] > worst:
            worst, where = float(errors[place]), float(x[place])
    return worst, where, [f"{text} in {first:#x}..{end:#x}" for text in wrong]


def run_all(name: str, check: Any, limit: float, threads: int) -> int:
    """Check every input of an activation; print the result and return the exit status."""
    worst, where, wrong = 0.0, 0.0, []
    done, total = 0, (1 << 31) // _BLOCK
    evaluate(name, np.zeros(1, np.float32))
    with ThreadPoolExecutor(threads) as pool:
        for error, x, faults in pool.map(lambda block: check(*block), blocks()):
            done += 1
            wrong += faults
            if error > worst:
                worst, where = error, x
            if sys.stderr.isatty():
                print(f"\r{done}/{total} blocks, worst {worst:.3f} ULP", end="", file=sys.stderr)
    print(f"\n{name}, float32, all 2^32 inputs: worst {worst:.4f} ULP at {where!r}")
    print(*(wrong or ["everything else as promised"]), sep="\n")
    return 1 if wrong or worst > limit else 0


def run_tanh_and_sigmoid(threads: int) -> int:
    """Check every input of both; return the exit status."""
    status = run_all("tanh", check_tanh, LIMIT, threads)
    return status | run_all("sigmoid", check_sigmoid, SIGMOID_LIMIT, threads)


# --- the others over a sample -----------------------------------------------------


def sample(count: int, seed: int = 0) -> np.ndarray:
    """Return float32 inputs: in every binade, and densely where activations bend."""
    rng = np.random.default_rng(seed)
    half = count // 2
    anywhere = rng.integers(0, 1 << 32, half, dtype=np.uint32).view(np.float32)
    anywhere = anywhere[np.isfinite(anywhere)]
    scales = rng.choice([0.1, 1.0, 4.0, 20.0, 90.0], count - half)
    bent = (rng.normal(size=count - half) * scales).astype(np.float32)
    special = np.array([0, -0.0, 0.5, -0.5, 1, -1, 3, -3, 6, 1e-45, -1e-45], np.float32)
    return np.concatenate([anywhere, bent, special])


def measure(name: str, x: np.ndarray) -> dict[str, Any]:
    """Return the worst errors of one activation over the inputs `x`.

    ``ulp``, ``at``: the worst ULP of results that are normal numbers, and its input.
    ``relative``: the worst error by the larger of 1 and the true value, in ε.
    ``slope``: the same of the derivative.
    """
    value, derivative = ACTIVATIONS[name]
    wide = x.astype(np.float64)
    eps = float(np.finfo(x.dtype).eps)
    with np.errstate(all="ignore"):
        true, true_slope = np.asarray(value(wide), np.float64), np.asarray(derivative(wide))
        y = evaluate(name, x)
        errors = ulp_errors(y, true)
        counted = np.isfinite(true) & (np.abs(true) > np.finfo(np.float32).tiny * 32)
        errors[~counted] = 0
        finite = np.isfinite(true) & np.isfinite(y)
        relative = np.abs(y - true)[finite] / np.maximum(1, np.abs(true[finite])) / eps
        found = slope(name, x, y).astype(np.float64)
        known = np.isfinite(true_slope) & np.isfinite(found)
        bend = np.abs(found - true_slope)[known] / np.maximum(1, np.abs(true_slope[known])) / eps
    worst = int(errors.argmax())
    return {
        "ulp": float(errors[worst]),
        "at": float(x[worst]),
        "relative": float(relative.max()),
        "slope": float(bend.max()),
    }


def run_dense(count: int) -> int:
    """Print a table of all activations; the exit status is that of tanh."""
    x = sample(count)
    print(f"float32, {len(x)} inputs; the last two columns: error by max(1, |value|), in ε = 2^-23")
    print(f"{'activation':18}{'worst ULP':>10}  {'at':>14}{'value':>8}{'slope':>8}")
    status = 0
    for name in ACTIVATIONS:
        row = measure(name, x)
        print(
            f"{name:18}{row['ulp']:10.2f}  {row['at']:14.6g}{row['relative']:8.2f}"
            f"{row['slope']:8.2f}"
        )
        if name == "tanh" and row["ulp"] > LIMIT:
            status = 1
    return status


def main() -> int:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m reference.ulp", description=__doc__)
    parser.add_argument("--dense", action="store_true", help="all activations over a sample")
    parser.add_argument("--count", type=int, default=1_000_000, help="inputs of the sample")
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    return (
        run_dense(arguments.count) if arguments.dense else run_tanh_and_sigmoid(arguments.threads)
    )


if __name__ == "__main__":
    sys.exit(main())

"""Makes the table of float32 tanh in rnn_engine/kernels/elementary.py.

    python -m reference.tanh_table

The positive axis is cut where 1 + 1.65·a passes 1, 1.25, 1.5, 1.75 times 1, 2, 4, 8: bits 21
to 24 of that float32 are then the piece. In each piece

    tanh(c + t) = y + t·(k₁ + k₂t + ... + k₅t⁴),    y = tanh(c)

with c near the middle, where tanh(c) is almost a float32: the last addition then makes most of
the error. Coefficients are fitted one after the other, each rounded to float32 before the rest
is fitted again. The fit is minimax in the relative error, by Lawson's weights. LAPACK's last
digits may move those of the coefficients; `python -m reference.ulp` judges what comes out.
"""

import numpy as np

SCALE = 1.65
DEGREE = 5
# tanh rounds to 1 from here on.
END = 9.02
_ROUNDS = 300


def pieces() -> list[tuple[float, float]]:
    """Return where the sixteen pieces begin and end."""
    starts = [(2.0**e * (1 + m / 4) - 1) / SCALE for e in range(4) for m in range(4)]
    return list(zip(starts, [*starts[1:], END], strict=True))


def centre(low: float, high: float) -> tuple[np.float32, np.float32]:
    """Return c near the middle and tanh(c), of those where it is closest to a float32."""
    if low == 0:
        return np.float32(0), np.float32(0)
    middle = np.float32((low + high) / 2)
    near = middle + np.arange(-20_000, 20_001, dtype=np.float32) * np.spacing(middle)
    exact = np.tanh(near.astype(np.longdouble))
    rounded = exact.astype(np.float32)
    best = np.argmin(np.abs(rounded - exact) / np.spacing(rounded))
    return near[best], rounded[best]


def _fit(powers: np.ndarray, rest: np.ndarray, true: np.ndarray) -> np.ndarray:
    """Return the factors of the columns of `powers` that make the worst relative error least."""
    weights = np.ones(len(rest))
    best, least = np.zeros(powers.shape[1]), np.inf
    for _ in range(_ROUNDS):
        scale = np.sqrt(weights) / true
        left, right = powers * scale[:, None], rest * scale
        found = np.linalg.lstsq(left.astype(float), right.astype(float), rcond=None)[0]
        errors = np.abs((powers @ found - rest) / true).astype(float)
        if errors.max() < least:
            best, least = found, errors.max()
        weights *= errors / errors.max()
        weights /= weights.sum()
    return best


def row(low: float, high: float) -> tuple[list[np.float32], float]:
    """Return c, y and the k of a piece, and the worst relative error."""
    c, y = centre(low, high)
    angles = (np.arange(2000) + 0.5) / 2000 * np.pi
    x = ((low + high) / 2 - (high - low) / 2 * np.cos(angles)).astype(np.longdouble)
    true, t = np.tanh(x), x - c
    half = float(np.abs(t).max())
    coefficients = [y]
    for first in range(1, DEGREE + 1):
        value = sum(np.longdouble(k) * t**i for i, k in enumerate(coefficients))
        powers = np.stack([(t / half) ** i for i in range(first, DEGREE + 1)], 1)
        k = _fit(powers, true - value, true)[0] / half**first
        # tanh(t) is t where t is small, to the last bit.
        coefficients.append(np.float32(1 if low == 0 and first == 1 else k))
    value = sum(np.longdouble(k) * t**i for i, k in enumerate(coefficients))
    return [c, *coefficients], float(np.abs((value - true) / true).max())


def main() -> None:
    """Print the rows in the order of the bits: those of 8 and more stand before those of 1."""
    rows = [row(*piece) for piece in pieces()]
    # The exponent field of 2, 4, 8 ends in bits 00, 01, 10, that of 1 in 11.
    for numbers, _ in rows[4:] + rows[:4]:
        print("    (" + ", ".join(str(number) for number in numbers).replace("e-0", "e-") + "),")
    print(f"# worst relative error before rounding: {max(error for _, error in rows):.2e}")


if __name__ == "__main__":
    main()

"""`VarianceScaling` and its named forms: Glorot, He and LeCun, uniform and normal."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from rnn_engine.config import standardize_dtype
from rnn_engine.initializers.distributions import (
    draw_normal,
    draw_truncated_normal,
    draw_uniform,
)
from rnn_engine.initializers.initializer import RandomInitializer, check_shape, registry

# Standard deviation of the unit normal cut off at 2: sqrt(1 - 4 phi(2) / (2 Phi(2) - 1)).
TRUNCATED_STDDEV = 0.87962566103423978
MODES = ("fan_in", "fan_out", "fan_avg")
DISTRIBUTIONS = ("uniform", "truncated_normal", "untruncated_normal")


def compute_fans(
    shape: Sequence[int],
    input_axes: Sequence[int] | None = None,
    output_axes: Sequence[int] | None = None,
) -> tuple[int, int]:
    """Return the numbers of inputs and outputs of one unit of a weight.

    The last two axes are inputs and outputs; axes before them multiply both, as
    the window of a convolution does. A vector counts its length for both. If
    `input_axes` and `output_axes` are both given, they are counted instead.

    Examples
    --------
    >>> compute_fans((3, 5)), compute_fans((4, 3, 5)), compute_fans((7,))
    ((3, 5), (12, 20), (7, 7))
    """
    shape = tuple(shape)
    if input_axes is not None and output_axes is not None:
        return math.prod(shape[a] for a in input_axes), math.prod(shape[a] for a in output_axes)
    if not shape:
        return 1, 1
    if len(shape) == 1:
        return shape[0], shape[0]
    window = math.prod(shape[:-2])
    return shape[-2] * window, shape[-1] * window


@registry.register("VarianceScaling", "variance_scaling")
class VarianceScaling(RandomInitializer):
    """Zero mean, variance ``scale / n``. Mirrors `keras.initializers.VarianceScaling`.

    Parameters
    ----------
    scale : float
        Above zero.
    mode : {"fan_in", "fan_out", "fan_avg"}
        What `n` counts: inputs, outputs or their mean (see `compute_fans`), at least 1.
    distribution : {"truncated_normal", "untruncated_normal", "uniform"}
        The truncated one (also called ``"normal"``) is widened so that its variance
        after the cut is right; the uniform one has the limit ``sqrt(3 scale / n)``.
    seed : int, SeedGenerator or None
        See `RandomInitializer`. The bits are NumPy's.
    input_axes, output_axes : sequence of int, optional
        Axes that count as inputs and outputs.

    Raises
    ------
    ValueError
        If `scale` is not positive or `mode` or `distribution` is unknown.

    Examples
    --------
    >>> weight = VarianceScaling(2.0, "fan_out", "uniform", seed=3)((50, 24))
    >>> bool(abs(weight).max() <= (3 * 2.0 / 24) ** 0.5)
    True
    """

    def __init__(
        self,
        scale: float = 1.0,
        mode: str = "fan_in",
        distribution: str = "truncated_normal",
        seed: Any = None,
        input_axes: Sequence[int] | None = None,
        output_axes: Sequence[int] | None = None,
    ) -> None:
        if not scale > 0.0:
            raise ValueError(f"Argument `scale` must be positive float. Received: scale={scale}")
        if mode not in MODES:
            raise ValueError(f"Invalid `mode` argument: {mode}. Please use one of {MODES}")
        chosen = distribution.lower()
        chosen = "truncated_normal" if chosen == "normal" else chosen
        if chosen not in DISTRIBUTIONS:
            raise ValueError(
                f"Invalid `distribution` argument: {distribution}. Please use one of "
                f"{DISTRIBUTIONS}"
            )
        self.scale = scale
        self.mode = mode
        self.distribution = chosen
        self.input_axes = input_axes
        self.output_axes = output_axes
        super().__init__(seed)

    def __call__(self, shape: Sequence[int], dtype: Any = None) -> np.ndarray:
        """Draw an array of `shape`."""
        sizes, name = check_shape(shape), standardize_dtype(dtype)
        fan_in, fan_out = compute_fans(sizes, self.input_axes, self.output_axes)
        n = {"fan_in": fan_in, "fan_out": fan_out, "fan_avg": (fan_in + fan_out) / 2}[self.mode]
        variance = self.scale / max(1.0, n)
        generator = self._generator()
        if self.distribution == "uniform":
            limit = math.sqrt(3.0 * variance)
            return draw_uniform(generator, sizes, -limit, limit, name)
        stddev = math.sqrt(variance)
        if self.distribution == "truncated_normal":
            return draw_truncated_normal(generator, sizes, 0.0, stddev / TRUNCATED_STDDEV, name)
        return draw_normal(generator, sizes, 0.0, stddev, name)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {
            **super().get_config(),
            "scale": self.scale,
            "mode": self.mode,
            "distribution": self.distribution,
            "input_axes": self.input_axes,
            "output_axes": self.output_axes,
        }


class _Named(VarianceScaling):
    """A `VarianceScaling` whose first three arguments are settled by its name."""

    _scale: float
    _mode: str
    _distribution: str

    def __init__(
        self,
        seed: Any = None,
        input_axes: Sequence[int] | None = None,
        output_axes: Sequence[int] | None = None,
    ) -> None:
        super().__init__(self._scale, self._mode, self._distribution, seed, input_axes, output_axes)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        config = super().get_config()
        return {key: config[key] for key in ("seed", "input_axes", "output_axes")}


@registry.register("GlorotUniform", "glorot_uniform")
class GlorotUniform(_Named):
    """Uniform within ``sqrt(6 / (fan_in + fan_out))``. Mirrors `keras.initializers.GlorotUniform`.

    References
    ----------
    Glorot and Bengio, 2010, https://proceedings.mlr.press/v9/glorot10a.html
    """

    _scale, _mode, _distribution = 1.0, "fan_avg", "uniform"


@registry.register("GlorotNormal", "glorot_normal")
class GlorotNormal(_Named):
    """Truncated normal of variance ``2 / (fan_in + fan_out)``.

    Mirrors `keras.initializers.GlorotNormal`.

    References
    ----------
    Glorot and Bengio, 2010, https://proceedings.mlr.press/v9/glorot10a.html
    """

    _scale, _mode, _distribution = 1.0, "fan_avg", "truncated_normal"


@registry.register("LecunUniform", "lecun_uniform")
class LecunUniform(_Named):
    """Uniform within ``sqrt(3 / fan_in)``. Mirrors `keras.initializers.LecunUniform`.

    References
    ----------
    Klambauer et al., 2017, https://arxiv.org/abs/1706.02515
    """

    _scale, _mode, _distribution = 1.0, "fan_in", "uniform"


@registry.register("LecunNormal", "lecun_normal")
class LecunNormal(_Named):
    """Truncated normal of variance ``1 / fan_in``. Mirrors `keras.initializers.LecunNormal`.

    References
    ----------
    Klambauer et al., 2017, https://arxiv.org/abs/1706.02515
    """

    _scale, _mode, _distribution = 1.0, "fan_in", "truncated_normal"


@registry.register("HeUniform", "he_uniform")
class HeUniform(_Named):
    """Uniform within ``sqrt(6 / fan_in)``. Mirrors `keras.initializers.HeUniform`.

    References
    ----------
    He et al., 2015, https://arxiv.org/abs/1502.01852
    """

    _scale, _mode, _distribution = 2.0, "fan_in", "uniform"


@registry.register("HeNormal", "he_normal")
class HeNormal(_Named):
    """Truncated normal of variance ``2 / fan_in``. Mirrors `keras.initializers.HeNormal`.

    References
    ----------
    He et al., 2015, https://arxiv.org/abs/1502.01852
    """

    _scale, _mode, _distribution = 2.0, "fan_in", "truncated_normal"

"""Random settings and inputs of the layers that need no recurrence, by class name."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from hypothesis import strategies as st

from rnn_engine.layers.base import registry
from tests import strategies

SIZES = (1, 2, 3, 5, 8)


@dataclass(frozen=True)
class Problem:
    """One layer with its input, weights and the gradient that arrives from above."""

    layer: str
    options: dict[str, Any]
    x: np.ndarray
    weights: list[np.ndarray]
    dy: np.ndarray
    mask: np.ndarray | None
    training: bool
    layout: str

    def make(self, dtype: str) -> Any:
        """Return the layer, by way of its config, built and with its weights."""
        cls = registry.lookup(self.layer)
        layer = cls.from_config(cls(**self.options, dtype=dtype).get_config())
        layer.build((None, *self.x.shape[1:]))
        layer.set_weights(self.weights)
        return layer

    def call(self, layer: Any) -> tuple[np.ndarray, Any]:
        """Return output and saved."""
        layout = self.layout
        if self.x.ndim == 1 or (layout == "strided" and self.x.dtype.kind == "i"):
            layout = "plain"  # the strided layout has NaN in its gaps
        x = strategies.laid_out(self.x, layout)
        return layer.forward(layer.convert(x), self.training, self.mask)


def _shape(draw: Any, least: int = 2, most: int = 4) -> tuple[int, ...]:
    rank = draw(st.integers(least, most))
    return tuple(draw(st.sampled_from(SIZES)) for _ in range(rank))


def _sequence(draw: Any) -> tuple[int, ...]:
    axes = (strategies.BATCHES, strategies.STEPS, strategies.FEATURES)
    return tuple(draw(st.sampled_from(axis)) for axis in axes)


def _affine_options(draw: Any) -> dict[str, Any]:
    return {
        "epsilon": draw(st.sampled_from([1e-3, 0.1])),
        "center": draw(st.booleans()),
        "scale": draw(st.booleans()),
    }


def _layer_normalization(draw: Any) -> Any:
    shape = _shape(draw)
    inner = list(range(1, len(shape)))
    axes = draw(st.lists(st.sampled_from(inner), min_size=1, unique=True))
    axis = draw(st.sampled_from([-1, axes, [axis - len(shape) for axis in axes]]))
    return {**_affine_options(draw), "axis": axis}, shape


def _batch_normalization(draw: Any) -> Any:
    shape = _sequence(draw) if draw(st.booleans()) else _shape(draw)
    axis = draw(st.sampled_from([-1, 1, len(shape) - 1]))
    momentum = draw(st.sampled_from([0.99, 0.5]))
    return {**_affine_options(draw), "axis": axis, "momentum": momentum}, shape


def _embedding(draw: Any) -> Any:
    shape = draw(st.sampled_from([(3,), (4, 7), (1, 13), (2, 3, 5)]))
    options = {"input_dim": draw(st.sampled_from([1, 5, 40])), "mask_zero": draw(st.booleans())}
    return {**options, "output_dim": draw(st.sampled_from(SIZES))}, shape


def _reshape(draw: Any) -> Any:
    batch, rows = draw(st.sampled_from(SIZES)), draw(st.sampled_from(SIZES))
    target = draw(st.sampled_from([(6, rows), (rows, 2, 3), (-1, 2), (3, -1), (-1,), (6 * rows,)]))
    return {"target_shape": target}, (batch, rows, 6)


def _permute(draw: Any) -> Any:
    shape = _shape(draw)
    return {"dims": draw(st.permutations(range(1, len(shape))))}, shape


def _pooling(draw: Any) -> Any:
    data_format = draw(st.sampled_from([None, "channels_last", "channels_first"]))
    return {"data_format": data_format, "keepdims": draw(st.booleans())}, _sequence(draw)


def _rescaling(draw: Any) -> Any:
    shape = _shape(draw)
    scale = draw(st.sampled_from([-0.5, [0.25 * k - 1 for k in range(shape[-1])]]))
    return {"scale": scale, "offset": draw(st.sampled_from([0.0, 3.0]))}, shape


SAMPLES: dict[str, Callable[[Any], tuple[dict[str, Any], tuple[int, ...]]]] = {
    "ActivityRegularization": lambda draw: ({"l1": 0.5, "l2": 0.25}, _shape(draw)),
    "AlphaDropout": lambda draw: ({"rate": 0.3}, _shape(draw)),
    "BatchNormalization": _batch_normalization,
    "Dropout": lambda draw: ({"rate": 0.3}, _shape(draw)),
    "Embedding": _embedding,
    "Flatten": lambda draw: (
        {"data_format": draw(st.sampled_from([None, "channels_first"]))},
        _shape(draw, 1),
    ),
    "GaussianDropout": lambda draw: ({"rate": 0.3}, _shape(draw)),
    "GaussianNoise": lambda draw: ({"stddev": 0.3}, _shape(draw)),
    "GlobalAveragePooling1D": _pooling,
    "GlobalMaxPooling1D": _pooling,
    "LayerNormalization": _layer_normalization,
    "Masking": lambda draw: ({"mask_value": draw(st.sampled_from([0.0, 1.5]))}, _sequence(draw)),
    "Permute": _permute,
    "RepeatVector": lambda draw: ({"n": draw(st.integers(1, 6))}, _shape(draw, 2, 2)),
    "Rescaling": _rescaling,
    "Reshape": _reshape,
    "SpatialDropout1D": lambda draw: ({"rate": 0.3}, _sequence(draw)),
}

RANDOM = {"AlphaDropout", "Dropout", "GaussianDropout", "GaussianNoise", "SpatialDropout1D"}
MASKED = {"BatchNormalization", "GlobalAveragePooling1D"}


@st.composite
def problems(draw: Callable[..., Any], name: str) -> Problem:
    """Draw settings and data of a layer; layers that draw themselves are not in training."""
    options, shape = SAMPLES[name](draw)
    rng = np.random.default_rng(draw(strategies.seeds()))
    # Numbers that float32 holds, so that both dtypes compute the same thing.
    x = (rng.normal(size=shape) * 2 + 0.5).astype(np.float32)
    if name == "Masking":
        x[rng.random(shape[:2]) < 0.4] = options["mask_value"]
    if name == "GlobalMaxPooling1D":
        x = np.round(x)  # equal values share the gradient
    if name == "Embedding":
        x = rng.integers(0, options["input_dim"], shape)
    mask = None
    # Keras's squeeze fails on one feature that does not stand last.
    lonely = name == "BatchNormalization" and options["axis"] > 0 and shape[options["axis"]] == 1
    if name in MASKED and len(shape) == 3 and not lonely:
        steps = shape[2 if options.get("data_format") == "channels_first" else 1]
        mask = strategies.a_mask(rng, draw(st.sampled_from(strategies.MASKS)), shape[0], steps)
    layer = registry.lookup(name)(**options)
    layer.build((None, *shape[1:]))
    weights = [rng.uniform(0.2, 1.5, v.shape).astype(np.float32) for v in layer.weights]
    output = layer.compute_output_shape(shape)
    return Problem(
        name,
        options,
        x,
        weights,
        rng.normal(size=output).astype(np.float32),
        mask,
        name not in RANDOM and draw(st.booleans()),
        draw(st.sampled_from(strategies.LAYOUTS)),
    )

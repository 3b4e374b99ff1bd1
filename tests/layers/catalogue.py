"""Settings and inputs of the layers around recurrent ones, by class name.

A new layer is one entry here: its values, gradients, masks, shapes, config and files are
compared with Keras's by `test_catalogue.py` and `tests/saving` then.
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

BATCH = 3


@dataclass(frozen=True)
class Case:
    """Options of a layer, the shapes of its inputs behind the batch axis, and how it is called.

    `masked` tells which inputs have a mask over their first axis. Rounded inputs have equal
    numbers among them; inputs that are `spread` are arguments of their own. What is `narrow`,
    Keras computes in float32 only.
    """

    options: dict[str, Any]
    shapes: tuple[tuple[int, ...], ...]
    masked: tuple[bool, ...] = ()
    rounded: bool = False
    several: bool = False
    narrow: bool = False
    spread: bool = False
    call: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        marks = "masked" * any(self.masked) + "rounded" * self.rounded
        return f"{self.options} {self.shapes} {self.call or ''} {marks}".strip()

    def inputs(self, dtype: str, seed: int = 0) -> list[np.ndarray]:
        """Return one array for each input; float32 holds the numbers."""
        rng = np.random.default_rng(seed)
        arrays = [rng.normal(size=(BATCH, *shape)).astype(np.float32) for shape in self.shapes]
        return [(np.round(x) if self.rounded else x).astype(dtype) for x in arrays]

    def masks(self, seed: int = 1) -> list[np.ndarray | None]:
        """Return a mask, or None, for each input: of other steps for each, some rows closed."""
        rng = np.random.default_rng(seed)
        found: list[np.ndarray | None] = []
        for shape, masked in zip(self.shapes, (*self.masked, *[False] * 9), strict=False):
            mask = rng.random((BATCH, shape[0] if shape else 1)) < 0.6
            mask[0, :] = True
            found.append(mask if masked else None)
        return found


def one(options: dict[str, Any], *shape: int, **more: Any) -> Case:
    """Return a case of a layer of one input."""
    return Case(options, (shape,), **more)


def several(options: dict[str, Any], *shapes: tuple[int, ...], **more: Any) -> Case:
    """Return a case of a layer of several inputs."""
    return Case(options, shapes, several=True, **more)


_MERGED = [
    several({}, (4, 2), (4, 2)),
    several({}, (4, 2), (4, 2), (4, 2), rounded=True),
    several({}, (4, 2), (4, 2), (4, 2), masked=(True, True, True), rounded=True),
    several({}, (4, 2), (4, 2), (4, 2), masked=(True, False, True)),
    several({}, (4, 2), (4, 2), masked=(False, True), rounded=True),
    several({}, (4, 3), (1, 3), (4, 1)),
    several({}, (2, 4, 3), (3,), (4, 1)),
    several({}, (3,), (4, 3)),
    several({}, (5,)),
]
_OF_TWO = [case for case in _MERGED if len(case.shapes) == 2]


def _convolutions(rank: int, *shapes: tuple[int, ...]) -> list[Case]:
    """Return cases of a convolution over `rank` axes; `shapes` are of 4 channels."""
    same = {"padding": "same"}
    every = [
        {"kernel_size": 1},
        {"kernel_size": 3, "activation": "tanh"},
        {"kernel_size": 2, **same, "activation": "relu"},
        {"kernel_size": 3, **same, "strides": 2, "activation": "swish", "use_bias": False},
        {"kernel_size": 2, "strides": 3, "activation": "softmax"},
        {"kernel_size": 2, "dilation_rate": 2, **same, "activation": "sigmoid"},
    ]
    grouped = {"filters": 8, "kernel_size": 3, "groups": 2, **same, "strides": 2}
    cases = [one({"filters": 8, **options}, *shape) for options in every for shape in shapes]
    first = {"filters": 3, "kernel_size": 2, "data_format": "channels_first"}
    cases.append(one(grouped, *shapes[0]))  # Keras compiles each of these
    return [*cases, *(one(first, shape[-1], *shape[:-1]) for shape in shapes)]


def _transposed(*shapes: tuple[int, ...]) -> list[Case]:
    """Return cases of a transposed convolution."""
    every = [
        {"kernel_size": 2},
        {"kernel_size": 3, "strides": 2, "padding": "same", "activation": "tanh"},
        {"kernel_size": 2, "strides": 3, "use_bias": False},
        {"kernel_size": 4, "strides": 3, "padding": "same"},
        {"kernel_size": 3, "strides": 2, "output_padding": 1},
        {"kernel_size": 3, "strides": 3, "padding": "same", "output_padding": 0},
        {"kernel_size": 5, "strides": 2},
    ]
    cases = [one({"filters": 3, **options}, *shape) for options in every for shape in shapes]
    dilated = {"filters": 3, "kernel_size": 3, "dilation_rate": 2}
    cases.append(one(dilated, *shapes[0], narrow=True))
    first = {"filters": 3, "kernel_size": 2, "strides": 2, "data_format": "channels_first"}
    return [*cases, *(one(first, shape[-1], *shape[:-1]) for shape in shapes)]


def _pools(rank: int, *shapes: tuple[int, ...]) -> list[Case]:
    """Return cases of a pooling layer."""
    every: list[dict[str, Any]] = [
        {"pool_size": 2},
        {"pool_size": 3, "strides": 2},
        {"pool_size": 2, "strides": 1, "padding": "same"},
        {"pool_size": 3, "padding": "same"},
        {"pool_size": 2, "strides": 3},
        {"data_format": "channels_first", "pool_size": (2,) * rank},
    ]
    return [
        one(options, *shape, rounded=rounded, narrow=rank == 3)
        for options in every for shape in shapes for rounded in (False, True)
    ]  # fmt: skip


_FIRST = {"data_format": "channels_first"}


def _over(*shapes: tuple[int, ...]) -> list[Case]:
    """Return cases of global pooling."""
    return [
        one(options, *shape)
        for options in ({}, {"keepdims": True}, _FIRST, {**_FIRST, "keepdims": True})
        for shape in shapes
    ]


def _with(options: list[dict[str, Any]], *shapes: tuple[int, ...]) -> list[Case]:
    """Return a case for each of some options and shapes."""
    return [one(some, *shape) for some in options for shape in shapes]


_TAPS = [
    {"kernel_size": 2},
    {"kernel_size": 3, "padding": "same", "strides": 2, "activation": "tanh"},
    {"kernel_size": 2, "depth_multiplier": 3, "activation": "swish", "use_bias": False},
    {"kernel_size": 2, "dilation_rate": 2, "padding": "same"},
    {"kernel_size": 2, "depth_multiplier": 2, **_FIRST},
]
_SCORES = {"return_attention_scores": True}
_CAUSAL = {"use_causal_mask": True}


def _attentions(*options: dict[str, Any]) -> list[Case]:
    """Return cases of an attention layer."""
    two, three = ((4, 3), (6, 3)), ((4, 3), (6, 5), (6, 3))
    return [
        case
        for some in options
        for case in (
            several(some, *two),
            several(some, *three, masked=(True, True)),
            several(some, *two, masked=(False, True), call=_SCORES),
            several(some, *two, masked=(True, False), call=_CAUSAL),
            several(some, *three, masked=(True, True, True), call={**_SCORES, **_CAUSAL}),
        )
    ]


def _heads(options: dict[str, Any], *shapes: tuple[int, ...], **more: Any) -> Case:
    """Return a case of attention of several heads."""
    options = {"num_heads": 2, "key_dim": 3, **options}
    return several(options, *shapes, spread=True, narrow=True, **more)


_PAIR, _TRIPLE = ((4, 5), (6, 3)), ((4, 5), (6, 3), (6, 7))

CASES: dict[str, list[Case]] = {
    "Add": _MERGED,
    "AdditiveAttention": _attentions({}, {"use_scale": False}),
    "Attention": _attentions(
        {},
        {"use_scale": True},
        {"score_mode": "concat", "use_scale": True},
        {"score_mode": "concat"},
    ),
    "Average": _MERGED,
    "AveragePooling1D": _pools(1, (7, 4), (12, 17)),
    "AveragePooling2D": _pools(2, (7, 5, 4)),
    "AveragePooling3D": _pools(3, (4, 5, 3, 2))[::2],
    "Concatenate": [
        several({}, (4, 2), (4, 3)),
        several({}, (4, 2), (4, 3), masked=(True, False)),
        several({"axis": 1}, (4, 2), (1, 2), (3, 2), masked=(True, True, False)),
        several({"axis": 1}, (3,), (2,)),
        several({"axis": -2}, (2, 3, 4), (2, 1, 4)),
        several({"axis": 0}, (2, 3), (2, 3)),
        several({}, (5,)),
    ],
    "Conv1D": [
        *_convolutions(1, (7, 4), (13, 4)),
        one({"filters": 5, "kernel_size": 4, "padding": "causal"}, 9, 3),
        one({"filters": 5, "kernel_size": 3, "padding": "causal", "dilation_rate": 3}, 11, 3),
        one({"filters": 5, "kernel_size": 3, "padding": "causal", "strides": 2}, 11, 3),
        one({"filters": 40, "kernel_size": 5}, 700, 19),
        one({"filters": 1, "kernel_size": 9, "padding": "same"}, 3, 1),
        one({"filters": 2, "kernel_size": 2, "strides": 5}, 4, 3),
        one({"filters": 2, "kernel_size": 3}, 6, 2, masked=(True,)),
    ],
    "Conv1DTranspose": [
        *_transposed((5, 4), (1, 2)),
        one({"filters": 20, "kernel_size": 3, "strides": 2, "padding": "same"}, 300, 7),
    ],
    "Conv2D": [
        *_convolutions(2, (7, 5, 4), (6, 9, 4)),
        one({"filters": 6, "kernel_size": (3, 2), "strides": (2, 1)}, 9, 8, 1),
        one({"filters": 6, "kernel_size": (1, 4), "dilation_rate": (3, 2)}, 9, 8, 3),
        one({"filters": 17, "kernel_size": 3, "padding": "same"}, 20, 30, 6),
    ],
    "Conv2DTranspose": [
        *_transposed((4, 3, 2)),
        one({"filters": 2, "kernel_size": (3, 2), "strides": (1, 2)}, 4, 3, 5),
    ],
    "Conv3D": [
        *_convolutions(3, (6, 5, 7, 4)),
        one({"filters": 5, "kernel_size": (2, 3, 1), "strides": (1, 3, 2)}, 4, 8, 7, 2),
    ],
    "Conv3DTranspose": [
        one({"filters": 2, "kernel_size": 2, "strides": 2, "padding": "same"}, 2, 3, 2, 2),
        one({"filters": 2, "kernel_size": (2, 3, 1), "strides": (1, 2, 2)}, 2, 3, 2, 3),
    ],
    "Cropping1D": _with([{}, {"cropping": 2}, {"cropping": (0, 3)}], (6, 3)),
    "Cropping2D": _with(
        [{}, {"cropping": 1}, {"cropping": ((1, 2), (0, 1))}, {"cropping": (1, 1), **_FIRST}],
        (5, 4, 3),
    )[:3],
    "Cropping3D": _with([{}, {"cropping": ((1, 0), (0, 2), (1, 1)), **_FIRST}], (3, 4, 5, 6)),
    "DepthwiseConv1D": _with(_TAPS, (7, 4), (9, 6)),
    "DepthwiseConv2D": [
        *_with(_TAPS, (7, 6, 5)),
        one({"kernel_size": (3, 2), "padding": "same"}, 9, 8, 17),
    ],
    "Dot": [
        several({"axes": 1}, (5,), (5,)),
        several({"axes": -1}, (5,), (5,)),
        several({"axes": 2}, (4, 3), (2, 3), masked=(True, True)),
        several({"axes": (2, 1)}, (4, 3), (3, 5)),
        several({"axes": [1, 2]}, (4, 3), (5, 4)),
        several({"axes": (1, 2)}, (5,), (4, 5)),
        several({"axes": (2, 1)}, (4, 5), (5,)),
        several({"axes": (2, 3)}, (4, 3, 2), (2, 5, 3)),
        several({"axes": 1, "normalize": True}, (5,), (5,)),
        several({"axes": (1, -1), "normalize": True}, (4, 3), (2, 4)),
    ],
    "GroupNormalization": [
        one({"groups": 2}, 5, 6, masked=(True,)),
        one({"groups": 3, "epsilon": 0.1, "center": False}, 6),
        one({"groups": -1}, 5, 3, 4),
        one({"groups": 1, "scale": False}, 5, 4),
        one({"groups": 2, "axis": 1}, 4, 5),
        one({"groups": 2, "axis": -2}, 3, 4, 5),
    ],
    "Identity": [one({}, 5), one({}, 4, 3, masked=(True,))],
    "MaxPooling1D": [*_pools(1, (7, 4), (12, 17)), one({}, 6, 2, masked=(True,))],
    "MaxPooling2D": _pools(2, (7, 5, 4)),
    "MaxPooling3D": _pools(3, (4, 5, 3, 2))[::2],  # of equal numbers each counts there
    "EinsumDense": [
        one({"equation": "ab,bc->ac", "output_shape": 4}, 3),
        one({"equation": "abc,cd->abd", "output_shape": (None, 4), "bias_axes": "d"}, 5, 3),
        one({"equation": "...x,xy->...y", "output_shape": 4, "bias_axes": "y"}, 5, 3),
        one(
            {
                "equation": "abc,cde->abde",
                "output_shape": (None, 2, 4),
                "bias_axes": "de",
                "activation": "tanh",
            },
            5,
            3,
        ),
        one({"equation": "abcd,cde->abe", "output_shape": (None, 4), "bias_axes": "e"}, 5, 2, 3),
        one({"equation": "abc,bd->adc", "output_shape": (4, None), "bias_axes": "d"}, 5, 3),
        one({"equation": "abc,bcd->abd", "output_shape": (5, 4), "bias_axes": "bd"}, 5, 3),
        one({"equation": "ab...,bc->ac...", "output_shape": 4, "bias_axes": "c"}, 3, 5),
    ],
    "GlobalAveragePooling2D": [*_over((5, 3, 4)), one({}, 5, 3, 2, masked=(True,))],
    "GlobalAveragePooling3D": _over((2, 5, 3, 4)),
    "GlobalMaxPooling2D": [*_over((5, 3, 4)), one({}, 5, 3, 2, rounded=True)],
    "GlobalMaxPooling3D": _over((2, 5, 3, 4)),
    "Maximum": _MERGED,
    "Minimum": _MERGED,
    "MultiHeadAttention": [
        _heads({}, *_PAIR),
        _heads({}, *_TRIPLE),
        _heads({"value_dim": 4, "use_bias": False}, *_PAIR, masked=(False, True)),
        _heads({"output_shape": 8}, *_TRIPLE, masked=(True, True), call=_CAUSAL),
        _heads({"output_shape": (2, 3)}, *_PAIR, call={**_CAUSAL, **_SCORES}),
        _heads({}, *_TRIPLE, masked=(True, True), call=_SCORES),
        _heads({"use_gate": True}, *_PAIR, masked=(True, False)),
        _heads({"sliding_window": 2}, *_PAIR),
        _heads({}, *_PAIR, call={"attention_mask": np.tri(4, 6, 1)[None] > 0}),
        _heads({"attention_axes": (2,)}, (3, 4, 5), (3, 6, 5)),
        _heads({"attention_axes": (1, 2)}, (3, 4, 5), (2, 6, 5), call=_SCORES),
        _heads({"num_heads": 4, "key_dim": 16}, (33, 20), (40, 20), call=_CAUSAL),
    ],
    "Multiply": _MERGED,
    "RMSNormalization": [
        one({}, 5),
        one({"epsilon": 0.1}, 4, 3),
        one({"axis": [1, 2]}, 4, 3),
    ],
    "SeparableConv1D": _with([{"filters": 5, **taps} for taps in _TAPS], (7, 4)),
    "SeparableConv2D": _with([{"filters": 5, **taps} for taps in _TAPS], (7, 6, 4)),
    "SpatialDropout2D": _with([{"rate": 0.0}, {"rate": 0.0, **_FIRST}], (4, 3, 2)),
    "SpatialDropout3D": _with([{"rate": 0.0}, {"rate": 0.0, **_FIRST}], (4, 3, 2, 2)),
    "Subtract": _OF_TWO,
    "UpSampling1D": _with([{}, {"size": 3}], (4, 3)),
    "UpSampling2D": [
        *_with([{}, {"size": (3, 1)}, {"size": (3, 2), **_FIRST}], (4, 3, 2), (1, 2, 3)),
        one({"interpolation": "bilinear"}, 4, 3, 2, narrow=True),
        one({"interpolation": "bilinear", "size": (3, 2), **_FIRST}, 2, 1, 5, narrow=True),
    ],
    "UpSampling3D": _with([{}, {"size": (1, 3, 2), **_FIRST}], (2, 4, 3, 2)),
    "ZeroPadding1D": _with([{}, {"padding": 2}, {"padding": (0, 3)}, _FIRST], (6, 3)),
    "ZeroPadding2D": _with(
        [{}, {"padding": 2}, {"padding": ((1, 2), (0, 1))}, {"padding": (1, 1), **_FIRST}],
        (5, 4, 3),
    )[:3],
    "ZeroPadding3D": _with([{}, {"padding": ((1, 0), (0, 2), (1, 1)), **_FIRST}], (3, 4, 5, 6)),
    "UnitNormalization": [
        one({}, 5),
        one({}, 4, 3, masked=(True,)),
        one({"axis": 1}, 4, 3),
        one({"axis": [1, 2]}, 4, 3),
        one({"axis": [-1]}, 2, 4, 3),
    ],
}

# What a layer refuses, as Keras does with an error of the same kind: its options, and the
# shapes of inputs (None where the options are enough; one tuple where there is no list).
REFUSED: list[tuple[str, dict[str, Any], Any]] = [
    ("Add", {}, [(2, 3), (2, 4)]),
    ("Add", {}, [(2, 3), (3, 3)]),
    ("Add", {}, (2, 3)),
    ("Subtract", {}, [(2, 3)]),
    ("Subtract", {}, [(2, 3), (2, 3), (2, 3)]),
    ("Concatenate", {}, [(2, 3, 4), (2, 4, 4)]),
    ("Concatenate", {}, [(2, 3, 4), (2, 4)]),
    ("Concatenate", {}, (2, 3)),
    ("Conv1D", {"filters": 0, "kernel_size": 2}, None),
    ("Conv1D", {"filters": 2, "kernel_size": 0}, None),
    ("Conv1D", {"filters": 2, "kernel_size": (2, 2)}, None),
    ("Conv1D", {"filters": 2, "kernel_size": "ab"}, None),
    ("Conv1D", {"filters": 2, "kernel_size": 2, "strides": 0}, None),
    ("Conv1D", {"filters": 2, "kernel_size": 2, "padding": "full"}, None),
    ("Conv1D", {"filters": 2, "kernel_size": 2, "data_format": "last"}, None),
    ("Conv1D", {"filters": 2, "kernel_size": 2, "strides": 2, "dilation_rate": 2}, None),
    ("Conv1D", {"filters": 3, "kernel_size": 2, "groups": 2}, None),
    ("Conv1D", {"filters": 2, "kernel_size": 2, "groups": 0}, None),
    ("Conv1D", {"filters": 4, "kernel_size": 2, "groups": 2}, (2, 5, 3)),
    ("Conv1D", {"filters": 4, "kernel_size": 6}, (2, 5, 3)),
    ("Conv1D", {"filters": 4, "kernel_size": 2}, (2, 5)),
    ("Conv1D", {"filters": 4, "kernel_size": 2, "activation": "none such"}, None),
    ("Conv2D", {"filters": 4, "kernel_size": 2, "padding": "causal"}, None),
    ("Conv2D", {"filters": 4, "kernel_size": (2, 2, 2)}, None),
    ("Conv2D", {"filters": 4, "kernel_size": (6, 1)}, (2, 5, 3, 1)),
    ("Conv2D", {"filters": 4, "kernel_size": 2}, (2, 5, 3)),
    ("Conv1DTranspose", {"filters": 0, "kernel_size": 2}, None),
    ("Conv1DTranspose", {"filters": 2, "kernel_size": 2, "padding": "causal"}, None),
    ("Conv1DTranspose", {"filters": 2, "kernel_size": 2, "output_padding": -1}, None),
    ("Conv1DTranspose", {"filters": 2, "kernel_size": 2, "output_padding": 1}, None),
    ("Conv1DTranspose", {"filters": 2, "kernel_size": 2, "strides": 2, "dilation_rate": 2}, None),
    ("Conv1DTranspose", {"filters": 2, "kernel_size": 2}, (2, 5)),
    ("Dot", {"axes": "a"}, None),
    ("Dot", {"axes": (1, 1, 1)}, None),
    ("Dot", {"axes": (1, 1.5)}, None),
    ("Dot", {"axes": 1}, [(2, 3), (2, 4)]),
    ("Dot", {"axes": 1}, [(2, 3)]),
    ("Dot", {"axes": 0}, [(2, 2), (2, 2)]),
    ("Attention", {"score_mode": "cosine"}, None),
    ("Attention", {}, (2, 3, 4)),
    ("Attention", {}, [(2, 3, 4)]),
    ("Attention", {}, [(2, 3, 4), (2, 5, 3)]),
    ("EinsumDense", {"equation": "ab,bc", "output_shape": 3}, (2, 3)),
    ("EinsumDense", {"equation": "ab,bc->ad", "output_shape": 3}, (2, 3)),
    ("EinsumDense", {"equation": "ab,bcd->ac", "output_shape": 3}, (2, 3)),
    ("EinsumDense", {"equation": "ab,bc->ac", "output_shape": 3, "bias_axes": "b"}, (2, 3)),
    ("MultiHeadAttention", {"num_heads": 0, "key_dim": 2}, None),
    ("MultiHeadAttention", {"num_heads": 2, "key_dim": 1.5}, None),
    ("MultiHeadAttention", {"num_heads": 2, "key_dim": 2, "value_dim": 0}, None),
    ("MultiHeadAttention", {"num_heads": 2, "key_dim": 2, "sliding_window": 0}, None),
    ("MultiHeadAttention", {"num_heads": 2, "key_dim": 2, "attention_axes": "a"}, None),
    ("DepthwiseConv1D", {"kernel_size": 2, "depth_multiplier": 0}, None),
    ("DepthwiseConv1D", {"kernel_size": 0}, None),
    ("DepthwiseConv2D", {"kernel_size": 4}, (2, 3, 5, 2)),
    ("SeparableConv1D", {"filters": 0, "kernel_size": 2}, None),
    ("SeparableConv1D", {"filters": 2, "kernel_size": 2}, (2, 5)),
    ("GroupNormalization", {"groups": 0}, None),
    ("GroupNormalization", {"groups": 4}, (2, 3)),
    ("GroupNormalization", {"groups": 2}, (2, 3)),
    ("MaxPooling1D", {"pool_size": 0}, None),
    ("MaxPooling1D", {"pool_size": (1, 2)}, None),
    ("MaxPooling1D", {"strides": -1}, None),
    ("MaxPooling1D", {"pool_size": 6}, (2, 5, 3)),
    ("MaxPooling1D", {}, (2, 5)),
    ("MaxPooling2D", {"data_format": "last"}, None),
    ("AveragePooling2D", {"pool_size": 2}, (2, 5, 3)),
    ("AveragePooling2D", {}, None),
    ("Cropping1D", {"cropping": 3}, (2, 6, 3)),
    ("Cropping1D", {"cropping": (1, 2, 3)}, None),
    ("Cropping2D", {"cropping": -1}, None),
    ("Cropping2D", {"cropping": (1, 1, 1)}, None),
    ("Cropping2D", {"cropping": 2}, (2, 4, 6, 3)),
    ("ZeroPadding1D", {"padding": -1}, None),
    ("ZeroPadding2D", {"padding": (1, 2, 3)}, None),
    ("ZeroPadding2D", {"padding": 1.5}, None),
    ("UpSampling1D", {"size": 0}, None),
    ("UpSampling1D", {"size": 1.5}, None),
    ("UpSampling2D", {"size": 0}, None),
    ("UpSampling2D", {"interpolation": "none"}, (2, 3, 4, 5)),
    ("SpatialDropout2D", {"rate": 2}, None),
    ("SpatialDropout2D", {"rate": 0.5}, (2, 3, 4)),
    ("GlobalMaxPooling2D", {}, (2, 3, 4)),
    ("UnitNormalization", {"axis": "a"}, None),
]

"""Activations of ONNX that Keras has without their numbers: names of files, not of programs."""

import numpy as np

from rnn_engine.activations.base import Parametrised, registry


def onnx_hard_sigmoid(x: np.ndarray, alpha: float, beta: float) -> np.ndarray:
    """Return alpha·x + beta kept within 0..1: ONNX's HardSigmoid."""
    return np.clip(alpha * x + beta, 0.0, 1.0)


def _hard_sigmoid_slope(x: np.ndarray, alpha: float, beta: float) -> np.ndarray:
    z = alpha * x + beta
    return np.where((z > 0) & (z < 1), alpha, 0.0)


def onnx_scaled_tanh(x: np.ndarray, alpha: float, beta: float) -> np.ndarray:
    """Return alpha·tanh(beta·x): ONNX's ScaledTanh."""
    return alpha * np.tanh(beta * x)


def _scaled_tanh_slope(x: np.ndarray, alpha: float, beta: float) -> np.ndarray:
    return alpha * beta * (1 - np.tanh(beta * x) ** 2)


def onnx_affine(x: np.ndarray, alpha: float, beta: float) -> np.ndarray:
    """Return alpha·x + beta: ONNX's Affine."""
    return alpha * x + beta


def _affine_slope(x: np.ndarray, alpha: float, beta: float) -> np.ndarray:
    return np.full_like(x, alpha)


HARD_SIGMOID = Parametrised(onnx_hard_sigmoid, _hard_sigmoid_slope)
SCALED_TANH = Parametrised(onnx_scaled_tanh, _scaled_tanh_slope)
AFFINE = Parametrised(onnx_affine, _affine_slope)

for _entry in (HARD_SIGMOID, SCALED_TANH, AFFINE):
    registry.register(_entry.name)(_entry)

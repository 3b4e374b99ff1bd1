"""Models from ONNX files, and to them."""

from rnn_engine.saving.onnx.exporter import to_onnx
from rnn_engine.saving.onnx.reader import from_onnx

__all__ = ["from_onnx", "to_onnx"]

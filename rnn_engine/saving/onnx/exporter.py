"""`to_onnx`: a model as an ONNX file."""

import os
from typing import Any

import numpy as np

from rnn_engine.graph import KerasTensor, flatten, map_structure
from rnn_engine.graph.order import nodes_between
from rnn_engine.saving.atomic import replacing
from rnn_engine.saving.onnx import (  # noqa: F401
    write_attention,
    write_conv_lstm,
    write_features,
    write_layers,
    write_recurrent,
    write_text,
    write_windows,
)
from rnn_engine.saving.onnx.write_ops import is_op, write_op
from rnn_engine.saving.onnx.writer import (
    IR,
    WRITERS,
    NotInONNXError,
    Value,
    Writer,
)

_MOST_BYTES = (1 << 31) - (1 << 20)  # protobuf's limit


def to_onnx(model: Any, path: Any) -> None:
    """Write a model as an ONNX file, which ONNX Runtime, OpenVINO and others run.

    The graph computes what `predict` does: dropout and noise are left out. The batch is of any
    size, and so is every axis that is None in the model's inputs. Recurrent layers become RNN,
    LSTM and GRU. Masks (`Masking`, ``Embedding(mask_zero=True)``) are exact, in front of the
    steps, behind them or between: the steps that count are moved together, read with
    ``sequence_lens``, and their outputs put back.

    Needs the extra ``onnx``.

    Parameters
    ----------
    model : Model
        Built; a graph, or a `Sequential`.
    path : str or path
        The file is replaced at once when the new one is whole.

    Raises
    ------
    ValueError
        If the model is not built, or ONNX or this writer has nothing like one of its layers:
        the message names the layer and the reason. No file is touched then.
    ImportError
        If the package onnx is not installed.
    OSError
        If the file cannot be written; the old one is as it was.

    See Also
    --------
    from_onnx : The way back.

    Notes
    -----
    The inputs' and outputs' names are those of the model's layers. A `Sequential` that begins
    with an `Embedding` takes int32. Stateful layers, mixed precision, layers and cells of one's
    own are refused, and text layers that clean texts, hash, or split otherwise than at blanks. The
    file is of version 18 of ONNX's operators; of 20 where texts are split.
    """
    path = os.fspath(path)
    content = _content(model)
    with replacing(path) as file:
        file.write(content)


def _content(model: Any) -> bytes:
    w = _LayerWriter()
    if not getattr(model, "built", False) or not hasattr(model, "inputs"):
        raise ValueError(
            f"to_onnx takes a built model that is a graph of layers; {model!r} is none. Call it "
            f"on some data, or give its first layer an `input_shape`."
        )
    helper = w.onnx.helper
    values, inputs = [], []
    for tensor in model.inputs:
        value = w.input(model, tensor)
        values.append(value)
        inputs.append(w.port(value, value.name))
    results = w.graph(model.inputs, model.outputs, values)
    outputs = []
    for name, value in zip(_output_names(model, w), results, strict=True):
        # A node of its own: an output may be an input, or come twice.
        w.nodes.append(helper.make_node("Identity", [value.name], [name], name=name))
        outputs.append(w.port(value, name))
    if w.size > _MOST_BYTES:
        raise NotInONNXError(
            f"the model has {w.size} bytes of weights; one ONNX file holds 2 GiB at most."
        )
    graph = helper.make_graph(w.nodes, model.name or "model", inputs, outputs, w.constants)
    made = helper.make_model(
        graph, opset_imports=[helper.make_opsetid(*entry) for entry in w.opsets()], ir_version=IR,
        producer_name="rnn_engine",
    )  # fmt: skip
    try:
        w.onnx.checker.check_model(made, full_check=True)
    except (w.onnx.checker.ValidationError, w.onnx.shape_inference.InferenceError) as error:
        # An op of a type, or a name, that ONNX does not have.
        raise NotInONNXError(f"ONNX does not take the graph: {error}") from error
    content: bytes = made.SerializeToString()
    return content


def _output_names(model: Any, w: Writer) -> list[str]:
    return [w.name(tensor.node.operation.name) for tensor in model.outputs]


class _LayerWriter(Writer):
    """A `Writer` that goes through the graphs of models."""

    def input(self, model: Any, tensor: KerasTensor) -> Value:
        """Return the value of an input."""
        dtype = tensor.dtype
        if hasattr(model, "takes_integers") and not hasattr(model, "layout"):
            # A Sequential does not know of integers before its first layer.
            whole = model.takes_integers and "int" not in dtype and dtype != "string"
            dtype = "int32" if whole else dtype
        self.type_of(dtype)
        return Value(self.name(tensor.node.operation.name), tensor.shape, dtype)

    def port(self, value: Value, name: str) -> Any:
        """Return the description of an input or output."""
        shape: list[Any] = list(value.shape)
        for axis, size in enumerate(shape):
            if size is None:
                shape[axis] = "batch" if axis == 0 else f"{name}_{axis}"
        kind = self.type_of(value.dtype)
        return self.onnx.helper.make_tensor_value_info(name, kind, shape)

    def graph(
        self, inputs: list[KerasTensor], outputs: list[KerasTensor], values: list[Value]
    ) -> list[Value]:
        """Write the nodes of a graph; return the values of its outputs."""
        known: dict[int, Value] = {id(t): v for t, v in zip(inputs, values, strict=True)}
        for node in nodes_between(inputs, outputs):
            filled = [known[id(t)] for t in node.inputs]
            args, kwargs = node.filled(filled)
            operation, outer = node.operation, self.scope
            self.scope = operation.name
            try:
                made = self.call(operation, args, kwargs, node.outputs)
            except NotInONNXError as error:
                if str(error).startswith("Layer "):
                    raise
                kind = getattr(operation, "op", type(operation).__name__)
                raise NotInONNXError(
                    f"Layer {operation.name!r} ({kind}) cannot be written as ONNX: {error}"
                ) from None
            self.scope = outer
            for tensor, value in zip(node.outputs, made, strict=True):
                # What is known of shapes only symbolically is better known there.
                if len(tensor.shape) == len(value.shape):
                    value.shape = tuple(tensor.shape)
                known[id(tensor)] = value
        return [known[id(t)] for t in outputs]

    def call(self, operation: Any, args: Any, kwargs: Any, outputs: Any) -> list[Value]:
        """Write a call of a layer or an op."""
        if is_op(operation):
            return write_op(self, operation, args, kwargs, outputs)
        if kwargs.get("training"):
            raise NotInONNXError("it is called with training=True.")
        inputs, options = operation.bind(*args, **{
            k: v for k, v in kwargs.items() if k not in ("training", "mask")
        })  # fmt: skip
        if kwargs.get("mask") is not None:
            options = {**options, "mask": kwargs["mask"]}
        return flatten(self.layer(operation, inputs, options))

    def layer(self, layer: Any, x: Any, options: dict[str, Any]) -> Any:
        """Return the output of a layer, or a list of them.

        Raises
        ------
        ValueError
            If it is not written.
        """
        policy = getattr(layer, "dtype_policy", None)
        if policy is not None and policy.compute_dtype != policy.variable_dtype:
            raise NotInONNXError(f"it computes in {policy.compute_dtype}, and keeps other weights.")
        if hasattr(layer, "inputs") and hasattr(layer, "outputs"):  # a model
            return self.graph(layer.inputs, layer.outputs, flatten(x))
        kind = type(layer).__name__
        if kind not in WRITERS or not type(layer).__module__.startswith("rnn_engine."):
            raise NotInONNXError("there is nothing like it that is written.")
        if "mask" in options and kind not in _TAKES_MASK:
            raise NotInONNXError("it is called with a mask of its own.")
        x = map_structure(lambda v: self._converted(layer, v), x)
        made = WRITERS[kind](self, layer, x, options)
        if not layer.supports_masking:
            for value in flatten(made):
                value.mask = None
        return made

    def _converted(self, layer: Any, value: Any) -> Any:
        """Return an input in the type that the layer computes in."""
        if not isinstance(value, Value) or layer.takes_integers:
            return value
        whole = value.dtype.startswith(("int", "uint", "bool"))
        if whole and type(layer).__name__ in _KEEPS_INTEGERS:
            return value
        return self.cast(value, str(np.dtype(layer.dtype)))


_TAKES_MASK = {
    "SimpleRNN", "LSTM", "GRU", "RNN", "Bidirectional", "Attention", "AdditiveAttention",
    "ConvLSTM1D", "ConvLSTM2D", "ConvLSTM3D",
}  # fmt: skip
_KEEPS_INTEGERS = {"Flatten", "Reshape", "Permute", "RepeatVector"}
